"""The gate loop: take a reading, judge, settle, or stop at the deadline. Clock and wait are arguments.

Owns when to read again and when to stop; what is probed and how it is judged belongs to the claims.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import TimeoutError as PoolTimeout
from multiprocessing.pool import AsyncResult, ThreadPool

from holdfast.claims.base import BoundClaim, Question
from holdfast.errors import CannotTell, InvalidInput
from holdfast.evidence import HEALTHY
from holdfast.model import Json, Observation, Outcome, Settle, Unanswered, Verdict, overall
from holdfast.probes.base import ProbeContext

SETTLED = "gate.settled"
"""The claim of the gate itself, for the verdict on a gate that passes but did not settle in time."""

RELAPSE = timedelta(seconds=5)
"""How long a host that this run proved healthy must be found ill before it is not waited for any longer."""

REFUSAL = timedelta(seconds=20)
"""How long a login must be refused until it is not waited for; a service that starts may refuse a good one."""


Refusal = tuple[Question, Json]
"""A question whose answer was that the login is refused, and who gave it."""


@dataclass(frozen=True, slots=True)
class GateTiming:
    """How long a gate must hold, its deadline, and the pause between its readings.

    A reading that begins by the deadline counts; with a deadline of 0 it is the only one. Its probes have ``grace``
    from the deadline on, and count as unanswered after it. No reading begins after the deadline, and one that ends
    after its grace, because this process was stopped meanwhile, never counts as a pass.

    ``vouched`` are hosts that this run has proved healthy: one that is ill in every reading for ``RELAPSE``
    ends the gate. So does a service that refuses the site's login in every reading for ``REFUSAL``.
    """

    settle: Settle
    deadline: timedelta
    poll: timedelta
    grace: timedelta = timedelta(seconds=30)
    vouched: frozenset[str] = frozenset()

    @property
    def last_begin(self) -> timedelta:
        """Until when a reading may begin: the deadline, and a wait that ends a little late."""
        return self.deadline + self.poll

    @property
    def last_end(self) -> timedelta:
        """Until when a reading may end."""
        return self.deadline + self.grace


@dataclass(frozen=True, slots=True)
class Timer:
    """The loop's time: ``clock`` returns steady seconds, ``wait`` lets that many pass."""

    clock: Callable[[], float]
    wait: Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive readings in which the whole gate passed: how many, since when, and over what span.

    In the incident of 2015-08-12 services came up and failed again minutes later, so a single reading
    in which any claim does not pass starts the count again.
    """

    readings: int = 0
    since: timedelta = timedelta(0)
    span: timedelta = timedelta(0)

    def after(self, passed: bool, begun: timedelta, ended: timedelta) -> Streak:
        """Return the streak after one more reading; all times are since the gate began.

        The span is from the end of the first reading to the beginning of the last: within a reading, what was asked
        first is older than its end.
        """
        if not passed:
            return Streak()
        since = self.since if self.readings else ended
        return Streak(self.readings + 1, since, max(begun - since, timedelta(0)))

    def settles(self, settle: Settle) -> bool:
        """Return whether both the number of readings and the span are reached; never without a reading."""
        return self.readings >= max(settle.readings, 1) and self.span >= settle.span


@dataclass(frozen=True, slots=True)
class Reading:
    """All claims of a gate judged once; ``number`` counts from 1, ``elapsed`` since the gate began."""

    number: int
    verdicts: Sequence[Verdict]
    streak: Streak
    elapsed: timedelta

    @property
    def outcome(self) -> Outcome:
        """One outcome for all verdicts."""
        return overall(self.verdicts)


@dataclass(frozen=True, slots=True)
class GateResult:
    """How a gate ended: PASS if it settled before its deadline, else the last reading's verdicts.

    ``relapsed`` are hosts proved healthy before that were found ill, where that ended the gate; ``login_refused`` where
    a login that was refused again and again ended it. ``age``: how many seconds ago the last reading ended, where it
    was taken ahead (docs/adr/0077).
    """

    verdicts: Sequence[Verdict]
    readings: int
    seconds: float
    relapsed: tuple[str, ...] = ()
    login_refused: bool = False
    age: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """One outcome for all verdicts."""
        return overall(self.verdicts)

    def as_json(self) -> dict[str, Json]:
        """Return the result as a task's result has it."""
        return {
            "outcome": self.outcome.value,
            "verdicts": [verdict.as_json() for verdict in self.verdicts],
            "readings": self.readings,
            "seconds": round(self.seconds, 3),
        }


def claims_of_host(
    host: str,
    claims: Sequence[BoundClaim],
    groups: Mapping[str, Sequence[str]],
    play_hosts: Sequence[str],
) -> list[BoundClaim]:
    """Return the claims that ``host`` asks where a play's hosts share a list, so that each is asked once.

    A claim about a group is asked at the group's first host in the play, any other at every host.

    Raises:
        InvalidInput: no host of the play would ask one of the claims.
    """
    share = []
    for bound in claims:
        group = bound.claim.group
        askers = [each for each in groups.get(group, ()) if each in play_hosts]
        if group and not askers:
            raise InvalidInput(
                f"{bound.claim.name} is about the group {group}, which has no host in this play",
                remedy="widen --limit, or leave the claim out",
            )
        if host in askers[:1] or not group:
            share.append(bound)
    return share


def run_gate(
    claims: Sequence[BoundClaim],
    context: ProbeContext,
    timing: GateTiming,
    timer: Timer,
    on_reading: Callable[[Reading], None],
) -> GateResult:
    """Take readings until the gate settles, its deadline passes or waiting is of no use; at least one.

    The last reading may begin at the deadline; ``GateTiming`` says which readings count.

    Raises:
        InvalidInput: no claims, a claim about a group without hosts, or invalid site variables.
    """
    _require_claims(claims, context)
    history: dict[Question, list[Observation]] = {bound.question: [] for bound in claims}
    streak, last_bad, number, start = Streak(), None, 0, timer.clock()
    ill: dict[str, timedelta] = {}
    refused: dict[Refusal, timedelta] = {}

    def now() -> timedelta:
        return timedelta(seconds=timer.clock() - start)

    with ThreadPool(len(history)) as pool:
        begun = timedelta(0)
        while True:
            observe(pool, claims, context, lambda: timing.last_end - now(), history)
            verdicts = [bound.judge(history[bound.question]) for bound in claims]
            elapsed, number = now(), number + 1
            passed = overall(verdicts) is Outcome.PASS
            streak = streak.after(passed and elapsed <= timing.last_end, begun, elapsed)
            reading = Reading(number, verdicts, streak, elapsed)
            on_reading(reading)
            if streak.settles(timing.settle):
                return GateResult(verdicts, number, elapsed.total_seconds())
            last_bad = last_bad if passed else reading
            ill = _ill_since(verdicts, timing.vouched, ill, elapsed)
            if relapsed := tuple(host for host in ill if elapsed - ill[host] >= RELAPSE):
                return GateResult(verdicts, number, elapsed.total_seconds(), relapsed)
            refused = _refused_since(claims, verdicts, history, refused, elapsed)
            if any(elapsed - since >= REFUSAL for since in refused.values()):
                return GateResult(verdicts, number, elapsed.total_seconds(), login_refused=True)
            if elapsed >= timing.deadline or _is_final(claims, verdicts, history):
                return _result_at_deadline(reading, last_bad, timing)
            timer.wait(min(timing.poll, timing.deadline - elapsed).total_seconds())
            begun = now()
            if begun > timing.last_begin:
                return _result_at_deadline(reading, last_bad, timing)


def _require_claims(claims: Sequence[BoundClaim], context: ProbeContext) -> None:
    if not claims:
        raise InvalidInput(f"{context.host}: this gate names no claim, so it would prove nothing")
    for bound in claims:
        group = bound.claim.group
        if group and not context.groups.get(group):
            raise InvalidInput(
                f"{context.host}: {bound.claim.name} is about the group {group}, which has no hosts"
                " in this inventory, so it would prove nothing",
                remedy=f"put the hosts into the group {group}, or leave the claim out",
            )


def observe(
    pool: ThreadPool,
    claims: Sequence[BoundClaim],
    context: ProbeContext,
    left: Callable[[], timedelta],
    history: Mapping[Question, list[Observation]],
) -> None:
    """Ask every distinct question at the same time, and append what was observed to its history.

    ``left``: how long all of them together may still take.

    Raises:
        InvalidInput: site variables or parameters do not fit the inventory.
    """
    probes = {bound.question: bound.probe for bound in claims}
    for question in set(history) - {each.question for each in claims if each.claim.judges_history}:
        history[question].clear()  # a soak takes hundreds of readings
    results = {question: pool.apply_async(probe, (context,)) for question, probe in probes.items()}
    timeout = left()
    for question, result in results.items():
        history[question].append(_observation(result, max(left(), timedelta(0)), timeout))


def _observation(result: AsyncResult[Json], left: timedelta, timeout: timedelta) -> Observation:
    try:
        return result.get(left.total_seconds())
    except CannotTell as cause:
        return Unanswered(str(cause), cause.final, cause.login_refused)
    except PoolTimeout:
        return Unanswered(f"the probe did not end within {timeout.total_seconds():.0f} s")


def _is_final(
    claims: Sequence[BoundClaim],
    verdicts: Sequence[Verdict],
    history: Mapping[Question, Sequence[Observation]],
) -> bool:
    """Return whether waiting cannot change one of the verdicts; one that says what can be told is never FAIL."""
    newest = (answer for each in history.values() for answer in _answers(each[-1]).values())
    return any(isinstance(each, Unanswered) and each.final for each in newest) or any(
        verdict.outcome is Outcome.FAIL and verdict.reason in bound.claim.final
        for bound, verdict in zip(claims, verdicts, strict=True)
    )


def _answers(observation: Observation) -> Mapping[Json, Observation]:
    """Return what each that was asked has answered, by its name; "" where the question was to one."""
    return observation if isinstance(observation, Mapping) else {"": observation}


def _refused_since(
    claims: Sequence[BoundClaim],
    verdicts: Sequence[Verdict],
    history: Mapping[Question, Sequence[Observation]],
    before: Mapping[Refusal, timedelta],
    elapsed: timedelta,
) -> dict[Refusal, timedelta]:
    """Return who refuses the site's login in this reading, where a claim does not pass, and since when each has."""
    asking = {
        bound.question for bound, each in zip(claims, verdicts, strict=True) if not each.passed
    }
    refusing = (
        (question, name)
        for question in asking
        for name, answer in _answers(history[question][-1]).items()
        if getattr(answer, "login_refused", False) is True
    )
    return {each: before.get(each, elapsed) for each in refusing}


def _ill_since(
    verdicts: Sequence[Verdict],
    vouched: Collection[str],
    before: Mapping[str, timedelta],
    elapsed: timedelta,
) -> dict[str, timedelta]:
    """Return the vouched hosts that this reading's failed verdicts find ill, and since when each is.

    What is UNKNOWN is waited for: a host that gives no answer may give one in the next reading.
    """
    facts = (each for v in verdicts if v.outcome is Outcome.FAIL for each in v.hosts.items())
    ill = (host for host, known in facts if host in vouched and known.get(HEALTHY) is False)
    return {host: before.get(host, elapsed) for host in ill}


def _result_at_deadline(last: Reading, last_bad: Reading | None, timing: GateTiming) -> GateResult:
    """Return the last reading's verdicts, and one more where it passed too late to settle."""
    verdicts = list(last.verdicts)
    if last.outcome is Outcome.PASS:
        verdicts.append(_not_settled(last, last_bad, timing))
    return GateResult(verdicts, last.number, last.elapsed.total_seconds())


def _not_settled(last: Reading, last_bad: Reading | None, timing: GateTiming) -> Verdict:
    if last.elapsed > timing.last_end:
        late = (last.elapsed - timing.deadline).total_seconds()
        message = f"the last reading ended {late:.0f} s after the deadline, so what it saw is old"
        return Verdict(SETTLED, Outcome.UNKNOWN, "too_late", message)
    progress = settling(last, timing.settle)
    if last_bad is None:
        message = f"passed in every reading, but the deadline came before it settled ({progress})"
        return Verdict(SETTLED, Outcome.UNKNOWN, "deadline_too_short", message)
    bad = [verdict for verdict in last_bad.verdicts if not verdict.passed]
    faults = "; ".join(verdict.message for verdict in bad)
    return Verdict(
        SETTLED,
        last_bad.outcome,
        "not_settled",
        f"passes now, but has not settled ({progress}); at {last_bad.elapsed.total_seconds():.0f} s: {faults}",
        evidence={"last_bad": [verdict.as_json() for verdict in bad]},
    )


def settling(reading: Reading, settle: Settle) -> str:
    """Return how far a gate has settled: ``2/3 readings, 4 of 10 s``."""
    held = min(reading.streak.span, settle.span).total_seconds()
    text = f"{min(reading.streak.readings, settle.readings)}/{settle.readings} readings"
    return f"{text}, {held:.0f} of {settle.span.total_seconds():.0f} s" if settle.span else text


def describe(host: str, reading: Reading, timing: GateTiming) -> str:
    """Return one reading as a line for the screen; it begins with ``gate <host>``."""
    limit = f" of {timing.deadline.total_seconds():.0f} s" if timing.deadline else ""
    clock = f"({reading.elapsed.total_seconds():.0f} s{limit})"
    bad = [verdict for verdict in reading.verdicts if not verdict.passed]
    if not bad:
        names = ", ".join(verdict.claim for verdict in reading.verdicts)
        return f"gate {host} {names} PASS {settling(reading, timing.settle)} {clock}"
    worst = next((v for v in bad if v.outcome is Outcome.FAIL), bad[0])
    count = f"{len(bad)}/{len(reading.verdicts)}"
    return f"gate {host} {worst.claim} {worst.outcome} {count}: {worst.message} {clock}"
