"""Ask one node what the cluster carries: room on each node, clients, messages, and replies that nobody reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from holdfast.model import Json, Unanswered
from holdfast.observations.rabbitmq import BrokerLoad, Room
from holdfast.probes.base import ProbeContext, ask_all, first_answer, or_unanswered
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.round_trip import PREFIX
from holdfast.probes.rabbitmq.site import Broker, Brokers, brokers_of, expected

REPLIES = "reply_"  # how oslo.messaging names the queue that a caller waits at (amqpdriver.py, ReplyWaiters)
ROOM = (
    "nodes?columns=name,running,mem_used,mem_limit,disk_free,disk_free_limit,"
    "fd_used,fd_total,sockets_used,sockets_total"
)
TOTALS = "overview?columns=rabbitmq_version,churn_rates,object_totals,queue_totals,disable_stats"
VHOSTS = "vhosts?columns=name"
BY_COMMAND = "rabbitmqctl status (the site has the management API off)"


def probe_load(context: ProbeContext) -> BrokerLoad:
    """Return what the cluster carries, from the first node with the management API that answers.

    Where no node has it, each is asked for its room by command, and nothing else is counted.

    Raises:
        CannotTell: no node with the management API answers; the message has every cause.
    """
    brokers = brokers_of(context)
    managed = {
        host: broker for host, broker in brokers.items() if broker.site.rabbitmq_management_enabled
    }
    if not managed:
        return _room_by_command(brokers)
    host, (nodes, totals, queues) = first_answer(managed, _ask)
    replies = [each for each in queues if each["name"].startswith(REPLIES)]
    unread = [each for each in replies if not each.get("consumers")]
    return BrokerLoad(
        expected=expected(brokers),
        host=host,
        at=time.monotonic(),
        rooms={name: dict(_rooms(entry)) for name, entry in _running(brokers, nodes)},
        stopped=tuple(_stopped(brokers, nodes)),
        reply_queues=len(replies),
        unread=len(unread),
        unread_replies=(
            None
            if totals.get("disable_stats")
            else sum(each.get("messages_ready") or 0 for each in unread)
        ),
        **_counted(totals, sum(not each["name"].startswith(PREFIX) for each in queues)),
    )


def _ask(broker: Broker) -> tuple[list[Json], Mapping[str, Json], list[Json]]:
    """Return a node's answers: the nodes, its totals, and all queues."""
    found = management.ask(broker, ROOM, TOTALS, VHOSTS)
    # One by one: the list over all of them omits, without an error, those that the user has no permissions in.
    paths = [_queues_of(vhost["name"]) for vhost in found[VHOSTS]]
    lists = management.ask(broker, *paths).values()
    return found[ROOM], found[TOTALS], [queue for each in lists for queue in each]


def _room_by_command(brokers: Brokers) -> BrokerLoad:
    """Return each node's room as its own status has it."""
    answers = ask_all(brokers, lambda broker: or_unanswered(commands.node_status, broker))
    silent = {host: told.cause for host, told in answers.items() if isinstance(told, Unanswered)}
    return BrokerLoad(
        expected=expected(brokers),
        host=BY_COMMAND,
        at=time.monotonic(),
        rooms={
            host: dict(_rooms(_entry_of(told)))
            for host, told in answers.items()
            if host not in silent
        },
        silent=silent,
    )


def _entry_of(status: Json) -> Mapping[str, Json]:
    """Return a node's entry as the management API has it, from what ``rabbitmqctl status`` prints."""
    descriptors = status.get("file_descriptors") or {}
    memory = status.get("memory") or {}
    used = (memory.get("total") or {}).get(memory.get("strategy"))
    return {
        "mem_used": used,
        "mem_limit": status.get("vm_memory_high_watermark_limit"),
        "disk_free": status.get("disk_free"),
        "disk_free_limit": status.get("disk_free_limit"),
        "fd_used": descriptors.get("total_used"),
        "fd_total": descriptors.get("total_limit"),
        "sockets_used": descriptors.get("sockets_used"),
        "sockets_total": descriptors.get("sockets_limit"),
    }


def _queues_of(vhost: str) -> str:
    return f"queues/{quote(vhost, safe='')}?columns=name,consumers,messages_ready"


def _counted(totals: Mapping[str, Json], queues: int) -> dict[str, Json]:
    """Return the figures that the node counts. It has no totals of messages until a queue has had one.

    ``queues``: how many there are, but those of our own round trips, which come and go.
    """
    objects, churn = totals.get("object_totals") or {}, totals.get("churn_rates") or {}
    messages = totals.get("queue_totals") or {}
    rates = [
        churn.get(f"connection_{what}_details", {}).get("rate") for what in ("created", "closed")
    ]
    none = None if queues or totals.get("disable_stats") else 0
    return {
        **{name: objects.get(name) for name in ("connections", "channels", "queues")},
        "churn": None if None in rates else sum(rates),
        "ready": messages.get("messages_ready", none),
        "unacknowledged": messages.get("messages_unacknowledged", none),
    }


def _running(brokers: Brokers, nodes: Iterable[Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield the entry of each expected broker that runs; one that is not listed has an empty one."""
    listed = {each["name"]: each for each in nodes}
    for host, broker in brokers.items():
        entry = listed.get(broker.node, {"running": True})
        if entry["running"]:
            yield host, entry


def _stopped(brokers: Brokers, nodes: Iterable[Json]) -> Iterator[str]:
    down = {each["name"] for each in nodes if not each["running"]}
    return (host for host, broker in brokers.items() if broker.node in down)


def _rooms(entry: Mapping[str, Json]) -> Iterator[tuple[str, Room]]:
    """Yield a node's resources. Releases that count no descriptors report a total of 0, or none."""
    for resource, used, limit in (
        ("memory", "mem_used", "mem_limit"),
        ("disk", "disk_free_limit", "disk_free"),  # the less is free, the greater is the share
        ("descriptors", "fd_used", "fd_total"),
        ("sockets", "sockets_used", "sockets_total"),
    ):
        known = entry.get(used) is not None and entry.get(limit) is not None
        if known and (entry[limit] or resource == "disk"):
            yield resource, Room(used=entry[used], limit=max(entry[limit], 1))
