"""Every failure of the database comes with what to do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from holdfast.errors import StateUnusable
from holdfast.store.connection import unusable


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
