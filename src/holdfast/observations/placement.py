"""What two databases have of placement's tables, and which of them each placement-api is configured with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.model import Unanswered

TABLES = (
    "allocations",
    "consumers",
    "inventories",
    "placement_aggregates",
    "projects",
    "resource_classes",
    "resource_provider_aggregates",
    "resource_provider_traits",
    "resource_providers",
    "traits",
    "users",
)
"""Placement's eleven tables, as nova's API database has them."""

UNFINISHED = "holdfast_copy"
"""A table that the new database has from before the first row is copied until placement is to use the copy."""


@dataclass(frozen=True, slots=True)
class TableFigures:
    """One table: how many rows, the largest id (of its first column, where it has no id) and ``CHECKSUM TABLE``."""

    rows: int
    largest: int
    checksum: str


@dataclass(frozen=True, slots=True)
class TableSet:
    """What a database has: every table's name, the figures of placement's, and how large these are, in bytes.

    ``wanted``: placement's tables. ``run``: whose unused copy it is, "" where it is none.
    """

    database: str
    wanted: Sequence[str]
    names: Sequence[str]
    figures: Mapping[str, TableFigures]
    size: int = 0
    run: str = ""

    @property
    def rows(self) -> int:
        """How many rows placement's tables have together."""
        return sum(each.rows for each in self.figures.values())


@dataclass(frozen=True, slots=True)
class TwoSets:
    """The same tables in both databases, asked one after the other."""

    source: TableSet
    target: TableSet


@dataclass(frozen=True, slots=True)
class PlacementHost:
    """Which database a host's placement-api is configured with (``source``, ``target`` or ``other``), and its unit."""

    connection: str
    active: bool


@dataclass(frozen=True, slots=True)
class WayBack:
    """What decides whether placement can have its old database back: each host, and the new database."""

    hosts: Mapping[str, PlacementHost | Unanswered]
    target: TableSet


@dataclass(frozen=True, slots=True)
class WriterUnits:
    """Per unit and host, such as ``nova-api on ctl1``, systemd's active state."""

    states: Mapping[str, str | Unanswered] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlacementAnswer:
    """What placement answered when it was asked from ``host`` for its resource providers: status, and how many."""

    host: str
    status: int
    providers: int
