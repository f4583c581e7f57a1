"""The two tables. Times are whole microseconds since 1970 UTC: all databases store those alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import MEDIUMTEXT

METADATA = MetaData()

# MariaDB's plain TEXT ends at 64 kB; the plan of a large fleet is longer.
_LONG = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")

# Independent of the server's defaults: any text can be stored, names are case-sensitive, and there are transactions.
_MYSQL = {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}
_OPTIONS: dict[str, Any] = {
    f"{name}_{key}": value for name in ("mysql", "mariadb") for key, value in _MYSQL.items()
}

EVENTS = Table(
    "holdfast_events",
    METADATA,
    Column("run", String(190), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("body", _LONG, nullable=False),
    **_OPTIONS,
)

# The runs, in the order of their first events, without reading the others (`Store.runs`).
RUNS = Index("holdfast_events_runs", EVENTS.c.seq, EVENTS.c.at, EVENTS.c.run)

# One row per scope, never deleted (but for a run's own, with the run): `token` must not become smaller.
# `holders` is the JSON list of rows (leases.LeaseRow); every change must replace the `version` that was read.
LEASES = Table(
    "holdfast_leases",
    METADATA,
    Column("scope", String(190), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("holders", _LONG, nullable=False),
    **_OPTIONS,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def to_ticks(moment: datetime) -> int:
    """Return the microseconds since 1970 UTC of an aware datetime."""
    return (moment - _EPOCH) // _TICK
