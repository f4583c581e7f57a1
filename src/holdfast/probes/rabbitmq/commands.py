"""A client of a node through RabbitMQ's command-line tools on the task's host, for sites without the management plugin.

Each command starts an Erlang machine (about a second of CPU), so HTTP is asked instead wherever it can answer.
Every function raises CannotTell where the node is down or the tool cannot reach it. The task's host must run RabbitMQ
itself, and its user must be allowed to use the tools (become: root).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.base import CommandResult, Shell

SECONDS = 10  # after which the tool itself gives up
CHECK_FAILED = 69  # exit status of a check that did not pass, and of a node that is down
PLACEMENT = ("name", "type", "leader", "members", "online")
MIRRORS = ("slave_pids", "synchronised_slave_pids")  # 3.x alone knows these columns
_NO_NODE = "unable to perform an operation on node"
_MAINTENANCE = "marked for maintenance"  # 3.10 wraps it in colour codes


def cluster_status(shell: Shell, node: str) -> Json:
    """Return the node's view of its cluster: ``disk_nodes``, ``running_nodes``, ``partitions``, ``alarms`` and more."""
    return _json(shell, node, ["rabbitmqctl", "cluster_status"])


def maintenance(status: Json) -> dict[str, bool]:
    """Return, per node, whether it is in maintenance mode, from ``cluster_status``."""
    reported = status.get("maintenance_status", {})
    return {node: _MAINTENANCE in text for node, text in reported.items()}


def node_status(shell: Shell, node: str) -> Json:
    """Return the node's status: ``is_under_maintenance``, ``totals`` and more."""
    return _json(shell, node, ["rabbitmqctl", "status"])


def list_queues(shell: Shell, node: str, vhost: str, columns: Sequence[str]) -> list[Json]:
    """Return the virtual host's queues."""
    found: list[Json] = _json(shell, node, ["rabbitmqctl", "list_queues", "-p", vhost, *columns])
    return [{**queue, "vhost": vhost} for queue in found]


def list_vhosts(shell: Shell, node: str) -> list[str]:
    """Return the names of the virtual hosts."""
    return [vhost["name"] for vhost in _json(shell, node, ["rabbitmqctl", "list_vhosts", "name"])]


def check(shell: Shell, node: str, argv: Sequence[str]) -> tuple[bool, Json]:
    """Return whether a check of the tools passed, and its JSON (None where it prints only text).

    Raises:
        CannotTell: the check could not be made. A node that is down ends with the exit status of a check that
            did not pass, so the output tells them apart.
    """
    done = _run(shell, node, [*argv[:2], "--formatter", "json", *argv[2:]])
    if done.rc not in {0, CHECK_FAILED} or _NO_NODE in done.stderr:
        raise CannotTell(_cause(node, argv, done))
    try:
        return done.rc == 0, json.loads(done.stdout if done.rc == 0 else done.stderr)
    except ValueError:
        return done.rc == 0, None


def _json(shell: Shell, node: str, argv: Sequence[str]) -> Json:
    done = _run(shell, node, [*argv[:2], "--formatter", "json", *argv[2:]])
    if done.rc != 0:
        raise CannotTell(_cause(node, argv, done))
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise CannotTell(f"{node}: `{' '.join(argv[:2])}` printed invalid JSON") from None


def _run(shell: Shell, node: str, argv: Sequence[str]) -> CommandResult:
    program, command, *rest = argv
    return shell.run([program, "--quiet", "-n", node, "-t", str(SECONDS), command, *rest])


def _cause(node: str, argv: Sequence[str], done: CommandResult) -> str:
    """Return the tool's first line of output; what follows is advice for a terminal."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    reason = lines[0] if lines else "no output"
    return f"{node}: `{' '.join(argv[:2])}` ended with status {done.rc}: {reason}"
