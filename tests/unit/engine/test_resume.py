"""A crash at any event, and the resume after it: every host is restarted exactly once."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.engine.driver import RunResult
from holdfast.engine.hold_report import hold_message
from holdfast.errors import InvalidInput, LeaseHeld
from holdfast.journal.events import (
    AbortRequested,
    ActIntended,
    BatchStarted,
    InspectionStarted,
    LeaseTaken,
    Observed,
    RunOpened,
)
from holdfast.journal.run_state import Status
from holdfast.model import Act, Holder, LeaseMode, Phase
from tests.fakes.fleet import Fault
from tests.unit.engine.engine_harness import DriverKilled, EngineHarness, make_policy

ROLL = "roll: broker_restart.yml\nhosts: broker"
EVENTS_OF_TWO_HOSTS = 36


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "h1", "h2")


def start(harness: EngineHarness, *blocks: str) -> RunResult:
    return harness.start(harness.engine(), *(blocks or (ROLL,)))


def resume(harness: EngineHarness, reason: str = "repaired") -> RunResult:
    return harness.engine().resume(harness.store.runs()[0], "bob", reason)


def crash(harness: EngineHarness, at: int, *, after: bool) -> bool:
    """Start a run whose driver is killed at its ``at``-th event; return whether it was."""
    harness.crashing_store.crash_at, harness.crashing_store.crash_after_write = at, after
    try:
        start(harness)
    except DriverKilled:
        harness.kill_drivers()
        return True
    finally:
        harness.crashing_store.crash_at = 0
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, EVENTS_OF_TWO_HOSTS + 1))
def test_a_crash_at_any_event_loses_and_repeats_no_restart(
    harness: EngineHarness, at: int, after: bool
) -> None:
    assert crash(harness, at, after=after)
    touched = bool(harness.fleet.history)
    if not harness.store.runs() or harness.engine().state(harness.store.runs()[0]).grant is None:
        assert not touched
        return

    if harness.engine().state(harness.store.runs()[0]).status is Status.RUNNING:
        assert resume(harness).code == 0

    assert harness.fleet.restarts() == {("h1", "broker"): 1, ("h2", "broker"): 1}
    assert not harness.fleet.not_serving()


def test_the_crashes_cover_all_events(harness: EngineHarness) -> None:
    """The range above would miss events that are added later."""
    ended = start(harness)

    assert ended.state.seq == EVENTS_OF_TWO_HOSTS


def stop_at_h1(
    harness: EngineHarness, kind: str = "unhealthy", before: Phase = Phase.VERIFY
) -> RunResult:
    harness.fleet.faults.append(Fault("h1", kind, before=("h1", before)))
    ended = start(harness)
    assert ended.code in {4, 6}
    return ended


def test_a_restarted_host_is_verified_and_not_restarted_again(harness: EngineHarness) -> None:
    stop_at_h1(harness)
    harness.fleet.repair()

    ended = resume(harness)

    assert ended.code == 0
    phases = [batch.phases for batch in ended.state.batches if batch.hosts == ("h1",)]
    assert phases[1] == (Phase.VERIFY, Phase.UNDRAIN)
    assert harness.fleet.restarts()["h1", "broker"] == 1


def test_a_drained_host_that_was_not_restarted_is_undrained_first(harness: EngineHarness) -> None:
    stop_at_h1(harness, "unreachable", Phase.RESTART)
    harness.fleet.repair()

    ended = resume(harness)

    assert ended.code == 0
    phases = [batch.phases for batch in ended.state.batches if batch.hosts == ("h1",)]
    assert phases[1] == (Phase.UNDRAIN,)
    assert harness.fleet.restarts()["h1", "broker"] == 1


def test_a_host_that_an_operator_started_counts_as_restarted(harness: EngineHarness) -> None:
    stop_at_h1(harness, "restart_fails", Phase.RESTART)
    harness.fleet.repair()

    assert resume(harness).code == 0
    assert harness.fleet.restarts()["h1", "broker"] == 1


def test_hosts_in_hand_are_observed_before_anything_else(harness: EngineHarness) -> None:
    ended = stop_at_h1(harness)
    harness.fleet.repair()
    resume(harness)

    after = [e.event for e in harness.store.read(ended.run, after=ended.state.seq)]
    first = [e for e in after if isinstance(e, InspectionStarted | Observed | BatchStarted)]
    assert isinstance(first[0], InspectionStarted)
    assert (first[0].what, first[0].hosts) == ("observe", ["h1"])
    assert isinstance(first[1], Observed)


def test_a_host_that_cannot_be_observed_holds_with_an_unknown_outcome(
    harness: EngineHarness,
) -> None:
    """The driver dies between the intent to restart and the restart's outcome."""
    harness.crashing_store.crash_at = 12
    with pytest.raises(DriverKilled):
        start(harness)
    harness.kill_drivers()
    harness.fleet.hosts["h1"].reachable = False

    ended = resume(harness)

    assert ended.code == 6
    assert ended.state.held is not None
    assert ended.state.held.host == "h1"
    assert "whether it happened is unknown" in ended.state.held.left[0]
    before = harness.fleet.restarts()

    harness.fleet.repair()
    assert resume(harness).code == 0
    assert harness.fleet.restarts() == {("h1", "broker"): 1, ("h2", "broker"): 1}
    assert before.get(("h1", "broker"), 0) <= 1


def test_done_hosts_are_observed_again_so_that_a_repair_is_no_fault(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "stopped", before=("h2", Phase.PREFLIGHT)))
    assert start(harness).code == 4

    # Resumed without a repair: it holds again, with the fault.
    again = resume(harness)
    assert again.code == 4
    assert again.state.held is not None
    assert (again.state.held.host, again.state.held.claim) == ("h1", "systemd.active")

    harness.fleet.repair()
    assert resume(harness).code == 0
    assert harness.fleet.restarts() == {("h1", "broker"): 1, ("h2", "broker"): 1}


def test_the_survey_is_repeated(harness: EngineHarness) -> None:
    stop_at_h1(harness, "unreachable", Phase.PREFLIGHT)
    harness.fleet.repair()
    harness.fleet.hosts["h2"].healthy = False

    ended = resume(harness)

    assert ended.code == 4
    assert not harness.fleet.restarts()


def test_order_is_decided_from_fresh_evidence(harness: EngineHarness) -> None:
    harness.fleet.hosts["h2"].leaders = 1
    stop_at_h1(harness, "unreachable", Phase.PREFLIGHT)
    harness.fleet.repair()
    harness.fleet.hosts["h1"].leaders = 5

    ended = resume(harness)

    assert [batch.hosts for batch in ended.state.batches] == [("h1",), ("h2",), ("h1",)]


# --- which runs may be resumed


def test_a_run_with_a_living_driver_is_not_resumed(harness: EngineHarness) -> None:
    messages: list[str] = []

    def intrude() -> None:
        if len(harness.fleet.history) == 2 and not messages:
            with pytest.raises(LeaseHeld) as caught:
                resume(harness)
            messages.append(caught.value.message)

    harness.fleet.clock.on_tick.append(intrude)

    assert start(harness).code == 0
    assert "ada" in messages[0]


def test_a_run_in_its_survey_is_not_resumed(harness: EngineHarness) -> None:
    messages: list[str] = []

    def intrude() -> None:
        if not messages:
            with pytest.raises(LeaseHeld) as caught:
                resume(harness)
            messages.append(caught.value.message)

    harness.fleet.clock.on_tick.append(intrude)

    assert start(harness).code == 0
    assert "is driven by ada, process 1 on ctl" in messages[0]


def test_a_run_that_died_in_its_survey_is_started_anew(harness: EngineHarness) -> None:
    assert crash(harness, 2, after=True)

    with pytest.raises(InvalidInput, match="never held its lease"):
        resume(harness)


def test_a_run_is_not_driven_under_a_lease_that_another_process_took_for_it(
    harness: EngineHarness,
) -> None:
    """The process whose lease is the last in the journal drives the run, and no other."""
    seen: list[int] = []

    def intrude() -> None:
        if not seen:
            run = harness.store.runs()[0]
            seen.append(len(harness.store.read(run)))
            other = Holder(run, "eve", "hers", "ctl9", "boot", 99, 99)
            scopes, now = {"lab/broker": LeaseMode.EXCLUSIVE}, harness.fleet.clock()
            grant = harness.store.take(other, scopes, timedelta(minutes=5))
            harness.store.append(run, LeaseTaken(at=now, tokens=dict(grant.tokens)))

    harness.fleet.clock.on_tick.append(intrude)

    ended = start(harness)

    assert ended.code == 4
    assert not harness.fleet.history
    assert {"step_started", "held"}.isdisjoint(e.event.kind for e in harness.store.read(ended.run))


def test_a_frozen_driver_that_was_replaced_records_nothing_more(harness: EngineHarness) -> None:
    """Frozen in its first play until its lease expired; another driver finishes; then it continues."""
    codes: list[int] = []

    def freeze() -> None:
        if len(harness.fleet.history) == 2 and not codes:
            harness.fleet.clock.now += timedelta(minutes=10)
            codes.append(-1)
            codes.append(resume(harness).code)

    harness.fleet.clock.on_tick.insert(0, freeze)

    woken = start(harness)

    assert codes == [-1, 0]
    assert woken.code == 4
    kinds = [entry.event.kind for entry in harness.store.read(woken.run)]
    # Its play still journals what it observed; the driver journals nothing more.
    assert set(kinds[kinds.index("finished") + 1 :]) <= {"gate_judged", "act_done", "host_done"}
    assert harness.fleet.restarts() == {("h1", "broker"): 1, ("h2", "broker"): 1}


def test_while_another_run_holds_the_scope_a_resume_is_refused(harness: EngineHarness) -> None:
    stop_at_h1(harness)
    other = Holder("other", "eve", "her turn", "ctl9", "boot", 99, 99)
    scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
    harness.store.take(other, scopes, timedelta(minutes=5))

    with pytest.raises(LeaseHeld, match="her turn"):
        resume(harness)
    assert harness.engine().state(harness.store.runs()[0]).status is Status.HELD


@pytest.mark.parametrize("ending", ["finished", "refused"])
def test_a_finished_or_refused_run_is_not_resumed(harness: EngineHarness, ending: str) -> None:
    harness.fleet.hosts["h1"].healthy = ending == "finished"
    start(harness)

    with pytest.raises(InvalidInput, match=f"is {ending}") as refused:
        resume(harness)
    assert refused.value.remedy.startswith("holdfast run broker-restart --site ")


def test_a_run_by_hand_is_not_resumed(harness: EngineHarness) -> None:
    opened = RunOpened(
        at=harness.fleet.clock(),
        runbook="",
        runbook_hash="",
        site="lab",
        by="ada",
        reason="by hand",
        controller="ctl",
        process=1,
    )
    harness.store.append("by-hand", opened)

    with pytest.raises(InvalidInput, match="started by hand"):
        resume(harness)


def test_an_unknown_run_is_named_with_its_nearest(harness: EngineHarness) -> None:
    ended = start(harness)

    with pytest.raises(InvalidInput, match=f"did you mean {ended.run}"):
        harness.engine().resume(ended.run[:-1], "ada", "x")


def test_a_resume_needs_a_reason(harness: EngineHarness) -> None:
    stop_at_h1(harness)

    with pytest.raises(InvalidInput, match="needs a reason"):
        resume(harness, " ")


def test_hosts_that_left_the_inventory_stop_a_resume(harness: EngineHarness) -> None:
    stop_at_h1(harness)
    harness.groups["broker"] = ("h1",)

    with pytest.raises(InvalidInput, match=r"no longer has hosts .*: h2"):
        resume(harness)


def test_an_aborted_run_is_resumed(harness: EngineHarness) -> None:
    def ask() -> None:
        if len(harness.fleet.history) == 1 and not engine.stop.at_boundary:
            engine.stop.request()

    engine = harness.engine()
    harness.fleet.clock.on_tick.append(ask)
    assert harness.start(engine, ROLL).code == 5
    harness.fleet.clock.on_tick.remove(ask)

    assert resume(harness).code == 0
    assert harness.fleet.restarts() == {("h1", "broker"): 1, ("h2", "broker"): 1}


def test_an_old_request_to_abort_does_not_stop_a_resumed_run(harness: EngineHarness) -> None:
    ended = stop_at_h1(harness)
    at = harness.fleet.clock()
    harness.store.append(ended.run, AbortRequested(at=at, by="eve"))
    harness.fleet.repair()

    assert resume(harness).code == 0


def test_a_run_whose_driver_died_is_reported_like_a_hold(harness: EngineHarness) -> None:
    assert crash(harness, 12, after=True)

    message = hold_message(harness.engine().state(harness.store.runs()[0]))

    assert message is not None
    assert "with h1 in hand" in message.evidence
    assert message.left[0].startswith("h1: a restart of broker was sent")
    assert message.code == 6
    assert message.next_commands[0].startswith("holdfast resume ")


def test_the_report_of_a_run_does_not_change_its_state(harness: EngineHarness) -> None:
    assert crash(harness, 2, after=True)
    state = harness.engine().state(harness.store.runs()[0])
    before = copy.deepcopy(state)

    assert hold_message(state) is not None
    assert state == before
    assert not state.steps


def test_a_host_with_only_one_of_two_units_restarted_holds(harness: EngineHarness) -> None:
    harness.policies["broker_restart.yml"] = make_policy(survey=())
    ended = stop_at_h1(harness)
    [intent] = [
        e.event
        for e in harness.store.read(ended.run)
        if e.event.kind == "act_intended" and e.event.act == "restart"
    ]
    second = intent.model_copy(update={"unit": "other", "invocation_id": "h1-other-1"})
    harness.store.append(ended.run, second)
    harness.fleet.repair()

    again = resume(harness)

    assert again.code == 4
    assert again.state.held is not None
    assert "by hand" in again.state.held.evidence


# --- brokers: a drain that is not in effect, or is not in effect any more


@pytest.fixture
def brokers(harness: EngineHarness) -> EngineHarness:
    harness.fleet.brokers = True
    return harness


@pytest.mark.parametrize("given_back", [True, False])
def test_a_drain_that_was_given_back_by_hand_is_given_back(
    brokers: EngineHarness, given_back: bool
) -> None:
    """The hold itself prints the command; without a word in the journal no resume would ever go on."""
    brokers.fleet.faults.append(Fault("h1", "unreachable", before=("h1", Phase.RESTART)))
    ended = start(brokers, ROLL)
    assert ended.state.held is not None
    assert ended.state.held.left[0] == "h1: not restarted; left drained by this run"
    assert "fake undrain h1" in ended.state.held.next_commands
    brokers.fleet.repair()
    if given_back:
        brokers.fleet.hosts["h1"].drained_by = ""

    assert resume(brokers).code == 0
    assert brokers.restarted() == ["h1", "h2"]


def test_a_drain_that_a_restart_ended_is_not_to_be_undone(brokers: EngineHarness) -> None:
    brokers.fleet.faults.append(Fault("h1", "unhealthy", before=("h1", Phase.VERIFY)))

    held = start(brokers, ROLL).state.held

    assert held is not None
    assert held.left[0] == "h1: broker was restarted, not yet proved healthy"
    assert not [command for command in held.next_commands if "undrain" in command]


def test_a_drain_that_fails_leaves_nothing_to_undo(brokers: EngineHarness) -> None:
    brokers.fleet.act_fails.add(("h1", Act.DRAIN))

    held = start(brokers, ROLL).state.held

    assert held is not None
    assert held.left == ["not touched in step 1: h1, h2"]
    assert held.evidence == "`fake drain h1` ended with status 1; h1 is not drained"
    assert not [command for command in held.next_commands if "undrain" in command]
    brokers.fleet.repair()
    assert resume(brokers).code == 0
    assert brokers.restarted() == ["h1", "h2"]


def test_a_drain_of_which_no_result_is_known_is_called_so(brokers: EngineHarness) -> None:
    brokers.crashing_store.crash_after = ActIntended
    with pytest.raises(DriverKilled):
        start(brokers, ROLL)

    message = hold_message(brokers.engine().state(brokers.store.runs()[0]))
    assert message is not None
    assert message.left[0] == (
        "h1: not restarted; a drain was begun, and it is not known whether it is in effect"
    )
    assert "fake undrain h1" in message.next_commands


def test_a_doubt_just_before_the_restart_gives_the_host_back(brokers: EngineHarness) -> None:
    """Seen: one broker froze while another was drained, which was restarted beside it."""
    brokers.fleet.faults.append(Fault("h2", "unknown", before=("h1", Phase.RESTART)))

    held = start(brokers, ROLL).state.held

    assert held is not None
    assert held.claim == "fake.others_serve"
    assert held.left == ["drained and given back, not restarted: h1", "not touched in step 1: h2"]
    assert brokers.restarted() == []
    assert brokers.fleet.hosts["h1"].drained_by == ""
    brokers.fleet.repair()
    assert resume(brokers).code == 0
    assert brokers.restarted() == ["h1", "h2"]
