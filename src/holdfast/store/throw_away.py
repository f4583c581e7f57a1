"""Whether the state is kept on a file system that goes when its container goes, or at the machine's next boot.

Reads /proc/self/mountinfo (proc_pid_mountinfo(5)) alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import make_url

from holdfast.errors import StateUnusable
from holdfast.settings import MAY_VANISH, Settings
from holdfast.store.connection import sqlite_path

MOUNTS = Path("/proc/self/mountinfo")

_OVERLAYS = {"overlay", "fuse.fuse-overlayfs", "aufs"}
"""The file systems that a container, or a live system, has its own files on."""

_IN_MEMORY = {"tmpfs", "ramfs"}


def refuse_throw_away(settings: Settings, mounts: Path = MOUNTS) -> None:
    """Return unless a file of SQLite is on an overlay, or in memory, and in no mount of its own.

    With the container, or at the next boot, the journal of a run would go, and with it what a resume continues from;
    and leases in a container exclude nobody outside.

    Raises:
        StateUnusable: it is; nothing was touched.
    """
    path = sqlite_path(make_url(settings.state_url))
    if path is None or settings.may_vanish:
        return
    kind = file_system(path.resolve(), _content(mounts))
    if why := _why_it_goes(kind):
        raise StateUnusable(
            f"{path} is {why}. Nothing was touched",
            remedy="set HOLDFAST_STATE_DIR to a directory that lasts (in a container: mount a volume at "
            f"{settings.state_dir}), or state_url to a database server (docs/install.md); "
            f"to try it and lose it, {MAY_VANISH}=yes",
        )


def _why_it_goes(kind: str) -> str:
    """Return what becomes of a file on such a file system; "" where it lasts."""
    if kind in _OVERLAYS:
        return (
            f"on the file system of a container ({kind}) and goes with it: its runs could not be resumed, "
            "and its leases exclude nobody outside"
        )
    if kind in _IN_MEMORY:
        return f"in memory ({kind}) and is gone after a reboot: a run that it ends could not be resumed"
    return ""


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of the file system that an absolute path is on; "" where the mounts do not say."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields, separator, source = line.partition(" - ")
        if not separator or len(fields.split()) < 5 or not source.split():
            continue
        point = Path(_unescaped(fields.split()[4]))
        # The last of several mounts on one directory is the one that is seen.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), source.split()[0]
    return kind


def _unescaped(text: str) -> str:
    r"""Return a mount point's name: a space is written as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:  # no kernel that says it: none that has containers
        return ""
