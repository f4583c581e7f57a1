"""Connections to the state database, and its failures in Holdfast's words.

Every transaction opens its own connection: Ansible forks its workers, and a connection must not
cross a fork.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, NullPool, StaticPool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from holdfast.errors import StateUnusable

_BUSY_SECONDS = 5
"""How long SQLite waits for another writer; our own writes take milliseconds."""

_AGAIN = {
    1020,  # MariaDB 11.6 and later: the row changed since this transaction read it
    1205,  # MariaDB: waited too long for a row's lock
    1213,  # MariaDB: deadlock; on Galera also "certification failed" (another node was faster)
    "40001",  # PostgreSQL: serialization failure
    "40P01",  # PostgreSQL: deadlock
}


def make_engine(url: str) -> Engine:
    """An engine whose SQLite connections are durable (WAL, full sync) and write in earnest.

    Raises:
        sqlalchemy.exc.SQLAlchemyError, ModuleNotFoundError, OSError: see ``unusable``.
    """
    target = make_url(url)
    if target.get_backend_name() != "sqlite":
        return create_engine(target, poolclass=NullPool)
    path = sqlite_path(target)
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # `sqlite://` names a database in memory, which lives as long as its one connection: for tests.
    pool = NullPool if target.database else StaticPool
    engine = create_engine(target, poolclass=pool, connect_args=_sqlite_arguments(target))
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite URL; None for other databases and for ``file:`` URIs."""
    plain = url.get_backend_name() == "sqlite" and url.database and "uri" not in url.query
    return Path(str(url.database)) if plain else None


def _sqlite_arguments(url: URL) -> dict[str, Any]:
    return {} if "timeout" in url.query else {"timeout": _BUSY_SECONDS}


def _durable(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins is too late for a compare-and-swap.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_immediate(connection: Connection) -> None:
    if connection.get_isolation_level() != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def lost_race(error: DBAPIError) -> bool:
    """True when the database says that another writer was faster and nothing was changed."""
    origin = error.orig
    code = getattr(origin, "sqlstate", None) or (origin.args[0] if origin and origin.args else None)
    return code in _AGAIN


def describe(url: str) -> str:
    """The database for messages: a file's path, or the URL without its password."""
    target = make_url(url)
    path = sqlite_path(target)
    return str(path) if path else target.render_as_string(hide_password=True)


@contextmanager
def unusable(where: str) -> Iterator[None]:
    """Turn whatever the database or its driver raises into ``StateUnusable`` with a remedy."""
    try:
        yield
    except SQLAlchemyError as error:
        # The driver's words alone: SQLAlchemy's add the statement and its values.
        words = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise StateUnusable(
            f"the state database {where} cannot be used: {words}", remedy=_remedy(where, words)
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StateUnusable(
            f"the state database {where} holds something unreadable: {first['msg']}",
            remedy="it is damaged or was written by another version of Holdfast: use that version, "
            "or restore the database from a backup",
        ) from error


@contextmanager
def unopenable(where: str) -> Iterator[None]:
    """``unusable``, and a driver that is not installed or a directory that cannot be made."""
    try:
        with unusable(where):
            yield
    except ModuleNotFoundError as error:
        raise StateUnusable(
            f"the state database {where} needs the Python module {error.name}",
            remedy=f"pip install {error.name} into Holdfast's virtual environment",
        ) from error
    except OSError as error:
        raise StateUnusable(
            f"the state directory of {where} cannot be made: {error.strerror}: {error.filename}",
            remedy="set HOLDFAST_STATE_DIR to a directory you may write",
        ) from error


def _remedy(where: str, words: str) -> str:
    if "locked" in words:
        return f"see who holds it open (fuser -v {where}), then repeat the command"
    if "readonly" in words or "read-only" in words:
        return f"make it writable for you (ls -l {where}), or set HOLDFAST_STATE_DIR elsewhere"
    if "malformed" in words or "not a database" in words:
        return (
            f"move {where} away and restore it from a backup; without one, read the runs' own "
            "directories to learn what was done before starting anything new"
        )
    if any(trouble in words for trouble in ("unable to open", "disk I/O", "is full")):
        return f"check that {where} is a file you may read and write (ls -l), and the disk (df)"
    return "check that the database is up and that state_url in the configuration is right"
