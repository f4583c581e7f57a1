"""Shows a run while it is under way: a panel that stays in place on a terminal, else lines.

Both show the same texts. Nothing here decides anything or calls the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from holdfast.journal.events import (
    AbortRequested,
    Event,
    GateJudged,
    InspectionEnded,
    InspectionStarted,
    Recorded,
)
from holdfast.model import Outcome
from holdfast.report.event_text import EventText, describe_event
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import event_line, log_line, progress_lines
from holdfast.text import one_line

QUIET = timedelta(seconds=15)
_FIGURES = re.compile(r"\d+")
_SETTLED = re.compile(r" PASS (\d+)/\1 readings(, (\d+) of \3 s)? \(")
FOOTER = "Ctrl-C stops at the next boundary; a second Ctrl-C is the hard stop."


class ProgressDisplay:
    """Shows the progress of a run; on its own it shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def catch_up(self, journal: Iterable[Recorded]) -> None:
        """Take in the events of a run that is resumed: what comes next follows from them."""

    def show_event(self, recorded: Recorded) -> None:
        """Show the next event of the journal."""

    def show_reading(self, host: str, task: str, reading: str) -> None:
        """Show what runs at a host: a task, or the reading of a gate; without a gate it is empty."""

    def show_message(self, text: str) -> None:
        """Show a message of the program, such as the confirmation of Ctrl-C."""


class JsonLines(ProgressDisplay):
    """Each event of the journal as a line of JSON, for programs.

    Readings are for people, and the verdict follows as an event; so does a request to stop.
    """

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line

    def show_event(self, recorded: Recorded) -> None:
        """Print the event."""
        self._write_line(recorded.model_dump_json())


class LogLines(ProgressDisplay):
    """One line for each event, and for readings that differ from the last or come a while after it."""

    def __init__(self, console: Console, now: Callable[[], datetime]) -> None:
        self._console = console
        self._now = now
        self._last: dict[str, tuple[str, datetime]] = {}

    def show_event(self, recorded: Recorded) -> None:
        """Print the event; a gate of a sweep, which precedes every batch, only if it did not pass."""
        if not _is_passed_gate(recorded.event, "sweep"):
            self._print(event_line(recorded))

    def show_reading(self, host: str, task: str, reading: str) -> None:
        """Print the reading if more than its figures changed, or the last one is a while ago."""
        if _SETTLED.search(reading):  # the verdict follows as an event
            return
        text, now = shorten_reading(host, task, reading), self._now()
        before, at = self._last.get(host, ("", now))
        without_figures = _FIGURES.sub("", text)
        if text and (without_figures != before or now - at >= QUIET):
            self._last[host] = (without_figures, now)
            self._print(log_line(EventText(text, "dim", one_line(host)), now))

    def show_message(self, text: str) -> None:
        """Print the message."""
        self._print(log_line(EventText(one_line(text), "warn"), self._now()))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class LivePanel(ProgressDisplay):
    """The progress of the run, redrawn in place a few times a second; events scroll above it."""

    def __init__(self, console: Console, now: Callable[[], datetime], footer: str = FOOTER) -> None:
        self._console = console
        self._now = now
        self._footer = footer
        self._progress = RunProgress()
        self._past_request: AbortRequested | None = None
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)  # else its first lines are those from before `catch_up`
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def catch_up(self, journal: Iterable[Recorded]) -> None:
        """Add the events to the panel, and print none of them."""
        for recorded in journal:
            self._progress.add(recorded)
        self._past_request = self._progress.state.abort_request

    def show_event(self, recorded: Recorded) -> None:
        """Add the event to the panel; print it above unless it is a passed gate or an inspection."""
        self._progress.add(recorded)
        in_panel = isinstance(recorded.event, InspectionStarted | InspectionEnded)
        if not in_panel and not _is_passed_gate(recorded.event):
            self._console.print(event_line(recorded))

    def show_reading(self, host: str, task: str, reading: str) -> None:
        """Show the reading, or else the task, at its host."""
        self._progress.add_reading(host, shorten_reading(host, task, reading) or task, self._now())

    def show_message(self, text: str) -> None:
        """Print the message above the panel."""
        self._console.print(log_line(EventText(one_line(text), "warn"), self._now()))

    def _draw(self) -> RenderableType:
        lines = progress_lines(self._progress, self._now(), self._spinner)
        abort = self._progress.state.abort_request
        footer = Text(self._footer, "dim")
        if abort is not None and abort is not self._past_request:
            footer = Text(describe_event(abort).text, "yellow")
        return Group(Text(), *lines, Text(), footer)


def progress_display(
    console: Console, now: Callable[[], datetime], footer: str = FOOTER
) -> ProgressDisplay:
    """Return a panel on a terminal, else lines."""
    redrawn = console.is_terminal and not console.is_dumb_terminal
    return LivePanel(console, now, footer) if redrawn else LogLines(console, now)


def shorten_reading(host: str, task: str, reading: str) -> str:
    """Return a gate's reading without the host, which is shown beside it.

    Of a gate that passes, the task's name replaces the names of its claims.
    """
    text = one_line(reading).removeprefix(f"gate {host} ")
    _, passes, settling = text.partition(" PASS ")
    gate = one_line(task).rpartition(" : ")[2]  # without the role's name
    return f"{gate}: PASS {settling}" if passes else text


def _is_passed_gate(event: Event, phase: str = "") -> bool:
    """Return whether the event is a passed gate, of this phase if one is named."""
    if not isinstance(event, GateJudged) or event.outcome is not Outcome.PASS:
        return False
    return phase in {"", event.phase}
