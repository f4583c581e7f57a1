"""``status`` and ``lease``: how runs stand and who may change what. Gives back a dead holder's lease."""

from __future__ import annotations

import json
import platform
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from holdfast.cli.desk import Desk
from holdfast.cli.hold import ending
from holdfast.cli.options import Json, Run, Yes, desk_of
from holdfast.engine import hold_message
from holdfast.errors import InvalidInput, Refused, StateUnusable
from holdfast.journal import RunState, Status, fold
from holdfast.model import Grant
from holdfast.report.table import columns, cut
from holdfast.store import LeaseRow
from holdfast.words import clock, day_and_clock, moment, nearest, one_line

_RECENT = 15
_STYLES = {
    "finished": "green",
    "running": "bold blue",
    "held": "bold red",
    "no driver": "bold red",
    "aborted": "yellow",
    "refused": "yellow",
}


def status(context: typer.Context, run: Run = "", *, as_json: Json = False) -> None:
    """Show how a run stands; without RUN, the newest runs and who holds which lease."""
    desk = desk_of(context)
    if run:
        _status_of(desk, fold(desk.journal(run)), as_json=as_json)
        return
    states, damage = _recent(desk)
    leases = _leases(desk)
    if as_json:
        runs = [_state_json(desk, state) for state in states]
        held = [_lease_json(scope, row) for scope, row in leases]
        desk.emit(json.dumps({"runs": runs, "leases": held}))
    else:
        desk.show(_runs_table(desk, states) if states else Text("There are no runs yet.", "dim"))
        desk.show(Text())
        _show_leases(desk, leases)
    if damage:
        raise damage


def _recent(desk: Desk) -> tuple[list[RunState], StateUnusable | None]:
    """The newest runs that can be read, and why one cannot: it must not hide the others."""
    states, damage = list[RunState](), None
    for name in desk.store.runs()[:_RECENT]:
        try:
            states.append(fold(desk.store.each(name)))
        except StateUnusable as error:
            damage = error
    return states, damage


def lease_list(context: typer.Context, *, as_json: Json = False) -> None:
    """List who holds which lease, since when, until when and why."""
    desk = desk_of(context)
    leases = _leases(desk)
    if as_json:
        desk.emit(json.dumps([_lease_json(scope, row) for scope, row in leases]))
    else:
        _show_leases(desk, leases)


def lease_release(
    context: typer.Context,
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="As `lease list` shows it.")],
    *,
    yes: Yes = False,
) -> None:
    """Take a lease from a holder that is known to be dead, before it expires by itself.

    Needed only for a holder on another controller that has died: on its own controller a dead
    holder is recognised. A holder that still lives acts no more once its lease is gone.
    """
    desk = desk_of(context)
    scopes = desk.store.scopes()
    if scope not in scopes:
        near = nearest(scope, scopes)
        hint = f"did you mean {near}?" if near else "nothing was ever leased by that name"
        raise InvalidInput(f"No lease {scope!r}: {hint}", remedy="holdfast lease list")
    for row in desk.store.holders(scope, desk.now()):
        _refuse_the_living(row, scope)
        _show_leases(desk, [(scope, row)])
        question = f"Is {row.holder.run} on {row.holder.controller} known to be dead?"
        desk.confirm(question, yes=yes)
        desk.store.release(Grant(row.holder.run, {scope: row.token}))
        desk.show(
            Text(f"{scope} is free; the run may be resumed: holdfast resume {row.holder.run}")
        )


def _refuse_the_living(row: LeaseRow, scope: str) -> None:
    """What ``holders`` still lists of this very controller has a living process."""
    if row.holder.controller == platform.node():
        raise Refused(
            f"{scope} is held by process {row.holder.process} of this controller, which lives",
            remedy=f"holdfast abort {row.holder.run}",
        )


def _word(desk: Desk, state: RunState) -> str:
    """How a run stands in a word; without an end or a living driver, that is said."""
    if state.status is Status.RUNNING and not desk.driven(state):
        return "no driver"
    return str(state.status)


def _runs_table(desk: Desk, states: list[RunState]) -> Table:
    table = columns("run", "state", "site", "by", ">began", "reason", whole="state")
    for state in states:
        word, opened = _word(desk, state), state.opened
        if opened is None:
            continue
        cells = (opened.site, opened.by, moment(opened.at))
        table.add_row(
            Text(state.run, "bold"),
            Text(word, _STYLES.get(word, "")),
            *(Text(one_line(cell)) for cell in cells),
            cut(opened.reason),
        )
    return table


def _leases(desk: Desk) -> list[tuple[str, LeaseRow]]:
    now, store = desk.now(), desk.store
    return [(scope, row) for scope in store.scopes() for row in store.holders(scope, now)]


def _show_leases(desk: Desk, leases: list[tuple[str, LeaseRow]]) -> None:
    desk.show(_leases_table(leases) if leases else Text("Nobody holds a lease.", "dim"))


def _leases_table(leases: list[tuple[str, LeaseRow]]) -> Table:
    table = columns(
        "lease",
        "mode",
        "held by",
        "who",
        ">since",
        ">until",
        "reason",
        whole="held by",
    )
    for scope, row in leases:
        holder = row.holder
        since, until = moment(row.since), clock(row.expires)
        cells = (row.mode, holder.run, holder.by, since, until)
        words = (Text(one_line(cell)) for cell in cells)
        table.add_row(Text(scope, "bold"), *words, cut(holder.reason))
    return table


def _status_of(desk: Desk, state: RunState, *, as_json: bool) -> None:
    if as_json:
        desk.emit(json.dumps(_state_json(desk, state)))
        return
    opened = state.opened
    if opened:
        what = opened.runbook or opened.playbook
        desk.show(Text(one_line(f"{what} at {opened.site}, run {state.run}"), "bold"))
        desk.show(Text(one_line(f"{opened.by}: {opened.reason}"), "dim"))
        desk.show(Text(f"began {day_and_clock(opened.at)}", "dim"))
    if _word(desk, state) == "running":
        desk.show(Text(f"running: holdfast watch {state.run}", "bold blue"))
    else:
        desk.show(ending(state, hold_message(state)))


def _state_json(desk: Desk, state: RunState) -> dict[str, object]:
    opened, held = state.opened, hold_message(state)
    return {
        "run": state.run,
        "state": _word(desk, state),
        "runbook": opened.runbook if opened else "",
        "playbook": opened.playbook if opened else "",
        "site": opened.site if opened else "",
        "by": opened.by if opened else "",
        "reason": opened.reason if opened else "",
        "began": opened.at.isoformat() if opened else "",
        "step": state.current,
        "in_hand": [turn.host for _, turn in state.in_hand()],
        "done": state.done(),
        "held": held.model_dump(mode="json") if held and not desk.driven(state) else None,
    }


def _lease_json(scope: str, row: LeaseRow) -> dict[str, object]:
    return {
        "scope": scope,
        "mode": row.mode,
        "token": row.token,
        "run": row.holder.run,
        "by": row.holder.by,
        "reason": row.holder.reason,
        "controller": row.holder.controller,
        "since": row.since.isoformat(),
        "expires": row.expires.isoformat(),
    }
