"""A database server that takes the connection and says nothing is waited for a few seconds, not for ever."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, PoolProxiedConnection, create_engine, insert, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from holdfast.errors import StateUnusable
from holdfast.model import Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.connection import lost_race, make_engine, unusable
from holdfast.store.database import open_store
from holdfast.store.tables import LEASES
from holdfast.store.time_limits import connect_arguments, end_silent_connections


@contextmanager
def silent_server(greeting: bytes = b"") -> Iterator[int]:
    """Yield the port of a server that takes connections, greets, and says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    taken.append(connection)
                    connection.sendall(greeting)
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


# A server of MariaDB begins: version 10, its name, thread id, salt, capabilities, character set, status.
GREETING = b"\x0a5.5.5-10.11\0\1\0\0\0saltsalt\0\xff\xf7\x2d\2\0\xff\x81\x15" + b"\0" * 10
GREETING += b"saltsaltsalt\0mysql_native_password\0"


# One of PostgreSQL: whoever it is may come in, and it is ready for a query.
POSTGRESQL_IS_READY = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
PLAIN = "?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize(
    ("driver", "greeting", "seconds"),
    [
        ("mysql+pymysql", b"", 0.2),
        ("mysql+pymysql", len(GREETING).to_bytes(3, "little") + b"\0" + GREETING, 0.2),
        ("postgresql+psycopg", b"", 2),  # the least that it knows
        ("postgresql+psycopg", POSTGRESQL_IS_READY, 0.2),
    ],
)
def test_a_server_that_says_nothing_is_an_error(
    driver: str, greeting: bytes, seconds: float
) -> None:
    began = time.monotonic()
    with silent_server(greeting) as port:
        query = PLAIN if driver.startswith("postgresql") else ""
        engine = make_engine(f"{driver}://u:p@127.0.0.1:{port}/holdfast{query}", seconds=seconds)
        with pytest.raises(StateUnusable), unusable("the database"), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    assert time.monotonic() - began < seconds + 5


SLOW = {"mysql": "SELECT SLEEP(30)", "postgresql": "SELECT pg_sleep(30)"}
# Without its own limit on the server, so that the client's is seen.
UNLIMITED = {"mysql": {}, "postgresql": {"options": "-c statement_timeout=0"}}


def test_an_answer_that_does_not_come_is_an_error(settings: Settings) -> None:
    url = make_url(settings.state_url)
    backend = url.get_backend_name()
    if backend not in SLOW:  # SQLite has no server
        return
    unlimited = url.update_query_dict(UNLIMITED[backend]).render_as_string(hide_password=False)
    began = time.monotonic()
    with (
        pytest.raises(StateUnusable),
        unusable("the database"),
        make_engine(unlimited, seconds=1).connect() as connection,
    ):
        connection.execute(text(SLOW[backend]))
    assert time.monotonic() - began < 10


def test_a_row_that_another_writer_holds_is_not_waited_for_without_end(settings: Settings) -> None:
    """The other is frozen in its transaction. The wait is the server's, shortened here."""
    url = make_url(settings.state_url)
    short = {
        "sqlite": {"timeout": "0.1"},
        "mysql": {"init_command": "SET SESSION innodb_lock_wait_timeout=1"},
        "postgresql": {"options": "-c lock_timeout=100ms"},
    }[url.get_backend_name()]
    open_store(settings)
    impatient = url.update_query_dict(short).render_as_string(hide_password=False)
    with make_engine(settings.state_url).begin() as frozen:
        frozen.execute(insert(LEASES).values(scope="lab/x", version=1, token=1, holders="[]"))
        with pytest.raises(StateUnusable, match="lock"):
            open_store(Settings(impatient, settings.state_dir)).take(
                Holder("one", "ada", "x", "ctl", "boot", 1, 1),
                {"lab/x": LeaseMode.EXCLUSIVE},
                timedelta(seconds=60),
            )


MARIADB = "SET SESSION innodb_lock_wait_timeout=5 /*M!100300 , idle_transaction_timeout=%d */"
POSTGRESQL = (
    "-c lock_timeout=5s -c statement_timeout=%dms -c idle_in_transaction_session_timeout=%dms"
)
TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout")


@pytest.mark.parametrize(
    ("driver", "seconds", "limits"),
    [
        ("mysql+pymysql", 2.4, {**dict.fromkeys(TIMEOUTS, 2.4), "init_command": MARIADB % 2}),
        ("mysql+pymysql", 0.2, {**dict.fromkeys(TIMEOUTS, 0.2), "init_command": MARIADB % 1}),
        ("mysql+mysqldb", 2.4, {**dict.fromkeys(TIMEOUTS, 2), "init_command": MARIADB % 2}),
        *(
            (
                driver,
                2.4,
                {
                    "connect_timeout": 2,
                    "tcp_user_timeout": 2400,
                    "options": POSTGRESQL % (2400, 2400),
                },
            )
            for driver in ("postgresql+psycopg", "postgresql+psycopg2", "postgresql")
        ),
    ],
)
def test_a_server_is_limited_where_the_url_does_not_say_otherwise(
    driver: str, seconds: float, limits: dict[str, object]
) -> None:
    found = connect_arguments(make_url(f"{driver}://db/holdfast"), seconds)
    assert found == limits
    assert list(map(type, found.values())) == list(map(type, limits.values()))
    for name in limits:
        own = connect_arguments(make_url(f"{driver}://db/holdfast?{name}=3"), seconds)
        assert own == {key: limits[key] for key in limits if key != name}


class SocketConnection(sqlite3.Connection):
    """A connection of a driver, as far as its limit needs one: it has a descriptor."""

    end: socket.socket

    def fileno(self) -> int:
        return self.end.fileno()


@contextmanager
def limited(
    seconds: float,
) -> Iterator[tuple[PoolProxiedConnection, socket.socket, threading.Timer]]:
    """Yield an open connection, its server's end, and what will shut it down after that time."""
    ours, theirs = socket.socketpair()

    def connect() -> SocketConnection:
        connection = sqlite3.connect(":memory:", factory=SocketConnection)
        connection.end = ours
        return connection

    with ours, theirs:
        theirs.settimeout(5)
        before = set(threading.enumerate())
        engine = create_engine("sqlite://", poolclass=NullPool, creator=connect)
        end_silent_connections(engine, seconds)
        connection = engine.raw_connection()
        [timer] = set(threading.enumerate()) - before
        assert isinstance(timer, threading.Timer)
        yield connection, theirs, timer
        connection.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_connection_that_is_open_after_its_time_is_shut_down() -> None:
    before = descriptors()
    with limited(0.01) as (_, server, timer):
        assert server.recv(1) == b"", "it has ended"
        timer.join(5)
        assert descriptors() == before + 2, "the two ends alone"


def test_a_connection_that_was_closed_in_time_leaves_nothing_behind() -> None:
    before = descriptors()
    with limited(60) as (connection, _, timer):
        assert timer.daemon, "it does not keep the process from its end"
        connection.close()
        timer.join(5)
        assert not timer.is_alive()
        assert descriptors() == before + 2


@pytest.mark.parametrize("url", ["mysql+mysqlconnector://db/x", "postgresql+pg8000://db/x"])
def test_a_driver_without_limits_is_refused(url: str) -> None:
    with pytest.raises(StateUnusable, match="limited in time") as caught:
        make_engine(url)
    assert "mysql+pymysql" in caught.value.remedy


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(StateUnusable, match="oracle") as caught:
        make_engine("oracle://db/x")
    assert "PostgreSQL" in caught.value.remedy


class PostgresError(Exception):
    """As psycopg2 raises it: ``pgcode``, no ``sqlstate``."""

    pgcode = "40001"


class Psycopg3Error(Exception):
    sqlstate = "40P01"


class NumberedError(Exception):
    """As PyMySQL raises it: a number, and an SQLSTATE that many errors have."""

    sqlstate = "HY000"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (NumberedError(1020, "Record has changed since last read"), True),
        (NumberedError(1205, "Lock wait timeout exceeded"), False),
        (PostgresError(), True),
        (Psycopg3Error(), True),
        (Exception(1213, "Deadlock found"), True),
        (Exception(2013, "Lost connection"), False),
        (None, False),
    ],
)
def test_a_lost_race_is_known_from_each_driver(error: Any, lost: bool) -> None:
    assert lost_race(DBAPIError("SELECT 1", {}, error)) is lost
