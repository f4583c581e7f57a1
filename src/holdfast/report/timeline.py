"""Places a run on a time axis: turns of hosts with acts and gates, and the time spent waiting.

Pure. The results of acts and the status of the run come from the fold (``holdfast.journal``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, chain
from typing import Literal

from holdfast.errors import InvalidInput
from holdfast.journal import events
from holdfast.journal.events import Recorded
from holdfast.journal.fold import fold
from holdfast.journal.run_state import ActRecord, Status
from holdfast.model import Act, Phase
from holdfast.report.model import Bar, HumanDecision, RunSummary, TimeShares

_What = Literal["approved", "rejected", "abort requested", "hard stop requested", "resumed"]
Interval = tuple[float, float]


@dataclass
class HostTimeline:
    """One turn of one host; it becomes a lane or a part of one."""

    host: str
    unit: str = ""
    bars: list[Bar] = field(default_factory=list)
    first_act: float | None = None
    end: float = 0.0
    restarts: int = 0
    done: bool = False

    @property
    def in_hand(self) -> Interval | None:
        """From the first intended act to the end of the turn; None without an act."""
        return None if self.first_act is None else (self.first_act, self.end)


class RunTimeline:
    """The timeline of one run; times are seconds since ``origin``, ``turns`` in order of their start.

    Raises:
        InvalidInput: the journal does not begin with ``run_opened``.
    """

    def __init__(self, journal: Sequence[Recorded], origin: datetime) -> None:
        self.turns: list[HostTimeline] = []
        self.fleet: list[Bar] = []
        self._origin = origin
        self._state = fold(journal)
        self._open: dict[str, HostTimeline] = {}  # by host
        self._last: dict[str, HostTimeline] = {}  # by host, its last turn that has ended
        self._waits = [(self._seconds(start), self._seconds(end)) for start, end in waits(journal)]
        opened = journal[0].event
        if not isinstance(opened, events.RunOpened):
            raise InvalidInput(f"Run {self._state.run}: its journal does not begin with run_opened")
        self._opened = opened
        self.start = self._seconds(opened.at)
        self.end = self._seconds(max(recorded.event.at for recorded in journal))
        self._decisions = [
            HumanDecision(at=self._seconds(each.event.at), what=what, by=by, reason=reason)
            for each in journal
            for what, by, reason in _decided(each.event)
        ]
        self._place_all(journal)
        for host in list(self._open):
            self._close(host, self.end, done=False)

    def summary(self) -> RunSummary:
        """Return the summary of the run."""
        state, opened = self._state, self._opened
        stopped = {Status.HELD: state.held, Status.REFUSED: state.refused}.get(state.status)
        return RunSummary(
            run=state.run,
            site=opened.site,
            runbook=opened.runbook or opened.playbook,
            by=opened.by,
            reason=opened.reason,
            ending="under way" if state.status is Status.RUNNING else str(state.status),
            held_because=stopped.evidence if stopped else "",
            start=self.start,
            end=self.end,
            shares=self._time_shares(),
            in_hand_at_most=at_most_at_once(turn.in_hand for turn in self.turns if turn.in_hand),
            decisions=tuple(self._decisions),
        )

    def _seconds(self, moment: datetime) -> float:
        return (moment - self._origin) / timedelta(seconds=1)

    def _place_all(self, journal: Sequence[Recorded]) -> None:
        acts = {act.seq: act for act in self._state.acts}
        for recorded in journal:
            event, at = recorded.event, self._seconds(recorded.event.at)
            match event:
                case events.GateJudged():
                    self._place_gate(event, at)
                case events.ActIntended() | events.ActDone() if recorded.seq in acts:
                    self._place_act(acts[recorded.seq], at)
                case events.HostDone():
                    self._turn(event.host).unit = event.unit
                    self._close(event.host, at, done=True)

    def _turn(self, host: str) -> HostTimeline:
        if host not in self._open:
            self._open[host] = HostTimeline(host)
            self.turns.append(self._open[host])
        return self._open[host]

    def _close(self, host: str, at: float, *, done: bool) -> None:
        turn = self._last[host] = self._open.pop(host)
        turn.end, turn.done = at, done

    def _place_act(self, act: ActRecord, at: float) -> None:
        event, turn = act.event, self._turn(act.event.host)
        end = self._seconds(act.ended) if act.ended else self.end
        label = event.act if act.done else f"{event.act} (no result)"
        if act.intended:
            turn.unit = event.unit
            turn.first_act = at if turn.first_act is None else turn.first_act
        elif act.done:
            at -= act.done.seconds
        turn.bars.append(Bar(what=event.act, label=label, start=at, end=end))
        turn.restarts += event.act is Act.RESTART and bool(act.changed)

    def _place_gate(self, event: events.GateJudged, at: float) -> None:
        bar = Bar(
            what="gate",
            label=f"{event.phase}: {event.gate}",
            start=max(at - event.seconds, self.start),
            end=at,
            outcome=event.outcome,
        )
        in_hand = event.host in self._open or event.phase == Phase.PREFLIGHT
        if event.phase in tuple(Phase) and (in_hand or event.host not in self._last):
            self._turn(event.host).bars.append(bar)
        elif event.phase in tuple(Phase) and event.host in self._last:
            # A gate of the whole service at the host that was done last.
            self._last[event.host].bars.append(bar)
        else:
            self.fleet.append(bar)

    def _time_shares(self) -> TimeShares:
        bars = [bar for turn in self.turns for bar in turn.bars] + self.fleet
        acting = [(bar.start, bar.end) for bar in bars if bar.what != "gate"]
        gating = [(bar.start, bar.end) for bar in bars if bar.what == "gate"]
        total = self.end - self.start
        acts = covered(acting)
        with_gates = covered(acting + gating)
        with_waits = covered(acting + gating + self._waits)
        return TimeShares(
            total_seconds=total,
            acting_seconds=acts,
            gating_seconds=with_gates - acts,
            waiting_seconds=with_waits - with_gates,
            overhead_seconds=total - with_waits,
        )


def _decided(event: events.Event) -> Iterator[tuple[_What, str, str]]:
    """Yield what a person decided with this event, who, and why."""
    match event:
        case events.Approved():
            yield "approved", _name(event.person, event.by), ""
        case events.Rejected():
            yield "rejected", _name(event.person, event.by), event.reason
        case events.AbortRequested():
            yield ("hard stop requested" if event.hard else "abort requested"), event.by, ""
        case events.Resumed():
            yield "resumed", event.by, event.reason


def _name(person: str, by: str) -> str:
    return f"{person} ({by})" if person else by


def waits(journal: Iterable[Recorded]) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the run waited: for an approval or, stopped or without a driver, for a resume."""
    since = previous = None
    for recorded in journal:
        event = recorded.event
        match event:
            case events.Resumed() | events.Approved() | events.Rejected():
                if isinstance(event, events.Resumed):
                    since = since or previous
                if since:
                    yield since, event.at
                since = None
            case events.ApprovalRequested():
                since = event.at
        previous = max(previous or event.at, event.at)


def covered(intervals: Iterable[Interval]) -> float:
    """Return how many seconds at least one of the intervals covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def at_most_at_once(intervals: Iterable[Interval]) -> int:
    """Return how many of the intervals overlap at most; one ending as another begins do not."""
    edges = sorted(chain.from_iterable(((start, 1), (end, -1)) for start, end in intervals))
    return max(accumulate(change for _, change in edges), default=0)
