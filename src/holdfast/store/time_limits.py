"""Limits of time on connections to a database server: no transaction waits for ever.

A server may take the connection and say nothing (frozen, behind a dead firewall or proxy), or another
writer may hold a row and be frozen itself.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from holdfast.errors import StateUnusable

SERVER_SECONDS = 10.0
"""How long a server may take to accept a connection or to answer; a query of Holdfast takes milliseconds."""

LOCK_SECONDS = 5
"""How long a server waits for another writer's row, as SQLite does (``connection.py``)."""


def connect_arguments(url: URL, seconds: float = SERVER_SECONDS) -> dict[str, Any]:
    """Return the arguments of the driver's ``connect`` that limit it; the URL's own win over them.

    The server ends a transaction that its client leaves open, so that a frozen controller does not
    keep the others from writing.

    Raises:
        StateUnusable: it is not known how to limit this driver.
    """
    driver, milliseconds = url.get_driver_name(), int(seconds * 1000)
    if driver in {"pymysql", "mysqldb"}:
        # The second variable is MariaDB's alone, so MySQL must read it as a comment.
        idle = f"/*M!100300 , idle_transaction_timeout={max(1, round(seconds))} */"
        limits: dict[str, Any] = {
            "connect_timeout": seconds,
            "read_timeout": seconds,
            "write_timeout": seconds,
            "init_command": f"SET SESSION innodb_lock_wait_timeout={LOCK_SECONDS} {idle}",
        }
        if driver == "mysqldb":  # whole seconds alone
            limits |= {name: round(limits[name]) for name in limits if name.endswith("_timeout")}
    elif driver in {"psycopg", "psycopg2"}:
        limits = {
            "connect_timeout": round(seconds),
            "tcp_user_timeout": milliseconds,
            "options": f"-c lock_timeout={LOCK_SECONDS}s -c statement_timeout={milliseconds}ms"
            f" -c idle_in_transaction_session_timeout={milliseconds}ms",
        }
    else:
        raise StateUnusable(
            f"the state database cannot be used through {url.drivername}: its answers cannot be limited in time",
            remedy="begin state_url with mysql+pymysql:// or postgresql+psycopg://",
        )
    return {name: value for name, value in limits.items() if name not in url.query}


def end_silent_connections(engine: Engine, seconds: float = SERVER_SECONDS) -> None:
    """Shut down a connection that is still open after that time; whoever waits for it gets an error.

    For PostgreSQL, whose drivers wait for an answer without limit. A connection lives for one
    transaction (``NullPool``).
    """

    # First of all, since SQLAlchemy asks the first connection of an engine which server it is.
    @event.listens_for(engine, "connect", insert=True)
    def begin(connection: Any, record: Any) -> None:
        # A descriptor of its own: the driver's may be closed, and its number used again, by then.
        own = socket.socket(fileno=os.dup(connection.fileno()))
        timer = threading.Timer(seconds, _shut_down, (own,))
        timer.daemon = True
        timer.start()
        record.info["limit"] = timer, own

    @event.listens_for(engine, "close")
    def end(_connection: Any, record: Any) -> None:
        timer, own = record.info.pop("limit", (None, None))
        if timer is not None:
            timer.cancel()
            own.close()


def _shut_down(connection: socket.socket) -> None:
    with connection:
        connection.shutdown(socket.SHUT_RDWR)
