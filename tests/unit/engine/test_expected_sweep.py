"""What a parked play is told that its word will sweep, and what makes its last reading stand (docs/adr/0077)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.engine.play_builder import parked_play, roll_word
from holdfast.evidence import HOSTS
from holdfast.gate_action import Gate
from holdfast.gate_ahead import FRESH_SECONDS, ReadingAhead
from holdfast.gate_loop import GateResult, GateTiming
from holdfast.journal import events as ev
from holdfast.journal.run_state import RunState
from holdfast.model import Grant, Outcome, Settle, Verdict
from holdfast.plan.decide import Roll, decide
from holdfast.plan.following import Following
from holdfast.plan.model import PlannedRoll
from tests.unit.plan.test_large_fleet import START, apply, batch, plan, turn

ONCE = Settle()
DONE, IN_HAND, NEXT = ("h1", "h2"), "h3", "h4"


def rolling(*, window: int = 0) -> tuple[RunState, PlannedRoll]:
    """Return the state of a run that has restarted a third host, which settles, and the step."""
    step = plan().step(1)
    assert isinstance(step, PlannedRoll)
    step = step.model_copy(update={"hosts": (*DONE, IN_HAND, NEXT), "batch": 1, "window": window})
    state = RunState(grant=Grant("r", {}))
    apply(state, ev.StepStarted(at=START, step=1, title="Roll"))
    for swept, host in enumerate((*DONE, IN_HAND)):
        begun, gate, *events = batch(host)
        verdict = {"claim": "c", "outcome": "PASS", "evidence": {HOSTS: swept}}
        sweep = gate.model_copy(update={"phase": "sweep", "verdicts": [verdict]})
        apply(state, begun, *([sweep] if swept else []), *events[: 2 if host == IN_HAND else None])
    return state, step


def test_what_a_parked_play_expects_to_sweep_is_what_its_word_says() -> None:
    state, step = rolling()
    parked = parked_play(plan(), state, Following(step, (NEXT,), (), 0))
    last_act = state.seq

    apply(state, turn(IN_HAND)[2])
    ended = ev.BatchEnded(at=START, step=1, status="ok", hosts={IN_HAND: "ok"})
    apply(state, ended)
    decided = decide(plan().model_copy(update={"steps": (step,)}), state, START)

    assert isinstance(decided, Roll)
    word = roll_word(state, step, decided)
    assert parked.variables["holdfast_sweep_expected"] == word["holdfast_sweep"]
    assert list(word["holdfast_sweep"]) == [*DONE, IN_HAND]
    assert word["holdfast_last_act"] == last_act


def test_in_a_window_no_reading_before_the_word_stands() -> None:
    state, step = rolling(window=2)

    assert (
        "holdfast_sweep_expected"
        not in parked_play(plan(), state, Following(step, (NEXT,), (), 0)).variables
    )
    roll = Roll(1, (NEXT,), (), "", (), ())
    assert "holdfast_last_act" not in roll_word(state, step, roll)


def reading(outcome: Outcome = Outcome.PASS, settle: Settle = ONCE) -> ReadingAhead:
    gate = Gate("g", "preflight", [], GateTiming(settle, timedelta(0), timedelta(0)))
    result = GateResult([Verdict("c", outcome, "r", "m")], 1, 0.1)
    return ReadingAhead(7, 100.0, 0.5, [gate], [result], {})


def test_a_reading_that_stands_says_how_old_it_is() -> None:
    stands = reading().standing(7, 102.0)

    assert stands is not None
    assert [result.age for result in stands.results] == [1.5]


@pytest.mark.parametrize(
    ("found", "last_act", "now"),
    [
        (reading(), 8, 102.0),
        (reading(), 7, 100.0 + FRESH_SECONDS + 0.1),
        (reading(), 7, 99.0),
        (reading(Outcome.UNKNOWN), 7, 102.0),
        (reading(Outcome.FAIL), 7, 102.0),
        (reading(settle=Settle(2)), 7, 102.0),
    ],
    ids=["an act since", "old", "another clock", "unknown", "failed", "not settled"],
)
def test_a_reading_with_a_doubt_does_not_stand(
    found: ReadingAhead, last_act: int, now: float
) -> None:
    assert found.standing(last_act, now) is None
