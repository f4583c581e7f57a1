"""``Word``: the word of the engine, which a play that was started early waits for (docs/adr/0055).

The engine holds a lock on a file while the play may still get its word, and the kernel releases it where the engine
dies. The word is a second file beside it, with the variables that were not known when the play started.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.errors import Refused
from holdfast.model import Json

PARK, WORD = "holdfast_park", "holdfast_word"
"""The variable that has the file's path, and the fact that has what was said once a host has its word."""

_TICK_SECONDS = 0.01

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2): PR_SET_PDEATHSIG


def is_ahead(variables: Mapping[str, Json]) -> bool:
    """Return whether the play was started early, and the task's host has not got its word."""
    return PARK in variables and not _said(variables)


def known(variables: Mapping[str, Json], name: str, default: Json) -> Json:
    """Return a variable that the engine passes, with the play or with its word."""
    return _said(variables).get(name, variables.get(name, default))


def _said(variables: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return what this play's word said, with its file; a site that caches facts keeps the words of earlier plays.

    Facts are no templates: they are read as they are, since Ansible takes 7 ms to go through them all.
    """
    facts = getattr(variables, "raw", variables).get("ansible_facts")
    said: Mapping[str, Json] = (facts or {}).get(WORD) or {}
    return said if PARK in variables and said.get(PARK) == variables[PARK] else {}


def word_file(lock: Path) -> Path:
    """Return the file of the word, beside the one that is locked."""
    return lock.with_name(f"{lock.name}.json")


@contextmanager
def ending_with_its_parent() -> Iterator[None]:
    """Let the kernel kill this process when the one that forked it ends, while it waits for a word to act.

    Ansible forks a process for each task. Where `ansible-playbook` is killed, one that waits would live on, and act.

    Raises:
        Refused: that process has ended already.
    """
    parent = multiprocessing.parent_process()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL) != 0:
        raise Refused(f"this process cannot be tied to its play: {os.strerror(ctypes.get_errno())}")
    try:
        if parent is not None and os.getppid() != parent.pid:  # it has ended before that
            raise _no_longer_needed()
        yield
    finally:
        prctl(_SET_PARENT_DEATH_SIGNAL, 0)


class Word:
    """The word, from the side of the play that waits for it."""

    def __init__(self, lock: str) -> None:
        self._lock, self._word = Path(lock), word_file(Path(lock))

    def __enter__(self) -> Self:
        """Open the file that the engine locks.

        Raises:
            Refused: the engine has removed it.
        """
        try:
            self._descriptor = os.open(self._lock, os.O_RDONLY)
        except OSError:
            raise _no_longer_needed() from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        os.close(self._descriptor)

    def has_come(self, seconds: float) -> bool:
        """Return whether the word has come, after waiting so long for it.

        Raises:
            Refused: the engine is gone, or needs the play no more.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._require_engine()
            if self._word.exists():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            threading.Event().wait(min(left, _TICK_SECONDS))

    def said(self) -> dict[str, Json]:
        """Return the variables that the word brings, and whose word it is.

        Raises:
            Refused: the engine is gone, or needs the play no more.
        """
        self._require_engine()
        try:
            said: dict[str, Json] = json.loads(self._word.read_text("utf-8"))
        except OSError:
            raise _no_longer_needed() from None
        return {**said, PARK: str(self._lock)}

    def _require_engine(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        raise _no_longer_needed()


def _no_longer_needed() -> Refused:
    return Refused("the engine that started this play needs it no more; nothing was touched")
