"""``LeaseKeeper``: renews a run's leases while its plays run, and connects it to the journal.

Requests to stop are journaled, and those of other processes are taken from the journal; the listener
gets every new event. Decides nothing: after a lost lease the play's next intent fails by itself, and
so does the driver's next event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta

from holdfast.ansible.interfaces import Progress, StopSignal
from holdfast.errors import LeaseLost, StateUnusable
from holdfast.journal.events import AbortRequested, Recorded
from holdfast.model import Grant
from holdfast.store.database import Store

Listener = Callable[[Progress | Recorded], None]
Background = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Calls a function repeatedly, concurrently with the caller, while its context lasts."""

TTL = timedelta(seconds=60)
"""How long a lease stays valid after its last renewal: after the death of a driver that is not seen."""


@contextmanager
def every_second(beat: Callable[[], None]) -> Iterator[None]:
    """Call ``beat`` every second in a thread: the ``Background`` of real runs."""
    stopped = threading.Event()

    def loop() -> None:
        while not stopped.wait(1.0):
            beat()

    thread = threading.Thread(target=loop, name="holdfast-keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class LeaseKeeper:
    """Keeps one run's leases valid; ``beat`` is called once a second and before each decision."""

    def __init__(  # noqa: PLR0913  # one value for each thing it connects
        self,
        store: Store,
        run: str,
        by: str,
        *,
        after: int,
        clock: Callable[[], datetime],
        listener: Listener,
        stop: StopSignal,
    ) -> None:
        self._store, self._run, self._by = store, run, by
        self._clock, self._listener, self._stop = clock, listener, stop
        self._last_seq = after
        self._journaled: set[bool] = (
            set()
        )  # of which kind a request to stop is journaled: hard or not
        self._grant: Grant | None = None
        self._due = clock()
        self._lock = threading.RLock()

    def keep(self, grant: Grant) -> None:
        """Renew this grant from now on."""
        with self._lock:
            self._grant, self._due = grant, self._clock() + TTL / 3

    def report_progress(self, progress: Progress) -> None:
        """Pass a play's progress to the listener."""
        with self._lock:
            self._listener(progress)

    def beat(self) -> None:
        """Journal a request to stop, pass on new events, renew the lease when it is due.

        A database that cannot be used is reported to the listener and tried again by the next beat;
        the driver fails by itself where it needs the database.
        """
        with self._lock:
            try:
                self._journal_stop()
                self._read_events()
                self._renew()
            except StateUnusable as error:
                self._listener(Progress("", "journal", error.message))

    def _journal_stop(self) -> None:
        if self._stop.at_boundary and self._stop.hard not in self._journaled:
            self._journaled.add(self._stop.hard)
            hard = self._stop.hard
            self._store.append(self._run, AbortRequested(at=self._clock(), by=self._by, hard=hard))

    def _read_events(self) -> None:
        for recorded in self._store.read(self._run, self._last_seq):
            self._last_seq = recorded.seq
            if isinstance(recorded.event, AbortRequested):
                self._pass_on(recorded.event)
            self._listener(recorded)

    def _pass_on(self, request: AbortRequested) -> None:
        """Pass a journaled request to stop to the driver; it is not journaled again."""
        self._journaled |= {False, request.hard}
        if request.hard:
            self._stop.request(hard=True)
        elif not self._stop.at_boundary:
            self._stop.request()

    def _renew(self) -> None:
        now = self._clock()
        if self._grant is None or now < self._due:
            return
        try:
            self._store.renew(self._grant, TTL, now)
        except LeaseLost:
            self._grant = None
        self._due = now + TTL / 3
