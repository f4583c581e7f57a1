"""What chat has received and posted outlives the bot, and is recorded once."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from holdfast.chat.delivery_state import DeliveryState, Feed
from holdfast.chat.transport import Location, Posted
from holdfast.errors import StateUnusable

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_an_event_is_recorded_once(tmp_path: Path) -> None:
    delivery = DeliveryState(tmp_path / "chat.db")
    assert delivery.record_event("e1", NOW)
    assert not delivery.record_event("e1", NOW)
    assert not DeliveryState(tmp_path / "chat.db").record_event("e1", NOW + timedelta(days=6))
    assert delivery.record_event("e2", NOW)


def test_a_reopened_feed_goes_on_from_its_last_posted_event(tmp_path: Path) -> None:
    delivery = DeliveryState(tmp_path / "chat.db")
    delivery.follow("r1", "thread", "memory", "room")
    (feed,) = delivery.open_feeds("memory")
    delivery.set_posted(feed, 7)
    delivery.follow("r1", "thread", "memory", "elsewhere")
    (again,) = DeliveryState(tmp_path / "chat.db").open_feeds("memory")
    assert (again.posted_seq, again.channel) == (7, "room")
    delivery.close(feed)
    assert delivery.open_feeds("memory") == []
    delivery.follow("r1", "thread", "memory", "room")
    assert [each.posted_seq for each in delivery.open_feeds("memory")] == [7]


def test_a_thread_belongs_to_its_run(tmp_path: Path) -> None:
    delivery = DeliveryState(tmp_path / "chat.db")
    delivery.save_message("r1/thread", "r1", Posted(Location("room"), "m1"))
    delivery.save_message("r1/progress", "r1", Posted(Location("room", "m1"), "m2"))
    assert delivery.run_of_thread(Location("room", "m1")) == "r1"
    assert delivery.run_of_thread(Location("room", "m2")) == ""
    assert delivery.run_of_thread(Location("room")) == ""
    assert delivery.run_of_thread(Location("other", "m1")) == ""


def test_the_file_is_private(tmp_path: Path) -> None:
    DeliveryState(tmp_path / "chat" / "chat.db")
    assert stat.S_IMODE((tmp_path / "chat" / "chat.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "chat").stat().st_mode) == 0o700


def test_a_damaged_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "chat.db").write_text("this is no database, however long one looks at it")
    with pytest.raises(StateUnusable, match="runs are not in it"):
        DeliveryState(tmp_path / "chat.db")


EARLIER = """
CREATE TABLE heard (ident TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE feeds (
  run TEXT NOT NULL, kind TEXT NOT NULL, transport TEXT NOT NULL, channel TEXT NOT NULL, told INTEGER NOT NULL,
  closed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, kind));
CREATE TABLE posted (
  key TEXT PRIMARY KEY, run TEXT NOT NULL, channel TEXT NOT NULL, thread TEXT NOT NULL, ident TEXT NOT NULL);
CREATE INDEX posted_thread ON posted (channel, thread);
CREATE TABLE since (at REAL NOT NULL);
INSERT INTO heard VALUES ('e1', 1795219200.0);
INSERT INTO feeds VALUES ('r1', 'thread', 'memory', 'room', 7, 0), ('r0', 'thread', 'memory', 'room', 9, 1);
INSERT INTO posted VALUES ('r1/thread', 'r1', 'room', '', 'm1');
INSERT INTO since VALUES (1795000000.0);
"""


def test_a_file_of_an_earlier_version_is_used_further(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "chat.db")) as database, database:
        database.executescript(EARLIER)
    delivery = DeliveryState(tmp_path / "chat.db")
    assert not delivery.record_event("e1", NOW)
    assert delivery.first_served(NOW).timestamp() == 1795000000.0
    assert delivery.open_feeds("memory") == [Feed("r1", "thread", "memory", "room", 7)]
    assert delivery.find_message("r1/thread") == Posted(Location("room"), "m1")
    assert delivery.run_of_thread(Location("room", "m1")) == "r1"
    delivery.follow("r0", "thread", "memory", "elsewhere")
    assert [(each.run, each.posted_seq) for each in delivery.open_feeds("memory")] == [
        ("r1", 7), ("r0", 9),
    ]  # fmt: skip


def test_of_several_threads_one_is_the_first_to_record_an_event(tmp_path: Path) -> None:
    delivery, start = DeliveryState(tmp_path / "chat.db"), Barrier(4)

    def record(event_id: str) -> bool:
        start.wait()
        return delivery.record_event(event_id, NOW)

    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            recorded = list(threads.map(record, [f"e{number}"] * 4))
            assert recorded.count(True) == 1
