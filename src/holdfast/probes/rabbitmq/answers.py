"""The shapes of a broker's answers, over HTTP and from its command-line tools.

Each answer is checked here once, so that what reads it may rely on its shape. Names are the broker's own, and fields
that nobody reads are ignored. A field with a default is one that a healthy broker of either release (3.10, 4.0) may
leave out; the tools print "" there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    TypeAdapter,
)

from holdfast.model import Json

Names = list[str] | Literal[""] | None
Count = StrictInt | Literal[""] | None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Named(_Answer):
    """An entry of a list, such as a virtual host."""

    name: str


NamedT = TypeVar("NamedT", bound=Named)


class Node(Named):
    """A node as another, or itself, lists it; the figures are in bytes."""

    running: StrictBool
    being_drained: StrictBool | None = None
    partitions: list[str] | None = None
    mem_used: StrictInt | None = None
    mem_limit: StrictInt | None = None
    disk_free: StrictInt | None = None
    disk_free_limit: StrictInt | None = None
    fd_used: StrictInt | None = None
    fd_total: StrictInt | None = None
    sockets_used: StrictInt | None = None
    sockets_total: StrictInt | None = None


class Rate(_Answer):
    """Statistics of a counter."""

    rate: float = 0.0


class Churn(_Answer):
    """How often clients connect; empty until there are statistics."""

    connection_created_details: Rate = Rate()
    connection_closed_details: Rate = Rate()


class Totals(_Answer):
    """What exists in the cluster; empty until there are statistics."""

    connections: StrictInt = 0
    channels: StrictInt = 0
    queues: StrictInt = 0


class QueueTotals(_Answer):
    """The messages of all queues that the user may see; empty until there are statistics."""

    messages_ready: StrictInt = 0
    messages_unacknowledged: StrictInt = 0


class Overview(_Answer):
    """A node's name and version, and its statistics of the cluster; ``disable_stats``: it keeps none."""

    node: str = ""
    rabbitmq_version: str = Field(min_length=1)
    disable_stats: StrictBool = False
    churn_rates: Churn | None = None
    object_totals: Totals | None = None
    queue_totals: QueueTotals | None = None


class Alarm(_Answer):
    """A resource that is short on a node."""

    resource: str = ""
    node: str = ""


class CriticalQueue(_Answer):
    """A queue that the broker's own check names."""

    name: str = ""
    readable_name: str = ""


class ToolCheck(_Answer):
    """What a check of the command-line tools prints; its exit status has the outcome."""

    message: str = ""
    queues: list[CriticalQueue] = []


class HealthCheck(_Answer):
    """A health check: ``status`` is "ok" or "failed"."""

    status: str
    reason: str = ""
    alarms: list[Alarm] | None = None
    queues: list[CriticalQueue] = []


class Queue(Named):
    """A queue, with the columns that were asked for."""

    vhost: str = "/"
    type: str | None = None
    durable: StrictBool = True
    leader: str | None = None
    node: str | None = None
    members: Names = None
    online: Names = None
    slave_nodes: Names = None
    synchronised_slave_nodes: Names = None
    slave_pids: Names = None
    synchronised_slave_pids: Names = None
    consumers: Count = None
    messages_ready: Count = None
    messages_unacknowledged: Count = None


class Connection(_Answer):
    """A connection. One that has just ended may lack everything."""

    node: str | None = None
    name: str | None = None
    state: str | None = None
    type: str | None = None
    user_provided_name: str | None = None


class Version(_Answer):
    """Versions of a node's software."""

    rabbitmq_version: str = ""


class ClusterStatus(_Answer):
    """What ``rabbitmqctl cluster_status`` prints."""

    disk_nodes: Annotated[list[str], Field(min_length=1)]
    ram_nodes: list[str] = []
    running_nodes: list[str]
    partitions: Mapping[str, list[str]] | Annotated[list[Json], Field(max_length=0)]
    versions: Mapping[str, Version]
    alarms: list[Alarm]
    maintenance_status: Mapping[str, str] = {}


class NodeTotals(_Answer):
    """What a node has."""

    connection_count: StrictInt


class Descriptors(_Answer):
    """Descriptors and sockets; the newest releases count none."""

    total_used: StrictInt | None = None
    total_limit: StrictInt | None = None
    sockets_used: StrictInt | None = None
    sockets_limit: StrictInt | None = None


class Memory(_Answer):
    """What a node uses, in bytes, as several strategies count it, and the one that its limit goes by."""

    strategy: str
    total: Mapping[str, StrictInt]


class NodeStatus(_Answer):
    """What ``rabbitmqctl status`` prints; figures in bytes."""

    is_under_maintenance: StrictBool
    totals: NodeTotals
    disk_free: StrictInt | None = None
    disk_free_limit: StrictInt | None = None
    vm_memory_high_watermark_limit: StrictInt | None = None
    memory: Memory | None = None
    file_descriptors: Descriptors | None = None


class Evaluated(_Answer):
    """What ``rabbitmqctl eval`` prints of a binary."""

    value: str


class Members(_Answer):
    """What ``probes.rabbitmq.members`` asks: ``queues`` are a few of those behind, ``tick`` milliseconds."""

    members: StrictInt = Field(ge=0)
    behind: StrictInt = Field(ge=0)
    tick: StrictInt = Field(gt=0)
    queues: list[tuple[str, str, StrictInt | None]]


CHECK = TypeAdapter[Json](ToolCheck)
MEMBERS = TypeAdapter[Json](Members)


def _each_once(entries: list[Named]) -> list[Named]:
    """Refuse a list in which a name occurs twice: which entry counts would not be known."""
    names = Counter((getattr(each, "vhost", ""), each.name) for each in entries)
    if twice := [name for (_, name), count in names.items() if count > 1]:
        raise ValueError(f"{', '.join(twice[:3])} listed more than once")
    return entries


_Some = Annotated[list[NamedT], Field(min_length=1), AfterValidator(_each_once)]
_SOME_NAMED = TypeAdapter[Json](_Some[Named])
_QUEUES = TypeAdapter[Json](Annotated[list[Queue], AfterValidator(_each_once)])

BY_PATH: Mapping[str, TypeAdapter[Json]] = {
    "nodes": TypeAdapter(_Some[Node]),
    "vhosts": _SOME_NAMED,
    "overview": TypeAdapter(Overview),
    "health": TypeAdapter(HealthCheck),
    "queues": _QUEUES,
    "connections": TypeAdapter(list[Connection]),
}
"""Per first part of a path of the management API. A cluster has at least one node and one virtual host."""

BY_COMMAND: Mapping[str, TypeAdapter[Json]] = {
    "cluster_status": TypeAdapter(ClusterStatus),
    "status": TypeAdapter(NodeStatus),
    "eval": TypeAdapter(Evaluated),
    "list_vhosts": _SOME_NAMED,
    "list_queues": _QUEUES,
}
"""Per command of ``rabbitmqctl``."""
