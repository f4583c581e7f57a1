"""Who holds a lease, in terms of this machine's processes, and whether they still live.

Reads /proc only. A process is identified by controller, boot, pid namespace, pid and start time, so
neither a reused pid nor another container's pid is taken for it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

from holdfast.model import RUN_VARIABLE, Holder

_PROC = Path("/proc")


def holder_for(run: str, by: str, reason: str, process: int) -> Holder:
    """Describe the process ``process`` of this machine as the holder of a lease.

    Raises:
        ProcessLookupError: there is no such process.
    """
    started = start_time(process)
    if started is None:
        raise ProcessLookupError(process)
    return Holder(run, by, reason, platform.node(), _boot(), process, started)


def is_gone(holder: Holder) -> bool:
    """True only when this machine can prove that the holder and all of its plays have ended.

    A play that outlived its driver may be about to act on the strength of an intent it already
    has, so it keeps the lease alive (docs/architecture.md, "State").
    """
    return driver_is_gone(holder) and not any(processes_of(holder.run))


def driver_is_gone(holder: Holder) -> bool:
    """True only when this machine can prove that the holder's own process has ended.

    A holder on another controller, or from before a reboot, is not provably gone: its lease ends
    by expiry.
    """
    if (holder.controller, holder.boot_id) != (platform.node(), _boot()):
        return False
    return start_time(holder.process) != holder.process_started


def processes_of(run: str) -> Iterator[int]:
    """The living processes of this machine that belong to plays of this run."""
    wanted = f"{RUN_VARIABLE}={run}".encode()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and wanted in _environment(entry) and not _idle(entry):
            yield int(entry.name)


def start_time(process: int) -> int | None:
    """Clock ticks since boot at which the process started; None when it has ended."""
    fields = _stat(_PROC / str(process))
    return None if not fields or fields[0] == "Z" else int(fields[19])


def _idle(entry: Path) -> bool:
    """Ended, or the master of a shared SSH connection, which serves later plays and does nothing."""
    fields = _stat(entry)
    return (
        not fields or fields[0] == "Z" or _read(entry / "cmdline").rstrip(b"\0").endswith(b"[mux]")
    )


def _stat(entry: Path) -> list[str]:
    """The fields of /proc/<pid>/stat from ``state`` (3) on; empty when the process has ended."""
    text = _read(entry / "stat").decode(errors="replace")
    # The command name stands in parentheses and may itself hold spaces and parentheses.
    return text[text.rindex(")") + 1 :].split() if text else []


def _environment(entry: Path) -> list[bytes]:
    return _read(entry / "environ").split(b"\0")


def _read(path: Path) -> bytes:
    """What stands there; nothing if the process has ended, or is another user's (not our play)."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _boot() -> str:
    """This boot and this pid namespace: containers share the former and not the latter."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
