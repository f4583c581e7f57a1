"""Where a run is just now: its steps, the hosts in hand, the gate that is being read, what is next.

The journal's own state plus what no journal holds: the last thing said of each host. Pure: "now"
is an argument of whoever draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.journal import RunState, advance, events
from holdfast.journal.events import Recorded
from holdfast.report.sentences import Sentence, sentence_for
from holdfast.text import count_of, join_names, one_line


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the plan; ``hosts`` are those that its roll takes in hand, if it is one."""

    number: int
    title: str
    hosts: tuple[str, ...] = ()


@dataclass(slots=True)
class RunProgress:
    """The state of one run as its reader sees it."""

    state: RunState = field(default_factory=RunState)
    said: dict[str, tuple[Sentence, datetime]] = field(default_factory=dict)

    def hear(self, recorded: Recorded) -> None:
        """Take in the next event of the journal."""
        event = recorded.event
        advance(self.state, [recorded])
        if isinstance(event, events.BatchStarted | events.InspectionStarted):
            self.said = {"": (sentence_for(event), event.at)}
        if sentence_for(event).host:
            self.said[sentence_for(event).host] = (sentence_for(event), event.at)

    def note(self, host: str, text: str, at: datetime) -> None:
        """Take in a live reading or task."""
        self.said[one_line(host)] = (Sentence(one_line(text)), at)

    def steps(self) -> Iterator[StepRow]:
        """The plan's steps; those of a run without a plan (by hand) as far as it has come."""
        plan = self.state.opened.plan if self.state.opened else {}
        for step in plan.get("steps", ()):
            hosts = tuple(one_line(host) for host in step.get("hosts", ()))
            yield StepRow(int(step["number"]), one_line(step["title"]), hosts)
        if not plan.get("steps"):
            yield from (
                StepRow(step.number, one_line(step.title)) for step in self.state.steps.values()
            )

    def finished(self, row: StepRow) -> bool:
        """Whether the step ended well."""
        return row.number in self.state.steps and self.state.steps[row.number].finished

    def done(self, row: StepRow) -> list[str]:
        """The step's hosts whose turn ended well."""
        return self.state.steps[row.number].done() if row.number in self.state.steps else []

    def in_hand(self) -> tuple[str, ...]:
        """The hosts whose turn it is."""
        return self.state.batch.hosts if self.state.batch else ()

    def upcoming(self) -> str:
        """Say what comes after what is in hand; empty when this is the last."""
        rows = list(self.steps())
        for row in rows:
            if row.number == self.state.current_step:
                past = {*self.done(row), *self.in_hand()}
                left = [host for host in row.hosts if host not in past]
                if left and not self.finished(row):
                    return f"{count_of(len(left), 'host')} left: {join_names(left)}"
        following = next((row for row in rows if row.number > self.state.current_step), None)
        return f"step {following.number}: {following.title}" if following else ""
