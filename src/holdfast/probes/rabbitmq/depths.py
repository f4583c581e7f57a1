"""Ask one node for the consumers and waiting messages of queues, nova's among them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.nova_services import RPC_SERVICES, groups_of
from holdfast.observations.rabbitmq import QueueDepth, QueueDepths
from holdfast.probes.base import ProbeContext, Shell
from holdfast.probes.nova.site import expected_services
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.site import RabbitSite, first_answer, sites_of


def probe_depths(
    context: ProbeContext, queues: Mapping[str, int], of_nova: bool, vhost: str
) -> QueueDepths:
    """Return the depths of queues of one virtual host, from the first node that answers.

    ``queues``: names, and the least number of consumers each must have. ``of_nova``: also the
    queues of every nova service in the inventory.

    Raises:
        CannotTell: no node answers; the message has every cause.
        InvalidInput: there is no queue to ask for.
    """
    wanted = {**(_nova_consumers(context) if of_nova else {}), **queues}
    if not wanted:
        raise InvalidInput(
            "of_nova names no queue: this inventory has no host in "
            + ", ".join(groups_of(RPC_SERVICES)),
            remedy="leave the claim out",
        )
    sites = sites_of(context)
    host, found = first_answer(
        sites, lambda host: _list_depths(context.shell, host, sites[host], vhost)
    )
    return QueueDepths(
        host=host,
        vhost=vhost,
        at=time.monotonic(),
        wanted=wanted,
        queues={
            queue["name"]: QueueDepth(
                consumers=queue.get("consumers"), ready=queue.get("messages_ready")
            )
            for queue in found
            if queue["name"] in wanted
        },
    )


def _nova_consumers(context: ProbeContext) -> dict[str, int]:
    """Return the queues of nova's services: one consumer on each host's own, one per host on the shared one.

    A server listens on its topic, on topic.host and on a fanout (oslo.messaging, "RPC Server").
    """
    wanted: dict[str, int] = {}
    for topic in RPC_SERVICES:
        services = expected_services(context, (topic,))
        wanted |= {service.queue: 1 for service in services}
        if services:
            wanted[topic] = len(services)
    return wanted


def _list_depths(shell: Shell, host: str, site: RabbitSite, vhost: str) -> list[Json]:
    if site.rabbitmq_management_enabled:
        path = f"queues/{quote(vhost, safe='')}?columns=name,consumers,messages_ready"
        listed: list[Json] = management.ask_one(host, site, (path,))[path]
        return listed
    columns = ("name", "consumers", "messages_ready")
    return commands.list_queues(shell, site.node(host), vhost, columns)
