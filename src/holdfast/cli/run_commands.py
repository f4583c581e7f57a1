"""Commands that plan, start and steer runs. The engine decides; these show what it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from holdfast.ansible.interfaces import Progress
from holdfast.cli.check_command import PATIENT_SECONDS, CheckRequest, run_check
from holdfast.cli.context import CommandContext
from holdfast.cli.diagnose_command import show_diagnosis
from holdfast.cli.exit_codes import report_bug
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
    parse_inputs,
    require_reason,
)
from holdfast.cli.progress import JsonLines, ProgressDisplay
from holdfast.cli.project import find_runbook
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.errors import InvalidInput
from holdfast.journal.events import Recorded
from holdfast.journal.run_state import Status
from holdfast.model import Outcome
from holdfast.plan.approval import open_approval
from holdfast.plan.model import Plan, PlannedCheck
from holdfast.report.plan_view import Preview, plan_view, summary
from holdfast.report.stop_message import inventory_of, stop_message
from holdfast.text import count_of

PREVIEWED = "puppet.previewed"
"""The claim whose message is the blast preview of a change."""

Reason = Annotated[
    str,
    typer.Option("--reason", metavar="TEXT", help="Why this is done now; kept in the journal."),
]
WhyNot = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why not; kept in the journal.")
]


def plan(  # noqa: PLR0913  # one parameter for each option of the command
    ctx: typer.Context,
    runbook: RunbookArgument,
    *,
    site: SiteOption = "",
    limit: LimitOption = "",
    inputs: InputsOption = [],  # noqa: B006  # typer reads the default and gives a fresh list
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            metavar="",
            help="Also ask hosts for what they keep of a change that an earlier run has previewed: what it would "
            "restart on how many, and which of them come first.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the plan of a run that is not started."""
    context = context_of(ctx)
    planned = _plan(context, runbook, site, limit, inputs)
    kept = _kept_preview(context, planned, site) if preview else None
    if as_json:
        totals = {"hash": planned.hash, "estimate_seconds": planned.estimate_seconds}
        totals |= {"preview": kept.text, "facts": kept.facts} if kept else {}
        context.write_line(json.dumps(planned.as_json() | totals))
    else:
        context.show(plan_view(planned, kept))
        context.show(Text("\nNothing was touched.", "dim"))


def _kept_preview(context: CommandContext, planned: Plan, site: str) -> Preview:
    """Return what the hosts say of the preview that the plan's check asks for.

    Raises:
        InvalidInput: the runbook has no such check.
    """
    checks = (step for step in planned.steps if isinstance(step, PlannedCheck))
    entries = [
        entry
        for step in checks
        for entry in step.claims
        if isinstance(entry, dict) and entry["claim"] == PREVIEWED
    ]
    if not entries:
        raise InvalidInput(
            f"{planned.runbook} has no step that previews a change",
            remedy=f"leave --preview out, or: holdfast plan puppet-rollout --site {planned.site} --preview",
        )
    found = run_check(context, CheckRequest(site, entries[:1], answer=PATIENT_SECONDS))
    verdict = next(iter(found.verdicts), None)
    if verdict is None:
        return Preview(f"{found.outcome}: {'; '.join(found.messages)}", {})
    doubt = "" if verdict["outcome"] == Outcome.PASS else f"{verdict['outcome']}: "
    return Preview(f"{doubt}{verdict['message']}", verdict.get("hosts", {}))


def run(  # noqa: PLR0913  # the same
    ctx: typer.Context,
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
    context = context_of(ctx)
    typed = [("--site", site), ("--limit", limit), *(("--input", pair) for pair in inputs)]
    options = [word for option in typed if option[1] for word in option]
    why = require_reason(reason, ["run", runbook, *options])
    display, engine = _display_and_engine(context, as_json=as_json)
    planned = _plan(context, runbook, site, limit, inputs)
    if context.settings.warning:
        context.err.print(Text(context.settings.warning, "yellow"), soft_wrap=True)
    if not yes:
        context.err.print(plan_view(planned))
    context.confirm(f"Run {summary(planned)}?", yes=yes)
    _drive_run(context, engine, display, lambda: engine.start(planned, context.user, why))


def resume(
    ctx: typer.Context,
    run: NamedRunArgument,
    *,
    reason: Reason = "",
    as_json: JsonOption = False,
) -> None:
    """Continue a run from its journal and show its progress until it stops."""
    context = context_of(ctx)
    why = require_reason(reason, ["resume", run])
    display, engine = _display_and_engine(context, as_json=as_json)
    journal = context.journal(run)
    display.catch_up(journal)
    found, known = context.run, journal[-1].seq
    _drive_run(context, engine, display, lambda: engine.resume(found, context.user, why, known))


def abort(
    ctx: typer.Context,
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

    Works from any terminal. A run that has no driver any more is closed at once, and the
    message lists the state in which it left its hosts.
    """
    context = context_of(ctx)
    found = context.find_run(run)

    def tell(text: str) -> None:
        context.show(Text(f"{found}: {text}", "dim"))

    state = context.engine().request_abort(found, context.user, hard=hard, tell=tell)
    if state.status is not Status.RUNNING:
        context.show(stop_message(state))
        return
    when = "at once (hard stop)" if hard else "at the next boundary"
    context.show(Text(f"Asked {found} to stop {when}.", "yellow"))
    context.show(Text(f"next: holdfast watch {found}", "dim"))


def approve(ctx: typer.Context, run: RunArgument = "") -> None:
    """Journal the approval of the person at the terminal."""
    context = context_of(ctx)
    found = context.find_run(run)
    state = context.engine().approve(found, context.user)
    asked = open_approval(state)
    more = f"; {count_of(asked.left, 'approval')} more needed" if asked and asked.left else ""
    context.show(Text(f"Approved by {context.user}: {found}{more}", "green"))
    context.show(Text(f"next: holdfast watch {found}", "dim"))


def reject(ctx: typer.Context, run: RunArgument = "", *, reason: WhyNot = "") -> None:
    """Journal the no of the person at the terminal.

    The run ends: refused where it has touched nothing yet, else held at this boundary.
    """
    context = context_of(ctx)
    why = require_reason(reason, ["reject", *filter(None, [run])])
    found = context.find_run(run)
    context.engine().reject(found, context.user, why)
    context.show(Text(f"Rejected by {context.user}: {found}", "yellow"))
    context.show(Text(f"next: holdfast status {found}", "dim"))


def _plan(context: CommandContext, runbook: str, site: str, limit: str, inputs: list[str]) -> Plan:
    path, inventory = find_runbook(context.places, runbook), context.site(site)
    planner = context.adapters(context).planner
    with context.status_line("Reading runbook and inventory"):
        return planner.plan(path, inventory, parse_inputs(inputs), limit)


def _display_and_engine(
    context: CommandContext, *, as_json: bool
) -> tuple[ProgressDisplay, Engine]:
    """Return a display, and an engine whose events and readings it shows."""
    display = context.display(context.out, context.now)
    if as_json:
        display = JsonLines(context.write_line)

    def listen(received: Progress | Recorded) -> None:
        if isinstance(received, Recorded):
            context.run = received.run
            display.show_event(received)
        else:
            display.show_reading(received.host, received.task, received.text)

    def report(error: Exception) -> None:
        report_bug(context, error)
        context.err.print(Text("The run goes on without this display", "yellow"), soft_wrap=True)

    return display, context.engine(listen, report)


def _drive_run(
    context: CommandContext,
    engine: Engine,
    display: ProgressDisplay,
    drive: Callable[[], RunResult],
) -> NoReturn:
    """Let the engine drive the run and show it; exits with the run's exit code."""
    with display, interruptible(engine.stop, display.show_message):
        result = drive()
    context.run = result.run
    console = context.err if isinstance(display, JsonLines) else context.out
    console.print(stop_message(result.state), highlight=False, crop=False)
    if result.state.status is Status.HELD and console is context.out:
        show_diagnosis(context, inventory_of(result.state))
    raise typer.Exit(result.code)
