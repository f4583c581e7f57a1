"""Commands that plan, run and steer a run. Decisions are the engine's; here are words and waiting."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.cli.interrupt import interruptible
from holdfast.cli.options import (
    InputsOption,
    JsonOption,
    LimitOption,
    NamedRunArgument,
    RunArgument,
    RunbookArgument,
    SiteOption,
    YesOption,
    context_of,
    inputs_of,
    reason_of,
)
from holdfast.cli.progress import JsonLines, Lines, LivePanel, Screen
from holdfast.cli.project import runbook as find_runbook
from holdfast.engine import Engine, Planner, Progress, RunResult, find_run, hold_message
from holdfast.journal import Status
from holdfast.journal.events import Recorded
from holdfast.plan import Plan
from holdfast.report.plan_view import plan_view, summary
from holdfast.report.stop_message import stop_message

Reason = Annotated[
    str,
    typer.Option("--reason", metavar="TEXT", help="Why this is done now; kept in the journal."),
]


def plan(  # noqa: PLR0913  # one parameter for each option of the command
    context: typer.Context,
    runbook: RunbookArgument,
    *,
    site: SiteOption = "",
    limit: LimitOption = "",
    inputs: InputsOption = [],  # noqa: B006  # typer reads the default and gives a fresh list
    as_json: JsonOption = False,
) -> None:
    """Print the plan of a run that is not started."""
    desk = context_of(context)
    made = _Wanted(runbook, site, limit, inputs).plan(desk, desk.planner())
    if as_json:
        summed = {"hash": made.hash, "estimate_seconds": made.estimate_seconds}
        desk.emit(json.dumps(made.as_json() | summed))
    else:
        desk.show(plan_view(made))
        desk.show(Text("\nNothing was touched.", "dim"))


def run(  # noqa: PLR0913  # the same
    context: typer.Context,
    runbook: RunbookArgument,
    *,
    reason: Reason = "",
    site: SiteOption = "",
    limit: LimitOption = "",
    inputs: InputsOption = [],  # noqa: B006  # the same
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start a run after a confirmation and show its progress until it stops.

    Ctrl-C stops at the next boundary: the host in hand is finished first. A second Ctrl-C is the
    hard stop: the play is ended at once, in the middle of a host's turn, and the state of the host
    is then read from the host itself.
    """
    desk = context_of(context)
    why = reason_of(reason, "run", example="why this is done now")
    screen = _screen(desk, as_json=as_json)
    engine = desk.engine(_listener(desk, screen))
    made = _Wanted(runbook, site, limit, inputs).plan(desk, engine.planner)
    if not yes:
        desk.err.print(plan_view(made))
    desk.confirm(f"Run {summary(made)}?", yes=yes)
    _drive(desk, engine, screen, lambda: engine.start(made, desk.by, why))


def resume(
    context: typer.Context,
    run: NamedRunArgument,
    *,
    reason: Reason = "",
    as_json: JsonOption = False,
) -> None:
    """Continue a run from its journal and show its progress until it stops."""
    desk = context_of(context)
    why = reason_of(reason, "resume", example="what was repaired")
    screen = _screen(desk, as_json=as_json)
    engine = desk.engine(_listener(desk, screen))
    found = desk.run = find_run(desk.store, run)
    _drive(desk, engine, screen, lambda: engine.resume(found, desk.by, why))


def abort(
    context: typer.Context,
    run: RunArgument = "",
    *,
    hard: Annotated[
        bool,
        typer.Option(
            "--hard", metavar="", help="The hard stop: at once, in the middle of a host's turn."
        ),
    ] = False,
) -> None:
    """Journal a request to stop.

    Can be asked from any terminal. A run that has no driver any more is closed at once, and the
    message lists the state in which it left its hosts.
    """
    desk = context_of(context)
    found = desk.run = find_run(desk.store, run)
    engine = desk.engine()
    state = engine.ask_abort(found, desk.by, hard=hard)
    if state.status is not Status.RUNNING:
        desk.show(stop_message(state, hold_message(state)))
        return
    when = "at once (hard stop)" if hard else "at the next boundary"
    desk.show(Text(f"Asked {found} to stop {when}.", "yellow"))
    desk.show(Text(f"next: holdfast watch {found}", "dim"))


def approve(context: typer.Context, run: RunArgument = "") -> None:
    """Journal the approval of the person at the terminal."""
    desk = context_of(context)
    found = desk.run = find_run(desk.store, run)
    desk.engine().approve(found, desk.by)
    desk.show(Text(f"Approved by {desk.by}: {found}", "green"))


@dataclass(frozen=True)
class _Wanted:
    """What ``plan`` and ``run`` were asked for."""

    runbook: str
    site: str
    limit: str
    inputs: list[str]

    def plan(self, desk: CommandContext, planner: Planner) -> Plan:
        path, inventory = find_runbook(desk.root, self.runbook), desk.site(self.site)
        with desk.busy("Reading runbook and inventory"):
            return planner.plan(path, inventory, inputs_of(self.inputs), self.limit)


def _screen(desk: CommandContext, *, as_json: bool) -> Screen:
    if as_json:
        return JsonLines(desk.emit)
    if desk.out.is_terminal:
        return LivePanel(desk.out, desk.now)
    return Lines(desk.out, desk.now)


def _listener(desk: CommandContext, screen: Screen) -> Callable[[Progress | Recorded], None]:
    def listen(what: Progress | Recorded) -> None:
        if isinstance(what, Recorded):
            desk.run = what.run
            screen.hear(what)
        else:
            screen.note(what.host, what.task, what.text)

    return listen


def _drive(
    desk: CommandContext, engine: Engine, screen: Screen, go: Callable[[], RunResult]
) -> NoReturn:
    """Let the engine drive, shown on the screen; end with its exit code."""
    with screen, interruptible(engine.stop, screen.say):
        ended = go()
    desk.run = ended.run
    last_words = stop_message(ended.state, hold_message(ended.state))
    console = desk.err if isinstance(screen, JsonLines) else desk.out
    console.print(last_words, highlight=False, crop=False)
    raise typer.Exit(ended.code)
