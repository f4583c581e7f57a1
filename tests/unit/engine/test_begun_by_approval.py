"""A run whose id is known beforehand, and a plan that begins with an approval."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.errors import InvalidInput, Refused
from holdfast.journal.events import Approved
from holdfast.journal.run_state import Status
from holdfast.plan.model import Plan
from holdfast.runbook.model import ApprovalPolicy
from tests.unit.cli.cli_harness import BLOCKS
from tests.unit.engine.engine_harness import EngineHarness, write_runbook


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "ctl1", "ctl2")


def planned(harness: EngineHarness) -> Plan:
    return harness.engine().planner.plan(write_runbook(harness.path, *BLOCKS), harness.path, {})


def test_a_run_has_the_id_that_was_given(harness: EngineHarness) -> None:
    engine = harness.engine()
    run = engine.new_run("broker-restart")
    assert engine.start(planned(harness), "ada", "x", run).run == run


def test_a_run_id_is_used_once(harness: EngineHarness) -> None:
    engine = harness.engine()
    run = engine.new_run("broker-restart")
    engine.start(planned(harness), "ada", "x", run)
    with pytest.raises(InvalidInput, match="was started already"):
        engine.start(planned(harness), "ada", "x", run)
    assert set(harness.fleet.restarts().values()) == {1}


def test_a_plan_that_begins_with_an_approval_has_another_hash(harness: EngineHarness) -> None:
    plan = planned(harness)
    before = plan.hash
    first = plan.begun_by_approval("May it?", ApprovalPolicy(count=2))
    again = plan.begun_by_approval("May it?", ApprovalPolicy(count=1))
    assert len({before, first.hash, again.hash}) == 3
    assert [step.number for step in first.steps] == [0, 1, 2, 3]
    assert Plan.from_journal(first.as_json(), "the plan") == first


def test_without_the_approval_nothing_is_touched(harness: EngineHarness) -> None:
    plan = planned(harness).begun_by_approval("May it?", ApprovalPolicy(deadline_seconds=60))
    ended = harness.engine().start(plan, "ada", "x")
    assert (ended.code, ended.state.status) == (3, Status.REFUSED)
    assert harness.fleet.history == []


def test_with_the_approval_it_runs(harness: EngineHarness) -> None:
    engine = harness.engine()
    plan = planned(harness).begun_by_approval("May it?", ApprovalPolicy())
    run = engine.new_run("broker-restart")

    def approve() -> None:
        state = engine.state(run) if harness.store.read(run) else None
        if state and state.step.approval_requested_at and not state.step.approvals:
            assert harness.fleet.history == []
            engine.approve(run, "bob")

    harness.fleet.clock.on_tick.append(approve)
    assert engine.start(plan, "ada", "x", run).code == 0
    assert len(harness.fleet.restarts()) == 2


def answered(
    harness: EngineHarness, plan: Plan, by: str, *answers: Callable[[Engine, str], object]
) -> RunResult:
    """Start a run as ``by``; each answer is given in turn once the question is asked."""
    engine, left = harness.engine(), list(answers)
    run = engine.new_run("broker-restart")

    def answer() -> None:
        state = engine.state(run) if harness.store.read(run) else None
        if state and left and state.step.approval_requested_at:
            left.pop(0)(engine, run)

    harness.fleet.clock.on_tick.append(answer)
    return engine.start(plan, by, "x", run)


def approves(by: str, refused: str = "") -> Callable[[Engine, str], object]:
    def answer(engine: Engine, run: str) -> None:
        if not refused:
            engine.approve(run, by)
            return
        with pytest.raises(Refused, match=refused):
            engine.approve(run, by)

    return answer


@pytest.mark.parametrize(
    ("starter", "approver"), [("slack:T1/ada", "ada"), ("ada", "slack:T1/ada")]
)
def test_who_started_under_one_id_does_not_approve_under_another(
    harness: EngineHarness, starter: str, approver: str
) -> None:
    plan = planned(harness).begun_by_approval("May it?", ApprovalPolicy(deadline_seconds=60))
    ended = answered(harness, plan, starter, approves(approver, "somebody else has to approve"))
    assert ended.code == 3
    assert harness.fleet.history == []


def test_two_ids_of_one_person_are_one_approval(harness: EngineHarness) -> None:
    plan = planned(harness).begun_by_approval("May it?", ApprovalPolicy(count=2))
    ended = answered(
        harness,
        plan,
        "slack:T1/ada",
        approves("slack:T1/bob"),
        approves("bob", "bob has approved step 0"),
        approves("ada", "somebody else has to approve"),
        approves("eve"),
    )
    assert ended.code == 0
    approvals = ended.state.steps[0].approvals
    assert [(each.person, each.by) for each in approvals] == [
        ("bob", "slack:T1/bob"),
        ("eve", "eve"),
    ]


def test_two_approvals_of_one_person_written_at_the_same_time_count_once(
    harness: EngineHarness,
) -> None:
    """Two ways in may both have read the journal before either wrote."""
    plan = planned(harness).begun_by_approval(
        "May it?", ApprovalPolicy(count=2, deadline_seconds=60)
    )

    def twice(engine: Engine, run: str) -> None:
        state, now = engine.state(run), harness.fleet.clock()
        for by in ("slack:T1/bob", "bob", "slack:T1/ada", "zoe"):
            person = {"slack:T1/ada": "ada", "zoe": "zoe"}.get(by, "bob")
            harness.store.append(
                run,
                Approved(
                    at=now, step=0, by=by, person=person, plan_hash=state.step.approval_plan_hash
                ),
            )

    ended = answered(harness, plan, "ada", twice)
    assert ended.code == 3
    assert harness.fleet.history == []


@pytest.mark.parametrize(
    ("by", "count", "expected"),
    [
        ("zoe", 1, "zoe is the id of nobody who is known"),
        ("slack:T9/U9", 1, "slack:T9/U9 is the id of nobody"),
        ("ada", 3, "needs the approval of 3 people, and those who may are bob, eve"),
    ],
)
def test_a_run_whose_approval_nobody_can_give_is_refused_before_it_begins(
    harness: EngineHarness, by: str, count: int, expected: str
) -> None:
    plan = planned(harness).begun_by_approval("May it?", ApprovalPolicy(count=count))
    with pytest.raises(Refused, match=expected):
        harness.engine().start(plan, by, "x")
    assert harness.store.runs() == []


def test_who_may_approve_says_no_and_the_run_ends_refused(harness: EngineHarness) -> None:
    plan = planned(harness).begun_by_approval("May it?", ApprovalPolicy())

    def no(engine: Engine, run: str) -> None:
        for nobody in ("zoe", "slack:T9/U9"):
            with pytest.raises(Refused, match="nobody who may approve"):
                engine.reject(run, nobody, "x")
        with pytest.raises(InvalidInput, match="needs a reason"):
            engine.reject(run, "bob", " ")
        engine.reject(run, "bob", "ctl2 is on battery")

    ended = answered(harness, plan, "ada", no)
    assert (ended.code, ended.state.status) == (3, Status.REFUSED)
    assert harness.fleet.history == []
    assert ended.state.refused is not None
    assert ended.state.refused.evidence == "May it?: rejected by bob (bob): ctl2 is on battery"


def test_a_no_after_an_act_holds_and_a_resume_asks_again(harness: EngineHarness) -> None:
    plan = harness.engine().planner.plan(
        write_runbook(harness.path, "roll: broker_restart.yml\nhosts: broker", "approve: Go on?"),
        harness.path,
        {},
    )

    ended = answered(harness, plan, "ada", lambda engine, run: engine.reject(run, "bob", "not yet"))
    assert ended.code == 4
    assert ended.state.held is not None
    assert "rejected by bob (bob): not yet" in ended.state.held.evidence

    harness.fleet.clock.on_tick.clear()
    run, engine = ended.run, harness.engine()

    def yes() -> None:
        if engine.state(run).step.approval_requested_at and not engine.state(run).step.approvals:
            engine.approve(run, "eve")

    harness.fleet.clock.on_tick.append(yes)
    assert engine.resume(run, "ada", "now").code == 0
