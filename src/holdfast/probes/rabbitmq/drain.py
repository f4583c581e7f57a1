"""Ask a node's peers whether it is in maintenance mode and which clients it still has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.base import Unanswered
from holdfast.observations.rabbitmq import DrainState
from holdfast.probes.base import ProbeContext, Shell
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.management import NODES
from holdfast.probes.rabbitmq.site import (
    Sites,
    first_answer,
    site_of_member,
    sites_of,
    with_management,
)

CONNECTIONS = "connections?columns=node,state"


def probe_drain(context: ProbeContext, host: str) -> DrainState:
    """Return the maintenance mode and the connections of a node; a drained node's own API is off.

    ``host``: whose node; "" for the task's host.

    Raises:
        CannotTell: no peer answers.
        InvalidInput: ``host`` is no broker of the inventory.
    """
    sites, host = sites_of(context), host or context.host
    node = site_of_member(sites, host).node(host)
    peers = {peer: site for peer, site in sites.items() if peer != host}
    if with_management(peers):
        marked, connections = _ask_by_http(context.shell, node, peers)
    else:
        marked, connections = _ask_by_command(context.shell, host, node, peers)
    return DrainState(host=host, marked=marked, connections=connections)


def _ask_by_http(shell: Shell, node: str, peers: Sites) -> tuple[dict[str, bool], int]:
    """Ask all peers; a command adds the maintenance mode where no API has it, as in 3.10."""
    paths = dict.fromkeys(with_management(peers), (NODES, CONNECTIONS))
    asked = management.ask(peers, paths)
    causes = [each.cause for each in asked.values() if isinstance(each, Unanswered)]
    found = {peer: each for peer, each in asked.items() if not isinstance(each, Unanswered)}
    if not found:
        raise CannotTell("; ".join(causes))
    marked = {}
    for peer, answers in found.items():
        entry: Json = next((each for each in answers[NODES] if each["name"] == node), {})
        if "being_drained" in entry:
            marked[peer] = bool(entry["being_drained"])
    if not marked:
        peer = next(iter(found))
        marked = {peer: _is_marked(shell, peers[peer].node(peer), node)}
    return marked, max(_connections_on(node, each[CONNECTIONS]) for each in found.values())


def _ask_by_command(
    shell: Shell, host: str, node: str, peers: Sites
) -> tuple[dict[str, bool], int]:
    """Ask one peer, or the node itself in a cluster of one; the node counts its connections."""
    status = commands.node_status(shell, node)
    connections = status["totals"]["connection_count"]
    if not peers:
        return {host: bool(status["is_under_maintenance"])}, connections
    peer, marked = first_answer(peers, lambda peer: _is_marked(shell, peers[peer].node(peer), node))
    return {peer: marked}, connections


def _is_marked(shell: Shell, peer: str, node: str) -> bool:
    return commands.maintenance(commands.cluster_status(shell, peer)).get(node, False)


def _connections_on(node: str, connections: Iterable[Mapping[str, Json]]) -> int:
    """Count a node's connections but for closed ones, which stay in the list for up to 30 s."""
    return sum(
        1 for each in connections if each.get("node") == node and each.get("state") != "closed"
    )
