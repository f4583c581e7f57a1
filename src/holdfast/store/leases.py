"""The rules of leases: who may hold a scope together, and whether a grant is valid. Pure.

Does no I/O and reads no clock; ``database.py`` applies the results by compare-and-swap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from holdfast.errors import LeaseHeld, LeaseLost
from holdfast.model import Grant, Holder, LeaseMode


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One holder of one scope: in which mode, under which token, since when and until when."""

    holder: Holder
    mode: LeaseMode
    token: int
    since: datetime
    expires: datetime


ROWS = TypeAdapter(tuple[LeaseRow, ...])
"""The rows of a scope as text, in the database."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope with its leases; a change must find the same ``version`` in the database.

    ``apart``: for how long a lease that has expired is respected, for messages.
    """

    name: str
    version: int
    token: int
    rows: tuple[LeaseRow, ...] = ()
    apart: timedelta = timedelta(0)

    def valid(
        self, now: datetime, gone: Callable[[Holder], bool], apart: timedelta = timedelta(0)
    ) -> Scope:
        """Return the scope without the rows that are expired, or whose holder is known to be dead.

        ``apart``: how far a holder's database server may be behind this one. By its clock, a row that has
        expired for less than that may be valid still (adr/0029).
        """
        rows = (row for row in self.rows if row.expires + apart > now and not gone(row.holder))
        return dataclasses.replace(self, rows=tuple(rows), apart=apart)


def take(valid: Scope, holder: Holder, mode: LeaseMode, ttl: timedelta, now: datetime) -> Scope:
    """Return the scope with the lease of ``holder``; one that it has already keeps its token.

    Raises:
        LeaseHeld: another holder has a lease whose mode excludes this one.
    """
    others = tuple(row for row in valid.rows if row.holder != holder)
    for row in others:
        if LeaseMode.EXCLUSIVE in (mode, row.mode):
            free = f" and is free {valid.apart.seconds} s later" if valid.apart else ""
            raise LeaseHeld(
                _describe(valid.name, row) + free, remedy=f"holdfast status {row.holder.run}"
            )
    own = (row for row in valid.rows if row.holder == holder and row.mode is mode)
    mine = next((row for row in own if row.expires > now), None)
    token = mine.token if mine else valid.token + 1
    since = mine.since if mine else now
    row = LeaseRow(holder, mode, token, since, now + ttl)
    return dataclasses.replace(valid, token=max(token, valid.token), rows=(*others, row))


def renew(scope: Scope, grant: Grant, ttl: timedelta, now: datetime) -> Scope:
    """Return the scope with the grant's lease valid for ``ttl`` from now.

    Raises:
        LeaseLost: as ``prove``; an expired lease is not renewed, since another run may have acted.
    """
    mine = prove(scope, grant, now)
    later = dataclasses.replace(mine, expires=now + ttl)
    rows = tuple(later if row is mine else row for row in scope.rows)
    return dataclasses.replace(scope, rows=rows)


def release(scope: Scope, grant: Grant) -> Scope:
    """Return the scope without the grant's lease; its token stays, so that the next one is larger."""
    token = grant.tokens[scope.name]
    rows = tuple(row for row in scope.rows if row.token != token)
    return dataclasses.replace(scope, rows=rows)


def prove(scope: Scope, grant: Grant, now: datetime) -> LeaseRow:
    """Return the grant's lease on this scope, which is valid now.

    Raises:
        LeaseLost: it expired, was released, or another run took the scope.
    """
    token = grant.tokens[scope.name]
    mine = next((row for row in scope.rows if row.token == token), None)
    if mine is not None and mine.holder.run == grant.run:
        if mine.expires > now:
            return mine
        lost = f"the lease of run {grant.run} on {scope.name} expired at {_format(mine.expires)}"
    else:
        who = f"; {_describe(scope.name, scope.rows[-1])}" if scope.rows else ""
        lost = f"run {grant.run} no longer holds the lease on {scope.name} (token {token}){who}"
    raise LeaseLost(lost, remedy=f"holdfast status {grant.run}")


def _describe(scope: str, row: LeaseRow) -> str:
    holder = row.holder
    return (
        f"{scope} is held ({row.mode.value}) by run {holder.run}: {holder.by} on "
        f"{holder.controller}, process {holder.process}, since {_format(row.since)}, "
        f"because: {holder.reason}. Unless renewed, it expires at {_format(row.expires)}"
    )


def _format(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
