"""A controller of its own process that fights for leases and writes journals until it is told to end.

    python -m tests.unit.store.controller NUMBER DIRECTORY SECONDS_AHEAD URL…

Several URLs are the servers behind a proxy: each transaction goes to the next one. ``SECONDS_AHEAD`` is added to what
they say the time is. What it does is known from three files that no database keeps:

- ``acts``, one for all controllers, written under a lock: each act in the order in which it happened;
- ``entries-NUMBER``: each entry that it tried to write, and whether it was told that it is written;
- ``errors-NUMBER``: what it met.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from sqlalchemy import Connection

from holdfast.errors import LeaseHeld, LeaseLost, StateUnusable
from holdfast.journal.events import ActIntended, Recorded
from holdfast.model import Act, Grant, Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.connection import database_time
from holdfast.store.database import Store, open_store
from tests.fakes.journal import opened

TTL = timedelta(seconds=5)
APART = timedelta(seconds=1)
SCOPES = ("lab/rabbitmq", "lab/nova", "lab/galera")
SHARED = "shared"
"""The run that all write to without a lease."""


class Controller:
    """Its run is ``run-NUMBER``; what it wants is decided by its own random numbers."""

    def __init__(self, number: int, directory: Path, ahead: timedelta, urls: Sequence[str]) -> None:
        self._number, self._directory, self._ahead = number, directory, ahead
        self._ways = itertools.cycle(Settings(url, directory) for url in urls)
        self._run = f"run-{number}"
        self._parent = os.getppid()
        self._holder = Holder(self._run, "ada", "contention", f"ctl{number}", "boot", number, 1)
        self._random = random.Random(number)  # noqa: S311  # no secret
        self._marks = itertools.count(1)
        self._last: dict[str, int] = {}
        self._stores: dict[Settings, Store] = {}
        self._entries = (directory / f"entries-{number}").open("w", buffering=1)
        self._errors = (directory / f"errors-{number}").open("w", buffering=1)
        self._acts = (directory / "acts").open("a", buffering=1)

    def work(self) -> None:
        """Take part until the file ``end`` is there, or who started it is gone."""
        while not self._has_opened():
            if self._is_over():
                return
        while not self._is_over():
            for each in self._turn, self._write_without_a_lease, self._read:
                self._try(each)

    def _is_over(self) -> bool:
        return (self._directory / "end").exists() or os.getppid() != self._parent

    def _has_opened(self) -> bool:
        return self._try(self._open)

    def _open(self, store: Store) -> None:
        """Open the run's journal, unless that was done by an attempt whose end was not told."""
        if not store.read(self._run):
            store.append(self._run, opened())

    def _try(self, step: Callable[[Store], object]) -> bool:
        """Do one step through the next server; return whether the state could be used."""
        try:
            step(self._opened())
        except StateUnusable as error:  # JournalGone too: the test asks for it
            self._met(error)
            self._stores.clear()
            self._pause()
            return False
        return True

    def _met(self, error: Exception) -> None:
        line = {"kind": type(error).__name__, "message": str(error), "at": time.monotonic()}
        _write_line(self._errors, line)

    def _opened(self) -> Store:
        """Return the state through the next server; after a fault it is opened anew, as by another process."""
        way = next(self._ways)
        if way not in self._stores:
            store = open_store(way, gone=lambda _: False, clock=self._clock)
            store.apart = APART
            self._stores[way] = store
        return self._stores[way]

    def _clock(self, connection: Connection) -> datetime:
        return database_time(connection) + self._ahead

    def _pause(self) -> None:
        threading.Event().wait(self._random.uniform(0.005, 0.05))

    def _turn(self, store: Store) -> None:
        """Take a lease, act a few times, give it back."""
        scope = self._random.choice(SCOPES)
        try:
            grant = store.take(self._holder, {scope: LeaseMode.EXCLUSIVE}, TTL)
        except LeaseHeld:
            self._pause()
            return
        try:
            for _ in range(self._random.randint(1, 4)):
                self._act(self._opened(), grant, scope)
        except LeaseLost as error:
            self._met(error)
        finally:
            self._opened().release(grant)

    def _act(self, store: Store, grant: Grant, scope: str) -> None:
        """Act as ``holdfast_act`` does: after the intent, and before the leases end by a clock that only runs."""
        asked = time.monotonic()
        last = asked + store.check(grant).total_seconds()
        mark = self._write(self._run, lambda event: store.append_guarded(grant, event))
        with _locked(self._acts):
            now = time.monotonic()
            if now < last:
                act = {"scope": scope, "token": grant.tokens[scope], "by": self._number}
                _write_line(self._acts, {**act, "mark": mark, "at": now})

    def _write_without_a_lease(self, store: Store) -> None:
        self._write(SHARED, lambda event: store.append(SHARED, event))

    def _write(self, run: str, append: Callable[[ActIntended], Recorded]) -> str:
        """Append an entry with a mark of its own; note before that it is tried, and then that it is written."""
        mark = f"{self._number}.{next(self._marks)}"
        intended = ActIntended(
            at=datetime.now(UTC), host=mark, act=Act.RESTART, unit="toy", invocation_id="x"
        )
        _write_line(self._entries, {"tried": mark})
        seq = append(intended).seq
        _write_line(self._entries, {"written": mark, "run": run, "seq": seq})
        self._last[run] = seq
        return mark

    def _read(self, store: Store) -> None:
        """Read on after what is known to be there: where a server does not know it, that is a JournalGone."""
        for run, seq in self._last.items():
            store.read(run, after=seq)


@contextmanager
def _locked(file: TextIO) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _write_line(file: TextIO, line: Mapping[str, object]) -> None:
    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    _number, _directory, _ahead, *_urls = sys.argv[1:]
    Controller(int(_number), Path(_directory), timedelta(seconds=float(_ahead)), _urls).work()
