"""Which queues nova's services consume, by the inventory: what oslo.messaging names them."""

from __future__ import annotations

from holdfast.probes.base import ProbeContext, SiteVariables

LAYERS = ("conductor", "scheduler", "compute")
GROUPS = tuple(f"nova_{layer}" for layer in LAYERS)


class NovaName(SiteVariables):
    """Nova's own name for a host; the inventory's where it is not set."""

    nova_service_host: str = ""


def nova_consumers(look: ProbeContext) -> dict[str, int]:
    """Per queue the least number of consumers: one on each host's own, one per host on the shared one.

    A server listens on its topic, on topic.host and on a fanout (oslo.messaging, "RPC Server").
    """
    wanted: dict[str, int] = {}
    for layer, group in zip(LAYERS, GROUPS, strict=True):
        hosts = look.groups.get(group, ())
        names = [look.site(host, NovaName).nova_service_host or host for host in hosts]
        wanted |= {f"{layer}.{name}": 1 for name in names}
        if names:
            wanted[layer] = len(names)
    return wanted
