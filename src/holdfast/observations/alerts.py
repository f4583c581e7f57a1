"""What alerting reports, as frozen values; an alert counts whether or not somebody has silenced it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires, or an object of Icinga that has a problem.

    ``state``: the service's own word for it. ``silenced``: nobody is told of it at present.
    """

    name: str
    where: str
    state: str
    silenced: bool

    def __str__(self) -> str:
        place = f" on {self.where}" if self.where else ""
        return f"{self.name}{place} ({self.state}{', silenced' if self.silenced else ''})"


@dataclass(frozen=True, slots=True)
class AlertsSeen:
    """What one alerting service answered.

    ``asked``: what was asked for, as it was written. ``heartbeat``: whether the alert that must always fire does, None
    where the site names none. ``objects``: how many objects Icinga has for the filter; ``stale``: those of them whose
    last check is too old, or that were never checked. 0 and none for Alertmanager, which knows only what fires.
    """

    service: str
    asked: str
    firing: Sequence[Alert]
    heartbeat: bool | None = None
    objects: int = 0
    stale: Sequence[str] = ()
