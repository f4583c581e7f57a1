"""Every test of the store runs on SQLite, or on the servers that HOLDFAST_TEST_DATABASES lists.

``make check-store`` sets ``mariadb galera postgresql psycopg2``: servers of MariaDB and of PostgreSQL that are
started for the tests (``servers.py``, ``galera.py``), the latter through each of its two drivers. A URL is a database
that runs already; its tables are emptied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cache, partial
from pathlib import Path

import pytest
from sqlalchemy import delete

from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import open_store
from holdfast.store.tables import METADATA
from tests.unit.store import galera, servers

DATABASES = os.environ.get("HOLDFAST_TEST_DATABASES", "sqlite").split()

Servers = Sequence[servers.Server] | Sequence[galera.Node]
"""All that lead to the same state."""

SERVERS: dict[str, Callable[[], AbstractContextManager[Servers]]] = {
    "mariadb": servers.mariadb,
    "galera": galera.galera,
    "postgresql": servers.postgresql,
    "psycopg2": partial(servers.postgresql, "psycopg2"),
}


@pytest.fixture(scope="session")
def servers_of() -> Iterator[Callable[[str], Servers]]:
    """Return a function that returns a database's servers; they are started when they are first asked for."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(SERVERS[name]()))


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """Return the database that the test is run on: sqlite, one of ``SERVERS`` or a URL."""
    name: str = request.param
    return name


@pytest.fixture
def ways(database: str, tmp_path: Path, servers_of: Callable[[str], Servers]) -> Sequence[Settings]:
    """Return the same state through each of its servers; it is empty."""
    if database == "sqlite":
        return [Settings(f"sqlite:///{tmp_path / 'state.db'}", tmp_path)]
    urls = [each.url for each in servers_of(database)] if database in SERVERS else [database]
    ways = [Settings(url, tmp_path) for url in urls]
    open_store(ways[0])
    with make_engine(ways[0].state_url).begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))
    return ways


@pytest.fixture
def settings(ways: Sequence[Settings]) -> Settings:
    return ways[0]
