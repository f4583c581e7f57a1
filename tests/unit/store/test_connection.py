"""Every failure of the database comes with what to do about it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from holdfast.errors import StateUnusable
from holdfast.journal.events import RunOpened
from holdfast.settings import Settings
from holdfast.store.connection import unusable
from holdfast.store.database import open_store, open_to_read


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("disk I/O error", "df"),
        ("database or disk is full", "df"),
        ("unable to open database file", "ls -l"),
        ("database is locked", "fuser"),
        ("attempt to write a readonly database", "writable"),
        ("database disk image is malformed", "backup"),
    ],
)
def test_every_failure_has_a_remedy(words: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    with (
        pytest.raises(StateUnusable, match=words) as caught,
        unusable(str(tmp_path / "state.db")),
    ):
        raise OperationalError("SELECT 1", {}, sqlite3.OperationalError(words))
    assert remedy in caught.value.remedy
    assert "SELECT" not in str(caught.value)


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
