"""A journal read as turns: which host was in hand when, what was done to it, where the time went.

Pure. Believes the journal alone; what an observer saw is set beside it in ``measure``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from holdfast.errors import InvalidInput
from holdfast.journal import events
from holdfast.journal.events import Recorded
from holdfast.model import Act, Phase
from holdfast.report.model import Bar, Ending, RunPart, Shares

Interval = tuple[float, float]

_ENDINGS: dict[type[events.Event], Ending] = {
    events.Held: "held",
    events.RunRefused: "refused",
    events.Aborted: "aborted",
    events.Finished: "finished",
}


@dataclass
class HostTimeline:
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
        """From the first intended act to the end of the turn."""
        return None if self.first_act is None else (self.first_act, self.end)


class RunTimeline:
    """Reads one journal from its first to its last event; ``turns`` are in order of their start."""

    def __init__(self, origin: datetime) -> None:
        self.turns: list[HostTimeline] = []
        self.fleet: list[Bar] = []
        self.start = self.end = 0.0
        self.ending: Ending = "under way"
        self.held_because = ""
        self._origin = origin
        self._hand: dict[str, HostTimeline] = {}
        self._last: dict[str, HostTimeline] = {}
        self._intended: dict[str, tuple[events.ActIntended, float]] = {}
        self._unseen: dict[str, events.ActIntended] = {}  # restarts whose end nobody saw
        self._waits: list[Interval] = []
        self._waiting_since: float | None = None

    def tell(self, journal: Sequence[Recorded]) -> RunTimeline:
        """Read every event, then close what the journal leaves open at its last moment."""
        opened = journal[0].event
        if not isinstance(opened, events.RunOpened):
            raise InvalidInput(f"Run {journal[0].run}: its journal does not begin with run_opened")
        self.run, self.opened = journal[0].run, opened
        self.start = self._seconds(opened.at)
        self.end = self.start
        for recorded in journal:
            self._read(recorded.event)
            self.end = max(self.end, self._seconds(recorded.event.at))
        for host in list(self._hand):
            self._close(host, self.end, done=False)
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
            case events.Observed():
                self._found(event)
            case events.HostDone():
                self._turn(event.host).unit = event.unit
                self._cut_short(event.host, at)
                self._found(event)
                self._close(event.host, at, done=True)
            case _:
                self._read_run(event, at)

    def _read_run(self, event: events.Event, at: float) -> None:
        match event:
            case events.Held() | events.RunRefused() | events.Aborted() | events.Finished():
                self.ending = _ENDINGS[type(event)]
                self.held_because = getattr(event, "evidence", "")
                self._waiting_since = at  # until somebody resumes, if somebody does
            case events.ApprovalRequested():
                self._waiting_since = at
            case events.Approved():
                self._wait_over(at)
            case events.Resumed():
                self._resumed(at)
            case events.BatchEnded():
                for host in event.hosts:
                    self._cut_short(host, at)
            case _:
                pass  # steps, batches and leases have no place on a time line of hosts

    def _turn(self, host: str) -> HostTimeline:
        if host not in self._hand:
            self._hand[host] = HostTimeline(host)
            self.turns.append(self._hand[host])
        return self._hand[host]

    def _close(self, host: str, at: float, *, done: bool) -> None:
        self._cut_short(host, at)
        turn = self._last[host] = self._hand.pop(host)
        turn.end, turn.done = at, done

    def _cut_short(self, host: str, at: float) -> None:
        """An act of which no end is journaled: until now nobody knows more."""
        if host not in self._intended:
            return
        event, since = self._intended.pop(host)
        label = f"{event.act} (no result)"
        self._turn(host).bars.append(Bar(what=event.act, label=label, start=since, end=at))
        if event.act is Act.RESTART:
            self._unseen[host] = event

    def _found(self, event: events.Observed | events.HostDone) -> None:
        """The host says later which start runs: another one than in the intent was our restart."""
        intent = self._unseen.get(event.host)
        if intent and (intent.unit, intent.invocation_id) != (event.unit, event.invocation_id):
            self._turn(event.host).restarts += intent.unit == event.unit
            del self._unseen[event.host]

    def _resumed(self, at: float) -> None:
        """From the last word before, of a hold or of a driver that died, nothing happened."""
        for host in list(self._intended):
            self._cut_short(host, self.end)
        if self._waiting_since is None:
            self._waiting_since = self.end
        self._wait_over(at)
        self.ending, self.held_because = "under way", ""

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
        turn.restarts += event.act is Act.RESTART and event.changed

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
