"""Commands that only read: runbooks and the journal. They touch no host and take no lease."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.text import Text

from holdfast.cli.options import JsonOption, RunArgument, RunbookArgument, context_of
from holdfast.cli.progress import JsonLines, ProgressDisplay, progress_display
from holdfast.cli.project import find_runbook, runbook_files
from holdfast.engine.planner import read_text
from holdfast.errors import InvalidInput
from holdfast.journal.events import Recorded
from holdfast.journal.fold import advance, fold
from holdfast.report import build_report, timeline_svg
from holdfast.report.progress_text import event_line
from holdfast.report.status_view import runbooks_table
from holdfast.report.stop_message import stop_message
from holdfast.report.table import report_tables
from holdfast.runbook.model import Runbook
from holdfast.runbook.parser import parse_runbook
from holdfast.runbook.sections import section_of

_WATCH_FOOTER = "Ctrl-C ends this command; the run goes on."


def runbooks(ctx: typer.Context, *, as_json: JsonOption = False) -> None:
    """Print the table of all runbooks, and which directory each is from."""
    context = context_of(ctx)
    parsed = [_parse(path) for path in runbook_files(context.places)]
    if as_json:
        keys = {"name", "summary", "inputs", "leases", "path"}
        listed = [book.model_dump(mode="json", include=keys) for book in parsed]
        context.write_line(json.dumps(listed))
    else:
        context.show(runbooks_table(parsed))
        for directory, books in groupby(sorted(parsed, key=_directory), key=_directory):
            context.write_line(f"{directory}: {', '.join(book.name for book in books)}")


def _directory(book: Runbook) -> str:
    return str(Path(book.path).parent)


def show(ctx: typer.Context, runbook: RunbookArgument, *, as_json: JsonOption = False) -> None:
    """Print a runbook: rendered on a terminal, else as it is written.

    RUNBOOK#SECTION prints one section, or one entry of “If it holds”, such as `rabbitmq-recover#partition`.
    """
    context = context_of(ctx)
    name, sharp, section = runbook.partition("#")
    path = find_runbook(context.places, name)
    if as_json:
        context.write_line(_parse(path).model_dump_json())
        return
    text = read_text(path)
    shown = section_of(text, section, name) if sharp else text
    if context.out.is_terminal:
        context.out.print(Markdown(shown.split("\n---\n", 1)[-1]))  # no front matter
    else:
        context.write_line(shown.rstrip("\n"))


def log(ctx: typer.Context, run: RunArgument = "", *, as_json: JsonOption = False) -> None:
    """Print the journal of a run, one event a line."""
    context = context_of(ctx)
    # A page at a time: the first lines of a large run are there at once.
    for recorded in context.readable_store.each(context.find_run(run)):
        if as_json:
            context.write_line(recorded.model_dump_json())
        else:
            context.out.print(event_line(recorded), soft_wrap=True)


def watch(ctx: typer.Context, run: RunArgument = "", *, as_json: JsonOption = False) -> None:
    """Follow a run from any terminal until it ends, without any effect on it.

    With --json: the run's events from its first on, one a line.
    """
    context = context_of(ctx)
    journal = context.journal(run)
    state = fold(journal)
    wait = context.adapters(context).wait
    later = follow(
        state.seq,
        lambda seq: context.readable_store.read(state.run, seq),
        lambda: context.has_driver(state) and not context.stdout_closed,
        lambda: wait(1.0),
    )
    display: ProgressDisplay = progress_display(context.out, context.now, _WATCH_FOOTER)
    if as_json:
        display = JsonLines(context.write_line)
    with display:
        for recorded in journal:
            display.show_event(recorded)
        for recorded in later:
            advance(state, [recorded])
            display.show_event(recorded)
    console = context.err if as_json else context.out
    console.print(stop_message(state, context.stray_plays(state)), highlight=False, crop=False)


def follow(
    seq: int,
    read: Callable[[int], Iterable[Recorded]],
    driven: Callable[[], bool],
    wait: Callable[[], object],
) -> Iterator[Recorded]:
    """Yield the events after ``seq`` as they come, until the run is not ``driven``: all of them.

    Whether it is driven is asked before its events are read: its driver writes the last one, then gives its lease back.
    """
    while True:
        more = driven()
        for recorded in read(seq):
            seq = recorded.seq
            yield recorded
        if not more:
            return
        wait()


def report(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="One or several runs. Default: the newest."),
    ] = None,
    *,
    svg: Annotated[
        Path | None,
        typer.Option(help="Also write the timeline as SVG to this file.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report on runs: what was done to each host and when, how long it was in hand, where the time went."""
    context = context_of(ctx)
    built = build_report([context.journal(run) for run in runs or [""]])
    if svg:
        try:
            svg.write_text(timeline_svg(built), encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{svg} cannot be written: {error.strerror}") from error
    if as_json:
        context.write_line(built.model_dump_json(indent=2))
    else:
        context.show(report_tables(built))
        if svg:
            context.show(Text(f"\nPicture: {svg}", style="dim"))


def _parse(path: Path) -> Runbook:
    return parse_runbook(str(path), read_text(path))
