"""The last words of a run that stopped: where, why, what it left, what to type next.

Answers for every hold: which host, which step, which claim failed with what evidence, what state
everything was left in, which command continues and which gives the host back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.engine import BY_HAND
from holdfast.journal import RunState, Status, events
from holdfast.report.progress import RunProgress
from holdfast.text import one_line, strip_control

_PURPOSES = {"resume": "to go on", "run": "to try again", "abort": "to leave it"}


def stop_message(state: RunState, held: events.Held | None) -> RenderableType:
    """Return what is printed when a run has ended, or has no driver any more."""
    if held is not None and state.status in {Status.HELD, Status.RUNNING}:
        return _stopped("HELD", "nothing more is touched", held.left, held, state)
    if state.aborted is not None:
        return _stopped("ABORTED", "as asked", state.aborted.left, state.aborted, state)
    if state.refused is not None:
        return _stopped("REFUSED", "nothing was touched", (), state.refused, state)
    return Text(f"Finished: every step ended well. holdfast report {state.run}", style="green")


def _stopped(
    word: str,
    meaning: str,
    left: Sequence[str],
    event: events.Held | events.Aborted | events.RunRefused,
    state: RunState,
) -> RenderableType:
    head = Text().append(word, style="bold yellow" if word == "ABORTED" else "bold red")
    head.append(f", {meaning}").append(f"  {_of(state)}", style="dim")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    rows = list(_rows(event, left, state))
    for name, values in rows:
        for index, value in enumerate(values):
            table.add_row(name if index == 0 else "", value)
    commands = _commands(event.next_commands)
    width = max(len(name) for name in [*(name for name, _ in rows), *commands, ""])
    # As wide as the commands, so that these stand below the facts in line with them.
    table.columns[0].min_width = width
    lines = [line for purpose, some in commands.items() for line in _typed(purpose, some, width)]
    return Group(Text(), head, Padding(table, (0, 0, 0, 2)), *lines)


def _typed(purpose: str, commands: Sequence[str], width: int) -> Iterator[Text]:
    """Commands to copy: each on one line, which the terminal may break but we do not."""
    for index, command in enumerate(commands):
        text = Text(no_wrap=True, overflow="ignore")
        text.append(f"  {purpose if index == 0 else '':<{width}}  ", "dim")
        yield text.append(one_line(command), "bold")


def _of(state: RunState) -> str:
    if state.opened is None:
        return state.run
    what = state.opened.runbook or state.opened.playbook
    return one_line(f"{what} at {state.opened.site}, run {state.run}")


def _rows(
    event: events.Held | events.Aborted | events.RunRefused, left: Sequence[str], state: RunState
) -> Iterator[tuple[str, list[Text]]]:
    if isinstance(event, events.Aborted):
        yield "asked by", [Text(one_line(event.by))]
    else:
        if isinstance(event, events.Held) and event.host:
            yield "host", [Text(one_line(event.host), style="bold")]
        if event.step:
            yield "step", [Text(_step(state, event.step))]
        if event.claim:
            yield "claim", [Text(one_line(event.claim))]
        yield "evidence", [Text(strip_control(event.evidence).strip(), style="red")]
    if left:
        yield "left", [Text(one_line(sentence)) for sentence in left]
    if isinstance(event, events.Held) and state.opened and state.opened.runbook:
        show = f"holdfast show {state.opened.runbook}"
        yield "to look at", [Text(one_line(f"{show}, section \u201cIf it holds\u201d"))]


def _commands(commands: Sequence[str]) -> dict[str, list[str]]:
    """Part the next commands by what they are for; what is no command of ours undoes an act."""
    parted: dict[str, list[str]] = {}
    for command in commands:
        purpose = "to try again" if command == BY_HAND else "to give it back"
        if command.startswith("holdfast "):
            purpose = _PURPOSES.get(command.split()[1], "to see more")
        parted.setdefault(purpose, []).append(command)
    return parted


def _step(state: RunState, number: int) -> str:
    board = RunProgress(state)
    title = next((row.title for row in board.steps() if row.number == number), "")
    return one_line(f"{number}. {title}" if title else str(number))
