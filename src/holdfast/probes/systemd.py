"""Ask systemd on the task's host about one unit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from holdfast.errors import CannotTell
from holdfast.observations.systemd import StopTimeout, UnitState
from holdfast.probes.base import ProbeContext

_STATE = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Type",
    "Result",
    "InvocationID",
    "NRestarts",
)
_UNITS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "month": 2629800.0,
    "y": 31557600.0,
}
_SPAN = re.compile(rf"(\d+(?:\.\d+)?)({'|'.join(sorted(_UNITS, key=len, reverse=True))})")


def probe_unit(context: ProbeContext, unit: str) -> UnitState:
    """Return the unit's present state; ``unit`` may be an alias.

    Raises:
        CannotTell: the host is unreachable, or systemd on it does not answer.
    """
    shown = _show(context, unit, _STATE)
    return UnitState(
        host=context.host,
        name=shown.get("Id", unit),
        load_state=shown.get("LoadState", ""),
        active_state=shown["ActiveState"],
        sub_state=shown.get("SubState", ""),
        kind=shown.get("Type", ""),
        result=shown.get("Result", ""),
        invocation_id=shown.get("InvocationID", ""),
        restarts=int(shown.get("NRestarts", 0)),
    )


def probe_stop_timeout(context: ProbeContext, unit: str) -> StopTimeout:
    """Return how long systemd lets the unit stop before it kills it; ``unit`` may be an alias.

    Raises:
        CannotTell: the host is unreachable, systemd on it does not answer, or the unit is no loaded service.
    """
    shown = _show(context, unit, ("LoadState", "ActiveState", "TimeoutStopUSec"))
    if shown.get("LoadState") != "loaded":
        state = shown.get("LoadState") or "no LoadState was reported"
        raise CannotTell(f"{context.host}: systemd has not loaded {unit}: {state}")
    return StopTimeout(context.host, unit, _seconds(shown["TimeoutStopUSec"]))


def _seconds(span: str) -> float:
    """Return a time span as systemd prints it, ``1min 30s`` (systemd.time(7)), in seconds."""
    if span == "infinity":
        return math.inf
    return sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(span))


def _show(context: ProbeContext, unit: str, properties: Sequence[str]) -> dict[str, str]:
    """Return what ``systemctl show`` prints of these properties; ActiveState must be among them."""
    result = context.shell.run(
        ["systemctl", "show", "--property", ",".join(properties), "--", unit]
    )
    shown = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    if result.rc != 0 or "ActiveState" not in shown:
        cause = result.stderr.strip() or f"exit status {result.rc}, no output"
        raise CannotTell(f"{context.host}: systemd did not report the state of {unit}: {cause}")
    return shown
