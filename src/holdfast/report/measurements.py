"""From journals, and what the instruments saw, to a report: pure, no I/O, no clock.

The journal says what was intended, done and judged, and when. It cannot say how long a service
really was out: that is the observer's part, kept apart from ours in every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from holdfast.errors import InvalidInput
from holdfast.journal.events import Recorded
from holdfast.report.model import Lane, Losses, Outage, Report
from holdfast.report.timeline import HostTimeline, Interval, RunTimeline, covered

# The observer names what it asks; only these differ from the unit that answers.
_UNITS = {"amqp": "rabbitmq-server", "http:nova-metadata": "nova-api-metadata"}


@dataclass(frozen=True)
class Observations:
    """The observer's outages in wall-clock time, the most hosts out at once, restarts it saw."""

    outages: tuple[tuple[str, str, datetime, datetime], ...]  # host, what, from, to
    out_at_most: dict[str, int]  # per service
    restarts: dict[str, dict[str, int]] = field(default_factory=dict)  # host -> unit -> how often


@dataclass(frozen=True)
class Carried:
    """What the traffic instrument counted, and when which host did not answer a call."""

    losses: Losses
    lost_calls: tuple[tuple[str, datetime, datetime], ...] = ()  # host, asked, given up


def build(
    journals: Sequence[Sequence[Recorded]],
    observed: Observations | None = None,
    carried: Carried | None = None,
) -> Report:
    """Fold one or several runs into a report.

    Raises:
        InvalidInput: a journal is empty; there is nothing to report.
    """
    if not journals or not all(journals):
        raise InvalidInput("There is no such run: its journal is empty", remedy="holdfast status")
    ordered = sorted(journals, key=lambda journal: journal[0].event.at)
    origin = ordered[0][0].event.at
    tellings = [RunTimeline(journal, origin) for journal in ordered]
    turns = list(chain.from_iterable(telling.turns for telling in tellings))
    lanes = _joined(turns)
    return Report(
        started_at=origin,
        seconds=max(telling.end for telling in tellings),
        runs=tuple(telling.part() for telling in tellings),
        lanes=tuple(_watched(lane, observed, origin) if observed else lane for lane in lanes),
        fleet=tuple(chain.from_iterable(telling.fleet for telling in tellings)),
        out_at_most=observed.out_at_most if observed else None,
        losses=_losses(carried, turns, tellings, origin) if carried else None,
    )


def _joined(turns: Sequence[HostTimeline]) -> list[Lane]:
    """Join the turns of one unit on one host: a resume, or a second run, goes on in its lane."""
    lanes: dict[tuple[str, str], list[HostTimeline]] = {}
    for turn in turns:
        lanes.setdefault((turn.host, turn.unit), []).append(turn)
    return [
        Lane(
            host=host,
            unit=unit,
            bars=tuple(bar for turn in own for bar in turn.bars),
            restarts=sum(turn.restarts for turn in own),
            done=own[-1].done,
            in_hand_seconds=covered(turn.in_hand for turn in own if turn.in_hand),
        )
        for (host, unit), own in lanes.items()
    ]


def _watched(lane: Lane, observed: Observations, origin: datetime) -> Lane:
    """Give a lane what the observer saw of its unit on its host."""
    unit, second = lane.unit.removesuffix(".service"), timedelta(seconds=1)
    outages = tuple(
        Outage(host=host, what=what, start=(since - origin) / second, end=(until - origin) / second)
        for host, what, since, until in observed.outages
        if host == lane.host and unit == _UNITS.get(what, what.partition(":")[2])
    )
    return lane.model_copy(
        update={
            "outages": outages,
            "out_seconds": covered((out.start, out.end) for out in outages),
            "restarts_seen": observed.restarts.get(lane.host, {}).get(unit, 0),
        }
    )


def _losses(
    carried: Carried, turns: Sequence[HostTimeline], runs: Sequence[RunTimeline], origin: datetime
) -> Losses:
    """Part the calls that no host in hand could have answered from those that should have been."""
    in_hand: dict[str, list[Interval]] = {}
    for turn in turns:
        if turn.in_hand:
            in_hand.setdefault(turn.host, []).append(turn.in_hand)
    calls = [
        (host, ((asked - origin).total_seconds(), (given_up - origin).total_seconds()))
        for host, asked, given_up in carried.lost_calls
    ]
    elsewhere = [
        call for host, call in calls if not any(_meet(call, hand) for hand in in_hand.get(host, ()))
    ]
    per_run = {
        run.run: sum(_meet(call, (run.start, run.end)) for call in elsewhere) for run in runs
    }
    found = {"calls_lost_elsewhere": len(elsewhere), "calls_lost_elsewhere_by_run": per_run}
    return carried.losses.model_copy(update=found)


def _meet(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
