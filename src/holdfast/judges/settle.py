"""Settling: when a gate that passes has passed for long enough. Pure; times are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from holdfast.model import Settle


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive good readings of a whole gate: how many, and when the first one was taken.

    A service that came up once and fails again minutes later was the incident of 2015-08-12, so a
    single bad reading of any claim starts the count again.
    """

    readings: int = 0
    since: float = 0.0

    def after(self, passed: bool, at: float) -> Streak:
        """The streak once one more reading was taken at ``at`` (seconds of any steady clock)."""
        if not passed:
            return Streak()
        return Streak(self.readings + 1, self.since if self.readings else at)

    def span(self, at: float) -> timedelta:
        """For how long the gate has passed without a bad reading."""
        return timedelta(seconds=at - self.since) if self.readings else timedelta(0)

    def settles(self, settle: Settle, at: float) -> bool:
        """True once both the number of readings and the span are reached; never without a reading."""
        return self.readings >= max(settle.readings, 1) and self.span(at) >= settle.span
