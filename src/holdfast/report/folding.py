"""Lanes of a large fleet as few rows: hosts in ranges, and each that was not well or slow by itself. Pure.

The report itself, and its JSON, has every lane; only what people look at is folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import groupby
from statistics import median

from holdfast.model import Outcome
from holdfast.report.model import Bar, Lane
from holdfast.text import count_of

MOST_LANES = 60
"""A report with more lanes is folded: a picture of 60 is as high as a screen and a half."""

RANGES = 30
SHOWN_ILL = 20
SHOWN_SLOW = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One lane, or several neighbours of one unit; ``bars`` are theirs, joined where they nearly touch."""

    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]

    @property
    def is_range(self) -> bool:
        """Whether it stands for several lanes."""
        return len(self.lanes) > 1

    @property
    def name(self) -> str:
        """The host; of a range the first, the last and how many."""
        first, last = self.lanes[0].host, self.lanes[-1].host
        return f"{first} … {last} ({len(self.lanes)})" if self.is_range else first

    @property
    def unit(self) -> str:
        """The unit, without the suffix of services."""
        return self.lanes[0].unit.removesuffix(".service")

    @property
    def restarts(self) -> int:
        """How many restarts there were."""
        return sum(lane.restarts for lane in self.lanes)

    @property
    def not_done(self) -> int:
        """How many lanes did not end with a host that was proved healthy."""
        return sum(not lane.done for lane in self.lanes)

    @property
    def in_hand_seconds(self) -> float:
        """The longest time in hand."""
        return max(lane.in_hand_seconds for lane in self.lanes)


def fold_lanes(lanes: Sequence[Lane], seconds: float) -> tuple[Row, ...]:
    """Return a row for each lane, or of more than ``MOST_LANES`` about as many rows, in the lanes' order.

    Bars of a range that are closer than a five hundredth of ``seconds``, the whole time, become one.
    """
    if len(lanes) <= MOST_LANES:
        return tuple(Row((lane,), lane.bars) for lane in lanes)
    alone = _notable(lanes)
    rest = [(index, lane) for index, lane in enumerate(lanes) if index not in alone]
    rows = [(index, Row((lanes[index],), lanes[index].bars)) for index in alone]
    size = -(-len(rest) // RANGES)
    for _, group in groupby(sorted(rest, key=_unit), key=_unit):
        members = sorted(group)
        for start in range(0, len(members), size):
            part = members[start : start + size]
            own = tuple(lane for _, lane in part)
            bars = join_bars((bar for lane in own for bar in lane.bars), seconds)
            rows.append((part[0][0], Row(own, bars)))
    return tuple(row for _, row in sorted(rows, key=lambda each: each[0]))


def join_bars(bars: Iterable[Bar], seconds: float) -> tuple[Bar, ...]:
    """Return the bars, those of one kind and verdict joined where they are closer than is seen."""
    gap, joined = seconds / 500, list[Bar]()
    for _, same in groupby(sorted(bars, key=_kind), key=lambda bar: _kind(bar)[:2]):
        joined += _join(same, gap)
    return tuple(sorted(joined, key=lambda bar: bar.start))


def _join(bars: Iterable[Bar], gap: float) -> Iterator[Bar]:
    """Yield the bars, given by their start, joined."""
    held: list[Bar] = []
    end = 0.0
    for bar in bars:
        if held and bar.start - end > gap:
            yield _one(held, end)
            held = []
        end = max(end, bar.end) if held else bar.end
        held.append(bar)
    if held:
        yield _one(held, end)


def _one(bars: Sequence[Bar], end: float) -> Bar:
    first = bars[0]
    if len(bars) == 1:
        return first
    label = count_of(len(bars), str(first.what))
    return first.model_copy(update={"end": end, "label": label})


def _kind(bar: Bar) -> tuple[str, str, float]:
    return str(bar.what), str(bar.outcome or ""), bar.start


def _unit(member: tuple[int, Lane]) -> str:
    return member[1].unit


def _notable(lanes: Sequence[Lane]) -> set[int]:
    """Return the indices of the first lanes that were not well, and of the slowest: twice as long in hand as usual."""
    ill = [index for index, lane in enumerate(lanes) if _is_ill(lane)]
    usual = median(lane.in_hand_seconds for lane in lanes)
    slow = [index for index, lane in enumerate(lanes) if lane.in_hand_seconds > 2 * usual]
    slowest = nlargest(SHOWN_SLOW, slow, key=lambda index: lanes[index].in_hand_seconds)
    return {*ill[:SHOWN_ILL], *slowest}


def _is_ill(lane: Lane) -> bool:
    return not lane.done or any(bar.outcome not in {None, Outcome.PASS} for bar in lane.bars)
