"""Ask every node for its view of the cluster, and one node whether it has booted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.model import Json
from holdfast.observations.rabbitmq import BootState, ClientLoad, ClusterViews, NodeView
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.management import NODES, OVERVIEW
from holdfast.probes.rabbitmq.site import Broker, broker_of, brokers_of, expected

ALARMS = "health/checks/alarms"
VHOSTS_UP = "health/checks/virtual-hosts"


def probe_cluster(context: ProbeContext) -> ClusterViews:
    """Return every node's own view, or why there is none; raises nothing for a silent node."""
    brokers = brokers_of(context)
    views = ask_all(brokers, lambda broker: or_unanswered(_view, broker))
    return ClusterViews(expected=expected(brokers), views=views)


def probe_boot(context: ProbeContext, host: str) -> BootState:
    """Return whether a node runs and serves, as it reports itself.

    ``host``: whose node; "" for the task's host.

    Raises:
        CannotTell: the node does not answer.
        InvalidInput: ``host`` is no broker of the inventory.
    """
    broker = broker_of(brokers_of(context), host or context.host)
    ask = _boot_by_http if broker.site.rabbitmq_management_enabled else _boot_by_command
    running, faults = ask(broker)
    return BootState(host=broker.host, node=broker.node, running=running, faults=tuple(faults))


def view_by_command(broker: Broker) -> NodeView:
    """Return a node's view from its ``cluster_status``.

    Raises:
        CannotTell: the node does not answer.
    """
    status = commands.cluster_status(broker)
    partitions = status["partitions"] or {}
    return NodeView(
        version=status["versions"].get(broker.node, {}).get("rabbitmq_version", ""),
        members=frozenset([*status["disk_nodes"], *status.get("ram_nodes", ())]),
        running=frozenset(status["running_nodes"]),
        partitions=frozenset(partitions.get(broker.node, ())),
        alarms=_alarms(status["alarms"]),
    )


def _view(broker: Broker) -> NodeView:
    if not broker.site.rabbitmq_management_enabled:
        return view_by_command(broker)
    answers = management.ask(broker, NODES, ALARMS, OVERVIEW)
    members = {each["name"]: each for each in answers[NODES]}
    own = members.get(broker.node, {})
    return NodeView(
        version=answers[OVERVIEW].get("rabbitmq_version", ""),
        members=frozenset(members),
        running=frozenset(name for name, each in members.items() if each.get("running")),
        partitions=frozenset(own.get("partitions") or ()),
        alarms=_alarms(answers[ALARMS].get("alarms") or ()) or _unnamed_alarm(answers[ALARMS]),
        load=_load(answers[OVERVIEW]),
    )


def _alarms(alarms: Iterable[Mapping[str, Json]]) -> tuple[str, ...]:
    return tuple(f"{each.get('resource', 'alarm')} on {each.get('node', '?')}" for each in alarms)


def _unnamed_alarm(check: Mapping[str, Json]) -> tuple[str, ...]:
    """Return an alarm for a check that failed without naming any."""
    return () if check.get("status") == "ok" else (str(check.get("reason", "unnamed alarm")),)


def _load(overview: Mapping[str, Json]) -> ClientLoad | None:
    churn, totals = overview.get("churn_rates") or {}, overview.get("object_totals") or {}
    rates = [
        churn.get(f"connection_{what}_details", {}).get("rate") for what in ("created", "closed")
    ]
    if None in rates or "connections" not in totals:
        return None
    return ClientLoad(connections=totals["connections"], churn=sum(rates))


def _boot_by_http(broker: Broker) -> tuple[bool, list[str]]:
    port = broker.site.rabbitmq_amqp_port
    checks = {VHOSTS_UP: "virtual hosts", f"health/checks/port-listener/{port}": f"port {port}"}
    found = management.ask(broker, NODES, *checks)
    running = {each["name"] for each in found[NODES] if each.get("running")}
    return broker.node in running, [
        f"{what}: {found[path].get('reason', 'not ok')}"
        for path, what in checks.items()
        if found[path].get("status") != "ok"
    ]


def _boot_by_command(broker: Broker) -> tuple[bool, list[str]]:
    port = str(broker.site.rabbitmq_amqp_port)
    running, _ = commands.check(broker, "rabbitmq-diagnostics", "check_running")
    if not running:
        return False, []
    checks = {
        "virtual hosts": ["check_virtual_hosts"],
        f"port {port}": ["check_port_listener", port],
    }
    return True, [
        f"{what}: not up"
        for what, argv in checks.items()
        if not commands.check(broker, "rabbitmq-diagnostics", *argv)[0]
    ]
