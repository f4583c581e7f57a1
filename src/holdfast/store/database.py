"""``Store``: appends and reads events, takes and proves leases, in the state database.

The algorithm of every change: read, compute the new rows (``leases.py``), write them where the
version is still the one that was read, commit. If that changed no row, another writer was faster:
wait a moment and begin again, a bounded number of times (``_RACES``). No act is repeated by that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, NullPool, Row, delete, inspect, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from holdfast.errors import JournalGone, StateUnusable
from holdfast.journal.events import EVENTS as EVENT
from holdfast.journal.events import Event, Recorded, RunOpened
from holdfast.journal.upgrades import SCHEMA, upgrade_event
from holdfast.model import Grant, Holder, Json, LeaseMode
from holdfast.retry import RetryPolicy, wait_seconds
from holdfast.settings import Settings
from holdfast.store import leases, statements
from holdfast.store.connection import (
    database_time,
    describe,
    lost_race,
    make_engine,
    make_reader,
    never_create,
    refuse_to_replace,
    sqlite_path,
    unopenable,
    unusable,
)
from holdfast.store.leases import LeaseRow, Scope
from holdfast.store.processes import is_gone, is_gone_on_one_machine
from holdfast.store.tables import EVENTS, LEASES, METADATA, RUNS, to_ticks
from holdfast.store.throw_away import MOUNTS, refuse_throw_away

_RACES = RetryPolicy(first_seconds=0.005, most_seconds=0.1, attempts=50)
"""How often a transaction that lost a race is begun again; every race that one writer lost, another won."""

_PAGE = 500
"""Events read in one query."""

_FEW = 50
"""Events read in one query where the first may be enough."""

_NO_SEQ = 2**31 - 1
"""Larger than the number of any event."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without the letters that look like digits

_BODY: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])

_PRESENT = f'{{"schema":{SCHEMA},'
"""How an event begins that needs no upgrade."""

_T = TypeVar("_T")

Clock = Callable[[Connection], datetime]
"""Returns the present time, for a transaction."""

_SAME_TIME = timedelta(seconds=5)
"""A larger difference between a controller's and the database's clock is reported; with NTP it is far smaller."""


_APART = 2 * _SAME_TIME
"""How far the clocks of a database's servers may be apart: each differs by ``_SAME_TIME`` from one that is right."""


class _LostRace(Exception):
    """Another writer changed what this transaction read; it must begin again."""


def _gone_for(settings: Settings) -> Callable[[Holder], bool]:
    """Return how a dead holder is known in this state: a file of SQLite is on one machine."""
    is_file = sqlite_path(make_url(settings.state_url)) is not None
    return is_gone_on_one_machine if is_file else is_gone


def open_store_of(settings: Settings, run: str) -> Store:
    """Open the state database for a run that is under way; make nothing.

    For everything that acts or records for a run that exists: a play's tasks (``action_plugin.open_state``).

    Raises:
        JournalGone: the database does not exist, or has no event of this run.
        StateUnusable: it cannot be reached, read or written; the error has a remedy.
    """
    where = describe(settings.state_url)
    with unopenable(where):
        engine = make_engine(settings.state_url, create=False)
    store = Store(engine, where, _gone_for(settings), database_time)
    store.require(run)
    return store


def open_store(
    settings: Settings,
    gone: Callable[[Holder], bool] | None = None,
    clock: Clock = database_time,
    mounts: Path = MOUNTS,
) -> Store:
    """Open the state database and make what is missing, the database's file included.

    Afterwards the store makes nothing: where the database is deleted or replaced, its methods raise
    ``JournalGone``. ``gone`` returns whether a lease's holder is known to be dead. ``clock`` is what leases are judged
    by, ``mounts`` says which file systems there are; only tests replace them.

    Raises:
        JournalGone: there is no file, and beside it are files of runs; nothing was made.
        StateUnusable: it cannot be reached, read or written; the error has a remedy.
    """
    where = describe(settings.state_url)
    with unopenable(where):
        refuse_to_replace(settings.state_url, settings.runs_dir)
        engine = make_engine(settings.state_url)

        def prepare() -> None:
            with _races(), engine.begin() as connection:
                _make_tables(connection)
                # A write even where the tables exist, so that a database that cannot be written fails here,
                # before anything else happens (SQLite begins a transaction even on a read-only file).
                no_row = LEASES.c.scope == ""
                connection.execute(update(LEASES).where(no_row).values(version=LEASES.c.version))

        # On a cluster another node's writes end this one's transaction where they meet the same gap of the index.
        _until_no_race_is_lost(prepare, where)
        never_create(engine)
    store = Store(engine, where, gone or _gone_for(settings), clock)
    store.require_lasting = partial(refuse_throw_away, settings, mounts)
    return store


def preload(settings: Settings) -> None:
    """Import what the database's driver needs, in a process that forks others; connect to nothing and make nothing.

    Where that fails, whoever opens the state says why.
    """
    with suppress(StateUnusable), unopenable(describe(settings.state_url)):
        make_engine(settings.state_url, create=False).dispose()


def nothing_kept(settings: Settings) -> bool:
    """Return whether there is no state yet: no file of SQLite, and no run's files beside it.

    False where that cannot be seen, and for a database server.
    """
    path = sqlite_path(make_url(settings.state_url))
    try:
        if path is None:
            return False
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return not settings.runs_dir.is_dir()
    except OSError:
        return False
    return False


def open_empty(settings: Settings, clock: Clock = database_time) -> Store:
    """Return a store without runs and leases, for who reads a state that is not there; makes no file."""
    engine = make_engine("sqlite://")
    with engine.begin() as connection:
        _make_tables(connection)
    return Store(engine, describe(settings.state_url), is_gone, clock)


def open_to_read(settings: Settings) -> Store:
    """Open the state database where it can be read and not written; every change fails, nothing is made.

    Raises:
        StateUnusable: it cannot be read either.
    """
    where = describe(settings.state_url)
    with unopenable(where):
        store = Store(make_reader(settings.state_url), where, is_gone, database_time)
    store.scopes()
    return store


class Store:
    """The journal and the leases. Safe to use from several threads, processes and controllers.

    ``where`` is the database's name in messages.

    Every method raises ``StateUnusable`` where the database cannot be read or written, and its
    subclass ``JournalGone`` where the database was deleted since it was opened.

    A run's journal begins with ``run_opened``; any other event is appended only to a journal that is
    there, and whoever reads on after an event that is not there is told (``JournalGone`` as well). So a
    driver or a play whose database was replaced by another, an empty or an older one, learns it from
    its next call, and writes nothing into it.
    """

    def __init__(
        self,
        engine: Engine,
        where: str,
        gone: Callable[[Holder], bool],
        clock: Clock,
        wait: Callable[[float], object] = wait_seconds,
    ) -> None:
        self._engine, self.where, self._gone = engine, where, gone
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._clock, self._wait = clock, wait
        # The nodes of a Galera cluster, and a server and its standby, have a clock each; a file is on one machine.
        self.apart = timedelta(0) if engine.dialect.name == "sqlite" else _APART
        """How long after its expiry a lease is still respected by others (adr/0029)."""
        self.require_lasting: Callable[[], None] = lambda: None
        """Raises StateUnusable where the state goes with its container; asked before a run begins."""

    # --- events -------------------------------------------------------------------------------

    def new_run(self, name: str, now: datetime) -> str:
        """Return a run id that is not used yet, such as ``20261121-2304-rabbitmq-restart-k3f9``."""
        while True:
            tail = "".join(secrets.choice(_ALPHABET) for _ in range(4))
            run = f"{now:%Y%m%d-%H%M}-{name}-{tail}"
            if not self.read(run):
                return run

    def require(self, run: str) -> None:
        """Return only if the database has the run's journal.

        Raises:
            JournalGone: it has no event of this run.
        """
        try:
            with self._reading() as connection:
                last = _last(connection, run)
        except JournalGone as gone:
            raise JournalGone.of(run, self.where, "was deleted or made anew") from gone
        if not last:
            raise JournalGone.of(run, self.where, "has no event of it")

    def append(self, run: str, event: Event) -> Recorded:
        """Append the event to the run's journal; it is durable when this returns.

        Raises:
            JournalGone: the run has no journal, and the event opens none.
        """
        return self._change(lambda connection: self._append(connection, run, event))

    def append_next(self, run: str, event: Event, after: int) -> bool:
        """Append the event only if ``after`` is the run's last one; return whether it was appended.

        For a writer without a lease whose event is right only after what it has read: where this
        returns False, read on and decide again.

        Raises:
            JournalGone: the journal is gone, or ends before ``after``.
        """

        def append_if_next(connection: Connection) -> bool:
            last = _last(connection, run)
            if last > after:
                return False
            self._require_seq(run, last, after)
            self._append(connection, run, event)
            return True

        return self._change(append_if_next)

    def append_guarded(self, grant: Grant, event: Event, *further: Event) -> Recorded:
        """Append the event, and further ones after it, only if every lease of the grant is valid, in one transaction.

        Returns the last.

        The lease rows are written as well (their version grows), so that a concurrent take conflicts
        with this on every node of a cluster (adr/0002). The leases are proved last, so that they have
        not expired while this waited for another writer.

        Raises:
            LeaseLost: a token is no longer valid; nothing was written.
            JournalGone: the run has no journal in this database; nothing was written.
        """

        def append_if_valid(connection: Connection) -> Recorded:
            scopes, last = _scopes_and_last(connection, grant)
            _touch(connection, scopes)
            recorded = self._append_after(connection, grant.run, event, last)
            for each in further:
                recorded = self._append_after(connection, grant.run, each, recorded.seq)
            now = self._clock(connection)
            for scope in scopes:
                self._prove(scope, grant, now)
            return recorded

        return self._change(append_if_valid)

    def read(self, run: str, after: int = 0) -> Sequence[Recorded]:
        """Return the run's events with ``seq`` greater than ``after``, in order.

        None for an unknown run, if ``after`` is 0; otherwise it is an event that the caller has read.

        Raises:
            JournalGone: the event ``after`` is not there any more.
            StateUnusable: also for an event that is damaged, or that a newer Holdfast wrote.
        """
        return list(self.each(run, after))

    def each(self, run: str, after: int = 0) -> Iterator[Recorded]:
        """Yield the same, a page at a time: the journal of a large fleet need not fit into memory."""
        while rows := self._rows(run, after):
            yield from (self._recorded(run, row.seq, row.body) for row in rows)
            after = rows[-1].seq
            if len(rows) < _PAGE:
                return

    def length(self, run: str) -> int:
        """Return how many events the run's journal has."""
        with self._reading() as connection:
            return _last(connection, run)

    def newest(self, run: str, *kinds: str) -> Iterator[Recorded]:
        """Yield the run's events of these kinds alone, the newest first, a page at a time."""
        end, named = _NO_SEQ, {f"kind_{number}": kind for number, kind in enumerate(kinds)}
        while True:
            with self._reading() as connection:
                statement, most = statements.newest(len(kinds)), _FEW
                rows = statement.run(connection, run=run, end=end, most=most, **named).all()
            yield from (self._recorded(run, row.seq, row.body) for row in rows)
            if len(rows) < _FEW:
                return
            end = rows[-1].seq

    def _rows(self, run: str, after: int) -> Sequence[Row[Any]]:
        most = _PAGE + 1  # with the one that must be there
        with self._reading() as connection:
            rows = statements.PAGE.run(connection, run=run, first=after, most=most).all()
        if after == 0:
            return rows[:_PAGE]
        self._require_seq(run, rows[0].seq if rows else 0, after)
        return rows[1:]

    def runs(self) -> Sequence[str]:
        """Return all runs, the one opened last first."""
        query = (
            select(EVENTS.c.run)
            .where(EVENTS.c.seq == 1)
            .order_by(EVENTS.c.at.desc(), EVENTS.c.run.desc())
        )
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def delete(self, run: str, after: int, scope: str) -> bool:
        """Delete the run's journal if ``after`` is its last event; return whether it was deleted.

        ``scope`` is the run's own, which no other run takes: it goes with the journal. Those of services
        stay, so that their tokens only grow.
        """

        def delete_if_last(connection: Connection) -> bool:
            if _last(connection, run) != after:
                return False
            # Meets whoever appends meanwhile, also on another node, where no row that is deleted is written.
            statements.APPEND.run(connection, run=run, seq=after + 1, at=0, kind="", body="")
            connection.execute(delete(EVENTS).where(EVENTS.c.run == run))
            connection.execute(delete(LEASES).where(LEASES.c.scope == scope))
            return True

        return self._change(delete_if_last)

    # --- leases -------------------------------------------------------------------------------

    def take(self, holder: Holder, scopes: Mapping[str, LeaseMode], ttl: timedelta) -> Grant:
        """Take every scope or none; the same holder again renews and keeps its tokens.

        Raises:
            LeaseHeld: another holder excludes it; the error says who, since when and why.
        """

        def take_all(connection: Connection) -> Grant:
            tokens, now = {}, self._clock(connection)
            for old in _scopes(connection, scopes):
                valid = old.valid(now, self._gone, self.apart)
                new = leases.take(valid, holder, scopes[old.name], ttl, now)
                _swap(connection, old, new)
                tokens[old.name] = new.rows[-1].token
            return Grant(holder.run, tokens)

        return self._change(take_all)

    def would_take(self, holder: Holder, scopes: Mapping[str, LeaseMode]) -> None:
        """Return only if ``take`` would succeed now, raise as it would otherwise; changes nothing."""
        with self._reading() as connection:
            now = self._clock(connection)
            for scope in _scopes(connection, scopes):
                valid = scope.valid(now, self._gone, self.apart)
                leases.take(valid, holder, scopes[scope.name], timedelta(0), now)

    def renew(self, grant: Grant, ttl: timedelta) -> None:
        """Make every lease of the grant valid for ``ttl`` from now, or none.

        Raises:
            LeaseLost: one of them expired or was taken.
        """

        def renew_all(connection: Connection) -> None:
            now = self._clock(connection)
            for scope in _scopes(connection, grant.tokens):
                self._prove(scope, grant, now)
                _swap(connection, scope, leases.renew(scope, grant, ttl, now))

        self._change(renew_all)

    def check(self, grant: Grant) -> timedelta:
        """Return how long every lease of the grant is still valid; no time for a grant without leases.

        Raises:
            LeaseLost: one of them expired or was taken.
        """
        with self._reading() as connection:
            scopes = _scopes(connection, grant.tokens)
            now = self._clock(connection)
        valid = [self._prove(scope, grant, now).expires - now for scope in scopes]
        return min(valid, default=timedelta(0))

    def release(self, grant: Grant) -> None:
        """Give back what the grant still holds; what is gone already is no error."""

        def release_all(connection: Connection) -> None:
            for scope in _scopes(connection, grant.tokens):
                if scope.version:
                    _swap(connection, scope, leases.release(scope, grant))

        self._change(release_all)

    def holders(self, scope: str) -> Sequence[LeaseRow]:
        """Return the valid leases of the scope: not expired, and their holder not known to be dead."""
        with self._reading() as connection:
            now = self._clock(connection)
            return _scopes(connection, (scope,))[0].valid(now, self._gone, self.apart).rows

    def held(self, *, without: str = "") -> Sequence[tuple[str, LeaseRow]]:
        """Return the valid leases of all scopes, by name, but those whose names begin with ``without``."""
        query = select(LEASES).order_by(LEASES.c.scope)
        if without:
            query = query.where(~LEASES.c.scope.startswith(without, autoescape=True))
        with self._reading() as connection:
            now = self._clock(connection)
            rows = connection.execute(query).all()
        return [
            (each.name, row)
            for each in map(_scope, rows)
            for row in each.valid(now, self._gone, self.apart).rows
        ]

    def scopes(self) -> Sequence[str]:
        """Return every scope that was ever taken, by name."""
        with self._reading() as connection:
            return list(
                connection.execute(select(LEASES.c.scope).order_by(LEASES.c.scope)).scalars()
            )

    def galera_cluster(self) -> str:
        """Return the uuid of the Galera cluster that keeps the state; "" where none does.

        Raises:
            StateUnusable: the database does not answer.
        """
        if self._engine.dialect.name not in {"mysql", "mariadb"}:
            return ""
        with self._reading() as connection:
            found = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'")
            row = found.first()
        return str(row[1]) if row else ""

    def clock_warning(self, controller: Callable[[], datetime]) -> str:
        """Return a sentence where the controller's clock and the database's differ; "" where they agree.

        Expiry goes by the database's clock alone, but several servers of one cluster have several, and
        people and reports compare the journal's times, which are the controllers'.
        """
        with self._reading() as connection:
            before = controller()
            there = self._clock(connection)
            here = controller()
        # The answer was given at some moment between the two readings.
        ahead, behind = before - there, there - here
        if max(ahead, behind) <= _SAME_TIME:
            return ""
        apart = f"{round(max(ahead, behind).total_seconds())} s {'ahead of' if ahead > behind else 'behind'}"
        return (
            f"the clock of this controller ({here:%Y-%m-%d %H:%M:%S} UTC) is {apart} "
            f"that of the state database ({there:%Y-%m-%d %H:%M:%S} UTC)"
        )

    # --- transactions -------------------------------------------------------------------------

    def _change(self, change: Callable[[Connection], _T]) -> _T:
        """Run ``change`` in one transaction, and after a lost race again, from its first reading."""

        def attempt() -> _T:
            with unusable(self.where), _races(), self._engine.begin() as connection:
                return change(connection)

        return _until_no_race_is_lost(attempt, self.where, self._wait)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with (
            unusable(self.where),
            self._reader.connect() as connection,
        ):
            try:
                yield connection
            finally:
                # Nothing is put back in order on what is closed: a server that has just failed would refuse it, and
                # SQLAlchemy passes that error of the driver on as it is.
                if isinstance(self._engine.pool, NullPool):
                    connection.invalidate()

    def _append(self, connection: Connection, run: str, event: Event) -> Recorded:
        return self._append_after(connection, run, event, _last(connection, run))

    def _append_after(self, connection: Connection, run: str, event: Event, last: int) -> Recorded:
        if not last and not isinstance(event, RunOpened):
            raise JournalGone.of(run, self.where, "has no event of it")
        # Two writers that read the same last event conflict in the primary key: one of them begins again.
        statements.APPEND.run(
            connection,
            run=run,
            seq=last + 1,
            at=to_ticks(event.at),
            kind=event.kind,
            body=event.model_dump_json(),
        )
        return Recorded(run=run, seq=last + 1, event=event)

    def _require_seq(self, run: str, found: int, after: int) -> None:
        """Raise ``JournalGone`` unless the event that was found is the one that was read before."""
        if found != after:
            raise JournalGone.of(run, self.where, f"no longer has its event {after}")

    def _prove(self, scope: Scope, grant: Grant, now: datetime) -> LeaseRow:
        """As ``leases.prove``; a scope that was never taken in this database was taken in another."""
        if not scope.version:
            raise JournalGone.of(grant.run, self.where, f"does not know the lease {scope.name}")
        return leases.prove(scope, grant, now)

    def _recorded(self, run: str, seq: int, body: str) -> Recorded:
        with unusable(f"{self.where} (run {run}, event {seq})"):
            return _parsed(run, seq, body)


@lru_cache(maxsize=2048)
def _parsed(run: str, seq: int, body: str) -> Recorded:
    """Return the event; the last ones are kept, since a driver and what runs beside it both read them."""
    if body.startswith(_PRESENT):
        return Recorded(run=run, seq=seq, event=EVENT.validate_json(body))
    written = _BODY.validate_json(body)
    event = EVENT.validate_python(upgrade_event(written, f"event {seq} of run {run}"))
    return Recorded(run=run, seq=seq, event=event)


def _make_tables(connection: Connection) -> None:
    """Make the tables and the index that are missing; on a cluster, each statement would stop all writers."""
    found = inspect(connection)
    tables = set(found.get_table_names())
    for table in METADATA.sorted_tables:
        if table.name not in tables:
            connection.execute(CreateTable(table, if_not_exists=True))
    indexes = found.get_indexes(EVENTS.name) if EVENTS.name in tables else []
    if RUNS.name not in {index["name"] for index in indexes}:
        connection.execute(CreateIndex(RUNS, if_not_exists=True))


def _until_no_race_is_lost(
    attempt: Callable[[], _T], where: str, wait: Callable[[float], object] = wait_seconds
) -> _T:
    """Return what the attempt returns, begun again as often as ``_RACES`` allows.

    Raises:
        StateUnusable: each one met another writer.
    """
    try:
        return _RACES.call(attempt, retry_on=_LostRace, wait=wait)
    except _LostRace:
        raise StateUnusable(
            f"{where}: {_RACES.attempts} attempts to write all met another writer",
            remedy="see what else uses this database, then repeat the command",
        ) from None


@contextmanager
def _races() -> Iterator[None]:
    """Raise ``_LostRace`` for those errors of the database that mean one."""
    try:
        yield
    except IntegrityError as error:
        raise _LostRace from error
    except DBAPIError as error:
        if lost_race(error):
            raise _LostRace from error
        raise


def _last(connection: Connection, run: str) -> int:
    return int(statements.LAST_SEQ.run(connection, run=run).scalar_one())


def _scopes(connection: Connection, names: Iterable[str]) -> list[Scope]:
    """Return the scopes as they are now, by name: the same order for all writers prevents deadlocks."""
    named = _named(names)
    rows = statements.scopes(len(named)).run(connection, **named).all() if named else ()
    return _known(rows, named)


def _scopes_and_last(connection: Connection, grant: Grant) -> tuple[list[Scope], int]:
    """Return the grant's scopes, and the ``seq`` of its run's last event, with one statement."""
    named = _named(grant.tokens)
    statement = statements.scopes(len(named), with_last=True)
    rows = statement.run(connection, run=grant.run, **named).all() if named else ()
    last = int(rows[0].last) if rows else _last(connection, grant.run)
    return _known(rows, named), last


def _named(names: Iterable[str]) -> dict[str, str]:
    return {f"name_{number}": name for number, name in enumerate(sorted(names))}


def _known(rows: Iterable[Row[Any]], named: Mapping[str, str]) -> list[Scope]:
    known = {row.scope: _scope(row) for row in rows}
    return [known.get(name, Scope(name, version=0, token=0)) for name in named.values()]


def _scope(row: Row[Any]) -> Scope:
    return Scope(row.scope, row.version, row.token, _holders(row.holders))


@lru_cache(maxsize=64)
def _holders(text: str) -> tuple[LeaseRow, ...]:
    """Return the rows of a scope: of a run under way the same for thousands of events."""
    return leases.ROWS.validate_json(text)


def _touch(connection: Connection, scopes: Sequence[Scope]) -> None:
    """Write the scopes as they were read, so that their versions grow; raise ``_LostRace`` as ``_swap`` does."""
    known = [scope for scope in scopes if scope.version]
    for scope in scopes:
        if not scope.version:
            _swap(connection, scope, scope)
    if not known:
        return
    named = {f"name_{number}": scope.name for number, scope in enumerate(known)}
    read = {f"read_{number}": scope.version for number, scope in enumerate(known)}
    if statements.touch(len(known)).run(connection, **named, **read).rowcount != len(known):
        raise _LostRace


def _swap(connection: Connection, old: Scope, new: Scope) -> None:
    """Write the scope if its version is still the one that was read; raise ``_LostRace`` otherwise."""
    values = {
        "version": old.version + 1,
        "token": new.token,
        "holders": leases.ROWS.dump_json(new.rows).decode(),
    }
    if old.version == 0:
        connection.execute(statements.ADD_SCOPE, {"scope": old.name, **values})
        return
    same = {"name": old.name, "read_version": old.version}
    if connection.execute(statements.SWAP_SCOPE, same | values).rowcount != 1:
        raise _LostRace
