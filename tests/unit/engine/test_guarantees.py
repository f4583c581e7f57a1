"""What a roll guarantees, one by one (docs: "What a roll guarantees"), on the fake fleet.

What happened to a host is read from the fleet's own record.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.ansible.fake_fleet import Fault
from holdfast.ansible.fake_runner import FakeRunner
from holdfast.engine import RunResult
from holdfast.errors import InvalidInput, LeaseHeld
from holdfast.journal import Status
from holdfast.journal.events import ActDone, ActIntended, BatchStarted, GateJudged, Held, RunRefused
from holdfast.model import Act, Holder, Json, LeaseMode, Phase
from tests.unit.engine.worlds import World, policy, runbook

ROLL = "roll: broker_restart.yml\nhosts: broker"
SECOND = "roll: worker_restart.yml\nhosts: worker"
OTHER = Holder("other", "bob", "an upgrade", "ctl9", "boot", 99, 99)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World.of(tmp_path, "h1", "h2", "h3")
    world.groups["worker"] = ("h1", "h2", "h3")
    world.policies["worker_restart.yml"] = policy(
        service="worker", group="worker", shared=("broker",)
    )
    return world


def run(world: World, *blocks: str) -> RunResult:
    engine = world.engine()
    plan = engine.planner.plan(runbook(world.path, *(blocks or (ROLL,))), world.path, {})
    return engine.start(plan, "ada", "why")


def restarted(world: World) -> list[str]:
    return [entry.host for entry in world.fleet.history if entry.what == "restart"]


def events(world: World, ended: RunResult, kind: type) -> list[Json]:
    return [e.event for e in world.store.read(ended.run) if isinstance(e.event, kind)]


# --- 1: never more than the batch is out, never a batch while anything is not well


def test_never_more_than_the_batch_is_out(world: World) -> None:
    ended = run(world, ROLL + "\nbatch: 2\ncanary: true")

    assert ended.code == 0
    batches = [{"h1"}, {"h2", "h3"}]
    for entry in world.fleet.history:
        assert any(entry.out <= batch for batch in batches)


def test_a_batch_waits_for_nothing_that_is_ill_outside_it(world: World) -> None:
    world.fleet.troubles.append(Fault("h3", "sick", before=("h2", Phase.PREFLIGHT)))

    ended = run(world)

    assert ended.code == 4
    assert restarted(world) == ["h1"]


def test_hosts_done_earlier_are_looked_at_again_with_every_batch(world: World) -> None:
    world.fleet.troubles.append(Fault("h1", "dead", before=("h2", Phase.VERIFY)))

    ended = run(world)

    assert ended.code == 4
    assert restarted(world) == ["h1", "h2"]
    assert ended.state.held is not None
    assert (ended.state.held.host, ended.state.held.claim) == ("h1", "systemd.unchanged_since")


def test_the_last_batch_is_followed_by_a_sweep(world: World) -> None:
    world.fleet.troubles.append(Fault("h1", "dead", before=("h3", Phase.UNDRAIN)))

    ended = run(world)

    assert ended.code == 4
    assert restarted(world) == ["h1", "h2", "h3"]
    assert ended.state.held is not None
    assert ended.state.held.host == "h1"


def test_a_sweep_looks_at_what_earlier_steps_did(world: World) -> None:
    world.fleet.troubles.append(Fault("h3", "dead", before=("h1", Phase.VERIFY), nth=2))

    ended = run(world, ROLL, SECOND)

    assert ended.code == 4
    assert restarted(world) == ["h1", "h2", "h3", "h1"]


# --- 2 and 3: gates before and after each host


def test_the_survey_comes_before_everything(world: World) -> None:
    world.fleet.hosts["h2"].healthy = False

    ended = run(world)

    assert ended.code == 3
    assert not world.fleet.history
    assert ended.state.status is Status.REFUSED
    [refused] = events(world, ended, RunRefused)
    assert (refused.claim, "h2 does not serve" in refused.evidence) == ("fake.all_serve", True)
    assert not world.store.holders("lab/broker", world.fleet.clock())


def test_a_later_step_is_surveyed_again(world: World) -> None:
    """A roll's own sweep and gates need not ask what the next step's service needs."""
    world.fleet.hosts["h3"].leaders = 7
    world.fleet.troubles.append(Fault("h3", "undecided", before=("h3", Phase.UNDRAIN)))

    ended = run(world, ROLL, SECOND)

    assert ended.code == 4
    assert restarted(world) == ["h1", "h2", "h3"]
    assert ended.state.held is not None
    assert (ended.state.held.step, ended.state.held.claim) == (2, "fake.all_serve")


def test_a_host_is_done_only_after_its_gates(world: World) -> None:
    ended = run(world)

    said = [entry.event for entry in world.store.read(ended.run)]
    for host in ("h1", "h2", "h3"):
        mine = [
            event.kind if not isinstance(event, ActDone | ActIntended) else event.act.value
            for event in said
            if getattr(event, "host", "") == host
            and not (isinstance(event, GateJudged) and event.phase in {"sweep", "check"})
        ]
        assert mine == [
            "gate_judged",
            *["drain"] * 2,
            *["restart"] * 2,
            "gate_judged",
            *["undrain"] * 2,
            "host_done",
        ]


def test_a_play_that_ends_well_without_a_word_of_its_host_holds(world: World) -> None:
    class Silent:
        """A journal that loses what plays say of hosts that are done."""

        def append(self, run: str, event: Json) -> Json:
            if event.kind != "host_done":
                return world.store.append(run, event)
            return None

        def append_guarded(self, grant: Json, event: Json, now: Json) -> Json:
            return world.store.append_guarded(grant, event, now)

    engine = world.engine(FakeRunner(world.fleet, Silent()))
    plan = engine.planner.plan(runbook(world.path, ROLL), world.path, {})

    ended = engine.start(plan, "ada", "why")

    assert ended.code == 4
    assert restarted(world) == ["h1"]


# --- 4: FAIL, UNKNOWN, unreachable: all hold; acts are never repeated


@pytest.mark.parametrize("kind", ["sick", "undecided", "unreachable", "broken", "dead"])
def test_whatever_is_not_pass_holds_and_nothing_is_repeated(world: World, kind: str) -> None:
    before = ("h2", Phase.RESTART if kind == "broken" else Phase.VERIFY)
    world.fleet.troubles.append(Fault("h2", kind, before=before))

    ended = run(world)

    assert ended.code == 4
    assert restarted(world) == ["h1", "h2"]
    assert ended.state.held is not None
    assert ended.state.held.host == "h2"
    assert "h3" not in {entry.host for entry in world.fleet.history}


def test_unknown_is_not_pass_in_a_check(world: World) -> None:
    world.fleet.undecided.add("h1")

    ended = run(world, "check: [fake.all_serve]", ROLL)

    assert ended.code == 3
    assert not world.fleet.history


def test_a_check_of_one_host_each_names_the_host_that_fails(world: World) -> None:
    world.own_claims = frozenset({"own.active"})
    world.policies["broker_restart.yml"] = policy(survey=())
    world.fleet.hosts["h2"].healthy = False

    ended = run(world, "check: [own.active]\nhosts: broker", ROLL)

    assert ended.code == 3
    assert ended.state.refused is not None
    assert "h2 does not serve" in ended.state.refused.evidence


# --- 5: a failed host is left as it is, and the message says so


def test_a_hold_says_where_why_what_is_left_and_what_comes_next(world: World) -> None:
    world.fleet.troubles.append(Fault("h2", "sick", before=("h2", Phase.VERIFY)))

    ended = run(world)

    [held] = events(world, ended, Held)
    assert (held.host, held.step, held.claim, held.code) == ("h2", 1, "fake.serves_again", 4)
    assert "FAIL not_serving: h2 does not serve" in held.evidence
    assert held.left == [
        "h2: broker was restarted, not yet proved healthy; drained before that",
        "done and proved healthy: h1",
        "not touched in step 1: h3",
    ]
    assert held.next_commands == [
        f"holdfast resume {ended.run} --reason '…'",
        "fake undrain h2",
        f"holdfast log {ended.run}",
    ]
    assert world.fleet.hosts["h2"].drained_by == ended.run


def test_a_hold_gives_the_lease_back(world: World) -> None:
    world.fleet.troubles.append(Fault("h2", "sick", before=("h2", Phase.VERIFY)))
    run(world)

    assert not world.store.holders("lab/broker", world.fleet.clock())


# --- 6: intent before act; resume asks the host


def test_every_act_follows_its_intent_with_the_invocation_id(world: World) -> None:
    ended = run(world)

    intents = [e for e in events(world, ended, ActIntended) if e.act is Act.RESTART]
    assert [(e.host, e.invocation_id) for e in intents] == [
        (host, f"{host}-broker-1") for host in ("h1", "h2", "h3")
    ]


# --- 7: what names nothing is refused


def test_a_run_without_a_reason_is_refused(world: World) -> None:
    engine = world.engine()
    plan = engine.planner.plan(runbook(world.path, ROLL), world.path, {})

    with pytest.raises(InvalidInput, match="needs a reason"):
        engine.start(plan, "ada", "  ")
    assert not world.store.runs()


def test_a_check_whose_play_judged_nothing_does_not_pass(world: World) -> None:
    class Mute:
        def append(self, run: str, event: Json) -> Json:
            return None if event.kind == "gate_judged" else world.store.append(run, event)

        append_guarded = None

    engine = world.engine(FakeRunner(world.fleet, Mute()))  # type: ignore[arg-type]  # by design
    plan = engine.planner.plan(runbook(world.path, ROLL), world.path, {})

    assert engine.start(plan, "ada", "why").code == 3


# --- 8: the lease


def test_another_run_is_refused_before_anything(world: World) -> None:
    scopes = {"lab/broker": LeaseMode.SHARED}
    world.store.take(OTHER, scopes, timedelta(minutes=5), world.fleet.clock())

    with pytest.raises(LeaseHeld, match=r"bob.*an upgrade") as caught:
        run(world)

    assert caught.value.exit_code == 3
    assert not world.fleet.history
    assert not world.store.runs()


def test_what_a_service_needs_is_kept_from_others(world: World) -> None:
    seen: list[set[str]] = []

    def look() -> None:
        rows = world.store.holders("lab/broker", world.fleet.clock())
        seen.append({row.mode.value for row in rows})

    world.fleet.clock.on_tick.append(look)
    run(world, SECOND)

    assert {"shared"} in seen
    assert {"exclusive"} not in seen


def test_the_lease_is_renewed_while_the_run_lives(world: World) -> None:
    """Twenty minutes of gates: longer than the lease by far."""

    def slowly() -> None:
        world.fleet.clock.now += timedelta(seconds=19)

    world.fleet.clock.on_tick.append(slowly)

    ended = run(world, ROLL, SECOND)

    assert ended.code == 0
    assert world.fleet.clock.now - world.store.read(ended.run)[0].event.at > timedelta(minutes=5)


@pytest.mark.parametrize("stolen", [True, False])
def test_a_lost_lease_stops_the_play_at_its_next_act_and_holds(world: World, stolen: bool) -> None:
    """The driver is frozen after the first host's drain; its lease expires."""

    def freeze() -> None:
        if len(world.fleet.history) == 1:
            world.fleet.clock.now += timedelta(minutes=10)
            if stolen:
                scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
                world.store.take(OTHER, scopes, timedelta(minutes=5), world.fleet.clock())

    world.fleet.clock.on_tick.insert(0, freeze)

    ended = run(world)

    assert ended.code == 4
    assert [(entry.host, entry.what) for entry in world.fleet.history] == [("h1", "drain")]
    assert ended.state.held is not None
    assert "lease" in ended.state.held.evidence


# --- 10: undo touches only what the run did


def test_what_somebody_else_drained_stays_drained(world: World) -> None:
    world.policies["broker_restart.yml"] = policy(survey=())
    world.fleet.hosts["h1"].drained_by = "somebody"

    run(world)

    assert world.fleet.hosts["h1"].drained_by == "somebody"
    assert "undrain" not in {e.what for e in world.fleet.history if e.host == "h1"}


def test_order_follows_the_evidence_of_the_moment(world: World) -> None:
    world.fleet.hosts["h1"].leaders = 3
    ended = run(world)

    assert restarted(world) == ["h2", "h3", "h1"]
    started = events(world, ended, BatchStarted)
    assert started[0].why == "fewest leaders first (h2 has 0)"
