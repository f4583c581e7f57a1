"""What chat remembers: which events it has heard, where each run is told, and how far.

One SQLite file beside the state, for one bot on one controller. It holds no token, no message's
text and no state of a run: those are the journal's. Losing it loses places, not runs.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from holdfast.chat.transport import Place, Posted
from holdfast.errors import StateUnusable

Kind = Literal["thread", "log"]

_TABLES = """
CREATE TABLE IF NOT EXISTS heard (ident TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS feeds (
  run TEXT NOT NULL, kind TEXT NOT NULL, transport TEXT NOT NULL, channel TEXT NOT NULL, told INTEGER NOT NULL,
  closed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, kind));
CREATE TABLE IF NOT EXISTS posted (
  key TEXT PRIMARY KEY, run TEXT NOT NULL, channel TEXT NOT NULL, thread TEXT NOT NULL, ident TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS posted_thread ON posted (channel, thread);
CREATE TABLE IF NOT EXISTS since (at REAL NOT NULL);
"""
_REMEMBERED = timedelta(days=7)
"""How long an event's ident is kept; no platform delivers again after more than a day."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One place where one run is told, and the last event that was told there."""

    run: str
    kind: Kind
    transport: str
    channel: str
    told: int


class Ledger:
    """Safe to use from several threads; every change is durable when its call returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._lock = path, threading.Lock()
        with self._open() as database:
            database.executescript(_TABLES)
        path.chmod(0o600)

    # --- events -------------------------------------------------------------------------------

    def is_new(self, ident: str, now: datetime) -> bool:
        """Note an event; True only for the first call with its ident, ever.

        Noted before anything is done about it: what a crash interrupts is asked again by a person,
        never done twice by us.
        """
        with self._open() as database:
            oldest = (now - _REMEMBERED).timestamp()
            database.execute("DELETE FROM heard WHERE at < ?", (oldest,))
            noted = database.execute(
                "INSERT OR IGNORE INTO heard VALUES (?, ?)", (ident, now.timestamp())
            )
            return noted.rowcount == 1

    def since(self, now: datetime) -> datetime:
        """When chat was first served here; what happened before is nobody's news."""
        with self._open() as database:
            database.execute(
                "INSERT INTO since SELECT ? WHERE NOT EXISTS (SELECT 1 FROM since)",
                (now.timestamp(),),
            )
            (at,) = database.execute("SELECT at FROM since").fetchone()
        return datetime.fromtimestamp(at, now.tzinfo)

    # --- feeds --------------------------------------------------------------------------------

    def follow(self, run: str, kind: Kind, transport: str, channel: str) -> None:
        """Tell the run there from its first event on; a run that is told already stays where it is."""
        with self._open() as database:
            database.execute(
                "INSERT INTO feeds VALUES (?, ?, ?, ?, 0, 0) "
                "ON CONFLICT (run, kind) DO UPDATE SET closed = 0",
                (run, kind, transport, channel),
            )

    def followed(self, run: str) -> bool:
        """Whether the run is told anywhere."""
        with self._open() as database:
            found = database.execute("SELECT 1 FROM feeds WHERE run = ?", (run,)).fetchone()
        return found is not None

    def feeds(self, transport: str) -> Sequence[Feed]:
        """Every feed of a platform that is not closed."""
        with self._open() as database:
            rows = database.execute(
                "SELECT run, kind, transport, channel, told FROM feeds "
                "WHERE transport = ? AND NOT closed ORDER BY rowid",
                (transport,),
            ).fetchall()
        return [Feed(*row) for row in rows]

    def told(self, feed: Feed, seq: int) -> None:
        """Note how far a feed has come."""
        with self._open() as database:
            database.execute(
                "UPDATE feeds SET told = ? WHERE run = ? AND kind = ?", (seq, feed.run, feed.kind)
            )

    def close(self, feed: Feed) -> None:
        """The run can go no further."""
        with self._open() as database:
            database.execute(
                "UPDATE feeds SET closed = 1 WHERE run = ? AND kind = ?", (feed.run, feed.kind)
            )

    # --- messages -----------------------------------------------------------------------------

    def keep(self, key: str, run: str, posted: Posted) -> None:
        """Remember where a message stands."""
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO posted VALUES (?, ?, ?, ?, ?)",
                (key, run, posted.place.channel, posted.place.thread, posted.ident),
            )

    def posted(self, key: str) -> Posted | None:
        """Where a message stands, if it was posted."""
        with self._open() as database:
            row = database.execute(
                "SELECT channel, thread, ident FROM posted WHERE key = ?", (key,)
            ).fetchone()
        return Posted(Place(row[0], row[1]), row[2]) if row else None

    def run_told_in(self, place: Place) -> str:
        """The run whose thread this is, or the empty string."""
        if not place.thread:
            return ""
        with self._open() as database:
            row = database.execute(
                "SELECT run FROM posted WHERE channel = ? AND ident = ? AND thread = ''",
                (place.channel, place.thread),
            ).fetchone()
        return str(row[0]) if row else ""

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise StateUnusable(
                f"{self._path}: what chat remembers cannot be read or written: {error}",
                remedy="repair the file, or move it away: runs are not in it",
            ) from error
