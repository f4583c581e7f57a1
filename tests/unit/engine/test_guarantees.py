"""What a roll guarantees, one by one (docs: "What a roll guarantees"), on the fake fleet.

What happened to a host is read from the fleet's own record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Progress
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.errors import ClocksDiffer, InvalidInput, LeaseHeld, StateUnusable
from holdfast.journal.events import ActDone, ActIntended, BatchStarted, GateJudged, Held, RunRefused
from holdfast.journal.run_state import Status
from holdfast.model import Act, Holder, Json, LeaseMode, Phase
from tests.fakes.fleet import Fault
from tests.fakes.play_runner import FakeRunner
from tests.unit.engine.engine_harness import (
    CrashingStore,
    EngineHarness,
    make_policy,
    write_runbook,
)

ROLL = "roll: broker_restart.yml\nhosts: broker"
SECOND = "roll: worker_restart.yml\nhosts: worker"
OTHER = Holder("other", "bob", "an upgrade", "ctl9", "boot", 99, 99)


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    harness = EngineHarness.of(tmp_path, "h1", "h2", "h3")
    harness.groups["worker"] = ("h1", "h2", "h3")
    harness.policies["worker_restart.yml"] = make_policy(
        service="worker", group="worker", shared=("broker",)
    )
    return harness


def run(harness: EngineHarness, *blocks: str) -> RunResult:
    return harness.start(harness.engine(), *(blocks or (ROLL,)))


def events(harness: EngineHarness, ended: RunResult, kind: type) -> list[Json]:
    return [e.event for e in harness.store.read(ended.run) if isinstance(e.event, kind)]


# --- 1: never more hosts out than the batch, never a batch while a host is unhealthy


def test_never_more_than_the_batch_is_out(harness: EngineHarness) -> None:
    ended = run(harness, ROLL + "\nbatch: 2\ncanary: true")

    assert ended.code == 0
    batches = [{"h1"}, {"h2", "h3"}]
    for entry in harness.fleet.history:
        assert any(entry.not_serving <= batch for batch in batches)


def test_an_unhealthy_host_outside_the_batch_holds_the_run(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h3", "unhealthy", before=("h2", Phase.PREFLIGHT)))

    ended = run(harness)

    assert ended.code == 4
    assert harness.restarted() == ["h1"]


def test_a_hold_names_the_host_that_is_ill_and_not_the_one_that_asked(
    harness: EngineHarness,
) -> None:
    harness.fleet.faults.append(Fault("h1", "unhealthy", before=("h2", Phase.PREFLIGHT)))

    ended = run(harness)

    assert ended.code == 4
    assert ended.state.held is not None
    held = ended.state.held
    assert held.host == "h1"
    assert "preflight of h2" in held.evidence
    assert held.left == [
        "h1: restarted and proved healthy earlier in this run, and not well now",
        "not touched in step 1: h2, h3",
    ]


def test_hosts_done_earlier_are_swept_with_every_batch(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "stopped", before=("h2", Phase.VERIFY)))

    ended = run(harness)

    assert ended.code == 4
    assert harness.restarted() == ["h1", "h2"]
    assert ended.state.held is not None
    assert (ended.state.held.host, ended.state.held.claim) == ("h1", "systemd.unchanged_since")
    assert ended.state.held.left[0].startswith("h1: restarted and proved healthy earlier")
    assert "done and proved healthy: h2" in ended.state.held.left


def test_the_last_batch_is_followed_by_a_sweep(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "stopped", before=("h3", Phase.UNDRAIN)))

    ended = run(harness)

    assert ended.code == 4
    assert harness.restarted() == ["h1", "h2", "h3"]
    assert ended.state.held is not None
    assert ended.state.held.host == "h1"


def test_a_sweep_includes_hosts_of_earlier_steps(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h3", "stopped", before=("h1", Phase.VERIFY), nth=2))

    ended = run(harness, ROLL, SECOND)

    assert ended.code == 4
    assert harness.restarted() == ["h1", "h2", "h3", "h1"]


# --- 2 and 3: gates before and after each host


def test_the_survey_comes_before_everything(harness: EngineHarness) -> None:
    harness.fleet.hosts["h2"].healthy = False

    ended = run(harness)

    assert ended.code == 3
    assert not harness.fleet.history
    assert ended.state.status is Status.REFUSED
    [refused] = events(harness, ended, RunRefused)
    assert (refused.claim, "h2 does not serve" in refused.evidence) == ("fake.all_serve", True)
    assert not harness.store.holders("lab/broker")


def test_a_later_step_is_surveyed_again(harness: EngineHarness) -> None:
    """The sweep and gates of a roll need not prove what the service of the next step needs."""
    harness.fleet.hosts["h3"].leaders = 7
    harness.fleet.faults.append(Fault("h3", "unknown", before=("h3", Phase.UNDRAIN)))

    ended = run(harness, ROLL, SECOND)

    assert ended.code == 4
    assert harness.restarted() == ["h1", "h2", "h3"]
    assert ended.state.held is not None
    assert (ended.state.held.step, ended.state.held.claim) == (2, "fake.all_serve")


def test_a_host_is_done_only_after_its_gates(harness: EngineHarness) -> None:
    ended = run(harness)

    events_of_run = [entry.event for entry in harness.store.read(ended.run)]
    for host in ("h1", "h2", "h3"):
        mine = [
            event.kind if not isinstance(event, ActDone | ActIntended) else event.act.value
            for event in events_of_run
            if getattr(event, "host", "") == host
            and not (isinstance(event, GateJudged) and event.phase in {"sweep", "check"})
        ]
        assert mine == [
            "gate_judged",
            *["drain"] * 2,
            "gate_judged",
            *["restart"] * 2,
            "gate_judged",
            *["undrain"] * 2,
            "host_done",
        ]


def test_a_play_that_succeeds_without_recording_host_done_holds(harness: EngineHarness) -> None:
    class JournalWithoutHostDone(CrashingStore):
        """A journal that loses every host_done."""

        def append_guarded(self, grant: Json, event: Json) -> Json:
            if event.kind != "host_done":
                return harness.store.append_guarded(grant, event)
            return None

    engine = harness.engine(FakeRunner(harness.fleet, JournalWithoutHostDone(harness.store)))
    ended = harness.start(engine, ROLL)

    assert ended.code == 4
    assert harness.restarted() == ["h1"]


# --- 4: FAIL, UNKNOWN, unreachable: all hold; acts are never repeated


@pytest.mark.parametrize(
    "kind", ["unhealthy", "unknown", "unreachable", "restart_fails", "stopped"]
)
def test_every_fault_holds_and_no_act_is_repeated(harness: EngineHarness, kind: str) -> None:
    before = ("h2", Phase.RESTART if kind == "restart_fails" else Phase.VERIFY)
    harness.fleet.faults.append(Fault("h2", kind, before=before))

    ended = run(harness)

    assert ended.code == 4
    assert harness.restarted() == ["h1", "h2"]
    assert ended.state.held is not None
    assert ended.state.held.host == "h2"
    assert "h3" not in {entry.host for entry in harness.fleet.history}


def test_unknown_is_not_pass_in_a_check(harness: EngineHarness) -> None:
    harness.fleet.answer_unknown.add("h1")

    ended = run(harness, "check: [fake.all_serve]", ROLL)

    assert ended.code == 3
    assert not harness.fleet.history


def test_a_check_of_one_host_each_names_the_host_that_fails(harness: EngineHarness) -> None:
    harness.host_claims = frozenset({"own.active"})
    harness.policies["broker_restart.yml"] = make_policy(survey=())
    harness.fleet.hosts["h2"].healthy = False

    ended = run(harness, "check: [own.active]\nhosts: broker", ROLL)

    assert ended.code == 3
    assert ended.state.refused is not None
    assert "h2 does not serve" in ended.state.refused.evidence


# --- 5: a failed host is left as it is, and the hold reports it


def test_a_hold_reports_host_evidence_states_and_next_commands(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h2", "unhealthy", before=("h2", Phase.VERIFY)))

    ended = run(harness)

    [held] = events(harness, ended, Held)
    assert (held.host, held.step, held.claim, held.code) == ("h2", 1, "fake.serves_again", 4)
    assert "FAIL not_serving: h2 does not serve" in held.evidence
    assert held.left == [
        "h2: broker was restarted, not yet proved healthy; left drained by this run",
        "done and proved healthy: h1",
        "not touched in step 1: h3",
    ]
    assert held.next_commands == [
        f"holdfast resume {ended.run} --reason '…'",
        "fake undrain h2",
        f"holdfast log {ended.run}",
    ]
    assert harness.fleet.hosts["h2"].drained_by == ended.run


def test_a_hold_releases_the_lease(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h2", "unhealthy", before=("h2", Phase.VERIFY)))
    run(harness)

    assert not harness.store.holders("lab/broker")


# --- 6: intent before act; a resume observes the host


def test_every_act_follows_its_intent_with_the_invocation_id(harness: EngineHarness) -> None:
    ended = run(harness)

    intents = [e for e in events(harness, ended, ActIntended) if e.act is Act.RESTART]
    assert [(e.host, e.invocation_id) for e in intents] == [
        (host, f"{host}-broker-1") for host in ("h1", "h2", "h3")
    ]


# --- 7: what is missing or proves nothing is refused


def test_a_run_without_a_reason_is_refused(harness: EngineHarness) -> None:
    engine = harness.engine()
    plan = engine.planner.plan(write_runbook(harness.path, ROLL), harness.path, {})

    with pytest.raises(InvalidInput, match="needs a reason"):
        engine.start(plan, "ada", "  ")
    assert not harness.store.runs()


def test_a_check_whose_play_judged_nothing_does_not_pass(harness: EngineHarness) -> None:
    class JournalWithoutGates(CrashingStore):
        def append_guarded(self, grant: Json, event: Json) -> Json:
            if event.kind != "gate_judged":
                return harness.store.append_guarded(grant, event)
            return None

    engine = harness.engine(FakeRunner(harness.fleet, JournalWithoutGates(harness.store)))
    assert harness.start(engine, ROLL).code == 3


# --- 8: the lease


def test_a_run_whose_scope_is_held_is_refused_before_anything_is_journaled(
    harness: EngineHarness,
) -> None:
    scopes = {"lab/broker": LeaseMode.SHARED}
    harness.store.take(OTHER, scopes, timedelta(minutes=5))

    with pytest.raises(LeaseHeld, match=r"bob.*an upgrade") as caught:
        run(harness)

    assert caught.value.exit_code == 3
    assert not harness.fleet.history
    assert not harness.store.runs()


def test_a_service_that_is_needed_is_leased_shared(harness: EngineHarness) -> None:
    seen: list[set[str]] = []

    def read_modes() -> None:
        rows = harness.store.holders("lab/broker")
        seen.append({row.mode.value for row in rows})

    harness.fleet.clock.on_tick.append(read_modes)
    run(harness, SECOND)

    assert {"shared"} in seen
    assert {"exclusive"} not in seen


def test_the_lease_is_renewed_while_the_driver_runs(harness: EngineHarness) -> None:
    """Twenty minutes of gates: far longer than the lease is valid."""

    def slowly() -> None:
        harness.fleet.clock.now += timedelta(seconds=19)

    harness.fleet.clock.on_tick.append(slowly)

    ended = run(harness, ROLL, SECOND)

    assert ended.code == 0
    assert harness.fleet.clock.now - harness.store.read(ended.run)[0].event.at > timedelta(
        minutes=5
    )


def test_no_run_begins_in_a_state_that_goes_with_its_container(harness: EngineHarness) -> None:
    def refuse() -> None:
        raise StateUnusable("goes with it", remedy="a volume")

    harness.store.require_lasting = refuse
    with pytest.raises(StateUnusable, match="goes with it"):
        harness.start(harness.engine(), ROLL)
    assert (harness.fleet.history, list(harness.store.runs())) == ([], [])


def test_a_clock_that_is_set_back_does_not_put_the_renewal_off(harness: EngineHarness) -> None:
    """The controller's; leases go by the database's."""
    engine, ahead = harness.engine(), timedelta(hours=1)
    harness.store._clock = lambda _: harness.fleet.clock() + ahead

    def slowly() -> None:
        nonlocal ahead
        harness.fleet.clock.now += timedelta(seconds=19)
        if len(harness.fleet.history) == 1 and ahead == timedelta(hours=1):
            harness.fleet.clock.now -= timedelta(hours=1)
            ahead *= 2

    own = engine._dependencies
    engine = Engine(replace(own, clock=lambda: harness.fleet.clock() + timedelta(hours=1)))
    harness.fleet.clock.on_tick.append(slowly)

    assert harness.start(engine, ROLL).code == 0


@pytest.mark.parametrize("stolen", [True, False])
def test_a_lost_lease_stops_the_play_at_its_next_act_and_holds(
    harness: EngineHarness, stolen: bool
) -> None:
    """The driver is frozen after the first host's drain; its lease expires."""

    def freeze() -> None:
        if len(harness.fleet.history) == 1:
            harness.fleet.clock.now += timedelta(minutes=10)
            if stolen:
                scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
                harness.store.take(OTHER, scopes, timedelta(minutes=5))

    harness.fleet.clock.on_tick.insert(0, freeze)

    ended = run(harness)

    assert ended.code == 4
    assert [(entry.host, entry.action) for entry in harness.fleet.history] == [("h1", "drain")]
    assert ended.state.held is not None
    assert "lease" in ended.state.held.evidence


def with_clock_ahead(engine: Engine, seconds: int) -> Engine:
    """Return the engine on a controller whose clock is ahead of the database's."""
    own = engine._dependencies.clock
    ahead = timedelta(seconds=seconds)
    return Engine(replace(engine._dependencies, clock=lambda: own() + ahead))


def test_a_controller_that_is_61_s_ahead_starts_nothing(harness: EngineHarness) -> None:
    with pytest.raises(ClocksDiffer, match="61 s ahead of that of the state database") as caught:
        harness.start(with_clock_ahead(harness.engine(), 61), ROLL)

    assert caught.value.exit_code == 3
    assert not harness.fleet.history
    assert not harness.store.runs()


def test_a_controller_that_is_61_s_ahead_takes_no_living_lease(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "unhealthy", ("h1", Phase.VERIFY)))
    held = harness.start(harness.engine(), ROLL)
    harness.fleet.repair()
    harness.store.take(OTHER, {"lab/broker": LeaseMode.EXCLUSIVE}, timedelta(seconds=60))

    with pytest.raises(LeaseHeld, match="bob"):
        with_clock_ahead(harness.engine(), 61).resume(held.run, "ada", "repaired")
    assert harness.restarted() == ["h1"]


def test_a_resume_names_the_difference_of_the_clocks_and_goes_on(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "unhealthy", ("h1", Phase.VERIFY)))
    held = harness.start(harness.engine(), ROLL)
    harness.fleet.repair()

    ended = with_clock_ahead(harness.engine(), 61).resume(held.run, "ada", "repaired")

    assert ended.code == 0
    told = [each.text for each in harness.notifications if isinstance(each, Progress)]
    assert any("61 s ahead of that of the state database" in text for text in told)


# --- 10: undo touches only what the run did


def test_a_host_drained_by_another_person_stays_drained(harness: EngineHarness) -> None:
    harness.policies["broker_restart.yml"] = make_policy(survey=())
    harness.fleet.hosts["h1"].drained_by = "somebody"

    run(harness)

    assert harness.fleet.hosts["h1"].drained_by == "somebody"
    assert "undrain" not in {e.action for e in harness.fleet.history if e.host == "h1"}


def test_the_order_follows_the_latest_evidence(harness: EngineHarness) -> None:
    harness.fleet.hosts["h1"].leaders = 3
    ended = run(harness)

    assert harness.restarted() == ["h2", "h3", "h1"]
    started = events(harness, ended, BatchStarted)
    assert started[0].why == "fewest leaders first (h2 has 0)"
