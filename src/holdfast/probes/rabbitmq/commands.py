"""A client of a node through RabbitMQ's command-line tools on the task's host, for sites without the management plugin.

Each command starts an Erlang machine (about a second of CPU), so HTTP is asked instead wherever it can answer.
Every function raises CannotTell where the node is down or the tool cannot reach it. The task's host must run RabbitMQ
itself, and its user must be allowed to use the tools (become: root).
"""

from __future__ import annotations

import json

from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.probes.base import CommandResult, require_shape
from holdfast.probes.rabbitmq.answers import BY_COMMAND, CHECK
from holdfast.probes.rabbitmq.site import Broker

SECONDS = 10  # after which the tool itself gives up
CHECK_FAILED = 69  # exit status of a check that did not pass, and of a node that is down
PLACEMENT = ("name", "type", "leader", "members", "online")
MIRRORS = ("slave_pids", "synchronised_slave_pids")  # 3.x alone knows these columns
_NO_NODE = "unable to perform an operation on node"
_MAINTENANCE = "marked for maintenance"  # 3.10 wraps it in colour codes


def cluster_status(broker: Broker) -> Json:
    """Return the node's view of its cluster: ``disk_nodes``, ``running_nodes``, ``partitions``, ``alarms`` and more."""
    return _ctl(broker, "cluster_status")


def in_maintenance(broker: Broker, node: str) -> bool:
    """Return whether ``node`` is in maintenance mode, as the broker sees it."""
    return node in maintenance_in(cluster_status(broker))


def maintenance_in(status: Json) -> frozenset[str]:
    """Return the nodes that are in maintenance mode by this ``cluster_status``."""
    reported = status.get("maintenance_status", {})
    return frozenset(node for node, text in reported.items() if _MAINTENANCE in text)


def node_status(broker: Broker) -> Json:
    """Return the node's status: ``is_under_maintenance``, ``totals`` and more."""
    return _ctl(broker, "status")


def unit_start(broker: Broker) -> str:
    """Return the InvocationID that the node's own process has from systemd (systemd.exec(5)), "" without one."""
    return evaluate(broker, 'list_to_binary(os:getenv("INVOCATION_ID", "")).')


_NAMESPACE = (
    '{ok, Boot} = file:read_file("/proc/sys/kernel/random/boot_id"),'
    ' {ok, Space} = file:read_link("/proc/self/ns/pid"),'
    ' iolist_to_binary([string:trim(Boot), " ", Space]).'
)


def namespace(broker: Broker) -> str:
    """Return the boot of the kernel that the node runs on, and the namespace of its processes."""
    return evaluate(broker, _NAMESPACE)


def evaluate(broker: Broker, expression: str) -> str:
    """Return the text that an Erlang expression has as its value on the node; it must be a binary."""
    return str(_ctl(broker, "eval", expression)["value"])


def list_queues(broker: Broker, vhost: str, *columns: str) -> list[Json]:
    """Return the virtual host's queues."""
    found = _ctl(broker, "list_queues", "-p", vhost, *columns)
    return [{**queue, "vhost": vhost} for queue in found]


def list_vhosts(broker: Broker) -> list[str]:
    """Return the names of the virtual hosts."""
    return [vhost["name"] for vhost in _ctl(broker, "list_vhosts", "name")]


def check(broker: Broker, program: str, command: str, *arguments: str) -> tuple[bool, Json]:
    """Return whether a check of the tools passed, and its JSON (None where it prints only text).

    Raises:
        CannotTell: the check could not be made, or printed another shape than ``answers.CHECK``. A node that is
            down ends with the exit status of a check that did not pass, so the output tells them apart.
    """
    done = _run(broker, program, command, *arguments)
    if done.rc not in {0, CHECK_FAILED} or _NO_NODE in done.stderr:
        raise CannotTell(_cause(broker, f"{program} {command}", done))
    try:
        printed: Json = json.loads(done.stdout if done.rc == 0 else done.stderr)
    except ValueError:
        return done.rc == 0, None
    require_shape(printed, CHECK, f"{broker.node}: `{program} {command}` printed its answer")
    return done.rc == 0, printed


def _ctl(broker: Broker, command: str, *arguments: str) -> Json:
    done, what = _run(broker, "rabbitmqctl", command, *arguments), f"rabbitmqctl {command}"
    if done.rc != 0:
        raise CannotTell(_cause(broker, what, done))
    try:
        answer: Json = json.loads(done.stdout)
    except ValueError:
        raise CannotTell(f"{broker.node}: `{what}` printed invalid JSON") from None
    require_shape(answer, BY_COMMAND[command], f"{broker.node}: `{what}` printed its answer")
    return answer


def _run(broker: Broker, program: str, command: str, *arguments: str) -> CommandResult:
    common = ("--quiet", "-n", broker.node, "-t", str(SECONDS))
    return broker.shell.run([program, *common, command, "--formatter", "json", *arguments])


def _cause(broker: Broker, what: str, done: CommandResult) -> str:
    """Return the tool's first line of output; what follows is advice for a terminal."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    reason = lines[0] if lines else "no output"
    return f"{broker.node}: `{what}` ended with status {done.rc}: {reason}"
