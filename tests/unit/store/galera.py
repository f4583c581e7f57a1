"""A throwaway Galera cluster of three servers of MariaDB, from Debian's packages (``servers-unpacked``).

Runs as an unprivileged user, in a directory of its own. Each node has a network of its own (user and network
namespaces), joined by a bridge, so that a node can be cut off from the others; clients come over Unix sockets, which
reach it all the same.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from holdfast.store.connection import make_engine
from tests.unit.store.servers import (
    START_SECONDS,
    as_user,
    connect_to,
    environment,
    execute,
    find,
    new_directory,
    unprivileged,
)

NODES = 3

PROVIDER = {
    "evs.keepalive_period": "PT0.3S",
    "evs.inactive_check_period": "PT0.3S",
    "evs.suspect_timeout": "PT2S",  # 5 s as delivered: how long the others wait for a node that is silent
    "evs.inactive_timeout": "PT4S",
    "evs.install_timeout": "PT4S",
    "gcache.size": "32M",
}


class Network:
    """A bridge between the networks of the nodes, each in namespaces that end with their process."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._kept: list[subprocess.Popen[str]] = []
        hub = "ip link add name hub type bridge; ip link set hub up"
        self._hub = self._keep(["unshare", "--user", "--map-root-user", "--net"], hub)

    def _keep(self, enter: Sequence[str], commands: str) -> int:
        """Start a process that keeps a network until its input ends; return its id."""
        process = subprocess.Popen(
            [*enter, "sh", "-euc", f"{commands}; echo made; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **as_user(self._user),
        )
        self._kept.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != "made\n":
            raise OSError(
                f"{enter[0]}: {process.communicate()[1].strip()}: the nodes of the Galera cluster need user "
                "and network namespaces (sysctl kernel.unprivileged_userns_clone=1; in a container, --privileged) "
                "and iproute2"
            )
        return process.pid

    def add(self, number: int) -> Sequence[str]:
        """Make the network of a node; return the beginning of commands that run in it."""
        pid = self._keep([*_enter(self._hub), "unshare", "--net"], "ip link set lo up")
        self._run(
            _enter(self._hub),
            f"ip link add name n{number} type veth peer name eth0 netns {pid}; ip link set n{number} master hub up",
        )
        self._run(_enter(pid), f"ip addr add {_address(number)}/24 dev eth0; ip link set eth0 up")
        return _enter(pid)

    def cut(self, number: int, *, off: bool) -> None:
        """Let no packet to or from the node pass, or let all pass again."""
        self._run(_enter(self._hub), f"ip link set n{number} {'down' if off else 'up'}")

    def _run(self, enter: Sequence[str], commands: str) -> None:
        subprocess.run([*enter, "sh", "-euc", commands], check=True, **as_user(self._user))

    def end(self) -> None:
        for process in self._kept:
            process.communicate()


def _enter(pid: int) -> list[str]:
    return ["nsenter", "--preserve-credentials", "--user", "--net", "--target", str(pid)]


def _address(number: int) -> str:
    return f"10.99.0.{number}"


class Node:
    """One server of the cluster; ``url`` is that of the state through it."""

    def __init__(self, number: int, directory: Path, network: Network, user: str) -> None:
        self.number, self._directory, self._network, self._user = number, directory, network, user
        self._program = find("usr/sbin/mariadbd", reachable_from=directory)
        self._provider = find("usr/lib/galera/libgalera_smm.so", reachable_from=directory)
        self._enter = network.add(number)
        self._data = directory / f"data{number}"
        self._socket = directory / f"s{number}"
        self.log = directory / f"log{number}"
        server = f"mysql+pymysql://root@localhost/{{}}?unix_socket={self._socket}"
        self.url, self._no_database = server.format("holdfast"), server.format("")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start the server; it answers some time later (``is_synced``)."""
        with self.log.open("a") as output:
            self._process = subprocess.Popen(
                [*self._command, *options],
                env=self._environment,
                cwd=self._directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                **as_user(self._user),
            )

    @property
    def _environment(self) -> dict[str, str]:
        own = environment(self._directory)
        return own | {"PATH": f"{self._directory}:/usr/sbin:{own['PATH']}"}

    @property
    def _command(self) -> list[str]:
        usr, own = self._program.parents[1], _address(self.number)
        provider = PROVIDER | {
            "gmcast.listen_addr": f"tcp://{own}:4567",
            "ist.recv_addr": f"{own}:4568",
        }
        return [
            *self._enter,
            *(
                "setpriv",
                "--pdeathsig",
                "KILL",
            ),  # it ends with the tests, also where these are killed
            str(self._program),
            "--no-defaults",
            "--user=root",  # of its namespace: outside it is the unprivileged user
            "--skip-grant-tables",
            "--skip-networking",
            f"--basedir={usr}",
            f"--lc-messages-dir={usr / 'share/mysql'}",
            f"--character-sets-dir={usr / 'share/mysql/charsets'}",
            f"--datadir={self._data}",
            f"--socket={self._socket}",
            f"--pid-file={self._directory / f'pid{self.number}'}",
            "--binlog-format=ROW",
            "--default-storage-engine=InnoDB",
            "--innodb-autoinc-lock-mode=2",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
            "--wsrep-on=ON",
            f"--wsrep-provider={self._provider}",
            "--wsrep-cluster-name=holdfast",
            f"--wsrep-cluster-address=gcomm://{','.join(map(_address, range(1, NODES + 1)))}",
            f"--wsrep-node-name=node{self.number}",
            f"--wsrep-node-address={own}",
            "--wsrep-sst-method=ist",
            f"--wsrep-provider-options={';'.join(f'{key}={value}' for key, value in provider.items())}",
        ]

    def restart(self) -> None:
        """Start the server after its death, from what it had written; the others send it the rest."""
        found = subprocess.run(
            [*self._command, "--wsrep-recover"],
            env=self._environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
            **as_user(self._user),
        )
        position = re.search(r"Recovered position: (\S+)", found.stdout + found.stderr)
        assert position, found.stderr
        self.start(f"--wsrep-start-position={position[1]}")

    def status(self) -> dict[str, str]:
        """Return what the node says of itself and of the cluster.

        Raises:
            sqlalchemy.exc.OperationalError: it says nothing.
        """
        with make_engine(self._no_database, seconds=2).connect() as connection:
            return {
                str(name): str(value)
                for name, value in connection.execute(text("SHOW STATUS LIKE 'wsrep_%'"))
            }

    def is_synced(self, size: int = NODES) -> bool:
        """Return whether it is a member of a cluster of so many nodes, and has all that these have written."""
        assert self._process is None or self._process.poll() is None, self.log.read_text()[-4000:]
        try:
            connect_to(self._socket)
            told = self.status()
        except (OSError, OperationalError):
            return False
        return (
            told.get("wsrep_cluster_status") == "Primary"
            and told.get("wsrep_local_state_comment") == "Synced"
            and told.get("wsrep_cluster_size") == str(size)
        )

    def await_cluster(self, size: int = NODES) -> None:
        """Return as soon as it is a member of a cluster of so many.

        Raises:
            TimeoutError: it did not become one; the error has the end of its log.
        """
        until = time.monotonic() + START_SECONDS
        while not self.is_synced(size):
            if time.monotonic() > until:
                raise TimeoutError(
                    f"node {self.number} is not in a cluster of {size}: {self.log.read_text()[-4000:]}"
                )
            threading.Event().wait(0.1)

    def make_data(self) -> None:
        (self._data / "mysql").mkdir(parents=True)  # for the cluster's own tables
        self._own()

    def copy_data(self, other: Node) -> None:
        """Begin with what the other node, which was stopped, has written."""
        shutil.copytree(other._data, self._data, ignore=shutil.ignore_patterns("galera.cache"))
        self._own()

    def _own(self) -> None:
        subprocess.run(["chown", "--recursive", self._user, self._data], check=True)

    def create_database(self) -> None:
        execute(self._no_database, "CREATE DATABASE holdfast")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the server at once, as a loss of power does."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """End the server as its service does; it is the last of its cluster and may begin a new one."""
        self._signal(signal.SIGTERM)
        assert self._process is not None
        self._process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def cut_off(self) -> None:
        self._network.cut(self.number, off=True)

    def join_again(self) -> None:
        self._network.cut(self.number, off=False)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()  # nothing in it is kept
            self._process.wait()


@contextmanager
def galera() -> Iterator[Sequence[Node]]:
    """Yield the nodes of a cluster with an empty database."""
    user = unprivileged()
    with new_directory(user) as directory:
        shutil.copy(Path(__file__).with_name("wsrep_sst_ist"), directory)
        network = Network(user)
        nodes: list[Node] = []
        try:
            nodes += [Node(number, directory, network, user) for number in range(1, NODES + 1)]
            _begin(nodes)
            yield nodes
        finally:
            for node in nodes:
                node.end()
            network.end()


def _begin(nodes: Sequence[Node]) -> None:
    """Start all nodes from copies of the first one's data: they need no more than what is written from then on."""
    first, *others = nodes
    first.make_data()
    first.start("--wsrep-new-cluster")
    first.await_cluster(1)
    first.create_database()
    first.stop()
    for node in others:
        node.copy_data(first)
    first.start("--wsrep-new-cluster")
    first.await_cluster(1)
    for node in others:
        node.start()
    for node in reversed(nodes):
        node.await_cluster()
