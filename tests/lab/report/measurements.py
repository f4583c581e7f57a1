"""The measurements of the observer and the traffic during a report's runs, on the report's time axis. Pure.

The journal has what was intended, done and judged. How long services were out, and what was lost, is
measured by the instruments alone; it is taken from their summaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from holdfast.report.model import Lane, Report
from holdfast.report.timeline import covered
from tests.lab.instruments.restart_spans import ANSWERS
from tests.lab.instruments.unexplained_losses import unexplained_losses

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Outage:
    """A span in which a check of the observer failed; seconds since the report's start."""

    check: str
    start: float
    end: float


@dataclass(frozen=True)
class MeasuredLane:
    """The observer's measurements of one unit on one host."""

    host: str
    unit: str
    outages: tuple[Outage, ...]
    out_seconds: float
    restarts: int


@dataclass(frozen=True)
class Measurements:
    """Everything the instruments add to a report.

    ``out_at_most`` is per check the most hosts out at once. ``unexplained_calls`` counts the lost
    calls that no outage of their own server explains, in all and per run: while a broker restarts,
    calls that are under way through it are lost at any host.
    """

    lanes: tuple[MeasuredLane, ...]
    out_at_most: dict[str, int]
    messages: dict[str, Any]
    longest_gap_seconds: float
    calls: int
    lost_calls: int
    unexplained_calls: int
    unexplained_calls_by_run: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON-shaped data."""
        return asdict(self)


def measure_runs(report: Report, observed: Summary, traffic: Summary) -> Measurements:
    """Return the instruments' measurements for a report, from their summaries."""
    messages = dict(traffic["messages"])
    unexplained = unexplained_losses(observed, traffic)
    return Measurements(
        lanes=tuple(_lane(lane, report, observed) for lane in report.lanes),
        out_at_most=_services(observed["max_out"]),
        longest_gap_seconds=messages.pop("longest_gap")["seconds"],
        messages=messages,
        calls=traffic["calls"]["asked"],
        lost_calls=traffic["calls"]["lost"],
        unexplained_calls=len(unexplained),
        unexplained_calls_by_run=_by_run(report, unexplained, _clock_offset(report, traffic)),
    )


def _lane(lane: Lane, report: Report, observed: Summary) -> MeasuredLane:
    unit, offset = lane.unit.removesuffix(".service"), _clock_offset(report, observed)
    checks = observed["outages"].get(lane.host, {})
    outages = tuple(
        Outage(
            check,
            span["start"] + offset,
            (observed["last"] if span["end"] is None else span["end"]) + offset,
        )
        for check, spans in checks.items()
        if check in {f"unit:{unit}", ANSWERS.get(unit)}
        for span in spans
    )
    return MeasuredLane(
        host=lane.host,
        unit=lane.unit,
        outages=outages,
        out_seconds=covered((outage.start, outage.end) for outage in outages),
        restarts=observed["restarts"].get(lane.host, {}).get(unit, 0),
    )


def _clock_offset(report: Report, summary: Summary) -> float:
    """Return the seconds from the report's start to that of an instrument's clock."""
    return (datetime.fromisoformat(summary["started_at"]) - report.started_at) / timedelta(
        seconds=1
    )


def _services(max_out: Mapping[str, int]) -> dict[str, int]:
    """Keep the checks that ask for an answer; those of units only where there is no other."""
    answering = {check: most for check, most in max_out.items() if not check.startswith("unit:")}
    return answering or dict(max_out)


def _by_run(report: Report, calls: Sequence[Summary], offset: float) -> dict[str, int]:
    """Count the calls that waited while each run was under way; runs without one are left out."""
    counts = {
        run.run: sum(
            call["asked"] + offset <= run.end and run.start <= call["given_up"] + offset
            for call in calls
        )
        for run in report.runs
    }
    return {run: count for run, count in counts.items() if count}
