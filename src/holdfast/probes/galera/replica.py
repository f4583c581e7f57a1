"""Ask every asynchronous replica how far it is, and the nodes of the cluster what they have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from time import monotonic

from pymysql.connections import Connection
from pymysql.cursors import DictCursor
from pymysql.err import MySQLError

from holdfast.errors import CannotTell
from holdfast.model import Json, Unanswered
from holdfast.observations.replica import Position, ReplicaLink, ReplicaState, ReplicaStates
from holdfast.probes.base import ProbeContext, ask_all, or_unanswered
from holdfast.probes.galera.client import ask, refusal, session
from holdfast.probes.galera.site import REPLICAS, DatabaseNode, nodes_of

_SOURCE = "SELECT @@GLOBAL.server_id, @@GLOBAL.log_bin, @@GLOBAL.gtid_binlog_pos"
_LINKS = "SHOW ALL SLAVES STATUS"
_APPLIED = "SELECT @@GLOBAL.gtid_slave_pos"
_WAIT = "SELECT MASTER_GTID_WAIT('{}', {:g})"  # the position has digits, dashes and commas alone
_WAIT_SECONDS = 2.0  # less than what an answer may take, galera_answer_seconds

Sources = Mapping[str, tuple[int, Position] | Unanswered]
"""Per node of the cluster its server id and what it has."""


def probe_replicas(context: ProbeContext) -> ReplicaStates:
    """Return how far every replica is behind what the nodes of the cluster had a moment before.

    Raises:
        InvalidInput: the site's variables are incomplete, or two hosts are one listener.
    """
    replicas = nodes_of(context, REPLICAS)
    asked = monotonic()
    sources: Sources = ask_all(nodes_of(context), partial(or_unanswered, _source))
    return ask_all(replicas, partial(or_unanswered, partial(_replica, sources, asked)))


def _source(node: DatabaseNode) -> tuple[int, Position]:
    with session(node) as connection:
        [[server_id, has_log, position]] = ask(node, connection, _SOURCE)
    if not int(has_log) or not position:
        raise CannotTell(f"{node.host}'s MariaDB has no binary log that a replica could follow")
    return int(server_id), _position(node, position)


def _replica(sources: Sources, asked: float, node: DatabaseNode) -> ReplicaState:
    with session(node) as connection:
        links = tuple(_link(node, row) for row in _rows(node, connection))
        followed = _followed(sources, {link.source_id for link in links})
        for position in followed.values():
            if isinstance(position, Unanswered) or not all(_runs(link) for link in links):
                continue
            text = ",".join(f"{domain}-0-{number}" for domain, number in position.items())
            seconds = min(_WAIT_SECONDS, node.site.galera_answer_seconds / 2)
            ask(node, connection, _WAIT.format(text, seconds))
        [[applied]] = ask(node, connection, _APPLIED)
        return ReplicaState(links, followed, _position(node, applied), asked, monotonic())


def _runs(link: ReplicaLink) -> bool:
    return (link.receives, link.applies) == ("Yes", "Yes")


def _followed(sources: Sources, ids: set[int]) -> dict[str, Position | Unanswered]:
    """Return what the nodes with these server ids have; where several share one, that of each of them.

    One that does not answer may be it.
    """
    found: dict[str, Position | Unanswered] = {}
    for host, source in sources.items():
        if isinstance(source, Unanswered):
            found[host] = source
        elif source[0] in ids:
            found[host] = source[1]
    told = [host for host, each in found.items() if not isinstance(each, Unanswered)]
    known = {source[0] for source in sources.values() if not isinstance(source, Unanswered)}
    return {host: found[host] for host in told} if ids and ids <= known else found


def _rows(node: DatabaseNode, connection: Connection) -> list[Mapping[str, Json]]:
    try:
        with connection.cursor(DictCursor) as cursor:
            cursor.execute(_LINKS)
            return list(cursor.fetchall())
    except MySQLError as error:
        raise refusal(node, error, _LINKS) from None


def _link(node: DatabaseNode, row: Mapping[str, Json]) -> ReplicaLink:
    try:
        errors = [(row[f"Last_{part}_Errno"], row[f"Last_{part}_Error"]) for part in ("IO", "SQL")]
        return ReplicaLink(
            name=str(row["Connection_name"]),
            receives=str(row["Slave_IO_Running"]),
            applies=str(row["Slave_SQL_Running"]),
            errors=tuple(f"{text} ({number})" for number, text in errors if int(number)),
            source_id=int(row["Master_Server_Id"]),
            reported=str(row["Seconds_Behind_Master"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CannotTell(
            f"{node.host}'s MariaDB describes its replication in another shape than expected: {error}"
        ) from None


def _position(node: DatabaseNode, text: Json) -> Position:
    found = {}
    for each in filter(None, str(text or "").replace("\n", "").split(",")):
        parts = re.fullmatch(r"\s*(\d+)-\d+-(\d+)\s*", each)
        if not parts:
            raise CannotTell(f"{node.host}'s MariaDB tells a position that is no GTID: {each!r}")
        found[int(parts[1])] = int(parts[2])
    return found
