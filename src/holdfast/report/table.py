"""A report as tables on a terminal: hosts first, then where the time went, then what was lost."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.report.model import Lane, Losses, Report, RunPart
from holdfast.text import format_duration, one_line

_ENDING_STYLE = {"finished": "green", "held": "bold red", "aborted": "yellow"}


def tables(report: Report) -> RenderableType:
    """Return what ``holdfast report`` prints."""
    parts: list[RenderableType] = [_headline(run) for run in report.runs]
    parts += [Text(), _hosts(report), Text(), _time(report), Text(), _at_once(report)]
    if report.losses is not None:
        parts.append(_lost(report.losses))
    return Group(*parts)


def _headline(run: RunPart) -> Text:
    line = Text().append(one_line(f"{run.runbook} at {run.site}:"), style="bold")
    line.append(f" {run.ending}", style=_ENDING_STYLE.get(run.ending, "bold"))
    line.append(f" after {format_duration(run.end - run.start)} ({run.run})\n")
    line.append(one_line(f"{run.by}: {run.reason}"), style="dim")
    if run.held_because:
        line.append(f"\n{one_line(run.held_because)}", style="red")
    return line


def _hosts(report: Report) -> Table:
    table = columns("host", "unit", ">restarts", ">in hand", ">out (observer)", "")
    for lane in report.lanes:
        table.add_row(*_row(lane))
    return table


def _row(lane: Lane) -> tuple[Text, ...]:
    out = "not watched" if lane.out_seconds is None else format_duration(lane.out_seconds)
    return (
        Text(one_line(lane.host), "bold"),
        Text(one_line(lane.unit)),
        _restarts(lane),
        Text(format_duration(lane.in_hand_seconds)),
        Text(out),
        Text("done", style="green") if lane.done else Text("not done", style="bold red"),
    )


def _restarts(lane: Lane) -> Text:
    """Say how often it was restarted; where the observer counted otherwise, say both."""
    if lane.restarts_seen in (None, lane.restarts):
        return Text(str(lane.restarts))
    return Text(f"{lane.restarts}, but the observer saw {lane.restarts_seen}", style="bold red")


def _time(report: Report) -> Table:
    waited = any(run.shares.waiting_seconds for run in report.runs)
    names = ("total", "acting", "gating", *(["waiting"] if waited else []), "overhead")
    table = columns("run", *(f">{name}" for name in names))
    for run in report.runs:
        shares = run.shares.model_dump()
        seconds = (shares[f"{name}_seconds"] for name in names)
        table.add_row(Text(one_line(run.runbook), "bold"), *map(format_duration, seconds))
    return table


def _at_once(report: Report) -> Text:
    """Say how many were away together: hosts in hand by the journal, services out by the observer."""
    most = max((run.in_hand_at_most for run in report.runs), default=0)
    line = Text().append("At once at most: ", style="bold").append(f"{most} in hand")
    if report.out_at_most is not None:
        out = (f"{what} {number}" for what, number in sorted(report.out_at_most.items()) if number)
        line.append(f"; out, by the observer: {', '.join(out) or 'nothing'}")
    return line


def _lost(losses: Losses) -> Group:
    kept = "green" if not losses.lost else "bold red"
    messages = Text().append("Messages: ", style="bold").append(f"{losses.lost} lost", style=kept)
    messages.append(
        f" of {losses.confirmed} confirmed ({losses.published} published, {losses.unconfirmed} without"
        f" a confirm, {losses.duplicated} delivered twice; longest gap between confirms"
        f" {format_duration(losses.longest_gap_seconds)})",
    )
    calls = Text().append("RPC calls: ", style="bold")
    by_run = losses.calls_lost_elsewhere_by_run
    parts = ", ".join(f"{number} in {run}" for run, number in by_run.items() if number)
    calls.append(f"{losses.calls_lost_elsewhere} lost at hosts not in hand")
    calls.append(f" ({parts})" if parts else "")
    calls.append(f", {losses.calls_lost} unanswered in all of {losses.calls}")
    return Group(messages, calls)


def columns(*names: str, whole: str | None = None) -> Table:
    """Begin a table without lines; a name that begins with ``>`` is a column of figures.

    The column ``whole`` is not folded.
    """
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for index, name in enumerate(names):
        # The first names the thing: it is typed again in the next command, so it stays whole.
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=index == 0 or name.startswith(">") or name == whole,
            overflow="fold",
        )
    return table


def cut(text: str, style: str = "") -> Text:
    """One line: as much of the text as there is room for."""
    return Text(one_line(text), style, no_wrap=True, overflow="ellipsis")
