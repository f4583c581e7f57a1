"""What goes on beside the plays: the lease is renewed, requests to stop travel, the listener hears.

Owns no decision. A lost lease is only noted here: the play's next intent fails by itself, and the
engine finds out at its next entry in the journal.
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
from holdfast.store import Store

Listener = Callable[[Progress | Recorded], None]
Background = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Calls a function again and again, beside the caller, while its context lasts."""

TTL = timedelta(seconds=60)
"""How long a lease outlives its driver where nobody can see that it died."""


@contextmanager
def every_second(beat: Callable[[], None]) -> Iterator[None]:
    """The ``Background`` of real runs: a thread."""
    over = threading.Event()

    def beating() -> None:
        while not over.wait(1.0):
            beat()

    thread = threading.Thread(target=beating, name="holdfast-keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class LeaseKeeper:
    """Keeps one run's leases and ears; ``beat`` is called about once a second and before decisions."""

    def __init__(  # noqa: PLR0913  # one value for each thing it stands between
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
        self._heard = after
        self._told: set[bool] = set()
        self._grant: Grant | None = None
        self._due = clock()
        self._turn = threading.RLock()

    def hold_on_to(self, grant: Grant) -> None:
        """Renew this grant from now on."""
        with self._turn:
            self._grant, self._due = grant, self._clock() + TTL / 3

    def tell(self, progress: Progress) -> None:
        """Pass a play's sign of life to the listener."""
        with self._turn:
            self._listener(progress)

    def beat(self) -> None:
        """Journal a request to stop, hear what is new in the journal, renew the lease when due.

        A database that does not answer now is met again by the next beat, and by the engine itself.
        """
        with self._turn:
            try:
                self._journal_stop()
                self._hear()
                self._renew()
            except StateUnusable as trouble:
                self._listener(Progress("", "journal", trouble.message))

    def _journal_stop(self) -> None:
        if self._stop.at_boundary and self._stop.hard not in self._told:
            self._told.add(self._stop.hard)
            hard = self._stop.hard
            self._store.append(self._run, AbortRequested(at=self._clock(), by=self._by, hard=hard))

    def _hear(self) -> None:
        for recorded in self._store.read(self._run, self._heard):
            self._heard = recorded.seq
            if isinstance(recorded.event, AbortRequested):
                self._pass_on(recorded.event)
            self._listener(recorded)

    def _pass_on(self, asked: AbortRequested) -> None:
        """Another process asked; it is in the journal already."""
        self._told |= {False, asked.hard}
        if asked.hard:
            self._stop.ask(hard=True)
        elif not self._stop.at_boundary:
            self._stop.ask()

    def _renew(self) -> None:
        now = self._clock()
        if self._grant is None or now < self._due:
            return
        try:
            self._store.renew(self._grant, TTL, now)
        except LeaseLost:
            self._grant = None
        self._due = now + TTL / 3
