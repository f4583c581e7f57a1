"""The statements that every event takes, built once: to build one takes longer than SQLite takes to run it."""

from __future__ import annotations

from sqlalchemy import bindparam, func, insert, select, update

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

SCOPES = select(LEASES).where(LEASES.c.scope.in_(bindparam("names", expanding=True)))
"""The rows of the scopes that ``names`` has."""

ADD_SCOPE = insert(LEASES)
"""Adds a scope; its parameters are the columns."""

SWAP_SCOPE = update(LEASES).where(
    LEASES.c.scope == bindparam("name"), LEASES.c.version == bindparam("read_version")
)
"""Writes the scope ``name`` if it still has ``read_version``; the other parameters are the new columns."""
