"""What is asked of each system, and which figures of it monitoring keeps.

A further system is one more entry of ``SYSTEMS``: its claims that need no shell on a host, and its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.model import Json
from holdfast.nova_services import RPC_SERVICES, group_of, groups_of
from holdfast.observations.galera import GaleraViews
from holdfast.observations.nova import ServiceList
from holdfast.observations.rabbitmq import BrokerLoad


@dataclass(frozen=True, slots=True)
class Figure:
    """One number for a graph: ``unit`` is "", "bytes" or "seconds"; ``labels`` tell it from others of the same name.

    ``most``: the greatest that it can be, None without such a limit.
    """

    name: str
    value: float
    unit: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    most: float | None = None


@dataclass(frozen=True, slots=True)
class WhereKnown:
    """A claim that is asked only where the file has a variable."""

    claim: str
    where: str


@dataclass(frozen=True, slots=True)
class System:
    """One system as monitoring asks it.

    ``endpoint_group``: the group of the hosts that ``--endpoint`` names. ``endpoint``: from a host's endpoint, as
    scheme, address and port, to its site variables. ``schemes``: those that an endpoint may have, the usual one first;
    ``example``: an endpoint, for messages. ``groups``: further groups that the file must name hosts of.
    ``claims``: all standing, and answered without a shell on any host. ``figures``: per claim, from what its probe
    observed.
    """

    endpoint_group: str
    endpoint: Callable[[str, str, int | None], Mapping[str, Json]]
    claims: tuple[str | WhereKnown, ...]
    figures: Mapping[str, Callable[[Json], Iterable[Figure]]]
    groups: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ("http", "https")
    example: str = "ctl1=http://192.0.2.1:15672"

    def chosen(self, known: Mapping[str, Json]) -> list[str]:
        """Return the claims that are asked where the file has these variables."""
        return [
            each if isinstance(each, str) else each.claim
            for each in self.claims
            if isinstance(each, str) or each.where in known
        ]


def _broker(scheme: str, address: str, port: int | None) -> Mapping[str, Json]:
    return {
        "rabbitmq_address": address,
        "rabbitmq_management_scheme": scheme,
        **({"rabbitmq_management_port": port} if port else {}),
    }


def _nova_api(scheme: str, address: str, port: int | None) -> Mapping[str, Json]:
    place = f"[{address}]" if ":" in address else address
    return {"nova_api_url": f"{scheme}://{place}:{port or 8774}"}


def _database(_scheme: str, address: str, port: int | None) -> Mapping[str, Json]:
    return {"galera_address": address, **({"galera_port": port} if port else {})}


def _broker_figures(load: BrokerLoad) -> Iterator[Figure]:
    """Yield what the brokers carry."""
    counted = ("connections", "channels", "queues", "ready", "unacknowledged", "churn")
    counts = {name: getattr(load, name) for name in counted} | {
        "reply_queues": load.reply_queues,
        "reply_queues_unread": load.unread,
        "replies_unread": load.unread_replies,
    }
    for name, value in counts.items():
        if value is not None:
            yield Figure(name, round(value, 2))
    for host, rooms in load.rooms.items():
        for resource, room in rooms.items():
            of_host = (("host", host),)
            if resource == "disk":
                yield Figure("disk_free", room.limit, "bytes", of_host)
            else:
                unit = "bytes" if resource == "memory" else ""
                yield Figure(f"{resource}_used", room.used, unit, of_host, room.limit)


def _nova_figures(services: ServiceList) -> Iterator[Figure]:
    """Yield how many of nova's services are up, of how many that the file names."""
    up = [any(entry.is_up for entry in services.entries(each)) for each in services.expected]
    yield Figure("services_up", sum(up), most=len(up))


def _galera_figures(views: GaleraViews) -> Iterator[Figure]:
    """Yield how many nodes serve, and what each that answered has counted since its start."""
    up = sum(node.serves for node in views.answered.values())
    yield Figure("nodes_serving", up, most=len(views.nodes))
    for host, node in views.answered.items():
        of_host = (("host", host),)
        yield Figure("receive_queue", node.queue, labels=of_host)
        yield Figure("flow_paused", node.counters.paused_ns / 1e9, "seconds", of_host)
        yield Figure("certification_failures", node.counters.failures, labels=of_host)
        yield Figure("aborts", node.counters.aborts, labels=of_host)
        yield Figure("deadlocks", node.counters.deadlocks, labels=of_host)


SYSTEMS: Mapping[str, System] = {
    "rabbitmq": System(
        endpoint_group="rabbitmq",
        endpoint=_broker,
        claims=(
            "rabbitmq.members_agree",
            "rabbitmq.no_partitions",
            "rabbitmq.no_alarms",
            "rabbitmq.none_left_drained",
            "rabbitmq.has_room",
            "rabbitmq.quorum_queues_whole",
            "rabbitmq.mirrors_in_sync",
            WhereKnown("rabbitmq.amqp_round_trip", "rabbitmq_probe_user"),
        ),
        figures={"rabbitmq.has_room": _broker_figures},
    ),
    "nova": System(
        endpoint_group=group_of("api"),
        endpoint=_nova_api,
        groups=groups_of(RPC_SERVICES),
        claims=(
            "nova.services_up",
            "nova.none_left_disabled",
            "nova.api_answers",
            WhereKnown("nova.rpc_answers", "nova_transport_url"),
        ),
        figures={"nova.services_up": _nova_figures},
    ),
    "galera": System(
        endpoint_group="galera",
        endpoint=_database,
        schemes=("mysql",),
        example="db1=mysql://192.0.2.1:3306",
        claims=("galera.nodes_synced", "galera.members_agree", "galera.queues_short"),
        figures={"galera.nodes_synced": _galera_figures},
    ),
}
