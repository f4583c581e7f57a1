"""The gate loop, with scripted looks and a clock that only waiting moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import gate_loop
from holdfast.claims.base import BoundClaim, Claim, Parameters
from holdfast.errors import CannotTell, InvalidInput
from holdfast.gate_loop import (
    GateResult,
    GateTiming,
    Reading,
    Timer,
    claims_of_host,
    describe,
    run_gate,
)
from holdfast.judges.base import Observation, Unanswered, unknown
from holdfast.model import Json, Outcome, Settle, Verdict
from holdfast.probes.base import CommandResult, ProbeContext

GROUPS = {"rabbitmq": ["ctl1", "ctl2"], "empty": []}
GOOD, BAD, SILENT, HOPELESS = "good", "bad", "silent", "hopeless"


class NoShell:
    def run(self, argv: Sequence[str]) -> CommandResult:
        raise AssertionError(argv)


LOOK = ProbeContext(host="ctl1", groups=GROUPS, variables={}, shell=NoShell())


@dataclass
class Script:
    """What a probe sees, reading by reading; the last one for ever."""

    seen: Sequence[str]
    looks: int = 0

    def probe(self, _look: ProbeContext, _parameters: Parameters) -> Json:
        saw = self.seen[min(self.looks, len(self.seen) - 1)]
        self.looks += 1
        if saw == SILENT:
            raise CannotTell("no route to ctl2")
        return saw


def judge(history: Sequence[Observation], _parameters: Parameters) -> Verdict:
    last = history[-1]
    if isinstance(last, Unanswered):
        return unknown("c", last)
    return Verdict("c", Outcome.PASS if last == GOOD else Outcome.FAIL, last, f"it is {last}")


def claim(probe: Callable[[ProbeContext, Parameters], Json], **more: Json) -> BoundClaim:
    return BoundClaim(Claim(name="a.c", summary="", probe=probe, judge=judge, **more), Parameters())


@dataclass
class Time:
    """Seconds pass only by waiting."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def timer(self) -> Timer:
        return Timer(lambda: self.now, self.wait)


def pace(
    readings: int = 1, seconds: float = 0, deadline: float = 60, poll: float = 2
) -> GateTiming:
    settle = Settle(readings, timedelta(seconds=seconds))
    return GateTiming(settle, timedelta(seconds=deadline), timedelta(seconds=poll))


def gate(
    *seen: str, at: GateTiming, time: Time | None = None, read: list[Reading] | None = None
) -> GateResult:
    asked = claim(Script(seen).probe, final=(HOPELESS,))
    shown = read if read is not None else []
    return run_gate([asked], LOOK, at, (time or Time()).timer, shown.append)


def test_a_good_first_reading_needs_no_wait() -> None:
    time = Time()
    result = gate(GOOD, at=pace(), time=time)
    assert (result.outcome, result.readings, result.seconds, time.waits) == (Outcome.PASS, 1, 0, [])


def test_it_waits_until_good_readings_settle() -> None:
    result = gate(BAD, GOOD, at=pace(readings=3, seconds=5))
    assert (result.outcome, result.readings, result.seconds) == (Outcome.PASS, 5, 8)


def test_one_bad_reading_starts_the_count_again() -> None:
    result = gate(GOOD, GOOD, BAD, GOOD, at=pace(readings=3))
    assert (result.outcome, result.readings) == (Outcome.PASS, 6)


def test_so_does_one_unknown() -> None:
    result = gate(GOOD, GOOD, SILENT, GOOD, at=pace(readings=3))
    assert (result.outcome, result.readings) == (Outcome.PASS, 6)


def test_the_deadline_fails_with_the_last_evidence() -> None:
    result = gate(SILENT, BAD, at=pace(deadline=10))
    assert (result.outcome, result.readings, result.seconds) == (Outcome.FAIL, 6, 10)
    assert [verdict.message for verdict in result.verdicts] == ["it is bad"]


def test_an_answer_that_never_came_is_unknown_and_says_why() -> None:
    result = gate(SILENT, at=pace(deadline=10))
    assert result.outcome is Outcome.UNKNOWN
    assert [verdict.message for verdict in result.verdicts] == ["no route to ctl2"]


def test_the_last_reading_is_at_the_deadline_and_not_after_it() -> None:
    time = Time()
    assert gate(BAD, at=pace(deadline=5, poll=2), time=time).seconds == 5
    assert time.waits == [2, 2, 1]


def test_without_a_deadline_there_is_one_reading() -> None:
    assert gate(BAD, at=pace(deadline=0)).readings == 1
    assert gate(GOOD, at=pace(deadline=0)).outcome is Outcome.PASS


def test_good_readings_that_come_too_late_do_not_pass() -> None:
    result = gate(GOOD, GOOD, BAD, GOOD, at=pace(readings=9, deadline=10))
    assert result.outcome is Outcome.FAIL
    last = result.verdicts[-1]
    assert (last.claim, last.reason) == (gate_loop.NOT_SETTLED, "not_settled")
    assert "3/9 readings" in last.message
    assert "at 4 s: it is bad" in last.message


def test_a_deadline_shorter_than_the_settling_is_unknown() -> None:
    result = gate(GOOD, at=pace(seconds=30, deadline=10))
    assert result.outcome is Outcome.UNKNOWN
    assert result.verdicts[-1].reason == "deadline_too_short"


def test_what_waiting_cannot_mend_ends_the_gate_at_once() -> None:
    result = gate(GOOD, HOPELESS, at=pace(readings=9, deadline=300))
    assert (result.outcome, result.readings) == (Outcome.FAIL, 2)


def test_a_final_reason_does_not_end_a_gate_that_could_not_tell() -> None:
    def never(history: Sequence[Observation], _: Parameters) -> Verdict:
        return Verdict("c", Outcome.UNKNOWN, HOPELESS, "")

    asked = BoundClaim(
        Claim(name="a.c", summary="", probe=Script([GOOD]).probe, judge=never, final=(HOPELESS,)),
        Parameters(),
    )
    assert run_gate([asked], LOOK, pace(deadline=10), Time().timer, print).readings == 6


def test_every_reading_is_told_as_it_is_taken() -> None:
    read: list[Reading] = []
    gate(BAD, GOOD, at=pace(readings=2), read=read)
    assert [(r.number, r.outcome, r.elapsed.total_seconds()) for r in read] == [
        (1, Outcome.FAIL, 0),
        (2, Outcome.PASS, 2),
        (3, Outcome.PASS, 4),
    ]


def test_a_judge_sees_the_whole_history_of_the_gate() -> None:
    seen: list[list[Observation]] = []

    def remember(history: Sequence[Observation], parameters: Parameters) -> Verdict:
        seen.append(list(history))
        return judge(history, parameters)

    script = Script([BAD, SILENT, GOOD])
    asked = BoundClaim(
        Claim(name="a.c", summary="", probe=script.probe, judge=remember), Parameters()
    )
    run_gate([asked], LOOK, pace(), Time().timer, lambda _: None)
    assert seen[-1] == [BAD, Unanswered("no route to ctl2"), GOOD]


# --- several claims


class Node(Parameters):
    node: str


class NodeAndMore(Node):
    tolerance: int = 1


def test_all_claims_must_hold_together() -> None:
    one, two = Script([GOOD, BAD]), Script([BAD, GOOD])
    result = run_gate(
        [claim(one.probe), claim(two.probe)],
        LOOK,
        pace(deadline=4),
        Time().timer,
        lambda _: None,
    )
    assert result.outcome is Outcome.FAIL


def test_one_question_is_asked_once_a_reading_and_another_by_itself() -> None:
    asked_of: list[str] = []

    def probe(_look: ProbeContext, parameters: Node) -> Json:
        asked_of.append(parameters.node)
        return GOOD

    plain = Claim(name="a.c", summary="", probe=probe, judge=judge, parameters=Node)
    wide = Claim(
        name="a.d",
        summary="",
        probe=probe,
        judge=judge,
        parameters=NodeAndMore,
        probe_parameters=Node,
    )
    claims = [
        BoundClaim(plain, Node(node="ctl1")),
        BoundClaim(wide, NodeAndMore(node="ctl1", tolerance=9)),
        BoundClaim(wide, NodeAndMore(node="ctl2")),
    ]
    result = run_gate(claims, LOOK, pace(), Time().timer, lambda _: None)
    assert len(result.verdicts) == 3
    assert sorted(asked_of) == ["ctl1", "ctl2"]


def test_different_questions_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)

    def probe_of() -> Callable[[ProbeContext, Parameters], Json]:
        def probe(_look: ProbeContext, _parameters: Parameters) -> Json:
            together.wait()
            return GOOD

        return probe

    claims = [claim(probe_of()) for _ in range(3)]
    assert run_gate(claims, LOOK, pace(), Time().timer, lambda _: None).outcome is Outcome.PASS


def test_a_look_that_never_ends_does_not_keep_the_gate() -> None:
    release = threading.Event()

    def probe(_look: ProbeContext, _parameters: Parameters) -> Json:
        release.wait(60)
        return GOOD

    short = replace(pace(deadline=0), grace=timedelta(seconds=0.1))
    result = run_gate([claim(probe)], LOOK, short, Time().timer, lambda _: None)
    release.set()
    assert result.outcome is Outcome.UNKNOWN
    assert "did not end within" in result.verdicts[0].message


def test_a_bug_in_a_probe_is_not_taken_for_an_answer() -> None:
    def broken(_look: ProbeContext, _parameters: Parameters) -> Json:
        raise KeyError("nodes")

    with pytest.raises(KeyError):
        run_gate([claim(broken)], LOOK, pace(), Time().timer, lambda _: None)


# --- refusals


def test_a_gate_without_claims_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a gate that names nothing"):
        run_gate([], LOOK, pace(), Time().timer, lambda _: None)


@pytest.mark.parametrize("group", ["empty", "gone"])
def test_a_claim_about_a_group_without_hosts_is_refused_before_any_look(group: str) -> None:
    script = Script([GOOD])
    with pytest.raises(InvalidInput, match=rf"a\.c speaks about the group {group}"):
        run_gate([claim(script.probe, group=group)], LOOK, pace(), Time().timer, lambda _: None)
    assert script.looks == 0


# --- shares


def test_a_claim_about_a_group_is_asked_at_its_first_host_of_the_play() -> None:
    about_group, about_host = (
        claim(Script([GOOD]).probe, group="rabbitmq"),
        claim(Script([GOOD]).probe),
    )
    claims = [about_group, about_host]
    assert claims_of_host("ctl1", claims, GROUPS, ["ctl1", "ctl2"]) == claims
    assert claims_of_host("ctl2", claims, GROUPS, ["ctl1", "ctl2"]) == [about_host]
    assert claims_of_host("ctl2", claims, GROUPS, ["ctl2"]) == claims


def test_a_claim_that_no_host_would_ask_is_refused() -> None:
    about_group = claim(Script([GOOD]).probe, group="rabbitmq")
    with pytest.raises(InvalidInput, match="no host of this play can ask"):
        claims_of_host("cmp1", [about_group], GROUPS, ["cmp1"])


# --- words


@pytest.mark.parametrize(
    ("seen", "at", "line"),
    [
        ([BAD], pace(deadline=300), "gate ctl1 c FAIL 1/1: it is bad (0 s of 300 s)"),
        ([SILENT], pace(), "gate ctl1 c UNKNOWN 1/1: no route to ctl2 (0 s of 60 s)"),
        ([GOOD], pace(readings=3), "gate ctl1 c PASS 1/3 readings (0 s of 60 s)"),
        ([GOOD], pace(3, 10), "gate ctl1 c PASS 1/3 readings, 0 of 10 s (0 s of 60 s)"),
        ([BAD], pace(deadline=0), "gate ctl1 c FAIL 1/1: it is bad (0 s)"),
    ],
)
def test_a_reading_is_one_line(seen: list[str], at: GateTiming, line: str) -> None:
    read: list[Reading] = []
    gate(*seen, at=at, read=read)
    assert describe("ctl1", read[0], at) == line


# --- never


@given(
    st.lists(st.sampled_from([GOOD, BAD, SILENT]), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(0, 8),
    st.integers(0, 30),
)
def test_never_pass_without_enough_good_readings_in_a_row(
    seen: list[str], readings: int, seconds: int, deadline: int
) -> None:
    read: list[Reading] = []
    result = gate(*seen, at=pace(readings, seconds, deadline, poll=1), read=read)
    last = read[-readings:]
    if result.outcome is Outcome.PASS:
        assert len(last) == readings
        assert all(reading.outcome is Outcome.PASS for reading in last)
        assert last[-1].streak.span(last[-1].at) >= timedelta(seconds=seconds)
    assert result.seconds <= deadline
