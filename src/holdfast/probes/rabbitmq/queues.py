"""Ask one node where all queues are (leaders, members, mirrors), or for the consumers and messages of some."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from urllib.parse import quote

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json
from holdfast.nova_services import RPC_SERVICES, groups_of
from holdfast.observations.rabbitmq import (
    QueueDepth,
    QueueDepths,
    QueueId,
    QueuePlacement,
    QueuePlacements,
)
from holdfast.probes.base import ProbeContext, first_answer
from holdfast.probes.nova.site import QueuesSite, expected_services
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.cluster import view_by_command
from holdfast.probes.rabbitmq.management import NODES, OVERVIEW
from holdfast.probes.rabbitmq.site import Broker, brokers_of, expected

EXAMPLES = 5  # names kept of queues with the same placement
VHOSTS = "vhosts?columns=name"
NamedQueues = Mapping[str, int | Mapping[str, int]]


def probe_queues(context: ProbeContext) -> QueuePlacements:
    """Return where all queues are, from the first node that answers.

    Raises:
        CannotTell: no node answers; the message has every cause.
    """
    brokers = brokers_of(context)
    host, (version, queues) = first_answer(brokers, _list_queues)
    return QueuePlacements(
        expected=expected(brokers),
        host=host,
        version=version,
        placements=tuple(_placements(queues, version)),
    )


def probe_depths(
    context: ProbeContext, queues: NamedQueues, of_nova: bool, vhost: str
) -> QueueDepths:
    """Return the depths of queues, from the first node that answers.

    ``queues``: names of queues in ``vhost``, and the least number of consumers each must have; a key whose value is an
    object is a virtual host, and the object has the names there. ``of_nova``: also the queues of every nova service in
    the inventory, in the virtual host of its host's transport URL.

    Raises:
        CannotTell: no node answers; the message has every cause.
        InvalidInput: there is no queue to ask for, or a transport URL is invalid.
    """
    wanted = {**(_nova_consumers(context, vhost) if of_nova else {}), **_named(queues, vhost)}
    if not wanted:
        raise InvalidInput(
            "of_nova names no queue: this inventory has no host in "
            + ", ".join(groups_of(RPC_SERVICES)),
            remedy="leave the claim out",
        )
    vhosts = {queue.vhost for queue in wanted}
    host, (existing, found) = first_answer(
        brokers_of(context), lambda broker: _list_depths(broker, vhosts)
    )
    return QueueDepths(
        host=host,
        at=time.monotonic(),
        vhosts=frozenset(existing),
        wanted=wanted,
        queues={queue: depth for queue, depth in found.items() if queue in wanted},
    )


def queues_of(vhost: str) -> str:
    """Return the path of the list of a virtual host's queues and where they are.

    Virtual hosts are asked one by one: the list over all of them omits, without an error, those that
    the user has no permissions in. Asked for by name they are a 401.
    """
    columns = "leader,node,members,online,slave_nodes,synchronised_slave_nodes"
    return f"queues/{quote(vhost, safe='')}?columns=name,vhost,type,durable,state,{columns}"


def _list_queues(broker: Broker) -> tuple[str, list[Json]]:
    """Return the node's version and all queues that it lists."""
    if broker.site.rabbitmq_management_enabled:
        # NODES is asked, though not used, because a user without the monitoring tag is refused there, while
        # other lists are only shorter.
        found = management.ask(broker, NODES, VHOSTS, OVERVIEW)
        paths = [queues_of(vhost["name"]) for vhost in found[VHOSTS]]
        lists = management.ask(broker, *paths).values()
        return found[OVERVIEW].get("rabbitmq_version", ""), [q for each in lists for q in each]
    view = view_by_command(broker)
    if down := view.members - view.running:
        raise CannotTell(
            f"{broker.node} lists no queues of nodes that are down: {', '.join(sorted(down))}"
        )
    columns = commands.PLACEMENT + (commands.MIRRORS if view.version.startswith("3.") else ())
    return view.version, [
        queue
        for vhost in commands.list_vhosts(broker)
        for queue in commands.list_queues(broker, vhost, *columns)
    ]


def _placements(queues: Iterable[Mapping[str, Json]], version: str) -> Iterable[QueuePlacement]:
    """Group queues with the same placement, listed over HTTP or by command."""
    may_be_mirrored = version.startswith("3.")
    groups: dict[QueuePlacement, list[str]] = {}
    for queue in queues:
        groups.setdefault(_placement(queue, may_be_mirrored), []).append(_name(queue))
    for placement, names in groups.items():
        yield placement.model_copy(update={"count": len(names), "names": tuple(names[:EXAMPLES])})


def _placement(queue: Mapping[str, Json], may_be_mirrored: bool) -> QueuePlacement:
    """Return one queue's placement without its name. Commands print "" for what HTTP leaves out."""
    kind = queue.get("type") or "classic"
    copies = queue.get("slave_nodes", queue.get("slave_pids", ""))
    in_sync = queue.get("synchronised_slave_nodes", queue.get("synchronised_slave_pids", ""))
    mirrored = isinstance(copies, list)
    return QueuePlacement(
        type=kind,
        leader=queue.get("leader") or queue.get("node") or "",
        members=_nodes(queue.get("members")),
        online=_nodes(queue.get("online")),
        mirrors=len(copies) if mirrored else None,
        synchronised=len(in_sync or ()) if mirrored else 0,
        described=not may_be_mirrored or kind != "classic" or _is_described(queue),
        names=(),
    )


def _is_described(queue: Mapping[str, Json]) -> bool:
    """Return whether a classic queue without mirrors is known to have none.

    Over HTTP, statistics bring ``state`` and the mirrors at the same time; a command asks the queue
    itself. A queue that is not durable ends with its node anyway, so its mirrors do not matter.
    """
    return "state" in queue or "slave_pids" in queue or not queue.get("durable")


def _nodes(names: Json) -> frozenset[str] | None:
    return frozenset(names) if isinstance(names, list) else None


def _name(queue: Mapping[str, Json]) -> str:
    return str(QueueId(queue.get("vhost", "/"), queue["name"]))


def _named(queues: NamedQueues, vhost: str) -> dict[QueueId, int]:
    """Return the queues that a claim names, with the least number of consumers each must have."""
    wanted: dict[QueueId, int] = {}
    for key, value in queues.items():
        names = {key: value} if isinstance(value, int) else value
        inside = vhost if isinstance(value, int) else key
        wanted |= {QueueId(inside, name): least for name, least in names.items()}
    return wanted


def _nova_consumers(context: ProbeContext, vhost: str) -> dict[QueueId, int]:
    """Return the queues of nova's services: one consumer on each host's own, one per host on the shared one.

    A server listens on its topic, on topic.host and on a fanout (oslo.messaging, "RPC Server"), all in the virtual host
    of its transport URL: OpenStack-Ansible has one for nova, and every cell may have its own.
    """
    wanted: Counter[QueueId] = Counter()
    for service in expected_services(context, RPC_SERVICES):
        brokers = context.site(service.host, QueuesSite).brokers(service.host)
        inside = brokers[0].vhost if brokers else vhost
        wanted[QueueId(inside, service.queue)] += 1
        wanted[QueueId(inside, service.service)] += 1
    return dict(wanted)


def _list_depths(
    broker: Broker, wanted: Collection[str]
) -> tuple[list[str], dict[QueueId, QueueDepth]]:
    """Return the node's virtual hosts, and all queues of those that are wanted.

    A node that keeps no statistics lists no counts over HTTP; its command-line tools count when they are asked.
    """
    if not broker.site.rabbitmq_management_enabled:
        existing = commands.list_vhosts(broker)
        return existing, _depths_by(commands.list_queues, broker, existing, wanted)
    existing = [each["name"] for each in management.ask(broker, VHOSTS)[VHOSTS]]
    depths = _depths_by(_listed_over_http, broker, existing, wanted)
    counted = any(each.consumers is not None for each in depths.values())
    if depths and not counted and not management.keeps_statistics(broker):
        depths = _depths_by(commands.list_queues, broker, existing, wanted)
    return existing, depths


def _depths_by(
    ask: Callable[..., list[Json]], broker: Broker, existing: list[str], wanted: Collection[str]
) -> dict[QueueId, QueueDepth]:
    columns = ("name", "consumers", "messages_ready")
    return {
        QueueId(vhost, queue["name"]): _depth(queue)
        for vhost in existing
        if vhost in wanted
        for queue in ask(broker, vhost, *columns)
    }


def _listed_over_http(broker: Broker, vhost: str, *columns: str) -> list[Json]:
    path = f"queues/{quote(vhost, safe='')}?columns={','.join(columns)}"
    listed: list[Json] = management.ask(broker, path)[path]
    return listed


def _depth(queue: Mapping[str, Json]) -> QueueDepth:
    """Return one queue's depth; commands print "" where HTTP leaves out what is not known."""
    consumers, ready = queue.get("consumers"), queue.get("messages_ready")
    return QueueDepth(
        consumers=None if consumers == "" else consumers, ready=None if ready == "" else ready
    )
