"""From the broker's answers, by HTTP or command line, to the JSON shapes that claims read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from holdfast.model import Json

EXAMPLES = 5  # names kept of queues that live alike

NODES = "nodes?columns=name,running,being_drained,partitions"
ALARMS = "health/checks/alarms"
OVERVIEW = "overview?columns=rabbitmq_version,churn_rates,object_totals"
VHOSTS = "vhosts?columns=name"
CONNECTIONS = "connections?columns=node,state"
CRITICAL = "health/checks/node-is-quorum-critical"
VHOSTS_UP = "health/checks/virtual-hosts"


def listener(port: int) -> str:
    """Path of the check that something listens on a port."""
    return f"health/checks/port-listener/{port}"


def queues_of(vhost: str) -> str:
    """Path of the list of a virtual host's queues and where they live.

    One by one, because the list over all virtual hosts leaves out, without a word, those that the
    user has no permissions in; asked for by name they are a 401.
    """
    where = "leader,node,members,online,slave_nodes,synchronised_slave_nodes"
    return f"queues/{quote(vhost, safe='')}?columns=name,vhost,type,durable,state,{where}"


def depths_of(vhost: str) -> str:
    """Path of the list of a virtual host's queues with their depth."""
    return f"queues/{quote(vhost, safe='')}?columns=name,consumers,messages_ready"


def view_by_http(node: str, found: Mapping[str, Json]) -> dict[str, Json]:
    """A node's view out of ``NODES``, ``ALARMS`` and ``OVERVIEW``."""
    members = {each["name"]: each for each in found[NODES]}
    own = members.get(node, {})
    return {
        "node": node,
        "version": found[OVERVIEW].get("rabbitmq_version", ""),
        "members": sorted(members),
        "running": sorted(name for name, each in members.items() if each.get("running")),
        "partitions": own.get("partitions") or [],
        "alarms": _alarms(found[ALARMS].get("alarms") or ()) or _unnamed(found[ALARMS]),
        "load": _load(found[OVERVIEW]),
    }


def view_by_command(node: str, status: Mapping[str, Json]) -> dict[str, Json]:
    """A node's view out of ``cluster_status``."""
    cut_off = status["partitions"] or {}
    return {
        "node": node,
        "version": status["versions"].get(node, {}).get("rabbitmq_version", ""),
        "members": [*status["disk_nodes"], *status.get("ram_nodes", ())],
        "running": status["running_nodes"],
        "partitions": cut_off.get(node, []),
        "alarms": _alarms(status["alarms"]),
    }


def placements(queues: Iterable[Mapping[str, Json]], version: str) -> list[dict[str, Json]]:
    """Queues that live alike, with their number and a few names; by HTTP or by command line."""
    mirrors = version.startswith("3.")
    alike: dict[tuple[Json, ...], list[str]] = {}
    for queue in queues:
        alike.setdefault(_place(queue, mirrors), []).append(_name(queue))
    fields = ("type", "leader", "members", "online", "mirrors", "synchronised", "described")
    return [
        {**dict(zip(fields, place, strict=True)), "count": len(names), "names": names[:EXAMPLES]}
        for place, names in alike.items()
    ]


def depths(queues: Iterable[Mapping[str, Json]], names: Iterable[str]) -> dict[str, Json]:
    """Consumers and waiting messages of the queues of that name, by HTTP or by command line."""
    wanted = frozenset(names)
    return {
        queue["name"]: {"consumers": queue.get("consumers"), "ready": queue.get("messages_ready")}
        for queue in queues
        if queue["name"] in wanted
    }


def connections_on(node: str, connections: Iterable[Mapping[str, Json]]) -> int:
    """How many clients a node has.

    Not those it has closed already: a client that is slow to say goodbye stays in the list for 30 s.
    """
    return sum(
        1 for each in connections if each.get("node") == node and each.get("state") != "closed"
    )


def own_check(answer: Mapping[str, Json] | None, passed: bool) -> dict[str, Json]:
    """The broker's check of quorum: passed, and what would be lost if not."""
    queues = (answer or {}).get("queues") or ()
    critical = [queue.get("readable_name") or queue.get("name") or "?" for queue in queues]
    words = (answer or {}).get("reason") or (answer or {}).get("message") or "no reason given"
    return {"passed": passed, "critical": [] if passed else critical or [words]}


def _place(queue: Mapping[str, Json], mirrors: bool) -> tuple[Json, ...]:
    """What makes queues alike. The tools write "" for what does not apply, HTTP leaves it out."""
    kind = queue.get("type") or "classic"
    copies = queue.get("slave_nodes", queue.get("slave_pids", ""))
    in_sync = queue.get("synchronised_slave_nodes", queue.get("synchronised_slave_pids", ""))
    mirrored = isinstance(copies, list)
    return (
        kind,
        queue.get("leader") or queue.get("node") or "",
        _nodes(queue.get("members")),
        _nodes(queue.get("online")),
        len(copies) if mirrored else None,
        len(in_sync or ()) if mirrored else None,
        not mirrors or kind != "classic" or _described(queue),
    )


def _described(queue: Mapping[str, Json]) -> bool:
    """Statistics bring a queue's ``state`` and its mirrors together; the tools ask the queue itself.

    One that would not outlive its node anyway, as short-lived ones do all day, needs no description.
    """
    return "state" in queue or "slave_pids" in queue or not queue.get("durable")


def _nodes(said: Json) -> tuple[str, ...] | None:
    return tuple(sorted(said)) if isinstance(said, list) else None


def _name(queue: Mapping[str, Json]) -> str:
    vhost = queue.get("vhost", "/")
    return f"{queue['name']}" if vhost == "/" else f"{queue['name']} (virtual host {vhost})"


def _alarms(alarms: Iterable[Mapping[str, Json]]) -> list[str]:
    return [f"{each.get('resource', 'alarm')} on {each.get('node', '?')}" for each in alarms]


def _unnamed(check: Mapping[str, Json]) -> list[str]:
    """A check that failed without naming its alarms is an alarm all the same."""
    return [] if check.get("status") == "ok" else [str(check.get("reason", "unnamed alarm"))]


def _load(overview: Mapping[str, Json]) -> dict[str, Json] | None:
    churn, totals = overview.get("churn_rates") or {}, overview.get("object_totals") or {}
    rates = [
        churn.get(f"connection_{what}_details", {}).get("rate") for what in ("created", "closed")
    ]
    if None in rates or "connections" not in totals:
        return None
    return {"connections": totals["connections"], "churn": sum(rates)}
