"""What is wrong before a rolling restart of Galera, on a real cluster of one node: what is seen, and the verdict.

Each is what roles/galera asks in preflight; by a run on the lab: `make bad-input`.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.err import OperationalError

from holdfast.claims import bind_claim
from holdfast.errors import CannotTell
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.haproxy import HaproxyServer, HaproxyState, WriterViews
from holdfast.probes.base import ProbeContext
from holdfast.probes.galera.nodes import probe_nodes
from tests.mariadb.conftest import NASTY, Database, database
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.shells import NoShell
from tests.unit.store.servers import environment, find

TOO_MANY = 1040
MOST = 10  # the least that max_connections may be
SECONDS = 30


@dataclass(frozen=True)
class Cluster:
    """One node of Galera, and a server beside it that is none."""

    node: Database
    port: int
    group_port: int
    stranger: int

    def judged(
        self, claim: str, *, password: str = NASTY, stranger: bool = False, arbitrators: int = 0
    ) -> Verdict:
        """Return the verdict of a claim of one reading, as a site with these hosts asks it."""
        bound = bind_claim(claim)
        context = self.context(password, stranger=stranger, arbitrators=arbitrators)
        try:
            return bound.judge([bound.probe(context)])
        except CannotTell as cause:
            return bound.judge([Unanswered(str(cause))])

    def context(
        self, password: str = NASTY, *, stranger: bool = False, arbitrators: int = 0
    ) -> ProbeContext:
        common: dict[str, Json] = {
            "galera_user": "holdfast",
            "galera_password": password,
            "galera_address": "127.0.0.1",
            "galera_arbitrators": arbitrators,
            "galera_answer_seconds": 2,
        }
        hosts = {"db1": self.port} | ({"db2": self.stranger} if stranger else {})
        variables = {host: {**common, "galera_port": port} for host, port in hosts.items()}
        return ProbeContext("db1", {"galera": [*hosts]}, variables, NoShell())

    def status(self, name: str) -> str:
        [line] = self.node.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")
        return line.split("\t")[1]

    def until(self, name: str, wanted: str) -> None:
        """Wait until the node's status is so."""
        for _ in range(SECONDS * 10):
            if self.status(name) == wanted:
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"{name} is {self.status(name)}")

    def connect(self) -> Connection[Any]:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="nova", password=NASTY.encode()
        )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    port, group_port, stranger = closed_port(), closed_port(), closed_port()
    galera = (
        "--wsrep-on=ON",
        f"--wsrep-provider={find('usr/lib/galera/libgalera_smm.so')}",
        "--wsrep-cluster-name=holdfast",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-new-cluster",
        "--wsrep-node-address=127.0.0.1",
        f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{group_port};gcache.size=32M;pc.weight=3",
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
    )
    with (
        database(port=port, running=galera) as node,
        database(port=stranger) as other,
    ):
        quoted = NASTY.replace("\\", "\\\\").replace("'", "''")
        for each in (node, other):
            each.sql(
                f"CREATE USER holdfast IDENTIFIED BY '{quoted}'; GRANT PROCESS ON *.* TO holdfast"
            )
        found = Cluster(node, port, group_port, stranger)
        found.until("wsrep_local_state_comment", "Synced")
        yield found


def test_a_cluster_that_is_well_passes(cluster: Cluster) -> None:
    for claim in ("galera.nodes_synced", "galera.members_agree", "galera.members_answer"):
        verdict = cluster.judged(claim)
        assert verdict.passed, verdict


def test_a_wrong_password_is_told_and_never_shown(cluster: Cluster) -> None:
    verdict = cluster.judged("galera.nodes_synced", password="wr0ng")  # noqa: S106 - of nobody
    assert verdict.outcome is Outcome.UNKNOWN
    assert "the account or its password is wrong" in verdict.message
    assert "wr0ng" not in str(verdict)


def test_a_node_without_a_free_connection_gives_no_answer(cluster: Cluster) -> None:
    [most] = cluster.node.sql("SELECT @@max_connections")
    with ExitStack() as sessions:
        cluster.node.sql(f"SET GLOBAL max_connections = {MOST}")
        sessions.callback(cluster.node.sql, f"SET GLOBAL max_connections = {most}")
        for _ in range(MOST):
            sessions.callback(cluster.connect().close)
        with pytest.raises(OperationalError, match=str(TOO_MANY)):
            cluster.connect()
        verdict = cluster.judged("galera.nodes_synced")
    assert verdict.outcome is Outcome.UNKNOWN
    assert "all connections are taken (max_connections)" in verdict.message


def test_a_writer_that_is_read_only_is_none(cluster: Cluster) -> None:
    server = HaproxyServer(name="db1", up=True, admin=0, backup=False, weight=1, sessions=1)

    def writer() -> Verdict:
        views = WriterViews(
            backend="galera",
            servers={"db1": "db1"},
            haproxies={"lb1": HaproxyState(servers=(server,))},
            nodes=probe_nodes(cluster.context()),
            not_writers=(),
        )
        return bind_claim("haproxy.one_writer").judge([views])

    assert writer().passed
    cluster.node.sql("SET GLOBAL read_only = ON")
    try:
        verdict = writer()
    finally:
        cluster.node.sql("SET GLOBAL read_only = OFF")
    assert not verdict.passed
    assert "db1 is read-only (read_only)" in verdict.message


def test_a_node_desynced_on_purpose_is_left_alone(cluster: Cluster) -> None:
    cluster.node.sql("SET GLOBAL wsrep_desync = ON")
    try:
        verdict = cluster.judged("galera.nodes_synced")
    finally:
        cluster.node.sql("SET GLOBAL wsrep_desync = OFF")
        cluster.until("wsrep_local_state_comment", "Synced")
    assert not verdict.passed
    assert "db1 was desynced on purpose, as for a backup" in verdict.message


def test_a_host_of_the_inventory_that_is_in_no_cluster(cluster: Cluster) -> None:
    for claim, says in (
        ("galera.nodes_synced", "db2's MariaDB is no node of a Galera cluster: wsrep_on is OFF"),
        ("galera.members_agree", "db1 sees 1 members, expected are 2"),
    ):
        verdict = cluster.judged(claim, stranger=True)
        assert not verdict.passed
        assert says in verdict.message


@contextmanager
def arbitrator(cluster: Cluster, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run an arbitrator, a second member of the cluster."""
    group = ["--group=holdfast", f"--address=gcomm://127.0.0.1:{cluster.group_port}"]
    garbd = subprocess.Popen(
        [
            find("usr/bin/garbd"),
            *group,
            f"--options=gmcast.listen_addr=tcp://127.0.0.1:{closed_port()}",
        ],
        env=environment(cluster.node.directory),
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        cluster.until("wsrep_cluster_size", "2")
        yield garbd
    finally:
        garbd.kill()  # one that was stopped does not end; the node has the majority alone
        garbd.wait()
        cluster.until("wsrep_cluster_size", "1")


def test_an_arbitrator_that_nobody_told_of(cluster: Cluster, tmp_path: Path) -> None:
    with arbitrator(cluster, tmp_path):
        verdict = cluster.judged("galera.members_agree")
    assert not verdict.passed
    assert "as an arbitrator (garbd): galera_arbitrators" in verdict.message


def test_a_member_that_is_still_listed_and_does_not_answer(
    cluster: Cluster, tmp_path: Path
) -> None:
    """As one that was cut off a moment ago: the others drop it after five seconds, and miss it after one."""
    with arbitrator(cluster, tmp_path) as garbd:
        before = cluster.judged("galera.members_answer", arbitrators=1)
        garbd.send_signal(signal.SIGSTOP)
        threading.Event().wait(1.5)  # evs.causal_keepalive_period is 1 s
        listed = cluster.judged("galera.members_agree", arbitrators=1)
        answers = cluster.judged("galera.members_answer", arbitrators=1)
        garbd.send_signal(signal.SIGCONT)
    assert before.passed, before
    assert listed.passed, listed
    assert not answers.passed, answers
