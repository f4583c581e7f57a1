"""Shows a run while it is under way: a panel that stays in place on a terminal, else lines.

Both show the same texts. Nothing here decides anything or calls the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from holdfast.journal.events import GateJudged, InspectionEnded, InspectionStarted, Recorded
from holdfast.report.event_text import EventText, describe_event
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import log_line, progress_lines
from holdfast.text import one_line

QUIET = timedelta(seconds=15)
_FIGURES = re.compile(r"\d+")
_SETTLED = re.compile(r" PASS (\d+)/\1 readings(, (\d+) of \3 s)? \(")
FOOTER = "Ctrl-C stops at the next boundary; a second Ctrl-C is the hard stop."


class ProgressDisplay(Protocol):
    """Something that shows the progress of a run."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show_event(self, recorded: Recorded) -> None:
        """Show the next event of the journal."""
        ...

    def show_reading(self, host: str, task: str, reading: str) -> None:
        """Show what runs at a host: a task, or the reading of a gate; without a gate it is empty."""
        ...

    def show_message(self, text: str) -> None:
        """Show a message of the program, such as the confirmation of Ctrl-C."""
        ...


class LogLines:
    """One line for each event, and for readings that differ from the last or come a while after it."""

    def __init__(self, console: Console, now: Callable[[], datetime]) -> None:
        self._console = console
        self._now = now
        self._last: dict[str, tuple[str, datetime]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show_event(self, recorded: Recorded) -> None:
        """Print the event; a gate of a sweep, of which there is one per host done, only if it failed."""
        event = recorded.event
        if isinstance(event, GateJudged) and event.phase == "sweep" and _is_passed_gate(recorded):
            return
        self._print(log_line(describe_event(recorded.event), recorded.event.at))

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


class JsonLines:
    """Each event of the journal as a line of JSON, for programs."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show_event(self, recorded: Recorded) -> None:
        """Print the event."""
        self._write_line(recorded.model_dump_json())

    def show_reading(self, host: str, task: str, reading: str) -> None:
        """Do nothing: readings are for people, the verdict follows as an event."""

    def show_message(self, text: str) -> None:
        """Do nothing: the request to stop follows as an event."""


class LivePanel:
    """The progress of the run, redrawn in place a few times a second; events scroll above it."""

    def __init__(self, console: Console, now: Callable[[], datetime], footer: str = FOOTER) -> None:
        self._console = console
        self._now = now
        self._footer = footer
        self._progress = RunProgress()
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show_event(self, recorded: Recorded) -> None:
        """Add the event to the panel; print it above unless it is a passed gate or an inspection."""
        self._progress.add(recorded)
        if not isinstance(
            recorded.event, InspectionStarted | InspectionEnded
        ) and not _is_passed_gate(recorded):
            self._console.print(log_line(describe_event(recorded.event), recorded.event.at))

    def show_reading(self, host: str, task: str, reading: str) -> None:
        """Show the reading, or else the task, at its host."""
        self._progress.add_reading(host, shorten_reading(host, task, reading) or task, self._now())

    def show_message(self, text: str) -> None:
        """Print the message above the panel."""
        self._console.print(log_line(EventText(one_line(text), "warn"), self._now()))

    def _draw(self) -> RenderableType:
        return Group(
            Text(), *progress_lines(self._progress, self._now(), self._spinner), self._draw_footer()
        )

    def _draw_footer(self) -> Text:
        abort = self._progress.state.abort_request
        if abort:
            return Text(f"\n{describe_event(abort).text}", style="yellow")
        return Text(f"\n{self._footer}", style="dim")


def shorten_reading(host: str, task: str, reading: str) -> str:
    """Return a gate's reading without the host, which is shown beside it.

    Of a gate that passes, the task's name replaces the names of its claims.
    """
    text = one_line(reading).removeprefix(f"gate {host} ")
    _, passes, settling = text.partition(" PASS ")
    gate = one_line(task).rpartition(" : ")[2]  # without the role's name
    return f"{gate}: PASS {settling}" if passes else text


def _is_passed_gate(recorded: Recorded) -> bool:
    """Return whether the event needs no line: a passed gate is in the panel and in the journal."""
    return isinstance(recorded.event, GateJudged) and describe_event(recorded.event).tone == "good"
