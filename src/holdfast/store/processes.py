"""The holders of leases as processes of this machine, and whether these still run.

Reads /proc only. A process is identified by controller, boot, pid namespace, pid and start time, so
neither a reused pid nor the same pid in another container is mistaken for it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
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
    """Return whether the holder and all of its plays are known to have ended.

    A play that outlived its driver may be about to act, after an intent that it has journaled: it
    keeps the lease valid (docs/architecture.md, "State").
    """
    return driver_is_gone(holder) and not any(processes_of(holder.run))


def is_gone_on_one_machine(holder: Holder) -> bool:
    """As ``is_gone``, for a state that only this machine can reach: a file of SQLite.

    There a holder of this controller's name and of another boot was on this machine before it was
    booted again. With a database server it may be on another machine of the same name, alive; and one
    of this boot in another pid namespace is in another container, whose processes are not seen here.
    """
    before_boot = holder.controller == platform.node() and _boot_id(holder) != _this_boot_id()
    return is_gone(holder) or (before_boot and not any(processes_of(holder.run)))


def lives_here(holder: Holder) -> bool:
    """Return whether the holder or one of its plays is known to run on this machine."""
    here = (holder.controller, holder.boot_id) == (platform.node(), _boot())
    return here and not is_gone(holder)


def sees_others(proc: Path = _PROC) -> bool:
    """Return whether other users' processes are seen: where /proc is mounted with hidepid they are not."""
    return bool(_read(proc / "1" / "stat"))


def driver_is_gone(holder: Holder, seen: Callable[[], bool] = sees_others) -> bool:
    """Return whether the holder's own process is known to have ended.

    False for a holder that is not seen from here, on another controller, in another container, from
    before a reboot or hidden from this user: its lease expires.
    """
    if (holder.controller, holder.boot_id) != (platform.node(), _boot()) or not seen():
        return False
    return start_time(holder.process) != holder.process_started


def processes_of(run: str) -> Iterator[int]:
    """Yield the running processes of this machine that belong to plays of this run.

    Those of other users are known by their command line, since their environment cannot be read. One that
    has ended and is not waited for yet has neither.
    """
    entries = (entry for entry in _PROC.iterdir() if entry.name.isdigit())
    return (
        int(each.name) for each in entries if _belongs_to(each, run) and not _is_shared_ssh(each)
    )


def _belongs_to(entry: Path, run: str) -> bool:
    try:
        environment = (entry / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        arguments = _read(entry / "cmdline").split(b"\0")
        is_play = any(each.endswith(b"ansible-playbook") for each in arguments)
        return is_play and any(f"/runs/{run}/".encode() in each for each in arguments)
    return f"{RUN_VARIABLE}={run}".encode() in environment.split(b"\0")


def strays_of(run: str) -> Iterator[int]:
    """Yield those of ``processes_of`` that this process did not come from.

    A shell with the mark in its environment, from which somebody resumes or aborts the run, is no play.
    """
    return strays_beside(run, os.getpid())


def strays_beside(run: str, process: int) -> Iterator[int]:
    """As ``strays_of``, for another process than this one."""
    own = set(_ancestry(process))
    return (each for each in processes_of(run) if each not in own)


def _ancestry(process: int) -> Iterator[int]:
    """Yield the process, its parent, and so on."""
    while process:
        yield process
        process = int(_stat(process)[1])


def start_time(process: int) -> int | None:
    """Return the process's start time in clock ticks since boot; None when it has ended."""
    fields = _stat(process)
    return None if fields[0] == "Z" else int(fields[19])


def _stat(process: int) -> list[str]:
    """Return the fields of its ``stat`` from the third on, its state and its parent; of one that has ended Z and 0."""
    text = _read(_PROC / str(process) / "stat").decode(errors="replace")
    # The command name is in parentheses and may contain spaces and parentheses; the third field follows.
    return text.rpartition(")")[2].split() or ["Z", "0"]


def _is_shared_ssh(entry: Path) -> bool:
    """Return whether it is the master of a shared SSH connection, which acts on nothing."""
    return _read(entry / "cmdline").rstrip(b"\0").endswith(b"[mux]")


def _read(path: Path) -> bytes:
    """Return the content; nothing if the process has ended, or may not be read."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _boot() -> str:
    """Return the id of this boot and of this pid namespace: containers share only the former."""
    return f"{_this_boot_id()} {(_PROC / 'self/ns/pid').readlink()}"


def _this_boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()


def _boot_id(holder: Holder) -> str:
    """Return the kernel's part of what ``_boot`` returned in the holder's process."""
    return holder.boot_id.partition(" ")[0]
