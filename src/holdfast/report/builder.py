"""Builds a report from journals: pure, no I/O, no clock.

The journal records what was intended, done and judged, and when. It has no outages of
services: ``in_hand_seconds`` is the upper limit of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from holdfast.errors import InvalidInput
from holdfast.journal.events import Recorded
from holdfast.report.model import Lane, Report
from holdfast.report.timeline import HostTimeline, RunTimeline, covered


def build_report(journals: Sequence[Sequence[Recorded]]) -> Report:
    """Return the report on one or several runs, in the order in which they began.

    Raises:
        InvalidInput: a journal is empty; there is nothing to report.
    """
    if not journals or not all(journals):
        raise InvalidInput("There is no such run: its journal is empty", remedy="holdfast status")
    ordered = sorted(journals, key=lambda journal: journal[0].event.at)
    origin = ordered[0][0].event.at
    timelines = [RunTimeline(journal, origin) for journal in ordered]
    return Report(
        started_at=origin,
        seconds=max(timeline.end for timeline in timelines),
        runs=tuple(timeline.summary() for timeline in timelines),
        lanes=_lanes(chain.from_iterable(timeline.turns for timeline in timelines)),
        fleet=tuple(chain.from_iterable(timeline.fleet for timeline in timelines)),
    )


def _lanes(turns: Iterable[HostTimeline]) -> tuple[Lane, ...]:
    """Join the turns of one unit on one host: a resume or a second run continues its lane."""
    lanes: dict[tuple[str, str], list[HostTimeline]] = {}
    for turn in turns:
        lanes.setdefault((turn.host, turn.unit), []).append(turn)
    return tuple(
        Lane(
            host=host,
            unit=unit,
            bars=tuple(bar for turn in own for bar in turn.bars),
            restarts=sum(turn.restarts for turn in own),
            done=own[-1].done,
            in_hand_seconds=covered(turn.in_hand for turn in own if turn.in_hand),
        )
        for (host, unit), own in lanes.items()
    )
