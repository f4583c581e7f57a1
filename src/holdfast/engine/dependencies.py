"""``Dependencies``: what an engine uses from outside: store, runner, planner, time, listener."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from holdfast.ansible.interfaces import PlayRunner, Progress, StopSignal
from holdfast.engine.planner import Planner
from holdfast.journal.events import Recorded
from holdfast.model import Holder
from holdfast.store.database import Store
from holdfast.store.processes import driver_is_gone, holder_for

Listener = Callable[[Progress | Recorded], None]
Background = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Calls a function repeatedly, concurrently with the caller, while its context lasts."""


def this_process(run: str, by: str, reason: str) -> Holder:
    """Return this process as the holder of a run's leases."""
    return holder_for(run, by, reason, os.getpid())


def wall_clock() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)


def no_listener(_: object) -> None:
    """Ignore progress and events."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Everything that an engine uses and does not own.

    ``wait`` lets that many seconds pass. ``holder`` makes the holder of a run's leases from run,
    person and reason. ``driver_gone`` is true only for a holder whose process is known to have
    ended. ``listener`` gets every event of the journal and the progress of plays; ``background``
    calls a function repeatedly beside the driver. ``stop`` may be used in a signal handler.
    """

    store: Store
    runner: PlayRunner
    planner: Planner
    wait: Callable[[float], object]
    clock: Callable[[], datetime] = wall_clock
    holder: Callable[[str, str, str], Holder] = this_process
    driver_gone: Callable[[Holder], bool] = driver_is_gone
    listener: Listener = no_listener
    background: Background = every_second
    stop: StopSignal = field(default_factory=StopSignal)
