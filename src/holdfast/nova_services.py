"""Nova's services: their names, and what follows from a name in nova and in an inventory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

RpcService = Literal["conductor", "scheduler", "compute"]
"""Services that register with nova, report heartbeats and take calls from a queue on the broker.
The name is also the topic of their queues."""

PeerService = Literal["conductor", "scheduler", "api", "metadata"]
"""Services of which any host can do the work of another. A compute's instances are its own.
The API and metadata answer over HTTP, and nova lists no heartbeat of theirs."""

RPC_SERVICES: tuple[RpcService, ...] = get_args(RpcService)
PEER_SERVICES: tuple[PeerService, ...] = get_args(PeerService)
SERVICES: tuple[RpcService | PeerService, ...] = tuple(
    dict.fromkeys((*RPC_SERVICES, *PEER_SERVICES))
)


def group_of(service: str) -> str:
    """Return the inventory's group of a service's hosts: ``nova_compute``."""
    return f"nova_{service}"


def groups_of(services: Iterable[str]) -> tuple[str, ...]:
    """Return the inventory's groups of several services, in their order."""
    return tuple(map(group_of, services))


def binary_of(service: str) -> str:
    """Return a service's name as nova lists it, which is also its unit's: ``nova-compute``."""
    return f"nova-{service}"
