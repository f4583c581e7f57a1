"""The rules of leases, pure: who may hold a scope together, what a grant is worth now.

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


_ROWS = TypeAdapter(tuple[LeaseRow, ...])


@dataclass(frozen=True, slots=True)
class Scope:
    """All that is known of one scope; ``version`` is what a change must find again."""

    name: str
    version: int
    token: int
    rows: tuple[LeaseRow, ...] = ()

    def living(self, now: datetime, gone: Callable[[Holder], bool]) -> Scope:
        """Only the rows that still keep others out: neither expired nor of a holder proven dead."""
        rows = (row for row in self.rows if row.expires > now and not gone(row.holder))
        return dataclasses.replace(self, rows=tuple(rows))


def taken(living: Scope, holder: Holder, mode: LeaseMode, ttl: timedelta, now: datetime) -> Scope:
    """The scope after ``holder`` took it; again by the same holder, a renewal with the same token.

    Raises:
        LeaseHeld: somebody else holds it in a mode that excludes this one.
    """
    others = tuple(row for row in living.rows if row.holder != holder)
    for row in others:
        if LeaseMode.EXCLUSIVE in (mode, row.mode):
            raise LeaseHeld(_held(living.name, row), remedy=f"holdfast status {row.holder.run}")
    mine = next((row for row in living.rows if row.holder == holder and row.mode is mode), None)
    token = mine.token if mine else living.token + 1
    since = mine.since if mine else now
    row = LeaseRow(holder, mode, token, since, now + ttl)
    return dataclasses.replace(living, token=max(token, living.token), rows=(*others, row))


def renewed(scope: Scope, grant: Grant, ttl: timedelta, now: datetime) -> Scope:
    """The scope with the grant's row valid for ``ttl`` from now.

    Raises:
        LeaseLost: see ``proved``; an expired lease is not renewed, for another run may have acted.
    """
    mine = proved(scope, grant, now)
    later = dataclasses.replace(mine, expires=now + ttl)
    rows = tuple(later if row is mine else row for row in scope.rows)
    return dataclasses.replace(scope, rows=rows)


def released(scope: Scope, grant: Grant) -> Scope:
    """The scope without the grant's row; the token stays, so the next one is larger."""
    token = grant.tokens[scope.name]
    rows = tuple(row for row in scope.rows if row.token != token)
    return dataclasses.replace(scope, rows=rows)


def proved(scope: Scope, grant: Grant, now: datetime) -> LeaseRow:
    """The grant's own row of this scope, valid now.

    Raises:
        LeaseLost: it expired, was released, or another run took the scope meanwhile.
    """
    token = grant.tokens[scope.name]
    mine = next((row for row in scope.rows if row.token == token), None)
    if mine is None or mine.holder.run != grant.run:
        new = scope.rows[-1] if scope.rows else None
        who = f"; {_held(scope.name, new)}" if new else ""
        raise LeaseLost(
            f"run {grant.run} no longer holds the lease on {scope.name} (token {token}){who}",
            remedy=f"holdfast status {grant.run}",
        )
    if mine.expires <= now:
        raise LeaseLost(
            f"the lease of run {grant.run} on {scope.name} expired at {_clock(mine.expires)}",
            remedy=f"holdfast status {grant.run}",
        )
    return mine


def dump_rows(rows: tuple[LeaseRow, ...]) -> str:
    """The rows as the database keeps them."""
    return _ROWS.dump_json(rows).decode()


def load_rows(text: str) -> tuple[LeaseRow, ...]:
    """The inverse of ``dump_rows``.

    Raises:
        pydantic.ValidationError: the text is damaged.
    """
    return _ROWS.validate_json(text)


def _held(scope: str, row: LeaseRow) -> str:
    holder = row.holder
    return (
        f"{scope} is held ({row.mode.value}) by run {holder.run}: {holder.by} on "
        f"{holder.controller}, process {holder.process}, since {_clock(row.since)}, "
        f"because: {holder.reason}. Unless renewed, it expires at {_clock(row.expires)}"
    )


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
