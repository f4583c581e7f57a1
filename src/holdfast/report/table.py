"""A report as tables: hosts, then how the time was spent. Also the layout of all tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from holdfast.report.folding import fold_lanes
from holdfast.report.model import Report, RunSummary
from holdfast.text import format_duration, one_line

_UNLIMITED = 10_000
_ENDING_STYLE = {"finished": "green", "held": "bold red", "aborted": "yellow"}


def report_tables(report: Report) -> RenderableType:
    """Return what ``holdfast report`` prints."""
    most = max((run.in_hand_at_most for run in report.runs), default=0)
    at_once = Text().append("At once at most: ", style="bold").append(f"{most} in hand")
    headlines = [_headline(run) for run in report.runs]
    return Group(*headlines, Text(), _hosts(report), Text(), _time(report), Text(), at_once)


def _headline(run: RunSummary) -> Text:
    line = Text().append(one_line(f"{run.runbook} at {run.site}:"), style="bold")
    line.append(f" {run.ending}", style=_ENDING_STYLE.get(run.ending, "bold"))
    line.append(f" after {format_duration(run.end - run.start)} ({run.run})\n")
    line.append(one_line(f"{run.by}: {run.reason}"), style="dim")
    for each in run.decisions:
        because = f": {each.reason}" if each.reason else ""
        after = format_duration(each.at - run.start)
        told = one_line(f"{each.what} by {each.by} after {after}{because}")
        line.append(f"\n{told}", style="dim")
    if run.held_because:
        line.append(f"\n{one_line(run.held_because)}", style="red")
    return line


def _hosts(report: Report) -> Table:
    table = columns("host", "unit", ">restarts", ">in hand", "")
    for row in fold_lanes(report.lanes, report.seconds):
        not_done = f"{row.not_done} not done" if row.is_range else "not done"
        table.add_row(
            Text(one_line(row.name), "bold"),
            Text(one_line(row.lanes[0].unit)),
            str(row.restarts),
            f"{'up to ' * row.is_range}{format_duration(row.in_hand_seconds)}",
            Text(not_done, "bold red") if row.not_done else Text("done", "green"),
        )
    return table


def _time(report: Report) -> Table:
    waited = any(run.shares.waiting_seconds for run in report.runs)
    names = ("total", "acting", "gating", *(["waiting"] if waited else []), "overhead")
    table = columns("run", *(f">{name}" for name in names))
    for run in report.runs:
        spent = (format_duration(getattr(run.shares, f"{name}_seconds")) for name in names)
        table.add_row(Text(one_line(run.runbook), "bold"), *spent)
    return table


def columns(*names: str, whole: str | None = None) -> Table:
    """Return an empty table without lines.

    Columns whose name begins with ``>`` hold figures and are aligned to the right; those, the first
    column and the column ``whole`` are never folded.
    """
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for index, name in enumerate(names):
        # The first column has names that are typed in the next command.
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=index == 0 or name.startswith(">") or name == whole,
            overflow="fold",
        )
    return table


@dataclass(frozen=True, slots=True)
class WideOrNarrow:
    """Shows ``wide`` where it fits into the width of the terminal, else ``narrow``."""

    wide: RenderableType
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the one that is shown (rich's console protocol)."""
        unlimited = options.update(max_width=_UNLIMITED)
        fits = Measurement.get(console, unlimited, self.wide).maximum <= options.max_width
        yield self.wide if fits else self.narrow


def labelled_rows(rows: Iterable[tuple[str, Text]]) -> Table:
    """Return rows of a dim name and its value."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def cut(text: str, style: str = "") -> Text:
    """Return one line of text that is cut where the terminal ends."""
    return Text(one_line(text), style, no_wrap=True, overflow="ellipsis")
