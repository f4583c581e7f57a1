"""How far a replica is behind, on two real servers of MariaDB of which one replicates from the other.

They are started as for the tests of the store (``make check-store``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection

from holdfast.claims import bind_claim
from holdfast.errors import CannotTell
from holdfast.model import Json, Unanswered, Verdict
from holdfast.observations.replica import ReplicaState
from holdfast.probes.base import ProbeContext
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.shells import NoShell
from tests.unit.store import servers

# Where MariaDB keeps what it has applied; a server without tables of users has no such schema.
SLAVE_POSITION = (
    "CREATE TABLE mysql.gtid_slave_pos (domain_id INT UNSIGNED NOT NULL, sub_id BIGINT UNSIGNED NOT NULL,"
    " server_id INT UNSIGNED NOT NULL, seq_no BIGINT UNSIGNED NOT NULL, PRIMARY KEY (domain_id, sub_id)) ENGINE=InnoDB"
)


@dataclass
class Pair:
    """A source and its replica, each by its port; ``readings`` are those of one gate."""

    source: int
    replica: int
    readings: list[Any]

    def on(self, port: int, *statements: str) -> None:
        with connected(port) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def asked(self, seconds: float = 1.0, **of_host: Json) -> Verdict:
        """Ask once more, as in the same gate, and return the verdict."""
        bound = bind_claim({"claim": "replica.caught_up", "seconds": seconds})
        try:
            self.readings.append(bound.probe(self.context(**of_host)))
        except CannotTell as cause:
            self.readings.append(Unanswered(str(cause)))
        return bound.judge(self.readings)

    def until(self, reason: str) -> Verdict:
        """Ask again and again, and return the first verdict with this reason."""
        for _ in range(200):
            if (verdict := self.asked()).reason == reason:
                return verdict
            threading.Event().wait(0.05)
        raise AssertionError(self.asked())

    def context(self, **of_host: Json) -> ProbeContext:
        common = {"galera_user": "holdfast", "galera_address": "127.0.0.1", **of_host}
        variables = {
            "db1": {**common, "galera_port": self.source},
            "rep1": {**common, "galera_port": self.replica},
        }
        groups = {"galera": ["db1"], "galera_replicas": ["rep1"]}
        return ProbeContext("rep1", groups, variables, NoShell())


def connected(port: int) -> Connection[Any]:
    return pymysql.connect(host="127.0.0.1", port=port, user="x", autocommit=True)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[int, int]]:
    """Start both, and let the one replicate from the other."""
    ports = closed_port(), closed_port()
    source, replica = (
        ("--bind-address=127.0.0.1", f"--port={port}", f"--server-id={number}", "--log-bin=b")
        for number, port in enumerate(ports, 1)
    )
    with servers.mariadb(*source), servers.mariadb(*replica):
        for port in ports:
            Pair(*ports, []).on(
                port, "SET sql_log_bin = 0", "CREATE DATABASE mysql", SLAVE_POSITION
            )
        with connected(ports[1]) as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE holdfast")
            cursor.execute(
                f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={ports[0]}, MASTER_USER='x',"
                " MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1"
            )
        yield ports


@pytest.fixture
def pair(running: tuple[int, int]) -> Iterator[Pair]:
    """Return both with replication that runs and has applied everything."""
    pair = Pair(*running, [])
    pair.on(pair.replica, "STOP SLAVE", "SET GLOBAL sql_slave_skip_counter = 0", "START SLAVE")
    pair.on(
        pair.source,
        "CREATE TABLE IF NOT EXISTS holdfast.t (a INT PRIMARY KEY)",
        "TRUNCATE holdfast.t",
    )
    pair.until("caught_up")
    pair.readings.clear()
    yield pair
    pair.on(pair.replica, "UNLOCK TABLES")


def test_a_replica_that_has_what_its_source_has_is_caught_up(pair: Pair) -> None:
    pair.on(pair.source, "INSERT INTO holdfast.t VALUES (1)")
    verdict = pair.asked()
    assert (verdict.outcome, verdict.reason) == ("PASS", "caught_up"), verdict
    [state] = pair.readings[0].values()
    assert isinstance(state, ReplicaState)
    assert state.source["db1"] == state.applied


def test_a_lag_is_told_by_what_the_source_had_and_is_over_when_that_is_applied(pair: Pair) -> None:
    """A session on the replica holds a row that the replication needs: the lag that no thread's state shows."""
    with connected(pair.replica) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES holdfast.t READ")
        pair.on(pair.source, "INSERT INTO holdfast.t VALUES (2)")
        first = pair.asked(seconds=5)
        assert (first.outcome, first.reason) == ("UNKNOWN", "too_few_samples"), first
        late = pair.asked(seconds=1)
        assert (late.outcome, late.reason) == ("FAIL", "behind"), late
        cursor.execute("UNLOCK TABLES")
    assert pair.asked(seconds=5).passed


def test_a_stopped_replica_never_passes_though_nothing_is_written(pair: Pair) -> None:
    """Seconds_Behind_Master is NULL here; 0 where only the receiving thread is stopped and all it has is applied."""
    pair.on(pair.replica, "STOP SLAVE IO_THREAD")
    received = pair.asked()
    assert (received.outcome, received.reason) == ("FAIL", "stopped"), received
    assert "does not receive from its source: its thread says No" in received.message
    pair.on(pair.replica, "START SLAVE IO_THREAD", "STOP SLAVE SQL_THREAD")
    assert "does not apply what it receives" in pair.asked().message


def test_an_error_of_the_replication_is_told(pair: Pair) -> None:
    pair.on(pair.replica, "INSERT INTO holdfast.t VALUES (3)")
    pair.on(pair.source, "INSERT INTO holdfast.t VALUES (3)")
    verdict = pair.until("stopped")
    assert "Duplicate entry '3'" in verdict.message
    assert verdict.message.endswith("(1062)")
    pair.on(pair.replica, "DELETE FROM holdfast.t WHERE a = 3")


def test_a_source_or_a_replica_that_is_silent_is_unknown(pair: Pair) -> None:
    reached = pair.replica
    pair.replica = closed_port()
    assert pair.asked().outcome == "UNKNOWN"
    pair.replica, kept = reached, pair.source
    pair.source = closed_port()
    verdict = pair.asked()
    pair.source = kept
    assert (verdict.outcome, verdict.reason) == ("UNKNOWN", "unanswered"), verdict
    assert "what the source of rep1 has is not known: db1's MariaDB" in verdict.message


def test_a_server_that_replicates_from_nobody_is_no_replica(pair: Pair) -> None:
    pair.source, pair.replica = pair.replica, pair.source
    try:
        assert "rep1 replicates from nobody" in pair.asked().message
    finally:
        pair.source, pair.replica = pair.replica, pair.source
