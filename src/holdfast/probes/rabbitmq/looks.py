"""The looks at the broker that claims are made of, one function each; every one is bounded in time.

Hosts with ``rabbitmq_management_enabled`` are asked over HTTP, all at once. The others through the command-line
tools on the task's host, one after another and a second or more each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json
from holdfast.probes.base import ProbeContext, Shell
from holdfast.probes.rabbitmq import answers, commands, management
from holdfast.probes.rabbitmq.site import GROUP, RabbitSite, Sites, expected, sites_of

_VIEW = (answers.NODES, answers.ALARMS, answers.OVERVIEW)


def look_at_cluster(look: ProbeContext) -> dict[str, Json]:
    """Every node's own view of the cluster, or why there is none; never raises for a silent node."""
    sites = sites_of(look)
    asked = management.ask(sites, dict.fromkeys(_by_http(sites), _VIEW))
    views: dict[str, Json] = {}
    for host, site in sites.items():
        node = site.node(host)
        if not site.rabbitmq_management_enabled:
            views[host] = _view_by_command(look.shell, node)
            continue
        found = asked[host]
        views[host] = (
            {"cause": str(found)}
            if isinstance(found, CannotTell)
            else answers.view_by_http(node, found)
        )
    return {"expected": expected(sites), "views": views}


def look_at_queues(look: ProbeContext) -> dict[str, Json]:
    """Where all queues live, by the first node that answers.

    Raises:
        CannotTell: no node answers, with every cause.
    """
    sites = sites_of(look)
    host, (version, queues) = _first(sites, lambda host: _queues(look.shell, host, sites[host]))
    placements = answers.placements(queues, version)
    return {
        "expected": expected(sites),
        "host": host,
        "version": version,
        "placements": placements,
    }


def look_at_depths(look: ProbeContext, vhost: str, wanted: Mapping[str, int]) -> dict[str, Json]:
    """Consumers and waiting messages of the wanted queues of a virtual host, by the first node that answers.

    Raises:
        CannotTell: no node answers, with every cause.
    """
    sites = sites_of(look)
    host, queues = _first(sites, lambda host: _depths(look.shell, host, sites[host], vhost))
    return {
        "expected": expected(sites),
        "host": host,
        "vhost": vhost,
        "at": time.monotonic(),
        "wanted": dict(wanted),
        "queues": answers.depths(queues, wanted),
    }


def look_at_quorum(look: ProbeContext, host: str) -> dict[str, Json]:
    """All that has to be known before the host's node may be taken away, looked at together."""
    sites = sites_of(look)
    site = _member(sites, host)
    with ThreadPoolExecutor() as pool:
        cluster = pool.submit(look_at_cluster, look)
        queues = pool.submit(_or_cause, lambda: look_at_queues(look))
        own_check = pool.submit(_or_cause, lambda: _own_check(look.shell, host, site))
    return {
        "expected": expected(sites),
        "host": host,
        "cluster": cluster.result(),
        "queues": queues.result(),
        "own_check": own_check.result(),
    }


def look_at_drained(look: ProbeContext, host: str) -> dict[str, Json]:
    """Whether the host's node is in maintenance and has clients, as its peers say: its own API is off then.

    Raises:
        CannotTell: nobody could say.
    """
    sites = sites_of(look)
    node = _member(sites, host).node(host)
    peers = {peer: site for peer, site in sites.items() if peer != host}
    seen = _drained_by_http(look.shell, node, peers) if _by_http(peers) else None
    marked, connections = seen or _drained_by_command(look.shell, host, node, peers)
    return {
        "expected": expected(sites),
        "host": host,
        "marked": marked,
        "connections": connections,
    }


def look_at_booted(look: ProbeContext, host: str) -> dict[str, Json]:
    """Whether the host's node runs with its virtual hosts and its AMQP listener, by its own word.

    Raises:
        CannotTell: the node gives no answer.
    """
    sites = sites_of(look)
    site = _member(sites, host)
    how = _booted_by_http if site.rabbitmq_management_enabled else _booted_by_command
    running, faults = how(look.shell, host, site)
    return {"expected": expected(sites), "host": host, "running": running, "faults": faults}


def _by_http(sites: Sites) -> list[str]:
    return [host for host, site in sites.items() if site.rabbitmq_management_enabled]


def _member(sites: Sites, host: str) -> RabbitSite:
    if host not in sites:
        raise InvalidInput(
            f"{host} is no broker of this inventory",
            remedy=f"name a host of the group {GROUP}: {', '.join(sites) or 'it is empty'}",
        )
    return sites[host]


def _ask_one(host: str, site: RabbitSite, paths: Sequence[str]) -> Mapping[str, Json]:
    found = management.ask({host: site}, {host: paths})[host]
    if isinstance(found, CannotTell):
        raise found
    return found


def _or_cause(look: Callable[[], Json]) -> Json:
    try:
        return look()
    except CannotTell as error:
        return {"cause": str(error)}


def _first(sites: Sites, ask: Callable[[str], Json]) -> tuple[str, Json]:
    """The first host that answers, with its answer."""
    causes = []
    for host in sites:
        try:
            return host, ask(host)
        except CannotTell as error:
            causes.append(str(error))
    raise CannotTell("; ".join(causes) or "there is no broker to ask")


def _view_by_command(shell: Shell, node: str) -> dict[str, Json]:
    view: dict[str, Json] = _or_cause(
        lambda: answers.view_by_command(node, commands.cluster_status(shell, node))
    )
    return view


def _queues(shell: Shell, host: str, site: RabbitSite) -> tuple[str, list[Json]]:
    """The node's version and all queues it lists."""
    if site.rabbitmq_management_enabled:
        # The nodes are asked for too because a user without the tag is refused there, and told less elsewhere.
        found = _ask_one(host, site, (answers.NODES, answers.VHOSTS, answers.OVERVIEW))
        paths = [answers.queues_of(vhost["name"]) for vhost in found[answers.VHOSTS]]
        queues = [queue for listed in _ask_one(host, site, paths).values() for queue in listed]
        return found[answers.OVERVIEW].get("rabbitmq_version", ""), queues
    node = site.node(host)
    status = commands.cluster_status(shell, node)
    view = answers.view_by_command(node, status)
    if down := set(view["members"]) - set(view["running"]):
        raise CannotTell(
            f"{node} lists no queues of nodes that are down: {', '.join(sorted(down))}"
        )
    columns = commands.PLACEMENT + (commands.MIRRORS if view["version"].startswith("3.") else ())
    vhosts = commands.list_vhosts(shell, node)
    return view["version"], [
        q for v in vhosts for q in commands.list_queues(shell, node, v, columns)
    ]


def _depths(shell: Shell, host: str, site: RabbitSite, vhost: str) -> list[Json]:
    if site.rabbitmq_management_enabled:
        path = answers.depths_of(vhost)
        listed: list[Json] = _ask_one(host, site, (path,))[path]
        return listed
    columns = ("name", "consumers", "messages_ready")
    return commands.list_queues(shell, site.node(host), vhost, columns)


def _own_check(shell: Shell, host: str, site: RabbitSite) -> dict[str, Json]:
    if site.rabbitmq_management_enabled:
        answer = _ask_one(host, site, (answers.CRITICAL,))[answers.CRITICAL]
        return answers.own_check(answer, answer.get("status") == "ok")
    argv = ["rabbitmq-queues", "check_if_node_is_quorum_critical"]
    passed, answer = commands.check(shell, site.node(host), argv)
    return answers.own_check(answer, passed)


def _drained_by_http(shell: Shell, node: str, peers: Sites) -> tuple[dict[str, bool], int]:
    """What the peers that answer say; one command fills in what 3.10's API leaves out."""
    paths = (answers.NODES, answers.CONNECTIONS)
    asked = management.ask(peers, dict.fromkeys(_by_http(peers), paths))
    found = {peer: said for peer, said in asked.items() if not isinstance(said, CannotTell)}
    if not found:
        raise CannotTell("; ".join(map(str, asked.values())))
    marked = {}
    for peer, said in found.items():
        own: Json = next((each for each in said[answers.NODES] if each["name"] == node), {})
        if "being_drained" in own:
            marked[peer] = bool(own["being_drained"])
    if not marked:
        peer = next(iter(found))
        marked = {peer: _marked(shell, peers[peer].node(peer), node)}
    connections = (answers.connections_on(node, s[answers.CONNECTIONS]) for s in found.values())
    return marked, max(connections)


def _drained_by_command(
    shell: Shell, host: str, node: str, peers: Sites
) -> tuple[dict[str, bool], int]:
    """What a peer says, or in a cluster of one the node itself; its clients by the node's own count."""
    status = commands.node_status(shell, node)
    connections = status["totals"]["connection_count"]
    if not peers:
        return {host: bool(status["is_under_maintenance"])}, connections
    peer, marked = _first(peers, lambda peer: _marked(shell, peers[peer].node(peer), node))
    return {peer: marked}, connections


def _marked(shell: Shell, peer: str, node: str) -> bool:
    return commands.maintenance(commands.cluster_status(shell, peer)).get(node, False)


def _booted_by_http(_: Shell, host: str, site: RabbitSite) -> tuple[bool, list[str]]:
    port = answers.listener(site.rabbitmq_amqp_port)
    found = _ask_one(host, site, (answers.NODES, answers.VHOSTS_UP, port))
    running = {each["name"] for each in found[answers.NODES] if each.get("running")}
    checks = {
        "virtual hosts": found[answers.VHOSTS_UP],
        f"port {site.rabbitmq_amqp_port}": found[port],
    }
    failed = {what: said for what, said in checks.items() if said.get("status") != "ok"}
    faults = [f"{what}: {said.get('reason', 'not ok')}" for what, said in failed.items()]
    return site.node(host) in running, faults


def _booted_by_command(shell: Shell, host: str, site: RabbitSite) -> tuple[bool, list[str]]:
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
