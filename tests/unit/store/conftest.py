"""Every test of the store runs on SQLite, and on the databases that HOLDFAST_TEST_DATABASES lists.

For example ``HOLDFAST_TEST_DATABASES=mysql+pymysql://u:p@127.0.0.1/test``; their tables are emptied.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import open_store
from holdfast.store.tables import METADATA

OTHERS = os.environ.get("HOLDFAST_TEST_DATABASES", "").split()


@pytest.fixture(params=["sqlite", *OTHERS])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield Settings(f"sqlite:///{tmp_path / 'state.db'}", tmp_path)
        return
    settings = Settings(request.param, tmp_path)
    open_store(settings)
    with make_engine(request.param).begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))
    yield settings
