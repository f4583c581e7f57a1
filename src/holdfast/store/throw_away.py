"""Whether the state is kept on a file system that goes when its container goes, or at the machine's next boot.

Reads /proc/self/mountinfo (proc_pid_mountinfo(5)) alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from holdfast.errors import StateUnusable
from holdfast.settings import MAY_VANISH, Settings
from holdfast.store.connection import sqlite_path

MOUNTS = Path("/proc/self/mountinfo")

_OVERLAYS = {"overlay", "fuse.fuse-overlayfs", "aufs"}
"""The file systems that a container, or a live system, has its own files on."""

_IN_MEMORY = {"tmpfs", "ramfs"}

_LAYER = re.compile(r"(?:^|/)[0-9a-f]{64}(?:/|$)")
"""What a container's own layer is called without an overlay: a directory (vfs), subvolume (btrfs) or dataset (zfs)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount as /proc/self/mountinfo has it: ``root`` is the part of its file system that is seen at ``point``."""

    point: Path
    root: str
    kind: str
    source: str


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
    if why := _why_it_goes(nearest_mount(path.resolve(), _content(mounts))):
        raise StateUnusable(
            f"{path} is {why}. Nothing was touched",
            remedy="set HOLDFAST_STATE_DIR to a directory that lasts (in a container: mount a volume at "
            f"{settings.state_dir}), or state_url to a database server (docs/install.md); "
            f"to try it and lose it, {MAY_VANISH}=yes",
        )


def _why_it_goes(mount: Mount | None) -> str:
    """Return what becomes of a file in such a mount; "" where it lasts, or nothing is known."""
    if mount is None:
        return ""
    if mount.kind in _IN_MEMORY:
        return f"in memory ({mount.kind}) and is gone after a reboot: a run that it ends could not be resumed"
    # A volume has a mount of its own, and may have such a name too.
    layer = mount.point == Path("/") and any(map(_LAYER.search, (mount.root, mount.source)))
    if layer or mount.kind in _OVERLAYS:
        return (
            f"on the file system of a container ({mount.kind}) and goes with it: its runs could not be resumed, "
            "and its leases exclude nobody outside"
        )
    return ""


def nearest_mount(path: Path, mounts: str) -> Mount | None:
    """Return the mount that an absolute path is in; None where the mounts do not say."""
    nearest = None
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, of_device = left.split(), right.split()
        if len(fields) < 5 or not of_device:
            continue
        root, point = _unescaped(fields[3]), Path(_unescaped(fields[4]))
        # The last of several mounts on one directory is the one that is seen.
        if path.is_relative_to(point) and (nearest is None or point.is_relative_to(nearest.point)):
            nearest = Mount(point, root, of_device[0], "".join(of_device[1:2]))
    return nearest


def _unescaped(text: str) -> str:
    r"""Return a mount point's name: a space is written as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:  # no kernel that says it: none that has containers
        return ""
