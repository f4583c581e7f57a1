"""The writes: writes to the database through every load balancer, all the time; writes JSON lines, and a summary.

    python -m tests.lab.instruments.writes [--out FILE] [--summary FILE]      until SIGTERM or Ctrl-C
    python -m tests.lab.instruments.writes summary FILE

One client writes through each load balancer, one transaction after the other: a numbered row, and a counter that all of
them raise, so that two writers would meet. At the end every node is read by itself: an acknowledged row that one
of them lacks is lost, and rows that differ between nodes are a divergence. So are those of an asynchronous replica,
once it has what a node has.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import pymysql
from pymysql.connections import Connection
from pymysql.err import MySQLError

from tests.lab.instruments.program import Instrument
from tests.lab.instruments.records import Record, Recorder
from tests.lab.instruments.site import Secret, SiteError, read_values
from tests.lab.instruments.writes_summary import summarise

PAUSE = 0.02  # seconds between two transactions of a client
ANSWER = 10.0  # seconds that a transaction may take
AGAIN = 0.05  # seconds until a client that lost its connection tries again
VARIABLES = ("ansible_host", "lab_haproxy_port", "lab_galera_traffic_password")
USER = DATABASE = "traffic"
TABLES = (
    "CREATE TABLE IF NOT EXISTS written (client VARCHAR(9), number INT, node VARCHAR(9), PRIMARY KEY (client, number))",
    "CREATE TABLE IF NOT EXISTS counter (id INT PRIMARY KEY, value INT NOT NULL)",
    "TRUNCATE written",
    "REPLACE INTO counter VALUES (1, 0)",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where SQL is spoken."""

    name: str
    address: str
    port: int
    password: Secret

    def connect(self) -> Connection[Any]:
        """Open a connection; raises OSError or MySQLError."""
        return pymysql.connect(
            host=self.address,
            port=self.port,
            user=USER,
            password=self.password.value,
            database=DATABASE,
            connect_timeout=3,
            read_timeout=ANSWER,
            write_timeout=ANSWER,
        )


def places(inventory: str) -> Mapping[str, Sequence[Place]]:
    """Return the lab's load balancers, nodes and replicas, by group.

    Raises:
        SiteError: Ansible refused the inventory, or it has none.
    """
    found: dict[str, list[Place]] = {"haproxy": [], "galera": [], "galera_replicas": []}
    answers = read_values(inventory, VARIABLES)
    password = next(
        (
            each["lab_galera_traffic_password"]
            for each in answers.values()
            if each["lab_galera_traffic_password"]
        ),
        "",
    )
    for name, values in answers.items():
        for group in found.keys() & set(values["group_names"]):
            port = values["lab_haproxy_port"] if group == "haproxy" else 3306
            found[group].append(Place(name, values["ansible_host"], int(port), Secret(password)))
    if not found["haproxy"] or not found["galera"]:
        raise SiteError(
            f"{inventory}: the groups galera and haproxy have no hosts; LAB_PROFILE=data has"
        )
    return found


class Client(threading.Thread):
    """Writes through one load balancer until it is stopped; a transaction that failed is not repeated."""

    def __init__(self, place: Place, recorder: Recorder, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._place, self._recorder, self._stopped = place, recorder, stop
        self._number = 0

    def run(self) -> None:
        """Connect, and write until the connection is lost; then again."""
        while not self._stopped.is_set():
            try:
                with self._place.connect() as connection:
                    self._write_on(connection)
            except (MySQLError, OSError) as error:
                self._recorder.event(
                    what="connect", ok=False, via=self._place.name, detail=_code(error)
                )
                self._stopped.wait(AGAIN)

    def _write_on(self, connection: Connection[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@wsrep_node_name")
            [node] = cursor.fetchone() or [""]
            while not self._stopped.is_set():
                self._number += 1
                began = self._recorder.now()
                try:
                    cursor.execute(
                        "INSERT INTO written VALUES (%s, %s, %s)",
                        (self._place.name, self._number, node),
                    )
                    cursor.execute("UPDATE counter SET value = value + 1 WHERE id = 1")
                    connection.commit()
                except MySQLError as error:
                    self._record(node, began, _code(error))
                    if _code(error) not in {1213, 1205}:
                        raise
                    connection.rollback()
                else:
                    self._record(node, began)
                self._stopped.wait(PAUSE)

    def _record(self, node: str, began: float, detail: int | None = None) -> None:
        self._recorder.event(
            what="write",
            ok=detail is None,
            via=self._place.name,
            number=self._number,
            node=node,
            began=began,
            detail=detail,
        )


def _code(error: Exception) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def read_node(place: Place, position: str = "") -> Record:
    """Return what one node has, its rows and the counter, after it has applied all that was written before.

    A replica has applied what comes before ``position``, or could not for so long as an answer may take.
    """
    with place.connect() as connection, connection.cursor() as cursor:
        if position:
            cursor.execute("SELECT MASTER_GTID_WAIT(%s, %s)", (position, ANSWER - 1))
        else:
            cursor.execute("SET SESSION wsrep_sync_wait = 15")
        cursor.execute("SELECT client, number FROM written ORDER BY client, number")
        rows = [f"{client} {number}" for client, number in cursor.fetchall()]
        cursor.execute("SELECT value FROM counter")
        [value] = cursor.fetchone() or [None]
    return {"rows": rows, "counter": value}


def run(arguments: argparse.Namespace, stream: TextIO, stop: threading.Event) -> None:
    """Write until ``stop`` is set, then read every node."""
    found = places(arguments.inventory)
    balancers = found["haproxy"]
    with balancers[0].connect() as connection, connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
        connection.commit()
    recorder = Recorder(stream, "writes", {"via": [each.name for each in balancers]})
    _write(recorder, found, stop)


def _write(recorder: Recorder, found: Mapping[str, Sequence[Place]], stop: threading.Event) -> None:
    """Write through every load balancer until `stop` is set, then record what each node and replica has."""
    clients = [Client(each, recorder, stop) for each in found["haproxy"]]
    for client in clients:
        client.start()
    stop.wait()
    for client in clients:
        client.join()
    for node in found["galera"]:
        recorder.event(what="node", ok=True, node=node.name, detail=_read_patiently(node))
    for replica in found["galera_replicas"]:
        seen = _read_patiently(replica, _position(found["galera"][-1]))
        recorder.event(what="replica", ok=True, node=replica.name, detail=seen)


def _position(place: Place) -> str:
    """Return up to where one node's binary log goes."""
    with place.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.gtid_binlog_pos")
        [position] = cursor.fetchone() or [""]
    return str(position)


def _read_patiently(node: Place, position: str = "") -> Record:
    """Return what a node has; for a minute again where it does not answer, as after a restart."""
    until, tick = time.monotonic() + 60, threading.Event()
    while True:
        try:
            return read_node(node, position)
        except (MySQLError, OSError):
            if time.monotonic() > until:
                raise
            tick.wait(1)


WRITES = Instrument(
    name="writes",
    description="Write to the lab's database through its load balancers until SIGTERM or Ctrl-C.",
    epilog="`writes summary FILE` prints the lost rows and the gaps of a record.",
    summarise=summarise,
    measure=run,
    errors=(SiteError, OSError, ValueError, MySQLError),
)


if __name__ == "__main__":
    sys.exit(WRITES.main(sys.argv[1:]))
