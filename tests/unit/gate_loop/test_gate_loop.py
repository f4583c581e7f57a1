"""The gate loop, with scripted probes and a clock that only waiting moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import gate_loop
from holdfast.claims.base import BoundClaim, Claim, Parameters
from holdfast.errors import CannotTell, InvalidInput
from holdfast.evidence import HEALTHY
from holdfast.gate_loop import (
    GateResult,
    GateTiming,
    Reading,
    Streak,
    Timer,
    claims_of_host,
    describe,
    run_gate,
)
from holdfast.model import Json, Outcome, Settle, Unanswered, Verdict
from holdfast.probes.base import ProbeContext
from tests.unit.probes.shells import NoShell

GROUPS = {"rabbitmq": ["ctl1", "ctl2"], "empty": []}
GOOD, BAD, SILENT, FINAL = "good", "bad", "silent", "final"


CONTEXT = ProbeContext(host="ctl1", groups=GROUPS, variables={}, shell=NoShell())


@dataclass
class ScriptedProbe:
    """Returns one observation after another, the last one for ever; ``calls`` counts."""

    observations: Sequence[str]
    calls: int = 0

    def probe(self, _: ProbeContext) -> Json:
        observation = self.observations[min(self.calls, len(self.observations) - 1)]
        self.calls += 1
        if observation == SILENT:
            raise CannotTell("no route to ctl2")
        return observation


def judge(claim: str, latest: str) -> Verdict:
    return Verdict(
        claim, Outcome.PASS if latest == GOOD else Outcome.FAIL, latest, f"it is {latest}"
    )


def claim(probe: Callable[[ProbeContext], Json], **more: Json) -> BoundClaim:
    return BoundClaim(
        Claim(name="a.c", probe=probe, remedy="", **{"judge": judge, **more}), Parameters()
    )


@dataclass
class FakeTime:
    """A clock that only waiting moves."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def timer(self) -> Timer:
        return Timer(lambda: self.now, self.wait)


def timing(
    readings: int = 1, seconds: float = 0, deadline: float = 60, poll: float = 2
) -> GateTiming:
    settle = Settle(readings, timedelta(seconds=seconds))
    return GateTiming(settle, timedelta(seconds=deadline), timedelta(seconds=poll))


def gate_of(
    *claims: BoundClaim,
    at: GateTiming,
    time: FakeTime | None = None,
    read: list[Reading] | None = None,
) -> GateResult:
    shown = read if read is not None else []
    return run_gate(claims, CONTEXT, at, (time or FakeTime()).timer, shown.append)


def gate(*observations: str, **more: Any) -> GateResult:
    return gate_of(claim(ScriptedProbe(observations).probe, final=(FINAL,)), **more)


def test_a_good_first_reading_needs_no_wait() -> None:
    time = FakeTime()
    result = gate(GOOD, at=timing(), time=time)
    assert (result.outcome, result.readings, result.seconds, time.waits) == (Outcome.PASS, 1, 0, [])


def test_it_waits_until_good_readings_settle() -> None:
    result = gate(BAD, GOOD, at=timing(readings=3, seconds=5))
    assert (result.outcome, result.readings, result.seconds) == (Outcome.PASS, 5, 8)


@pytest.mark.parametrize("observation", [BAD, SILENT])
def test_one_reading_that_does_not_pass_starts_the_count_again(observation: str) -> None:
    result = gate(GOOD, GOOD, observation, GOOD, at=timing(readings=3))
    assert (result.outcome, result.readings) == (Outcome.PASS, 6)


def test_at_the_deadline_it_fails_with_the_last_verdicts() -> None:
    result = gate(SILENT, BAD, at=timing(deadline=10))
    assert (result.outcome, result.readings, result.seconds) == (Outcome.FAIL, 6, 10)
    assert [verdict.message for verdict in result.verdicts] == ["it is bad"]


def test_without_an_answer_it_is_unknown_with_the_cause() -> None:
    result = gate(SILENT, at=timing(deadline=10))
    assert result.outcome is Outcome.UNKNOWN
    assert [verdict.message for verdict in result.verdicts] == ["no route to ctl2"]


def test_the_last_reading_is_at_the_deadline() -> None:
    time = FakeTime()
    assert gate(BAD, at=timing(deadline=5, poll=2), time=time).seconds == 5
    assert time.waits == [2, 2, 1]


def test_without_a_deadline_there_is_one_reading() -> None:
    assert gate(BAD, at=timing(deadline=0)).readings == 1
    assert gate(GOOD, at=timing(deadline=0)).outcome is Outcome.PASS


def slow(time: FakeTime, *seconds: float) -> Callable[[ProbeContext], Json]:
    """Return a probe whose readings are good and take so long, one after another."""
    left = list(seconds)

    def probe(_: ProbeContext) -> Json:
        time.now += left.pop(0)
        return GOOD

    return probe


def test_a_reading_that_begins_by_the_deadline_counts() -> None:
    """A slow answer is not a late one; with a deadline of 0 no other rule would let a check pass."""
    time = FakeTime()
    at = timing(readings=3, deadline=5)
    result = gate_of(claim(slow(time, 0, 0, 25)), at=at, time=time)
    assert (result.outcome, result.seconds) == (Outcome.PASS, 29)


def test_a_reading_that_ends_after_its_grace_never_passes() -> None:
    """As when the process was stopped meanwhile: what it saw is old."""
    time = FakeTime()
    result = gate_of(claim(slow(time, 600)), at=timing(deadline=0), time=time)
    assert result.outcome is Outcome.UNKNOWN
    assert [verdict.reason for verdict in result.verdicts] == [GOOD, "too_late"]


def test_no_reading_begins_after_the_deadline() -> None:
    time = FakeTime()
    wait = time.wait
    time.wait = lambda seconds: wait(seconds + 600)  # type: ignore[method-assign]  # the process was stopped
    probe = ScriptedProbe([BAD, GOOD])
    result = gate_of(claim(probe.probe), at=timing(deadline=5), time=time)
    assert (result.outcome, probe.calls) == (Outcome.FAIL, 1)


def test_the_span_ends_where_the_last_reading_begins() -> None:
    """Within a slow reading, what was asked first is older than its end."""
    time = FakeTime()
    at = timing(readings=2, seconds=10, deadline=60)
    result = gate_of(claim(slow(time, 0, 12, 0, 0, 0)), at=at, time=time)
    assert (result.outcome, result.readings, result.seconds) == (Outcome.PASS, 3, 16)


def test_probes_that_never_end_share_one_time_limit() -> None:
    release = threading.Event()

    def hanging(number: int) -> BoundClaim:
        def probe(_: ProbeContext) -> Json:
            release.wait(30)
            return number

        return claim(probe)

    short = replace(timing(deadline=0), grace=timedelta(seconds=0.1))
    try:
        claims = [hanging(number) for number in range(10)]
        result = run_gate(claims, CONTEXT, short, Timer(monotonic, time_passes), lambda _: None)
    finally:
        release.set()
    assert result.outcome is Outcome.UNKNOWN
    assert result.seconds < 0.8


def time_passes(_: float) -> None:
    """Wait for nothing."""


def test_good_readings_that_come_too_late_do_not_pass() -> None:
    result = gate(GOOD, GOOD, BAD, GOOD, at=timing(readings=9, deadline=10))
    assert result.outcome is Outcome.FAIL
    last = result.verdicts[-1]
    assert (last.claim, last.reason) == (gate_loop.SETTLED, "not_settled")
    assert "3/9 readings" in last.message
    assert "at 4 s: it is bad" in last.message


def test_a_deadline_shorter_than_the_settling_is_unknown() -> None:
    result = gate(GOOD, at=timing(seconds=30, deadline=10))
    assert result.outcome is Outcome.UNKNOWN
    assert result.verdicts[-1].reason == "deadline_too_short"


def test_a_final_reason_ends_the_gate_at_once() -> None:
    result = gate(GOOD, FINAL, at=timing(readings=9, deadline=300))
    assert (result.outcome, result.readings) == (Outcome.FAIL, 2)


def test_a_final_reason_does_not_end_a_gate_that_could_not_tell() -> None:
    def cannot_tell(claim: str, _: str) -> Verdict:
        return Verdict(claim, Outcome.UNKNOWN, FINAL, "")

    bound = claim(ScriptedProbe([GOOD]).probe, judge=cannot_tell, final=(FINAL,))
    assert gate_of(bound, at=timing(deadline=10)).readings == 6


def test_an_answer_that_waiting_cannot_bring_ends_the_gate_at_once() -> None:
    def refused(_: ProbeContext) -> Json:
        raise CannotTell("its SSH host key is not the one in known_hosts", final=True)

    def unknown(claim: str, observation: Json) -> Verdict:
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", observation.cause)

    result = gate_of(claim(refused, judge=unknown), at=timing(deadline=300))

    assert (result.outcome, result.readings, result.seconds) == (Outcome.UNKNOWN, 1, 0)


def test_a_host_of_many_that_will_not_answer_ends_the_gate_at_once() -> None:
    def ask(_: ProbeContext) -> Json:
        key = "its SSH host key is not the one in known_hosts"
        return {"ctl1": GOOD, "ctl2": Unanswered(key, final=True)}

    def unknown(claim: str, _: Json) -> Verdict:
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", "")

    result = gate_of(claim(ask, judge=unknown), at=timing(deadline=300))

    assert (result.outcome, result.readings) == (Outcome.UNKNOWN, 1)


def test_what_is_final_of_one_claim_ends_the_gate_of_all() -> None:
    def refused(_: ProbeContext) -> Json:
        raise CannotTell("its SSH host key is not the one in known_hosts", final=True)

    def passes(claim: str, _: Json) -> Verdict:
        return Verdict(claim, Outcome.FAIL, BAD, "")

    at, well = timing(readings=9, deadline=300), claim(ScriptedProbe([GOOD]).probe)
    bad = claim(ScriptedProbe([FINAL]).probe, final=(FINAL,))
    assert gate_of(well, bad, at=at).readings == 1
    assert (
        gate_of(claim(ScriptedProbe([BAD]).probe), claim(refused, judge=passes), at=at).readings
        == 1
    )


@dataclass(frozen=True)
class Denied:
    """An answer that says itself that the login was refused, as a round trip does."""

    login_refused: bool = True


REFUSED = CannotTell("401 from ctl1's management API", login_refused=True)
STARTING = CannotTell("connection refused")


def gate_of_logins(*answers: Json, **more: Any) -> GateResult:
    """Ask a service that gives these answers in turn, the last one for ever; PASS where it is GOOD."""
    left = list(answers)

    def probe(_: ProbeContext) -> Json:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, CannotTell):
            raise answer
        return answer

    def ask(claim: str, answer: Json) -> Verdict:
        well = answer == GOOD or (isinstance(answer, dict) and GOOD in answer.values())
        return Verdict(claim, Outcome.PASS if well else Outcome.UNKNOWN, "", str(answer))

    return gate_of(claim(probe, judge=ask), **more)


@pytest.mark.parametrize("answer", [REFUSED, {"ctl1": BAD, "ctl2": Denied()}])
def test_a_login_that_stays_refused_ends_the_gate_after_a_while(answer: Json) -> None:
    result = gate_of_logins(answer, at=timing(deadline=300, poll=2))
    assert (result.outcome, result.seconds) == (Outcome.UNKNOWN, 20)
    assert result.login_refused


def test_a_login_that_a_service_refuses_while_it_starts_is_waited_for() -> None:
    starts = [STARTING, *[REFUSED] * 10, STARTING, *[REFUSED] * 10, GOOD]
    result = gate_of_logins(*starts, at=timing(deadline=300, poll=2))
    assert (result.outcome, result.seconds) == (Outcome.PASS, 44)
    assert not result.login_refused


def test_services_that_refuse_a_login_one_after_the_other_are_waited_for() -> None:
    first, second = {"ctl1": Denied(), "ctl2": BAD}, {"ctl1": BAD, "ctl2": Denied()}
    result = gate_of_logins(*[first] * 9, *[second] * 9, {"ctl1": GOOD}, at=timing(poll=2))
    assert (result.outcome, result.seconds) == (Outcome.PASS, 36)


def test_a_refusal_that_a_claim_passes_in_spite_of_does_not_end_the_gate() -> None:
    answer = {"ctl1": GOOD, "ctl2": Denied()}
    result = gate_of_logins(answer, at=timing(seconds=60, deadline=300, poll=2))
    assert (result.outcome, result.seconds) == (Outcome.PASS, 60)


def test_a_judge_of_a_history_is_given_every_observation_oldest_first() -> None:
    given: list[Json] = []

    def keep(claim: str, history: Sequence[str]) -> Verdict:
        given.append(tuple(history))
        return judge(claim, history[-1])

    gate_of(
        claim(ScriptedProbe([BAD, GOOD, GOOD]).probe, judge=keep, judges_history=True),
        claim(ScriptedProbe([GOOD]).probe),
        at=timing(readings=2),
    )
    assert given == [(BAD,), (BAD, GOOD), (BAD, GOOD, GOOD)]


def test_what_a_gate_that_did_not_settle_has_seen_is_named_without_what_passed() -> None:
    bad, well = claim(ScriptedProbe([BAD, GOOD]).probe), claim(ScriptedProbe([GOOD]).probe)
    result = gate_of(well, bad, at=timing(readings=9, deadline=4))
    verdict = result.verdicts[-1]
    assert verdict.message == "passes now, but has not settled (2/9 readings); at 0 s: it is bad"
    assert [each["reason"] for each in verdict.evidence["last_bad"]] == [BAD]


def test_a_reading_may_begin_and_end_at_the_last_moment() -> None:
    time = FakeTime()
    at = replace(timing(deadline=0), grace=timedelta(seconds=30))
    assert gate_of(claim(slow(time, 30)), at=at, time=time).outcome is Outcome.PASS
    late = gate_of(claim(slow(time, 31)), at=timing(deadline=0), time=time).verdicts[-1]
    assert late.message == "the last reading ended 31 s after the deadline, so what it saw is old"
    time = FakeTime()
    wait = time.wait
    # The wait ends as late as it may: 2 s after the deadline of 5 s.
    time.wait = lambda seconds: wait(seconds + 5)  # type: ignore[method-assign]
    assert (
        gate_of(claim(ScriptedProbe([BAD, GOOD]).probe), at=timing(deadline=5), time=time).readings
        == 2
    )


ILL, UNSURE = "ill", "unsure"


def judge_ctl1(claim: str, latest: str) -> Verdict:
    """Judge ctl1, which is ill, or of which that is only suspected."""
    outcomes = {GOOD: Outcome.PASS, ILL: Outcome.FAIL, UNSURE: Outcome.UNKNOWN}
    facts = {"ctl1": {HEALTHY: latest == GOOD}, "ctl2": {HEALTHY: True}}
    return Verdict(claim, outcomes[latest], latest, f"ctl1 is {latest}", hosts=facts)


def vouching_gate(*observations: str, vouched: Sequence[str]) -> GateResult:
    claims = [claim(ScriptedProbe(observations).probe, judge=judge_ctl1)]
    return gate_of(*claims, at=replace(timing(), vouched=frozenset(vouched)))


def test_a_host_proved_before_that_is_ill_is_not_waited_for() -> None:
    result = vouching_gate(ILL, vouched=["ctl1"])
    assert (result.outcome, result.readings, result.seconds) == (Outcome.FAIL, 4, 6)
    assert result.relapsed == ("ctl1",)


def test_a_host_proved_before_is_ill_after_five_seconds() -> None:
    at = replace(timing(poll=5), vouched=frozenset(["ctl1"]))
    assert gate_of(claim(ScriptedProbe([ILL]).probe, judge=judge_ctl1), at=at).seconds == 5


@pytest.mark.parametrize("between", [GOOD, UNSURE, SILENT])
def test_a_host_proved_before_is_ill_only_in_every_reading(between: str) -> None:
    """One bad reading, or one after another, holds no roll that is well."""
    result = vouching_gate(ILL, ILL, between, ILL, ILL, GOOD, vouched=["ctl1"])
    assert (result.outcome, result.relapsed) == (Outcome.PASS, ())


@pytest.mark.parametrize(("observation", "vouched"), [(ILL, ["ctl2"]), (UNSURE, ["ctl1"])])
def test_another_host_and_a_doubt_are_waited_for(observation: str, vouched: list[str]) -> None:
    result = vouching_gate(observation, vouched=vouched)
    assert (result.seconds, result.relapsed) == (60, ())


def test_every_reading_is_reported_when_it_is_taken() -> None:
    read: list[Reading] = []
    gate(BAD, GOOD, at=timing(readings=2), read=read)
    assert [(r.number, r.outcome, r.elapsed.total_seconds()) for r in read] == [
        (1, Outcome.FAIL, 0),
        (2, Outcome.PASS, 2),
        (3, Outcome.PASS, 4),
    ]


# --- several claims


class NodeParameters(Parameters):
    node: str


class ToleranceParameters(NodeParameters):
    tolerance: int = 1


def test_all_claims_must_hold_together() -> None:
    one, two = ScriptedProbe([GOOD, BAD]), ScriptedProbe([BAD, GOOD])
    result = gate_of(claim(one.probe), claim(two.probe), at=timing(deadline=4))
    assert result.outcome is Outcome.FAIL


def test_a_question_is_asked_once_a_reading_for_all_claims_that_share_it() -> None:
    asked: list[str] = []
    tolerances: list[int] = []

    def probe(_: ProbeContext, node: str) -> Json:
        asked.append(node)
        return GOOD

    def judge_with_tolerance(claim: str, latest: str, tolerance: int) -> Verdict:
        tolerances.append(tolerance)
        return judge(claim, latest)

    plain = Claim(name="a.c", probe=probe, judge=judge, remedy="", parameters=NodeParameters)
    tolerant = Claim(
        name="a.d",
        probe=probe,
        judge=judge_with_tolerance,
        remedy="",
        parameters=ToleranceParameters,
    )
    claims = [
        BoundClaim(plain, NodeParameters(node="ctl1")),
        BoundClaim(tolerant, ToleranceParameters(node="ctl1", tolerance=9)),
        BoundClaim(tolerant, ToleranceParameters(node="ctl2")),
    ]
    result = gate_of(*claims, at=timing())
    assert [verdict.claim for verdict in result.verdicts] == ["a.c", "a.d", "a.d"]
    assert sorted(asked) == ["ctl1", "ctl2"]
    assert tolerances == [9, 1]


def test_different_questions_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)

    def probe(_: ProbeContext) -> Json:
        together.wait()
        return GOOD

    claims = [claim(partial(probe)) for _ in range(3)]
    assert gate_of(*claims, at=timing()).outcome is Outcome.PASS


def test_a_probe_that_never_ends_does_not_hold_up_the_gate() -> None:
    release = threading.Event()

    def probe(_: ProbeContext) -> Json:
        release.wait(60)
        return GOOD

    short = replace(timing(deadline=0), grace=timedelta(seconds=0.1))
    result = gate_of(claim(probe), at=short)
    release.set()
    assert result.outcome is Outcome.UNKNOWN
    assert "did not end within" in result.verdicts[0].message


def test_an_unexpected_error_of_a_probe_is_raised() -> None:
    def broken(_: ProbeContext) -> Json:
        raise KeyError("nodes")

    with pytest.raises(KeyError):
        gate_of(claim(broken), at=timing())


# --- refusals


def test_a_gate_without_claims_is_refused() -> None:
    with pytest.raises(InvalidInput, match="this gate names no claim"):
        gate_of(at=timing())


@pytest.mark.parametrize("group", ["empty", "gone"])
def test_a_claim_about_a_group_without_hosts_is_refused_before_any_probe(group: str) -> None:
    script = ScriptedProbe([GOOD])
    with pytest.raises(InvalidInput, match=rf"a\.c is about the group {group}") as refused:
        gate_of(claim(script.probe, group=group), at=timing())
    assert refused.value.remedy == f"put the hosts into the group {group}, or leave the claim out"
    assert script.calls == 0
    assert gate_of(claim(script.probe, group="rabbitmq"), at=timing()).outcome is Outcome.PASS


# --- claims of one host


def test_a_claim_about_a_group_is_asked_at_its_first_host_of_the_play() -> None:
    about_group, about_host = (
        claim(ScriptedProbe([GOOD]).probe, group="rabbitmq"),
        claim(ScriptedProbe([GOOD]).probe),
    )
    claims = [about_group, about_host]
    assert claims_of_host("ctl1", claims, GROUPS, ["ctl1", "ctl2"]) == claims
    assert claims_of_host("ctl2", claims, GROUPS, ["ctl1", "ctl2"]) == [about_host]
    assert claims_of_host("ctl2", claims, GROUPS, ["ctl2"]) == claims


def test_a_claim_that_no_host_would_ask_is_refused() -> None:
    about_group = claim(ScriptedProbe([GOOD]).probe, group="rabbitmq")
    with pytest.raises(InvalidInput, match="which has no host in this play"):
        claims_of_host("cmp1", [about_group], GROUPS, ["cmp1"])


# --- text


@pytest.mark.parametrize(
    ("observations", "at", "line"),
    [
        ([BAD], timing(deadline=300), "gate ctl1 a.c FAIL 1/1: it is bad (0 s of 300 s)"),
        ([SILENT], timing(), "gate ctl1 a.c UNKNOWN 1/1: no route to ctl2 (0 s of 60 s)"),
        ([GOOD], timing(readings=3), "gate ctl1 a.c PASS 1/3 readings (0 s of 60 s)"),
        ([GOOD], timing(3, 10), "gate ctl1 a.c PASS 1/3 readings, 0 of 10 s (0 s of 60 s)"),
        ([BAD], timing(deadline=0), "gate ctl1 a.c FAIL 1/1: it is bad (0 s)"),
    ],
)
def test_a_reading_is_one_line(observations: list[str], at: GateTiming, line: str) -> None:
    read: list[Reading] = []
    gate(*observations, at=at, read=read)
    assert describe("ctl1", read[0], at) == line


def test_of_several_claims_a_line_names_one_that_failed() -> None:
    read: list[Reading] = []
    claims = [claim(ScriptedProbe([each]).probe) for each in (GOOD, SILENT, BAD)]
    gate_of(*claims, at=timing(deadline=0), read=read)
    assert (
        describe("ctl1", read[0], timing(deadline=0)) == "gate ctl1 a.c FAIL 2/3: it is bad (0 s)"
    )


# --- settling

SETTLE = Settle(readings=3, span=timedelta(seconds=10))


def streak_of(*readings: tuple[float, bool]) -> Streak:
    streak = Streak()
    for at, passed in readings:
        streak = streak.after(passed, timedelta(seconds=at), timedelta(seconds=at))
    return streak


@pytest.mark.parametrize(
    ("good_at", "settles"),
    [((0, 1, 2, 3), False), ((0, 60), False), ((0, 5, 10), True), ((7, 12, 17), True), ((), False)],
)
def test_both_enough_readings_and_enough_time_settle(
    good_at: Sequence[float], settles: bool
) -> None:
    assert streak_of(*((at, True) for at in good_at)).settles(SETTLE) is settles


def test_without_a_reading_nothing_settles() -> None:
    assert not Streak().settles(Settle(readings=0))


@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans()), max_size=30))
def test_a_gate_settles_only_by_its_last_readings(steps: list[tuple[float, bool]]) -> None:
    now, readings = 0.0, []
    for step, passed in steps:
        now += step
        readings.append((now, passed))
    good: list[timedelta] = []
    for at, passed in readings:
        good = [*good, timedelta(seconds=at)] if passed else []
    expected = len(good) >= 3 and good[-1] - good[0] >= SETTLE.span
    assert streak_of(*readings).settles(SETTLE) is expected


# --- never


@given(
    st.lists(st.sampled_from([GOOD, BAD, SILENT]), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(0, 8),
    st.integers(0, 30),
)
def test_it_passes_only_after_enough_good_readings_in_a_row(
    observations: list[str], readings: int, seconds: int, deadline: int
) -> None:
    read: list[Reading] = []
    result = gate(*observations, at=timing(readings, seconds, deadline, poll=1), read=read)
    last = read[-readings:]
    if result.outcome is Outcome.PASS:
        assert len(last) == readings
        assert all(reading.outcome is Outcome.PASS for reading in last)
        assert last[-1].streak.span >= timedelta(seconds=seconds)
    assert result.seconds <= deadline
