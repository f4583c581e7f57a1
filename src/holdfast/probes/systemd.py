"""Ask systemd on the task's host about one unit."""

from __future__ import annotations

import json
import math
import re

from holdfast.errors import CannotTell
from holdfast.observations.systemd import StopTimeout, UnitState
from holdfast.probes.base import CommandResult, ProbeContext

# The properties of a unit's state, by the field of UnitState; a unit that is no service lacks some.
_STATE = {
    "name": "Id",
    "load_state": "LoadState",
    "active_state": "ActiveState",
    "sub_state": "SubState",
    "kind": "Type",
    "result": "Result",
    "invocation_id": "InvocationID",
}
_INFINITE = 2**64 - 1  # microseconds: systemd's value for "never" (USEC_INFINITY)
_BUSCTL = ("busctl", "--json=short", "get-property", "org.freedesktop.systemd1")
_STOP_TIMEOUT = ("org.freedesktop.systemd1.Service", "TimeoutStopUSec")


def probe_unit(context: ProbeContext, unit: str) -> UnitState:
    """Return the unit's present state; ``unit`` may be an alias.

    Raises:
        CannotTell: the host is unreachable, or systemd on it does not answer.
    """
    shown = _show(context, unit, *_STATE.values(), "NRestarts")
    state = {field: shown.get(name, "") for field, name in _STATE.items()}
    return UnitState(host=context.host, **state, restarts=int(shown.get("NRestarts", 0)))


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


def _show(context: ProbeContext, unit: str, *properties: str) -> dict[str, str]:
    """Return what ``systemctl show`` prints of these properties; ActiveState must be among them."""
    result = context.shell.run(
        ["systemctl", "show", "--property", ",".join(properties), "--", unit]
    )
    shown = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    if result.rc != 0 or "ActiveState" not in shown:
        cause = result.stderr.strip() or f"exit status {result.rc}, no output"
        raise CannotTell(f"{context.host}: systemd did not report the state of {unit}: {cause}")
    return shown


def _microseconds(result: CommandResult) -> int | None:
    """Return the number in the answer of ``busctl get-property``, None where there is none."""
    try:
        answer = json.loads(result.stdout) if result.rc == 0 else None
    except ValueError:
        return None
    value = answer.get("data") if isinstance(answer, dict) else None
    return value if type(value) is int and value >= 0 else None


def bus_label(name: str) -> str:
    """Return a unit's name as an element of a D-Bus object path.

    Every byte but ASCII letters and digits becomes ``_`` and two hexadecimal digits, and so does a
    digit in the first place (sd_bus_path_encode(3)).
    """
    return re.sub(rb"^[0-9]|[^A-Za-z0-9]", lambda m: b"_%02x" % m[0][0], name.encode()).decode()
