"""Ask every node for its view of the cluster, and one node whether it has booted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.model import Json
from holdfast.observations.base import Unanswered
from holdfast.observations.rabbitmq import BootState, ClientLoad, ClusterViews, NodeView
from holdfast.probes.base import ProbeContext, Shell
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.management import NODES, OVERVIEW
from holdfast.probes.rabbitmq.site import (
    RabbitSite,
    expected,
    or_unanswered,
    site_of_member,
    sites_of,
    with_management,
)

ALARMS = "health/checks/alarms"
VHOSTS_UP = "health/checks/virtual-hosts"


def probe_cluster(context: ProbeContext) -> ClusterViews:
    """Return every node's own view, or why there is none; raises nothing for a silent node."""
    sites = sites_of(context)
    answers = management.ask(
        sites, dict.fromkeys(with_management(sites), (NODES, ALARMS, OVERVIEW))
    )
    views: dict[str, NodeView | Unanswered] = {}
    for host, site in sites.items():
        node = site.node(host)
        answer = answers.get(host)
        if answer is None:
            views[host] = _view_by_command(context.shell, node)
        elif isinstance(answer, Unanswered):
            views[host] = answer
        else:
            views[host] = _view_by_http(node, answer)
    return ClusterViews(expected=expected(sites), views=views)


def probe_boot(context: ProbeContext, host: str) -> BootState:
    """Return whether a node runs and serves, as it reports itself.

    ``host``: whose node; "" for the task's host.

    Raises:
        CannotTell: the node does not answer.
        InvalidInput: ``host`` is no broker of the inventory.
    """
    sites, host = sites_of(context), host or context.host
    site = site_of_member(sites, host)
    ask = _boot_by_http if site.rabbitmq_management_enabled else _boot_by_command
    running, faults = ask(context.shell, host, site)
    return BootState(expected=expected(sites), host=host, running=running, faults=tuple(faults))


def view_of_status(node: str, status: Mapping[str, Json]) -> NodeView:
    """Return a node's view from its ``cluster_status``."""
    partitions = status["partitions"] or {}
    return NodeView(
        version=status["versions"].get(node, {}).get("rabbitmq_version", ""),
        members=frozenset([*status["disk_nodes"], *status.get("ram_nodes", ())]),
        running=frozenset(status["running_nodes"]),
        partitions=frozenset(partitions.get(node, ())),
        alarms=_alarms(status["alarms"]),
    )


def _view_by_command(shell: Shell, node: str) -> NodeView | Unanswered:
    return or_unanswered(lambda: view_of_status(node, commands.cluster_status(shell, node)))


def _view_by_http(node: str, answers: Mapping[str, Json]) -> NodeView:
    members = {each["name"]: each for each in answers[NODES]}
    own = members.get(node, {})
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


def _boot_by_http(_: Shell, host: str, site: RabbitSite) -> tuple[bool, list[str]]:
    listener = f"health/checks/port-listener/{site.rabbitmq_amqp_port}"
    found = management.ask_one(host, site, (NODES, VHOSTS_UP, listener))
    running = {each["name"] for each in found[NODES] if each.get("running")}
    checks = {
        "virtual hosts": found[VHOSTS_UP],
        f"port {site.rabbitmq_amqp_port}": found[listener],
    }
    failed = {what: check for what, check in checks.items() if check.get("status") != "ok"}
    faults = [f"{what}: {check.get('reason', 'not ok')}" for what, check in failed.items()]
    return site.node(host) in running, faults


def _boot_by_command(shell: Shell, host: str, site: RabbitSite) -> tuple[bool, list[str]]:
    node, port = site.node(host), str(site.rabbitmq_amqp_port)
    running, _ = commands.check(shell, node, ["rabbitmq-diagnostics", "check_running"])
    if not running:
        return False, []
    checks = {
        "virtual hosts": ["check_virtual_hosts"],
        f"port {port}": ["check_port_listener", port],
    }
    return True, [
        f"{what}: not up"
        for what, argv in checks.items()
        if not commands.check(shell, node, ["rabbitmq-diagnostics", *argv])[0]
    ]
