"""Ask where a node runs: the node itself, and systemd on the task's host."""

from __future__ import annotations

from holdfast.observations.rabbitmq import NodePlace
from holdfast.probes.base import ProbeContext
from holdfast.probes.rabbitmq import commands
from holdfast.probes.rabbitmq.site import broker_of, brokers_of
from holdfast.probes.systemd import probe_unit


def probe_place(context: ProbeContext, unit: str) -> NodePlace:
    """Return in which start of a unit the node of the task's host runs, and which start ``unit`` there has.

    Commands reach a node by its name, wherever it runs; systemd answers for the host that is reached. Every start of a
    unit has an InvocationID of its own, so the two are equal only for one process.

    Raises:
        CannotTell: the host, its systemd or the node does not answer.
        InvalidInput: the task's host is no broker of the inventory.
    """
    broker = broker_of(brokers_of(context), context.host)
    runs_in = commands.unit_start(broker)
    return NodePlace(
        host=broker.host,
        node=broker.node,
        unit=unit,
        runs_in=runs_in,
        unit_start=probe_unit(context, unit).invocation_id,
    )
