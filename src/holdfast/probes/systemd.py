"""Ask systemd on the task's host about one unit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.systemd import (
    GroupState,
    Machine,
    StopTimeout,
    UnitState,
    UnitStates,
    unit_on,
)
from holdfast.probes.base import CommandResult, ProbeContext, Shell, ask_all, or_unanswered

STATE = {
    "name": "Id",
    "load_state": "LoadState",
    "active_state": "ActiveState",
    "sub_state": "SubState",
    "kind": "Type",
    "result": "Result",
    "invocation_id": "InvocationID",
}
"""The properties of a unit's state, by the field of UnitState; a unit that is no service lacks some."""
_SINCE = "ActiveEnterTimestamp"
_MACHINE = {
    "hostname": "Hostname",
    "machine_id": "MachineId",
    "boot_id": "BootId",
    "booted": "Booted",
    "namespace": "Namespace",
}
# $1 are the properties, the rest are units. systemctl prints a time in the zone of the process that calls it, and
# its age is told by the same host's clock. The rest is what the host says it is.
_SCRIPT = r"""
export TZ=UTC LC_ALL=C
date '+Now=%a %Y-%m-%d %H:%M:%S UTC'
echo "Hostname=$(uname -n)"
echo "MachineId=$(cat /etc/machine-id)"
echo "BootId=$(cat /proc/sys/kernel/random/boot_id)"
echo "Booted=$(cut -d ' ' -f 22 /proc/1/stat)"
echo "Namespace=$(readlink /proc/self/ns/pid)"
properties=$1; shift
exec systemctl show --property "$properties" -- "$@"
"""
_TIME = "%Y-%m-%d %H:%M:%S UTC"
_INFINITE = 2**64 - 1  # microseconds: systemd's value for "never" (USEC_INFINITY)
_BUSCTL = ("busctl", "get-property", "org.freedesktop.systemd1")
_TOLD_BY = ("InvocationID", "NRestarts")  # since systemd 232 and 235
_STOP_TIMEOUT = ("org.freedesktop.systemd1.Service", "TimeoutStopUSec")


def probe_unit(context: ProbeContext, unit: str) -> UnitState:
    """Return the unit's present state; ``unit`` may be an alias.

    Raises:
        CannotTell: the host is unreachable, or systemd on it does not answer.
    """
    return _ask(context.host, context.shell, unit)[0]


def probe_group(context: ProbeContext, unit: str, hosts: Sequence[str]) -> GroupState:
    """Return the unit's state on each of the hosts, and what each says it is; all are asked at the same time.

    A host that does not answer has its cause in the place of an answer. One that is in hand is not asked.
    """

    def ask(host: str) -> tuple[UnitState, Machine]:
        return _ask(host, context.reach(host), unit)

    asked = {host: host for host in hosts if host not in context.in_hand}
    answers = ask_all(asked, partial(or_unanswered, ask))
    return GroupState(unit, answers, context.groups.get("all", ()))


def probe_starts(context: ProbeContext, starts: Mapping[str, Mapping[str, str]]) -> UnitStates:
    """Return the states of the units that ``starts`` has for each host, by names such as ``cron on ctl1``."""
    pairs = ((host, unit) for host, units in starts.items() for unit in units)
    return units_of(context, {unit_on(*pair): pair for pair in pairs})


def units_of(context: ProbeContext, wanted: Mapping[str, tuple[str, str]]) -> UnitStates:
    """Return the states of units on several hosts, by the names given; each host is asked once, all at the same time.

    ``wanted`` has, per name, the host and its unit. A host that does not answer has its cause in place of each state.
    """
    hosts: dict[str, list[str]] = {}
    for host, unit in wanted.values():
        hosts.setdefault(host, []).append(unit)

    def ask(host: str) -> dict[str, UnitState]:
        units = list(dict.fromkeys(hosts[host]))
        return dict(zip(units, _ask_all(host, context.reach(host), units)[0], strict=True))

    answers = ask_all({host: host for host in hosts}, partial(or_unanswered, ask))
    found: dict[str, UnitState | Unanswered] = {}
    for name, (host, unit) in wanted.items():
        answer = answers[host]
        found[name] = answer if isinstance(answer, Unanswered) else answer[unit]
    return found


def _ask(host: str, shell: Shell, unit: str) -> tuple[UnitState, Machine]:
    states, machine = _ask_all(host, shell, [unit])
    return states[0], machine


def _ask_all(host: str, shell: Shell, units: Sequence[str]) -> tuple[list[UnitState], Machine]:
    properties = ",".join([*STATE.values(), "NRestarts", _SINCE])
    result = shell.run(["sh", "-c", _SCRIPT, "sh", properties, *units])
    # What the host says of itself, and one block for each unit.
    blocks = [block for block in result.stdout.split("\n\n") if block.strip()] or [""]
    if result.rc == 0 and len(blocks) != len(units):
        raise CannotTell(f"{host}: systemd reported {len(blocks)} of {len(units)} units")
    shown = [
        _shown(host, unit, CommandResult(result.rc, block, result.stderr))
        for unit, block in zip(units, blocks, strict=False)
    ]
    own = shown[0]
    machine = Machine(**{field: own.get(name, "") for field, name in _MACHINE.items()})
    return [_state(host, {**each, "Now": own.get("Now", "")}) for each in shown], machine


def _state(host: str, shown: Mapping[str, str]) -> UnitState:
    _require_counters(host, shown)
    return UnitState(
        host=host,
        **{field: shown.get(name, "") for field, name in STATE.items()},
        restarts=int(shown.get("NRestarts", 0)),
        age=seconds_between(shown.get(_SINCE, ""), shown.get("Now", "")),
    )


def _require_counters(host: str, shown: Mapping[str, str]) -> None:
    """Check that systemd reports the properties that show a restart; only services have NRestarts.

    Raises:
        CannotTell: it does not.
    """
    loaded, name = shown.get("LoadState") == "loaded", shown.get("Id", "")
    lacking = [each for each in _TOLD_BY if each not in shown]
    if loaded and name.endswith(".service") and lacking:
        raise CannotTell(
            f"{host}: systemd does not report {' and '.join(lacking)} of {name}, so a restart of it would not be seen;"
            " systemd 235 and later report both"
        )


def seconds_between(earlier: str, later: str) -> float | None:
    """Return the seconds between two times as systemctl prints them in UTC, never below 0; None without both."""
    try:
        times = [datetime.strptime(each.partition(" ")[2], _TIME) for each in (earlier, later)]  # noqa: DTZ007  # both in UTC
    except ValueError:
        return None
    return max((times[1] - times[0]).total_seconds(), 0.0)


def probe_stop_timeout(context: ProbeContext, unit: str) -> StopTimeout:
    """Return how long systemd lets the unit stop before it kills it; ``unit`` may be an alias.

    The time is read over D-Bus, as a number of microseconds: ``systemctl show`` prints it for people.

    Raises:
        CannotTell: the host is unreachable, systemd on it does not answer, or the unit is no loaded service.
    """
    shown = _show(context, unit, "Id", "LoadState", "ActiveState")
    if shown.get("LoadState") != "loaded":
        state = shown.get("LoadState") or "no LoadState was reported"
        raise CannotTell(f"{context.host}: systemd has not loaded {unit}: {state}")
    path = f"/org/freedesktop/systemd1/unit/{bus_label(shown['Id'])}"
    result = context.shell.run([*_BUSCTL, path, *_STOP_TIMEOUT])
    microseconds = _microseconds(result)
    if microseconds is None:
        cause = (
            result.stderr.strip() or f"exit status {result.rc}, output {result.stdout.strip()!r}"
        )
        raise CannotTell(
            f"{context.host}: systemd did not report the stop timeout of {unit}: {cause}"
        )
    never = microseconds == _INFINITE
    return StopTimeout(context.host, unit, math.inf if never else microseconds / 1_000_000)


def unit_command(context: ProbeContext, unit: str) -> str:
    """Return the command that the unit starts, as systemd shows it; ``unit`` may be an alias.

    Raises:
        CannotTell: the host is unreachable, or systemd on it does not answer.
    """
    return _show(context, unit, "ExecStart", "ActiveState").get("ExecStart", "")


def _show(context: ProbeContext, unit: str, *properties: str) -> dict[str, str]:
    """Return what ``systemctl show`` prints of these properties; ActiveState must be among them."""
    result = context.shell.run(
        ["systemctl", "show", "--property", ",".join(properties), "--", unit]
    )
    return _shown(context.host, unit, result)


def _shown(host: str, unit: str, result: CommandResult) -> dict[str, str]:
    """Return the properties in the output of ``systemctl show``; raise CannotTell where it has none."""
    shown = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    if result.rc != 0 or "ActiveState" not in shown:
        cause = result.stderr.strip() or f"exit status {result.rc}, no output"
        raise CannotTell(f"{host}: systemd did not report the state of {unit}: {cause}")
    return shown


def _microseconds(result: CommandResult) -> int | None:
    """Return the number in the answer of ``busctl get-property``, None where there is none.

    It is printed as ``t 90000000``, the type and the value. ``--json`` came with systemd 240.
    """
    found = re.fullmatch(r"t ([0-9]+)\s*", result.stdout) if result.rc == 0 else None
    return int(found[1]) if found else None


def bus_label(name: str) -> str:
    """Return a unit's name as an element of a D-Bus object path.

    Every byte but ASCII letters and digits becomes ``_`` and two hexadecimal digits, and so does a
    digit in the first place (sd_bus_path_encode(3)).
    """
    return re.sub(rb"^[0-9]|[^A-Za-z0-9]", lambda m: b"_%02x" % m[0][0], name.encode()).decode()
