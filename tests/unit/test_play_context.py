"""A play run by hand: its leases, its journal, and what a dead or foreign play leaves behind."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import InvalidInput, LeaseHeld, LeaseLost
from holdfast.journal.events import BaselineTaken, Event, Finished, LeaseTaken, RunOpened
from holdfast.model import Grant, Holder, Json, LeaseMode
from holdfast.play_context import (
    BY_HAND_TTL,
    LeaseRenewal,
    LeaseRequest,
    PlayContext,
    Policy,
    Variables,
    baseline,
    dead_holders,
    release_by_hand,
    require_lease,
    take_by_hand,
    would_take,
)
from holdfast.settings import Settings
from holdfast.store import Store, holder_for, open_store

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
NOVA = LeaseRequest("east", Policy(service="nova", shared=("rabbitmq",)), "Restart nova")
RABBIT = LeaseRequest("east", Policy(service="rabbitmq"), "Restart RabbitMQ")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(Settings(f"sqlite:///{tmp_path}/state.db", tmp_path))


def me(run: str = "r1", by: str = "ada") -> Holder:
    return holder_for(run, by, "a new library", os.getpid())


def somebody_else(run: str = "r2") -> Holder:
    """A play on another controller, of which nothing can be proven here."""
    return replace(me(run, "bob"), controller="elsewhere")


def events(store: Store, run: str) -> list[Event]:
    return [recorded.event for recorded in store.read(run)]


def test_the_first_take_opens_a_run(store: Store) -> None:
    run = take_by_hand(store, NOVA, me(), NOW)
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
            controller=me().controller,
            process=os.getpid(),
        ),
        LeaseTaken(at=NOW, tokens={"east/nova": 1, "east/rabbitmq": 1}),
    ]


def test_the_service_is_taken_alone_and_what_it_needs_together_with_others(store: Store) -> None:
    take_by_hand(store, NOVA, me(), NOW)
    modes = {scope: store.holders(scope, NOW)[0].mode for scope in ("east/nova", "east/rabbitmq")}
    assert modes == {"east/nova": LeaseMode.EXCLUSIVE, "east/rabbitmq": LeaseMode.SHARED}


def test_the_next_batch_of_the_same_play_shares_the_run(store: Store) -> None:
    first = take_by_hand(store, NOVA, me("r1"), NOW)
    later = NOW + timedelta(minutes=10)
    second = take_by_hand(store, NOVA, me("another-name", "another user"), later)
    assert second == first
    assert len(events(store, "r1")) == 2
    assert store.holders("east/nova", later)[0].expires == later + BY_HAND_TTL


def test_two_plays_do_not_change_one_service(store: Store) -> None:
    take_by_hand(store, RABBIT, somebody_else(), NOW)
    with pytest.raises(LeaseHeld) as refused:
        take_by_hand(store, RABBIT, me(), NOW)
    for said in ("r2", "bob", "elsewhere", "a new library", "2026-11-21 23:04:00 UTC"):
        assert said in str(refused.value)
    assert events(store, "r1") == []


def test_what_a_play_needs_is_not_changed_under_it(store: Store) -> None:
    take_by_hand(store, NOVA, somebody_else(), NOW)
    with pytest.raises(LeaseHeld, match="east/rabbitmq"):
        take_by_hand(store, RABBIT, me(), NOW)
    # Another service that needs the same broker is no harm.
    take_by_hand(
        store, LeaseRequest("east", Policy(service="cinder", shared=("rabbitmq",)), ""), me(), NOW
    )


def test_a_play_that_died_keeps_nobody_out(store: Store) -> None:
    take_by_hand(store, RABBIT, replace(me("dead"), process_started=1), NOW)
    run = take_by_hand(store, RABBIT, me(), NOW)
    assert run.grant.tokens == {"east/rabbitmq": 2}


def test_whoever_takes_over_from_a_dead_play_is_told(store: Store, tmp_path: Path) -> None:
    settings = Settings(f"sqlite:///{tmp_path}/state.db", tmp_path)
    everyone = open_store(settings, gone=lambda _: False)
    assert dead_holders(store, everyone, NOVA, NOW) == []
    dead = replace(me("dead"), process_started=1)
    take_by_hand(store, NOVA, dead, NOW)
    assert dead_holders(store, everyone, NOVA, NOW) == [dead]
    take_by_hand(store, NOVA, me(), NOW)
    assert dead_holders(store, everyone, NOVA, NOW) == []


def test_elsewhere_a_dead_play_keeps_its_lease_until_it_expires(store: Store) -> None:
    take_by_hand(store, RABBIT, somebody_else(), NOW)
    later = NOW + BY_HAND_TTL
    assert take_by_hand(store, RABBIT, me(), later).grant.tokens == {"east/rabbitmq": 2}


def test_the_end_is_noted_and_the_leases_are_free(store: Store) -> None:
    run = take_by_hand(store, RABBIT, me(), NOW)
    assert release_by_hand(store, run, NOW)
    assert events(store, "r1")[-1] == Finished(at=NOW)
    assert store.holders("east/rabbitmq", NOW) == ()


def test_a_play_of_the_engine_does_not_end_the_engine_s_run(store: Store) -> None:
    grant = store.take(me(), {"east/rabbitmq": LeaseMode.EXCLUSIVE}, timedelta(minutes=1), NOW)
    assert not release_by_hand(store, PlayContext(grant, by_hand=False), NOW)
    assert events(store, "r1") == []
    assert len(store.holders("east/rabbitmq", NOW)) == 1


def test_check_mode_says_what_it_would_take_and_takes_nothing(store: Store) -> None:
    assert would_take(store, NOVA, me(), NOW) == "would take the leases east/nova, east/rabbitmq"
    take_by_hand(store, RABBIT, somebody_else(), NOW)
    said = would_take(store, NOVA, me(), NOW)
    assert said.startswith("would be refused: east/rabbitmq is held (exclusive) by run r2: bob")
    assert store.holders("east/nova", NOW) == ()


# --- renewal


def test_a_waiting_gate_keeps_a_lease_by_hand_alive(store: Store) -> None:
    run = take_by_hand(store, RABBIT, me(), NOW)
    renewal = LeaseRenewal(store, run, NOW)
    for minute in range(60):
        renewal.at(NOW + timedelta(minutes=minute))
    hour = NOW + timedelta(minutes=60)
    store.check(run.grant, hour)


def test_renewing_a_lost_lease_is_said(store: Store) -> None:
    run = take_by_hand(store, RABBIT, me(), NOW)
    with pytest.raises(LeaseLost):
        LeaseRenewal(store, run, NOW).at(NOW + 2 * BY_HAND_TTL)


def test_the_engine_renews_its_own(store: Store) -> None:
    run = PlayContext(Grant("gone", {"east/rabbitmq": 7}), by_hand=False)
    LeaseRenewal(store, run, NOW).at(NOW + 2 * BY_HAND_TTL)


# --- what the play's variables say


@pytest.mark.parametrize("variables", [{}, {"holdfast_run": ""}, {"holdfast_grant": {"a/b": 1}}])
def test_a_play_without_a_run(variables: dict[str, Json]) -> None:
    assert PlayContext.of(variables) is None
    with pytest.raises(LeaseLost, match="holds no lease"):
        require_lease(PlayContext.of(variables))


def test_a_play_s_run_is_read_from_its_variables() -> None:
    variables = {"holdfast_run": "r", "holdfast_grant": {"east/nova": "3"}}
    assert PlayContext.of(variables) == PlayContext(Grant("r", {"east/nova": 3}), by_hand=False)


def test_a_run_without_a_grant_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="holdfast_grant"):
        PlayContext.of({"holdfast_run": "r"})


@pytest.mark.parametrize("declared", [{}, {"service": ""}, "nova", {"service": "a", "shared": 3}])
def test_a_policy_that_names_no_lease_is_an_error(declared: Json) -> None:
    with pytest.raises(InvalidInput, match="holdfast_policy"):
        Policy.of(declared)


def test_variables_are_resolved_when_asked_for_and_raw_ones_stay_raw() -> None:
    variables = Variables({"a": "{{ 1 }}"}, lambda value: f"resolved {value}")
    assert variables["a"] == "resolved {{ 1 }}"
    assert variables.raw["a"] == "{{ 1 }}"
    assert variables.get("b", 7) == 7
    assert (len(variables), list(variables)) == (1, ["a"])


# --- baselines


def test_the_first_baseline_stays(store: Store) -> None:
    first = BaselineTaken(at=NOW, name="rabbitmq", values={"connections": 40})
    later = BaselineTaken(at=NOW, name="rabbitmq", values={"connections": 3})
    other = BaselineTaken(at=NOW, name="nova", values={"queues": 9})
    assert baseline(store, "r1", first) == first
    assert baseline(store, "r1", later) == first
    assert baseline(store, "r1", other) == other
    assert baseline(store, "r2", later) == later
    assert events(store, "r1") == [first, other]
