"""``holdfast diagnose``: what is wrong, the cause first, and what to type. It touches nothing and takes no lease."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import typer
from rich.text import Text

from holdfast.cli.check_command import NOT_PASS, CheckRequest, run_check
from holdfast.cli.check_result import CheckResult, next_of
from holdfast.cli.context import CommandContext
from holdfast.cli.diagnosis_view import full_view
from holdfast.cli.options import JsonOption, SiteOption, context_of
from holdfast.diagnosis import Diagnoses
from holdfast.diagnosis import diagnose as find_causes
from holdfast.diagnosis.lines import headline, two_lines
from holdfast.diagnosis.model import DeadRun, Findings
from holdfast.engine.hold_report import host_states
from holdfast.engine.run_lookup import recent_runs
from holdfast.errors import HoldfastError, InvalidInput, StateUnusable
from holdfast.journal.run_state import RunState, Status
from holdfast.text import format_duration, one_line

_RUNS = 15
"""So many of the newest runs are looked at."""


def diagnose(ctx: typer.Context, *, site: SiteOption = "", as_json: JsonOption = False) -> None:
    """Ask the hosts about their own services, then every standing claim, and look in the journal for dead runs.

    The first line names host and cause; what follows from it is folded under it. Where no known cause matches, it says
    so. Takes no lease. Exits with 3 unless nothing is wrong.
    """
    context = context_of(ctx)
    found, checked = diagnose_site(context, site)
    if as_json:
        printed = {
            "line": headline(found, len(checked.verdicts)),
            "causes": [each.as_json() for each in found.causes],
            "unexplained": list(found.unexplained),
            "messages": list(found.unsaid),
            "seconds": checked.seconds,
        }
        context.write_line(json.dumps(printed))
    else:
        took = format_duration(checked.seconds)
        context.show(full_view(found, len(checked.verdicts), took, next_of))
    raise typer.Exit(0 if found.all_is_well(len(checked.verdicts)) else NOT_PASS)


def show_diagnosis(context: CommandContext, site: str) -> None:
    """Print in two lines what is wrong at the site of a run that holds: the cause, and the section about it.

    The run has stopped, its message and its exit code stand: whatever goes wrong here is printed in one line, and
    Ctrl-C ends it. ``site`` is "" where the run's plan names no inventory; another site is not asked instead.
    """
    asked = _Asked()
    with asked:
        asked.lines = _lines_of(context, site)
    lines = asked.lines
    width = max(len(label) for label, _ in lines)
    for label, text in lines:
        shown = Text(f"  {label:<{width}}  ", "dim", no_wrap=True, overflow="ignore")
        context.out.print(shown.append(one_line(text), "bold"), highlight=False, crop=False)


@dataclass(slots=True)
class _Asked:
    """``with asked:`` lets nothing out that goes wrong inside: ``lines`` say it. The run has ended already."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> None:
        """Begin; nothing is to be prepared."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, HoldfastError):
            self.lines = [("diagnosis", f"not made: {error.message}")]
        elif isinstance(error, KeyboardInterrupt):
            self.lines = [("diagnosis", "not made: ended with Ctrl-C")]
        elif isinstance(error, Exception):
            text = f"{type(error).__name__}: {error}"
            self.lines = [("diagnosis", f"not made, by a bug of Holdfast: {text}")]
        return isinstance(error, Exception | KeyboardInterrupt)


def _lines_of(context: CommandContext, site: str) -> list[tuple[str, str]]:
    if not site:
        raise InvalidInput("the plan of this run names no inventory")
    found, checked = diagnose_site(context, site)
    return two_lines(found, len(checked.verdicts))


def diagnose_site(context: CommandContext, site: str) -> tuple[Diagnoses, CheckResult]:
    """Return the causes at a site, and the check that they are from."""
    checked = run_check(context, CheckRequest(site), hosts_first=True)
    found = Findings(
        verdicts=checked.verdicts,
        now=context.now(),
        hosts=checked.hosts,
        messages=checked.messages,
        dead_runs=tuple(islice(dead_runs(context, checked.site), _RUNS)),
        site=str(context.site(site)),
    )
    return find_causes(found), checked


def dead_runs(context: CommandContext, site: str) -> Iterator[DeadRun]:
    """Yield the runs of a site that have no driver and a host in hand, newest first."""
    try:
        for _, state in islice(recent_runs(context.readable_store), _RUNS):
            if isinstance(state, RunState) and _is_dead(context, state, site):
                yield _dead_run(context, state)
    except StateUnusable:
        return  # `holdfast status` says so; the services are diagnosed all the same


def _is_dead(context: CommandContext, state: RunState, site: str) -> bool:
    opened = state.opened
    if opened is None or opened.site != site or state.status is not Status.RUNNING:
        return False
    return not context.has_driver(state) and bool(_in_hand(state))


def _in_hand(state: RunState) -> tuple[str, ...]:
    return tuple(dict.fromkeys([turn.host for _, turn in state.in_hand()]))


def _dead_run(context: CommandContext, state: RunState) -> DeadRun:
    opened, strays = state.opened, context.stray_plays(state)
    what = (opened.runbook or opened.playbook) if opened else ""
    in_hand = _in_hand(state)
    left = [text for text in host_states(state) if text.partition(":")[0] in in_hand]
    return DeadRun(state.run, what, in_hand, tuple(left), strays.describe() if strays else "")
