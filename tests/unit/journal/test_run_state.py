"""What a state says of itself, one property at a time. How events change it is in test_fold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast.journal.events import ActDone, ActIntended, Observed
from holdfast.journal.run_state import (
    ActRecord,
    Batch,
    Inspection,
    Restart,
    RunState,
    Status,
    StepState,
    Turn,
    canonical,
)
from holdfast.model import Act, Json

AT = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)


def intent(host: str = "a", *, ends_with_restart: bool = False) -> ActIntended:
    drain = ActIntended(
        at=AT, host=host, act=Act.DRAIN, unit="u", invocation_id="old", undo="revive"
    )
    return drain.model_copy(update={"ends_with_restart": ends_with_restart})


def result(host: str = "a") -> ActDone:
    return ActDone(at=AT, host=host, act=Act.UNDRAIN, unit="u", invocation_id="new")


def restart(after: str = "", observed: str = "") -> Restart:
    seen = Observed(at=AT, host="a", unit="u", invocation_id=observed, active=True)
    return Restart("u", "old", after, seen if observed else None)


HAPPENED, UNKNOWN, NOT = restart("new"), restart(), restart(observed="old")


@pytest.mark.parametrize(
    ("of", "happened"),
    [
        (HAPPENED, True),
        (restart("new", observed="old"), True),
        (UNKNOWN, None),
        (NOT, False),
        (restart(observed="new"), True),
    ],
)
def test_whether_a_restart_happened(of: Restart, happened: bool | None) -> None:
    assert of.happened is happened


DRAINED, ENDS = {"drain": intent()}, {"drain": intent(ends_with_restart=True)}


@pytest.mark.parametrize(
    ("given", "restarts", "in_hand", "restarted", "unknown", "undo"),
    [
        ({}, [], False, False, False, ""),
        (DRAINED, [], True, False, False, "revive"),
        (ENDS, [], True, False, False, "revive"),
        ({}, [NOT], True, False, False, ""),
        ({}, [UNKNOWN], True, False, True, ""),
        ({}, [NOT, UNKNOWN], True, False, True, ""),
        ({}, [NOT, HAPPENED], True, True, False, ""),
        (DRAINED, [HAPPENED], True, True, False, "revive"),
        (ENDS, [HAPPENED], True, True, False, ""),
        (ENDS, [NOT], True, False, False, "revive"),
        ({"done": True}, [HAPPENED, UNKNOWN], False, True, False, ""),
        ({"done": True, **DRAINED}, [], False, False, False, "revive"),
    ],
)
def test_what_a_turn_says_of_its_host(  # noqa: PLR0917  # one row for each kind of turn
    given: dict[str, Json],
    restarts: list[Restart],
    in_hand: bool,
    restarted: bool,
    unknown: bool,
    undo: str,
) -> None:
    turn = Turn("a", restarts={str(number): each for number, each in enumerate(restarts)}, **given)
    assert (turn.in_hand, turn.restarted, turn.outcome_unknown) == (in_hand, restarted, unknown)
    assert turn.undo == undo


def test_an_act_is_known_by_its_intent_or_without_one_by_its_result() -> None:
    assert ActRecord(1, intent(), result()).event == intent()
    assert ActRecord(1, done=result()).event == result()


def test_a_step_knows_which_hosts_are_done_and_which_are_in_hand() -> None:
    step = StepState(1)
    assert step.turn("a") is step.turn("a")
    for host in ("c", "a", "b"):
        step.turn(host).restarts["u"] = restart("new")
        step.succeed(host)
    step.reopen("b")
    step.turn("d")
    assert (step.done(), step.done_hosts) == (["a", "c"], {"a", "c"})
    assert [turn.host for turn in step.in_hand()] == ["b"]
    # What is looked through at each decision is only what is not done.
    assert list(step.open_turns) == ["b", "d"]

    state = RunState(steps={1: step, 2: StepState(2)})
    assert [(where.number, turn.host) for where, turn in state.in_hand()] == [(1, "b")]
    for host in "abcd":
        step.forget(host)
    assert (step, step.done(), step.in_hand()) == (StepState(1), [], [])


def test_what_has_not_begun_says_nothing() -> None:
    state, step = RunState(), StepState(0)
    assert (state.run, state.seq, state.status, state.step) == ("", 0, Status.RUNNING, step)
    assert not state.touched
    lists = ("resumed", "acts", "batches", "inspections", "under_way", "hosts_to_observe")
    for name in (*lists, "steps", "facts", "proved_claims", "done_units"):
        assert not getattr(state, name), name
    for name in ("finished", "passed", "surveyed", "swept", "turns"):
        assert not getattr(step, name), name
    assert (step.approvals, step.approvers) == ([], {})
    turn = Turn("a")
    assert (turn.drain_seen, turn.given_back, turn.done, turn.restarts) == (False, False, False, {})
    assert Inspection(1, "sweep", (), ()).gates == []


def test_the_step_in_hand_is_the_one_that_was_begun() -> None:
    begun = StepState(2, "Roll")
    assert RunState(steps={2: begun}, current_step=2).step is begun
    assert RunState(steps={2: begun}, current_step=3).step == StepState(3)


def ended_batch(status: str) -> Batch:
    return Batch(1, ("a",), (), "", (), AT, AT, status)


@pytest.mark.parametrize(
    ("statuses", "turns", "touched"),
    [
        ([], 0, False),
        (["refused"], 0, False),
        (["ok"], 0, True),
        (["refused", ""], 0, True),
        (["refused"], 1, True),
        ([], 1, True),
    ],
)
def test_a_run_has_touched_its_fleet_once_a_play_was_started_that_was_not_refused(
    statuses: list[str], turns: int, touched: bool
) -> None:
    steps = {1: StepState(1, turns={"a": Turn("a")} if turns else {}), 2: StepState(2)}
    state = RunState(batches=[ended_batch(each) for each in statuses], steps=steps)
    assert state.touched is touched


def test_the_acts_on_a_host_are_those_of_that_host_the_newest_first() -> None:
    acts = [ActRecord(number, intent(host)) for number, host in enumerate("abab")]
    assert [act.seq for act in RunState(acts=acts).acts_of("a")] == [2, 0]


def test_a_host_is_done_with_a_unit_that_was_restarted() -> None:
    assert RunState(done_units={"b": {"u": "1"}, "c": {}, "a": {"u": "2"}}).done() == ["b", "a"]


def test_claims_are_proved_whatever_the_order_of_their_parameters() -> None:
    proved: list[Json] = ["s.well", {"claim": "s.up", "unit": "u"}]
    state = RunState(proved_claims=set(map(canonical, proved)))
    assert canonical("s.well") == canonical({"claim": "s.well"}) != canonical("s.up")
    assert state.proves(({"unit": "u", "claim": "s.up"}, {"claim": "s.well"}))
    assert state.proves([])
    assert not state.proves(["s.well", "s.up"])
    assert not state.proves([{"claim": "s.up", "unit": "v"}])


def test_the_claims_of_an_inspection_have_names() -> None:
    found = Inspection(1, "check", (), ("s.well", {"claim": "s.up", "unit": "u"}))
    assert found.claim_names() == {"s.well", "s.up"}
