"""The content of a report as frozen values: lanes of hosts, and where the time went.

All moments are seconds since the report's first event; all durations are seconds. Owns the shape
of the JSON that ``holdfast report --json`` prints.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from holdfast.model import Act, Outcome


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Bar(_Part):
    """A span of a lane: an act, or a gate with its verdict (``outcome`` is None for acts)."""

    what: Act | Literal["gate"]
    label: str
    start: float
    end: float
    outcome: Outcome | None = None


class Lane(_Part):
    """One unit on one host: what was done to it and when.

    ``in_hand_seconds`` runs from the first intended act to the host being proved healthy again:
    the longest time for which the host can have been out, by the journal alone.
    """

    host: str
    unit: str
    bars: tuple[Bar, ...]
    restarts: int
    done: bool
    in_hand_seconds: float


class TimeShares(_Part):
    """How a run's time was spent; the parts add up to ``total_seconds``.

    Each instant counts once: as acting, else as gating, else as waiting for people. The rest,
    planning and starting plays, is Holdfast's own overhead.
    """

    total_seconds: float
    acting_seconds: float
    gating_seconds: float
    waiting_seconds: float
    overhead_seconds: float


class HumanDecision(_Part):
    """What a person decided about a run: an approval, a rejection, an abort or a resume, and why."""

    at: float
    what: Literal["approved", "rejected", "abort requested", "hard stop requested", "resumed"]
    by: str
    reason: str = ""


class RunSummary(_Part):
    """One run: who started it and why, who decided what, how it ended, how its time was spent."""

    run: str
    site: str
    runbook: str
    by: str
    reason: str
    ending: str = Field(description="the run's status; 'under way' for one that has not ended")
    held_because: str = ""
    start: float
    end: float
    shares: TimeShares
    in_hand_at_most: int
    decisions: tuple[HumanDecision, ...] = ()


class Report(_Part):
    """A report on one run or on several in a row."""

    started_at: AwareDatetime
    seconds: float
    runs: tuple[RunSummary, ...]
    lanes: tuple[Lane, ...]
    fleet: tuple[Bar, ...] = Field(default=(), description="gates of no single unit")
