"""How far a run is: its steps, the hosts in hand, the latest message of each host, what comes next.

The state of the run, and what no journal holds: live readings. Pure: "now" is an argument of
whoever draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.journal import events
from holdfast.journal.events import Recorded
from holdfast.journal.fold import advance
from holdfast.journal.run_state import RunState
from holdfast.model import Json
from holdfast.report.event_text import EventText, describe_event
from holdfast.text import count_of, join_names, one_line


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the plan; ``hosts`` are those of a roll, in the order of the inventory."""

    number: int
    title: str
    hosts: tuple[str, ...] = ()


@dataclass(slots=True)
class RunProgress:
    """The state of one run and the latest message of each host, with its time.

    ``latest[""]`` is the latest message that belongs to no host.
    """

    state: RunState = field(default_factory=RunState)
    latest: dict[str, tuple[EventText, datetime]] = field(default_factory=dict)
    _planned: tuple[StepRow, ...] | None = None

    def add(self, recorded: Recorded) -> None:
        """Add the next event of the journal."""
        event, text = recorded.event, describe_event(recorded.event)
        advance(self.state, [recorded])
        if isinstance(event, events.BatchStarted | events.InspectionStarted):
            beside = set(self.in_hand()).difference(event.hosts)
            kept = {host: last for host, last in self.latest.items() if host in beside}
            self.latest = {**kept, "": (text, event.at)}
        if text.host:
            self.latest[text.host] = (text, event.at)

    def add_reading(self, host: str, text: str, at: datetime) -> None:
        """Add a live reading, or the name of the task that runs at the host."""
        self.latest[one_line(host)] = (EventText(one_line(text)), at)

    def steps(self) -> Iterator[StepRow]:
        """Yield the steps of the plan; of a run without a plan that can be read, those that have begun."""
        if self._planned is None and self.state.opened is not None:
            self._planned = tuple(_step_rows(self.state.opened.plan.get("steps")))
        yield from self._planned or ()
        if not self._planned:
            yield from (
                StepRow(step.number, one_line(step.title)) for step in self.state.steps.values()
            )

    def in_hand(self) -> tuple[str, ...]:
        """The hosts of the batches that are under way."""
        return self.state.hosts_under_way()

    def upcoming(self) -> str:
        """Return what comes after the hosts in hand; the empty string if nothing does."""
        for row in self.steps():
            step = self.state.steps.get(row.number)
            if row.number == self.state.current_step and step and not step.finished:
                done, in_hand = step.done_hosts, self.in_hand()
                left = [host for host in row.hosts if host not in done and host not in in_hand]
                if left:
                    return f"{count_of(len(left), 'host')} left: {join_names(left)}"
            if row.number > self.state.current_step:
                return f"step {row.number}: {row.title}"
        return ""


def _step_rows(steps: Json) -> Iterator[StepRow]:
    """Yield the steps of a journaled plan; one of another version may have any shape."""
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and isinstance(step.get("number"), int):
            hosts = step.get("hosts") or ()
            names = tuple(one_line(str(host)) for host in hosts) if isinstance(hosts, list) else ()
            yield StepRow(step["number"], one_line(str(step.get("title") or "")), names)
