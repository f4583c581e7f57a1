"""Ask one node where all queues are: leaders, members, mirrors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.rabbitmq import QueuePlacement, QueuePlacements
from holdfast.probes.base import ProbeContext, Shell
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.cluster import view_of_status
from holdfast.probes.rabbitmq.management import NODES, OVERVIEW
from holdfast.probes.rabbitmq.site import RabbitSite, expected, first_answer, sites_of

EXAMPLES = 5  # names kept of queues with the same placement
VHOSTS = "vhosts?columns=name"


def probe_queues(context: ProbeContext) -> QueuePlacements:
    """Return where all queues are, from the first node that answers.

    Raises:
        CannotTell: no node answers; the message has every cause.
    """
    sites = sites_of(context)
    host, (version, queues) = first_answer(
        sites, lambda host: _list_queues(context.shell, host, sites[host])
    )
    return QueuePlacements(
        expected=expected(sites),
        host=host,
        version=version,
        placements=tuple(_placements(queues, version)),
    )


def queues_of(vhost: str) -> str:
    """Return the path of the list of a virtual host's queues and where they are.

    Virtual hosts are asked one by one: the list over all of them omits, without an error, those that
    the user has no permissions in. Asked for by name they are a 401.
    """
    columns = "leader,node,members,online,slave_nodes,synchronised_slave_nodes"
    return f"queues/{quote(vhost, safe='')}?columns=name,vhost,type,durable,state,{columns}"


def _list_queues(shell: Shell, host: str, site: RabbitSite) -> tuple[str, list[Json]]:
    """Return the node's version and all queues that it lists."""
    if site.rabbitmq_management_enabled:
        # NODES is asked, though not used, because a user without the monitoring tag is refused there, while
        # other lists are only shorter.
        found = management.ask_one(host, site, (NODES, VHOSTS, OVERVIEW))
        paths = [queues_of(vhost["name"]) for vhost in found[VHOSTS]]
        lists = management.ask_one(host, site, paths).values()
        return found[OVERVIEW].get("rabbitmq_version", ""), [q for each in lists for q in each]
    node = site.node(host)
    view = view_of_status(node, commands.cluster_status(shell, node))
    if down := view.members - view.running:
        raise CannotTell(
            f"{node} lists no queues of nodes that are down: {', '.join(sorted(down))}"
        )
    columns = commands.PLACEMENT + (commands.MIRRORS if view.version.startswith("3.") else ())
    return view.version, [
        queue
        for vhost in commands.list_vhosts(shell, node)
        for queue in commands.list_queues(shell, node, vhost, columns)
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
        synchronised=len(in_sync or ()) if mirrored else None,
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
    vhost = queue.get("vhost", "/")
    return f"{queue['name']}" if vhost == "/" else f"{queue['name']} (virtual host {vhost})"
