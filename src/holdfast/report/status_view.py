"""The state of runs and leases as text, for ``status`` on a terminal and in chat."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from holdfast.engine.hold_report import hold_message
from holdfast.journal.run_state import RunState, Status
from holdfast.report.stop_message import stop_message
from holdfast.report.table import columns, cut
from holdfast.runbook.model import Runbook
from holdfast.store.leases import LeaseRow
from holdfast.text import format_clock, format_date_and_clock, format_short, one_line

_STYLES = {
    "finished": "green",
    "running": "bold blue",
    "held": "bold red",
    "no driver": "bold red",
    "aborted": "yellow",
    "refused": "yellow",
}


def status_word(state: RunState, *, driven: bool) -> str:
    """Return the status of a run; ``no driver`` if it has neither stopped nor a living driver."""
    return str(state.status) if driven or state.status is not Status.RUNNING else "no driver"


def run_view(state: RunState, *, driven: bool) -> RenderableType:
    """Return the state of one run; of one that has stopped, its stop message."""
    parts: list[RenderableType] = []
    if opened := state.opened:
        what = opened.runbook or opened.playbook
        parts.append(Text(one_line(f"{what} at {opened.site}, run {state.run}"), "bold"))
        parts.append(Text(one_line(f"{opened.by}: {opened.reason}"), "dim"))
        parts.append(Text(f"started {format_date_and_clock(opened.at)}", "dim"))
    if status_word(state, driven=driven) == "running":
        parts.append(Text(f"running: holdfast watch {state.run}", "bold blue"))
    else:
        parts.append(stop_message(state, hold_message(state)))
    return Group(*parts)


def runs_table(states: Iterable[tuple[RunState, str]]) -> RenderableType:
    """Return a table of runs, each given with its status."""
    table = columns("run", "state", "site", "by", ">began", "reason", whole="state")
    for state, status in states:
        if state.opened is not None:
            table.add_row(*_run_row(state, status))
    return table if table.row_count else Text("There are no runs yet.", "dim")


def leases_table(leases: Iterable[tuple[str, LeaseRow]]) -> RenderableType:
    """Return a table of leases and their holders."""
    names = ("lease", "mode", "held by", "who", ">since", ">until", "reason")
    table = columns(*names, whole="held by")
    for scope, row in leases:
        table.add_row(*_lease_row(scope, row))
    return table if table.row_count else Text("Nobody holds a lease.", "dim")


def _run_row(state: RunState, status: str) -> tuple[Text, ...]:
    assert state.opened is not None  # noqa: S101  # the caller checks it
    opened = state.opened
    cells = (opened.site, opened.by, format_short(opened.at))
    return (
        Text(state.run, "bold"),
        Text(status, _STYLES.get(status, "")),
        *(Text(one_line(cell)) for cell in cells),
        cut(opened.reason),
    )


def _lease_row(scope: str, row: LeaseRow) -> tuple[Text, ...]:
    since, until = format_short(row.since), format_clock(row.expires)
    cells = (row.mode, row.holder.run, row.holder.by, since, until)
    texts = (Text(one_line(cell)) for cell in cells)
    return Text(scope, "bold"), *texts, cut(row.holder.reason)


def runbooks_table(books: Iterable[Runbook]) -> RenderableType:
    """Return a table of runbooks and their inputs."""
    table = columns("runbook", "", "inputs")
    for book in books:
        inputs = ", ".join(book.inputs)
        table.add_row(Text(book.name, "bold"), Text(one_line(book.summary)), Text(inputs))
    return table
