"""The state of runs and leases as text, for ``status`` on a terminal and in chat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from holdfast.engine.run_lookup import StrayPlays
from holdfast.journal.run_state import RunState, Status
from holdfast.plan.approval import open_approval
from holdfast.report.event_text import waiting_text
from holdfast.report.stop_message import run_title, stop_message
from holdfast.report.table import WideOrNarrow, columns, cut
from holdfast.runbook.model import Runbook
from holdfast.store.leases import LeaseRow
from holdfast.text import format_clock, format_date_and_clock, format_short, one_line

_REASON_WIDTH = 40
_STYLES = {
    "finished": "green",
    "running": "bold blue",
    "waiting": "bold yellow",
    "held": "bold red",
    "no driver": "bold red",
    "aborted": "yellow",
    "refused": "yellow",
}


def status_word(state: RunState, *, driven: bool) -> str:
    """Return the status of a run; ``no driver`` if it has neither stopped nor a living driver.

    ``waiting``: for an approval.
    """
    if state.status is Status.RUNNING and not driven:
        return "no driver"
    return "waiting" if open_approval(state) else str(state.status)


def run_view(state: RunState, *, driven: bool, strays: StrayPlays | None = None) -> RenderableType:
    """Return the state of one run; of one that has stopped, its stop message.

    ``strays`` is what was seen of the plays of a run without a driver.
    """
    parts: list[RenderableType] = []
    if opened := state.opened:
        parts.append(Text(run_title(state), "bold"))
        parts.append(Text(one_line(f"{opened.by}: {opened.reason}"), "dim"))
        parts.append(Text(f"started {format_date_and_clock(opened.at)}", "dim"))
    asked = open_approval(state)
    if asked is not None and driven:
        parts.append(Text(waiting_text(asked), "bold yellow"))
    elif status_word(state, driven=driven) == "running":
        parts.append(Text(f"running: holdfast watch {state.run}", "bold blue"))
    else:
        parts.append(stop_message(state, strays))
    return Group(*parts)


def runs_table(states: Iterable[tuple[RunState, str]]) -> RenderableType:
    """Return the runs, each given with its status: a table where it fits, else two lines for each."""
    table = columns("run", "state", "site", "by", ">began", "reason", whole="state")
    lines: list[RenderableType] = []
    for state, status in states:
        if opened := state.opened:
            names = (Text(state.run, "bold"), Text(status, _STYLES.get(status, "")))
            began = format_short(opened.at)
            table.add_row(*names, *_cells(opened.site, opened.by, began), _reason(opened.reason))
            lines += [
                Text("  ").join(names),
                _indented(cut(f"{opened.site}, {opened.by}, {began}: {opened.reason}", "dim")),
            ]
    return WideOrNarrow(table, Group(*lines)) if lines else Text("There are no runs yet.", "dim")


def leases_table(leases: Iterable[tuple[str, LeaseRow]]) -> RenderableType:
    """Return the leases and their holders: a table where it fits, else two lines for each."""
    names = ("lease", "mode", "held by", "who", ">since", ">until", "reason")
    table = columns(*names, whole="held by")
    lines: list[RenderableType] = []
    for scope, row in leases:
        holder, since, until = row.holder, format_short(row.since), format_clock(row.expires)
        cells = _cells(row.mode, holder.run, holder.by, since, until)
        table.add_row(Text(scope, "bold"), *cells, _reason(holder.reason))
        lines += [
            Text().append(scope, "bold").append(f"  {row.mode}  until {until}"),
            _indented(Text(f"held by {one_line(holder.run)}", no_wrap=True, overflow="ignore")),
            _indented(cut(f"{holder.by}, since {since}: {holder.reason}", "dim")),
        ]
    return WideOrNarrow(table, Group(*lines)) if lines else Text("Nobody holds a lease.", "dim")


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _reason(text: str) -> Text:
    """Return a reason for the last column: it may be long, and then does not make the table wide."""
    reason = cut(text)
    reason.truncate(_REASON_WIDTH, overflow="ellipsis")
    return reason


def runbooks_table(books: Iterable[Runbook]) -> RenderableType:
    """Return a table of runbooks and their inputs."""
    table = columns("runbook", "", "inputs")
    for book in books:
        table.add_row(Text(book.name, "bold"), *_cells(book.summary, ", ".join(book.inputs)))
    return table


def _cells(*texts: str) -> Iterator[Text]:
    return (Text(one_line(text)) for text in texts)
