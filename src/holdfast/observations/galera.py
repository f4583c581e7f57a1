"""What the nodes of a Galera cluster report, as frozen schemas. Hosts are inventory names."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from holdfast.model import Unanswered

SYNCED = 4
"""``wsrep_local_state`` of a node that serves; 2 is a donor, or one that somebody has desynced; 1 and 3 are joining."""


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GaleraCounters(_Schema):
    """Counters since the node's start. ``start`` tells one start from the next (``wsrep_gcomm_uuid``).

    ``paused_ns``: how long flow control has kept this node's writes waiting. ``failures``: transactions that failed
    certification here; ``aborts``: local ones that a replicated one has killed. ``deadlocks``: those InnoDB has found.
    ``written_bytes``: of all transactions, this node's own and those it received.
    """

    start: str
    paused_ns: int = Field(ge=0)
    failures: int = Field(ge=0)
    aborts: int = Field(ge=0)
    deadlocks: int = Field(ge=0)
    written_bytes: int = Field(ge=0)


class GaleraNode(_Schema):
    """One node as it reports itself.

    ``cluster``: the state's uuid; ``view``: the number of the membership it is in (``wsrep_cluster_conf_id``).
    ``addresses``: where members take clients; an arbitrator has an empty one. ``committed``: the last transaction.
    ``cached_from``: the oldest that the node can still send to another, None where it has none; ``cache_bytes``: how
    much it keeps, 0 where that was not told. ``desynced``: somebody has set ``wsrep_desync``. ``clients``: per
    ``USER@ADDRESS`` how many connections; our own and local ones left out.
    ``took``: how many seconds it took to log in and to answer.
    """

    name: str
    cluster: str
    view: int
    size: int
    status: str
    connected: bool
    ready: bool
    state: int
    state_name: str
    desync_count: int
    desynced: bool
    weight: int
    addresses: tuple[str, ...]
    committed: int
    cached_from: int | None
    cache_bytes: int
    queue: int
    read_only: bool
    counters: GaleraCounters
    clients: Mapping[str, int]
    took: float = 0.0

    @property
    def serves(self) -> bool:
        """Whether it takes writes and may send its state to others: ready, in the primary component, Synced."""
        return self.is_primary and self.state == SYNCED and not self.is_desynced

    @property
    def is_primary(self) -> bool:
        """Whether it is in the component that has the majority, connected and ready."""
        return self.connected and self.ready and self.status.lower() == "primary"

    @property
    def is_desynced(self) -> bool:
        """Whether somebody has taken it out of flow control, as a backup does."""
        return self.desynced or self.desync_count > 0


class GaleraViews(_Schema):
    """Every node's own report, or why there is none; ``at`` is a steady clock in seconds.

    ``arbitrators``: how many the site says that there are beside the inventory's nodes.
    """

    at: float
    arbitrators: int = 0
    nodes: Mapping[str, GaleraNode | Unanswered]

    @property
    def answered(self) -> Mapping[str, GaleraNode]:
        """Per host that answered, its report."""
        return {host: each for host, each in self.nodes.items() if isinstance(each, GaleraNode)}

    @property
    def silent(self) -> Mapping[str, str]:
        """Per host that did not answer, the cause."""
        return {
            host: each.cause for host, each in self.nodes.items() if isinstance(each, Unanswered)
        }


class GroupRound(_Schema):
    """How long all members took to acknowledge a message of one node, and the view that the node was in after it."""

    seconds: float
    view: int
    size: int


class GroupRounds(_Schema):
    """Every node's own round through the group, or why there is none; ``arbitrators`` as in ``GaleraViews``."""

    arbitrators: int = 0
    nodes: Mapping[str, GroupRound | Unanswered]


class ReturnForecast(_Schema):
    """What decides how a node gets its state back after a restart, and how large that state is.

    ``megabytes`` is the size of all tables, None where it was not told.
    """

    host: str
    views: GaleraViews
    megabytes: int | None = None
