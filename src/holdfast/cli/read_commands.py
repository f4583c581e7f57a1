"""Commands that only read: runbooks and the journal. None of them touches a host or takes a lease."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.text import Text

from holdfast.cli.options import JsonOption, RunArgument, RunbookArgument, context_of
from holdfast.cli.progress import Lines, LivePanel, Screen
from holdfast.cli.project import runbook as find_runbook
from holdfast.cli.project import runbooks as all_runbooks
from holdfast.engine import hold_message, read_text
from holdfast.errors import InvalidInput
from holdfast.journal import Status, advance, fold
from holdfast.report import build, timeline_svg
from holdfast.report.progress_text import line
from holdfast.report.sentences import sentence_for
from holdfast.report.status_view import runbooks_table
from holdfast.report.stop_message import stop_message
from holdfast.report.table import tables
from holdfast.runbook import Runbook, parse_runbook

_WATCH_FOOT = "Ctrl-C ends the watching; the run goes on."


def runbooks(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Print the table of the project's runbooks."""
    desk = context_of(context)
    parsed = [_parse(path) for path in all_runbooks(desk.root).values()]
    if as_json:
        keys = {"name", "summary", "inputs", "leases", "path"}
        desk.emit(json.dumps([book.model_dump(mode="json", include=keys) for book in parsed]))
        return
    desk.show(runbooks_table(parsed))


def show(context: typer.Context, runbook: RunbookArgument, *, as_json: JsonOption = False) -> None:
    """Print a runbook: rendered on a terminal, else as it is written."""
    desk = context_of(context)
    path = find_runbook(desk.root, runbook)
    if as_json:
        desk.emit(_parse(path).model_dump_json())
    elif desk.out.is_terminal:
        desk.out.print(Markdown(_without_front_matter(read_text(path))))
    else:
        desk.emit(read_text(path).rstrip("\n"))


def log(context: typer.Context, run: RunArgument = "", *, as_json: JsonOption = False) -> None:
    """Print the journal of a run, one event a line."""
    desk = context_of(context)
    for recorded in desk.journal(run):
        if as_json:
            desk.emit(recorded.model_dump_json())
        else:
            desk.out.print(line(sentence_for(recorded.event), recorded.event.at), soft_wrap=True)


def watch(context: typer.Context, run: RunArgument = "") -> None:
    """Follow a run from any terminal until it ends, without any effect on it."""
    desk = context_of(context)
    journal = desk.journal(run)
    state = fold(journal)
    screen: Screen = Lines(desk.out, desk.now)
    if desk.out.is_terminal:
        screen = LivePanel(desk.out, desk.now, _WATCH_FOOT)
    wait = desk.adapters(desk).wait
    with screen:
        for recorded in journal:
            screen.hear(recorded)
        while state.status is Status.RUNNING and desk.driven(state) and not desk.alone:
            wait(1.0)
            later = desk.store.read(state.run, state.seq)
            advance(state, later)
            for recorded in later:
                screen.hear(recorded)
    desk.show(stop_message(state, hold_message(state)))


def report(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="One or several runs. Default: the newest."),
    ] = None,
    *,
    svg: Annotated[
        Path | None, typer.Option(help="Write a picture of it to this file.", dir_okay=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report on runs: what was done to each host and when, how long it was in hand, where the time went."""
    desk = context_of(context)
    built = build([desk.journal(run) for run in runs or [""]])
    if svg:
        _write(svg, timeline_svg(built))
    if as_json:
        desk.emit(built.model_dump_json(indent=2))
    else:
        desk.show(tables(built))
        if svg:
            desk.show(Text(f"\nPicture: {svg}", style="dim"))


def _parse(path: Path) -> Runbook:
    return parse_runbook(str(path), read_text(path))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error


def _without_front_matter(text: str) -> str:
    return text.split("\n---\n", 1)[-1]
