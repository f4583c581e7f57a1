"""``GateAction``: the base class of the action plugins that ask gates (docs/adr/0001, docs/adr/0055).

Probes run on the controller, with the site's variables and secrets resolved by Ansible; a claim that
needs the task's host uses the task's own connection.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from importlib import import_module

from holdfast.action_plugin import HOST_DONE, HoldfastAction, OneAtATime, ReadingShells, open_state
from holdfast.claims import all_claims
from holdfast.claims.base import BoundClaim
from holdfast.evidence import INVOCATION_ID
from holdfast.gate_loop import REFUSAL, GateResult, GateTiming, Reading, Timer, describe, run_gate
from holdfast.journal.events import GateJudged, HostDone, journaled
from holdfast.model import GATE_DEADLINE_SECONDS, Json, Outcome, Phase, Settle
from holdfast.play_context import LeaseRenewal, PlayContext, Variables
from holdfast.probes.base import ProbeContext
from holdfast.text import count_of, join_names
from holdfast.word import known

# Ansible loads a plugin once, in the process that forks a worker for each task. What is imported here, with the
# clients of all systems, is imported by no task again.
all_claims()
import_module("multiprocessing.dummy")  # of the threads that take a reading

# By default Python buffers output to a pipe (tee, a CI log), so readings would appear only at the end of the play.
# The same process prints them.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)

POLL_SECONDS = 2
PROVES_START = "systemd.stays_up"
"""The claim whose evidence has the InvocationID that a host is done with."""

QUIET_SECONDS = 10  # a reading that has not changed is shown again after this time


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as its task asks for it: the task's name, its phase, its claims and how long it is asked.

    ``done`` is the unit of a host that is done when the gate has passed, the last proof of its turn; else "".
    """

    name: str
    phase: str
    claims: Sequence[BoundClaim]
    timing: GateTiming
    otherwise: str = ""
    done: str = ""


class GateAction(HoldfastAction):
    """Asks one gate or several in the same readings, and journals each."""

    _requires_connection = True
    _renewal: LeaseRenewal | None = None

    def failed(self) -> str:
        """Return the gate's host and name."""
        return f"gate {self.host}, {self._task.name}"

    def context(self, claims: Sequence[BoundClaim], variables: Variables) -> ProbeContext:
        """Return what the claims' probes are given."""
        run = OneAtATime()
        self._shells = ReadingShells(self, variables, run)
        context = ProbeContext(
            host=self.host,
            groups=variables["groups"],
            variables=_site_variables(claims, self.host, variables, self.variables_of, run),
            shell=self._shells(self.host),
            reach=self._shells,
            look_from=self._shells.look_from,
        )
        return beside(context, variables)

    def renewal(self, variables: Variables) -> LeaseRenewal | None:
        """Return the play's run and its journal, opened once; None in check mode, and for a play of no run."""
        if self._renewal is None and not self.check_mode and (run := PlayContext.of(variables)):
            self._renewal = LeaseRenewal(open_state(run.run), run, datetime.now(UTC))
        return self._renewal

    def read(
        self,
        claims: Sequence[BoundClaim],
        context: ProbeContext,
        timing: GateTiming,
        on_reading: Callable[[Reading], None] = lambda _: None,
    ) -> GateResult:
        """Take readings in real time, as ``run_gate`` says; ``context`` is the newest that was made."""

        def ended(reading: Reading) -> None:
            self._shells.next_reading()
            on_reading(reading)

        timer = Timer(time.monotonic, threading.Event().wait)
        return run_gate(claims, context, timing, timer, ended)

    def ask(
        self,
        gates: Sequence[Gate],
        context: ProbeContext,
        variables: Variables,
        check: Callable[[int, GateResult], GateResult] = lambda _, result: result,
    ) -> list[GateResult]:
        """Ask the gates in the same readings until all have settled; journal and return each result.

        ``check`` is given each result before that. What is journaled is one transaction.
        """
        renewal = self.renewal(variables)
        timing = _together([gate.timing for gate in gates])
        reporter = _ReadingReporter(self, timing, renewal)
        claims = [bound for gate in gates for bound in gate.claims]
        context = beside(context, variables)  # the word says who is in hand now
        whole = self.read(claims, context, timing, reporter)
        results = [check(number, share) for number, share in enumerate(shares(gates, whole))]
        self.journal(gates, results, variables)
        return results

    def journal(
        self, gates: Sequence[Gate], results: Sequence[GateResult], variables: Variables
    ) -> None:
        """Journal how the gates were judged, in one transaction; nothing in check mode, and in a play of no run."""
        if renewal := self.renewal(variables):
            pairs = zip(gates, results, strict=True)
            events = [event for pair in pairs for event in _to_journal(self.host, *pair)]
            renewal.store.append_guarded(renewal.run.grant, *events)

    def result(self, gate: Gate, result: GateResult, variables: Variables) -> dict[str, Json]:
        """Return the task's result: ``failed``, ``msg`` and ``holdfast``, and whether the host is done."""
        passed = result.outcome is Outcome.PASS
        done = {HOST_DONE: True} if passed and gate.done else {}
        return done | {
            "failed": not passed,
            "msg": self._message(gate, result) + _next_command(result, self.host, variables),
            "holdfast": result.as_json(),
        }

    def _message(self, gate: Gate, result: GateResult) -> str:
        host, phase = self.host, gate.phase
        took = f"{count_of(result.readings, 'reading')} in {result.seconds:.1f} s"
        if result.age:
            took += f", {result.age:.1f} s before the word; nothing was acted on since"
        bad = [verdict for verdict in result.verdicts if not verdict.passed]
        if not bad:
            return f"{host}, {phase}: {count_of(len(result.verdicts), 'claim')} passed ({took})"
        faults = "\n".join(f"  {v.claim} {v.outcome} ({v.reason}): {v.message}" for v in bad)
        deadline = f"{gate.timing.deadline.total_seconds():.0f} s"
        left = gate.otherwise or f"Nothing further is touched; {host} stays as it is."
        left = f" {left}" if phase in list(Phase) else ""
        why = _not_waited(result)
        return f"{host}, {phase}: the gate did not pass ({took}, deadline {deadline}).{why}{left}\n{faults}"


def _not_waited(result: GateResult) -> str:
    """Return why the gate ended before its deadline, where it was given up after some time."""
    if ill := join_names(result.relapsed):
        return f" {ill}: proved healthy by this run before and ill now, so not waited for."
    if result.login_refused:
        seconds = f"{REFUSAL.total_seconds():.0f} s"
        return f" A login was refused in every reading for {seconds}, so it is not waited for."
    return ""


def site_seconds(variables: Variables) -> tuple[float, float]:
    """Return the deadline and the pause between readings of a gate whose task names none."""
    deadline = variables.get("holdfast_gate_deadline_seconds", GATE_DEADLINE_SECONDS)
    return float(deadline), float(variables.get("holdfast_poll_seconds", POLL_SECONDS))


def beside(context: ProbeContext, variables: Mapping[str, Json]) -> ProbeContext:
    """Return what probes are given, with the hosts of this run's other batches that are under way (docs/adr/0043)."""
    in_hand = frozenset(known(variables, "holdfast_in_hand", ()))
    rolled = str(variables["holdfast_policy"]["group"]) if in_hand else ""
    return replace(context, in_hand=in_hand, rolled=rolled)


def one_reading(timing: GateTiming) -> GateTiming:
    """Return the timing of a gate that takes a single reading."""
    return GateTiming(Settle(), timedelta(0), timing.poll, timing.grace)


def _together(timings: Sequence[GateTiming]) -> GateTiming:
    """Return the timing of gates that share their readings: all settle, by the longest deadline."""
    readings = max(timing.settle.readings for timing in timings)
    span = max(timing.settle.span for timing in timings)
    vouched = frozenset[str]().union(*(timing.vouched for timing in timings))
    longest = max(timings, key=lambda timing: timing.deadline)
    return replace(longest, settle=Settle(readings, span), vouched=vouched)


def shares(gates: Sequence[Gate], whole: GateResult) -> list[GateResult]:
    """Return the part of a result that belongs to each gate; the last has the verdict about the gate itself."""
    results, begin = [], 0
    for gate in gates:
        end = None if gate is gates[-1] else begin + len(gate.claims)
        relapsed = whole.relapsed if gate is gates[0] else ()
        results.append(replace(whole, verdicts=whole.verdicts[begin:end], relapsed=relapsed))
        begin += len(gate.claims)
    return results


class _ReadingReporter:
    """Called with each reading: shows it if it has changed, and renews the lease."""

    def __init__(
        self, action: HoldfastAction, timing: GateTiming, renewal: LeaseRenewal | None
    ) -> None:
        self._action, self._timing, self._renewal = action, timing, renewal
        self._shown: tuple[str, float] = ("", 0.0)

    def __call__(self, reading: Reading) -> None:
        if self._renewal:
            self._renewal.at(datetime.now(UTC))
        line = describe(self._action.host, reading, self._timing)
        without_time, elapsed = line.rpartition(" (")[0], reading.elapsed.total_seconds()
        if without_time != self._shown[0] or elapsed - self._shown[1] >= QUIET_SECONDS:
            self._action.show(line)
            self._shown = (without_time, elapsed)


def _to_journal(host: str, gate: Gate, result: GateResult) -> Iterator[GateJudged | HostDone]:
    """Yield the gate's event, with the time of its last reading, and, where the host is done with it, that."""
    at = datetime.now(UTC) - timedelta(seconds=result.age)
    yield GateJudged(
        at=at,
        host=host,
        gate=gate.name,
        phase=gate.phase,
        outcome=result.outcome,
        verdicts=[journaled(verdict) for verdict in result.verdicts],
        readings=result.readings,
        seconds=round(result.seconds, 3),
    )
    if gate.done and result.outcome is Outcome.PASS:
        start = next(v for v in result.verdicts if v.claim == PROVES_START).evidence[INVOCATION_ID]
        yield HostDone(at=at, host=host, unit=gate.done, invocation_id=start)


class SiteValues(Mapping[str, Json]):
    """One host's variables that the claims need and the inventory defines, each resolved when it is first read.

    Of hundreds of hosts most are asked nothing in a reading, and a template such as that of a transport URL takes
    10 ms and more.
    """

    def __init__(
        self, names: Collection[str], variables: Callable[[], Variables], run: OneAtATime
    ) -> None:
        """``variables`` returns the host's; it is called where one is read."""
        self._needed, self._variables, self._run = names, variables, run
        self._values: dict[str, Json] = {}

    @cached_property
    def _known(self) -> Variables:
        return self._run(self._variables)

    @cached_property
    def _names(self) -> list[str]:
        return [name for name in self._needed if name in self._known.raw]

    def __getitem__(self, name: str) -> Json:
        """Return the value; KeyError where it is not needed or not defined."""
        if name not in self._values:
            if name not in self._names:
                raise KeyError(name)
            self._values[name] = self._run(lambda: self._known[name])
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names)


def _site_variables(
    claims: Sequence[BoundClaim],
    host: str,
    variables: Variables,
    variables_of: Callable[[str, Variables], Variables],
    run: OneAtATime,
) -> Mapping[str, Mapping[str, Json]]:
    """Return, per host, the variables that the claims need there and that the inventory defines."""
    needed: dict[str, dict[str, None]] = {host: {}}
    for claim in dict.fromkeys(bound.claim for bound in claims):
        groups = (claim.group, *claim.also)
        hosts = {each for group in groups for each in variables["groups"].get(group, ())}
        for each in hosts if claim.group else {host, *hosts}:
            needed.setdefault(each, {}).update(dict.fromkeys(claim.needs))
    return {
        each: SiteValues(names, partial(variables_of, each, variables), run)
        for each, names in needed.items()
    }


def _next_command(result: GateResult, host: str, variables: Variables) -> str:
    """Return how to continue a play by hand after a failure; under the engine the hold message says it."""
    run = PlayContext.of(variables)
    if result.outcome is Outcome.PASS or run is None or not run.by_hand:
        return ""
    hosts = list(variables["ansible_play_hosts_all"])
    rest = ",".join(hosts[hosts.index(host) :])
    return f"\n  next: repair it, then run the same command with --limit {rest}"
