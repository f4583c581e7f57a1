"""Three brokers without a lab: the tools, the units and the management API of a cluster, for the real playbook.

What is true of a node is in the files of its host's directory; the tools of every host act on the node that they are
called for, wherever it is. Every act is recorded by the tool that did it, and tests check that record.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.contract.local_site import PYTHON, SHELL, SYSTEMCTL, LocalSite
from tests.unit.probes.http_server import Received, running_server
from tests.unit.probes.rabbitmq.scripted_broker import running_broker

UNIT = "rabbitmq-server"
ANSWER_SECONDS = 2

# Every tool: `TOOL … -n rabbit@NODE … COMMAND …`, on the files of NODE.
TOOL = """\
#!/bin/sh
nodes={nodes} node= command= asked=
while [ $# -gt 0 ]; do
  case $1 in
    -n) node=${{2#rabbit@}}; shift ;;
    -t | --formatter) shift ;;
    -*) ;;
    *ra_metrics*) asked=members ;;
    *boot_id*) asked=namespace ;;
    *) [ -n "$command" ] || command=$1 ;;
  esac
  shift
done
cd "$nodes/$node" || exit 69
echo "$command" >> commands
fault=; [ ! -e "fault-$command" ] || read -r fault < "fault-$command"
fail() {{ echo "a part of it failed" >&2; exit 69; }}
case $command in
  status)
    drained=false; [ ! -e maintenance ] || drained=true
    printf '{{"is_under_maintenance": %s, "totals": {{"connection_count": 0}}}}\\n' "$drained" ;;
  eval)
    behind=0; [ ! -e fault-behind ] || behind=1
    members='{{\\"members\\": 1, \\"behind\\": '$behind', \\"tick\\": 1, \\"queues\\": []}}'
    space="$(cat {boot}) $(readlink /proc/self/ns/pid)"
    [ "$asked" != namespace ] || {{ printf '{{"value": "%s"}}\n' "$space"; exit 0; }}
    [ -z "$asked" ] || {{ printf '{{"value": "%s"}}\n' "$members"; exit 0; }}
    read -r starts < {unit}/starts || starts=1
    printf '{{"node": "rabbit@%s", "result": "ok", "value": "%s"}}\\n' "$node" "$node-$starts" ;;
  check_port_connectivity) [ ! -e closed ] || exit 69 ;;
  cluster_status)
    printf '{{"disk_nodes": [{members}], "running_nodes": [{members}], "partitions": {{}}, "alarms": [],'
    printf ' "versions": {{"rabbit@%s": {{"rabbitmq_version": "4.0.5"}}}}}}\\n' "$node" ;;
  drain | revive | rebalance)
    [ "$fault" != fails ] || fail
    echo "$command" >> record
    [ "$command" != drain ] || touch closed
    [ "$command $fault" = "drain unmarked" ] || [ "$command" != drain ] || touch maintenance
    [ "$command" != revive ] || rm -f maintenance closed
    [ "$fault" != late ] || fail ;;
esac
"""
# Leads into the only container of a host, where the tools are.
ENGINE = """\
#!/bin/sh
[ "$1 $2" = "exec mq" ] || {{ echo "Error: no such container $2" >&2; exit 125; }}
shift 2
echo "$*" >> {place}/inside/entered
PATH={place}/inside:$PATH exec "$@"
"""
PREFIX = ["engine", "exec", "mq"]
TOOLS = ("rabbitmqctl", "rabbitmq-upgrade", "rabbitmq-queues", "rabbitmq-diagnostics")


@dataclass(frozen=True)
class LocalBrokers(LocalSite):
    """An inventory of brokers; ``ports`` are those of each host's management API and AMQP listener."""

    ports: dict[str, tuple[int, int]]
    contained: bool = False

    @classmethod
    @contextmanager
    def running(cls, path: Path, *hosts: str, contained: bool = False) -> Iterator[LocalBrokers]:
        """Serve a new cluster until the end of the block; ``contained``: each node in a container of its host."""
        with ExitStack() as stack:
            ports: dict[str, tuple[int, int]] = {}
            site = cls(path, hosts, ports, contained)
            for host in hosts:
                site._make_host(host)
                api = stack.enter_context(running_server(partial(site.answer, host)))
                amqp = stack.enter_context(running_broker())
                ports[host] = api, amqp.port
            (path / "group_vars").mkdir()
            (path / "group_vars" / "all.yml").write_text("holdfast_site: contract\n")
            site.write()
            yield site

    def write(self, **exchanged: str) -> None:
        """Write the inventory; ``exchanged`` has, for a host, the one whose address it gets."""
        entries = {
            host: {
                **self._variables(exchanged.get(host, host)),
                "rabbitmq_node_name": f"rabbit@{host}",
            }
            for host in self.hosts
        }
        (self.path / "hosts.yml").write_text(json.dumps({"rabbitmq": {"hosts": entries}}))

    def record(self, host: str) -> list[str]:
        """Return what was done to the host's node and unit, oldest first."""
        record = self.place(host) / "record"
        return record.read_text().split() if record.exists() else []

    def commands(self, host: str) -> list[str]:
        """Return the commands that the tools were called with for the host's node, oldest first."""
        return (self.place(host) / "commands").read_text().split()

    def commands_before(self, act: str, host: str) -> set[str]:
        """Return those of before they did this."""
        given = self.commands(host)
        return set(given[: given.index(act)])

    def drained(self, host: str) -> bool:
        """Return whether the listeners of the host's node are closed."""
        return (self.place(host) / "closed").exists()

    def drain(self, host: str) -> None:
        """Drain the host's node, as a person does."""
        for mark in ("maintenance", "closed"):
            (self.place(host) / mark).touch()

    def break_act(self, host: str, act: str, how: str) -> None:
        """Make a command fail: ``fails`` without an effect, ``late`` after it.

        A drain that is ``unmarked`` succeeds, and the node is not reported to be in maintenance.
        """
        (self.place(host) / f"fault-{act}").write_text(f"{how}\n")

    def entered(self, host: str) -> list[str]:
        """Return the commands that were run in the host's container, oldest first."""
        return (self.place(host) / "inside/entered").read_text().splitlines()

    def remove_tool(self, host: str, tool: str) -> None:
        """Let the host not have it."""
        (self.place(host) / tool).unlink()

    def make_ill(self, host: str, how: str) -> None:
        """Make the host ``silent``, or raise an ``alarm`` on it, as soon as any node is drained.

        ``behind``: its members of quorum queues are.
        """
        (self.place(host) / f"fault-{how}").touch()

    def repair(self, host: str) -> None:
        """Undo the faults."""
        for fault in self.place(host).glob("fault-*"):
            fault.unlink()

    def answer(self, host: str, received: Received) -> tuple[int, bytes]:
        """Answer as the management API of the host's node."""
        if self.drained(host):
            return 502, b"closed"  # a drained node listens no more; either is no answer
        if self._is_ill(host, "silent"):
            threading.Event().wait(ANSWER_SECONDS * 1.5)
        path = received.path.removeprefix("/api/").partition("?")[0]
        kind = next((each for each in self._answers(host) if path.startswith(each)), None)
        return (
            (404, b"{}")
            if kind is None
            else (200, json.dumps(self._answers(host)[kind]()).encode())
        )

    def _is_marked(self, host: str) -> bool:
        return (self.place(host) / "maintenance").exists()

    def _is_ill(self, host: str, how: str) -> bool:
        ill = (self.place(host) / f"fault-{how}").exists()
        return ill and any(map(self.drained, self.hosts))

    def _answers(self, host: str) -> dict[str, Callable[[], object]]:
        nodes = [f"rabbit@{each}" for each in self.hosts]
        up = [f"rabbit@{each}" for each in self.hosts if not self.drained(each)]
        rates = {f"connection_{what}_details": {"rate": 0.0} for what in ("created", "closed")}
        return {
            "nodes": lambda: [
                {"name": f"rabbit@{each}", "running": True, "being_drained": self._is_marked(each), "partitions": []}
                for each in self.hosts
            ],
            "overview": lambda: {
                "node": f"rabbit@{host}",
                "rabbitmq_version": "4.0.5",
                "churn_rates": rates,
                "object_totals": {"connections": 0},
                "queue_totals": {"messages_ready": 0, "messages_unacknowledged": 0},
            },
            "health/checks/alarms": lambda: {"status": "failed" if self._is_ill(host, "alarm") else "ok"},
            "health": lambda: {"status": "ok"},
            "vhosts": lambda: [{"name": "/"}],
            "queues": lambda: [
                {"name": "orders", "vhost": "/", "type": "quorum", "leader": up[0], "members": nodes, "online": up}
            ],
            "connections": list,
        }  # fmt: skip

    def _make_host(self, host: str) -> None:
        place = self.place(host)
        (place / UNIT).mkdir(parents=True)
        # A boot ends a drain.
        shows = "ExecStart={{ argv[]=engine start -a mq ; }}\\n"
        restart = SYSTEMCTL.replace("LoadState=loaded", f"{shows}LoadState=loaded").replace(
            "starts=$((starts", "rm -f {place}/maintenance {place}/closed; starts=$((starts"
        )
        members = ", ".join(f'"rabbit@{each}"' for each in self.hosts)
        # Without those of this machine's own broker, if it has one.
        python = PYTHON.replace(":$PATH", ":/usr/bin:/bin")
        texts = {"systemctl": restart, "python": python, "sh": SHELL} | dict.fromkeys(TOOLS, TOOL)
        values = {
            "host": host,
            "place": place,
            "unit": UNIT,
            "nodes": place.parent,
            "boot": "/proc/sys/kernel/random/boot_id",
            "members": members,
        }
        if self.contained:
            (place / "inside").mkdir()
            texts = {
                (f"inside/{name}" if name in TOOLS else name): text for name, text in texts.items()
            } | {"engine": ENGINE}
        for name, text in texts.items():
            (place / name).write_text(text.format(python=sys.executable, **values))
            (place / name).chmod(0o755)

    def _variables(self, host: str) -> dict[str, object]:
        api, amqp = self.ports[host]
        return {
            **super()._variables(host),
            **({"rabbitmq_command_prefix": PREFIX} if self.contained else {}),
            "ansible_host": "127.0.0.1",
            "rabbitmq_management_port": api,
            "rabbitmq_management_user": "monitor",
            "rabbitmq_management_password": "planted",
            "rabbitmq_answer_seconds": ANSWER_SECONDS,
            "rabbitmq_amqp_port": amqp,
            "rabbitmq_probe_user": "probe",
            "rabbitmq_probe_password": "planted",
            "rabbitmq_drain_seconds": 5,
        }
