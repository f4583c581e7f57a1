"""Judges of what a host says of its own nova unit: its log since the start, its time to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.evidence import STOP_TIMEOUT_TOO_SHORT
from holdfast.judges.base import Observation, Unanswered, unknown
from holdfast.model import Outcome, Verdict

COMPLAINED = "messaging_timeout"


@dataclass(frozen=True, slots=True)
class Log:
    """What a unit logged since its start: lines at all, and complaints about messaging by kind."""

    host: str
    unit: str
    log: str
    since: str
    lines: int
    complaints: Mapping[str, int]
    last: str


@dataclass(frozen=True, slots=True)
class StopTimeout:
    """How many seconds systemd lets the unit stop before it kills it."""

    host: str
    unit: str
    seconds: float


def no_messaging_timeouts(claim: str, history: Sequence[Observation]) -> Verdict:
    """Nothing newer than the unit's start says that a reply never came.

    In the outage of 2015-08-12 this was how the broker's failure showed in nova. A log with no line
    since the start is another log than the unit's, since every nova service logs its start.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    where = f"{seen.log} on {seen.host}"
    evidence = {
        "log": seen.log,
        "since": seen.since,
        "lines": seen.lines,
        "complaints": dict(seen.complaints),
    }
    if not seen.lines:
        message = f"{where} has no line since {seen.unit} started at {seen.since}"
        return Verdict(claim, Outcome.UNKNOWN, "silent_log", message, evidence)
    if seen.complaints:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.complaints.items()))
        message = f"{where} complains since {seen.since}: {kinds}; the last at {seen.last}"
        return Verdict(claim, Outcome.FAIL, COMPLAINED, message, evidence)
    message = f"{where}: {seen.lines} lines since {seen.since}, no messaging timeout"
    return Verdict(claim, Outcome.PASS, "quiet", message, evidence)


def stop_timeout_covers(
    claim: str, history: Sequence[Observation], needed: float, required: bool
) -> Verdict:
    """Systemd waits for the unit's stop as long as nova takes for its graceful shutdown.

    Debian 12's units have ``TimeoutStopSec=15`` where nova takes up to 60 s (180 s from nova 33):
    systemd kills it in the middle of an operation. ``required`` false: said, but not failed.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    has = "forever" if seen.seconds == float("inf") else f"{seen.seconds:g} s"
    evidence = {"stop_timeout": has, "graceful_shutdown_seconds": needed}
    words = f"systemd waits {has} for {seen.unit} on {seen.host} to stop"
    if seen.seconds >= needed:
        return Verdict(claim, Outcome.PASS, "covered", words, evidence)
    message = (
        f"{words}, then kills it; nova takes up to {needed:g} s to finish what is in flight: "
        f"set TimeoutStopSec={needed:g} or more in a drop-in of {seen.unit}"
    )
    outcome = Outcome.FAIL if required else Outcome.PASS
    return Verdict(claim, outcome, STOP_TIMEOUT_TOO_SHORT, message, evidence)
