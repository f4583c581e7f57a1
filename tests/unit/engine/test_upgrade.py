"""Runs that an older or a newer Holdfast, or nothing readable at all, has journaled."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from holdfast.engine.hold_report import hold_message
from holdfast.engine.run_lookup import find_run, recent_outlines, recent_runs
from holdfast.errors import Refused, StateUnusable
from holdfast.journal.events import ApprovalRequested, Approved
from holdfast.journal.run_state import RunState, Status
from holdfast.model import Json
from tests.unit.engine.engine_harness import EngineHarness, write_runbook
from tests.unit.journal.recorded import STATES, bodies

ROLL = "roll: broker_restart.yml\nhosts: broker"
WAITING = STATES["waiting_for_approval"]["run"]


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "h1", "h2", "h3")


def write_journal(harness: EngineHarness, run: str, lines: list[str]) -> None:
    """Write events into the database as another Holdfast would have written them."""
    with harness.store._engine.begin() as connection:
        for seq, body in enumerate(lines, 1):
            connection.execute(
                text("INSERT INTO holdfast_events VALUES (:run, :seq, :seq, '', :body)"),
                {"run": run, "seq": seq, "body": body},
            )


def with_plan(lines: list[str], **change: Json) -> list[str]:
    """Return a journal with something else in its plan."""
    opened = json.loads(lines[0])
    return [json.dumps(opened | {"plan": opened["plan"] | change}), *lines[1:]]


def test_a_run_that_waited_for_approval_across_an_upgrade_is_approved_and_resumed(
    harness: EngineHarness,
) -> None:
    """The recorded driver died while it waited; the new one asks again, for the same plan."""
    write_journal(harness, WAITING, bodies("waiting_for_approval"))
    for host in ("h1", "h2", "h3"):
        harness.fleet.hosts[host].unit("broker").started = 2
    harness.fleet.clock.now += timedelta(hours=1)

    def approve() -> None:
        state = harness.engine().state(WAITING)
        if (
            state.status is Status.RUNNING
            and state.step.approval_requested_at
            and not state.step.approvals
        ):
            harness.engine().approve(WAITING, "bob")

    harness.fleet.clock.on_tick.append(approve)
    result = harness.engine().resume(WAITING, "ada", "Holdfast was upgraded")

    assert result.code == 0
    events = [entry.event for entry in harness.store.read(WAITING)]
    asked = [event.plan_hash for event in events if isinstance(event, ApprovalRequested)]
    approved = [event.plan_hash for event in events if isinstance(event, Approved)]
    assert set(asked + approved) == {STATES["waiting_for_approval"]["plan_hash"]}
    assert (len(asked), bool(approved)) == (2, True)


def test_a_request_of_an_older_version_names_nobody_and_has_to_be_asked_again(
    harness: EngineHarness,
) -> None:
    write_journal(harness, WAITING, bodies("waiting_for_approval"))

    with pytest.raises(Refused, match="names nobody who may approve"):
        harness.engine().approve(WAITING, "bob")


@pytest.mark.parametrize(
    "change", [{"schema": 3}, {"schema": "x"}, {"steps": [{}]}, {"steps": 7}, {"leases": None}]
)
def test_a_plan_that_cannot_be_read_stops_a_resume_with_an_error(
    harness: EngineHarness, change: dict[str, Json]
) -> None:
    write_journal(harness, WAITING, with_plan(bodies("waiting_for_approval"), **change))

    with pytest.raises(StateUnusable, match=f"the plan of run {WAITING}"):
        harness.engine().resume(WAITING, "ada", "x")
    assert not harness.fleet.history


def test_a_run_whose_plan_cannot_be_read_is_reported_and_aborted(
    harness: EngineHarness,
) -> None:
    write_journal(harness, WAITING, with_plan(bodies("aborted")[:4], steps=[{}]))

    message = hold_message(harness.engine().state(WAITING))

    assert message is not None
    assert message.next_commands[0] == "holdfast show broker-restart"
    assert harness.engine().request_abort(WAITING, "eve").status is Status.ABORTED


@pytest.mark.parametrize("line", ['{"schema": 3, "kind": "run_opened"}', "{", '{"kind": "x"}'])
def test_a_journal_that_cannot_be_read_hides_no_other(harness: EngineHarness, line: str) -> None:
    write_journal(harness, "unreadable", [line])
    engine = harness.engine()
    plan = engine.planner.plan(write_runbook(harness.path, ROLL), harness.path, {})
    result = engine.start(plan, "ada", "why")

    found = dict(recent_runs(harness.store))

    # Of a large run only the outline is read, which says as much of how it stands.
    outlines = dict(recent_outlines(harness.store, 0))
    outline, whole = outlines[result.run], found[result.run]
    assert isinstance(outline, RunState)
    assert isinstance(whole, RunState)
    assert (outline.status, outline.opened, outline.grant) == (
        Status.FINISHED,
        whole.opened,
        whole.grant,
    )
    assert (outline.step.finished, outline.batches, len(whole.batches)) == (True, [], 3)
    assert dict(recent_outlines(harness.store))[result.run] == whole

    assert result.code == 0
    assert set(found) == {"unreadable", result.run}
    assert isinstance(found["unreadable"], StateUnusable)
    assert isinstance(found[result.run], RunState)
    assert find_run(harness.store, "broker") == result.run
    with pytest.raises(StateUnusable, match="unreadable"):
        harness.engine().resume("unreadable", "ada", "x")
