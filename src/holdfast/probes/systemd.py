"""Ask systemd on the task's host about one unit."""

from __future__ import annotations

from holdfast.errors import CannotTell
from holdfast.model import Unit
from holdfast.probes.base import ProbeContext

_PROPERTIES = "Id,LoadState,ActiveState,SubState,Type,Result,InvocationID,NRestarts"


def look_at_unit(look: ProbeContext, unit: str) -> Unit:
    """The unit's state now, found under whatever alias.

    Raises:
        CannotTell: the host is unreachable, or systemd on it gives no answer.
    """
    argv = ["systemctl", "show", "--property", _PROPERTIES, "--", unit]
    done = look.shell.run(argv)
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.rc != 0 or "ActiveState" not in shown:
        words = done.stderr.strip() or f"exit status {done.rc} and no answer"
        raise CannotTell(f"{look.host}: systemd says nothing about {unit}: {words}")
    return Unit(
        host=look.host,
        name=shown.get("Id", unit),
        load_state=shown.get("LoadState", ""),
        active_state=shown["ActiveState"],
        sub_state=shown.get("SubState", ""),
        kind=shown.get("Type", ""),
        result=shown.get("Result", ""),
        invocation_id=shown.get("InvocationID", ""),
        restarts=int(shown.get("NRestarts", 0)),
    )
