"""The state of runs and leases as text, for ``status`` on a terminal and in chat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from holdfast.engine.hold_report import describe_turn
from holdfast.engine.run_lookup import StrayPlays
from holdfast.journal.run_state import RunState, Status, Turn
from holdfast.plan.approval import open_approval
from holdfast.plan.model import readable_plan
from holdfast.report.event_text import EventText, describe_event
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import progress_lines
from holdfast.report.stop_message import run_title, stop_message
from holdfast.report.table import WideOrNarrow, columns, cut, labelled_rows
from holdfast.runbook.model import Runbook
from holdfast.store.leases import LeaseRow
from holdfast.text import format_clock, format_date_and_clock, format_short, join_names, one_line

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


def run_view(
    state: RunState, now: datetime, *, driven: bool, strays: StrayPlays | None = None
) -> RenderableType:
    """Return the state of one run: what it does and waits for, or of one that has stopped its stop message.

    ``strays`` is what was seen of the plays of a run without a driver.
    """
    opened = state.opened
    if driven and opened is not None and state.status is Status.RUNNING:
        return Group(*_under_way(state, now))
    parts: list[RenderableType] = []
    if opened is not None:
        parts.append(Text(run_title(state), "bold"))
        parts.append(Text(one_line(f"{opened.by}: {opened.reason}"), "dim"))
        parts.append(Text(f"started {format_date_and_clock(opened.at)}", "dim"))
    return Group(*parts, stop_message(state, strays))


def _under_way(state: RunState, now: datetime) -> Iterator[RenderableType]:
    """Yield the steps, what happens at each host in hand, and the commands to follow and to stop the run."""
    progress = RunProgress(state)
    for host in progress.in_hand():
        act = next(state.acts_of(host), None)
        text = _describe(state.step.turns.get(host))
        progress.latest[host] = (EventText(text), act.event.at if act else now)
    if state.inspection is not None:
        hosts = join_names(state.inspection.hosts)
        text = f"{state.inspection.what}{f' at {hosts}' if hosts else ''}: touches nothing"
        progress.latest[""] = (EventText(text), state.at or now)
    yield from progress_lines(progress, now)
    rows: list[tuple[str, Text]] = []
    if state.abort_request is not None:
        rows.append(("stop", Text(describe_event(state.abort_request).text, "yellow")))
    plan = readable_plan(state)
    if plan is not None and state.opened is not None:
        end = state.opened.at + timedelta(seconds=plan.estimate_seconds)
        if end > now:
            rows.append(("planned end", Text(f"{format_clock(end)}, by the estimate of the plan")))
    rows.append(("to follow", _command("watch", state)))
    if state.opened is not None and not state.opened.plan:
        rows.append(("to stop", Text("Ctrl-C in the terminal where it was started")))
    elif state.abort_request is None:
        rows.append(("to stop", _command("abort", state)))
    yield Text()
    yield labelled_rows(rows)


def _describe(turn: Turn | None) -> str:
    if turn is None:
        return "not touched yet"
    return "done and proved healthy" if turn.done else describe_turn(turn)


def _command(verb: str, state: RunState) -> Text:
    return Text(f"holdfast {verb} {state.run}", "bold", no_wrap=True, overflow="ignore")


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


def unfinished_runs(states: Iterable[tuple[RunState, str]]) -> Text:
    """Return the commands that say how to go on with runs that have stopped before their end; empty without any."""
    stopped = [state for state, status in states if status in {"held", "no driver"}]
    why = "Why it stopped, and how to go on: "
    return Text("\n").join(Text(why, "dim").append(_command("status", each)) for each in stopped)


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
