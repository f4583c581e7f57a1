"""Ask a node's peers whether it is in maintenance mode and which clients it still has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Json, Unanswered
from holdfast.observations.rabbitmq import DrainState
from holdfast.probes.base import ProbeContext, ask_all, first_answer, or_unanswered
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.management import NODES
from holdfast.probes.rabbitmq.site import Broker, Brokers, broker_of, brokers_of

CONNECTIONS = "connections?columns=node,state"


def probe_drain(context: ProbeContext, host: str) -> DrainState:
    """Return the maintenance mode and the connections of a node; a drained node's own API is off.

    ``host``: whose node; "" for the task's host.

    Raises:
        CannotTell: no peer answers.
        InvalidInput: ``host`` is no broker of the inventory.
    """
    brokers = brokers_of(context)
    broker = broker_of(brokers, host or context.host)
    peers = {peer: each for peer, each in brokers.items() if each is not broker}
    by_http = {h: peer for h, peer in peers.items() if peer.site.rabbitmq_management_enabled}
    found = _ask_by_http(broker.node, by_http) if by_http else _ask_by_command(broker, peers)
    marked, connections = found
    return DrainState(host=broker.host, marked=marked, connections=connections)


def _ask_by_http(node: str, peers: Brokers) -> tuple[dict[str, bool], int]:
    """Ask all peers; a command adds the maintenance mode where no API has it, as in 3.10."""
    asked = ask_all(peers, partial(or_unanswered, lambda p: management.ask(p, NODES, CONNECTIONS)))
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
        marked = {peer: commands.in_maintenance(peers[peer], node)}
    return marked, max(_connections_on(node, each[CONNECTIONS]) for each in found.values())


def _ask_by_command(broker: Broker, peers: Brokers) -> tuple[dict[str, bool], int]:
    """Ask one peer, or the node itself in a cluster of one; the node counts its connections."""
    status = commands.node_status(broker)
    connections = status["totals"]["connection_count"]
    if not peers:
        return {broker.host: bool(status["is_under_maintenance"])}, connections
    peer, marked = first_answer(peers, lambda p: commands.in_maintenance(p, broker.node))
    return {peer: marked}, connections


def _connections_on(node: str, connections: Iterable[Mapping[str, Json]]) -> int:
    """Count a node's connections but for closed ones, which stay in the list for up to 30 s."""
    return sum(
        1 for each in connections if each.get("node") == node and each.get("state") != "closed"
    )
