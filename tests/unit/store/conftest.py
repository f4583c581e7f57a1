"""Every test of the store runs on SQLite, or on the servers that HOLDFAST_TEST_DATABASES lists.

``make check-store`` sets ``mariadb postgresql psycopg2``: servers of MariaDB and of PostgreSQL that are
started for the tests (``servers.py``), the latter through each of its two drivers. A URL is a database
that runs already; its tables are emptied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cache, partial
from pathlib import Path

import pytest
from sqlalchemy import delete

from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import open_store
from holdfast.store.tables import METADATA
from tests.unit.store import servers

DATABASES = os.environ.get("HOLDFAST_TEST_DATABASES", "sqlite").split()

SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "mariadb": servers.mariadb,
    "postgresql": servers.postgresql,
    "psycopg2": partial(servers.postgresql, "psycopg2"),
}


@pytest.fixture(scope="session")
def url_of() -> Iterator[Callable[[str], str]]:
    """Return the URL of a database; its server is started when it is first asked for."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(SERVERS[name]()) if name in SERVERS else name)


@pytest.fixture(params=DATABASES)
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, url_of: Callable[[str], str]
) -> Settings:
    if request.param == "sqlite":
        return Settings(f"sqlite:///{tmp_path / 'state.db'}", tmp_path)
    settings = Settings(url_of(request.param), tmp_path)
    open_store(settings)
    with make_engine(settings.state_url).begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))
    return settings
