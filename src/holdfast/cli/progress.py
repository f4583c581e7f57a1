"""How a run is shown while it runs: a board that stays in place on a terminal, lines anywhere else.

Both say the same sentences. Nothing here decides anything or talks to the engine.
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
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import line, progress_lines
from holdfast.report.sentences import Sentence, sentence_for
from holdfast.text import one_line

QUIET = timedelta(seconds=15)
_FIGURES = re.compile(r"\d+")
_SETTLED = re.compile(r" PASS (\d+)/\1 readings(, (\d+) of \3 s)? \(")
FOOT = "Ctrl-C stops at the next boundary; a second Ctrl-C is the hard stop."


class Screen(Protocol):
    """Where progress is shown."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def hear(self, recorded: Recorded) -> None:
        """Show the next event of the journal."""
        ...

    def note(self, host: str, task: str, reading: str) -> None:
        """Show what is being done at a host; ``reading`` is empty where the task is no gate."""
        ...

    def say(self, text: str) -> None:
        """Show a line of our own, such as the answer to Ctrl-C."""
        ...


class Lines:
    """One line for each event, and for readings what is new or, every so often, that it goes on."""

    def __init__(self, console: Console, now: Callable[[], datetime]) -> None:
        self._console = console
        self._now = now
        self._last: dict[str, tuple[str, datetime]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def hear(self, recorded: Recorded) -> None:
        """Print the event's sentence. A sweep has one for every host done: only what is wrong is said."""
        event = recorded.event
        if isinstance(event, GateJudged) and event.phase == "sweep" and _small(recorded):
            return
        self._print(line(sentence_for(recorded.event), recorded.event.at))

    def note(self, host: str, task: str, reading: str) -> None:
        """Print the reading if more than its figures changed, or the last one was a while ago."""
        if _SETTLED.search(reading):  # the verdict is about to be said as an event
            return
        said, now = reading_words(host, task, reading), self._now()
        words, at = self._last.get(host, ("", now))
        gist = _FIGURES.sub("", said)
        if said and (gist != words or now - at >= QUIET):
            self._last[host] = (gist, now)
            self._print(line(Sentence(said, "dim", one_line(host)), now))

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self._print(line(Sentence(one_line(text), "warn"), self._now()))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class JsonLines:
    """Each event of the journal as one line of JSON, for programs."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def hear(self, recorded: Recorded) -> None:
        """Print the event."""
        self._emit(recorded.model_dump_json())

    def note(self, host: str, task: str, reading: str) -> None:
        """Readings are for people; the verdict comes as an event."""

    def say(self, text: str) -> None:
        """The answer to a signal comes as an event, too."""


class LivePanel:
    """The board, redrawn in place a few times a second; what is worth keeping scrolls above it."""

    def __init__(self, console: Console, now: Callable[[], datetime], foot: str = FOOT) -> None:
        self._console = console
        self._now = now
        self._foot = foot
        self._board = RunProgress()
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def hear(self, recorded: Recorded) -> None:
        """Take the event onto the board, and print its sentence above where it is worth keeping."""
        self._board.hear(recorded)
        if not isinstance(recorded.event, InspectionStarted | InspectionEnded) and not _small(
            recorded
        ):
            self._console.print(line(sentence_for(recorded.event), recorded.event.at))

    def note(self, host: str, task: str, reading: str) -> None:
        """Show the reading, or else the task, at its host."""
        self._board.note(host, reading_words(host, task, reading) or task, self._now())

    def say(self, text: str) -> None:
        """Print a line of our own above the board."""
        self._console.print(line(Sentence(one_line(text), "warn"), self._now()))

    def _draw(self) -> RenderableType:
        return Group(
            Text(), *progress_lines(self._board, self._now(), self._spinner), self._text_foot()
        )

    def _text_foot(self) -> Text:
        abort = self._board.state.abort_request
        if abort:
            return Text(f"\n{sentence_for(abort).text}", style="yellow")
        return Text(f"\n{self._foot}", style="dim")


def reading_words(host: str, task: str, reading: str) -> str:
    """Shorten a gate's reading: who it is about is said beside it, and passing claims have a name."""
    said = one_line(reading).removeprefix(f"gate {host} ")
    _, passes, settling = said.partition(" PASS ")
    gate = one_line(task).rpartition(" : ")[2]  # without the role's name
    return f"{gate}: PASS {settling}" if passes else said


def _small(recorded: Recorded) -> bool:
    """Passed gates are shown on the board and kept in the journal; they need no line of their own."""
    return isinstance(recorded.event, GateJudged) and sentence_for(recorded.event).tone == "good"
