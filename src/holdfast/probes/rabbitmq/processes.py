"""Ask every broker's host about the broker's processes."""

from __future__ import annotations

from holdfast.observations.processes import ServiceProcesses
from holdfast.probes.base import ProbeContext
from holdfast.probes.processes import Brokers, ProcessSource, read_processes
from holdfast.probes.rabbitmq.site import brokers_of


def probe_broker_processes(context: ProbeContext) -> ServiceProcesses:
    """Return what every broker's host says of the broker's processes."""
    sources = [
        ProcessSource(
            broker.site.rabbitmq_unit,
            host,
            broker.site.rabbitmq_unit,
            prefix=broker.site.rabbitmq_command_prefix,
        )
        for host, broker in brokers_of(context).items()
    ]
    return read_processes(context, sources, Brokers())
