"""What is printed when a run stops: at a hold, an abort, a refusal, or when it has finished.

Of a hold: the host, the step, the claim that did not pass and the evidence, the state of every host,
the command that continues and those that undo an act. ``engine/hold_report.py`` computes them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from holdfast.engine.hold_report import BY_HAND, hold_message
from holdfast.engine.run_lookup import StrayPlays
from holdfast.journal import events
from holdfast.journal.run_state import RunState, Status
from holdfast.report.progress import RunProgress
from holdfast.report.remedies import remedy_for
from holdfast.report.table import labelled_rows
from holdfast.text import one_line, strip_control

_T = TypeVar("_T")
_Stop = events.Held | events.Aborted | events.RunRefused

CAUSE = "for the cause"
UNDO, ABANDON = "to undo", "only if you abandon the run, since a resume gives back by itself:"

_PURPOSES = {"resume": "to continue", "run": "to try again", "abort": "to give up"}


def stop_message(state: RunState, strays: StrayPlays | None = None) -> RenderableType:
    """Return the message of a run that has stopped or has no driver any more.

    ``strays`` is what was seen of the plays of the latter; without it nothing is said about them.
    """
    held = hold_message(state, strays)
    if held is not None and state.status is Status.HELD:
        return _stopped("HELD", "nothing more is touched", held, state)
    if held is not None and state.status is Status.RUNNING:
        return _stopped("HELD", _of_dead_driver(strays), held, state)
    if state.aborted is not None:
        return _stopped("ABORTED", "on request", state.aborted, state)
    if state.refused is not None:
        return _stopped("REFUSED", "nothing was touched", state.refused, state)
    text = f"Finished: every step ended well. holdfast report {state.run}"
    return Text(text, "green", no_wrap=True, overflow="ignore")


def _of_dead_driver(strays: StrayPlays | None) -> str:
    if strays is not None and strays.processes:
        return "its driver is gone, and its play STILL RUNS"
    if strays is None or strays.elsewhere:
        return "its driver is gone"
    return "its driver is gone, and nothing more is touched"


def run_title(state: RunState) -> str:
    """Return what is run, at which site, and the run's id."""
    if state.opened is None:
        return state.run
    what = state.opened.runbook or state.opened.playbook
    return one_line(f"{what} at {state.opened.site}, run {state.run}")


def _stopped(status: str, meaning: str, event: _Stop, state: RunState) -> RenderableType:
    head = Text().append(status, style="bold yellow" if status == "ABORTED" else "bold red")
    head.append(f", {meaning}").append(f"  {run_title(state)}", style="dim")
    rows = list(_named_once(_rows(event, state)))
    undos = {freeze.undo for freeze in state.frozen.values()}
    purposes = ((UNDO if each in undos else _purpose(each), each) for each in event.next_commands)
    commands = [*_what_to_do(event, state), *_named_once(purposes)]
    if inventory := inventory_of(state) if isinstance(event, events.Held) else "":
        commands.append((CAUSE, shlex.join(["holdfast", "diagnose", "--site", inventory])))
    width = max((len(name) for name, _ in [*rows, *commands]), default=0)
    # The commands below are aligned with the values of the table; each is one unbroken line, to be copied.
    table = labelled_rows(rows)
    table.columns[0].min_width = width
    lines: list[RenderableType] = []
    for purpose, command in commands:
        if purpose == UNDO:
            lines.append(Text(f"  {ABANDON}", "dim"))
        label = Text(f"  {purpose:<{width}}  ", "dim", no_wrap=True, overflow="ignore")
        lines.append(label.append(one_line(command), "bold"))
    return Group(Text(), head, Padding(table, (0, 0, 0, 2)), *lines)


def _rows(event: _Stop, state: RunState) -> Iterator[tuple[str, Text]]:
    if isinstance(event, events.Aborted):
        yield "requested by", Text(one_line(event.by))
        if event.ended:
            pids = ", ".join(map(str, event.ended))
            yield "ended", Text(f"processes of its play, which outlived its driver: {pids}")
    else:
        yield from _findings(event, state)
    if not isinstance(event, events.RunRefused):
        yield from (("state", Text(one_line(sentence))) for sentence in event.left)
    if isinstance(event, events.Held) and state.opened and state.opened.runbook:
        yield "see also", Text(one_line(f"holdfast show {state.opened.runbook}#if-it-holds"))


def _findings(
    event: events.Held | events.RunRefused, state: RunState
) -> Iterator[tuple[str, Text]]:
    """Yield where the run stopped, and why."""
    if isinstance(event, events.Held) and event.host:
        yield "host", Text(one_line(event.host), style="bold")
    if event.step:
        yield "step", Text(_step_title(state, event.step))
    if event.claim:
        yield "claim", Text(one_line(event.claim))
    yield "evidence", Text(strip_control(event.evidence).strip(), style="red")


def _what_to_do(event: _Stop, state: RunState) -> Iterator[tuple[str, str]]:
    """Yield what to do about a cause that is known, as ``holdfast check`` says it; it may be a command."""
    evidence = "" if isinstance(event, events.Aborted) else event.evidence
    if remedy := remedy_for(evidence, inventory_of(state)):
        yield "what to do", remedy


def inventory_of(state: RunState) -> str:
    """Return the inventory that a run was planned for, "" where its plan names none."""
    return str(state.opened.plan.get("inventory") or "") if state.opened else ""


def _named_once(rows: Iterable[tuple[str, _T]]) -> Iterator[tuple[str, _T]]:
    """Yield the rows; of several in a row with one name, only the first has it."""
    for name, group in groupby(rows, key=itemgetter(0)):
        for index, (_, value) in enumerate(group):
            yield "" if index else name, value


def _purpose(command: str) -> str:
    """Return what a next command is for; any that is not a holdfast command undoes an act."""
    if command.startswith("holdfast "):
        return _PURPOSES.get(command.split()[1], "for details")
    return "to try again" if command == BY_HAND else UNDO


def _step_title(state: RunState, number: int) -> str:
    rows = RunProgress(state).steps()
    title = next((row.title for row in rows if row.number == number), "")
    return one_line(f"{number}. {title}" if title else str(number))
