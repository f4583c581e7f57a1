"""Recorded brokers: answers of real 3.10 and 4.0 clusters, over HTTP and from the command line.

`recorded/<version>-<state>.json` holds, of three nodes with a few queues and one client that is slow to close its
connection: `http`, per host and path the status and the unchanged body (None: the listener was closed), and
`commands`, per command run on ctl2 its exit status, output and the first lines of its errors. Node ctl1 is healthy,
drained or stopped.
"""

from __future__ import annotations

import base64
import json
import shlex
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from holdfast.probes.base import CommandResult, ProbeContext
from tests.unit.probes.http_server import Received, closed_port, running_server

RECORDED = Path(__file__).parent / "recorded"
USER, PASSWORD = "monitor", "planted-management-password"
HOSTS = ("ctl1", "ctl2", "ctl3")
Routes = Mapping[str, tuple[int, str]]


def recorded(version: str, state: str) -> dict[str, Any]:
    """Return one recording."""
    found: dict[str, Any] = json.loads((RECORDED / f"{version}-{state}.json").read_text())
    return found


@contextmanager
def node(routes: Routes | None, hangs: threading.Event | None = None) -> Iterator[int]:
    """Serve one node behind a password and yield its port; without routes nothing listens there."""

    def answer(received: Received) -> tuple[int, bytes]:
        if hangs is not None:
            hangs.wait(30)
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if received.headers.get("Authorization") != expected:
            return 401, b'{"error":"not_authorized","reason":"Login failed"}'
        status, body = (routes or {}).get(received.path.removeprefix("/api/"), (404, "{}"))
        return status, body.encode()

    if routes is None and hangs is None:
        yield closed_port()
        return
    with running_server(answer) as port:
        try:
            yield port
        finally:
            if hangs is not None:
                hangs.set()


class RecordedShell:
    """The recorded output of the command-line tools on ctl2; ``commands`` keeps what was run."""

    def __init__(self, commands: Mapping[str, Sequence[Any]]) -> None:
        self._recorded = commands
        self.commands: list[str] = []

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Return the recorded result."""
        self.commands.append(shlex.join(argv))
        rc, stdout, stderr = self._recorded[shlex.join(argv)]
        return CommandResult(rc, stdout, stderr)


def context_of(ports: Mapping[str, int], shell: RecordedShell, **variables: object) -> ProbeContext:
    """Return the context of ctl2, with nodes on these ports; ``variables`` are the same for every host."""
    common = {
        "ansible_host": "127.0.0.1",
        "rabbitmq_management_user": USER,
        "rabbitmq_management_password": PASSWORD,
        **variables,
    }
    per_host = {host: {**common, "rabbitmq_management_port": port} for host, port in ports.items()}
    return ProbeContext("ctl2", {"rabbitmq": tuple(ports)}, per_host, shell)


@contextmanager
def cluster(
    version: str, state: str, **variables: object
) -> Iterator[tuple[ProbeContext, RecordedShell]]:
    """Serve the recorded cluster on loopback; yield the context of ctl2 and its shell."""
    found = recorded(version, state)
    shell = RecordedShell(found["commands"])
    with ExitStack() as stack:
        ports = {host: stack.enter_context(node(found["http"][host])) for host in HOSTS}
        yield context_of(ports, shell, **variables), shell
