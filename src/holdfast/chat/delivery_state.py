"""What chat has received and posted: event ids, each run's feeds and how far they are, messages' ids.

One SQLite file beside the state, for one bot on one controller. It holds no token, no message's text and
no state of a run (the journal does). Without it threads begin anew; runs are not affected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from holdfast.chat.transport import Location, Posted
from holdfast.errors import StateUnusable
from holdfast.store.connection import make_engine

Kind = Literal["thread", "log"]

_KEPT = timedelta(days=7)
"""How long an event's id is kept; no platform delivers again after more than a day."""

_METADATA = MetaData()
_EVENTS = Table("heard", _METADATA, Column("ident", Text, primary_key=True), Column("at", Float))
_FEEDS = Table(
    "feeds",
    _METADATA,
    *(Column(name, Text, primary_key=True) for name in ("run", "kind")),
    *(Column(name, Text, nullable=False) for name in ("transport", "channel")),
    Column("told", Integer, nullable=False),
    Column("closed", Integer, nullable=False, default=0),
)
_POSTED = Table(
    "posted",
    _METADATA,
    Column("key", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("run", "channel", "thread", "ident")),
    Index("posted_thread", "channel", "thread"),
)
_SINCE = Table("since", _METADATA, Column("at", Float))


@dataclass(frozen=True, slots=True)
class Feed:
    """One channel that a run is posted to, and the last event that was posted there."""

    run: str
    kind: Kind
    transport: str
    channel: str
    posted_seq: int


class DeliveryState:
    """Safe to use from several threads; every change is durable when its call returns."""

    def __init__(self, path: Path) -> None:
        self._path, self._engine = path, make_engine(f"sqlite:///{path}")
        with self._transaction() as connection:
            _METADATA.create_all(connection)
        path.chmod(0o600)

    # --- events -------------------------------------------------------------------------------

    def record_event(self, event_id: str, now: datetime) -> bool:
        """Record a received event; return True only for the first call with its id.

        It is recorded before anything is done about it: what a crash interrupts has to be typed
        again, and nothing is done twice.
        """
        with self._transaction() as connection:
            oldest = (now - _KEPT).timestamp()
            connection.execute(_EVENTS.delete().where(_EVENTS.c.at < oldest))
            new = insert(_EVENTS).values(ident=event_id, at=now.timestamp())
            return connection.execute(new.on_conflict_do_nothing()).rowcount == 1

    def first_served(self, now: datetime) -> datetime:
        """Return when chat was first served here; runs that began before are not posted."""
        with self._transaction() as connection:
            at = connection.scalar(select(_SINCE.c.at))
            if at is None:
                at = now.timestamp()
                connection.execute(_SINCE.insert().values(at=at))
        return datetime.fromtimestamp(at, now.tzinfo)

    # --- feeds --------------------------------------------------------------------------------

    def follow(self, run: str, kind: Kind, transport: str, channel: str) -> None:
        """Open a feed from the run's first event on; a feed that exists stays where it is."""
        new = insert(_FEEDS).values(
            run=run, kind=kind, transport=transport, channel=channel, told=0
        )
        reopen = new.on_conflict_do_update(index_elements=["run", "kind"], set_={"closed": 0})
        with self._transaction() as connection:
            connection.execute(reopen)

    def is_followed(self, run: str) -> bool:
        """Return whether the run has a feed."""
        with self._transaction() as connection:
            found = connection.scalar(select(_FEEDS.c.run).where(_FEEDS.c.run == run).limit(1))
        return found is not None

    def open_feeds(self, transport: str) -> Sequence[Feed]:
        """Return every feed of a platform that is not closed, oldest first."""
        columns = _FEEDS.c["run", "kind", "transport", "channel", "told"]
        chosen = select(*columns).where(_FEEDS.c.transport == transport, _FEEDS.c.closed == 0)
        with self._transaction() as connection:
            return [Feed(*row) for row in connection.execute(chosen.order_by(text("rowid")))]

    def set_posted(self, feed: Feed, seq: int) -> None:
        """Record the last event that was posted to a feed."""
        self._update(feed, told=seq)

    def close(self, feed: Feed) -> None:
        """Close a feed: its run has ended."""
        self._update(feed, closed=1)

    def _update(self, feed: Feed, **values: int) -> None:
        row = (_FEEDS.c.run == feed.run) & (_FEEDS.c.kind == feed.kind)
        with self._transaction() as connection:
            connection.execute(_FEEDS.update().where(row).values(**values))

    # --- messages -----------------------------------------------------------------------------

    def save_message(self, key: str, run: str, posted: Posted) -> None:
        """Record where a message was posted."""
        row = {"run": run, "ident": posted.message_id, **asdict(posted.location)}
        new = insert(_POSTED).values(key=key, **row)
        with self._transaction() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=["key"], set_=row))

    def find_message(self, key: str) -> Posted | None:
        """Return where a message was posted; None if it was not."""
        columns = _POSTED.c["channel", "thread", "ident"]
        with self._transaction() as connection:
            row = connection.execute(select(*columns).where(_POSTED.c.key == key)).first()
        return Posted(Location(row.channel, row.thread), row.ident) if row else None

    def run_of_thread(self, location: Location) -> str:
        """Return the run whose thread this is, or the empty string."""
        if not location.thread:
            return ""
        first = (_POSTED.c.ident == location.thread) & (_POSTED.c.thread == "")
        chosen = select(_POSTED.c.run).where(_POSTED.c.channel == location.channel, first)
        with self._transaction() as connection:
            return connection.scalar(chosen) or ""

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise StateUnusable(
                f"{self._path}: chat's own state cannot be read or written: {reason}",
                remedy="repair the file, or move it away: runs are not in it",
            ) from error
