"""Every failure of the database comes with what to do about it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import NullPool
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from holdfast.errors import JournalGone, StateUnusable
from holdfast.journal.events import Recorded, RunOpened
from holdfast.settings import Settings
from holdfast.store.connection import (
    database_time,
    describe,
    make_engine,
    make_reader,
    sqlite_path,
    unopenable,
    unusable,
)
from holdfast.store.database import open_store, open_to_read


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("disk I/O error", "df"),
        ("database or disk is full", "df"),
        ("unable to open database file", "ls -l"),
        ("database is locked", "fuser"),
        ("Lock wait timeout exceeded; try restarting transaction", "pg_stat_activity"),
        ("attempt to write a readonly database", "writable"),
        (
            "The MariaDB server is running with the --read-only option",
            "the server that takes writes",
        ),
        ("database disk image is malformed", "restore it from a backup"),
        ("file is not a database", "restore it from a backup"),
        ("WSREP has not yet prepared node for application use", "wsrep_cluster_status"),
        ("Connection refused", "the database is up"),
        ("invalid page in block 0 of relation", "the database is up"),
    ],
)
def test_every_failure_has_a_remedy(words: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    with (
        pytest.raises(StateUnusable, match=words) as caught,
        unusable(str(tmp_path / "state.db")),
    ):
        raise OperationalError("SELECT 1", {}, sqlite3.OperationalError(words))
    assert not isinstance(caught.value, JournalGone)
    assert remedy in caught.value.remedy
    assert "SELECT" not in str(caught.value)


def server_error(number: object = None, **codes: str) -> Exception:
    """Return a driver's error with a number, as PyMySQL has it, or a code, as those of PostgreSQL have it."""
    error = Exception() if number is None else Exception(number, "it said so")
    for name, code in codes.items():
        setattr(error, name, code)
    return error


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (server_error(1049), True),
        (server_error(1146), True),
        (server_error(2013), False),
        (server_error(sqlstate="3D000"), True),
        (server_error(pgcode="42P01"), True),
        (server_error(sqlstate="42501", pgcode="42501"), False),
        (server_error(), False),
        (sqlite3.OperationalError("no such table: holdfast_events"), True),
        (sqlite3.OperationalError("unable to open database file"), True),
        (sqlite3.OperationalError("database is locked"), False),
    ],
)
def test_a_database_that_is_gone_is_told_from_one_that_cannot_be_used(
    error: Exception, gone: bool
) -> None:
    """Only one that had been opened can be gone. The file of SQLite is not there here."""
    for using, kind in (
        (unusable, JournalGone if gone else StateUnusable),
        (unopenable, StateUnusable),
    ):
        with pytest.raises(StateUnusable) as caught, using("/nowhere/state.db"):
            raise OperationalError("SELECT 1", {}, error)
        assert type(caught.value) is kind
        assert str(error) in caught.value.message


@pytest.mark.parametrize(
    ("where", "remedy"),
    [
        ("postgresql+psycopg://u:***@db/x", "pip install 'holdfast[postgresql]'"),
        ("mysql+mysqldb://u:***@db/x", "begin state_url with mysql+pymysql://"),
        ("/state/state.db", "begin state_url with sqlite:///"),
    ],
)
def test_a_driver_without_its_library_is_named(where: str, remedy: str) -> None:
    """psycopg is installed and libpq is not."""
    with pytest.raises(StateUnusable, match="no pq wrapper") as caught, unopenable(where):
        raise ImportError("no pq wrapper available")
    assert remedy in caught.value.remedy


def test_an_error_that_is_not_the_driver_s_is_named_too() -> None:
    with (
        pytest.raises(StateUnusable, match="cannot be used: no such thing") as caught,
        unusable("the database"),
    ):
        raise SQLAlchemyError("no such thing")
    assert type(caught.value) is StateUnusable


def test_damaged_data_is_named_by_its_first_fault() -> None:
    with (
        pytest.raises(StateUnusable, match=r"unreadable data: Field required\n") as caught,
        unusable("the database"),
    ):
        Recorded.model_validate({"run": "r", "event": 1})
    assert "from a backup" in caught.value.remedy


@pytest.mark.parametrize(
    ("url", "path", "shown"),
    [
        ("sqlite:////state/state.db", Path("/state/state.db"), "/state/state.db"),
        ("sqlite://", None, "sqlite://"),
        ("sqlite:///file:state.db?uri=true", None, "sqlite:///file%3Astate.db?uri=true"),
        ("mysql+pymysql://u:hunter2@db/holdfast", None, "mysql+pymysql://u:***@db/holdfast"),
    ],
)
def test_a_database_is_shown_as_its_file_or_without_its_password(
    url: str, path: Path | None, shown: str
) -> None:
    assert sqlite_path(make_url(url)) == path
    assert describe(url) == shown


@dataclass
class ServerConnection:
    """A connection to a server that tells the time."""

    name: str
    asked: list[str] = field(default_factory=list)

    @property
    def dialect(self) -> ServerConnection:
        return self

    def exec_driver_sql(self, statement: str) -> ServerConnection:
        self.asked.append(statement)
        return self

    def scalar_one(self) -> datetime:
        return datetime(2026, 11, 21, 23, 4)  # noqa: DTZ001  # as the drivers return it


@pytest.mark.parametrize(
    ("name", "question"),
    [("mysql", "UTC_TIMESTAMP"), ("mariadb", "UTC_TIMESTAMP"), ("postgresql", "clock_timestamp")],
)
def test_the_time_of_a_server_is_utc(name: str, question: str) -> None:
    server = ServerConnection(name)
    assert database_time(server) == datetime(2026, 11, 21, 23, 4, tzinfo=UTC)  # type: ignore[arg-type]  # as far as it needs one
    assert question in server.asked[0]


@pytest.mark.parametrize(
    "url", ["mysql+pymysql://db/x", "postgresql+psycopg://db/x", "sqlite:////x"]
)
def test_no_connection_is_kept_for_the_next_transaction(url: str) -> None:
    """Ansible forks its workers."""
    assert isinstance(make_engine(url, create=False).pool, NullPool)


def test_the_readers_of_a_server_and_of_a_file_keep_no_connection_either() -> None:
    for url in ("mysql+pymysql://db/x", "sqlite:////x"):
        assert isinstance(make_reader(url).pool, NullPool)


@pytest.mark.parametrize(("query", "milliseconds"), [("", 5000), ("?timeout=0.5", 500)])
@pytest.mark.parametrize("create", [True, False])
def test_sqlite_waits_for_another_writer_as_long_as_a_server_does(
    tmp_path: Path, query: str, milliseconds: int, create: bool
) -> None:
    (tmp_path / "state.db").touch()
    engine = make_engine(f"sqlite:///{tmp_path / 'state.db'}{query}", create=create)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == milliseconds


@pytest.mark.parametrize(
    ("directory", "before", "after"),
    [
        (None, None, 0o644),
        (0o755, None, 0o644),
        (0o775, None, 0o660),
        (0o775, 0o600, 0o600),
    ],
)
def test_a_database_is_shared_with_the_group_only_where_its_new_file_is_in_the_group_s_directory(
    tmp_path: Path, directory: int | None, before: int | None, after: int
) -> None:
    place = tmp_path / "holdfast" / "state"
    if directory is not None:
        place.mkdir(parents=True)
        place.chmod(directory)
    if before is not None:
        (place / "state.db").touch()
        (place / "state.db").chmod(before)
    mask = os.umask(0o022)
    try:
        with make_engine(f"sqlite:///{place / 'state.db'}").connect():
            pass
    finally:
        os.umask(mask)
    assert (place / "state.db").stat().st_mode & 0o777 == after
    assert place.stat().st_mode & 0o777 == (directory or 0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_users_state_is_read_and_never_written() -> None:
    """Its directory takes no file, not even the one that SQLite shares between readers."""
    now = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
    opened = RunOpened(
        at=now, runbook="x", runbook_hash="x", site="lab", by="ada", reason="r", controller="ctl", process=1
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)
        settings = Settings(f"sqlite:///{place / 'state.db'}", place)
        open_store(settings).append("R", opened)
        (place / "state.db").chmod(0o644)
        os.seteuid(65534)
        try:
            with pytest.raises(StateUnusable) as caught:
                open_store(settings)
            assert "HOLDFAST_STATE_DIR elsewhere" not in caught.value.remedy
            store = open_to_read(settings)
            assert [each.event.kind for each in store.read("R")] == ["run_opened"]
            with pytest.raises(StateUnusable):
                store.append("R", opened)
        finally:
            os.seteuid(0)


def test_a_state_that_does_not_exist_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable):
        open_to_read(Settings(f"sqlite:///{tmp_path / 'state.db'}", tmp_path))
    assert not list(tmp_path.iterdir())
