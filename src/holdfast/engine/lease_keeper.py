"""``LeaseKeeper``: renews a run's leases while its plays run, and connects it to the journal.

Requests to stop are journaled, and those of other processes are taken from the journal; the listener
gets every new event. Decides nothing: after a lost lease the play's next intent fails by itself, and
so does the driver's next event.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from holdfast.ansible.interfaces import Progress
from holdfast.engine.dependencies import Dependencies
from holdfast.errors import LeaseLost, StateUnusable
from holdfast.journal.events import AbortRequested
from holdfast.model import Grant, Holder

TTL = timedelta(seconds=60)
"""How long a lease stays valid after its last renewal: after the death of a driver that is not seen."""


class LeaseKeeper:
    """Keeps one run's leases valid; ``beat`` is called once a second and before each decision."""

    def __init__(self, dependencies: Dependencies, holder: Holder, *, after: int) -> None:
        self._store, self._run, self._by = dependencies.store, holder.run, holder.by
        self._clock, self._stop = dependencies.clock, dependencies.stop
        self._listener = dependencies.listener
        self._last_seq = after
        # Of which kinds a request to stop is journaled: hard or not.
        self._journaled: set[bool] = set()
        self._grant: Grant | None = None
        self._due = self._clock()
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
        hard = self._stop.hard
        if self._stop.at_boundary and hard not in self._journaled:
            self._journaled.add(hard)
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
            self._store.renew(self._grant, TTL)
        except LeaseLost:
            self._grant = None
        self._due = now + TTL / 3
