"""What the fold never depends on, and what is never decided, at any moment of recorded runs and of changed ones."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.journal.events import Recorded
from holdfast.journal.fold import advance, fold
from holdfast.journal.run_state import Failure, RunState, Status
from holdfast.model import Phase
from holdfast.plan.decide import Abort, Decision, Finish, Inspect, Roll, decide
from holdfast.plan.model import Plan, PlannedRoll, plan_of
from holdfast.plan.next_batch import next_batches
from tests.fakes.journal import NOW
from tests.unit.engine.engine_harness import make_policy
from tests.unit.journal.recorded import STATES, read_recorded

JOURNALS = [read_recorded(name) for name in STATES]


@st.composite
def moments(draw: st.DrawFn) -> tuple[Plan, RunState, datetime]:
    """Return a run at some moment: a prefix of a recorded journal, no play under way, and the time then."""
    journal = draw(st.sampled_from(JOURNALS))
    state = fold(journal[: draw(st.integers(1, len(journal)))])
    assume(not state.under_way and state.inspection is None)
    plan = plan_of(state)
    assert plan is not None
    return plan, state, (state.at or NOW) + timedelta(seconds=draw(st.integers(0, 100)))


def decided(moment: tuple[Plan, RunState, datetime]) -> Decision:
    plan, state, now = moment
    assume(state.status is Status.RUNNING)
    return decide(plan, state, now)


def is_new_batch(decision: Decision) -> bool:
    return isinstance(decision, Roll) and Phase.RESTART in decision.phases


@given(st.sampled_from(JOURNALS), st.data())
def test_a_state_never_depends_on_where_the_reading_of_its_journal_paused(
    journal: list[Recorded], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(journal)))
    assert advance(fold(journal[:at]), journal[at:]) == fold(journal)


@given(st.sampled_from(JOURNALS), st.data())
def test_an_event_that_is_read_twice_never_changes_a_state(
    journal: list[Recorded], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(journal)))
    assert advance(fold(journal), journal[at:]) == fold(journal)


@given(moments())
def test_a_decision_never_changes_the_state_and_is_never_another_the_second_time(
    moment: tuple[Plan, RunState, datetime],
) -> None:
    plan, state, now = moment
    before = copy.deepcopy(state)
    assert decide(plan, state, now) == decide(plan, state, now)
    assert state == before


@given(moments())
def test_a_host_that_is_done_is_never_restarted_again_in_its_step(
    moment: tuple[Plan, RunState, datetime],
) -> None:
    decision = decided(moment)
    if is_new_batch(decision):
        assert isinstance(decision, Roll)
        assert not set(decision.hosts) & set(moment[1].steps[decision.step].done())


@given(moments())
def test_a_batch_is_never_larger_than_planned_or_of_other_hosts(
    moment: tuple[Plan, RunState, datetime],
) -> None:
    decision = decided(moment)
    if is_new_batch(decision):
        assert isinstance(decision, Roll)
        step = moment[0].step(decision.step)
        assert isinstance(step, PlannedRoll)
        assert 0 < len(decision.hosts) <= step.batch
        assert set(decision.hosts) <= set(step.hosts)


@given(moments())
def test_nothing_is_restarted_without_a_lease(moment: tuple[Plan, RunState, datetime]) -> None:
    moment[1].grant = None
    assert not isinstance(decided(moment), Roll)


@given(moments(), st.text(min_size=1))
def test_nothing_is_restarted_while_a_host_is_to_be_observed(
    moment: tuple[Plan, RunState, datetime], host: str
) -> None:
    moment[1].hosts_to_observe.add(host)
    decision = decided(moment)
    assert isinstance(decision, Inspect)
    assert decision.what == "observe"
    assert host in decision.hosts


@given(moments())
def test_nothing_is_restarted_after_a_failure(moment: tuple[Plan, RunState, datetime]) -> None:
    moment[1].failure = Failure(1, "h1", "", "it failed")
    assert not isinstance(decided(moment), Roll | Finish)


@given(moments())
def test_nothing_is_begun_after_a_request_to_stop(
    moment: tuple[Plan, RunState, datetime],
) -> None:
    plan, state, now = moment
    assume(state.status is Status.RUNNING and not state.hosts_to_observe and state.failure is None)
    assert isinstance(decide(plan, state, now, "ada"), Abort)


@given(moments())
def test_a_run_never_finishes_with_a_host_left(moment: tuple[Plan, RunState, datetime]) -> None:
    plan, state, _ = moment
    if isinstance(decided(moment), Finish):
        for roll in plan.rolls():
            assert set(roll.hosts) <= set(state.steps[roll.number].done())
        assert not list(state.in_hand())


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), st.integers(1, 4), st.booleans(),
    st.dictionaries(st.sampled_from("abcdefgh"), st.fixed_dictionaries(
        {"healthy": st.booleans(), "leaders": st.integers(0, 5)})),
    st.lists(st.integers(1, 4), max_size=3).map(sorted),
)  # fmt: skip
def test_batches_never_leave_out_or_repeat_a_host_or_grow_beyond_their_size(
    hosts: list[str],
    size: int,
    canary: bool,
    facts: dict[str, dict[str, int]],
    growth: list[int],
) -> None:
    roll = PlannedRoll(
        number=1, title="t", playbook="p.yml", hosts=tuple(hosts), batch=size, canary=canary,
        variables={}, settle=None, policy=make_policy(), growth=tuple(growth),
    )  # fmt: skip
    batches = list(next_batches(roll, facts))
    assert sorted(host for batch in batches for host in batch) == sorted(hosts)
    sizes = growth + growth[-1:] * len(hosts) or [1 if canary else size] + [size] * len(hosts)
    assert all(0 < len(batch) <= most for batch, most in zip(batches, sizes, strict=False))
    # Each is as large as it may be.
    assert all(len(batch) == most for batch, most in zip(batches[:-1], sizes, strict=False))
