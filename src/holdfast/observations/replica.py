"""What asynchronous replicas of a database cluster report, beside what their source has, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.model import Unanswered

Position = Mapping[int, int]
"""A position in GTIDs of MariaDB: per domain the number of the last transaction."""


@dataclass(frozen=True, slots=True)
class ReplicaLink:
    """One connection of a replica to its source (``SHOW ALL SLAVES STATUS``).

    ``receives`` and ``applies``: what the server says of its two threads, "Yes" where one runs; ``errors``: the last
    error of each. ``source_id``: the server id of the source. ``reported``: ``Seconds_Behind_Master``, which is shown
    and never believed.
    """

    name: str
    receives: str
    applies: str
    errors: tuple[str, ...]
    source_id: int
    reported: str


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """A replica: its links, and what it had applied when it was asked last.

    ``source``: per node of the cluster that it follows, or may follow, what that had when it was asked, or why that is
    not known. ``asked`` and ``read``: when the sources were asked, and when the replica was, by one steady clock in
    seconds; in between, the replica was given a moment to apply what they had.
    """

    links: tuple[ReplicaLink, ...]
    source: Mapping[str, Position | Unanswered]
    applied: Position
    asked: float
    read: float

    def has(self, position: Position) -> bool:
        """Return whether it has applied everything up to a position."""
        return all(self.applied.get(domain, -1) >= number for domain, number in position.items())


ReplicaStates = Mapping[str, ReplicaState | Unanswered]
"""Every replica of the inventory by its host, or why it does not answer."""
