"""``Dependencies``: what an engine uses from outside: store, runner, planner, time, listener."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue

from holdfast.ansible.interfaces import PlayRunner, Progress, StopSignal
from holdfast.engine.kept_error import KeptError
from holdfast.engine.planner import Planner
from holdfast.journal.events import Recorded
from holdfast.model import Holder
from holdfast.people import Approvers
from holdfast.store.database import Store
from holdfast.store.processes import driver_is_gone, holder_for, strays_of

Listener = Callable[[Progress | Recorded], None]
ListenerFailed = Callable[[Exception], None]
Background = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Calls a function repeatedly, concurrently with the caller, while its context lasts."""
Delivery = Callable[[Listener, ListenerFailed], AbstractContextManager[Listener]]
"""Yields a function that returns at once; what it is given reaches the listener before the context ends.

A listener that raises is given nothing more, and its error to the second function.
"""

_WAITING = 1000
"""Above this number of undelivered messages, progress is left out: it is of use only while it is fresh."""


def this_process(run: str, by: str, reason: str) -> Holder:
    """Return this process as the holder of a run's leases."""
    return holder_for(run, by, reason, os.getpid())


def wall_clock() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)


def ignore(_: object) -> None:
    """Ignore progress, events and errors."""


@contextmanager
def every_second(beat: Callable[[], None], seconds: float = 1.0) -> Iterator[None]:
    """Call ``beat`` every second in a thread: the ``Background`` of real runs."""
    stopped = threading.Event()

    def loop() -> None:
        while not stopped.wait(seconds):
            beat()

    thread = threading.Thread(target=loop, name="holdfast-background", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@contextmanager
def in_a_thread(listener: Listener, failed: ListenerFailed) -> Iterator[Listener]:
    """Call ``listener`` in a thread of its own: the ``Delivery`` of real runs.

    A terminal that takes no output (Ctrl-S, a full pipe) blocks this thread alone. The end of the
    context waits for it.
    """
    waiting: SimpleQueue[Progress | Recorded | None] = SimpleQueue()

    def deliver() -> None:
        kept = KeptError()
        with kept:
            while (message := waiting.get()) is not None:
                listener(message)
        # A display with a bug must not leave a host drained: only the display ends.
        if kept.error is not None:
            failed(kept.error)

    def put(message: Progress | Recorded) -> None:
        if isinstance(message, Recorded) or waiting.qsize() < _WAITING:
            waiting.put(message)

    thread = threading.Thread(target=deliver, name="holdfast-listener", daemon=True)
    thread.start()
    try:
        yield put
    finally:
        waiting.put(None)
        thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Everything that an engine uses and does not own.

    ``wait`` lets that many seconds pass. ``holder`` makes the holder of a run's leases from run,
    person and reason. ``driver_gone`` is true only for a holder whose process is known to have
    ended. ``processes_of`` finds the processes of a run's plays on ``controller``, this machine.
    ``listener`` gets every event of the journal and the progress of plays, through
    ``delivery``; if it raises, the run goes on without it, and ``listener_failed`` gets the error.
    ``background`` calls a function repeatedly beside the driver. ``stop`` may be used in a signal
    handler.
    ``approvers`` are who may approve a run; without any, no approval counts.
    """

    store: Store
    runner: PlayRunner
    planner: Planner
    wait: Callable[[float], object]
    clock: Callable[[], datetime] = wall_clock
    holder: Callable[[str, str, str], Holder] = this_process
    driver_gone: Callable[[Holder], bool] = driver_is_gone
    processes_of: Callable[[str], Iterable[int]] = strays_of
    controller: Callable[[], str] = platform.node
    listener: Listener = ignore
    listener_failed: ListenerFailed = ignore
    delivery: Delivery = in_a_thread
    background: Background = every_second
    stop: StopSignal = field(default_factory=StopSignal)
    approvers: Approvers = field(default_factory=Approvers)
