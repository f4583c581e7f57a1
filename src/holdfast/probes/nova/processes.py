"""Ask the host of every service of nova about its processes."""

from __future__ import annotations

from holdfast.nova_services import SERVICES, binary_of
from holdfast.observations.processes import ServiceProcesses
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.fleet import UnitSite
from holdfast.probes.nova.site import QueuesSite, expected_services
from holdfast.probes.processes import Brokers, ProcessSource, broker_names, read_processes

_DEFAULT_PORTS = (5671, 5672)


def probe_service_processes(context: ProbeContext) -> ServiceProcesses:
    """Return what every host of nova's groups says of its services' processes."""
    sources, ports = [], set(_DEFAULT_PORTS)
    for each in expected_services(context, SERVICES):
        site, binary = context.site(each.host, UnitSite), binary_of(each.service)
        queues = context.site(each.host, QueuesSite)
        ports |= {broker.port for broker in queues.brokers(each.host)}
        files = f"/etc/nova/nova.conf /etc/nova/{binary}.conf"
        unit, log, prefix = (
            site.unit(each.service),
            site.log(each.service),
            site.prefix(each.service),
        )
        sources.append(ProcessSource(binary, each.host, unit, log, files, prefix))
    return read_processes(context, sources, Brokers(broker_names(context), frozenset(ports)))
