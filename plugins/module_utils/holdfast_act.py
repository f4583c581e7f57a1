"""When an act may begin on the managed host: under the unit's lock, and while its intent counts (docs/adr/0022).

For the modules that run there. Standard library only. No clock of another machine is read: the host's own steady clock
was read before the intent, and the intent says until when on that clock its leases last.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

DIRECTORY = Path(os.environ.get("HOLDFAST_HOST_DIRECTORY", "/run/holdfast"))
"""Where locks are, for everybody who acts on the host. Only tests, whose hosts are directories, have another."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class NotBegun(Exception):
    """The act was not begun, and nothing was touched; the message says why."""


def read_clock() -> dict[str, Any]:
    """Return the host's steady clock: ``{"boot_id": …, "seconds": since boot, sleep included}``."""
    seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    return {"boot_id": _BOOT_ID.read_text("ascii").strip(), "seconds": round(seconds, 3)}


class UnitLock:
    """The lock on one unit, held; its file has when the unit was last observed."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def refuse_if_too_late(self, not_after: Mapping[str, Any]) -> None:
        """Return only if the intent still counts, by this host's clock.

        Args:
            not_after: what M(holdfast_intent) returned: ``boot_id``; ``read``, the clock before the intent;
                ``seconds``, the clock when the first of its leases expires.

        Raises:
            NotBegun: a lease may have expired, the host has booted, or it was observed, since the intent.
        """
        now = read_clock()
        if not {"boot_id", "read", "seconds"} <= not_after.keys():
            raise NotBegun("the task does not say until when its leases last (not_after)")
        if now["boot_id"] != not_after["boot_id"]:
            raise NotBegun("the host has booted since the intent")
        late = now["seconds"] - float(not_after["seconds"])
        if late >= 0:
            raise NotBegun(
                f"too late by {late:.1f} s: since the intent its lease may have expired, and another run may act"
            )
        if self._observed(now["boot_id"]) >= float(not_after["read"]):
            raise NotBegun(
                "too late: since the intent the host was observed, for a resume or a report"
            )

    def end_earlier_intents(self) -> None:
        """Let no act begin any more whose intent is older than this moment."""
        self._file.seek(0)
        self._file.truncate()
        json.dump(read_clock(), self._file)
        self._file.flush()

    def _observed(self, boot_id: str) -> float:
        """Return the clock when the unit was last observed in this boot; -1 if it was not."""
        self._file.seek(0)
        text = self._file.read()
        if not text:
            return -1.0
        try:
            observed = json.loads(text)
            return float(observed["seconds"]) if observed["boot_id"] == boot_id else -1.0
        except (ValueError, KeyError, TypeError) as error:
            raise NotBegun(f"{self._file.name} cannot be read ({error}); remove it") from None


@contextlib.contextmanager
def unit_lock(unit: str, seconds: float) -> Iterator[UnitLock]:
    """Hold the lock on a unit, waiting for another holder for at most ``seconds``.

    Raises:
        NotBegun: the other holder still has it then, or the lock cannot be used.
    """
    path = DIRECTORY / f"{unit}.lock"

    def give_up(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise NotBegun(f"another act on {unit} still held {path} after {seconds:.0f} s")

    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise NotBegun(f"the lock {path} cannot be used: {error.strerror}") from None
    with file:
        previous = signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        yield UnitLock(file)
