"""A run whose id is known beforehand, and a plan that begins with an approval."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
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
