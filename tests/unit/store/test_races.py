"""Several processes at once: exactly one wins, nothing is lost, nothing is counted twice."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.pool import Pool
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError

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

Race = Callable[[Callable[[Settings, int], Any]], list[Any]]


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


@pytest.fixture(scope="session")
def workers() -> Iterator[Pool]:
    """Processes that are started once: each imports most of Holdfast."""
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        yield pool


@pytest.fixture
def race(workers: Pool, ways: Sequence[Settings]) -> Race:
    """Return a function that lets all workers do the same at once, each through another server of the state."""
    given = [(ways[number % len(ways)], number) for number in range(WORKERS)]
    return lambda work: workers.starmap(work, given, chunksize=1)


def test_one_of_many_takes_the_lease(race: Race) -> None:
    tokens = race(take)

    assert [token for token in tokens if token is not None] == [1]


def test_events_of_many_writers_are_numbered_without_gap(settings: Settings, race: Race) -> None:
    open_store(settings).append("shared", opened())
    numbers = sorted(seq for seqs in race(append) for seq in seqs)

    assert numbers == list(range(2, 10 * WORKERS + 2))
    assert [entry.seq for entry in open_store(settings).read("shared")] == [1, *numbers]


def test_after_a_stolen_lease_its_former_owner_appends_nothing(
    settings: Settings, race: Race
) -> None:
    store = open_store(settings)
    store.append("run0", opened())
    store.take(holder(0), SCOPES, TTL)

    owner, *thieves = race(steal)

    assert sum("took" in said for said in thieves) == 1
    assert owner == ["LeaseLost"] * len(owner)
    assert len(store.read("run0")) == 1 + 20 - len(owner)


def test_a_lease_stolen_while_its_owner_writes_fences_the_entry(settings: Settings) -> None:
    """The thief commits between the owner's reading of the leases and its writing."""
    if make_url(settings.state_url).get_backend_name() == "sqlite":
        return  # one writer at a time: nothing can happen in between
    thief = open_store(settings, gone=lambda who: who.process == 0)
    thief.append("run0", opened())
    grant = thief.take(holder(0), SCOPES, TTL)
    stolen: list[Grant] = []
    engine = make_engine(settings.state_url)

    @event.listens_for(engine, "after_cursor_execute")
    def steal(*told: Any) -> None:
        if "FROM holdfast_leases" in told[2] and not stolen:
            stolen.append(thief.take(holder(1), SCOPES, TTL))

    owner = Store(engine, "the database", lambda _: False, database_time)
    with pytest.raises(LeaseLost, match="run1"):
        owner.append_guarded(grant, Finished(at=NOW))

    assert len(stolen) == 1
    assert len(owner.read("run0")) == 1, "the journal has only its opening"


def test_a_guarded_entry_writes_its_leases(settings: Settings) -> None:
    """So that it conflicts with a concurrent take on every node of a cluster."""
    store = open_store(settings)
    store.append("run1", opened())
    grant = store.take(holder(1), SCOPES, TTL)

    def version() -> int:
        with make_engine(settings.state_url).begin() as connection:
            return _scopes(connection, SCOPES)[0].version

    before = version()
    store.append_guarded(grant, Finished(at=NOW))
    assert version() == before + 1


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

    with pytest.raises(
        StateUnusable, match="50 attempts to write all met another writer"
    ) as caught:
        store._change(lose)

    assert "what else uses this database" in caught.value.remedy
    assert len(waits) == 49
    assert 0 < min(waits) < max(waits) <= 0.1


def test_an_event_that_comes_while_its_run_is_deleted_keeps_the_run(
    ways: Sequence[Settings],
) -> None:
    """Another node commits it between the reading of the last event and the deletion."""
    if make_url(ways[0].state_url).get_backend_name() == "sqlite":
        return  # one writer at a time: nothing can happen in between
    other = open_store(ways[-1])
    other.append("run1", opened())
    appended: list[int] = []
    engine = make_engine(ways[0].state_url)

    @event.listens_for(engine, "after_cursor_execute")
    def append(*told: Any) -> None:
        if "FROM holdfast_events" in told[2] and not appended:
            appended.append(other.append("run1", Finished(at=NOW)).seq)

    pruner = Store(engine, "the database", lambda _: False, database_time)
    assert not pruner.delete("run1", 1, "run:run1")

    assert appended == [2]
    for way in ways:
        assert [entry.seq for entry in open_store(way).read("run1")] == [1, 2]


def test_opening_the_state_loses_a_race_too(settings: Settings) -> None:
    """On a cluster, another node's new scope ends the transaction that looks for one that is not there."""
    open_store(settings)
    lost: list[str] = []

    def lose_once(*told: Any) -> None:
        if told[2].startswith("UPDATE holdfast_leases") and not lost:
            lost.append(told[2])
            raise OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))

    event.listen(Engine, "before_cursor_execute", lose_once)
    try:
        open_store(settings)
    finally:
        event.remove(Engine, "before_cursor_execute", lose_once)
    assert lost


def test_a_node_that_refuses_in_the_middle_of_a_reading_makes_the_state_unusable_at_most(
    ways: Sequence[Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """As one does that loses the majority: after it has answered, and before the connection is closed."""
    if len(ways) == 1:
        return
    open_store(ways[0]).append("run1", opened())
    engine = make_engine(ways[0].state_url)
    with make_engine(ways[0].state_url).connect() as switch:

        @event.listens_for(engine, "after_cursor_execute")
        def refuse(*_: Any) -> None:
            switch.exec_driver_sql("SET GLOBAL wsrep_reject_queries = ALL")

        store = Store(engine, "the database", lambda _: False, database_time)
        try:
            assert store.length("run1") == 1
            with pytest.raises(StateUnusable, match="WSREP") as caught:
                store.append("run1", Finished(at=NOW))
        finally:
            switch.exec_driver_sql("SET GLOBAL wsrep_reject_queries = NONE")
    assert "wsrep_cluster_status" in caught.value.remedy
    assert not caplog.records, "which would be printed beside the error"


def test_what_one_node_has_committed_the_next_one_shows(
    ways: Sequence[Settings],
) -> None:
    """The other node is busy with what came before: without waiting, it would not know the run."""
    if len(ways) == 1:
        return
    first, last = open_store(ways[0]), open_store(ways[-1])
    with make_engine(ways[0].state_url).begin() as connection:
        connection.execute(
            text("CREATE OR REPLACE TABLE busy (number INT PRIMARY KEY, filler CHAR(200))")
        )
    behind = make_engine(ways[-1].state_url)
    event.listen(
        behind, "begin", lambda each: each.exec_driver_sql("SET SESSION wsrep_sync_wait=0")
    )
    stale = 0
    for turn in range(5):
        with make_engine(ways[0].state_url).begin() as connection:
            many = text("INSERT INTO busy SELECT seq + :first, 'x' FROM seq_1_to_60000")
            connection.execute(many, {"first": turn * 60_000})
        first.append(f"run{turn}", opened())
        with behind.begin() as connection:
            known = "SELECT COUNT(*) FROM holdfast_events WHERE run = :run"
            stale += connection.execute(text(known), {"run": f"run{turn}"}).scalar_one() == 0
        last.require(f"run{turn}")
    assert stale, "or this test shows nothing"


@pytest.mark.parametrize(
    "lost",
    [
        _LostRace(),
        IntegrityError("INSERT", {}, Exception("a row with this key is there already")),
        OperationalError("UPDATE", {}, Exception(1213, "Deadlock found")),
    ],
)
def test_a_change_that_loses_one_race_succeeds_at_the_next_attempt(
    settings: Settings, lost: Exception
) -> None:
    waits: list[float] = []
    store = Store(
        make_engine(settings.state_url), "the database", is_gone, database_time, wait=waits.append
    )

    def lose_once(_connection: Connection) -> str:
        if not waits:
            raise lost
        return "written"

    assert store._change(lose_once) == "written"
    assert len(waits) == 1


def test_another_error_than_a_lost_race_is_not_tried_again(settings: Settings) -> None:
    waits: list[float] = []
    store = Store(
        make_engine(settings.state_url), "the database", is_gone, database_time, wait=waits.append
    )

    def fail(_connection: Connection) -> None:
        raise OperationalError("UPDATE", {}, Exception(2013, "Lost connection"))

    with pytest.raises(StateUnusable, match="Lost connection"):
        store._change(fail)
    assert not waits


def test_scopes_are_read_in_the_same_order_by_all(settings: Settings) -> None:
    """Two writers that take them in different orders would wait for each other."""
    open_store(settings)
    with make_engine(settings.state_url).begin() as connection:
        assert [each.name for each in _scopes(connection, ["b", "c", "a"])] == ["a", "b", "c"]
