"""The statements that every event takes, built once: to build one takes longer than SQLite takes to run it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, update

from holdfast.store.tables import EVENTS, LEASES

LAST_SEQ = select(func.coalesce(func.max(EVENTS.c.seq), 0)).where(EVENTS.c.run == bindparam("run"))
"""The ``seq`` of the last event of ``run``; 0 without any."""

PAGE = (
    select(EVENTS.c.seq, EVENTS.c.body)
    .where(EVENTS.c.run == bindparam("run"), EVENTS.c.seq >= bindparam("first"))
    .order_by(EVENTS.c.seq)
    .limit(bindparam("most"))
)
"""The events of ``run`` from the one numbered ``first`` on, ``most`` at most."""

APPEND = insert(EVENTS)
"""Adds an event; its parameters are the columns."""


@cache
def scopes(count: int) -> Select[Any]:
    """Return the statement for the rows of so many scopes, the parameters ``name_0``, ``name_1`` and so on."""
    return select(LEASES).where(LEASES.c.scope.in_([bindparam(f"name_{n}") for n in range(count)]))


ADD_SCOPE = insert(LEASES)
"""Adds a scope; its parameters are the columns."""

SWAP_SCOPE = update(LEASES).where(
    LEASES.c.scope == bindparam("name"), LEASES.c.version == bindparam("read_version")
)
"""Writes the scope ``name`` if it still has ``read_version``; the other parameters are the new columns."""

TOUCH_SCOPE = SWAP_SCOPE.values(version=bindparam("read_version") + 1)
"""Writes nothing new but the version, on the same condition."""
