"""What is printed when a run stops: at a hold, an abort, a refusal, or when it has finished.

Of a hold: the host, the step, the claim that did not pass and the evidence, the state of every host,
the command that continues and those that undo an act. ``engine/hold_report.py`` computes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.engine.hold_report import BY_HAND
from holdfast.journal import events
from holdfast.journal.run_state import RunState, Status
from holdfast.report.progress import RunProgress
from holdfast.text import one_line, strip_control

_PURPOSES = {"resume": "to continue", "run": "to try again", "abort": "to give up"}


def stop_message(state: RunState, held: events.Held | None) -> RenderableType:
    """Return the message of a run that has stopped or has no driver any more."""
    if held is not None and state.status in {Status.HELD, Status.RUNNING}:
        return _stopped("HELD", "nothing more is touched", held.left, held, state)
    if state.aborted is not None:
        return _stopped("ABORTED", "on request", state.aborted.left, state.aborted, state)
    if state.refused is not None:
        return _stopped("REFUSED", "nothing was touched", (), state.refused, state)
    return Text(f"Finished: every step ended well. holdfast report {state.run}", style="green")


def _stopped(
    status: str,
    meaning: str,
    host_states: Sequence[str],
    event: events.Held | events.Aborted | events.RunRefused,
    state: RunState,
) -> RenderableType:
    head = Text().append(status, style="bold yellow" if status == "ABORTED" else "bold red")
    head.append(f", {meaning}").append(f"  {_run_title(state)}", style="dim")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rows = list(_rows(event, host_states, state))
    for name, values in rows:
        for index, value in enumerate(values):
            table.add_row(name if index == 0 else "", value)
    commands = _commands(event.next_commands)
    width = max(len(name) for name in [*(name for name, _ in rows), *commands, ""])
    # The commands below are aligned with the values of the table.
    table.columns[0].min_width = width
    lines = [
        line for purpose, some in commands.items() for line in _command_lines(purpose, some, width)
    ]
    return Group(Text(), head, Padding(table, (0, 0, 0, 2)), *lines)


def _command_lines(purpose: str, commands: Sequence[str], width: int) -> Iterator[Text]:
    """Yield each command on one unbroken line, so that it can be copied."""
    for index, command in enumerate(commands):
        text = Text(no_wrap=True, overflow="ignore")
        text.append(f"  {purpose if index == 0 else '':<{width}}  ", "dim")
        yield text.append(one_line(command), "bold")


def _run_title(state: RunState) -> str:
    if state.opened is None:
        return state.run
    what = state.opened.runbook or state.opened.playbook
    return one_line(f"{what} at {state.opened.site}, run {state.run}")


def _rows(
    event: events.Held | events.Aborted | events.RunRefused,
    host_states: Sequence[str],
    state: RunState,
) -> Iterator[tuple[str, list[Text]]]:
    if isinstance(event, events.Aborted):
        yield "requested by", [Text(one_line(event.by))]
    else:
        if isinstance(event, events.Held) and event.host:
            yield "host", [Text(one_line(event.host), style="bold")]
        if event.step:
            yield "step", [Text(_step_title(state, event.step))]
        if event.claim:
            yield "claim", [Text(one_line(event.claim))]
        yield "evidence", [Text(strip_control(event.evidence).strip(), style="red")]
    if host_states:
        yield "state", [Text(one_line(sentence)) for sentence in host_states]
    if isinstance(event, events.Held) and state.opened and state.opened.runbook:
        show = f"holdfast show {state.opened.runbook}"
        yield "see also", [Text(one_line(f"{show}, section \u201cIf it holds\u201d"))]


def _commands(commands: Sequence[str]) -> dict[str, list[str]]:
    """Return the next commands by purpose; any that is not a holdfast command undoes an act."""
    by_purpose: dict[str, list[str]] = {}
    for command in commands:
        purpose = "to try again" if command == BY_HAND else "to undo"
        if command.startswith("holdfast "):
            purpose = _PURPOSES.get(command.split()[1], "for details")
        by_purpose.setdefault(purpose, []).append(command)
    return by_purpose


def _step_title(state: RunState, number: int) -> str:
    rows = RunProgress(state).steps()
    title = next((row.title for row in rows if row.number == number), "")
    return one_line(f"{number}. {title}" if title else str(number))
