"""The mark of a service on this host, for the modules that act: it must be that of their run (docs/adr/0023).

Standard library only. Marks are written by M(holdfast_mark).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.holdfast_act import DIRECTORY, NotBegun, read_clock

_UPTIME = Path("/proc/uptime")
"""Marks expire by this clock, since a shell can read it too; a container may have one of its own."""


def refuse_unless_marked(not_after: Mapping[str, Any]) -> None:
    """Return only if this host has a valid mark of the run.

    Args:
        not_after: what M(holdfast_intent) returned; ``marked`` has ``service`` and ``run``.

    Raises:
        NotBegun: it has another run's mark, none that is valid, or none that can be read.
    """
    if not not_after.get("marked"):
        raise NotBegun("the task does not say which mark this host must have (not_after)")
    service, run = not_after["marked"]["service"], not_after["marked"]["run"]
    path = DIRECTORY / f"{service}.mark"
    try:
        mark = json.loads(path.read_text("utf-8"))
        owner, by = mark["holder"]["run"], mark["holder"]["by"]
        uptime = float(_UPTIME.read_text("ascii").split()[0])
        valid = mark["boot_id"] == read_clock()["boot_id"] and float(mark["expires"]) > uptime
    except FileNotFoundError:
        raise NotBegun(f"this host has no mark of run {run} any more ({path})") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotBegun(f"the mark {path} cannot be read ({error})") from None
    if owner != run:
        raise NotBegun(f"this host is marked by another run, {owner} of {by}")
    if not valid:
        raise NotBegun(f"the mark of run {run} on this host has expired; another run may act")
