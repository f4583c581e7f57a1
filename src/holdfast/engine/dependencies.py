"""``Dependencies``: what an engine uses from outside: store, runner, planner, time, listener.

Every field has a shipped fake or is a plain function, so that tests replace what they need.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from holdfast.ansible.interfaces import PlayRunner, StopSignal
from holdfast.engine.lease_keeper import Background, Listener, every_second
from holdfast.engine.planner import Planner
from holdfast.model import Holder
from holdfast.store.database import Store
from holdfast.store.processes import driver_is_gone, holder_for


def this_process(run: str, by: str, reason: str) -> Holder:
    """Return this process as the holder of a run's leases."""
    return holder_for(run, by, reason, os.getpid())


def wall_clock() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)


def no_listener(_: object) -> None:
    """Ignore progress and events."""


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
