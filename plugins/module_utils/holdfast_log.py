"""Notes on the managed host where a unit's log file ends, before an act. Standard library only; changes nothing.

``holdfast.probes.nova.host`` finds the place again, and is tested together with this.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

DIGESTED = 1024
"""How many bytes before the end tell a file from another one, the same number as in holdfast.observations.nova."""


def log_position(path: str, group: str, proc: str = "/proc") -> dict[str, Any]:
    """Return where the file ends, and the processes in a control group; empty where there is no such file.

    Args:
        path: the file; "" and "journal" are none.
        group: the control group of the unit that logs to it (cgroups(7)), "" where that is not known.
        proc: where the host's processes are listed.

    Returns:
        ``inode``, ``size``, ``digest`` (SHA-256 of the last bytes, at most ``DIGESTED``) and ``processes``.
    """
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno())
            file.seek(max(found.st_size - DIGESTED, 0))
            digest = hashlib.sha256(file.read(min(found.st_size, DIGESTED))).hexdigest()
    except OSError:
        return {}
    return {
        "inode": found.st_ino,
        "size": found.st_size,
        "digest": digest,
        "processes": processes_in(group, proc) if group else [],
    }


def processes_in(group: str, proc: str) -> list[int]:
    """Return the ids of all processes in the control group and below it."""
    found = []
    for path in Path(proc).glob("[0-9]*/cgroup"):
        try:
            lines = path.read_text("utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        if f":{group}" in lines:
            found.append(int(path.parent.name))
    return sorted(found)
