"""Ask where a node runs: the node itself, and systemd on the task's host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.rabbitmq import NodePlace
from holdfast.observations.systemd import StartsWithin, UnitStates, unit_on
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.flapping import starts_within
from holdfast.probes.rabbitmq import commands
from holdfast.probes.rabbitmq.site import Broker, broker_of, brokers_of, tools_of
from holdfast.probes.systemd import probe_unit, unit_command, units_of

TOOLS = ("timeout", "rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-upgrade", "rabbitmq-queues")
"""What the acts of roles/rabbitmq and its gates run on a broker's host."""

_MISSING = 'for tool; do command -v "$tool" > /dev/null || echo "$tool"; done; echo told'


def probe_units(context: ProbeContext) -> UnitStates:
    """Return the state of every broker's unit, asked on its own host; a silent host has its cause instead."""
    brokers = brokers_of(context)
    wanted = {
        f"{broker.site.rabbitmq_unit} on {host}": (host, broker.site.rabbitmq_unit)
        for host, broker in brokers.items()
    }
    return units_of(context, wanted)


def probe_broker_starts(context: ProbeContext, window_seconds: float) -> StartsWithin:
    """Return how often each broker's unit was started within the window."""
    units = {host: broker.site.rabbitmq_unit for host, broker in brokers_of(context).items()}
    wanted = {unit_on(host, unit): (host, unit) for host, unit in units.items()}
    return starts_within(context, wanted, window_seconds)


def probe_tools(context: ProbeContext) -> Mapping[str, Sequence[str] | Unanswered]:
    """Return, per broker, which of the command-line tools that a run uses its host does not have."""

    def ask(host: str) -> Sequence[str]:
        tools = tools_of(context, host, context.reach(host))
        done = tools.run(["sh", "-c", _MISSING, "sh", *TOOLS])
        if done.rc != 0:
            cause = done.stderr.strip() or f"exit status {done.rc}"
            raise CannotTell(f"{host}: which tools it has cannot be told: {cause}")
        *missing, told = done.stdout.split() or [""]
        if told != "told" or not set(missing) <= set(TOOLS):
            raise CannotTell(
                f"{host}: which tools it has cannot be told: {done.stdout.strip()[:80]}"
            )
        return missing

    hosts = {host: host for host in brokers_of(context)}
    return ask_all(hosts, partial(or_unanswered, ask))


def probe_place(context: ProbeContext, unit: str) -> NodePlace:
    """Return in which start of a unit the node of the task's host runs, and which start ``unit`` there has.

    Commands reach a node by its name, wherever it runs; systemd answers for the host that is reached. Every start of a
    unit has an InvocationID of its own, so the two are equal only for one process. A container has none of that: there
    the kernel's boot and the namespace of processes tell one container from every other.

    Raises:
        CannotTell: the host, its systemd or the node does not answer.
        InvalidInput: the task's host is no broker of the inventory.
    """
    broker = broker_of(brokers_of(context), context.host)
    if broker.site.rabbitmq_command_prefix:
        return _place_in_container(context, broker, unit)
    runs_in = commands.unit_start(broker)
    return NodePlace(
        host=broker.host,
        node=broker.node,
        unit=unit,
        runs_in=runs_in,
        unit_start=probe_unit(context, unit).invocation_id,
    )


_NAMESPACE = 'echo "$(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/self/ns/pid)"'


def _place_in_container(context: ProbeContext, broker: Broker, unit: str) -> NodePlace:
    """Return in which container the node runs, which one the host's prefix leads to, and what ``unit`` starts."""
    runs_in = commands.namespace(broker)
    done = broker.shell.run(["sh", "-c", _NAMESPACE])
    if done.rc != 0:
        cause = done.stderr.strip() or f"exit status {done.rc}"
        raise CannotTell(f"{broker.host}: its container cannot be asked: {cause}")
    words = [each for each in broker.site.rabbitmq_command_prefix if not each.startswith("-")]
    return NodePlace(
        host=broker.host,
        node=broker.node,
        unit=unit,
        runs_in=runs_in,
        unit_start=done.stdout.strip(),
        container=words[-1],
        unit_command=unit_command(context, unit),
    )
