"""Ask hosts about a service's processes: their state, their connections to the brokers, what they log lately.

It tells apart what looks the same from outside: a service that is stopped, masked, frozen, cut off or refused
answers no call in each case. Everything is read, and no secret leaves the host.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from ipaddress import IPv6Address, ip_address

from holdfast.errors import CannotTell
from holdfast.observations.processes import (
    Complaint,
    Login,
    Peer,
    ServiceProcess,
    ServiceProcesses,
)
from holdfast.observations.systemd import UnitState
from holdfast.probes.base import (
    ProbeContext,
    Shell,
    SiteVariables,
    ask_all,
    first_address,
    or_unanswered,
)
from holdfast.probes.systemd import STATE, seconds_between

_SINCE, _STOPPED = "ActiveEnterTimestamp", "InactiveEnterTimestamp"
_RUNS = frozenset({"active", "reloading", "refreshing"})
_MORE = ("NRestarts", "UnitFileState", "FreezerState", "ExecMainStatus", _SINCE, _STOPPED)

# What is run where the processes are: on the host, or behind the words that lead into the unit's container. $1 is where
# processes are listed, $2 the salt of the digests, $3 configuration files where the process names none; then the
# processes, in a container all of them. A process's own connections are found by the inodes of its sockets. Of the
# transport URL nothing leaves the host but digests: what stands where a host is expected may be a piece of a password.
# "told" is the last line: without it, what is missing was not looked at.
_INSIDE = r"""
set -uf
proc=$1 salt=$2 files=$3; shift 3
if [ $# = 0 ]; then set +f; for each in "$proc"/[0-9]*; do set -- "$@" "${each##*/}"; done; set -f; fi
inodes= first=
for pid in "$@"; do
  line=$(cat "$proc/$pid/stat" 2>/dev/null) || continue
  state=${line##*) }
  echo "process $pid ${state%% *}"
  [ -n "$first" ] || first=$pid
  inodes="$inodes $(ls -l "$proc/$pid/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\].*/\1/p' | tr '\n' ' ')"
done
if [ -n "$first" ]; then
  named=$(tr '\0' '\n' 2>/dev/null < "$proc/$first/cmdline" | awk '
    wanted { print; wanted = 0; next }
    $0 == "--config-file" { wanted = 1; next }
    index($0, "--config-file=") == 1 { print substr($0, 15) }')
  [ -z "$named" ] || files=$named
  for table in tcp tcp6; do
    awk -v inodes="$inodes" '
      BEGIN { n = split(inodes, list, " "); for (i = 1; i <= n; i++) own[list[i]] = 1 }
      !($10 in own) { next }
      $4 != "0A" { print "socket", $4, $3, $7; next }
      { split($5, queues, ":"); if (queues[2] !~ /^0+$/) print "socket", $4, $2, queues[2] }
      ' "$proc/$first/net/$table" 2>/dev/null
  done | sort | uniq -c | head -n 300 | sed 's/^ *\([0-9]*\) socket/socket \1/'
fi
digest() { printf '%s' "$salt$1" | sha256sum | cut -c 1-32; }
url=$(for file in $files; do [ ! -r "$file" ] || awk '
  { sub(/[ \t\r]+$/, "") }
  /^\[/ { section = $0; next }
  section == "[DEFAULT]" && sub(/^transport_url[ \t]*[=:][ \t]*/, "") { value = $0 }
  END { if (value != "") print value }' "$file"; done | tail -n 1)
if [ -n "$url" ]; then
  rest=${url#*://}; where= users= passwords=
  IFS=,
  for each in ${rest%%[/?]*}; do
    login=${each%@*}
    where="$where ${each##*@}" users="$users ${login%%:*}" passwords="$passwords ${login#*:}"
  done
  echo "login $(digest "$where ${rest#*/}") $(digest "$users") $(digest "$passwords")"
fi
echo told
"""

# $1 is the unit, $2 its log, "journal" or "" for none, $3 where processes are listed, $4 the salt, $5 configuration
# files, $6 the properties, $7 the program for inside, $8 how many lines of the log are read. What follows are the words
# in front of a command in the unit's container. How long ago something was is told by the wall clock: in a container
# /proc/uptime may be its own, while systemd counts from the start of the machine.
_SCRIPT = r"""
set -u
export LC_ALL=C
unit=$1 log=$2 proc=$3 salt=$4 files=$5 properties=$6 inside=$7 limit=$8; shift 8
date '+now %s %Y-%m-%dT%H:%M:%S'
date -u '+utc %a %Y-%m-%d %H:%M:%S UTC'
shown=$(TZ=UTC systemctl show --property "$properties" -- "$unit") || exit 3
printf '%s\n' "$shown" | sed 's/^/unit /'
value() { printf '%s\n' "$shown" | sed -n "s/^$1=//p"; }
cgroup=$(systemctl show --property ControlGroup -- "$unit" | sed -n 's/^ControlGroup=//p')
members=
[ -z "$cgroup" ] || [ $# != 0 ] || members=$(
  quoted=$(printf '%s' "$cgroup" | sed 's/[].[*^$\\+?(){}|]/\\&/g')
  grep -lsxE -- "[0-9]*:[^:]*:(/.*)?$quoted(/.*)?" "$proc"/[0-9]*/cgroup |
    sed 's|.*/\([0-9]*\)/cgroup$|\1|' | sort -n | tr '\n' ' ')
found=
if [ -n "$members" ]; then found=$(sh -c "$inside" sh "$proc" "$salt" "$files" $members)
elif [ $# != 0 ]; then found=$("$@" sh -c "$inside" sh /proc "$salt" "$files") || true
else found=$(sh -c "$inside" sh "$proc" "$salt" "$files" none); fi
printf '%s\n' "$found"
directory=
case $log in
  /*) directory=$(dirname -- "$log") ;;
esac
if [ -n "$directory" ] && [ -d "$directory" ]; then
  timeout 3 df -Pk -- "$directory" 2>/dev/null | awk -v at="$directory" 'NR == 2 { print "space", $4, at }'
fi
present=$(printf '%s\n' "$found" | sed -n 's/^process \([0-9]*\) .*/\1/p' | tr '\n' ' ')
start=$(value InvocationID)
lines() {
  if [ -n "$directory" ] && [ -r "$log" ]; then tail -n "$limit" -- "$log"
  elif [ -n "$log" ] && [ -n "$start" ]; then
    timeout 5 journalctl --quiet --no-pager --all --lines "$limit" --output short-iso "_SYSTEMD_INVOCATION_ID=$start"
  fi
}
lines | awk -v present="$present" '
  function found(kind) { count[process, kind]++; last[process, kind] = at() }
  function at() {
    if (match($0, /"asctime": ?"[^"]*"/)) { split(substr($0, RSTART, RLENGTH), fields, "\""); return fields[4] }
    return $1 ~ /T/ ? $1 : $1 " " $2
  }
  BEGIN { n = split(present, list, " "); for (i = 1; i <= n; i++) counts[list[i]] = 1 }
  match($0, / [0-9]+ (TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL) /) { process = substr($0, RSTART + 1) + 0 }
  match($0, /"process": ?[0-9]+/) { process = substr($0, RSTART, RLENGTH); gsub(/[^0-9]/, "", process) }
  /ACCESS_REFUSED|AccessRefused|Login was refused/ { found("refused"); next }
  /DBConnectionError|(Can.t connect|Lost connection) to (MySQL|MariaDB|server)/ { found("database"); next }
  /No space left on device/ { found("full"); next }
  /AMQP server on .* is unreachable|ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|No route to host/ { found("unreachable"); next }
  /[Rr]econnected to AMQP server|Connected to AMQP server/ { found("connected"); next }
  END {
    if (!n) counts[process] = 1 # of a service that has ended: its last process
    counts[""] = 1
    for (each in count) {
      split(each, part, SUBSEP)
      if (!(part[1] in counts)) {
        earlier[part[2]] += count[each]
        if (last[each] > before[part[2]]) before[part[2]] = last[each]
        continue
      }
      total[part[2]] += count[each]
      if (last[each] > newest[part[2]]) newest[part[2]] = last[each]
    }
    for (kind in total) print "found", kind, total[kind], newest[kind]
    for (kind in earlier) print "earlier", kind, earlier[kind], before[kind]
  }'
echo end
"""
_LINES = 3_000
_WHILE_ASKED = 60
"""Seconds: a line may be written after the host told its time and before its log was read."""

_SPACE_KB = 1_024
"""A file system with less space than this is full."""

_SYN_SENT, _ESTABLISHED, _LISTEN = "02", "01", "0A"


BROKERS = "rabbitmq"
"""The inventory's group of brokers."""


class BrokerPlace(SiteVariables):
    """Where a broker is connected to: by default at the address that Ansible uses for its host."""

    ansible_host: str = ""
    ansible_ssh_host: str = ""
    rabbitmq_address: str = ""

    def address(self, host: str) -> str:
        """Return the address of a host's broker."""
        return first_address(self.rabbitmq_address, self.ansible_host, self.ansible_ssh_host, host)


def broker_names(context: ProbeContext) -> dict[str, str]:
    """Return the inventory's name for the address of each broker."""
    hosts = context.members(BROKERS)
    return {context.site(host, BrokerPlace).address(host): host for host in hosts}


@dataclass(frozen=True, slots=True)
class ProcessSource:
    """What is asked of one host about one service; the defaults are those of roles/nova.

    ``log``: a file, ``journal``, or "" for none. ``files``: configuration files with a transport URL, where the process
    names none. ``prefix`` leads into the unit's container.
    """

    service: str
    host: str
    unit: str
    log: str = ""
    files: str = ""
    prefix: tuple[str, ...] = ()


@dataclass
class _Printed:
    """What the script printed, line by line."""

    unit: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    sockets: list[list[str]] = field(default_factory=list)
    found: dict[str, tuple[int, str]] = field(default_factory=dict)
    earlier: dict[str, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> _Printed:
        """Return the lines sorted by what they are about; what is not known is left out."""
        printed = cls()
        for line in text.splitlines():
            key, _, value = line.partition(" ")
            words = value.split()
            if key == "unit":
                name, _, shown = value.partition("=")
                printed.unit[name] = shown
            elif key == "process" and len(words) == 2:
                printed.states.append(words[1])
            elif key == "socket" and len(words) == 4:
                printed.sockets.append(words)
            elif key in {"found", "earlier"} and len(words) >= 2 and words[1].isdigit():
                kinds = printed.found if key == "found" else printed.earlier
                kinds[words[0]] = (int(words[1]), " ".join(words[2:]))
            else:
                printed.values[key] = value
        return printed


@dataclass(frozen=True, slots=True)
class Brokers:
    """What tells a connection to a broker: the inventory's name of each address, and the ports where brokers listen."""

    names: Mapping[str, str] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()


def read_processes(
    context: ProbeContext,
    sources: Iterable[ProcessSource],
    brokers: Brokers,
    clock: Callable[[], float] = time.time,
    proc: str = "/proc",
) -> ServiceProcesses:
    """Return what each service's own host says of it, all hosts asked at the same time.

    A host that does not answer has its cause in the place of an answer.
    """
    salt = secrets.token_hex(16)

    def ask(source: ProcessSource) -> ServiceProcess:
        shell, began = context.reach(source.host), clock()
        properties = ",".join([*STATE.values(), *_MORE])
        fixed = [
            source.unit,
            source.log,
            proc,
            salt,
            source.files,
            properties,
            _INSIDE,
            str(_LINES),
        ]
        printed = _run(shell, source, [*fixed, *source.prefix])
        span = began, clock()
        return _process(source, printed, _peers(printed.sockets, brokers), span)

    named = {f"{each.service} on {each.host}": each for each in sources}
    return ask_all(named, partial(or_unanswered, ask))


def _run(shell: Shell, source: ProcessSource, arguments: Sequence[str]) -> _Printed:
    result = shell.run(["sh", "-c", _SCRIPT, "sh", *arguments])
    lines = result.stdout.splitlines()
    printed = _Printed.parse(result.stdout)
    lacking = [name for name in ("LoadState", "ActiveState") if not printed.unit.get(name)]
    if result.rc != 0 or lines[-1:] != ["end"] or lacking:
        cause = result.stderr.strip() or f"exit status {result.rc}"
        raise CannotTell(f"{source.host}: {source.unit} there cannot be told: {cause}")
    if printed.unit["ActiveState"] in _RUNS:
        _require_processes(source, printed, result.stderr.strip())
    return printed


def _require_processes(source: ProcessSource, printed: _Printed, cause: str) -> None:
    """Check that the processes of a unit that runs were looked at, and that there are some.

    Raises:
        CannotTell: what was not seen is neither well nor ill.
    """
    where = f"{source.host}: systemd shows {source.unit} as {printed.unit['ActiveState']}, and"
    if "told" not in printed.values:
        raise CannotTell(f"{where} its processes could not be looked at: {cause or 'no answer'}")
    if not printed.states:
        raise CannotTell(f"{where} no process of it was seen{cause and f': {cause}'}")


def _process(
    source: ProcessSource, printed: _Printed, peers: Sequence[Peer], span: tuple[float, float]
) -> ServiceProcess:
    shown, values = printed.unit, printed.values
    epoch, _, local = values.get("now", "").partition(" ")
    now = values.get("utc", "")
    unit = UnitState(
        host=source.host,
        **{name: shown.get(key, "") for name, key in STATE.items()},
        restarts=int(_number(shown.get("NRestarts", "")) or 0),
        age=seconds_between(shown.get(_SINCE, ""), now),
    )
    available, _, directory = values.get("space", "").partition(" ")
    digests = values.get("login", "").split()
    return ServiceProcess(
        service=source.service,
        unit=unit,
        unit_file=shown.get("UnitFileState", ""),
        status=int(_number(shown.get("ExecMainStatus", "")) or 0),
        stopped_for=seconds_between(shown.get(_STOPPED, ""), now),
        states=tuple(printed.states),
        frozen=shown.get("FreezerState", "").startswith("frozen"),
        peers=tuple(peers),
        waiting=_waiting(printed.sockets),
        complaints=_complaints(printed.found, local),
        earlier=_complaints(printed.earlier, local),
        login=Login(*digests) if len(digests) == 3 else None,
        skew=_skew(_number(epoch), span),
        full=directory if available.isdigit() and int(available) < _SPACE_KB else "",
    )


def _complaints(found: Mapping[str, tuple[int, str]], now: str) -> dict[str, Complaint]:
    return {kind: Complaint(count, _age(now, at)) for kind, (count, at) in found.items()}


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


def _age(now: str, at: str) -> float | None:
    """Return how many seconds before ``now`` a line of a log was written; both in the host's own time zone."""
    written = at.replace(",", ".").replace("T", " ")[:19]
    try:
        moments = [datetime.fromisoformat(each) for each in (now, written)]
    except ValueError:
        return None
    age = (moments[0] - moments[1]).total_seconds()
    return max(age, 0.0) if age >= -_WHILE_ASKED else None


def _skew(epoch: float | None, span: tuple[float, float]) -> float:
    """Return by how much the host's clock is outside of the time in which it was asked: at least so far it is off."""
    began, ended = span
    if epoch is None or began - 1 <= epoch <= ended + 1:
        return 0.0
    return epoch - (began if epoch < began else ended)


def _waiting(sockets: Sequence[Sequence[str]]) -> dict[int, int]:
    """Return by port how many clients the kernel has connected and the service has not taken, where there are any."""
    waiting: dict[int, int] = {}
    for _, state, local, queue in sockets:
        if state == _LISTEN:
            port = int(local.partition(":")[2], 16)
            waiting[port] = waiting.get(port, 0) + int(queue, 16)
    return waiting


def _peers(sockets: Sequence[Sequence[str]], brokers: Brokers) -> list[Peer]:
    """Return the connections to brokers, one entry for each address and state."""
    found: dict[tuple[str, str], Peer] = {}
    for count, state, remote, again in sockets:
        host, _, port = remote.partition(":")
        number = int(port, 16)
        if state == _LISTEN or number not in brokers.ports:
            continue
        address = _address(host)
        name = f"{brokers.names.get(address, address)}:{number}"
        known = found.get((name, state))
        found[name, state] = Peer(
            name,
            established=state == _ESTABLISHED,
            attempted=state == _SYN_SENT,
            unacknowledged=max(int(again, 16), known.unacknowledged if known else 0),
            count=int(count) + (known.count if known else 0),
        )
    return list(found.values())


def _address(text: str) -> str:
    """Return an address of the kernel's table of connections: words of 32 bits in the host's order of bytes."""
    words = [text[at : at + 8] for at in range(0, len(text), 8)]
    address = ip_address(b"".join(bytes.fromhex(word)[::-1] for word in words))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
