"""``JournalFollower``: connects a running driver with its journal, beside the plays.

A request to stop is journaled, and those of other processes are taken from the journal; the listener
gets every new event. Decides nothing.
"""

from __future__ import annotations

import threading
from collections import deque

from holdfast.ansible.interfaces import Progress
from holdfast.engine.dependencies import Dependencies, Listener
from holdfast.errors import StateUnusable
from holdfast.journal.events import AbortRequested, ActDone, ActIntended, Recorded
from holdfast.model import Act, Holder


class JournalFollower:
    """Follows one run's journal; ``beat`` is called once a second and before each decision.

    ``after`` is the last event that the listener knows. The listener returns at once. ``unread`` are the events
    that the driver may not have read yet: if the journal is lost, they are known all the same.
    ``begun`` are the hosts with an act that was intended, ``restarted`` those with a restart that is done; the driver
    takes a host out when its turn begins.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        holder: Holder,
        listener: Listener,
        after: int,
    ) -> None:
        self._store, self._clock = dependencies.store, dependencies.clock
        self._stop, self._listener = dependencies.stop, listener
        self._run, self._by = holder.run, holder.by
        self.unread, self._last_seq = deque[Recorded](), after
        self.begun: set[str] = set()
        self.restarted: set[str] = set()
        # Of which kinds a request to stop is in the journal: hard or not.
        self._journaled: set[bool] = set()
        self._lock = threading.Lock()

    def beat(self) -> None:
        """Journal a request to stop, then pass on new events and requests.

        A database that cannot be used is reported to the listener and tried again by the next beat:
        the driver knows a request to stop without it, and fails by itself where it needs the journal.
        """
        with self._lock:
            try:
                self._journal_stop()
                self._read_events()
            except StateUnusable as error:
                self._listener(Progress("", "journal", error.message))

    def forget(self, seq: int) -> None:
        """Forget the unread events up to ``seq``: the driver has read them."""
        while self.unread and self.unread[0].seq <= seq:
            self.unread.popleft()

    def _journal_stop(self) -> None:
        hard = self._stop.hard
        if self._stop.at_boundary and hard not in self._journaled:
            self._store.append(self._run, AbortRequested(at=self._clock(), by=self._by, hard=hard))
            self._journaled.add(hard)

    def _read_events(self) -> None:
        for recorded in self._store.read(self._run, self._last_seq):
            self._last_seq = recorded.seq
            self.unread.append(recorded)
            if isinstance(recorded.event, AbortRequested):
                self._pass_on(recorded.event)
            if isinstance(recorded.event, ActIntended):
                self.begun.add(recorded.event.host)
            if isinstance(recorded.event, ActDone) and recorded.event.act is Act.RESTART:
                self.restarted.add(recorded.event.host)
            self._listener(recorded)

    def _pass_on(self, request: AbortRequested) -> None:
        """Pass a journaled request to stop to the driver; it is not journaled again."""
        self._journaled |= {False, request.hard}
        if request.hard:
            self._stop.request(hard=True)
        elif not self._stop.at_boundary:
            self._stop.request()
