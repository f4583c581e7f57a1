"""Aborts, approvals, and a journal that fails during a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Progress
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.errors import InvalidInput, Refused, StateLost, StateUnusable
from holdfast.journal.events import (
    Aborted,
    AbortRequested,
    ApprovalRequested,
    Event,
    Finished,
    InspectionEnded,
    LeaseTaken,
    Observed,
    Recorded,
)
from holdfast.journal.run_state import Status
from holdfast.model import Json, Phase
from tests.fakes.fleet import Fault
from tests.fakes.play_runner import FakeRunner
from tests.unit.engine.engine_harness import CrashingStore, EngineHarness

ROLL = "roll: broker_restart.yml\nhosts: broker"
ASK = "approve: Go on?"


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "h1", "h2", "h3")


def start(harness: EngineHarness, engine: Engine, *blocks: str) -> RunResult:
    return harness.start(engine, *(blocks or (ROLL,)))


def when(harness: EngineHarness, condition: Callable[[], bool], act: Callable[[], object]) -> None:
    """Call ``act`` once, at the first tick of the clock at which the condition is true."""
    done: list[bool] = []

    def watch() -> None:
        if not done and condition():
            done.append(True)
            act()

    harness.fleet.clock.on_tick.append(watch)


def acts(harness: EngineHarness, number: int) -> Callable[[], bool]:
    return lambda: len(harness.fleet.history) >= number


# --- abort


def test_an_abort_finishes_and_verifies_the_host_in_hand(harness: EngineHarness) -> None:
    engine = harness.engine()
    when(harness, acts(harness, 1), engine.stop.request)

    ended = start(harness, engine)

    assert ended.code == 5
    assert harness.restarted() == ["h1"]
    assert ended.state.done() == ["h1"]
    assert ended.state.aborted is not None
    assert ended.state.aborted.left == [
        "done and proved healthy: h1",
        "not touched in step 1: h2, h3",
    ]
    assert not harness.store.holders("lab/broker")


def test_an_abort_may_come_from_another_process(harness: EngineHarness) -> None:
    engine, other = harness.engine(), harness.engine()
    when(harness, acts(harness, 1), lambda: other.request_abort(harness.store.runs()[0], "eve"))

    ended = start(harness, engine)

    assert ended.code == 5
    assert harness.restarted() == ["h1"]
    assert ended.state.aborted is not None
    assert ended.state.aborted.by == "eve"
    asked = [e.event for e in harness.store.read(ended.run) if isinstance(e.event, AbortRequested)]
    assert [(a.by, a.hard) for a in asked] == [("eve", False)]


def aborted(harness: EngineHarness) -> list[str]:
    """Return who aborted the newest run, once for every such event in its journal."""
    events = [each.event for each in harness.store.read(harness.store.runs()[0])]
    return [event.by for event in events if isinstance(event, Aborted)]


def test_an_abort_before_the_lease_is_recorded_once_and_nothing_is_touched(
    harness: EngineHarness,
) -> None:
    engine, other = harness.engine(), harness.engine()
    when(
        harness,
        lambda: bool(harness.store.runs()),
        lambda: other.request_abort(harness.store.runs()[0], "eve"),
    )

    ended = start(harness, engine)

    assert (ended.code, ended.state.status) == (5, Status.ABORTED)
    assert ended.state.grant is None
    assert aborted(harness) == ["eve"]
    assert not harness.fleet.history


def test_an_abort_requested_while_the_lease_is_taken_is_recorded_once(
    harness: EngineHarness,
) -> None:
    """The driver takes its lease after the request and before it reads the request."""
    engine, other = harness.engine(), harness.engine()

    class StoreWithAnAbortRequest:
        """Lets the other process request an abort immediately before the lease is journaled."""

        def __getattr__(self, name: str) -> Json:
            return getattr(harness.crashing_store, name)

        def append_guarded(self, grant: Json, event: Event) -> Json:
            if isinstance(event, LeaseTaken):
                state = other.request_abort(grant.run, "eve")
                assert state.status is Status.RUNNING, "its driver lives"
            return harness.store.append_guarded(grant, event)

    engine._dependencies = replace(engine._dependencies, store=StoreWithAnAbortRequest())  # type: ignore[arg-type]  # a store
    engine._store = engine._dependencies.store

    ended = start(harness, engine)

    assert ended.code == 5
    assert aborted(harness) == ["eve"]
    assert not harness.fleet.history
    assert not harness.store.holders("lab/broker")


def test_an_abort_during_a_soak_does_not_wait_for_it(harness: EngineHarness) -> None:
    engine = harness.engine()
    when(harness, acts(harness, 0), engine.stop.request)

    ended = start(harness, engine, "wait: {gates: [fake.all_serve], seconds: 300}", ROLL)

    assert ended.code == 5
    inspections = [
        e.event for e in harness.store.read(ended.run) if isinstance(e.event, InspectionEnded)
    ]
    assert [inspection.status for inspection in inspections] == ["interrupted"]
    assert not harness.fleet.history


def test_a_hard_stop_ends_the_play_and_observes_the_host(harness: EngineHarness) -> None:
    engine = harness.engine()
    when(harness, acts(harness, 2), lambda: engine.stop.request(hard=True))

    ended = start(harness, engine)

    assert ended.code == 5
    assert harness.restarted() == ["h1"]
    observed = [e.event for e in harness.store.read(ended.run) if isinstance(e.event, Observed)]
    assert [(o.host, o.invocation_id) for o in observed] == [("h1", "h1-broker-2")]
    assert ended.state.aborted is not None
    assert ended.state.aborted.left[0] == (
        "h1: broker was restarted, not yet proved healthy; left drained by this run"
    )


def test_a_hard_stop_whose_host_does_not_answer_has_an_unknown_outcome(
    harness: EngineHarness,
) -> None:
    """The play ends between a restart and its event, and the host does not answer any more."""

    class JournalWithoutTheRestart(CrashingStore):
        """The outcome of the restart never reaches the journal."""

        def append_guarded(self, grant: Json, event: Event) -> Json:
            if event.kind == "act_done" and event.act == "restart":
                engine.stop.request(hard=True)
                harness.fleet.hosts["h1"].reachable = False
                return None
            return harness.store.append_guarded(grant, event)

    engine = harness.engine(FakeRunner(harness.fleet, JournalWithoutTheRestart(harness.store)))

    ended = start(harness, engine)

    assert ended.code == 6
    assert ended.state.held is not None
    assert ended.state.held.host == "h1"


def test_a_held_run_is_aborted_at_once(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "unhealthy", before=("h1", Phase.VERIFY)))
    ended = start(harness, harness.engine())
    assert ended.code == 4

    state = harness.engine().request_abort(ended.run, "eve")

    assert state.status is Status.ABORTED
    assert state.aborted is not None
    assert "fake undrain h1" in state.aborted.next_commands


def test_a_finished_run_cannot_be_aborted(harness: EngineHarness) -> None:
    ended = start(harness, harness.engine())

    with pytest.raises(InvalidInput, match="has ended already"):
        harness.engine().request_abort(ended.run, "eve")


# --- approvals


def approval_is_requested(harness: EngineHarness) -> Callable[[], bool]:
    return lambda: any(
        isinstance(heard, Recorded) and isinstance(heard.event, ApprovalRequested)
        for heard in harness.notifications
    )


def approve(harness: EngineHarness, by: str) -> Callable[[], object]:
    return lambda: harness.engine().approve(harness.store.runs()[0], by)


def test_a_run_waits_for_the_approval_of_another_person(harness: EngineHarness) -> None:
    when(harness, approval_is_requested(harness), approve(harness, "eve"))

    ended = start(harness, harness.engine(), ASK, ROLL)

    assert ended.code == 0
    assert len(harness.restarted()) == 3


@pytest.mark.parametrize("by", ["ada", "slack:T1/U9", "zoe", "login:ada"])
def test_no_approval_of_the_starter_or_of_an_unknown_id_is_taken_and_the_request_expires(
    harness: EngineHarness, by: str
) -> None:
    def refused() -> None:
        with pytest.raises(Refused, match=r"somebody else has to approve|nobody who may approve"):
            approve(harness, by)()

    when(harness, approval_is_requested(harness), refused)

    ended = start(harness, harness.engine(), ASK, ROLL)

    assert ended.code == 3
    assert not harness.fleet.history
    assert ended.state.refused is not None
    assert "0 of 1 approvals in 600 s" in ended.state.refused.evidence


def test_after_an_act_a_missing_approval_holds(harness: EngineHarness) -> None:
    ended = start(harness, harness.engine(), ROLL, ASK)

    assert ended.code == 4
    assert len(harness.restarted()) == 3


def test_the_lease_is_renewed_while_a_run_waits_for_approval(harness: EngineHarness) -> None:
    def late() -> bool:
        started = harness.store.read(harness.store.runs()[0])[0].event.at
        return harness.fleet.clock() - started > timedelta(minutes=8)

    when(harness, late, approve(harness, "eve"))

    assert start(harness, harness.engine(), ASK, ROLL).code == 0


def test_an_abort_ends_the_wait_for_approval(harness: EngineHarness) -> None:
    engine = harness.engine()
    when(harness, approval_is_requested(harness), engine.stop.request)

    assert start(harness, engine, ASK, ROLL).code == 5


def test_a_run_that_waits_for_no_approval_is_not_approved(harness: EngineHarness) -> None:
    ended = start(harness, harness.engine())

    with pytest.raises(InvalidInput, match="does not wait"):
        harness.engine().approve(ended.run, "eve")


# --- a journal that fails


def test_a_journal_lost_in_a_play_stops_everything(harness: EngineHarness) -> None:
    class JournalThatFails(CrashingStore):
        """A journal that becomes unusable with the result of the restart."""

        def append_guarded(self, grant: Json, event: Event) -> Json:
            if event.kind == "act_done" and event.act == "restart":
                harness.crashing_store.unusable = True
            return harness.crashing_store.append_guarded(grant, event)

    with pytest.raises((StateLost, StateUnusable)) as caught:
        start(harness, harness.engine(FakeRunner(harness.fleet, JournalThatFails(harness.store))))

    assert isinstance(caught.value, StateLost)
    assert caught.value.exit_code == 6
    assert "nothing more is touched" in caught.value.message
    assert "holdfast resume" in caught.value.remedy
    assert harness.restarted() == ["h1"]


# --- the listener


def test_the_listener_receives_every_event_once_and_in_order(harness: EngineHarness) -> None:
    ended = start(harness, harness.engine())

    heard = [entry for entry in harness.notifications if isinstance(entry, Recorded)]
    assert heard == list(harness.store.read(ended.run))
    assert isinstance(heard[-1].event, Finished)
    assert any(
        isinstance(entry, Progress) and entry.host == "h1" for entry in harness.notifications
    )
