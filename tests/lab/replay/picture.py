"""Draws what the ways of a change did: hosts that gave no answer over time, and when units were restarted. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.report.svg import render_svg
from holdfast.report.timeline_svg import moment, ticks
from tests.lab.replay.acts import Replayed

WIDTH, LEFT, PANEL, GAP, TOP = 980.0, 60.0, 110.0, 62.0, 78.0


@dataclass(frozen=True, slots=True)
class Panel:
    """One way of one change: where it is drawn, and the outlines of its two areas in the picture's coordinates."""

    replayed: Replayed
    top: float
    bottom: float
    silent: str
    old: str
    stops: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]
    most: int


def picture(done: Sequence[Replayed]) -> str:
    """Return the picture as an SVG document."""
    panels = list(_panels(done))
    height = (panels[-1].bottom if panels else TOP) + 40
    return render_svg(
        Path(__file__).with_name("picture.svg.j2"),
        panels=panels, width=WIDTH, height=height, left=LEFT, right=WIDTH - 20,
    )  # fmt: skip


def _panels(done: Sequence[Replayed]) -> Iterator[Panel]:
    most = max([1, *(max(silent, old) for each in done for _, silent, old in each.series)])
    for number, each in enumerate(done):
        top = TOP + number * (PANEL + GAP)
        last = max([60.0, *(at for at, _, _ in each.series)])
        scale = (WIDTH - 20 - LEFT) / last
        bottom = top + PANEL

        def outline(
            which: int, scale: float = scale, bottom: float = bottom, each: Replayed = each
        ) -> str:
            points = [
                (LEFT + at[0] * scale, bottom - PANEL * at[which] / most) for at in each.series
            ]
            if not points:
                return ""
            ends = [(points[0][0], bottom), *points, (points[-1][0], bottom)]
            return " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)

        yield Panel(
            each, top, bottom, outline(1), outline(2), tuple(LEFT + at * scale for at in each.stops),
            tuple((LEFT + at * scale, moment(at)) for at in ticks(last)), most,
        )  # fmt: skip
