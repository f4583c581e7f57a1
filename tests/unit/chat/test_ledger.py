"""What chat remembers outlives it; it is noted once."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.chat.ledger import Ledger
from holdfast.chat.transport import Place, Posted
from holdfast.errors import StateUnusable

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_an_event_is_new_once_and_for_all(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "chat.db")
    assert ledger.is_new("e1", NOW)
    assert not ledger.is_new("e1", NOW)
    assert not Ledger(tmp_path / "chat.db").is_new("e1", NOW + timedelta(days=6))
    assert ledger.is_new("e2", NOW)


def test_a_feed_knows_how_far_it_is_and_is_opened_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "chat.db")
    ledger.follow("r1", "thread", "memory", "room")
    (feed,) = ledger.feeds("memory")
    ledger.told(feed, 7)
    ledger.follow("r1", "thread", "memory", "elsewhere")
    (again,) = Ledger(tmp_path / "chat.db").feeds("memory")
    assert (again.told, again.channel) == (7, "room")
    ledger.close(feed)
    assert ledger.feeds("memory") == []
    ledger.follow("r1", "thread", "memory", "room")
    assert [each.told for each in ledger.feeds("memory")] == [7]


def test_a_thread_belongs_to_its_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "chat.db")
    ledger.keep("r1/thread", "r1", Posted(Place("room"), "m1"))
    ledger.keep("r1/progress", "r1", Posted(Place("room", "m1"), "m2"))
    assert ledger.run_told_in(Place("room", "m1")) == "r1"
    assert ledger.run_told_in(Place("room", "m2")) == ""
    assert ledger.run_told_in(Place("room")) == ""
    assert ledger.run_told_in(Place("other", "m1")) == ""


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    Ledger(tmp_path / "chat" / "chat.db")
    assert stat.S_IMODE((tmp_path / "chat" / "chat.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "chat").stat().st_mode) == 0o700


def test_a_broken_file_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "chat.db").write_text("this is no database, however long one looks at it")
    with pytest.raises(StateUnusable, match="runs are not in it"):
        Ledger(tmp_path / "chat.db")
