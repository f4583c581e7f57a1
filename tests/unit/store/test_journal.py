from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, inspect, text

from holdfast.errors import JournalGone, StateUnusable
from holdfast.journal.events import AbortRequested, Finished
from holdfast.model import Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import (
    _PAGE,
    _gone_for,
    _make_tables,
    open_store,
    open_store_of,
    open_to_read,
)
from holdfast.store.processes import is_gone, is_gone_on_one_machine
from holdfast.store.tables import EVENTS, RUNS
from tests.fakes.journal import opened
from tests.unit.journal.recorded import STATES, bodies, read_recorded

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)


def test_events_come_back_as_they_were_written_in_order(settings: Settings) -> None:
    store = open_store(settings)
    written = [
        store.append("one", opened()),
        store.append("one", AbortRequested(at=NOW, by="Ada Lovelace ☃ {{ 1 }}", hard=True)),
        store.append("one", Finished(at=NOW + timedelta(microseconds=1))),
    ]

    again = open_store(settings)
    assert list(again.read("one")) == written
    assert list(again.read("one", after=1)) == written[1:]
    assert not again.read("two")


def test_a_journal_of_several_pages_is_read_whole(settings: Settings) -> None:
    store = open_store(settings)
    first = store.append("one", opened())
    store.append("two", opened())
    row = {"run": "one", "at": 0, "kind": "run_opened", "body": first.event.model_dump_json()}
    with make_engine(settings.state_url).begin() as connection:
        connection.execute(EVENTS.insert(), [row | {"seq": 2 + n} for n in range(2 * _PAGE)])

    store.append("one", Finished(at=NOW))
    store.append("one", AbortRequested(at=NOW, by="ada"))
    assert store.length("one") == 2 * _PAGE + 3
    assert [each.seq for each in store.newest("one", "finished", "abort_requested")] == [
        2 * _PAGE + 3,
        2 * _PAGE + 2,
    ]
    assert [each.seq for each in store.newest("one", "run_opened")] == list(
        range(2 * _PAGE + 1, 0, -1)
    )
    assert not list(store.newest("none", "held"))

    last = 2 * _PAGE + 3
    assert [each.seq for each in store.each("one")] == list(range(1, last + 1))
    assert [each.seq for each in store.read("one", _PAGE)] == list(range(_PAGE + 1, last + 1))
    assert [each.seq for each in store.read("one", last)] == []


def test_a_journal_of_which_one_event_was_read_is_not_empty(settings: Settings) -> None:
    with pytest.raises(JournalGone):
        open_store(settings).read("one", after=1)


def test_a_reader_does_not_wait_for_a_writer(settings: Settings) -> None:
    store = open_store(settings)
    store.append("one", opened())
    with make_engine(settings.state_url).begin() as writing:
        writing.execute(EVENTS.update().values(kind="another"))
        assert [each.event.kind for each in store.read("one")] == ["run_opened"]


def test_where_nothing_is_missing_opening_defines_nothing(settings: Settings) -> None:
    """On a cluster such a statement stops all writers."""
    open_store(settings)
    engine, statements = make_engine(settings.state_url), list[str]()

    @event.listens_for(engine, "before_cursor_execute")
    def record(*told: Any) -> None:
        statements.append(told[2])

    with engine.begin() as connection:
        _make_tables(connection)
    assert statements
    assert not [each for each in statements if each.strip().startswith("CREATE")]


def test_the_run_opened_last_comes_first(settings: Settings) -> None:
    store = open_store(settings)
    for number, run in enumerate(["b", "c", "a"]):
        store.append(run, opened(NOW + timedelta(seconds=number)))
    store.append("b", Finished(at=NOW + timedelta(hours=1)))

    assert list(store.runs()) == ["a", "c", "b"]


def test_runs_are_found_without_reading_all_events(settings: Settings) -> None:
    store = open_store(settings)
    with make_engine(settings.state_url).connect() as connection:
        indexes = inspect(connection).get_indexes("holdfast_events")
    assert [index["column_names"] for index in indexes] == [["seq", "at", "run"]]
    if "sqlite" in settings.state_url:
        with store._reading() as connection:
            plan = connection.exec_driver_sql(
                "EXPLAIN QUERY PLAN SELECT run FROM holdfast_events WHERE seq = 1 ORDER BY at DESC, run DESC"
            ).all()
        assert "USING COVERING INDEX holdfast_events_runs (seq=?)" in str(plan)
        assert "TEMP B-TREE" not in str(plan)


def test_a_database_of_an_older_version_gets_its_index(settings: Settings) -> None:
    store = open_store(settings)
    store.append("one", opened())
    with make_engine(settings.state_url).begin() as connection:
        RUNS.drop(connection)

    assert open_store(settings).runs() == ["one"]

    with make_engine(settings.state_url).connect() as connection:
        assert inspect(connection).get_indexes("holdfast_events")


def test_a_run_is_deleted_only_as_it_was_read(settings: Settings) -> None:
    store = open_store(settings)
    for run in ("one", "two"):
        store.append(run, opened())
    last = store.append("one", Finished(at=NOW)).seq
    exclusive = dict.fromkeys(("lab/nova", "run:one"), LeaseMode.EXCLUSIVE)
    store.take(Holder("one", "ada", "why", "ctl", "boot", 1, 1), exclusive, timedelta(seconds=1))

    assert not store.delete("one", last - 1, "run:one")
    assert len(store.read("one")) == 2
    assert store.delete("one", last, "run:one")
    assert store.runs() == ["two"]
    assert store.scopes() == ["lab/nova"]


def test_a_run_id_has_the_time_and_the_runbook(settings: Settings) -> None:
    store = open_store(settings)
    first, second = (store.new_run("nova-by-hand", NOW) for _ in range(2))
    assert re.fullmatch(r"20261121-2304-nova-by-hand-[a-z2-9]{4}", first)
    assert first != second


def test_an_event_of_an_unknown_kind_is_an_error(settings: Settings) -> None:
    store = open_store(settings)
    store.append("one", opened())
    with make_engine(settings.state_url).begin() as connection:
        connection.execute(text('UPDATE holdfast_events SET body = \'{"kind": "teleported"}\''))

    with pytest.raises(StateUnusable, match="run one, event 1"):
        store.read("one")


def test_damaged_leases_are_an_error(settings: Settings) -> None:
    store = open_store(settings)
    with make_engine(settings.state_url).begin() as connection:
        connection.execute(text("INSERT INTO holdfast_leases VALUES ('lab/nova', 1, 1, 'x')"))

    with pytest.raises(StateUnusable, match="unreadable"):
        store.holders("lab/nova")


# --- a database that cannot be used: a clear error with the path and a remedy, and nothing made


def sqlite(path: Path, query: str = "") -> Settings:
    return Settings(f"sqlite:///{path}{query}", path.parent)


def test_a_corrupt_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database " * 1000)

    with pytest.raises(StateUnusable, match=str(path)) as caught:
        open_store(sqlite(path))

    assert "backup" in caught.value.remedy
    assert path.read_bytes() == b"no database " * 1000


def test_a_locked_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_store(sqlite(path))
    with (
        make_engine(f"sqlite:///{path}").begin(),
        pytest.raises(StateUnusable, match="locked") as caught,
    ):
        open_store(sqlite(path, "?timeout=0.1"))

    assert f"fuser -v {path}" in caught.value.remedy


def test_a_read_only_database_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_store(sqlite(path))

    # As root, permissions forbid nothing: the URL says it.
    with pytest.raises(StateUnusable, match="readonly") as caught:
        open_store(Settings(f"sqlite:///file:{path}?mode=ro&uri=true", tmp_path))

    assert "writable" in caught.value.remedy


@pytest.mark.parametrize("open_it", [open_to_read, lambda settings: open_store_of(settings, "one")])
def test_a_driver_that_is_not_installed_is_named(
    open_it: Callable[[Settings], object], tmp_path: Path
) -> None:
    with pytest.raises(
        StateUnusable, match="driver that cannot be imported: No module named 'MySQLdb'"
    ) as caught:
        open_it(Settings("mysql+mysqldb://db/holdfast", tmp_path))
    assert "pip install 'holdfast[mariadb]'" in caught.value.remedy
    assert "mysql+pymysql://" in caught.value.remedy


@pytest.mark.parametrize(
    ("url", "gone"),
    [
        ("sqlite:////var/lib/holdfast/state.db", is_gone_on_one_machine),
        ("mysql+pymysql://db/holdfast", is_gone),
    ],
)
def test_a_holder_from_before_a_reboot_is_gone_where_the_state_is_a_file(
    url: str, gone: object
) -> None:
    assert _gone_for(Settings(url, Path())) is gone


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateUnusable, match="cannot be made") as caught:
        open_store(sqlite(tmp_path / "file" / "sub" / "state.db"))

    assert "HOLDFAST_STATE_DIR" in caught.value.remedy


def test_a_server_that_is_down_is_named_without_the_password(tmp_path: Path) -> None:
    url = "mysql+pymysql://holdfast:hunter2@127.0.0.1:9/holdfast"

    with pytest.raises(StateUnusable, match="connect") as caught:
        open_store(Settings(url, tmp_path))

    assert "hunter2" not in str(caught.value)


def test_sqlite_writes_are_durable(tmp_path: Path) -> None:
    store = open_store(sqlite(tmp_path / "state.db"))

    with store._reading() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        ]
    assert modes == ["wal", 2]


def test_append_next_appends_only_after_the_given_event(settings: Settings) -> None:
    store = open_store(settings)
    first = store.append("one", opened())
    assert store.append_next("one", AbortRequested(at=NOW, by="ada"), first.seq)
    assert not store.append_next("one", AbortRequested(at=NOW, by="eve"), first.seq)
    assert [each.event.kind for each in store.read("one")] == ["run_opened", "abort_requested"]


def write_bodies(settings: Settings, run: str, *written: str) -> None:
    """Write a journal into the database as another Holdfast would have written it."""
    with make_engine(settings.state_url).begin() as connection:
        connection.execute(
            text("INSERT INTO holdfast_events VALUES (:run, :seq, 0, 'kind', :body)"),
            [{"run": run, "seq": seq, "body": body} for seq, body in enumerate(written, 1)],
        )


@pytest.mark.parametrize("name", STATES)
def test_a_journal_of_schema_1_is_read_from_the_database(settings: Settings, name: str) -> None:
    store = open_store(settings)
    write_bodies(settings, STATES[name]["run"], *bodies(name))

    assert list(store.read(STATES[name]["run"])) == read_recorded(name)


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', '{"schema": 2}', '{"schema": {}}'])
def test_a_damaged_event_is_named(settings: Settings, body: str) -> None:
    store = open_store(settings)
    write_bodies(settings, "one", body)

    with pytest.raises(StateUnusable, match=r"run one, event 1.*unreadable"):
        store.read("one")


def test_an_event_of_a_newer_holdfast_is_named_and_other_runs_are_read(settings: Settings) -> None:
    store = open_store(settings)
    write_bodies(settings, "newer", '{"schema": 3, "kind": "teleported"}')
    written = store.append("one", opened())

    with pytest.raises(StateUnusable, match="event 1 of run newer has schema 3") as caught:
        store.read("newer")

    assert "upgrade this Holdfast" in caught.value.remedy
    assert list(store.read("one")) == [written]
