"""Ask a node's peers whether it is in maintenance mode and which clients it still has."""

from __future__ import annotations

from functools import partial

from holdfast.model import Json, Unanswered
from holdfast.observations.rabbitmq import DrainState
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.management import NODES, client_count
from holdfast.probes.rabbitmq.site import Broker, broker_of, brokers_of

_Answer = tuple[bool, int]  # in maintenance, and how many clients it still has


def probe_drain(context: ProbeContext, host: str) -> DrainState:
    """Return the maintenance mode and the clients of a node in the view of every peer, and why a peer has none.

    A drained node's own API is off; in a cluster of one the node itself is asked, by command.

    ``host``: whose node; "" for the task's host.

    Raises:
        CannotTell: the node is alone and does not answer.
        InvalidInput: ``host`` is no broker of the inventory.
    """
    brokers = brokers_of(context)
    broker = broker_of(brokers, host or context.host)
    peers = {peer: each for peer, each in brokers.items() if each is not broker}
    if not peers:
        status = commands.node_status(broker)
        marked = bool(status["is_under_maintenance"])
        return _state(broker, {broker.host: (marked, status["totals"]["connection_count"])})
    return _state(broker, ask_all(peers, partial(or_unanswered, partial(_ask, broker))))


def _ask(broker: Broker, peer: Broker) -> _Answer:
    """Ask one peer; a command adds the maintenance mode where its API does not report it, as in 3.10."""
    if not peer.site.rabbitmq_management_enabled:
        connections = commands.node_status(broker)["totals"]["connection_count"]
        return commands.in_maintenance(peer, broker.node), connections
    nodes = management.ask(peer, NODES)[NODES]
    entry: Json = next((each for each in nodes if each["name"] == broker.node), {})
    reported = entry.get("being_drained")
    marked = commands.in_maintenance(peer, broker.node) if reported is None else bool(reported)
    return marked, client_count(management.connections_of(peer), broker.node)


def _state(broker: Broker, asked: dict[str, _Answer | Unanswered]) -> DrainState:
    found = {host: each for host, each in asked.items() if not isinstance(each, Unanswered)}
    silent = {host: each for host, each in asked.items() if isinstance(each, Unanswered)}
    return DrainState(
        host=broker.host,
        marked={host: marked for host, (marked, _) in found.items()},
        connections=max((count for _, count in found.values()), default=0),
        silent={host: each.cause for host, each in silent.items()},
        login_refused=any(each.login_refused for each in silent.values()),
    )
