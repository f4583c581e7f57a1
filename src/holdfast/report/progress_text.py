"""A run in progress as lines: its progress, and one line for each event. For terminals and for chat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from io import StringIO

from rich.console import Console, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from holdfast.journal.events import ApprovalRequested, Recorded
from holdfast.journal.run_state import Status, StepState
from holdfast.plan.approval import open_approval
from holdfast.report.event_text import EventText, describe_event, waiting_text
from holdfast.report.progress import RunProgress, StepRow
from holdfast.report.table import cut
from holdfast.text import count_of, format_clock, format_duration, one_line

STYLES = {
    "plain": "",
    "dim": "dim",
    "good": "green",
    "act": "bold blue",
    "warn": "yellow",
    "bad": "bold red",
}
_SHOWN_IN_HAND = 20
_WIDE = 10_000
"""No terminal is that wide: lines are broken by whoever shows the text, and commands stay whole."""


def plain(*parts: RenderableType) -> str:
    """Return what a terminal would show, as text without styles; lines are not wrapped."""
    console = Console(file=StringIO(), width=_WIDE, no_color=True, highlight=False, _environ={})
    with console.capture() as captured:
        for part in parts:
            console.print(part, markup=False, emoji=False)
    lines = (each.rstrip() for each in captured.get().splitlines())
    return "\n".join(lines).strip("\n")


def log_line(text: EventText, at: datetime) -> Text:
    """Return one line of a log: time, host, text."""
    line = Text().append(f"{format_clock(at)} ", style="dim")
    if text.host:
        line.append(f"{text.host} ", style="bold")
    return line.append(text.text, style=STYLES[text.tone])


def event_line(recorded: Recorded) -> Text:
    """Return one line of a log about an event of the journal."""
    line = log_line(describe_event(recorded.event), recorded.event.at)
    if isinstance(recorded.event, ApprovalRequested):
        line.append(f"; next: holdfast approve {recorded.run}")
    return line


def progress_lines(
    progress: RunProgress, now: datetime, spinner: Spinner | None = None
) -> Iterator[RenderableType]:
    """Yield the progress of a run as lines: title, steps, hosts in hand, what comes next.

    Without a spinner nothing in it moves. Of a run that has stopped the times are those of its end.
    """
    opened = progress.state.opened
    if progress.state.status is not Status.RUNNING:
        now = progress.state.at or now
    if opened is None:
        yield _spinning(spinner, Text("preparing"), now)
        return
    title = Text(
        f"{one_line(opened.runbook or opened.playbook)} at {one_line(opened.site)}", "bold"
    )
    title.append(f"  {progress.state.run}  {_since(opened.at, now)}", style="not bold dim")
    yield title
    yield cut(f"{opened.by}: {opened.reason}", "dim")
    for row in progress.steps():
        yield from _step_lines(progress, row, now, spinner)
    if upcoming := progress.upcoming():
        yield Text(f"  next: {upcoming}", style="dim")


def _step_lines(
    progress: RunProgress, row: StepRow, now: datetime, spinner: Spinner | None
) -> Iterator[RenderableType]:
    title = f"{row.number}. {row.title}"
    step = progress.state.steps.get(row.number, StepState(row.number))
    if step.finished:
        took = (
            f"  {format_duration((step.ended - step.started).total_seconds())}"
            if step.started and step.ended
            else ""
        )
        yield Text().append(f"  ✓ {title}", style="green").append(took, style="dim")
    elif step.started:
        count = (
            f"  {len(step.done_hosts)} of {count_of(len(row.hosts), 'host')}" if row.hosts else ""
        )
        yield Text().append(f"  ▸ {title}", style="bold").append(count, style="dim")
        yield from _hand_lines(progress, now, spinner)
    else:
        yield Text(f"    {title}", style="dim")


def _hand_lines(
    progress: RunProgress, now: datetime, spinner: Spinner | None
) -> Iterator[RenderableType]:
    if asked := open_approval(progress.state):
        yield _spinning(spinner, Text(waiting_text(asked), STYLES["warn"]), now)
        return
    hosts = progress.in_hand() or ("",)
    for host in hosts[:_SHOWN_IN_HAND]:
        text, at = progress.latest.get(host) or progress.latest.get("") or (EventText("…"), now)
        line = Text().append(f"{one_line(host)} " if host else "", style="bold")
        line.append(text.text, style=STYLES[text.tone])
        line.append(f"  {_since(at, now)}", style="dim")
        yield _spinning(spinner, line, now)
    if (more := len(hosts) - _SHOWN_IN_HAND) > 0:
        yield Text(f"          and {more} more in hand", "dim")


def _spinning(spinner: Spinner | None, line: Text, now: datetime) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    symbol = spinner.render(now.timestamp()) if spinner else "·"
    grid.add_row("     ", symbol, line)
    return grid


def _since(moment: datetime, now: datetime) -> str:
    return format_duration(max((now - moment).total_seconds(), 0.0))
