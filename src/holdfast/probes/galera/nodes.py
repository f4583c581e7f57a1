"""Ask every node how it stands in the cluster, what it has counted and who is connected to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeVar

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.galera import (
    GaleraCounters,
    GaleraNode,
    GaleraViews,
    GroupRound,
    GroupRounds,
    ReturnForecast,
)
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.galera.client import Row, ask, session
from holdfast.probes.galera.site import DatabaseNode, Nodes, node_of, nodes_of

_STATUS = (
    "SHOW GLOBAL STATUS WHERE Variable_name LIKE 'wsrep\\_%' OR Variable_name = 'Innodb_deadlocks'"
)
_VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
    " ('wsrep_on', 'wsrep_desync', 'wsrep_node_name', 'wsrep_provider_options', 'read_only')"
)
# Sessions of the server itself and of replicas write nothing for a client, nor does one that has not logged in yet.
_CLIENTS = (
    "SELECT user, host FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
    " AND user NOT IN ('system user', 'event_scheduler', 'unauthenticated user') AND command NOT LIKE 'Binlog Dump%'"
)
# An account sees the tables alone that it may read, and with PROCESS the files of all.
_MEGABYTES = (
    "SELECT CEILING(SUM(file_size) / 1048576) FROM information_schema.innodb_sys_tablespaces"
    " WHERE name <> 'innodb_temporary'"
)
_WAIT_FOR_CLUSTER, _WAIT_FOR_NOTHING = (f"SET SESSION wsrep_sync_wait = {bit}" for bit in (1, 0))
_ROUND = "SELECT 'holdfast'"
_NEVER = 2**64 - 1  # wsrep_local_cached_downto of a node that has nothing to send
_INCOMING = "wsrep_incoming_addresses"
_SOCKET = (
    "localhost",
    "",
)  # a client over TCP of the same host is listed with its port: localhost:41000
ShapeT = TypeVar("ShapeT")


def probe_nodes(context: ProbeContext) -> GaleraViews:
    """Return every node's own report, or why there is none; all are asked at the same time.

    Raises:
        InvalidInput: the site's variables are incomplete, or two hosts are one listener.
    """
    nodes = nodes_of(context)
    reports = ask_all(nodes, lambda node: or_unanswered(_report, node))
    return GaleraViews(at=monotonic(), arbitrators=_arbitrators(nodes), nodes=reports)


def probe_rounds(context: ProbeContext) -> GroupRounds:
    """Return for every node how long the whole group took to acknowledge a message of it (docs/adr/0100).

    A read that waits for the cluster goes on when all members have acknowledged what the node has sent, which is at
    least a sign of life in a second (``evs.causal_keepalive_period``), and the node has applied what came before.

    Raises:
        InvalidInput: as ``probe_nodes``.
    """
    nodes = nodes_of(context)
    rounds = ask_all(nodes, lambda node: or_unanswered(_round, node))
    return GroupRounds(arbitrators=_arbitrators(nodes), nodes=rounds)


def _arbitrators(nodes: Nodes) -> int:
    return max((node.site.galera_arbitrators for node in nodes.values()), default=0)


def _round(node: DatabaseNode) -> GroupRound:
    with session(node) as connection:
        ask(node, connection, _WAIT_FOR_CLUSTER)
        began = monotonic()
        ask(node, connection, _ROUND)
        seconds = round(monotonic() - began, 3)
        ask(node, connection, _WAIT_FOR_NOTHING)
        status = _Values(node.host, _named(ask(node, connection, _STATUS)))
    return GroupRound(
        seconds=seconds,
        view=status.number("wsrep_cluster_conf_id"),
        size=status.number("wsrep_cluster_size"),
    )


def probe_return(context: ProbeContext, host: str) -> ReturnForecast:
    """Return every node's report, and how large the state is that one node would need.

    ``host``: whose node; "" for the task's host. The size is asked of that node; it is None where that was not told.

    Raises:
        InvalidInput: ``host`` is no node of the inventory.
    """
    node = node_of(nodes_of(context), host or context.host)
    size = or_unanswered(_megabytes, node)
    megabytes = None if isinstance(size, Unanswered) else size
    return ReturnForecast(host=node.host, views=probe_nodes(context), megabytes=megabytes)


def _megabytes(node: DatabaseNode) -> int | None:
    with session(node) as connection:
        [[found]] = ask(node, connection, _MEGABYTES)
    return None if found is None else int(found)


def _report(node: DatabaseNode) -> GaleraNode:
    began = monotonic()
    with session(node) as connection:
        status = _named(ask(node, connection, _STATUS))
        variables = _named(ask(node, connection, _VARIABLES))
        clients = ask(node, connection, _CLIENTS)
    if variables.get("wsrep_on") != "ON" or "wsrep_cluster_state_uuid" not in status:
        found = variables.get("wsrep_on") or "unknown"
        text = f"{node.host}'s MariaDB is no node of a Galera cluster: wsrep_on is {found}"
        raise CannotTell(text)
    took = round(monotonic() - began, 3)
    return _node(_Values(node.host, status), variables, _count(node, clients), took)


def _named(rows: list[Row]) -> dict[str, str]:
    return {str(row[0]): str(row[1]) for row in rows}


class _Values:
    """A node's status, each value read in its shape."""

    def __init__(self, host: str, values: Mapping[str, str]) -> None:
        self._host, self._values = host, values

    def text(self, name: str) -> str:
        return self._read(name, str)

    def number(self, name: str) -> int:
        return self._read(name, int)

    def _read(self, name: str, shape: Callable[[str], ShapeT]) -> ShapeT:
        try:
            return shape(self._values[name])
        except (KeyError, ValueError):
            reported = self._values.get(name)
            text = f"{self._host}'s MariaDB reports no usable {name}: {reported!r}"
            raise CannotTell(text) from None


def _node(
    status: _Values, variables: Mapping[str, str], clients: Mapping[str, int], took: float
) -> GaleraNode:
    cached = status.number("wsrep_local_cached_downto")
    options = variables.get("wsrep_provider_options", "")
    written = ("wsrep_replicated_bytes", "wsrep_received_bytes")
    return GaleraNode(
        name=variables.get("wsrep_node_name", ""),
        cluster=status.text("wsrep_cluster_state_uuid"),
        view=status.number("wsrep_cluster_conf_id"),
        size=status.number("wsrep_cluster_size"),
        status=status.text("wsrep_cluster_status"),
        connected=status.text("wsrep_connected") == "ON",
        ready=status.text("wsrep_ready") == "ON",
        state=status.number("wsrep_local_state"),
        state_name=status.text("wsrep_local_state_comment"),
        desync_count=status.number("wsrep_desync_count"),
        desynced=variables.get("wsrep_desync") == "ON",
        weight=_weight(options),
        addresses=tuple(status.text(_INCOMING).split(",")),
        committed=status.number("wsrep_last_committed"),
        cached_from=None if cached in (_NEVER, 0) else cached,
        cache_bytes=_cache_bytes(options),
        queue=status.number("wsrep_local_recv_queue"),
        read_only=variables.get("read_only") not in ("OFF", "0"),
        counters=GaleraCounters(
            start=status.text("wsrep_gcomm_uuid"),
            paused_ns=status.number("wsrep_flow_control_paused_ns"),
            failures=status.number("wsrep_local_cert_failures"),
            aborts=status.number("wsrep_local_bf_aborts"),
            deadlocks=status.number("Innodb_deadlocks"),
            written_bytes=sum(map(status.number, written)),
        ),
        clients=clients,
        took=took,
    )


def _weight(options: str) -> int:
    """Return the node's weight in the quorum; 1 unless the provider's options say otherwise."""
    found = re.search(r"(?:^|;)\s*pc\.weight\s*=\s*(\d+)", options)
    return int(found[1]) if found else 1


def _cache_bytes(options: str) -> int:
    """Return the size of the ring in which the node keeps what it could send to another, 0 where it is not told."""
    found = re.search(r"(?:^|;)\s*gcache\.size\s*=\s*(\d+)([KMGT]?)", options)
    return int(found[1]) << 10 * " KMGT".index(found[2] or " ") if found else 0


def _count(node: DatabaseNode, rows: list[Row]) -> dict[str, int]:
    """Return how many connections each account has from each address; gates and the node's own socket left out."""
    counted: Counter[str] = Counter()
    for user, host in rows:
        place = str(host or "")
        if user != node.site.galera_user and place not in _SOCKET:
            counted[f"{user}@{place.rpartition(':')[0] or place}"] += 1
    return dict(sorted(counted.items()))
