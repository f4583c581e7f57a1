"""``holdfast check``: ask standing claims, or named ones, once. Touches nothing, takes no lease.

The gates are those of a run, asked through the same play. Their verdicts go to a journal that is
thrown away: a check every minute must not bury the runs.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from holdfast.ansible.interfaces import Play, PlayResult, StopSignal
from holdfast.claims import all_claims
from holdfast.cli.context import CommandContext
from holdfast.cli.interrupt import interruptible
from holdfast.cli.options import JsonOption, LimitOption, SiteOption, context_of
from holdfast.engine import Progress
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.journal.events import GateJudged
from holdfast.model import Json as Value
from holdfast.model import Outcome
from holdfast.plan import SiteInventory
from holdfast.report.progress_text import STYLES
from holdfast.report.sentences import MARKS, TONES
from holdfast.report.table import columns
from holdfast.settings import Settings
from holdfast.store import open_store
from holdfast.text import count_of, format_duration, one_line

STANDING = "standing"
NOT_PASS = 3
NAGIOS = {Outcome.PASS: (0, "OK"), Outcome.FAIL: (2, "CRITICAL"), Outcome.UNKNOWN: (3, "UNKNOWN")}


@dataclass(frozen=True)
class Found:
    """What a check found: verdicts of every gate, and the play's own words where it broke."""

    verdicts: tuple[dict[str, Value], ...]
    messages: tuple[str, ...]
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """PASS only if something was judged, all of it passed and nothing broke."""
        outcomes = {Outcome(verdict["outcome"]) for verdict in self.verdicts}
        if Outcome.FAIL in outcomes:
            return Outcome.FAIL
        return Outcome.PASS if outcomes == {Outcome.PASS} and not self.messages else Outcome.UNKNOWN

    def count(self, outcome: Outcome) -> int:
        """How many claims ended so."""
        return sum(verdict["outcome"] == outcome for verdict in self.verdicts)


def check(  # noqa: PLR0913  # one parameter for each option of the command
    context: typer.Context,
    claims: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLAIM",
            help="Claims, with parameters as CLAIM:name=value,name=value. A claim about a group is "
            "asked once, a claim about a host of its own at every host. Default: every standing "
            "claim of the groups that the site has.",
        ),
    ] = None,
    *,
    site: SiteOption = "",
    limit: LimitOption = "",
    listing: Annotated[
        bool, typer.Option("--list", metavar="", help="List all claims there are.")
    ] = False,
    nagios: Annotated[
        bool,
        typer.Option(
            "--nagios", metavar="", help="One line with perfdata, exit code 0, 1, 2 or 3."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take one reading of the claims and print their verdicts.

    Takes no lease and keeps no journal. Exits with 3 unless every verdict is PASS.
    """
    desk = context_of(context)
    if listing:
        _list(desk, as_json=as_json)
    elif nagios:
        _nagios(desk, site, claims or [], limit)
    else:
        found = _look(desk, desk.site(site), [entry_of(claim) for claim in claims or []], limit)
        _show(desk, found, as_json=as_json)
        raise typer.Exit(0 if found.outcome is Outcome.PASS else NOT_PASS)


def entry_of(text: str) -> Value:
    """Read ``claim`` or ``claim:name=value,name=value`` as an entry of a gate.

    Raises:
        InvalidInput: a parameter is no pair.
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


def _look(desk: CommandContext, site: Path, claims: Sequence[Value], limit: str) -> Found:
    adapters, run = desk.adapters(desk), f"check-{secrets.token_hex(4)}"
    of_hosts = _of_hosts(claims, adapters.planner.claim_group, limit)
    began = desk.now()
    with TemporaryDirectory(prefix="holdfast-check-") as directory:
        settings = Settings(f"sqlite:///{directory}/state.db", Path(directory))
        store, runner = open_store(settings), adapters.runner(settings)
        with desk.busy("Reading inventory"):
            found = adapters.planner.inventories.read(site, limit)
        hosts = _hosts(found) if of_hosts else ()
        play = Play(
            run=run,
            ident="check",
            playbook="check.yml",
            inventory=str(site),
            limit=hosts,
            variables={
                "holdfast_run": run,
                "holdfast_grant": {},
                "holdfast_site": found.name,
                "holdfast_check_claims": list(claims) or [STANDING],
                **({"holdfast_check_hosts": list(hosts)} if hosts else {}),
            },
        )
        stop = StopSignal()
        with desk.busy("Looking") as say, interruptible(stop, say):
            result = runner.run(play, lambda sign: say(_sign(sign)), lambda: stop.at_boundary)
        recorded = store.read(run)
    judged = [entry.event for entry in recorded if isinstance(entry.event, GateJudged)]
    return Found(
        verdicts=tuple(verdict for gate in judged for verdict in gate.verdicts),
        messages=_messages(result, judged),
        seconds=(desk.now() - began).total_seconds(),
    )


def _of_hosts(claims: Sequence[Value], group_of: Callable[[Value], str], limit: str) -> bool:
    """Whether one of the claims is about a host of its own, and so is asked at every host.

    Raises:
        InvalidInput: a claim is unknown, or the limit would narrow a claim about a group.
    """
    groups = [group_of(claim) for claim in claims]
    if limit and not (groups and not any(groups)):
        raise InvalidInput(
            "--limit goes with claims about a host of its own; one about a group is about all its hosts",
            remedy="leave --limit out; holdfast check --list says what there is",
        )
    return "" in groups


def _hosts(site: SiteInventory) -> tuple[str, ...]:
    every = dict.fromkeys(host for hosts in site.groups.values() for host in hosts)
    return tuple(host for host in every if site.selected is None or host in site.selected)


def _sign(progress: Progress) -> str:
    return one_line(f"{progress.host} {progress.text or progress.task}")


def _messages(result: PlayResult, judged: Sequence[GateJudged]) -> tuple[str, ...]:
    """The play's own words, but for hosts whose gate says it better."""
    spoken = {gate.host for gate in judged if gate.outcome is not Outcome.PASS}
    words = [f"{host}: {text}" for host, text in result.messages.items() if host not in spoken]
    if result.status != "ok" and not words and not spoken:
        words = [f"the play ended: {result.status}"]
    return tuple(one_line(text.removeprefix(": ")) for text in words)


def _show(desk: CommandContext, found: Found, *, as_json: bool) -> None:
    if as_json:
        told = {"outcome": found.outcome, "verdicts": found.verdicts, "messages": found.messages}
        desk.emit(json.dumps(told | {"seconds": found.seconds}))
        return
    table = columns("", "claim", "")
    for verdict in found.verdicts:
        outcome = Outcome(verdict["outcome"])
        words = Text(f"{MARKS[outcome]} {outcome}", STYLES[TONES[outcome]])
        claim, message = one_line(str(verdict["claim"])), one_line(str(verdict["message"]))
        table.add_row(words, Text(claim, "bold"), Text(message))
    desk.show(table)
    for message in found.messages:
        desk.show(Text(message, "red"))
    passed = f"{found.count(Outcome.PASS)} of {count_of(len(found.verdicts), 'claim')}"
    tone = STYLES[TONES[found.outcome]]
    desk.show(Text(f"\n{found.outcome}: {passed} hold ({format_duration(found.seconds)})", tone))


def _nagios(desk: CommandContext, site: str, claims: Sequence[str], limit: str) -> NoReturn:
    """Print one plugin line, whatever happens (monitoring plugins' guidelines: 0 to 3, perfdata)."""
    desk.bug_code = NAGIOS[Outcome.UNKNOWN][0]
    try:
        found = _look(desk, desk.site(site), [entry_of(claim) for claim in claims], limit)
    except HoldfastError as error:
        desk.emit(f"HOLDFAST UNKNOWN - {_plain(error.message)}")
        raise typer.Exit(NAGIOS[Outcome.UNKNOWN][0]) from error
    code, word = NAGIOS[found.outcome]
    counts = " ".join(f"{outcome.lower()}={found.count(outcome)}" for outcome in Outcome)
    desk.emit(f"HOLDFAST {word} - {_plain(_gist(found))} | {counts} time={found.seconds:.2f}s")
    raise typer.Exit(code)


def _gist(found: Found) -> str:
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN):
        bad = [verdict for verdict in found.verdicts if verdict["outcome"] == outcome]
        if bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            return f"{bad[0]['claim']}: {bad[0]['message']}{more}"
    if found.messages:
        return found.messages[0]
    return (
        f"{count_of(len(found.verdicts), 'claim')} hold" if found.verdicts else "nothing was judged"
    )


def _plain(text: str) -> str:
    """One line without the character that begins perfdata."""
    return one_line(text).replace("|", "/")


def _list(desk: CommandContext, *, as_json: bool) -> None:
    claims = all_claims().values()
    if as_json:
        keys = ("name", "summary", "group", "standing")
        desk.emit(json.dumps([{key: getattr(claim, key) for key in keys} for claim in claims]))
        return
    table = columns("claim", "parameters", "standing", "")
    for claim in claims:
        parameters = ", ".join(claim.parameters.model_fields)
        standing = "yes" if claim.standing else ""
        table.add_row(Text(claim.name, "bold"), Text(parameters), standing, Text(claim.summary))
    desk.show(table)
