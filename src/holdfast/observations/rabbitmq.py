"""What brokers report, as frozen schemas: what a broker answered is checked here once.

Hosts are inventory names, nodes are the broker's own names (``rabbit@ctl1``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from holdfast.model import Unanswered


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _WithMembers(_Schema):
    """``expected`` is the inventory's group: host to node name."""

    expected: Mapping[str, str]

    def host_of(self, node: str) -> str:
        """Return the inventory's name for a node, or the node's own where the inventory has none."""
        return next((host for host, name in self.expected.items() if name == node), node)


class ClientLoad(_Schema):
    """Clients of the whole cluster as one node counts them.

    ``churn`` is per second, None where the node keeps no statistics.
    """

    connections: int
    churn: float | None


class NodeFigures(_Schema):
    """What a node uses and may use, in bytes."""

    mem_used: int
    mem_limit: int
    disk_free: int
    disk_free_limit: int


class NodeView(_Schema):
    """The cluster as one node sees it: members, which of them run, partitions and alarms.

    ``node`` is the name of the node that answered, "" where it was asked by that name. ``partitions``
    are the nodes that this one reports to be cut off from, always empty under Khepri.
    ``maintenance`` are the drained nodes, None where that was not reported. ``load`` is None where
    it was not asked for, or only the command line was asked. ``figures`` are those of the nodes that run, asked for
    where there is an alarm.
    """

    version: str = ""
    node: str = ""
    members: frozenset[str]
    running: frozenset[str]
    partitions: frozenset[str] = frozenset()
    alarms: tuple[str, ...] = ()
    maintenance: frozenset[str] | None = None
    load: ClientLoad | None = None
    figures: Mapping[str, NodeFigures] = {}


class ClusterViews(_WithMembers):
    """Every host's own view, or why there is none."""

    views: Mapping[str, NodeView | Unanswered]

    @property
    def answered(self) -> Mapping[str, NodeView]:
        """Per host that answered, its view."""
        return {h: view for h, view in self.views.items() if isinstance(view, NodeView)}

    @property
    def silent(self) -> Mapping[str, str]:
        """Per host that did not answer, the cause."""
        return {h: view.cause for h, view in self.views.items() if isinstance(view, Unanswered)}

    @property
    def login_refused(self) -> bool:
        """Whether a node refuses the site's login."""
        return any(
            isinstance(view, Unanswered) and view.login_refused for view in self.views.values()
        )


class QueuePlacement(_Schema):
    """All queues of the same kind, leader, members and mirrors; ``names`` are a few of ``count``.

    Grouped, because a gate keeps its history and a large site has ten thousand queues on three
    nodes. ``members`` and ``online`` are nodes, None where the broker did not report them.
    ``mirrors`` and ``synchronised`` count the copies of a mirrored classic queue besides its
    leader, None and 0 for any other. ``described``: the broker reported whether there are mirrors.
    """

    type: str
    leader: str = ""
    members: frozenset[str] | None = None
    online: frozenset[str] | None = None
    mirrors: int | None = None
    synchronised: int = 0
    described: bool = True
    count: int = Field(default=1, ge=1)
    names: tuple[str, ...]

    @property
    def replicated(self) -> bool:
        """True for queues that need a majority of their members."""
        return self.type in {"quorum", "stream"}

    def __str__(self) -> str:
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more} more" if more else "")


class QueuePlacements(_WithMembers):
    """Where all queues are, as the node of ``host`` lists them."""

    host: str
    version: str = ""
    placements: tuple[QueuePlacement, ...]


class QueueId(NamedTuple):
    """What tells one queue from another."""

    vhost: str
    name: str

    def __str__(self) -> str:
        return self.name if self.vhost == "/" else f"{self.name} (virtual host {self.vhost})"


class QueueDepth(_Schema):
    """One queue's consumers and waiting messages; None until the broker has its statistics."""

    consumers: int | None = None
    ready: int | None = None


class QueueDepths(_Schema):
    """The wanted queues that exist; ``at`` is a steady clock in seconds.

    ``wanted``: every wanted queue, with the least number of consumers it must have. ``vhosts``: the virtual hosts
    that the broker has.
    """

    host: str
    at: float
    vhosts: frozenset[str]
    wanted: Mapping[QueueId, int]
    queues: Mapping[QueueId, QueueDepth]


class Room(_Schema):
    """How much of a resource a node uses, of how much it may; in bytes, or a number of descriptors."""

    used: int = Field(ge=0)
    limit: int = Field(gt=0)

    @property
    def share(self) -> float:
        """The part that is used."""
        return self.used / self.limit


class BrokerLoad(_Schema):
    """What the node of ``host`` counts of the whole cluster; ``at`` is a steady clock in seconds.

    ``rooms``: per host and resource (``memory``, ``disk``, ``descriptors``, ``sockets``) what is used, without what
    its node does not report; ``stopped`` are hosts whose node is down, ``silent`` those that did not answer, with the
    cause. ``host`` names the command where each was asked for its own room by it. ``connections``, ``channels``
    and ``queues`` are how many there are, ``churn`` how many connections come or go a second. ``ready`` and
    ``unacknowledged`` are messages, ``reply_queues`` those that callers of oslo.messaging wait at, ``unread`` those of
    them that have no consumer, ``unread_replies`` the messages in these. Each of these is None where it is not counted.
    """

    expected: Mapping[str, str]
    host: str
    at: float = 0.0
    rooms: Mapping[str, Mapping[str, Room]]
    stopped: tuple[str, ...] = ()
    silent: Mapping[str, str] = {}
    connections: int | None = None
    channels: int | None = None
    churn: float | None = None
    queues: int | None = None
    ready: int | None = None
    unacknowledged: int | None = None
    reply_queues: int | None = None
    unread: int | None = None
    unread_replies: int | None = None


class QuorumState(_Schema):
    """What has to be known before the node of ``host`` may be stopped.

    ``critical`` names what would be lost by the broker's own check; it is empty where the check passed.
    """

    host: str
    cluster: ClusterViews
    queues: QueuePlacements | Unanswered
    critical: tuple[str, ...] | Unanswered

    @property
    def login_refused(self) -> bool:
        """Whether a node that was asked refuses the site's login."""
        parts = (self.cluster, self.queues, self.critical)
        return any(getattr(each, "login_refused", False) for each in parts)


class DrainState(_Schema):
    """The node of ``host`` as its peers see it: per peer whether in maintenance; clients left.

    ``silent``: per peer that did not answer, the cause. ``login_refused``: that is, of one, the site's login.
    """

    host: str
    marked: Mapping[str, bool]
    connections: int
    silent: Mapping[str, str] = {}
    login_refused: bool = False


class MemberLag(_Schema):
    """How many of a node's ``members`` of quorum queues are ``behind`` what their leaders had committed.

    ``examples``: a few of those, with the number of entries, None where the member has reported no index. ``at`` is a
    steady clock in seconds. The indexes are up to ``tick_seconds`` old.
    """

    host: str
    at: float
    tick_seconds: float
    members: int
    behind: int = 0
    examples: Mapping[str, int | None] = {}


class BootState(_Schema):
    """The node of ``host`` as it reports itself; each fault names a part that does not serve."""

    host: str
    node: str
    running: bool
    faults: tuple[str, ...] = ()


class NodePlace(_Schema):
    """Where the node of ``host`` runs: ``runs_in`` is the start (InvocationID) that the node's own process reports.

    ``unit_start`` is the present start of ``unit`` on the host. Either is "" where there is none. With a ``container``
    both are a boot and a namespace of processes, of the node and in that container, and ``unit_command`` is what the
    unit starts.
    """

    host: str
    node: str
    unit: str
    runs_in: str
    unit_start: str
    container: str = ""
    unit_command: str = ""


class RoundTrip(_Schema):
    """One message through one node: ``ok``, or at which ``stage`` it ended, how, and the cause.

    ``refused``: the host answered that nothing listens. ``unreachable`` and ``denied``: the node
    could not be asked. ``silent``: no answer in time. ``broken``: an invalid answer. ``login_refused``: denied for who
    asked, not for the state that a virtual host is in.
    """

    ok: bool
    seconds: float = Field(default=0.0, ge=0)
    stage: str = ""
    how: Literal["", "refused", "unreachable", "denied", "silent", "broken"] = ""
    cause: str = ""
    login_refused: bool = False


RoundTrips = Mapping[str, RoundTrip]
"""One round trip per host."""
