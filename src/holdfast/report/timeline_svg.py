"""A report as an SVG: a lane per unit and host, acts and verdicts along a common time axis.

Of a large fleet hosts are folded into ranges (``folding``), so that the picture stays one page.
Pure and deterministic: the same report gives the same bytes. The picture loads no script, font or
address. Colour alone carries no meaning: FAIL has a cross, UNKNOWN a question mark.
``timeline.svg.j2`` places and draws the parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from holdfast.model import Act, Outcome
from holdfast.report.folding import Row, fold_lanes, join_bars
from holdfast.report.model import Bar, Report
from holdfast.report.svg import FAINT, INK, render_svg
from holdfast.text import count_of, format_date_and_clock, format_duration

LEFT, RIGHT = 224.0, 1104.0  # of the time axis
_CHARACTER = 6.3  # the width of one, in the texts over the axis

ACTS = {
    Act.DRAIN: "#f2b84b",
    Act.RESTART: "#2f66b5",
    Act.UNDRAIN: "#5fb3b3",
    Act.REBALANCE: "#8c7ac9",
    Act.FREEZE: "#7fa8d9",
    Act.UNFREEZE: "#a9c9a4",
    Act.COPY: "#8fa37e",
    Act.PURGE: "#b5654f",
}
GATES = {Outcome.PASS: "#bfe3c8", Outcome.FAIL: "#f3b6b1", Outcome.UNKNOWN: "#d9cbe6"}
VERDICTS = {Outcome.PASS: "#2e8b50", Outcome.FAIL: "#c4342b", Outcome.UNKNOWN: "#7a4fa3"}
RED = VERDICTS[Outcome.FAIL]
_OVERHEAD = "#9aa5b1"

Tile = tuple[str, str, str]
"""A figure above the timeline: its value, what it counts, a colour."""

_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Mark:
    """A thin line below a lane's bars; ``about`` appears when the pointer rests on it."""

    start: float
    end: float
    about: str


@dataclass(frozen=True)
class Additions:
    """What is known of the lanes from elsewhere, such as measured outages; drawn into the picture.

    Lanes are named by host and unit. ``notes`` replace the time in hand at the end of a lane,
    ``tiles`` the most hosts in hand at once; ``meaning`` explains the marks in the legend.
    """

    marks: Mapping[tuple[str, str], Sequence[Mark]] = field(default_factory=dict)
    notes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    tiles: Sequence[Tile] = ()
    meaning: str = ""


def timeline_svg(report: Report, added: Additions = Additions()) -> str:
    """Return the report as an SVG document, with what the caller adds to it."""

    def x(at: float) -> float:
        return LEFT + (RIGHT - LEFT) * at / max(report.seconds, 1.0)

    shares = [share for share in _time_shares(report) if share[1]]
    legend = [("gate", GATES[Outcome.PASS], 9)]
    legend += [(str(act), colour, 9) for act, colour in ACTS.items()]
    legend += [(added.meaning, INK, 3)] * bool(added.meaning)
    rows, fleet = fold_lanes(report.lanes, report.seconds), report.fleet
    if any(row.is_range for row in rows):
        fleet = join_bars(fleet, report.seconds)
    edges = [*(x(run.start) for run in report.runs), RIGHT + 108]
    return render_svg(
        Path(__file__).with_name("timeline.svg.j2"),
        report=report,
        rows=rows,
        fleet=fleet,
        added=added,
        note=lambda row: _note(row, added),
        x=x,
        title=", then ".join(run.runbook for run in report.runs),
        began=format_date_and_clock(report.started_at),
        tiles=[
            *_counts(report, added),
            *((format_duration(s), name, INK) for name, s, _ in shares),
        ],
        shares=shares,
        total=sum(seconds for _, seconds, _ in shares) or 1.0,
        ticks=ticks(report.seconds),
        room=[max(int((end - start) / _CHARACTER), 12) for start, end in pairwise(edges)],
        legend=legend,
        about=_about,
        moment=moment,
        duration=format_duration,
        ACTS=ACTS,
        GATES=GATES,
        VERDICTS=VERDICTS,
    )


def _note(row: Row, added: Additions) -> str:
    """Return what stands at the end of a row."""
    if row.not_done:
        return f"{row.not_done} not done" if row.is_range else "not done"
    in_hand = f"in hand {'up to ' * row.is_range}{format_duration(row.in_hand_seconds)}"
    first = row.lanes[0]
    return in_hand if row.is_range else added.notes.get((first.host, first.unit), in_hand)


def _counts(report: Report, added: Additions) -> list[Tile]:
    """Return the figures that people ask for first."""
    hosts = len({lane.host for lane in report.lanes})
    restarts = sum(lane.restarts for lane in report.lanes)
    most = str(max(run.in_hand_at_most for run in report.runs))
    return [
        (str(restarts), f"restarts on {count_of(hosts, 'host')}", INK),
        *(added.tiles or [(most, "in hand at once at most", INK)]),
    ]


def _time_shares(report: Report) -> list[tuple[str, float, str]]:
    """Return how the time of all runs was spent: a name, the seconds, a colour."""
    shares = [run.shares for run in report.runs]
    return [
        ("acting", sum(share.acting_seconds for share in shares), ACTS[Act.RESTART]),
        ("gating", sum(share.gating_seconds for share in shares), GATES[Outcome.PASS]),
        ("own overhead", sum(share.overhead_seconds for share in shares), _OVERHEAD),
        ("held or waiting", sum(share.waiting_seconds for share in shares), FAINT),
    ]


def ticks(seconds: float) -> range:
    """Return round times in seconds, at most about a dozen."""
    step = next((tick for tick in _TICKS if seconds / tick <= 12), _TICKS[-1])
    return range(0, int(seconds) + 1, step)


def moment(seconds: float) -> str:
    """Return a time of the axis, such as ``2:05`` or ``1:02:05``."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _about(who: str, bar: Bar) -> str:
    verdict = f": {bar.outcome}" if bar.outcome else ""
    span = f"from {moment(bar.start)} for {format_duration(bar.end - bar.start)}"
    return f"{who} · {bar.label}{verdict} · {span}"
