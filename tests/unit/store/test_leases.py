from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import LeaseHeld, LeaseLost
from holdfast.journal.events import ActIntended, Finished
from holdfast.model import Act, Grant, Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
TTL = timedelta(seconds=60)
EXCLUSIVE, SHARED = LeaseMode.EXCLUSIVE, LeaseMode.SHARED
RABBITMQ = {"lab/rabbitmq": EXCLUSIVE}


def holder(run: str, process: int = 1) -> Holder:
    return Holder(run, "ada", f"because of {run}", "ctl9", "boot", process, 1)


ONE, TWO = holder("one"), holder("two", 2)


@pytest.fixture
def dead() -> set[Holder]:
    return set()


@pytest.fixture
def store(settings: Settings, dead: set[Holder]) -> Store:
    return open_store(settings, gone=dead.__contains__)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_held_lease_is_reported_with_its_holder_time_and_reason(store: Store) -> None:
    store.take(ONE, RABBITMQ, TTL, NOW)

    with pytest.raises(LeaseHeld) as caught:
        store.take(TWO, RABBITMQ, TTL, later(1))

    for part in ("lab/rabbitmq", "one", "ada", "ctl9", "23:04:00", "because of one", "23:05:00"):
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (SHARED, SHARED, True),
        (SHARED, EXCLUSIVE, False),
        (EXCLUSIVE, SHARED, False),
        (EXCLUSIVE, EXCLUSIVE, False),
    ],
)
def test_only_shared_leases_are_held_together(
    store: Store, first: LeaseMode, second: LeaseMode, together: bool
) -> None:
    store.take(ONE, {"lab/nova": first}, TTL, NOW)

    if together:
        store.take(TWO, {"lab/nova": second}, TTL, NOW)
    else:
        with pytest.raises(LeaseHeld):
            store.take(TWO, {"lab/nova": second}, TTL, NOW)

    runs = [row.holder.run for row in store.holders("lab/nova", NOW)]
    assert runs == (["one", "two"] if together else ["one"])


def test_all_scopes_are_taken_or_none(store: Store) -> None:
    store.take(ONE, RABBITMQ, TTL, NOW)

    with pytest.raises(LeaseHeld):
        store.take(TWO, {"lab/nova": EXCLUSIVE, **RABBITMQ, "lab/zaqar": SHARED}, TTL, NOW)

    assert not store.holders("lab/nova", NOW)
    assert not store.holders("lab/zaqar", NOW)


def test_the_same_holder_renews_and_keeps_its_token(store: Store) -> None:
    first = store.take(ONE, RABBITMQ, TTL, NOW)
    second = store.take(ONE, RABBITMQ, TTL, later(30))

    assert first == second
    [row] = store.holders("lab/rabbitmq", later(89))
    assert (row.since, row.expires) == (NOW, later(90))


def test_a_token_only_grows(store: Store) -> None:
    tokens = []
    for number in range(3):
        grant = store.take(holder(f"run{number}"), RABBITMQ, TTL, NOW)
        tokens.append(grant.tokens["lab/rabbitmq"])
        store.release(grant)
    late = store.take(TWO, RABBITMQ, TTL, NOW)
    tokens.append(late.tokens["lab/rabbitmq"])
    tokens.append(store.take(ONE, RABBITMQ, TTL, later(61)).tokens["lab/rabbitmq"])

    assert tokens == [1, 2, 3, 4, 5]


def test_a_lease_is_free_after_its_expiry_and_worth_nothing(store: Store) -> None:
    old = store.take(ONE, RABBITMQ, TTL, NOW)
    store.check(old, later(59))

    with pytest.raises(LeaseHeld):
        store.take(TWO, RABBITMQ, TTL, later(59))
    with pytest.raises(LeaseLost, match="expired at 2026-11-21 23:05:00"):
        store.check(old, later(60))
    with pytest.raises(LeaseLost, match="expired"):
        store.renew(old, TTL, later(60))

    store.take(TWO, RABBITMQ, TTL, later(60))
    with pytest.raises(LeaseLost, match="two"):
        store.check(old, later(1))


def test_a_renewed_lease_stays_valid(store: Store) -> None:
    grant = store.take(ONE, {**RABBITMQ, "lab/nova": SHARED}, TTL, NOW)

    store.renew(grant, TTL, later(50))

    store.check(grant, later(109))


def test_a_dead_holder_is_replaced_at_once(store: Store, dead: set[Holder]) -> None:
    old = store.take(ONE, RABBITMQ, TTL, NOW)
    dead.add(ONE)

    new = store.take(TWO, RABBITMQ, TTL, later(1))

    assert new.tokens["lab/rabbitmq"] > old.tokens["lab/rabbitmq"]
    with pytest.raises(LeaseLost):
        store.check(old, later(1))
    assert [row.holder.run for row in store.holders("lab/rabbitmq", later(1))] == ["two"]


def test_the_same_run_in_another_process_is_another_holder(store: Store) -> None:
    store.take(ONE, RABBITMQ, TTL, NOW)

    with pytest.raises(LeaseHeld):
        store.take(dataclasses.replace(ONE, process=7), RABBITMQ, TTL, NOW)


def test_asking_whether_a_lease_is_free_takes_nothing(store: Store) -> None:
    store.would_take(ONE, RABBITMQ, NOW)
    assert not store.holders("lab/rabbitmq", NOW)

    store.take(ONE, RABBITMQ, TTL, NOW)
    with pytest.raises(LeaseHeld):
        store.would_take(TWO, RABBITMQ, NOW)


def test_releasing_gives_back_only_ones_own(store: Store) -> None:
    mine = store.take(ONE, {"lab/nova": SHARED}, TTL, NOW)
    store.take(TWO, {"lab/nova": SHARED}, TTL, NOW)

    store.release(mine)
    store.release(mine)

    assert [row.holder.run for row in store.holders("lab/nova", NOW)] == ["two"]


def intent(host: str = "ctl1") -> ActIntended:
    return ActIntended(at=NOW, host=host, act=Act.RESTART, unit="rabbitmq", invocation_id="x")


def test_an_intent_is_written_only_with_every_lease(store: Store) -> None:
    grant = store.take(ONE, {**RABBITMQ, "lab/nova": SHARED}, TTL, NOW)
    assert store.append_guarded(grant, intent(), NOW).seq == 1

    store.release(Grant("one", {"lab/nova": grant.tokens["lab/nova"]}))

    with pytest.raises(LeaseLost, match="lab/nova"):
        store.append_guarded(grant, intent(), NOW)
    assert len(store.read("one")) == 1


def test_an_intent_with_an_old_token_is_not_written(store: Store) -> None:
    old = store.take(ONE, RABBITMQ, TTL, NOW)
    store.release(old)
    store.take(ONE, RABBITMQ, TTL, NOW)

    with pytest.raises(LeaseLost):
        store.append_guarded(old, intent(), NOW)


def test_another_runs_token_is_no_grant(store: Store) -> None:
    theirs = store.take(ONE, RABBITMQ, TTL, NOW)

    with pytest.raises(LeaseLost):
        store.append_guarded(Grant("two", theirs.tokens), intent(), NOW)


def test_an_entry_of_the_engine_goes_without_a_lease(store: Store) -> None:
    assert store.append("one", Finished(at=NOW)).seq == 1
