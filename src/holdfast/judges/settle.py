"""Settling: whether a gate has passed often enough for long enough. Times are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from holdfast.model import Settle


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive readings in which the whole gate passed: how many, and when the first was taken.

    In the incident of 2015-08-12 services came up and failed again minutes later, so a single reading
    in which any claim does not pass starts the count again.
    """

    readings: int = 0
    since: float = 0.0

    def after(self, passed: bool, at: float) -> Streak:
        """Return the streak after one more reading at ``at`` (seconds of any steady clock)."""
        if not passed:
            return Streak()
        return Streak(self.readings + 1, self.since if self.readings else at)

    def span(self, at: float) -> timedelta:
        """Return for how long the gate has passed in every reading."""
        return timedelta(seconds=at - self.since) if self.readings else timedelta(0)

    def settles(self, settle: Settle, at: float) -> bool:
        """Return whether both the number of readings and the span are reached; never without a reading."""
        return self.readings >= max(settle.readings, 1) and self.span(at) >= settle.span
