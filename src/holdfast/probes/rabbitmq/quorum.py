"""Ask for all that decides whether a majority remains without one node."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from holdfast.model import Json
from holdfast.observations.rabbitmq import CriticalCheck, QuorumState
from holdfast.probes.base import ProbeContext, Shell
from holdfast.probes.rabbitmq import commands, management
from holdfast.probes.rabbitmq.cluster import probe_cluster
from holdfast.probes.rabbitmq.queues import probe_queues
from holdfast.probes.rabbitmq.site import (
    RabbitSite,
    expected,
    or_unanswered,
    site_of_member,
    sites_of,
)

CRITICAL = "health/checks/node-is-quorum-critical"


def probe_quorum(context: ProbeContext, host: str) -> QuorumState:
    """Return all that has to be known before a node may be stopped, asked at the same time.

    ``host``: whose node; "" for the task's host.

    Raises:
        InvalidInput: ``host`` is no broker of the inventory.
    """
    sites, host = sites_of(context), host or context.host
    site = site_of_member(sites, host)
    with ThreadPoolExecutor() as pool:
        cluster = pool.submit(probe_cluster, context)
        queues = pool.submit(or_unanswered, lambda: probe_queues(context))
        own_check = pool.submit(or_unanswered, lambda: _own_check(context.shell, host, site))
    return QuorumState(
        expected=expected(sites),
        host=host,
        cluster=cluster.result(),
        queues=queues.result(),
        own_check=own_check.result(),
    )


def _own_check(shell: Shell, host: str, site: RabbitSite) -> CriticalCheck:
    if site.rabbitmq_management_enabled:
        answer = management.ask_one(host, site, (CRITICAL,))[CRITICAL]
        return _critical_check(answer, answer.get("status") == "ok")
    argv = ["rabbitmq-queues", "check_if_node_is_quorum_critical"]
    passed, answer = commands.check(shell, site.node(host), argv)
    return _critical_check(answer or {}, passed)


def _critical_check(answer: Mapping[str, Json], passed: bool) -> CriticalCheck:
    if passed:
        return CriticalCheck(passed=True)
    names = [
        queue.get("readable_name") or queue.get("name") or "?"
        for queue in answer.get("queues") or ()
    ]
    reason = answer.get("reason") or answer.get("message") or "no reason given"
    return CriticalCheck(passed=False, critical=tuple(names or [reason]))
