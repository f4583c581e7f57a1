"""A boot test as an SVG: a bar for each server along a common time axis, by compute.

Pure and deterministic, and loads nothing. Colour alone carries no meaning: a failure has a cross, an unknown end a
question mark, and each stands beside the picture with its kind. ``boots.svg.j2`` places and draws the parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from holdfast.boots.model import Boot, BootTest
from holdfast.boots.summary import count, kinds, times
from holdfast.boots.summary_text import headline
from holdfast.model import Outcome
from holdfast.report.svg import INK, render_svg
from holdfast.report.timeline_svg import GATES, LEFT, RIGHT, VERDICTS, Tile, moment, ticks
from holdfast.text import count_of, format_date_and_clock, format_duration

TOP = 168.0
LINE = 13.0  # between two texts
MOST = 1400.0  # of the rows' height; those of many servers are thinner
_ENDS = {"active": Outcome.PASS, "failed": Outcome.FAIL}


@dataclass(frozen=True)
class _Bar:
    """One server's bar; ``about`` appears when the pointer rests on it."""

    boot: Boot
    top: float
    start: float
    end: float
    outcome: Outcome
    about: str


@dataclass(frozen=True)
class _Label:
    """A text beside the bars, moved down where the one above it would be in its way."""

    top: float
    text: str


def boots_svg(test: BootTest) -> str:
    """Return the test as an SVG document."""
    shown = [boot for boot in test.boots if boot.asked is not None]
    span = max((_end(boot, test) for boot in shown), default=1.0)
    height = min(9.0, max(MOST / max(len(shown), 1), 1.0))

    def x(at: float) -> float:
        return LEFT + (RIGHT - LEFT) * at / max(span, 1.0)

    bars = [
        _bar(boot, TOP + index * height, test) for index, boot in enumerate(_by_host(shown, test))
    ]
    bad = [bar for bar in bars if bar.outcome is not Outcome.PASS]
    notes = list(
        _apart([_Label(bar.top, f"{bar.boot.host} {bar.boot.kind or 'not known'}") for bar in bad])
    )
    bottom = max([TOP + len(bars) * height, *(note.top + LINE for note in notes)])
    return render_svg(
        Path(__file__).with_name("boots.svg.j2"),
        title=f"Boot test of {test.site}",
        about=f"{test.id} · {format_date_and_clock(test.began)} · {test.by} · {headline(test)}",
        tiles=list(_tiles(test)),
        bars=bars,
        bar_height=0.8 * height,
        hosts=list(_hosts(bars)),
        notes=notes,
        bottom=bottom,
        ticks=ticks(span),
        x=x,
        moment=moment,
        GATES=GATES,
        VERDICTS=VERDICTS,
    )


def _by_host(boots: Sequence[Boot], test: BootTest) -> list[Boot]:
    place = {host: index for index, host in enumerate(test.hosts)}
    return sorted(boots, key=lambda boot: (place.get(boot.host, len(place)), boot.number))


def _end(boot: Boot, test: BootTest) -> float:
    return test.seconds if boot.ended is None else boot.ended


def _bar(boot: Boot, top: float, test: BootTest) -> _Bar:
    end, start = _end(boot, test), boot.asked or 0.0
    what = f"{boot.outcome}{f', {boot.kind}: {boot.fault}' if boot.kind else ''}"
    about = f"{boot.name} · {what} · asked for at {moment(start)}, {format_duration(end - start)}"
    return _Bar(boot, top, start, end, _ENDS.get(boot.outcome, Outcome.UNKNOWN), about)


def _hosts(bars: Sequence[_Bar]) -> Iterator[_Label]:
    """Yield the computes' names beside their first bars; of crowded ones those that have room."""
    free = 0.0
    for host, of_host in groupby(bars, key=lambda bar: bar.boot.host):
        top = next(of_host).top
        if top >= free:
            yield _Label(top, host)
            free = top + LINE


def _apart(labels: Sequence[_Label]) -> Iterator[_Label]:
    """Yield all labels, each below the one before it."""
    free = 0.0
    for label in labels:
        top = max(label.top, free)
        yield _Label(top, label.text)
        free = top + LINE


def _tiles(test: BootTest) -> Iterator[Tile]:
    """Yield the figures that people ask for first."""
    asked = count_of(len(test.hosts), "compute")
    yield str(len(test.boots)), f"servers on {asked}", INK
    yield str(count(test, "active")), "became ACTIVE", VERDICTS[Outcome.PASS]
    failed = count(test, "failed")
    of_kinds = ", ".join(f"{len(boots)} {kind}" for kind, boots in kinds(test).items())
    yield (
        str(failed),
        f"failed{f': {of_kinds}' if of_kinds else ''}",
        VERDICTS[Outcome.FAIL] if failed else INK,
    )
    if unknown := count(test, "unknown"):
        yield str(unknown), "not known", VERDICTS[Outcome.UNKNOWN]
    for name, seconds in times(test).items():
        yield format_duration(seconds), f"until ACTIVE, {name}", INK
