"""From journals, and what the instruments saw, to a report: pure, no I/O, no clock.

The journal says what was intended, done and judged, and when. It cannot say how long a service
really was out: that is the observer's part, kept apart from ours in every figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from holdfast import events
from holdfast.errors import InvalidInput
from holdfast.events import Recorded
from holdfast.model import Phase
from holdfast.report.model import Bar, Ending, Lane, Losses, Outage, Report, RunPart, Shares

Interval = tuple[float, float]

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
    tellings = [_Telling(origin).tell(journal) for journal in ordered]
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


@dataclass
class _Turn:
    """One host's turn as it unfolds; it becomes (part of) a lane."""

    host: str
    unit: str = ""
    bars: list[Bar] = field(default_factory=list)
    first_act: float | None = None
    end: float = 0.0
    restarts: int = 0
    done: bool = False

    @property
    def in_hand(self) -> Interval | None:
        return None if self.first_act is None else (self.first_act, self.end)


class _Telling:
    """Reads one journal from its first to its last event; ``turns`` are in order of their start."""

    def __init__(self, origin: datetime) -> None:
        self.turns: list[_Turn] = []
        self.fleet: list[Bar] = []
        self.start = self.end = 0.0
        self.ending: Ending = "under way"
        self.held_because = ""
        self._origin = origin
        self._hand: dict[str, _Turn] = {}
        self._last: dict[str, _Turn] = {}
        self._intended: dict[str, tuple[events.ActIntended, float]] = {}
        self._waits: list[Interval] = []
        self._waiting_since: float | None = None

    def tell(self, journal: Sequence[Recorded]) -> _Telling:
        """Read every event, then close what the journal leaves open at its last moment."""
        opened = journal[0].event
        if not isinstance(opened, events.RunOpened):
            raise InvalidInput(f"Run {journal[0].run}: its journal does not begin with run_opened")
        self.run, self.opened = journal[0].run, opened
        self.start = self._seconds(opened.at)
        for recorded in journal:
            self.end = max(self.end, self._seconds(recorded.event.at))
            self._read(recorded.event)
        for host in list(self._hand):
            self._close(host, self.end, done=False)
        self._wait_over(self.end)
        return self

    def part(self) -> RunPart:
        """Return what the report says of the run as a whole."""
        return RunPart(
            run=self.run,
            site=self.opened.site,
            runbook=self.opened.runbook or self.opened.playbook,
            by=self.opened.by,
            reason=self.opened.reason,
            ending=self.ending,
            held_because=self.held_because,
            start=self.start,
            end=self.end,
            shares=self._shares(),
            in_hand_at_most=at_most_at_once(turn.in_hand for turn in self.turns if turn.in_hand),
        )

    def _seconds(self, moment: datetime) -> float:
        return (moment - self._origin) / timedelta(seconds=1)

    def _read(self, event: events.Event) -> None:
        at = self._seconds(event.at)
        match event:
            case events.GateJudged():
                self._judged(event, at)
            case events.ActIntended():
                turn = self._turn(event.host)
                turn.first_act = at if turn.first_act is None else turn.first_act
                turn.unit = event.unit
                self._intended[event.host] = (event, at)
            case events.ActDone():
                self._acted(event, at)
            case events.HostDone():
                self._turn(event.host).unit = event.unit
                self._close(event.host, at, done=True)
            case _:
                self._read_run(event, at)

    def _read_run(self, event: events.Event, at: float) -> None:
        match event:
            case events.Held():
                self.ending, self.held_because = "held", event.evidence
                self._waiting_since = at
            case events.ApprovalWanted():
                self._waiting_since = at
            case events.Approved() | events.Resumed():
                self._wait_over(at)
                self.ending, self.held_because = "under way", ""
            case events.Refused():
                self.ending, self.held_because = "refused", event.evidence
            case events.Aborted():
                self.ending = "aborted"
            case events.Finished():
                self.ending = "finished"
            case _:
                pass  # steps, batches and leases have no place on a time line of hosts

    def _turn(self, host: str) -> _Turn:
        if host not in self._hand:
            self._hand[host] = _Turn(host)
            self.turns.append(self._hand[host])
        return self._hand[host]

    def _close(self, host: str, at: float, *, done: bool) -> None:
        turn = self._last[host] = self._hand.pop(host)
        turn.end, turn.done = at, done
        if host in self._intended:  # acted or not: nobody saw how it ended
            event, since = self._intended.pop(host)
            turn.bars.append(
                Bar(what=event.act, label=f"{event.act} (no result)", start=since, end=at)
            )

    def _judged(self, event: events.GateJudged, at: float) -> None:
        bar = Bar(
            what="gate",
            label=f"{event.phase}: {event.gate}",
            start=max(at - event.seconds, self.start),
            end=at,
            outcome=event.outcome,
        )
        in_hand = event.host in self._hand or event.phase == Phase.PREFLIGHT
        if event.phase in tuple(Phase) and (in_hand or event.host not in self._last):
            self._turn(event.host).bars.append(bar)
        elif event.phase not in {"survey", "check"} and event.host in self._last:
            # A sweep, or a gate of the whole service that is asked at the host done last.
            self._last[event.host].bars.append(bar)
        else:
            self.fleet.append(bar)

    def _acted(self, event: events.ActDone, at: float) -> None:
        turn = self._turn(event.host)
        _, since = self._intended.pop(event.host, (None, at - event.seconds))
        turn.bars.append(Bar(what=event.act, label=event.act, start=since, end=at))
        turn.restarts += event.act == "restart" and event.changed

    def _wait_over(self, at: float) -> None:
        if self._waiting_since is not None:
            self._waits.append((self._waiting_since, at))
            self._waiting_since = None

    def _shares(self) -> Shares:
        bars = [bar for turn in self.turns for bar in turn.bars] + self.fleet
        acting = [(bar.start, bar.end) for bar in bars if bar.what != "gate"]
        gating = [(bar.start, bar.end) for bar in bars if bar.what == "gate"]
        total = self.end - self.start
        acted = covered(acting)
        looked = covered(acting + gating)
        waited = covered(acting + gating + self._waits)
        return Shares(
            total_seconds=total,
            acting_seconds=acted,
            gating_seconds=looked - acted,
            waiting_seconds=waited - looked,
            overhead_seconds=total - waited,
        )


def covered(intervals: Iterable[Interval]) -> float:
    """Return how many seconds at least one of the intervals covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def at_most_at_once(intervals: Iterable[Interval]) -> int:
    """Return how many of the intervals overlap at most; one ending as another begins do not."""
    edges = sorted(
        chain.from_iterable(((start, 1), (end, -1)) for start, end in intervals),
    )
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


def _joined(turns: Sequence[_Turn]) -> list[Lane]:
    """Join the turns of one unit on one host: a resume, or a second run, goes on in its lane."""
    lanes: dict[tuple[str, str], list[_Turn]] = {}
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
    carried: Carried, turns: Sequence[_Turn], runs: Sequence[_Telling], origin: datetime
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
