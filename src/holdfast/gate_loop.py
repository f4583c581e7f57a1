"""The gate loop: look, judge, settle, give up at the deadline. Clock and wait are arguments.

Owns when to look again and when to stop; what is looked at and judged belongs to the claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import TimeoutError as NoAnswerInTime
from multiprocessing.pool import AsyncResult, ThreadPool

from holdfast.claims.base import BoundClaim
from holdfast.errors import CannotTell, InvalidInput
from holdfast.judges.base import Observation, Unanswered
from holdfast.judges.settle import Streak
from holdfast.model import Json, Outcome, Settle, Verdict, overall
from holdfast.probes.base import ProbeContext

NOT_SETTLED = "gate.settled"


@dataclass(frozen=True, slots=True)
class GateTiming:
    """How long a gate must hold, when it gives up, and the pause between its readings.

    ``grace`` is for looks under way at the deadline; after it they count as unanswered. Every probe
    has a timeout of its own, so this is the last resort.
    """

    settle: Settle
    deadline: timedelta
    poll: timedelta
    grace: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Timer:
    """Time as the loop sees it: ``clock`` gives steady seconds, ``wait`` lets that many pass."""

    clock: Callable[[], float]
    wait: Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Reading:
    """All claims of a gate judged once; ``number`` counts from 1, ``elapsed`` since the gate began."""

    number: int
    verdicts: Sequence[Verdict]
    streak: Streak
    at: float
    elapsed: timedelta

    @property
    def outcome(self) -> Outcome:
        """The reading's verdicts folded into one."""
        return overall(self.verdicts)


@dataclass(frozen=True, slots=True)
class GateResult:
    """How a gate ended: PASS if it settled before its deadline, else the last reading's evidence."""

    verdicts: Sequence[Verdict]
    readings: int
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """The final verdicts folded into one."""
        return overall(self.verdicts)

    def as_json(self) -> dict[str, Json]:
        """Flatten for a task's result."""
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
    """The claims that ``host`` asks when a play's hosts share a list, each claim asked once.

    A claim about a group is asked at the group's first host in the play, any other at every host.

    Raises:
        InvalidInput: no host of the play would ask one of the claims.
    """
    share = []
    for asked in claims:
        askers = [each for each in groups.get(asked.claim.group, ()) if each in play_hosts]
        if asked.claim.group and not askers:
            raise InvalidInput(
                f"no host of this play can ask {asked.claim.name}: it speaks about the group"
                f" {asked.claim.group}, which has none here",
                remedy="widen --limit, or leave the claim out",
            )
        if host in askers[:1] or not asked.claim.group:
            share.append(asked)
    return share


def run_gate(
    claims: Sequence[BoundClaim],
    look: ProbeContext,
    pace: GateTiming,
    timer: Timer,
    on_reading: Callable[[Reading], None],
) -> GateResult:
    """Take readings until the gate settles, its deadline passes or a FAIL is final; at least one.

    Raises:
        InvalidInput: no claims, a claim about a group without hosts, or unfit site variables.
    """
    _refuse_nothing(claims, look)
    gate, streak, last_bad = _Gate(claims, look), Streak(), None
    began = timer.clock()
    with ThreadPool(len(gate.questions)) as pool:
        while True:
            left = pace.deadline - timedelta(seconds=timer.clock() - began)
            verdicts = gate.read(pool, patience=max(left, timedelta(0)) + pace.grace)
            now = timer.clock()
            elapsed = timedelta(seconds=now - began)
            streak = streak.after(overall(verdicts) is Outcome.PASS, now)
            reading = Reading(gate.readings, verdicts, streak, now, elapsed)
            on_reading(reading)
            if streak.settles(pace.settle, now):
                return GateResult(verdicts, reading.number, elapsed.total_seconds())
            last_bad = last_bad if streak.readings else reading
            if elapsed >= pace.deadline or _is_final(claims, verdicts):
                return _expired(reading, last_bad, pace.settle)
            timer.wait(min(pace.poll, pace.deadline - elapsed).total_seconds())


def _refuse_nothing(claims: Sequence[BoundClaim], look: ProbeContext) -> None:
    if not claims:
        raise InvalidInput(
            f"{look.host}: a gate that names nothing proves nothing: name its claims"
        )
    for asked in claims:
        group = asked.claim.group
        if group and not look.groups.get(group):
            raise InvalidInput(
                f"{look.host}: {asked.claim.name} speaks about the group {group}, which has no hosts"
                " in this inventory: a gate that names nothing proves nothing",
                remedy=f"put the hosts into the group {group}, or leave the claim out",
            )


@dataclass(slots=True)
class _Gate:
    """The claims of one gate and what was seen for each distinct question so far."""

    claims: Sequence[BoundClaim]
    look: ProbeContext
    questions: list[_Question] = field(default_factory=list)
    readings: int = 0

    def __post_init__(self) -> None:
        self.questions = _distinct(self.claims)

    def read(self, pool: ThreadPool, patience: timedelta) -> list[Verdict]:
        """Ask every distinct question in parallel, then judge each claim on its whole history."""
        asked = [pool.apply_async(q.probe, (self.look, q.parameters)) for q in self.questions]
        for question, answer in zip(self.questions, asked, strict=True):
            question.history.append(_answer(answer, patience))
        self.readings += 1
        return [_judge(asked, self._history(asked)) for asked in self.claims]

    def _history(self, asked: BoundClaim) -> Sequence[Observation]:
        return next(q.history for q in self.questions if q.answers(asked))


@dataclass(slots=True)
class _Question:
    probe: Callable[..., Json]
    parameters: object
    history: list[Observation] = field(default_factory=list)

    def answers(self, asked: BoundClaim) -> bool:
        return self.probe is asked.claim.probe and self.parameters == asked.of_probe


def _distinct(claims: Sequence[BoundClaim]) -> list[_Question]:
    questions: list[_Question] = []
    for asked in claims:
        if not any(question.answers(asked) for question in questions):
            questions.append(_Question(asked.claim.probe, asked.of_probe))
    return questions


def _answer(answer: AsyncResult[Json], patience: timedelta) -> Observation:
    try:
        return answer.get(patience.total_seconds())
    except CannotTell as cause:
        return Unanswered(str(cause))
    except NoAnswerInTime:
        return Unanswered(f"the look did not end within {patience.total_seconds():.0f} s")


def _judge(asked: BoundClaim, history: Sequence[Observation]) -> Verdict:
    return asked.claim.judge(history, asked.parameters)


def _is_final(claims: Sequence[BoundClaim], verdicts: Sequence[Verdict]) -> bool:
    return any(
        verdict.outcome is Outcome.FAIL and verdict.reason in asked.claim.final
        for asked, verdict in zip(claims, verdicts, strict=True)
    )


def _expired(last: Reading, last_bad: Reading | None, settle: Settle) -> GateResult:
    """The deadline passed: what the last reading said, or that good readings came too late."""
    verdicts = list(last.verdicts)
    if last.outcome is Outcome.PASS:
        verdicts.append(_unsettled(last, last_bad, settle))
    return GateResult(verdicts, last.number, last.elapsed.total_seconds())


def _unsettled(last: Reading, last_bad: Reading | None, settle: Settle) -> Verdict:
    progress = settling(last, settle)
    if last_bad is None:
        message = f"passed throughout, but the deadline came before it settled ({progress})"
        return Verdict(NOT_SETTLED, Outcome.UNKNOWN, "deadline_too_short", message)
    faults = "; ".join(v.message for v in last_bad.verdicts if not v.passed)
    return Verdict(
        NOT_SETTLED,
        last_bad.outcome,
        "not_settled",
        f"passes now, but has not settled ({progress}); at {last_bad.elapsed.total_seconds():.0f} s: {faults}",
        evidence={"last_bad": [v.as_json() for v in last_bad.verdicts if not v.passed]},
    )


def settling(reading: Reading, settle: Settle) -> str:
    """Progress of settling for people: ``2/3 readings, 4 of 10 s``."""
    held = min(reading.streak.span(reading.at), settle.span).total_seconds()
    text = f"{min(reading.streak.readings, settle.readings)}/{settle.readings} readings"
    return f"{text}, {held:.0f} of {settle.span.total_seconds():.0f} s" if settle.span else text


def describe(host: str, reading: Reading, pace: GateTiming) -> str:
    """One reading in one line for the screen, beginning with ``gate <host>``."""
    limit = f" of {pace.deadline.total_seconds():.0f} s" if pace.deadline else ""
    clock = f"({reading.elapsed.total_seconds():.0f} s{limit})"
    bad = [verdict for verdict in reading.verdicts if not verdict.passed]
    if not bad:
        names = ", ".join(verdict.claim for verdict in reading.verdicts)
        return f"gate {host} {names} PASS {settling(reading, pace.settle)} {clock}"
    worst = next((v for v in bad if v.outcome is Outcome.FAIL), bad[0])
    count = f"{len(bad)}/{len(reading.verdicts)}"
    return f"gate {host} {worst.claim} {worst.outcome} {count}: {worst.message} {clock}"
