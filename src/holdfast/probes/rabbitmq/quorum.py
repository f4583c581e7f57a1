"""Ask for all that decides whether a majority remains without one node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from holdfast.model import Json
from holdfast.observations.rabbitmq import QuorumState
from holdfast.probes.base import ProbeContext, or_unanswered
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.cluster import probe_cluster
from holdfast.probes.rabbitmq.queues import probe_queues
from holdfast.probes.rabbitmq.site import Broker, broker_of, brokers_of

CRITICAL = "health/checks/node-is-quorum-critical"


def probe_quorum(context: ProbeContext, host: str, drained: bool = False) -> QuorumState:
    """Return all that has to be known before a node may be stopped, asked at the same time.

    ``host``: whose node; "" for the task's host. ``drained``: it is in maintenance, so a command asks it instead of its
    API, and the broker's own check, which always passes then, is not made.

    Raises:
        InvalidInput: ``host`` is no broker of the inventory.
    """
    broker = broker_of(brokers_of(context), host or context.host)
    with ThreadPoolExecutor() as pool:
        cluster = pool.submit(probe_cluster, context, broker.host if drained else "")
        queues = pool.submit(or_unanswered, probe_queues, context)
        critical = None if drained else pool.submit(or_unanswered, _critical, broker)
    return QuorumState(
        host=broker.host,
        cluster=cluster.result(),
        queues=queues.result(),
        critical=critical.result() if critical else (),
    )


def _critical(broker: Broker) -> tuple[str, ...]:
    """Return what the broker's own check would lose with the node; nothing where the check passes."""
    if broker.site.rabbitmq_management_enabled:
        answer: Json = management.ask(broker, CRITICAL)[CRITICAL]
        passed = answer.get("status") == "ok"
    else:
        command = "check_if_node_is_quorum_critical"
        passed, answer = commands.check(broker, "rabbitmq-queues", command)
    if passed:
        return ()
    answer = answer or {}
    names = [
        queue.get("readable_name") or queue.get("name") or "?"
        for queue in answer.get("queues") or ()
    ]
    reason = answer.get("reason") or answer.get("message") or "no reason given"
    return tuple(names or [reason])
