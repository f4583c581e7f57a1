"""Look at the fleet until a gate settles, or fail (modules/holdfast_gate.py, docs/adr/0001).

Looks on the controller, with the site's variables and secrets resolved by Ansible; a claim that
needs the task's host uses the task's own connection.
"""

from __future__ import annotations

import contextvars
import io
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from holdfast.claims import all_claims, bind_claim, standing
from holdfast.claims.base import BoundClaim
from holdfast.errors import CannotTell, HoldfastError, InvalidInput
from holdfast.gate_loop import (
    GateResult,
    GateTiming,
    Reading,
    Timer,
    claims_of_host,
    describe,
    run_gate,
)
from holdfast.journal.events import GateJudged
from holdfast.model import Json, Outcome, Phase, Settle
from holdfast.play_context import LeaseRenewal, PlayContext, Variables
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.settings import load_settings
from holdfast.store import Store, open_store
from holdfast.text import count_of

ARGUMENTS = {
    "claims": {"type": "list", "elements": "raw", "required": True},
    "phase": {"type": "str", "choices": [*Phase, "survey", "sweep", "check"], "required": True},
    "settle_seconds": {"type": "float", "default": 0.0},
    "settle_readings": {"type": "int", "default": 1},
    "deadline_seconds": {"type": "float"},
    "poll_seconds": {"type": "float"},
    "since_restart": {"type": "bool", "default": False},
    "spread": {"type": "bool", "default": False},
}
STANDING = "standing"
DEADLINE_SECONDS, POLL_SECONDS = 300, 2

# This module is loaded once, by the process that forks a worker for each task: what is imported here, the clients of
# all systems included, no task pays for again.
all_claims()

# Ansible leaves flushing to the system, so through a pipe (tee, a CI log) readings would come when the play is over.
# It is that process, too, that prints.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)

COMMAND_SECONDS = 20  # for one command on the task's host
QUIET_SECONDS = 10  # a reading that says nothing new is shown again after so long


class ActionModule(ActionBase):
    """The skin over ``holdfast.gate_loop``."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer with ``msg`` and ``holdfast``: outcome, verdicts, readings, seconds."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        variables = Variables(task_vars or {}, self._templar.template)
        try:
            return result | {"changed": False} | self._gate(args, variables)
        except HoldfastError as error:
            host = variables["inventory_hostname"]
            raise AnsibleActionFail(f"gate {host}, {self._task.name}: {error}") from None

    def _gate(self, args: dict[str, Any], variables: Variables) -> dict[str, Json]:
        host, pace = str(variables["inventory_hostname"]), _pace(args, variables)
        claims = _claims(args, variables)
        if args["spread"]:
            claims = claims_of_host(
                host, claims, variables["groups"], variables["ansible_play_hosts_all"]
            )
            if not claims:
                return {"skipped": True, "msg": f"{host}: other hosts ask these claims"}
        if self._task.check_mode and args["since_restart"]:
            words = _would_wait(claims, pace)
            self.show(f"gate {host} {words}")
            return {"skipped": True, "msg": words}
        if self._task.check_mode:
            pace = GateTiming(Settle(), timedelta(0), pace.poll)
        look = ProbeContext(
            host=host,
            groups=variables["groups"],
            variables=_site_variables(claims, host, variables, self._variables_of),
            shell=_ConnectionShell(self),
        )
        journal = None if self._task.check_mode else _Journal.of(variables)
        timer = Timer(time.monotonic, threading.Event().wait)
        result = run_gate(claims, look, pace, timer, _Watcher(self, host, pace, journal))
        if journal:
            journal.judged(host, self._task.name, args["phase"], result)
        return {
            "failed": result.outcome is not Outcome.PASS,
            "msg": _message(host, args["phase"], result, pace) + _next(result, host, variables),
            "holdfast": result.as_json(),
        }

    def _variables_of(self, host: str, variables: Variables) -> Variables:
        """Another host's variables as that host sees them: ``hostvars[host]`` lacks ``hostvars``."""
        hostvars = variables.raw["hostvars"]
        theirs = {**hostvars.raw_get(host), "hostvars": hostvars}
        templar = self._templar.copy_with_new_env(available_variables=theirs)
        return Variables(theirs, templar.template)

    def execute(self, argv: Sequence[str]) -> dict[str, Any]:
        """Run a command on the task's host over the task's connection, with its privileges."""
        answer: dict[str, Any] = self._low_level_execute_command(shlex.join(argv), sudoable=True)
        return answer

    def show(self, line: str) -> None:
        """Put a line on the operator's screen at once."""
        self._display.display(line)


class _ConnectionShell:
    """``Shell`` over Ansible's connection, which serves one thread at a time."""

    def __init__(self, action: ActionModule) -> None:
        self._action = action
        self._turn = threading.Lock()
        # Ansible keeps the current task in context variables, which threads do not inherit.
        self._context = contextvars.copy_context()

    def run(self, argv: Sequence[str]) -> CommandResult:
        bounded = ["timeout", "--kill-after=2", str(COMMAND_SECONDS), *argv]
        with self._turn:
            try:
                answer = self._context.run(self._action.execute, bounded)
            except AnsibleConnectionFailure as error:
                raise CannotTell(f"the host is unreachable: {error}") from error
        if answer["rc"] in {124, 137}:
            raise CannotTell(f"`{shlex.join(argv)}` gave no answer in {COMMAND_SECONDS} s")
        return CommandResult(answer["rc"], answer["stdout"], answer["stderr"])


class _Journal:
    """Writes verdicts into the run's journal, and keeps a lease taken by hand alive."""

    def __init__(self, store: Store, run: PlayContext) -> None:
        self._store, self._run = store, run
        self._renewal = LeaseRenewal(store, run, datetime.now(UTC))

    @classmethod
    def of(cls, variables: Variables) -> _Journal | None:
        run = PlayContext.of(variables)
        return cls(open_store(load_settings(os.environ)), run) if run else None

    def renew(self) -> None:
        self._renewal.at(datetime.now(UTC))

    def judged(self, host: str, gate: str, phase: str, result: GateResult) -> None:
        event = GateJudged(
            at=datetime.now(UTC),
            host=host,
            gate=gate,
            phase=phase,
            outcome=result.outcome,
            verdicts=[verdict.as_json() for verdict in result.verdicts],
            readings=result.readings,
            seconds=round(result.seconds, 3),
        )
        self._store.append(self._run.run, event)


class _Watcher:
    """Called with each reading: shows what is new, renews the lease."""

    def __init__(
        self, action: ActionModule, host: str, pace: GateTiming, journal: _Journal | None
    ) -> None:
        self._action, self._host, self._pace, self._journal = action, host, pace, journal
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, reading: Reading) -> None:
        if self._journal:
            self._journal.renew()
        line = describe(self._host, reading, self._pace)
        news, at = line.rpartition(" (")[0], reading.elapsed.total_seconds()
        if news != self._last[0] or at - self._last[1] >= QUIET_SECONDS:
            self._action.show(line)
            self._last = (news, at)


def _claims(args: dict[str, Any], variables: Variables) -> list[BoundClaim]:
    if args["claims"] != [STANDING]:
        return [bind_claim(entry) for entry in args["claims"]]
    claims = standing(variables["groups"])
    if not claims:
        raise InvalidInput(
            "there is nothing to check: no group of this inventory is one that a claim speaks about",
            remedy="compare its groups with inventories/example",
        )
    return claims


def _pace(args: dict[str, Any], variables: Variables) -> GateTiming:
    deadline = args["deadline_seconds"]
    if deadline is None:
        deadline = float(variables.get("holdfast_gate_deadline_seconds", DEADLINE_SECONDS))
    poll = args["poll_seconds"]
    if poll is None:
        poll = float(variables.get("holdfast_poll_seconds", POLL_SECONDS))
    settle = Settle(args["settle_readings"], timedelta(seconds=args["settle_seconds"]))
    return GateTiming(settle, timedelta(seconds=deadline), timedelta(seconds=poll))


def _site_variables(
    claims: Sequence[BoundClaim],
    host: str,
    variables: Variables,
    of_host: Callable[[str, Variables], Variables],
) -> dict[str, dict[str, Json]]:
    """Per host, the variables that the claims need there and that the inventory defines."""
    wanted: dict[str, set[str]] = {host: set()}
    for claim in (asked.claim for asked in claims):
        groups = (claim.group, *claim.also)
        hosts = {each for group in groups for each in variables["groups"].get(group, ())}
        for each in hosts if claim.group else {host, *hosts}:
            wanted.setdefault(each, set()).update(claim.needs)
    found = {}
    for each, names in wanted.items():
        theirs = of_host(each, variables)
        found[each] = {name: theirs[name] for name in names if name in theirs.raw}
    return found


def _would_wait(claims: Sequence[BoundClaim], pace: GateTiming) -> str:
    names = ", ".join(asked.claim.name for asked in claims)
    settle = (
        f"{count_of(pace.settle.readings, 'reading')} over {pace.settle.span.total_seconds():.0f} s"
    )
    return (
        f"would wait up to {pace.deadline.total_seconds():.0f} s for {names} to hold for {settle}"
    )


def _message(host: str, phase: str, result: GateResult, pace: GateTiming) -> str:
    took = f"{count_of(result.readings, 'reading')} in {result.seconds:.1f} s"
    bad = [verdict for verdict in result.verdicts if not verdict.passed]
    if not bad:
        return f"{host}, {phase}: {count_of(len(result.verdicts), 'claim')} hold ({took})"
    faults = "\n".join(f"  {v.claim} {v.outcome} ({v.reason}): {v.message}" for v in bad)
    deadline = f"{pace.deadline.total_seconds():.0f} s"
    left = f" Nothing further is touched; {host} stays as it is." if phase in list(Phase) else ""
    return f"{host}, {phase}: the gate did not pass ({took}, deadline {deadline}).{left}\n{faults}"


def _next(result: GateResult, host: str, variables: Variables) -> str:
    """How somebody who runs the play by hand goes on; under the engine the hold says it."""
    run = PlayContext.of(variables)
    if result.outcome is Outcome.PASS or run is None or not run.by_hand:
        return ""
    hosts = list(variables["ansible_play_hosts_all"])
    rest = ",".join(hosts[hosts.index(host) :])
    return f"\n  next: when it is mended, the same command with --limit {rest}"
