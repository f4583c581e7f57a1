"""``holdfast check``: takes one reading of all standing claims, or of named ones; waits or watches if asked to.

It touches nothing and takes no lease. The gates are those of a run and are asked through the same
plugins; their verdicts go to a temporary journal, so that frequent checks do not hide the runs.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from holdfast.ansible.interfaces import Play, PlayResult, Progress, StopSignal, run_play
from holdfast.claims import SYSTEMS, all_claims, claims_of
from holdfast.cli.check_result import NEXT, CheckResult, print_result
from holdfast.cli.context import CommandContext
from holdfast.cli.explain import explain_site
from holdfast.cli.interrupt import interruptible
from holdfast.cli.options import JsonOption, LimitOption, SiteOption, context_of
from holdfast.engine.left_behind import explain
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.journal.events import GateJudged, RunOpened
from holdfast.model import Json as Value
from holdfast.model import Outcome, Verdict
from holdfast.monitor import program as monitor
from holdfast.monitor.output import Read, and_written, prometheus_text, write_atomically
from holdfast.plan.model import SiteInventory
from holdfast.report.remedies import remedy_for
from holdfast.report.table import columns
from holdfast.settings import Settings
from holdfast.store.database import open_store
from holdfast.text import one_line, parse_duration

STANDING = "standing"
OF_HOSTS = {
    "rabbitmq": "rabbitmq.processes_run",
    "nova_api": "nova.processes_connected",
    "puppet_agents": "puppet.no_mass_run",
}
"""Per group the claim about what its hosts themselves say of their services; a diagnosis asks it before all else."""

_NAMES_ITS_HOST = re.compile(r"[\w.-]+: site variables ")
NOT_PASS = 3
ANSWER_SECONDS = 10  # for one reading: less than any monitoring waits for its plugin
PATIENT_SECONDS = (
    25  # for one reading of a diagnosis: what is ill is slow, and no monitoring waits for it
)
HOSTS_A_SECOND = 10  # in a fleet of more than a hundred: so many connections are opened
START_SECONDS = 30  # for Ansible itself, on a busy controller
NAGIOS = {Outcome.PASS: (0, "OK"), Outcome.FAIL: (2, "CRITICAL"), Outcome.UNKNOWN: (3, "UNKNOWN")}


@dataclass(frozen=True, slots=True)
class CheckTiming:
    """For how many seconds to ask again (``wait``), and how long the claims must hold (``hold``).

    ``answer``: how long one reading may take, ``before``: one that comes before it.
    """

    wait: int = 0
    hold: int = 0
    answer: int = ANSWER_SECONDS
    before: int = 0

    def for_hosts(self, count: int) -> CheckTiming:
        """Return the durations for a fleet of so many hosts: one of hundreds cannot be read in 10 s."""
        return replace(self, answer=max(self.answer, math.ceil(count / HOSTS_A_SECOND)))

    @property
    def limit(self) -> timedelta:
        """When the play is ended in any case."""
        seconds = self.before + self._deadline + self.answer + START_SECONDS
        return timedelta(seconds=seconds)

    def twice(self) -> CheckTiming:
        """Return the durations of a check that asks hosts first, then all else, for a person who waits."""
        patient = max(self.answer, PATIENT_SECONDS)
        return replace(self, answer=patient, before=patient)

    def variables(self) -> dict[str, Value]:
        """Return the variables of the check's play."""
        return {
            "holdfast_check_wait_seconds": self._deadline,
            "holdfast_check_answer_seconds": self.answer,
            "holdfast_settle_seconds": self.hold,
        }

    @property
    def _deadline(self) -> int:
        return self.wait + (self.hold + self.answer if self.hold else 0)


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What was typed; a claim as ``parse_claim`` reads it, or as an entry of a gate.

    ``answer``: how many seconds one reading may take, in a fleet of a hundred hosts at most.
    """

    site: str
    claims: Sequence[Value] = ()
    limit: str = ""
    wait: str = "0"
    hold: str = "0"
    prometheus: str = ""
    answer: int = ANSWER_SECONDS

    def timing(self) -> CheckTiming:
        """Return the durations.

        Raises:
            InvalidInput: one is none.
        """
        try:
            return CheckTiming(parse_duration(self.wait), parse_duration(self.hold), self.answer)
        except ValueError as error:
            raise InvalidInput(str(error)) from None


def check(  # noqa: PLR0913  # one parameter for each option of the command
    ctx: typer.Context,
    claims: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLAIM",
            help="Claims, with parameters as CLAIM:name=value,name=value, or a system, such as rabbitmq, for "
            "its standing claims. A claim about a group is asked once, a claim about single hosts at "
            "every host. Default: every standing claim of the groups that the site has.",
        ),
    ] = None,
    *,
    site: SiteOption = "",
    limit: LimitOption = "",
    wait: Annotated[
        str,
        typer.Option(
            "--wait",
            metavar="DURATION",
            help="Ask again until everything passes, for so long, such as 30s or 5m. Default: one "
            f"reading, in which what gives no answer within {ANSWER_SECONDS} s is UNKNOWN (with more "
            f"than {ANSWER_SECONDS * HOSTS_A_SECOND} hosts: within a second for each {HOSTS_A_SECOND}).",
        ),
    ] = "0",
    hold: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="DURATION",
            help="Watch: pass only if everything holds for so long, such as 60s.",
        ),
    ] = "0",
    listing: Annotated[bool, typer.Option("--list", metavar="", help="List all claims.")] = False,
    nagios: Annotated[
        bool,
        typer.Option("--nagios", metavar="", help="One line with perfdata, exit code 0, 2 or 3."),
    ] = False,
    endpoints: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME=URL",
            help="Without a site: ask a system, CLAIM being rabbitmq, nova or galera, through these hosts, such as "
            "ctl1=http://192.0.2.1:15672; repeat it for each broker, or each host of nova-api.",
        ),
    ] = None,
    credentials: Annotated[
        str,
        typer.Option(
            "--credentials",
            metavar="FILE",
            help="With --endpoint: a file of site variables that nobody else can read.",
        ),
    ] = "",
    prometheus: Annotated[
        str,
        typer.Option(
            "--prometheus",
            metavar="FILE",
            help="Also write the outcome, and the figures of --endpoint, for node_exporter's textfile collector.",
        ),
    ] = "",
    explained: Annotated[
        bool,
        typer.Option(
            "--explain",
            metavar="",
            help="For a new site: what is not right yet, in the order in which it is to be corrected.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take one reading of the claims and print their verdicts.

    Takes no lease and keeps no journal. Exits with 3 unless every verdict is PASS.
    """
    context = context_of(ctx)
    if listing:
        _list(context, as_json=as_json)
        return
    if endpoints:
        _ask_endpoints(
            context, [*(claims or ()), *_typed(endpoints, credentials, prometheus, nagios=nagios)]
        )
    request = CheckRequest(site, tuple(claims or ()), limit, wait, hold, prometheus)
    if explained:
        _explain(context, request, as_json=as_json or nagios)
    if nagios:
        _nagios(context, request)
    found = run_check(context, request)
    if as_json:
        context.write_line(json.dumps(found.as_json()))
    else:
        print_result(context.show, found)
    if prometheus:
        write_for_prometheus(context, request, found)
    raise typer.Exit(0 if found.outcome is Outcome.PASS else NOT_PASS)


def _explain(context: CommandContext, request: CheckRequest, *, as_json: bool) -> NoReturn:
    """Say what is not right yet with a site.

    Raises:
        InvalidInput: it was asked for single claims or hosts, or for programs.
    """
    if as_json or request != CheckRequest(request.site):
        raise InvalidInput(
            "--explain is about a whole site, for people", remedy="holdfast check --explain"
        )
    right = explain_site(
        context,
        request.site,
        lambda claims, at: run_check(
            context, replace(request, claims=claims, answer=PATIENT_SECONDS), at
        ),
    )
    raise typer.Exit(0 if right else NOT_PASS)


def parse_claim(text: str) -> Value:
    """Parse ``claim`` or ``claim:name=value,name=value`` to an entry of a gate.

    Raises:
        InvalidInput: a parameter is not ``name=value``.
    """
    claim, colon, rest = text.partition(":")
    if not colon:
        return claim
    entry: dict[str, Value] = {"claim": claim}
    for pair in rest.split(","):
        name, equals, value = pair.partition("=")
        if not equals or not name or name == "claim":
            raise InvalidInput(f"{text}: expected CLAIM:name=value,name=value")
        entry[name] = value
    return entry


def run_check(
    context: CommandContext,
    request: CheckRequest,
    at: Sequence[str] = (),
    *,
    hosts_first: bool = False,
) -> CheckResult:
    """Run the check's play, with a journal of its own that is deleted afterwards.

    ``at``: the hosts at which claims about single hosts are asked; by default every host of the site, or of the limit.
    ``hosts_first``: ask ``OF_HOSTS`` before all else, while nothing hangs on a host yet.
    """
    timing, limit = request.timing(), request.limit
    adapters, run = context.adapters(context), f"check-{secrets.token_hex(4)}"
    site = context.site(request.site)
    systems = [each for each in request.claims if each in SYSTEMS]
    named = [each for each in request.claims if each not in SYSTEMS]
    claims = [parse_claim(each) if isinstance(each, str) else each for each in named]
    per_host = _asked_per_host(claims, adapters.planner.claim_group, limit)
    began = context.now()
    with TemporaryDirectory(prefix="holdfast-check-") as directory:
        settings = Settings(f"sqlite:///{directory}/state.db", Path(directory))
        store, runner = open_store(settings), adapters.runner(settings)
        with context.status_line("Reading inventory"):
            inventory = adapters.planner.inventories.read(site, limit)
        every = tuple(_hosts(inventory))
        claims += [name for each in systems for name in _standing_of(each, inventory)]
        timing, hosts = timing.for_hosts(len(every)), (tuple(at) or every) if per_host else ()
        first = [claim for group, claim in OF_HOSTS.items() if inventory.groups.get(group)]
        first = first if hosts_first else []
        timing = timing.twice() if first else timing
        store.append(run, _opened(context, inventory.name))
        play = Play(
            run=run,
            ident="check",
            playbook="check.yml",
            inventory=str(site),
            limit=hosts,
            variables={
                "holdfast_run": run,
                "holdfast_grant": {},
                "holdfast_site": inventory.name,
                "holdfast_check_claims": claims or [STANDING],
                **timing.variables(),
                **({"holdfast_check_first": first} if first else {}),
                **({"holdfast_check_hosts": list(hosts)} if hosts else {}),
            },
        )
        stop, latest = StopSignal(), context.now() + timing.limit
        with (
            context.status_line("Checking") as show,
            interruptible(stop, lambda _: context.err.print(Text("Ending the check", "yellow"))),
        ):

            def listen(at: Progress) -> None:
                show(one_line(f"{at.host} {at.text or at.task}"))

            ended = run_play(
                runner, play, listen, lambda: stop.at_boundary or context.now() > latest
            )
        recorded = store.read(run)
    judged = [entry.event for entry in recorded if isinstance(entry.event, GateJudged)]
    verdicts = chain.from_iterable(gate.verdicts for gate in judged)
    explained = (explain(v, inventory.name, lambda: context.readable_store) for v in verdicts)
    return CheckResult(
        verdicts=tuple(_with_next(verdict, site) for verdict in explained),
        messages=_messages(ended, judged, timing),
        seconds=(context.now() - began).total_seconds(),
        hosts=tuple(inventory.groups.get("all", every)),
        site=inventory.name,
    )


def _with_next(verdict: dict[str, Value], site: Path) -> dict[str, Value]:
    """Return a verdict that is no PASS with what to do about its cause as ``next``, where that is known."""
    bad = verdict["outcome"] != Outcome.PASS and "next" not in verdict
    remedy = remedy_for(verdict["message"], str(site)) if bad else ""
    return {**verdict, "next": remedy} if remedy else verdict


def _opened(context: CommandContext, site: str) -> RunOpened:
    """Return the first event of a check's own journal."""
    return RunOpened(
        at=context.now(),
        runbook="",
        runbook_hash="",
        playbook="check.yml",
        site=site,
        by="",
        reason="holdfast check",
        controller=platform.node(),
        process=os.getpid(),
    )


def _standing_of(system: str, site: SiteInventory) -> list[str]:
    """Return the standing claims of a system about groups that the site has.

    Raises:
        InvalidInput: there are none.
    """
    names = [
        name
        for name, claim in claims_of(system).items()
        if claim.standing and site.groups.get(claim.group)
    ]
    if not names:
        raise InvalidInput(
            f"the site has no group that a standing claim of {system} is about",
            remedy="holdfast check --list",
        )
    return names


def _asked_per_host(claims: Sequence[Value], group_of: Callable[[Value], str], limit: str) -> bool:
    """Return whether one of the claims is about single hosts, and so is asked at every host.

    Raises:
        InvalidInput: a claim is unknown, or a limit is given with a claim about a group.
    """
    groups = [group_of(claim) for claim in claims]
    if limit and not (groups and not any(groups)):
        raise InvalidInput(
            "--limit works only with claims about single hosts; a claim about a group is about all its hosts",
            remedy="leave --limit out; holdfast check --list lists the claims",
        )
    return "" in groups


def _hosts(site: SiteInventory) -> list[str]:
    every = dict.fromkeys(chain.from_iterable(site.groups.values()))
    return [host for host in every if site.selected is None or host in site.selected]


def _messages(
    ended: PlayResult, judged: Sequence[GateJudged], timing: CheckTiming
) -> tuple[str, ...]:
    """Return the messages of the play's hosts, without hosts of which a gate has failed."""
    failed = {gate.host for gate in judged if gate.outcome is not Outcome.PASS}
    texts = [
        text if _NAMES_ITS_HOST.match(text) else f"{host}: {text}"
        for host, said in ended.messages.items()
        if host not in failed and (text := _without_gate(host, said))
    ]
    if ended.status == "interrupted":
        texts.append(f"the check was ended; it may take {timing.limit.total_seconds():.0f} s")
    elif ended.status != "ok" and not texts and not failed:
        texts = [f"the play ended: {ended.status}"]
    return tuple(dict.fromkeys(one_line(text.removeprefix(": ")) for text in texts))


def _without_gate(host: str, text: str) -> str:
    """Return a task's message without the gate's name, which a check has one of, and with its next command behind."""
    message = re.sub(rf"^gate {re.escape(host)}, [^:\n]*: ", "", text)
    return re.sub(r"\n\s*next: ", f"; {NEXT}", message)


def _nagios(context: CommandContext, request: CheckRequest) -> NoReturn:
    """Print one line and exit with 0, 2 or 3, also on errors (Monitoring Plugins Development Guidelines)."""
    code, status = NAGIOS[Outcome.UNKNOWN]
    context.bug_code = code
    try:
        found = run_check(context, request)
        unwritten = _unwritten(context, request, found)
        code, status = NAGIOS[and_written(found.outcome, unwritten)]
        counts = " ".join(f"{outcome.lower()}={found.count(outcome)}" for outcome in Outcome)
        said = _plugin_text("; ".join(filter(None, (found.headline(), unwritten))))
        text = f"{said} | {counts} time={found.seconds:.2f}s"
    except HoldfastError as error:
        text = _plugin_text(error.message)
    context.write_line(f"HOLDFAST {status} - {text}")
    raise typer.Exit(code)


def _unwritten(context: CommandContext, request: CheckRequest, found: CheckResult) -> str:
    """Write the file for Prometheus where one was named; return why it could not be written."""
    try:
        if request.prometheus:
            write_for_prometheus(context, request, found)
    except InvalidInput as error:
        return error.message
    return ""


def _typed(
    endpoints: Sequence[str], credentials: str, prometheus: str, *, nagios: bool
) -> list[str]:
    """Return the options as they were typed."""
    options = [f"--endpoint={each}" for each in endpoints]
    options += [f"--credentials={credentials}"] * bool(credentials)
    options += [f"--prometheus={prometheus}"] * bool(prometheus)
    return options + ["--nagios"] * nagios


def _ask_endpoints(context: CommandContext, arguments: Sequence[str]) -> NoReturn:
    code, line = monitor.run(["check", *arguments], monitor.MonitorClock(now=context.now))
    context.write_line(line)
    raise typer.Exit(code)


def write_for_prometheus(
    context: CommandContext, request: CheckRequest, found: CheckResult
) -> None:
    """Write what a check has found to the file that was named.

    Raises:
        InvalidInput: it cannot be written.
    """
    verdicts = [
        Verdict(each["claim"], Outcome(each["outcome"]), each["reason"], each["message"])
        for each in found.verdicts
    ]
    systems = [each for each in request.claims if each in SYSTEMS]
    name = systems[0] if len(systems) == len(request.claims) == 1 else "site"
    read = Read(name, verdicts, seconds=found.seconds, error="; ".join(found.messages))
    write_atomically(request.prometheus, prometheus_text(read, context.now()))


def _plugin_text(text: str) -> str:
    """Return one line without ``|``, which begins perfdata."""
    return one_line(text).replace("|", "/")


def _list(context: CommandContext, *, as_json: bool) -> None:
    claims = all_claims().values()
    if as_json:
        keys = ("name", "summary", "group", "standing")
        context.write_line(
            json.dumps([{key: getattr(claim, key) for key in keys} for claim in claims])
        )
        return
    table = columns("claim", "parameters", "standing", "")
    for claim in claims:
        parameters = ", ".join(claim.parameters.model_fields)
        standing = "yes" if claim.standing else ""
        table.add_row(Text(claim.name, "bold"), Text(parameters), standing, Text(claim.summary))
    context.show(table)
