"""Connections to the state database, and its failures as ``StateUnusable``.

Every transaction opens its own connection: Ansible forks its workers, and a connection must not
be shared across a fork.
"""

from __future__ import annotations

import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, NullPool, StaticPool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from holdfast.errors import InvalidInput, JournalGone, StateUnusable
from holdfast.files import entries, exists
from holdfast.store.time_limits import SERVER_SECONDS, connect_arguments, end_silent_connections

_BUSY_SECONDS = 5
"""How long SQLite waits for another writer; a write of Holdfast takes milliseconds."""

_TIME = {
    # Both are the time of the question, not of the transaction's begin: it may have waited since for a lock.
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
}

_NO_TABLE = {
    1049,  # MariaDB: there is no such database
    1146,  # MariaDB: there is no such table
    "3D000",  # PostgreSQL: there is no such database
    "42P01",  # PostgreSQL: there is no such table
}

_RUN = re.compile(r"\d{8}-\d{4}-")
"""How the id of a run begins (``Store.new_run``)."""

_LOST_RACES = {
    1020,  # MariaDB 11.6 and later: the row changed since this transaction read it
    1213,  # MariaDB: deadlock; on Galera also "certification failed" (another node committed first)
    "40001",  # PostgreSQL: serialization failure
    "40P01",  # PostgreSQL: deadlock
}


def make_engine(url: str, *, create: bool = True, seconds: float = SERVER_SECONDS) -> Engine:
    """Return an SQL engine; its SQLite connections are durable (WAL, full sync).

    ``create`` makes the file and the directory of SQLite where they are missing. ``seconds`` is how long
    a server may take to accept a connection or to answer.

    Raises:
        StateUnusable: it is of another kind than SQLite, MariaDB and PostgreSQL, or used through a driver
            that cannot be limited in time.
        sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError, OSError: see ``unopenable``.
    """
    target = make_url(url)
    backend = target.get_backend_name()
    if backend not in {"sqlite", *_TIME}:
        raise StateUnusable(
            f"the state database cannot be {backend}",
            remedy="use SQLite, MariaDB or PostgreSQL for state_url",
        )
    if backend != "sqlite":
        limits = connect_arguments(target, seconds)
        # Closing is enough for the server to roll back; a question on a connection that is broken would fail again.
        engine = create_engine(
            target, poolclass=NullPool, pool_reset_on_return=None, connect_args=limits
        )
        if backend == "postgresql":
            end_silent_connections(engine, seconds)
        else:
            _see_what_was_written(engine)
        return engine
    path = sqlite_path(target)
    if path is not None and create:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _share(path)
    # `sqlite://` names a database in memory, which lives as long as its one connection: for tests.
    pool = NullPool if target.database else StaticPool
    arguments = {} if "timeout" in target.query else {"timeout": _BUSY_SECONDS}
    engine = create_engine(target, poolclass=pool, connect_args=arguments)
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin_immediate)
    if not create:
        never_create(engine)
    return engine


def _see_what_was_written(engine: Engine) -> None:
    """Let each transaction on a Galera cluster see all that was committed on any node before it began (adr/0044).

    A node answers from what it has applied so far, which may be less: a run's first event would be missing.
    """
    is_cluster: list[bool] = []

    @event.listens_for(engine, "connect")
    def wait_for_others(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            if not is_cluster:  # what is no cluster need not know the other variable
                cursor.execute("SHOW VARIABLES LIKE 'wsrep_on'")
                told = cursor.fetchone()
                is_cluster.append(told is not None and told[1] == "ON")
            if is_cluster[0]:
                cursor.execute("SET SESSION wsrep_sync_wait = @@SESSION.wsrep_sync_wait | 1")


def make_reader(url: str) -> Engine:
    """Return an SQL engine that only reads, also an SQLite file on a read-only disk or of another user.

    Raises:
        StateUnusable, sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError: as ``make_engine``.
    """
    target = make_url(url)
    path = sqlite_path(target)
    if path is None:
        return make_engine(url)
    engine = create_engine(target, poolclass=NullPool)

    @event.listens_for(engine, "do_connect")
    def open_to_read(*_: Any) -> sqlite3.Connection:
        return _connect_to_read(path)

    return engine


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the file to read; where nothing can be created beside it, without what is in its log alone."""
    uri = path.absolute().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True)
    return connection


def _share(path: Path) -> None:
    """Make a new database file writable for the group, where its directory is; SQLite would not."""
    if path.parent.stat().st_mode & stat.S_IWGRP and not path.exists():
        path.touch(mode=0o600)
        path.chmod(0o660)


def refuse_to_replace(url: str, runs_dir: Path) -> None:
    """Return unless a file of SQLite would be made where ``runs_dir`` has the files of runs: theirs was deleted.

    A new one would know no run, and its leases would exclude nobody whose play still acts.

    Raises:
        JournalGone: it would; the error says what was found.
        StateUnusable: this user may not look.
    """
    path = sqlite_path(make_url(url))
    try:
        if path is None or (exists(path) and path.stat().st_size):
            return
        runs = [each.name for each in entries(runs_dir) if _RUN.match(each.name)]
    except InvalidInput as error:
        raise StateUnusable(error.message, remedy=error.remedy) from error
    if runs:
        raise JournalGone.beside(str(path), str(runs_dir), runs)


def database_time(connection: Connection) -> datetime:
    """Return the present time by the clock that all users of this database share.

    That of the server; for SQLite, which has none, that of this machine: its file is on one machine.
    """
    question = _TIME.get(connection.dialect.name)
    if question is None:
        return datetime.now(UTC)
    told: datetime = connection.exec_driver_sql(question).scalar_one()
    return told.replace(tzinfo=UTC)


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite URL; None for other databases and for ``file:`` URIs."""
    is_file = url.get_backend_name() == "sqlite" and url.database and "uri" not in url.query
    return Path(str(url.database)) if is_file else None


def _durable(connection: sqlite3.Connection, _record: object) -> None:
    # The driver begins a transaction at the first write: too late for a compare-and-swap.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_immediate(connection: Connection) -> None:
    # What only reads begins none, so that it waits for no writer. The driver does not know of that: it would
    # answer get_isolation_level() with what SQLite itself says, which is SERIALIZABLE for both.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def never_create(engine: Engine) -> None:
    """Let the engine open only a file that is there; a new one in its place would be an empty state."""
    path = sqlite_path(engine.url)
    if path is None:
        return

    @event.listens_for(engine, "do_connect")
    def open_existing(*told: Any) -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection: sqlite3.Connection = sqlite3.connect(uri, uri=True, **told[3])
        return connection


def lost_race(error: DBAPIError) -> bool:
    """Return whether the error means that another writer was first, and nothing was changed."""
    return not _LOST_RACES.isdisjoint(_codes(error))


def _vanished(error: SQLAlchemyError, where: str) -> bool:
    """Return whether the error means that a database or its tables, which were there, are gone."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return "no such table" in str(error.orig) or (
            "unable to open" in str(error.orig) and _is_missing(Path(where))
        )
    return not _NO_TABLE.isdisjoint(_codes(error))


def _is_missing(path: Path) -> bool:
    """Return whether there is no such file; not where this user may not look."""
    try:
        return not exists(path)
    except InvalidInput:
        return False


def _codes(error: DBAPIError) -> set[object]:
    """Return the error's SQLSTATE (psycopg, PyMySQL; psycopg2 has ``pgcode``) and its number (MariaDB).

    Both, since MariaDB has one SQLSTATE for many errors.
    """
    origin = error.orig
    number = origin.args[0] if origin and origin.args else None
    return {getattr(origin, "sqlstate", None), getattr(origin, "pgcode", None), number}


def describe(url: str) -> str:
    """Return the name of the database for messages: the file's path, or the URL with `***` for its password."""
    target = make_url(url)
    path = sqlite_path(target)
    return str(path) if path else target.render_as_string()


@contextmanager
def unusable(where: str, *, opened: bool = True) -> Iterator[None]:
    """Turn the errors of the database and its driver into ``StateUnusable`` with a remedy.

    Into ``JournalGone`` where a database that had been opened, or its tables, are not there any more.
    """
    try:
        yield
    except SQLAlchemyError as error:
        # The driver's message alone: SQLAlchemy's adds the statement and its values.
        message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        if opened and _vanished(error, where):
            raise JournalGone.told(where, f"was deleted or made anew: {message}") from error
        raise StateUnusable(
            f"the state database {where} cannot be used: {message}", remedy=_remedy(where, message)
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise StateUnusable(
            f"the state database {where} holds unreadable data: {first['msg']}",
            remedy="restore the database from a backup; other runs in it are not affected",
        ) from error


@contextmanager
def unopenable(where: str) -> Iterator[None]:
    """As ``unusable``, and for a driver that is not installed or a directory that cannot be made."""
    try:
        with unusable(where, opened=False):
            yield
    except ImportError as error:  # not found, or without its library in C
        raise StateUnusable(
            f"the state database {where} needs a driver that cannot be imported: {error}",
            remedy=_driver_remedy(where),
        ) from error
    except OSError as error:
        raise StateUnusable(
            f"the state directory of {where} cannot be made: {error.strerror}: {error.filename}",
            remedy="make it writable for you; while a run is in hand keep HOLDFAST_STATE_DIR as it is: "
            "another directory has other leases, which exclude nobody",
        ) from error


def _driver_remedy(where: str) -> str:
    """Return how a driver is had; those that Holdfast is tested with are extras of its package."""
    if not where.startswith(("postgresql", "mysql", "mariadb")):
        return "begin state_url with sqlite:///"
    is_postgresql = where.startswith("postgresql")
    extra, begins = (
        ("postgresql", "postgresql+psycopg") if is_postgresql else ("mariadb", "mysql+pymysql")
    )
    return f"pip install 'holdfast[{extra}]' into Holdfast's environment, and begin state_url with {begins}://"


def _remedy(where: str, message: str) -> str:
    """Return what to do about the failure with this message of the driver; the first word found in it decides."""
    remedies = {
        "WSREP": "this server is not, or not yet, in the primary part of its Galera cluster "
        "(SHOW STATUS LIKE 'wsrep_cluster_status'): mend it, or let state_url name one that is Primary; "
        "then repeat the command",
        "locked": f"see who holds it open (fuser -v {where}), then repeat the command",
        r"\block": "see which transaction is held open (MariaDB: SHOW FULL PROCESSLIST; PostgreSQL: "
        "pg_stat_activity), then repeat the command",
        "readonly": f"make it writable for you (ls -l {where}): another database has other leases, which "
        "exclude nobody",
        "read-only": "let state_url name the server that takes writes: this one is a replica, or was made read-only",
        "malformed|not a database": f"move {where} away and restore it from a backup; without one, read the "
        "runs' own directories to find out what was done before a new run is started",
        "unable to open|disk I/O|is full": f"check that {where} is a file you may read and write (ls -l), "
        "and the disk (df)",
        "": "check that the database is up and that state_url in the configuration is right",
    }
    return next(remedies[words] for words in remedies if re.search(words, message, re.IGNORECASE))
