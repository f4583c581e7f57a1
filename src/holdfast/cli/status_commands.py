"""``status`` and ``lease``: how runs stand and who may change what. Gives back a dead holder's lease."""

from __future__ import annotations

import json
import platform
from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.cli.options import JsonOption, RunArgument, YesOption, context_of
from holdfast.engine import hold_message, recent_runs
from holdfast.errors import InvalidInput, Refused, StateUnusable
from holdfast.journal import RunState, fold
from holdfast.model import Grant
from holdfast.report.status_view import leases_table, run_view, runs_table, status_word
from holdfast.store import LeaseRow
from holdfast.text import closest

_RECENT = 15


def status(context: typer.Context, run: RunArgument = "", *, as_json: JsonOption = False) -> None:
    """Print the state of one run, or of the newest runs and all leases.

    Without RUN: the newest runs and who holds which lease. With RUN: that run alone.
    """
    desk = context_of(context)
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
        desk.show(runs_table((state, _word(desk, state)) for state in states))
        desk.show(Text())
        _show_leases(desk, leases)
    if damage:
        raise damage


def _recent(desk: CommandContext) -> tuple[list[RunState], StateUnusable | None]:
    """The newest runs that can be read, and why one cannot: it must not hide the others."""
    states, damage = list[RunState](), None
    for _, state in islice(recent_runs(desk.store), _RECENT):
        if isinstance(state, StateUnusable):
            damage = state
        else:
            states.append(state)
    return states, damage


def lease_list(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List who holds which lease, since when, until when and why."""
    desk = context_of(context)
    leases = _leases(desk)
    if as_json:
        desk.emit(json.dumps([_lease_json(scope, row) for scope, row in leases]))
    else:
        _show_leases(desk, leases)


def lease_release(
    context: typer.Context,
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="As `lease list` shows it.")],
    *,
    yes: YesOption = False,
) -> None:
    """Take a lease from a holder that is known to be dead, before it expires by itself.

    Needed only for a holder on another controller that has died: on its own controller a dead
    holder is recognised. A holder that still lives acts no more once its lease is gone.
    """
    desk = context_of(context)
    scopes = desk.store.scopes()
    if scope not in scopes:
        near = closest(scope, scopes)
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


def _word(desk: CommandContext, state: RunState) -> str:
    return status_word(state, driven=desk.driven(state))


def _leases(desk: CommandContext) -> list[tuple[str, LeaseRow]]:
    now, store = desk.now(), desk.store
    return [(scope, row) for scope in store.scopes() for row in store.holders(scope, now)]


def _show_leases(desk: CommandContext, leases: list[tuple[str, LeaseRow]]) -> None:
    desk.show(leases_table(leases))


def _status_of(desk: CommandContext, state: RunState, *, as_json: bool) -> None:
    if as_json:
        desk.emit(json.dumps(_state_json(desk, state)))
        return
    desk.show(run_view(state, driven=desk.driven(state)))


def _state_json(desk: CommandContext, state: RunState) -> dict[str, object]:
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
        "step": state.current_step,
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
