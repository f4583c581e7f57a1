"""What a report says, as frozen values: lanes of hosts, where the time went, what was lost.

All moments are seconds since the report's first event; all durations are seconds. Owns the shape
of the JSON that ``holdfast report --json`` prints; looks at nothing itself.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from holdfast.model import Act, Outcome

Ending = Literal["finished", "refused", "held", "aborted", "under way"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Bar(_Part):
    """A stretch of a lane: an act, or a gate with its verdict (``outcome`` is None for acts)."""

    what: Act | Literal["gate"]
    label: str
    start: float
    end: float
    outcome: Outcome | None = None


class Outage(_Part):
    """A stretch in which the observer, not Holdfast, found a service not answering."""

    host: str
    what: str
    start: float
    end: float


class Lane(_Part):
    """One unit on one host: what was done to it, when, and how long it was without proof.

    ``in_hand_seconds`` runs from the first intended act to the host being proved healthy again:
    the longest the host can have been out by the journal alone. ``out_seconds`` and
    ``restarts_seen`` are what the observer measured; None where no observer was given.
    """

    host: str
    unit: str
    bars: tuple[Bar, ...]
    restarts: int
    done: bool
    in_hand_seconds: float
    out_seconds: float | None = None
    restarts_seen: int | None = None
    outages: tuple[Outage, ...] = ()


class TimeShares(_Part):
    """Where a run's time went; the parts add up to ``total_seconds``.

    Each instant counts once: acting before gating before waiting; what is left, planning and
    starting plays, is our own overhead.
    """

    total_seconds: float
    acting_seconds: float
    gating_seconds: float
    waiting_seconds: float
    overhead_seconds: float


class RunPart(_Part):
    """One run: who asked for it and why, how it ended, where its time went."""

    run: str
    site: str
    runbook: str
    by: str
    reason: str
    ending: Ending
    held_because: str = ""
    start: float
    end: float
    shares: TimeShares
    in_hand_at_most: int


class Losses(_Part):
    """What the traffic instrument counted; ``lost`` messages were confirmed and never consumed.

    ``calls_lost_elsewhere`` are RPC calls without an answer to hosts that were not in hand then: a
    host being restarted cannot answer, every other one should. While a broker restarts, calls that
    were under way through it are lost at any host, so they are counted for each run as well.
    """

    published: int
    confirmed: int
    consumed: int
    lost: int
    duplicated: int
    unconfirmed: int
    longest_gap_seconds: float
    calls: int
    calls_lost: int
    calls_lost_elsewhere: int
    calls_lost_elsewhere_by_run: dict[str, int] = Field(default_factory=dict)


class Report(_Part):
    """Everything a report says, for one run or several in a row."""

    started_at: AwareDatetime
    seconds: float
    runs: tuple[RunPart, ...]
    lanes: tuple[Lane, ...]
    fleet: tuple[Bar, ...] = Field(default=(), description="gates asked of no single unit")
    out_at_most: dict[str, int] | None = Field(default=None, description="by the observer")
    losses: Losses | None = None
