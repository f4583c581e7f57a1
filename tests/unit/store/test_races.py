"""Several processes at once: exactly one wins, nothing is lost, nothing is counted twice."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from holdfast.errors import LeaseHeld, LeaseLost, StateUnusable
from holdfast.journal.events import Finished
from holdfast.model import Grant, Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.connection import database_time, make_engine
from holdfast.store.database import Store, _LostRace, _scopes, _swap, open_store
from holdfast.store.processes import is_gone
from tests.fakes.journal import opened

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
SCOPES = {"lab/rabbitmq": LeaseMode.EXCLUSIVE}
TTL = timedelta(seconds=60)
WORKERS = 6


def holder(number: int) -> Holder:
    return Holder(f"run{number}", "ada", "a race", "ctl", "boot", number, number)


def take(settings: Settings, number: int) -> int | None:
    try:
        return open_store(settings).take(holder(number), SCOPES, TTL).tokens["lab/rabbitmq"]
    except LeaseHeld:
        return None


def append(settings: Settings, _number: int) -> list[int]:
    store = open_store(settings)
    return [store.append("shared", Finished(at=NOW)).seq for _ in range(10)]


def steal(settings: Settings, number: int) -> list[str]:
    """Worker 0 writes guarded entries for as long as it may; the others take its lease away."""
    store = open_store(settings, gone=lambda who: who.process == 0)
    grant = Grant("run0", {"lab/rabbitmq": 1})
    said: list[str] = []
    for _ in range(20):
        try:
            if number == 0:
                store.append_guarded(grant, Finished(at=NOW))
            else:
                store.take(holder(number), SCOPES, TTL)
                said.append("took")
        except (LeaseLost, LeaseHeld) as error:
            said.append(type(error).__name__)
    return said


def race(work: Callable[[Settings, int], Any], settings: Settings) -> list[Any]:
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        return pool.starmap(work, [(settings, number) for number in range(WORKERS)], chunksize=1)


def test_one_of_many_takes_the_lease(settings: Settings) -> None:
    tokens = race(take, settings)

    assert [token for token in tokens if token is not None] == [1]


def test_events_of_many_writers_are_numbered_without_gap(settings: Settings) -> None:
    open_store(settings).append("shared", opened())
    numbers = sorted(seq for seqs in race(append, settings) for seq in seqs)

    assert numbers == list(range(2, 10 * WORKERS + 2))
    assert [entry.seq for entry in open_store(settings).read("shared")] == [1, *numbers]


def test_after_a_stolen_lease_its_former_owner_appends_nothing(settings: Settings) -> None:
    store = open_store(settings)
    store.append("run0", opened())
    store.take(holder(0), SCOPES, TTL)

    owner, *thieves = race(steal, settings)

    assert sum("took" in said for said in thieves) == 1
    assert owner == ["LeaseLost"] * len(owner)
    assert len(store.read("run0")) == 1 + 20 - len(owner)


def test_a_change_of_another_version_than_the_one_read_is_a_lost_race(settings: Settings) -> None:
    store = open_store(settings)
    store.take(holder(1), SCOPES, TTL)
    with make_engine(settings.state_url).begin() as connection:
        [read] = _scopes(connection, SCOPES)
    store.renew(Grant("run1", {"lab/rabbitmq": 1}), TTL)

    with make_engine(settings.state_url).begin() as connection, pytest.raises(_LostRace):
        _swap(connection, read, read)


def test_a_change_that_loses_every_race_waits_in_between_and_gives_up(settings: Settings) -> None:
    waits: list[float] = []
    store = Store(
        make_engine(settings.state_url), "the database", is_gone, database_time, wait=waits.append
    )

    def lose(_connection: Connection) -> None:
        raise _LostRace

    with pytest.raises(StateUnusable, match="50 attempts to write all met another writer"):
        store._change(lose)

    assert len(waits) == 49
    assert 0 < min(waits) < max(waits) <= 0.1


def test_a_change_that_loses_one_race_succeeds_at_the_next_attempt(settings: Settings) -> None:
    waits: list[float] = []
    store = Store(
        make_engine(settings.state_url), "the database", is_gone, database_time, wait=waits.append
    )

    def lose_once(_connection: Connection) -> str:
        if not waits:
            raise _LostRace
        return "written"

    assert store._change(lose_once) == "written"
    assert len(waits) == 1
