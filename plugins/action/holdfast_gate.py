"""Read the fleet's state until a gate settles, or fail (modules/holdfast_gate.py, docs/adr/0001).

Probes run on the controller, with the site's variables and secrets resolved by Ansible; a claim that
needs the task's host uses the task's own connection.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from holdfast.action_plugin import (
    ArgumentSpec,
    ConnectionShell,
    HoldfastAction,
    HostShells,
    open_state,
)
from holdfast.claims import all_claims, bind_claim, standing
from holdfast.claims.base import BoundClaim
from holdfast.errors import InvalidInput
from holdfast.gate_loop import (
    GateResult,
    GateTiming,
    Reading,
    Timer,
    claims_of_host,
    describe,
    run_gate,
)
from holdfast.journal.events import GateJudged, journaled
from holdfast.model import GATE_DEADLINE_SECONDS, Json, Outcome, Phase, Settle
from holdfast.play_context import LeaseRenewal, PlayContext, Variables, proved_earlier
from holdfast.probes.base import ProbeContext
from holdfast.text import count_of, join_names

STANDING = "standing"
POLL_SECONDS = 2

# Ansible loads this module once, in the process that forks a worker for each task. What is imported here, with the
# clients of all systems, is imported by no task again.
all_claims()

# By default Python buffers output to a pipe (tee, a CI log), so readings would appear only at the end of the play.
# The same process prints them.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)

QUIET_SECONDS = 10  # a reading that has not changed is shown again after this time


class ActionModule(HoldfastAction):
    """Calls ``holdfast.gate_loop``."""

    ARGUMENTS: ClassVar[ArgumentSpec] = {
        "claims": {"type": "list", "elements": "raw", "required": True},
        "can_be_told": {"type": "list", "elements": "raw", "default": []},
        "phase": {"type": "str", "choices": [*Phase, "sweep", "check"], "required": True},
        "settle_seconds": {"type": "float", "default": 0.0},
        "settle_readings": {"type": "int", "default": 1},
        "deadline_seconds": {"type": "float"},
        "grace_seconds": {"type": "float", "default": 30.0},
        "poll_seconds": {"type": "float"},
        "since_restart": {"type": "bool", "default": False},
        "otherwise": {"type": "str", "default": ""},
        "spread": {"type": "bool", "default": False},
    }

    _requires_connection = True

    def failed(self) -> str:
        """Return the gate's host and name."""
        return f"gate {self.host}, {self._task.name}"

    def act(self, arguments: dict[str, Json], variables: Variables) -> dict[str, Json]:
        """Return ``msg`` and ``holdfast``: outcome, verdicts, readings, seconds."""
        host, timing = self.host, _timing(arguments, variables)
        claims = _claims(arguments, variables)
        if arguments["spread"]:
            claims = claims_of_host(
                host, claims, variables["groups"], variables["ansible_play_hosts_all"]
            )
            if not claims:
                return {"skipped": True, "msg": f"{host}: other hosts check these claims"}
        if self.check_mode and arguments["since_restart"]:
            message = _would_wait(claims, timing)
            self.show(f"gate {host} {message}")
            return {"skipped": True, "msg": message}
        if self.check_mode:
            timing = GateTiming(Settle(), timedelta(0), timing.poll, timing.grace)
        context = ProbeContext(
            host=host,
            groups=variables["groups"],
            variables=_site_variables(claims, host, variables, self.variables_of),
            shell=ConnectionShell(self, self.host),
            reach=HostShells(self, variables),
        )
        run = None if self.check_mode else PlayContext.of(variables)
        renewal = LeaseRenewal(open_state(run.run), run, datetime.now(UTC)) if run else None
        timer = Timer(time.monotonic, threading.Event().wait)
        reporter = _ReadingReporter(self, host, timing, renewal)
        result = run_gate(claims, context, timing, timer, reporter)
        if renewal:
            event = _gate_judged(host, self._task.name, arguments["phase"], result)
            renewal.store.append_guarded(renewal.run.grant, event)
        left = arguments["otherwise"] or f"Nothing further is touched; {host} stays as it is."
        message = _message(host, arguments["phase"], result, timing, left)
        return {
            "failed": result.outcome is not Outcome.PASS,
            "msg": message + _next_command(result, host, variables),
            "holdfast": result.as_json(),
        }


class _ReadingReporter:
    """Called with each reading: shows it if it has changed, and renews the lease."""

    def __init__(
        self, action: ActionModule, host: str, timing: GateTiming, renewal: LeaseRenewal | None
    ) -> None:
        self._action, self._host, self._timing, self._renewal = action, host, timing, renewal
        self._shown: tuple[str, float] = ("", 0.0)

    def __call__(self, reading: Reading) -> None:
        if self._renewal:
            self._renewal.at(datetime.now(UTC))
        line = describe(self._host, reading, self._timing)
        without_time, elapsed = line.rpartition(" (")[0], reading.elapsed.total_seconds()
        if without_time != self._shown[0] or elapsed - self._shown[1] >= QUIET_SECONDS:
            self._action.show(line)
            self._shown = (without_time, elapsed)


def _gate_judged(host: str, gate: str, phase: str, result: GateResult) -> GateJudged:
    return GateJudged(
        at=datetime.now(UTC),
        host=host,
        gate=gate,
        phase=phase,
        outcome=result.outcome,
        verdicts=[journaled(verdict) for verdict in result.verdicts],
        readings=result.readings,
        seconds=round(result.seconds, 3),
    )


def _claims(arguments: dict[str, Any], variables: Variables) -> list[BoundClaim]:
    told = [replace(bind_claim(entry), only_told=True) for entry in arguments["can_be_told"]]
    if arguments["claims"] != [STANDING]:
        return [*map(bind_claim, arguments["claims"]), *told]
    claims = standing(variables["groups"])
    if not claims:
        raise InvalidInput(
            "there is nothing to check: no claim is about any group of this inventory",
            remedy="compare its groups with inventories/example",
        )
    return [*claims, *told]


def _timing(arguments: dict[str, Any], variables: Variables) -> GateTiming:
    deadline = arguments["deadline_seconds"]
    if deadline is None:
        deadline = float(variables.get("holdfast_gate_deadline_seconds", GATE_DEADLINE_SECONDS))
    poll = arguments["poll_seconds"]
    if poll is None:
        poll = float(variables.get("holdfast_poll_seconds", POLL_SECONDS))
    settle = Settle(arguments["settle_readings"], timedelta(seconds=arguments["settle_seconds"]))
    grace = timedelta(seconds=arguments["grace_seconds"])
    vouched = frozenset(proved_earlier(variables, arguments["phase"]))
    return GateTiming(settle, timedelta(seconds=deadline), timedelta(seconds=poll), grace, vouched)


def _site_variables(
    claims: Sequence[BoundClaim],
    host: str,
    variables: Variables,
    variables_of: Callable[[str, Variables], Variables],
) -> dict[str, dict[str, Json]]:
    """Return, per host, the variables that the claims need there and that the inventory defines."""
    needed: dict[str, set[str]] = {host: set()}
    for claim in (bound.claim for bound in claims):
        groups = (claim.group, *claim.also)
        hosts = {each for group in groups for each in variables["groups"].get(group, ())}
        for each in hosts if claim.group else {host, *hosts}:
            needed.setdefault(each, set()).update(claim.needs)
    found = {}
    for each, names in needed.items():
        of_host = variables_of(each, variables)
        found[each] = {name: of_host[name] for name in names if name in of_host.raw}
    return found


def _would_wait(claims: Sequence[BoundClaim], timing: GateTiming) -> str:
    names = ", ".join(bound.claim.name for bound in claims)
    readings = count_of(timing.settle.readings, "reading")
    settle = f"{readings} over {timing.settle.span.total_seconds():.0f} s"
    deadline = f"{timing.deadline.total_seconds():.0f} s"
    return f"would wait up to {deadline} for {names} to hold for {settle}"


def _message(host: str, phase: str, result: GateResult, timing: GateTiming, left: str) -> str:
    took = f"{count_of(result.readings, 'reading')} in {result.seconds:.1f} s"
    bad = [verdict for verdict in result.verdicts if not verdict.passed]
    if not bad:
        return f"{host}, {phase}: {count_of(len(result.verdicts), 'claim')} passed ({took})"
    faults = "\n".join(f"  {v.claim} {v.outcome} ({v.reason}): {v.message}" for v in bad)
    deadline = f"{timing.deadline.total_seconds():.0f} s"
    left = f" {left}" if phase in list(Phase) else ""
    ill = join_names(result.relapsed)
    why = (
        f" {ill}: proved healthy by this run before and ill now, so not waited for." if ill else ""
    )
    return f"{host}, {phase}: the gate did not pass ({took}, deadline {deadline}).{why}{left}\n{faults}"


def _next_command(result: GateResult, host: str, variables: Variables) -> str:
    """Return how to continue a play by hand after a failure; under the engine the hold message says it."""
    run = PlayContext.of(variables)
    if result.outcome is Outcome.PASS or run is None or not run.by_hand:
        return ""
    hosts = list(variables["ansible_play_hosts_all"])
    rest = ",".join(hosts[hosts.index(host) :])
    return f"\n  next: repair it, then run the same command with --limit {rest}"
