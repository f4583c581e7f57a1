"""A play run by hand: its leases, its journal, and the leases of plays that died or run elsewhere."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import ClocksDiffer, InvalidInput, LeaseHeld, LeaseLost, Refused, StateUnusable
from holdfast.journal.events import (
    ActIntended,
    BaselineTaken,
    BatchEnded,
    Event,
    Finished,
    GateJudged,
    LeaseTaken,
    RunOpened,
)
from holdfast.marks import HostMarks, RunMark
from holdfast.model import Act, Grant, Holder, Json, LeaseMode, Outcome
from holdfast.play_context import (
    BY_HAND_TTL,
    LeaseRenewal,
    LeaseRequest,
    PlayContext,
    Variables,
    baseline,
    dead_holders,
    last_intent,
    mark_counts,
    proved_earlier,
    release_by_hand,
    require_lease,
    require_no_failure_beside,
    take_by_hand,
    would_take,
)
from holdfast.policy import PlaybookPolicy
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from holdfast.store.processes import holder_for
from tests.fakes.fleet import FakeClock
from tests.fakes.journal import opened

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)


def judged(host: str, outcome: Outcome) -> GateJudged:
    return GateJudged(
        at=NOW,
        host=host,
        gate="g",
        phase="drain",
        outcome=outcome,
        verdicts=[],
        readings=1,
        seconds=0,
    )


def request(service: str, *shared: str, title: str = "") -> LeaseRequest:
    policy = PlaybookPolicy(
        service=service, shared=shared, group=service, batch_max=1, batch_max_reason="a test"
    )
    return LeaseRequest("east", policy, title)


NOVA = request("nova", "rabbitmq", title="Restart nova")
RABBIT = request("rabbitmq", title="Restart RabbitMQ")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Store:
    return open_store(Settings(f"sqlite:///{tmp_path}/state.db", tmp_path), clock=lambda _: clock())


def this_process(run: str = "r1", by: str = "ada") -> Holder:
    return holder_for(run, by, "a new library", os.getpid())


def other_controller(run: str = "r2") -> Holder:
    """A play on another controller: whether it lives cannot be known here."""
    return replace(this_process(run, "bob"), controller="elsewhere")


def events(store: Store, run: str) -> list[Event]:
    return [recorded.event for recorded in store.read(run)]


def test_the_first_take_opens_a_run(store: Store, clock: FakeClock) -> None:
    run = take_by_hand(store, NOVA, this_process(), clock)
    assert run == PlayContext(Grant("r1", {"east/nova": 1, "east/rabbitmq": 1}), by_hand=True)
    assert events(store, "r1") == [
        RunOpened(
            at=NOW,
            runbook="",
            runbook_hash="",
            playbook="Restart nova",
            site="east",
            by="ada",
            reason="a new library",
            controller=this_process().controller,
            process=os.getpid(),
        ),
        LeaseTaken(at=NOW, tokens={"east/nova": 1, "east/rabbitmq": 1}),
    ]


def test_a_play_by_hand_does_not_begin_in_a_state_that_goes_with_its_container(
    store: Store, clock: FakeClock
) -> None:
    def refuse() -> None:
        raise StateUnusable("goes with it", remedy="a volume")

    store.require_lasting = refuse
    with pytest.raises(StateUnusable, match="goes with it"):
        take_by_hand(store, NOVA, this_process(), clock)
    assert events(store, "r1") == []
    assert list(store.holders("east/nova")) == []


def test_the_play_s_own_service_is_leased_exclusively_and_others_shared(
    store: Store, clock: FakeClock
) -> None:
    take_by_hand(store, NOVA, this_process(), clock)
    modes = {scope: store.holders(scope)[0].mode for scope in ("east/nova", "east/rabbitmq")}
    assert modes == {"east/nova": LeaseMode.EXCLUSIVE, "east/rabbitmq": LeaseMode.SHARED}


def test_the_next_batch_of_the_same_play_uses_the_same_run(store: Store, clock: FakeClock) -> None:
    first = take_by_hand(store, NOVA, this_process("r1"), clock)
    clock.wait(600)
    second = take_by_hand(store, NOVA, this_process("another-name", "another user"), clock)
    assert second == first
    assert len(events(store, "r1")) == 2
    assert store.holders("east/nova")[0].expires == clock() + BY_HAND_TTL


def test_a_second_play_for_the_same_service_is_refused(store: Store, clock: FakeClock) -> None:
    take_by_hand(store, RABBIT, other_controller(), clock)
    with pytest.raises(LeaseHeld) as refused:
        take_by_hand(store, RABBIT, this_process(), clock)
    for part in ("r2", "bob", "elsewhere", "a new library", "2026-11-21 23:04:00 UTC"):
        assert part in str(refused.value)
    assert events(store, "r1") == []


def test_a_shared_scope_cannot_be_leased_exclusively(store: Store, clock: FakeClock) -> None:
    take_by_hand(store, NOVA, other_controller(), clock)
    with pytest.raises(LeaseHeld, match="east/rabbitmq"):
        take_by_hand(store, RABBIT, this_process(), clock)
    # Another service that needs the same broker does not conflict.
    take_by_hand(store, request("cinder", "rabbitmq"), this_process(), clock)


def test_the_lease_of_a_play_that_died_can_be_taken(store: Store, clock: FakeClock) -> None:
    take_by_hand(store, RABBIT, replace(this_process("dead"), process_started=1), clock)
    run = take_by_hand(store, RABBIT, this_process(), clock)
    assert run.grant.tokens == {"east/rabbitmq": 2}


def test_the_holders_of_leases_of_dead_plays_are_found(
    store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    settings = Settings(f"sqlite:///{tmp_path}/state.db", tmp_path)
    all_leases = open_store(settings, gone=lambda _: False, clock=lambda _: clock())
    assert dead_holders(store, all_leases, NOVA) == []
    dead = replace(this_process("dead"), process_started=1)
    take_by_hand(store, NOVA, dead, clock)
    assert dead_holders(store, all_leases, NOVA) == [dead]
    take_by_hand(store, NOVA, this_process(), clock)
    assert dead_holders(store, all_leases, NOVA) == []


def test_a_lease_of_another_controller_is_kept_until_it_expires(
    store: Store, clock: FakeClock
) -> None:
    take_by_hand(store, RABBIT, other_controller(), clock)
    clock.now += BY_HAND_TTL
    assert take_by_hand(store, RABBIT, this_process(), clock).grant.tokens == {"east/rabbitmq": 2}


def test_a_finished_run_is_journaled_and_its_leases_are_released(
    store: Store, clock: FakeClock
) -> None:
    run = take_by_hand(store, RABBIT, this_process(), clock)
    assert release_by_hand(store, run, NOW)
    assert events(store, "r1")[-1] == Finished(at=NOW)
    assert store.holders("east/rabbitmq") == ()


def test_a_run_of_the_engine_is_not_ended_by_its_play(store: Store) -> None:
    grant = store.take(this_process(), {"east/rabbitmq": LeaseMode.EXCLUSIVE}, timedelta(minutes=1))
    assert not release_by_hand(store, PlayContext(grant, by_hand=False), NOW)
    assert events(store, "r1") == []
    assert len(store.holders("east/rabbitmq")) == 1


def test_check_mode_reports_what_it_would_take_and_takes_nothing(
    store: Store, clock: FakeClock
) -> None:
    assert (
        would_take(store, NOVA, this_process(), clock)
        == "would take the leases east/nova, east/rabbitmq"
    )
    take_by_hand(store, RABBIT, other_controller(), clock)
    message = would_take(store, NOVA, this_process(), clock)
    assert message.startswith("would be refused: east/rabbitmq is held (exclusive) by run r2: bob")
    assert store.holders("east/nova") == ()


def test_a_play_on_a_controller_whose_clock_differs_takes_no_lease(
    store: Store, clock: FakeClock
) -> None:
    def ahead() -> datetime:
        return clock() + timedelta(seconds=61)

    assert "refused: the clock" in would_take(store, RABBIT, this_process(), ahead)
    with pytest.raises(ClocksDiffer, match="61 s ahead"):
        take_by_hand(store, RABBIT, this_process(), ahead)
    assert store.holders("east/rabbitmq") == ()
    assert events(store, "r1") == []


def test_a_play_whose_clock_jumps_between_two_batches_goes_on(
    store: Store, clock: FakeClock
) -> None:
    """A host may be in hand, and its lease goes by the database's clock."""
    first = take_by_hand(store, RABBIT, this_process(), clock)
    jumped = take_by_hand(store, RABBIT, this_process(), lambda: clock() + timedelta(seconds=61))
    assert jumped == first


# --- renewal


def test_a_lease_by_hand_is_renewed_while_a_gate_waits(store: Store, clock: FakeClock) -> None:
    run = take_by_hand(store, RABBIT, this_process(), clock)
    renewal = LeaseRenewal(store, run, NOW)
    for _ in range(60):
        renewal.at(clock())
        clock.wait(60)
    store.check(run.grant)


def test_a_clock_that_is_set_back_does_not_put_the_renewal_off(
    store: Store, clock: FakeClock
) -> None:
    run = take_by_hand(store, RABBIT, this_process(), clock)
    renewal = LeaseRenewal(store, run, NOW + BY_HAND_TTL / 3)
    clock.now += BY_HAND_TTL / 2
    renewal.at(NOW - timedelta(hours=1))
    assert store.holders("east/rabbitmq")[0].expires == clock() + BY_HAND_TTL


def test_renewing_a_lost_lease_fails(store: Store, clock: FakeClock) -> None:
    run = take_by_hand(store, RABBIT, this_process(), clock)
    clock.now += 2 * BY_HAND_TTL
    with pytest.raises(LeaseLost):
        LeaseRenewal(store, run, NOW).at(clock())


def test_a_lease_of_the_engine_is_not_renewed_by_the_play(store: Store) -> None:
    run = PlayContext(Grant("gone", {"east/rabbitmq": 7}), by_hand=False)
    LeaseRenewal(store, run, NOW).at(NOW + 2 * BY_HAND_TTL)


# --- the play's variables


@pytest.mark.parametrize("variables", [{}, {"holdfast_run": ""}, {"holdfast_grant": {"a/b": 1}}])
def test_a_play_whose_variables_name_no_run_holds_no_lease(variables: dict[str, Json]) -> None:
    assert PlayContext.of(variables) is None
    with pytest.raises(LeaseLost, match="holds no lease"):
        require_lease(PlayContext.of(variables))


def test_a_play_s_run_is_read_from_its_variables() -> None:
    variables = {"holdfast_run": "r", "holdfast_grant": {"east/nova": "3"}}
    assert PlayContext.of(variables) == PlayContext(Grant("r", {"east/nova": 3}), by_hand=False)


def test_a_run_without_a_grant_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="holdfast_grant"):
        PlayContext.of({"holdfast_run": "r"})


def test_variables_are_resolved_when_read_and_raw_values_stay_available() -> None:
    variables = Variables({"a": "{{ 1 }}"}, lambda value: f"resolved {value}")
    assert variables["a"] == "resolved {{ 1 }}"
    assert variables.raw["a"] == "{{ 1 }}"
    assert variables.get("b", 7) == 7
    assert (len(variables), list(variables)) == (1, ["a"])


# --- baselines


def test_the_first_baseline_of_a_name_is_kept(store: Store) -> None:
    for run in ("r1", "r2"):
        store.append(run, opened())
    first = BaselineTaken(at=NOW, name="rabbitmq", values={"connections": 40})
    later = BaselineTaken(at=NOW, name="rabbitmq", values={"connections": 3})
    other = BaselineTaken(at=NOW, name="nova", values={"queues": 9})
    assert baseline(store, "r1", first) == first
    assert baseline(store, "r1", later) == first
    assert baseline(store, "r1", other) == other
    assert baseline(store, "r2", later) == later
    assert events(store, "r1") == [opened(), first, other]


PLAY = {"ansible_play_hosts_all": ["a", "b", "c"], "ansible_play_batch": ["c"]}
ENGINE = {"ansible_play_hosts_all": ["c"], "ansible_play_batch": ["c"], "holdfast_done": ["a", "c"]}


@pytest.mark.parametrize(
    ("phase", "variables", "hosts"),
    [
        ("preflight", PLAY, {"a", "b"}),
        ("preflight", {**PLAY, "ansible_play_batch": ["a"]}, set()),
        ("preflight", ENGINE, {"a"}),  # c was done in another step, and is about to be proved
        ("sweep", {**ENGINE, "ansible_play_batch": ["a", "c"]}, {"a", "c"}),
        ("verify", ENGINE, set()),
        ("check", {}, set()),
    ],
)
def test_a_run_vouches_for_the_hosts_it_has_proved_while_none_is_in_hand(
    phase: str, variables: dict[str, Json], hosts: set[str]
) -> None:
    assert proved_earlier(variables, phase) == hosts


def test_the_last_intent_is_the_newest_for_the_act_on_the_hosts_unit(store: Store) -> None:
    def intended(host: str, act: Act, size: int) -> ActIntended:
        return ActIntended(
            at=NOW, host=host, act=act, unit="nova-api", invocation_id="", log={"size": size}
        )

    assert last_intent(store, "r1", "ctl1", Act.RESTART, "nova-api") is None
    store.append("r1", opened())
    for size, act in enumerate([Act.RESTART, Act.RESTART, Act.DRAIN]):
        store.append("r1", intended("ctl1", act, size))
    store.append("r1", intended("ctl2", Act.RESTART, 9))
    found = last_intent(store, "r1", "ctl1", Act.RESTART, "nova-api")
    assert found == intended("ctl1", Act.RESTART, 1)
    assert last_intent(store, "r1", "ctl1", Act.RESTART, "nova-compute") is None


# --- marks of other runs


def mark_of(holder: Holder) -> RunMark:
    return HostMarks("boot", 1.0).new_mark(holder, NOW)


def test_a_mark_of_a_run_that_nobody_here_knows_counts(store: Store) -> None:
    assert mark_counts(store, mark_of(other_controller()))


def test_a_mark_of_a_run_of_this_state_counts_while_it_holds_a_lease(store: Store) -> None:
    """One that died elsewhere or is held has given its lease back, or it has expired."""
    holder = other_controller()
    store.append(holder.run, opened())
    grant = store.take(holder, {"lab/nova": LeaseMode.EXCLUSIVE}, timedelta(minutes=1))
    assert mark_counts(store, mark_of(holder))
    store.release(grant)
    assert not mark_counts(store, mark_of(holder))


def test_a_mark_of_a_process_that_died_on_this_controller_does_not_count(store: Store) -> None:
    living = this_process("R9")
    assert mark_counts(store, mark_of(living))
    assert not mark_counts(store, mark_of(replace(living, process_started=1)))


@pytest.mark.parametrize(
    ("beside", "refused"),
    [
        (None, False),
        (BatchEnded(at=NOW, step=1, status="ok", hosts={"h1": "ok"}, messages={}), False),
        (BatchEnded(at=NOW, step=1, status="failed", hosts={"h1": "failed"}, messages={}), True),
        # Its play gives back what it has drained, and ends after that.
        (judged("h1", Outcome.PASS), False),
        (judged("h1", Outcome.FAIL), True),
        (judged("h1", Outcome.UNKNOWN), True),
    ],
)
def test_nothing_is_begun_once_a_failure_beside_it_is_in_the_journal(
    store: Store, beside: Event | None, refused: bool
) -> None:
    store.append("r", opened())
    store.append("r", judged("h9", Outcome.FAIL))
    begun = store.length("r")
    if beside is not None:
        store.append("r", beside)

    with pytest.raises(Refused, match="turn of h1 has failed") if refused else nullcontext():
        require_no_failure_beside(store, "r", {"holdfast_begun": begun})
    require_no_failure_beside(store, "r", {})
