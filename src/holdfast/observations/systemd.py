"""What systemd reports about a unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's state (systemctl(1), "show").

    ``invocation_id`` is the id that systemd gives the unit at every start, "" where it never ran.
    ``restarts`` counts the starts that systemd made on its own.
    """

    host: str
    name: str
    load_state: str
    active_state: str
    sub_state: str
    kind: str
    result: str
    invocation_id: str
    restarts: int


@dataclass(frozen=True, slots=True)
class StopTimeout:
    """How many seconds systemd lets the unit stop before it kills it; infinity where it never does."""

    host: str
    unit: str
    seconds: float
