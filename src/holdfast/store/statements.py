"""The statements that every event takes, built and compiled once: that takes longer than SQLite takes to run one."""

from __future__ import annotations

from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Connection,
    CursorResult,
    Dialect,
    Executable,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from holdfast.store.tables import EVENTS, LEASES

Compiled = tuple[str, dict[str, Any], tuple[str, ...] | None]
"""A statement's text, the values that it brings, and the order of its values, None where they go by name."""


class Prepared:
    """A statement that is compiled once for each engine. Its values are texts and numbers, as drivers take them."""

    def __init__(self, statement: Executable) -> None:
        self._statement: Any = statement
        self._compiled: WeakKeyDictionary[Dialect, Compiled] = WeakKeyDictionary()

    def run(self, connection: Connection, **values: str | int) -> CursorResult[Any]:
        """Run it with these values."""
        dialect = connection.dialect
        known = self._compiled.get(dialect)
        if known is None:
            known = self._compiled[dialect] = _compile(self._statement, dialect)
        text, brought, order = known
        every = {**brought, **values}
        given = every if order is None else tuple(every[name] for name in order)
        return connection.exec_driver_sql(text, given)


def _compile(statement: Any, dialect: Dialect) -> Compiled:
    compiled = statement.compile(dialect=dialect)
    order = tuple(compiled.positiontup) if compiled.positional else None
    return str(compiled), dict(compiled.params), order


_LAST_SEQ = select(func.coalesce(func.max(EVENTS.c.seq), 0)).where(EVENTS.c.run == bindparam("run"))
LAST_SEQ = Prepared(_LAST_SEQ)
"""The ``seq`` of the last event of ``run``; 0 without any."""

PAGE = Prepared(
    select(EVENTS.c.seq, EVENTS.c.body)
    .where(EVENTS.c.run == bindparam("run"), EVENTS.c.seq >= bindparam("first"))
    .order_by(EVENTS.c.seq)
    .limit(bindparam("most"))
)
"""The events of ``run`` from the one numbered ``first`` on, ``most`` at most."""


@cache
def newest(count: int) -> Prepared:
    """Return the statement for events of ``run`` before the one numbered ``end``, the newest first, ``most`` at most.

    They are of so many kinds, the values ``kind_0``, ``kind_1`` and so on.
    """
    kinds = [bindparam(f"kind_{number}", type_=EVENTS.c.kind.type) for number in range(count)]
    return Prepared(
        select(EVENTS.c.seq, EVENTS.c.body)
        .where(EVENTS.c.run == bindparam("run"), EVENTS.c.seq < bindparam("end"))
        .where(EVENTS.c.kind.in_(kinds))
        .order_by(EVENTS.c.seq.desc())
        .limit(bindparam("most"))
    )


APPEND = Prepared(insert(EVENTS))
"""Adds an event; its values are the columns."""


@cache
def scopes(count: int, *, with_last: bool = False) -> Prepared:
    """Return the statement for the rows of so many scopes, the values ``name_0``, ``name_1`` and so on.

    ``with_last``: each row has the ``seq`` of the last event of ``run`` too, as ``last``.
    """
    names = [bindparam(f"name_{number}", type_=LEASES.c.scope.type) for number in range(count)]
    beside = [_LAST_SEQ.scalar_subquery().label("last")] if with_last else []
    return Prepared(select(LEASES, *beside).where(LEASES.c.scope.in_(names)))


ADD_SCOPE = insert(LEASES)
"""Adds a scope; its parameters are the columns."""

SWAP_SCOPE = update(LEASES).where(
    LEASES.c.scope == bindparam("name"), LEASES.c.version == bindparam("read_version")
)
"""Writes the scope ``name`` if it still has ``read_version``; the other parameters are the new columns."""


@cache
def touch(count: int) -> Prepared:
    """Return the statement that writes nothing new but the version of so many scopes.

    Each, ``name_0``, ``name_1`` and so on, only if it still has the version ``read_0``, ``read_1`` and so on.
    """
    unchanged = (
        and_(
            LEASES.c.scope == bindparam(f"name_{number}"),
            LEASES.c.version == bindparam(f"read_{number}"),
        )
        for number in range(count)
    )
    return Prepared(update(LEASES).where(or_(*unchanged)).values(version=LEASES.c.version + 1))
