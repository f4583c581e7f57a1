"""``Store``: events appended and read, leases taken and proved, against a real database.

The algorithm of every change: read, compute the new rows (``leases.py``), write them where the
version is still the one that was read, commit. If that changed no row, another writer was faster:
wait a moment and begin again, a bounded number of times (``_RACES``). No act is repeated by that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateTable

from holdfast.errors import StateUnusable
from holdfast.journal.events import EVENTS as EVENT
from holdfast.journal.events import Event, Recorded
from holdfast.journal.upgrades import upgrade_event
from holdfast.model import Grant, Holder, Json, LeaseMode
from holdfast.retry import RetryPolicy, wait_seconds
from holdfast.settings import Settings
from holdfast.store import leases
from holdfast.store.connection import describe, lost_race, make_engine, unopenable, unusable
from holdfast.store.leases import LeaseRow, Scope
from holdfast.store.processes import is_gone
from holdfast.store.tables import EVENTS, LEASES, METADATA, to_ticks

_RACES = RetryPolicy(first_seconds=0.005, most_seconds=0.1, attempts=50)
"""How often a transaction that lost a race is begun again; every race that one writer lost, another won."""

_PART = 500
"""Events read at a time."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without the letters that look like digits

_BODY: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])

_T = TypeVar("_T")


class _LostRace(Exception):
    """Somebody else changed what we read; read again."""


def open_store(settings: Settings, gone: Callable[[Holder], bool] = is_gone) -> Store:
    """Open the state database and make its tables where they are missing.

    ``gone`` tells whether a lease's holder is proven dead.

    Raises:
        StateUnusable: it cannot be reached, read or written; the message says which and the remedy.
    """
    where = describe(settings.state_url)
    with unopenable(where):
        engine = make_engine(settings.state_url)
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
            # A write even when there is nothing to make: a database that cannot be written is
            # found out before anything else happens (SQLite begins a "write" on a read-only file).
            nowhere = LEASES.c.scope == ""
            connection.execute(update(LEASES).where(nowhere).values(version=LEASES.c.version))
    return Store(engine, where, gone)


class Store:
    """The journal and the leases. Safe to use from several threads, processes and controllers."""

    def __init__(
        self,
        engine: Engine,
        where: str,
        gone: Callable[[Holder], bool],
        wait: Callable[[float], object] = wait_seconds,
    ) -> None:
        self._engine = engine
        self._where = where
        self._gone = gone
        self._wait = wait

    # --- events -------------------------------------------------------------------------------

    def new_run(self, name: str, now: datetime) -> str:
        """Return a run id that nobody has used, such as ``20261121-2304-rabbitmq-restart-k3f9``.

        Raises:
            StateUnusable: the database cannot be read.
        """
        while True:
            tail = "".join(secrets.choice(_ALPHABET) for _ in range(4))
            run = f"{now:%Y%m%d-%H%M}-{name}-{tail}"
            if not self.read(run):
                return run

    def append(self, run: str, event: Event) -> Recorded:
        """Add the event at the end of the run's journal, durable when this returns.

        Raises:
            StateUnusable: it could not be written.
        """
        return self._change(lambda connection: _append(connection, run, event))

    def append_next(self, run: str, event: Event, after: int) -> bool:
        """Add the event only as the one that follows ``after``; False where somebody else wrote since.

        Raises:
            StateUnusable: it could not be written.
        """

        def next_one(connection: Connection) -> bool:
            if _last(connection, run) != after:
                return False
            _append(connection, run, event)
            return True

        return self._change(next_one)

    def append_guarded(self, grant: Grant, event: Event, now: datetime) -> Recorded:
        """Add the event only if every lease of the grant is valid, in one transaction.

        The lease rows are written as well (their version grows), so a concurrent take on any
        database of a cluster conflicts with this and cannot slip in between (adr/0002).

        Raises:
            LeaseLost: a token is no longer valid; nothing was written.
            StateUnusable: it could not be written.
        """

        def guarded(connection: Connection) -> Recorded:
            for scope in _scopes(connection, grant.tokens):
                leases.proved(scope, grant, now)
                _swap(connection, scope, scope)
            return _append(connection, grant.run, event)

        return self._change(guarded)

    def read(self, run: str, after: int = 0) -> Sequence[Recorded]:
        """The run's events with ``seq`` greater than ``after``, in order; empty for an unknown run.

        Raises:
            StateUnusable: the database or one of the events cannot be read.
        """
        return list(self.each(run, after))

    def each(self, run: str, after: int = 0) -> Iterator[Recorded]:
        """As ``read``, a part at a time: the journal of a large fleet need not fit into memory.

        Raises:
            StateUnusable: as ``read``.
        """
        while rows := self._rows(run, after):
            yield from (self._recorded(run, row.seq, row.body) for row in rows)
            after = rows[-1].seq
            if len(rows) < _PART:
                return

    def _rows(self, run: str, after: int) -> Sequence[Row[int, str]]:
        wanted = (
            select(EVENTS.c.seq, EVENTS.c.body)
            .where(EVENTS.c.run == run, EVENTS.c.seq > after)
            .order_by(EVENTS.c.seq)
            .limit(_PART)
        )
        with self._reading() as connection:
            return connection.execute(wanted).all()

    def runs(self) -> Sequence[str]:
        """All runs, the one opened last first."""
        wanted = (
            select(EVENTS.c.run)
            .where(EVENTS.c.seq == 1)
            .order_by(EVENTS.c.at.desc(), EVENTS.c.run.desc())
        )
        with self._reading() as connection:
            return list(connection.execute(wanted).scalars())

    # --- leases -------------------------------------------------------------------------------

    def take(
        self,
        holder: Holder,
        scopes: Mapping[str, LeaseMode],
        ttl: timedelta,
        now: datetime,
    ) -> Grant:
        """Take every scope or none; the same holder again renews and keeps its tokens.

        Raises:
            LeaseHeld: another holder excludes it; says who, since when and why.
        """

        def taking(connection: Connection) -> Grant:
            tokens = {}
            for old in _scopes(connection, scopes):
                living = old.living(now, self._gone)
                new = leases.taken(living, holder, scopes[old.name], ttl, now)
                _swap(connection, old, new)
                tokens[old.name] = new.rows[-1].token
            return Grant(holder.run, tokens)

        return self._change(taking)

    def would_take(self, holder: Holder, scopes: Mapping[str, LeaseMode], now: datetime) -> None:
        """Return only if ``take`` would succeed now; changes nothing.

        Raises:
            LeaseHeld: another holder excludes it; says who, since when and why.
        """
        with self._reading() as connection:
            for scope in _scopes(connection, scopes):
                living = scope.living(now, self._gone)
                leases.taken(living, holder, scopes[scope.name], timedelta(0), now)

    def renew(self, grant: Grant, ttl: timedelta, now: datetime) -> None:
        """Make every lease of the grant valid for ``ttl`` from now, or none.

        Raises:
            LeaseLost: one of them expired or was taken.
        """

        def renewing(connection: Connection) -> None:
            for scope in _scopes(connection, grant.tokens):
                _swap(connection, scope, leases.renewed(scope, grant, ttl, now))

        self._change(renewing)

    def check(self, grant: Grant, now: datetime) -> None:
        """Return only if every lease of the grant is valid now.

        Raises:
            LeaseLost: one of them expired or was taken.
        """
        with self._reading() as connection:
            for scope in _scopes(connection, grant.tokens):
                leases.proved(scope, grant, now)

    def release(self, grant: Grant) -> None:
        """Give back what the grant still holds; what is gone already is no error."""

        def releasing(connection: Connection) -> None:
            for scope in _scopes(connection, grant.tokens):
                _swap(connection, scope, leases.released(scope, grant))

        self._change(releasing)

    def holders(self, scope: str, now: datetime) -> Sequence[LeaseRow]:
        """Who keeps others out of the scope now; expired and provably dead holders do not."""
        with self._reading() as connection:
            return _scopes(connection, (scope,))[0].living(now, self._gone).rows

    def scopes(self) -> Sequence[str]:
        """Every scope that was ever taken, by name."""
        with self._reading() as connection:
            return list(
                connection.execute(select(LEASES.c.scope).order_by(LEASES.c.scope)).scalars()
            )

    # --- transactions -------------------------------------------------------------------------

    def _change(self, change: Callable[[Connection], _T]) -> _T:
        """Run ``change`` in one transaction, and after a lost race again, from its first reading."""

        def attempt() -> _T:
            with self._transaction() as connection:
                return change(connection)

        try:
            return _RACES.call(attempt, retry_on=_LostRace, wait=self._wait)
        except _LostRace:
            raise StateUnusable(
                f"{self._where}: {_RACES.attempts} attempts to write all met another writer",
                remedy="see what else uses this database, then repeat the command",
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with unusable(self._where), _races(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with (
            unusable(self._where),
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            yield connection

    def _recorded(self, run: str, seq: int, body: str) -> Recorded:
        with unusable(f"{self._where} (run {run}, event {seq})"):
            written = _BODY.validate_json(body)
            event = EVENT.validate_python(upgrade_event(written, f"event {seq} of run {run}"))
            return Recorded(run=run, seq=seq, event=event)


@contextmanager
def _races() -> Iterator[None]:
    """Tell a lost race from every other failure of the database."""
    try:
        yield
    except IntegrityError as error:
        raise _LostRace from error
    except DBAPIError as error:
        if lost_race(error):
            raise _LostRace from error
        raise


def _append(connection: Connection, run: str, event: Event) -> Recorded:
    seq = _last(connection, run) + 1
    # Two writers that read the same `last` meet in the primary key: one of them reads again.
    connection.execute(
        insert(EVENTS).values(
            run=run, seq=seq, at=to_ticks(event.at), kind=event.kind, body=event.model_dump_json()
        )
    )
    return Recorded(run=run, seq=seq, event=event)


def _last(connection: Connection, run: str) -> int:
    last = select(func.coalesce(func.max(EVENTS.c.seq), 0)).where(EVENTS.c.run == run)
    return int(connection.execute(last).scalar_one())


def _scopes(connection: Connection, names: Iterable[str]) -> list[Scope]:
    """The scopes as they are now, in the order of their names: two takers never cross."""
    wanted = sorted(names)
    rows = connection.execute(select(LEASES).where(LEASES.c.scope.in_(wanted))).all()
    known = {
        row.scope: Scope(row.scope, row.version, row.token, leases.load_rows(row.holders))
        for row in rows
    }
    return [known.get(name, Scope(name, version=0, token=0)) for name in wanted]


def _swap(connection: Connection, old: Scope, new: Scope) -> None:
    """Write the scope where it is still the one that was read, or raise ``_LostRace``."""
    values = {
        "version": old.version + 1,
        "token": new.token,
        "holders": leases.dump_rows(new.rows),
    }
    if old.version == 0:
        connection.execute(insert(LEASES).values(scope=old.name, **values))
        return
    same = (LEASES.c.scope == old.name) & (LEASES.c.version == old.version)
    if connection.execute(update(LEASES).where(same).values(**values)).rowcount != 1:
        raise _LostRace
