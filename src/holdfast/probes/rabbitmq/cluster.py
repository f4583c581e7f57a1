"""Ask every node for its view of the cluster, and one node whether it has booted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.model import Json, Unanswered
from holdfast.observations.rabbitmq import (
    BootState,
    ClientLoad,
    ClusterViews,
    NodeFigures,
    NodeView,
)
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.management import FIGURES, NODES, OVERVIEW, client_count
from holdfast.probes.rabbitmq.site import Broker, Brokers, broker_of, brokers_of, expected

ALARMS = "health/checks/alarms"
VHOSTS_UP = "health/checks/virtual-hosts"


def probe_cluster(context: ProbeContext, drained: str = "") -> ClusterViews:
    """Return every node's own view, or why there is none; raises nothing for a silent node.

    ``drained``: the host whose node is known to be in maintenance, so that its API is off; a command asks it.

    Raises:
        InvalidInput: ``drained`` is no broker of the inventory.
    """
    brokers = brokers_of(context)
    apart = broker_of(brokers, drained) if drained else None
    ask = {host: view_by_command if each is apart else _view for host, each in brokers.items()}
    views = ask_all(brokers, lambda broker: or_unanswered(ask[broker.host], broker))
    return ClusterViews(expected=expected(brokers), views=_with_maintenance(brokers, views))


def probe_clients(context: ProbeContext) -> ClusterViews:
    """Return every node's own view with its count of clients, or why there is none.

    The list of all connections is long on a large site, so only claims about clients ask for it.
    """
    brokers = brokers_of(context)
    views = ask_all(brokers, lambda broker: or_unanswered(_view_with_load, broker))
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
        maintenance=commands.maintenance_in(status),
    )


def _with_maintenance(
    brokers: Brokers, views: Mapping[str, NodeView | Unanswered]
) -> Mapping[str, NodeView | Unanswered]:
    """Add which nodes are drained, where one is silent and an answer lacks that: the API of 3.10 does not report it."""
    answered = {host: view for host, view in views.items() if isinstance(view, NodeView)}
    lacking = [host for host, view in answered.items() if view.maintenance is None]
    if not lacking or len(answered) == len(views):
        return views
    asked = or_unanswered(commands.cluster_status, brokers[lacking[0]])
    if isinstance(asked, Unanswered):
        return views
    drained = {"maintenance": commands.maintenance_in(asked)}
    return {**views, lacking[0]: answered[lacking[0]].model_copy(update=drained)}


def _view_with_load(broker: Broker) -> NodeView:
    view = _view(broker)
    if not broker.site.rabbitmq_management_enabled:
        return view
    connections = client_count(management.connections_of(broker))
    load = _load(management.ask(broker, OVERVIEW)[OVERVIEW], connections)
    if load is None and not management.keeps_statistics(broker):
        load = ClientLoad(connections=connections, churn=None)
    return view.model_copy(update={"load": load})


def _view(broker: Broker) -> NodeView:
    if not broker.site.rabbitmq_management_enabled:
        return view_by_command(broker)
    answers = management.ask(broker, NODES, ALARMS, OVERVIEW)
    members = {each["name"]: each for each in answers[NODES]}
    own = members.get(broker.node, {})
    alarms = _alarms(answers[ALARMS].get("alarms") or ()) or _unnamed_alarm(answers[ALARMS])
    return NodeView(
        version=answers[OVERVIEW].get("rabbitmq_version", ""),
        node=answers[OVERVIEW].get("node", ""),
        members=frozenset(members),
        running=frozenset(name for name, each in members.items() if each.get("running")),
        partitions=frozenset(own.get("partitions") or ()),
        alarms=alarms,
        maintenance=_maintenance(members),
        figures=_figures(management.ask(broker, FIGURES)[FIGURES]) if alarms else {},
    )


def _figures(nodes: Iterable[Mapping[str, Json]]) -> dict[str, NodeFigures]:
    """Return what the nodes use and may use; one that does not run has no figures."""
    wanted = NodeFigures.model_fields
    return {
        each["name"]: NodeFigures(**{name: each[name] for name in wanted})
        for each in nodes
        if all(each.get(name) is not None for name in wanted)
    }


def _maintenance(members: Mapping[str, Mapping[str, Json]]) -> frozenset[str] | None:
    """Return the drained nodes, None where the API does not report them for every node that runs."""
    running = {name: each for name, each in members.items() if each.get("running")}
    if any("being_drained" not in each for each in running.values()):
        return None
    return frozenset(name for name, each in running.items() if each["being_drained"])


def _alarms(alarms: Iterable[Mapping[str, Json]]) -> tuple[str, ...]:
    return tuple(f"{each.get('resource', 'alarm')} on {each.get('node', '?')}" for each in alarms)


def _unnamed_alarm(check: Mapping[str, Json]) -> tuple[str, ...]:
    """Return an alarm for a check that failed without naming any."""
    return () if check.get("status") == "ok" else (str(check.get("reason", "unnamed alarm")),)


def _load(overview: Mapping[str, Json], connections: int) -> ClientLoad | None:
    churn, totals = overview.get("churn_rates") or {}, overview.get("object_totals") or {}
    rates = [
        churn.get(f"connection_{what}_details", {}).get("rate") for what in ("created", "closed")
    ]
    if None in rates or "connections" not in totals:
        return None
    return ClientLoad(connections=connections, churn=sum(rates))


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
