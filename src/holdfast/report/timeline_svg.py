"""A report as an SVG: a lane per unit and host, acts and verdicts along a common time axis.

Pure and deterministic: the same report gives the same bytes. The picture loads no script, font or
address. Colour alone carries no meaning: FAIL has a cross, UNKNOWN a question mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten

from holdfast.model import Act, Outcome
from holdfast.report.model import Bar, Lane, Report, RunSummary
from holdfast.report.svg import INK, Pen
from holdfast.text import count_of, format_date_and_clock, format_duration

WIDTH = 1240.0
LEFT, RIGHT = 224.0, 1104.0  # of the time axis
MARGIN = 28.0
ROW = 24.0
TILES, AXIS, LANES = 92.0, 186.0, 214.0  # tops of the parts, from above

SOFT, FAINT, BAND = "#64707d", "#e4e8ec", "#f6f8fa"
ACTS = {Act.DRAIN: "#f2b84b", Act.RESTART: "#2f66b5", Act.UNDRAIN: "#5fb3b3"}
GATES = {Outcome.PASS: "#bfe3c8", Outcome.FAIL: "#f3b6b1", Outcome.UNKNOWN: "#d9cbe6"}
VERDICTS = {Outcome.PASS: "#2e8b50", Outcome.FAIL: "#c4342b", Outcome.UNKNOWN: "#7a4fa3"}
GREEN, RED = VERDICTS[Outcome.PASS], VERDICTS[Outcome.FAIL]
OVERHEAD, WAITING = "#9aa5b1", "#e4e8ec"

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


@dataclass(frozen=True)
class _Scale:
    seconds: float

    def x(self, at: float) -> float:
        return LEFT + (RIGHT - LEFT) * at / max(self.seconds, 1.0)

    def ticks(self) -> list[int]:
        """Return round times in seconds, at most about a dozen."""
        step = next((tick for tick in _TICKS if self.seconds / tick <= 12), _TICKS[-1])
        return list(range(0, int(self.seconds) + 1, step))


def timeline_svg(report: Report, added: Additions = Additions()) -> str:
    """Return the report as an SVG document, with what the caller adds to it."""
    rows = len(report.lanes) + bool(report.fleet)
    bottom = LANES + rows * ROW
    pen = Pen.document(WIDTH, bottom + 62, _title(report))
    scale = _Scale(report.seconds)
    _heading(pen, report)
    _tiles(pen, report, added.tiles)
    for row in range(1, rows, 2):
        place, size = (MARGIN - 8, LANES + row * ROW), (WIDTH - 2 * MARGIN + 16, ROW)
        pen.box(place, size, fill=BAND, radius=4)
    _axis(pen, report, scale, bottom)
    top = LANES
    if report.fleet:
        _fleet(pen, report.fleet, scale, top)
        top += ROW
    for index, lane in enumerate(report.lanes):
        _lane(pen, lane, scale, top + index * ROW)
        _marks(pen, lane, scale, top + index * ROW, added)
    _legend(pen, bottom + 38, added.meaning)
    return pen.to_string()


def _title(report: Report) -> str:
    return ", then ".join(run.runbook for run in report.runs)


def _heading(pen: Pen, report: Report) -> None:
    first = report.runs[0]
    pen.text((MARGIN, 44), shorten(_title(report), 90), 22, font_weight="650")
    about = (
        f"{first.site} · {format_date_and_clock(report.started_at)} · {first.by}: {first.reason}"
    )
    pen.text((MARGIN, 68), shorten(about, 150), 13, fill=SOFT)


def _tiles(pen: Pen, report: Report, added: Sequence[Tile]) -> None:
    """Draw the figures that people ask for first, then one bar of how the time was spent."""
    tiles = [_restarts(report), *(added or [_in_hand(report)]), *_times(report)]
    width = (WIDTH - 2 * MARGIN) / len(tiles)
    for index, (value, name, colour) in enumerate(tiles):
        left = MARGIN + index * width
        pen.text((left, TILES + 22), value, 20, font_weight="600", fill=colour)
        pen.text((left, TILES + 40), name, 12, fill=SOFT)
    _time_bar(pen, report)


def _restarts(report: Report) -> Tile:
    hosts = len({lane.host for lane in report.lanes})
    restarts = sum(lane.restarts for lane in report.lanes)
    return str(restarts), f"restarts on {count_of(hosts, 'host')}", INK


def _in_hand(report: Report) -> Tile:
    return str(max(run.in_hand_at_most for run in report.runs)), "in hand at once at most", INK


def _times(report: Report) -> list[Tile]:
    return [(format_duration(seconds), name, INK) for name, seconds, _ in _parts(report) if seconds]


def _parts(report: Report) -> list[tuple[str, float, str]]:
    shares = [run.shares for run in report.runs]
    return [
        ("acting", sum(share.acting_seconds for share in shares), ACTS[Act.RESTART]),
        ("gating", sum(share.gating_seconds for share in shares), GATES[Outcome.PASS]),
        ("own overhead", sum(share.overhead_seconds for share in shares), OVERHEAD),
        ("held or waiting", sum(share.waiting_seconds for share in shares), WAITING),
    ]


def _time_bar(pen: Pen, report: Report) -> None:
    parts = _parts(report)
    total = sum(seconds for _, seconds, _ in parts) or 1.0
    left = MARGIN
    for name, seconds, colour in parts:
        width = (WIDTH - 2 * MARGIN) * seconds / total
        if seconds:
            about = f"{name}: {format_duration(seconds)}, {seconds / total:.0%}"
            pen.box((left, TILES + 52), (width, 6), fill=colour, about=about)
        left += width


def _axis(pen: Pen, report: Report, scale: _Scale, bottom: float) -> None:
    for tick in scale.ticks():
        x = scale.x(tick)
        pen.line((x, AXIS + 14), (x, bottom), stroke=FAINT)
        pen.text((x, bottom + 16), _moment(tick), 11, fill=SOFT, anchor="middle")
    begins = [scale.x(run.start) for run in report.runs]
    for run, following in zip(report.runs, [*begins[1:], WIDTH - MARGIN], strict=True):
        _run_mark(pen, run, scale, following)


def _run_mark(pen: Pen, run: RunSummary, scale: _Scale, following: float) -> None:
    """Draw a bracket over the run's part of the axis; its text ends before ``following``."""
    start, end = scale.x(run.start), scale.x(run.end)
    colour = GREEN if run.ending == "finished" else RED
    pen.path(f"M{start:.1f} {AXIS + 12:.1f}v-5H{end:.1f}v5", stroke=SOFT)
    room = max(int((following - start) / 6.3), 12)
    text = f"{run.runbook} · {format_duration(run.end - run.start)} · {run.ending}"
    pen.text((start, AXIS), shorten(text, room, placeholder="…"), 11.5, fill=colour)


def _moment(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _fleet(pen: Pen, bars: Sequence[Bar], scale: _Scale, top: float) -> None:
    pen.text((MARGIN, top + 16), "whole fleet", 12, fill=SOFT, font_style="italic")
    for bar in bars:
        _gate(pen, bar, scale, top, "whole fleet")


def _lane(pen: Pen, lane: Lane, scale: _Scale, top: float) -> None:
    unit = lane.unit.removesuffix(".service")
    pen.text((MARGIN, top + 16), shorten(lane.host, 12, placeholder="…"), 13, font_weight="600")
    pen.text(
        (LEFT - 12, top + 16), shorten(unit, 18, placeholder="…"), 11.5, fill=SOFT, anchor="end"
    )
    who = f"{lane.host} {unit}"
    for bar in lane.bars:
        if bar.what == "gate":
            _gate(pen, bar, scale, top, who)
    for bar in lane.bars:
        if isinstance(bar.what, Act):
            width = max(scale.x(bar.end) - scale.x(bar.start), 2)
            place = (scale.x(bar.start), top + 4)
            pen.box(
                place, (width, ROW - 11), fill=ACTS[bar.what], radius=1.5, about=_about(who, bar)
            )


def _marks(pen: Pen, lane: Lane, scale: _Scale, top: float, added: Additions) -> None:
    for mark in added.marks.get((lane.host, lane.unit), ()):
        width = max(scale.x(mark.end) - scale.x(mark.start), 2)
        pen.box((scale.x(mark.start), top + ROW - 6), (width, 3), fill=INK, about=mark.about)
    in_hand = f"in hand {format_duration(lane.in_hand_seconds)}"
    note = added.notes.get((lane.host, lane.unit), in_hand)
    place, colour = (RIGHT + 12, top + 16), INK if lane.done else RED
    pen.text(place, note if lane.done else "not done", 11.5, fill=colour)


def _gate(pen: Pen, bar: Bar, scale: _Scale, top: float, who: str) -> None:
    outcome = bar.outcome or Outcome.UNKNOWN
    start, end = scale.x(bar.start), scale.x(bar.end)
    place, size = (start, top + 7), (max(end - start, 1.5), ROW - 17)
    pen.box(place, size, fill=GATES[outcome], radius=1.5, about=_about(who, bar))
    _verdict(pen, outcome, (end, top + 10.5))


def _verdict(pen: Pen, outcome: Outcome, at: tuple[float, float]) -> None:
    x, y = at
    if outcome is Outcome.PASS:
        pen.circle((x, y), 2.2, fill=VERDICTS[outcome])
        return
    pen.circle((x, y), 5.5, fill=VERDICTS[outcome])
    if outcome is Outcome.FAIL:
        cross = f"M{x - 2:.1f} {y - 2:.1f}l4 4m0 -4l-4 4"
        pen.path(cross, stroke="#ffffff", stroke_width="1.5")
    else:
        pen.text((x, y + 3.2), "?", 9, fill="#ffffff", anchor="middle", font_weight="700")


def _about(who: str, bar: Bar) -> str:
    verdict = f": {bar.outcome}" if bar.outcome else ""
    start = _moment(int(bar.start))
    return f"{who} · {bar.label}{verdict} · from {start} for {format_duration(bar.end - bar.start)}"


def _legend(pen: Pen, top: float, marks: str) -> None:
    """Explain the colours, in the order in which a turn shows them."""
    left = MARGIN
    entries = [("gate", GATES[Outcome.PASS], 9)]
    entries += [(str(act), colour, 9) for act, colour in ACTS.items()]
    entries += [(marks, INK, 3)] * bool(marks)
    for name, colour, height in entries:
        pen.box((left, top), (14, height), fill=colour, radius=1.5)
        pen.text((left + 20, top + 9), name, 11.5, fill=SOFT)
        left += 44 + 6.4 * len(name)
    for outcome in Outcome:
        _verdict(pen, outcome, (left + 6, top + 4.5))
        pen.text((left + 16, top + 9), str(outcome), 11.5, fill=SOFT)
        left += 44 + 8 * len(outcome)
