"""Ask each haproxy, through its stats socket on its host, which servers of the database's backend it uses."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from holdfast.errors import CannotTell, InvalidInput
from holdfast.observations.haproxy import HaproxyServer, HaproxyState, WriterViews
from holdfast.probes.base import (
    CommandPrefix,
    PrefixedShell,
    ProbeContext,
    Shell,
    SiteVariables,
    ask_all,
    or_unanswered,
)
from holdfast.probes.galera.nodes import probe_nodes
from holdfast.probes.galera.site import nodes_of

GROUP = "haproxy"
_LEVEL = (
    "admin"  # of the socket: with any other an act is refused, and the state is shown all the same
)
_RUNNING = 2  # srv_op_state of a server whose checks pass
# $1 is the socket, $2 what is sent. Which programs a host has differs. The answer is kept first: socat changes the
# settings of a terminal that it writes to, and is stopped where it runs in the background of one.
_SCRIPT = """[ -S "$1" ] || { echo "there is no socket $1" >&2; exit 2; }
if command -v socat > /dev/null; then
  answer=$(printf '%s\\n' "$2" | timeout 10 socat -t 10 - "UNIX-CONNECT:$1") || exit 4
elif command -v python3 > /dev/null; then
  answer=$(timeout 10 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\\n")
while data := s.recv(65536): sys.stdout.buffer.write(data)' "$1" "$2") || exit 4
else echo "it has neither socat nor python3, with which the socket is asked" >&2; exit 3
fi
printf '%s\\n' "$answer"
"""


class HaproxySite(SiteVariables):
    """One host's variables; their meaning is in roles/galera/meta/argument_specs.yml."""

    haproxy_socket: str = Field(default="/run/haproxy/admin.sock", pattern=r"^/[\w./-]+$")
    haproxy_command_prefix: CommandPrefix = ()
    haproxy_galera_backend: str = Field(default="galera", pattern=r"^[\w.:-]+$")


@dataclass(frozen=True, slots=True)
class Haproxy:
    """One haproxy of the inventory, over the shell of its host or of its container."""

    host: str
    site: HaproxySite
    shell: Shell

    @property
    def backend(self) -> str:
        """The backend of the database."""
        return self.site.haproxy_galera_backend

    def send(self, *commands: str) -> str:
        """Send commands to the socket at once, and return what was answered.

        Raises:
            CannotTell: the socket does not answer.
        """
        done = self.shell.run(
            ["sh", "-c", _SCRIPT, "sh", self.site.haproxy_socket, ";".join(commands)]
        )
        if done.rc != 0:
            # Where a task that becomes root has a terminal, what is printed as an error comes with all else.
            cause = done.stdout.strip() or done.stderr.strip() or f"exit status {done.rc}"
            raise CannotTell(f"{self.host}'s haproxy cannot be asked: {cause} (haproxy_socket)")
        return done.stdout

    def state(self) -> HaproxyState:
        """Return which servers the backend has and how they stand.

        Raises:
            CannotTell: the socket does not answer, not in the shape in which it is read, or would refuse an act.
        """
        told = self.send(
            "show cli level", f"show stat {self.backend} 4 -1", f"show servers state {self.backend}"
        )
        stats, states = _parts(self, told)
        if set(stats) != set(states) or not stats:
            raise CannotTell(
                f"{self.host}'s haproxy lists other servers of {self.backend!r} in `show stat`"
                " than in `show servers state`"
            )
        return HaproxyState(
            servers=tuple(_server(self, states[name], stats[name]) for name in stats),
        )


def haproxies_of(context: ProbeContext) -> dict[str, Haproxy]:
    """Return every haproxy by its host, in the inventory's order.

    Raises:
        InvalidInput: the inventory has none, or a host's variables are invalid.
    """
    found = {}
    for host in context.members(GROUP):
        site = context.site(host, HaproxySite)
        shell = context.reach(host)
        prefix = site.haproxy_command_prefix
        found[host] = Haproxy(host, site, PrefixedShell(shell, prefix) if prefix else shell)
    if not found:
        raise InvalidInput(
            "the inventory's group haproxy has no hosts, so it cannot be told who is the writer",
            remedy="add the group haproxy: the hosts whose haproxy leads to the database",
        )
    return found


def probe_writer(context: ProbeContext) -> WriterViews:
    """Return whom each haproxy gives new sessions to, and the connections that each node sees.

    Raises:
        InvalidInput: the inventory or the site's variables are incomplete.
    """
    haproxies, nodes = haproxies_of(context), nodes_of(context)
    accounts = (name for node in nodes.values() for name in node.site.galera_not_writers)
    backends = dict.fromkeys(each.backend for each in haproxies.values())
    return WriterViews(
        backend=", ".join(backends),
        servers={host: node.server for host, node in nodes.items()},
        haproxies=ask_all(haproxies, lambda each: or_unanswered(Haproxy.state, each)),
        nodes=probe_nodes(context),
        not_writers=tuple(dict.fromkeys(accounts)),
    )


_Rows = Mapping[str, Mapping[str, str]]


def _parts(haproxy: Haproxy, told: str) -> tuple[_Rows, _Rows]:
    """Return, by the servers' names, the rows of `show stat` and of `show servers state`."""
    found = re.fullmatch(
        r"(?P<level>\w+)\n+# (?P<stat>pxname,svname,.*?)\n+1\n# (?P<state>be_id .*)",
        told.strip(),
        re.DOTALL,
    )
    if not found:
        reasons = [
            line
            for line in told.splitlines()
            if line and not re.match(r"#|1$|(admin|operator|user)$", line)
        ]
        raise CannotTell(
            f"{haproxy.host}'s haproxy does not tell how its backend {haproxy.backend!r} stands"
            " (haproxy_galera_backend):"
            f" {reasons[-1][:120] if reasons else 'no answer'}"
        )
    if found["level"] != _LEVEL:
        raise CannotTell(
            f"{haproxy.host}'s haproxy lets its socket {haproxy.site.haproxy_socket} look and change nothing"
            f" (level {found['level']}); its configuration needs `level {_LEVEL}` there"
        )
    head, _, rows = found["stat"].partition("\n")
    stats = csv.DictReader(io.StringIO(rows), fieldnames=head.rstrip(",").split(","))
    columns, *lines = found["state"].splitlines()
    states = [dict(zip(columns.split(), line.split(" "), strict=False)) for line in lines if line]
    return (
        {row["svname"]: row for row in stats if row.get("svname")},
        {row["srv_name"]: row for row in states if "srv_name" in row},
    )


def _server(haproxy: Haproxy, state: Mapping[str, str], stat: Mapping[str, str]) -> HaproxyServer:
    try:
        return HaproxyServer(
            name=state["srv_name"],
            up=int(state["srv_op_state"]) == _RUNNING,
            admin=int(state["srv_admin_state"]),
            backup=stat["bck"] == "1",
            weight=int(state["srv_uweight"]),
            sessions=int(stat["scur"]),
            configured_weight=int(state["srv_iweight"]),
        )
    except (KeyError, ValueError) as error:
        raise CannotTell(
            f"{haproxy.host}'s haproxy describes server {state.get('srv_name')} in another shape than expected: {error}"
        ) from None
