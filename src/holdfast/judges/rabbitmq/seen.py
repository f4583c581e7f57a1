"""What the broker's judges are given: one frozen schema per probe's observation.

The halves of a gate may not import each other, so a probe returns plain JSON and the claim reads it
into these; a probe that returns anything else is a bug and says so. Hosts are inventory names, nodes are
the broker's own names (``rabbit@ctl1``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.judges.base import Unanswered


class Seen(BaseModel):
    """Base of the observations; ``expected`` is the inventory's group: host to node name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: Mapping[str, str]

    def host_of(self, node: str) -> str:
        """The inventory's name for a node, or the node's own where the inventory has none."""
        return next((host for host, name in self.expected.items() if name == node), node)


class Load(BaseModel):
    """Clients of the whole cluster as one node counts them; rates are per second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int
    churn: float


class View(BaseModel):
    """The cluster as one node sees it: its members, which of them run, what is cut off, what alarms.

    ``partitions`` is what the node itself admits, always empty under Khepri. ``load`` is None
    where only the command line was asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str
    version: str = ""
    members: frozenset[str]
    running: frozenset[str]
    partitions: frozenset[str] = frozenset()
    alarms: tuple[str, ...] = ()
    load: Load | None = None


class Cluster(Seen):
    """Every host's own view, or why there is none."""

    views: Mapping[str, View | Unanswered]

    @property
    def answered(self) -> Mapping[str, View]:
        """The views that were got."""
        return {h: view for h, view in self.views.items() if isinstance(view, View)}

    @property
    def silent(self) -> Mapping[str, str]:
        """Per host without a view, the cause."""
        return {h: view.cause for h, view in self.views.items() if isinstance(view, Unanswered)}


class Placement(BaseModel):
    """All queues that live alike: same kind, leader, members and mirrors; ``names`` are a few of ``count``.

    Grouped, because a gate keeps what it saw and a large site has ten thousand queues on three
    nodes. ``members`` and ``online`` are nodes, None where the broker did not say. ``mirrors`` and
    ``synchronised`` count the copies of a mirrored classic queue besides its leader, None for any other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    leader: str = ""
    members: frozenset[str] | None = None
    online: frozenset[str] | None = None
    mirrors: int | None = None
    synchronised: int | None = None
    described: bool = True
    count: int = Field(default=1, ge=1)
    names: tuple[str, ...]

    @property
    def replicated(self) -> bool:
        """True for queues that live by a majority of their members."""
        return self.type in {"quorum", "stream"}

    def __str__(self) -> str:
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more} more" if more else "")


class Queues(Seen):
    """Where all queues live, as the node of ``host`` lists them."""

    host: str
    version: str = ""
    placements: tuple[Placement, ...]


class Depth(BaseModel):
    """One queue's consumers and waiting messages; None until the broker has its statistics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    consumers: int | None = None
    ready: int | None = None


class Depths(Seen):
    """The queues that were asked for and exist; ``at`` is a steady clock in seconds.

    ``wanted``: every asked queue, with the least number of consumers it must have.
    """

    host: str
    vhost: str
    at: float
    wanted: Mapping[str, int]
    queues: Mapping[str, Depth]


class OwnCheck(BaseModel):
    """The broker's own answer to whether a node is critical; ``critical`` names what would be lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    critical: tuple[str, ...] = ()


class Quorum(Seen):
    """What has to be known to take the node of ``host`` away."""

    host: str
    cluster: Cluster
    queues: Queues | Unanswered
    own_check: OwnCheck | Unanswered


class Drained(Seen):
    """The node of ``host`` as its peers see it: ``marked`` per host that told, connections left."""

    host: str
    marked: Mapping[str, bool]
    connections: int


class Booted(Seen):
    """The node of ``host`` by its own word; a fault is why a part of it does not serve."""

    host: str
    running: bool
    faults: tuple[str, ...] = ()


class Trip(BaseModel):
    """One message through one node: ``ok``, or at which ``stage`` it ended, how and why.

    ``refused``: the host answered that nobody listens. ``unreachable`` and ``denied``: the question could
    not be put. ``silent``: no answer in time. ``broken``: an answer that is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: bool
    seconds: float = Field(default=0.0, ge=0)
    stage: str = ""
    how: Literal["", "refused", "unreachable", "denied", "silent", "broken"] = ""
    cause: str = ""


class Trips(Seen):
    """One trip per host."""

    trips: Mapping[str, Trip]
