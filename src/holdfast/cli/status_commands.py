"""``holdfast status`` and ``holdfast lease``: the state of runs and leases; release of a dead holder's lease."""

from __future__ import annotations

import json
import platform
import shlex
from itertools import islice
from typing import Annotated

import typer
from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.cli.options import JsonOption, YesOption, context_of
from holdfast.cli.site_marks import SiteMark, SiteMarks, read_site_marks, remove_site_mark
from holdfast.engine.hold_report import hold_message
from holdfast.engine.lease_keeper import own_scope
from holdfast.engine.run_lookup import recent_outlines, recent_runs, service_leases
from holdfast.errors import InvalidInput, Refused, StateUnusable
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState
from holdfast.model import Grant, Holder
from holdfast.plan.approval import OpenApproval, open_approval
from holdfast.report.status_view import (
    leases_table,
    run_view,
    runs_table,
    status_word,
    unfinished_runs,
)
from holdfast.store.leases import LeaseRow
from holdfast.store.processes import driver_is_gone, lives_here, processes_of
from holdfast.text import did_you_mean, one_line

_RECENT = 15
MarksOption = Annotated[
    str,
    typer.Option(
        "--site",
        "-i",
        metavar="SITE",
        help="Also the marks on the hosts of this site, which all Holdfasts leave there, whatever state "
        "database they have.",
    ),
]
StatusRun = Annotated[str, typer.Argument(metavar="RUN", help="A run's id or a unique part of it.")]


def status(ctx: typer.Context, run: StatusRun = "", *, as_json: JsonOption = False) -> None:
    """Print the state of one run, or of the newest runs and all leases.

    Without RUN: the newest runs and who holds which lease. With RUN: that run alone.
    """
    context = context_of(ctx)
    _warn_of_clock(context)
    if not run:
        _name_other_state(context, "status")
    if run:
        state = fold(context.journal(run))
        if as_json:
            context.write_line(json.dumps(_state_json(context, state)))
        else:
            driven, strays = context.has_driver(state), context.stray_plays(state)
            context.show(run_view(state, context.now(), driven=driven, strays=strays))
        return
    # A program is told of hosts, which are in all events of a run; a person sees how each run stands.
    each = recent_runs if as_json else recent_outlines
    recent = [state for _, state in islice(each(context.readable_store), _RECENT)]
    states = [state for state in recent if isinstance(state, RunState)]
    if as_json:
        runs = [_state_json(context, state) for state in states]
        held = [_lease_json(scope, row) for scope, row in _leases(context)]
        context.write_line(json.dumps({"runs": runs, "leases": held}))
    else:
        seen = [(state, status_word(state, driven=context.has_driver(state))) for state in states]
        context.show(runs_table(seen))
        if stopped := unfinished_runs(seen):
            context.show(Text())
            context.show(stopped)
        context.show(Text())
        context.show(leases_table(_leases(context)))
    if damaged := [state for state in recent if isinstance(state, StateUnusable)]:
        every = "\n".join(error.message for error in damaged)
        raise StateUnusable(every, remedy=damaged[0].remedy)


def lease_list(ctx: typer.Context, *, site: MarksOption = "", as_json: JsonOption = False) -> None:
    """List who holds which lease, since when, until when and why.

    With --site also who has marked hosts of that site, with whatever state database.
    """
    context = context_of(ctx)
    _warn_of_clock(context)
    _name_other_state(context, "lease list")
    marks = read_site_marks(context, site) if site else SiteMarks((), {})
    if as_json:
        listed = [_lease_json(scope, row) for scope, row in _leases(context)]
        listed += [_mark_json(mark) for mark in marks.marks]
        context.write_line(json.dumps(listed))
    else:
        context.show(leases_table(_leases(context)))
        if marks.marks:
            context.show(Text())
            context.show(leases_table((mark.label, mark.row) for mark in marks.marks))
        elif site:
            context.show(Text("No host is marked.", "dim"))
    for host, why in marks.unknown.items():
        text = f"{host}: whether it has marks is not known: {one_line(why)}"
        context.err.print(Text(text, "yellow"), soft_wrap=True)


def lease_release(
    ctx: typer.Context,
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="As `lease list` shows it.")],
    *,
    site: Annotated[
        str,
        typer.Option(
            "--site",
            "-i",
            metavar="SITE",
            help="Remove the marks on the hosts of this site instead, as `lease list --site` shows them.",
        ),
    ] = "",
    yes: YesOption = False,
) -> None:
    """Release the lease of a holder that is known to be dead, before it expires.

    Needed only for a holder that cannot be seen from here and has died: on another controller, in
    another container, or, where the state is on a database server, before this controller's last
    boot. Otherwise a dead holder is recognised. A holder that is alive after all cannot act any more
    without its lease.

    With --site: the marks of a run that has another state database, likewise. It cannot act any more
    on hosts that have lost its mark.
    """
    context = context_of(ctx)
    if site:
        _release_marks(context, scope, site, yes=yes)
        return
    scopes = context.readable_store.scopes()
    if scope not in scopes:
        hint = did_you_mean(scope, scopes)
        raise InvalidInput(f"No lease {scope!r}: {hint}", remedy="holdfast lease list")
    for row in context.store.holders(scope):
        _refuse_if_alive(row, scope)
        context.show(leases_table([(scope, row)]))
        question = f"Is {_process(row.holder)} known to be dead?"
        context.confirm(question, yes=yes)
        own = next(iter(own_scope(row.holder.run)))
        rows = [(own, each) for each in context.store.holders(own)]
        tokens = {name: each.token for name, each in rows if each.holder == row.holder}
        context.store.release(Grant(row.holder.run, {**tokens, scope: row.token}))
        resume = f"holdfast resume {row.holder.run} --reason '…'"
        context.show(Text(f"{scope} is free; the run may be resumed: {resume}"))


def _release_marks(context: CommandContext, scope: str, site: str, *, yes: bool) -> None:
    """Remove the marks of every run on a service, each after a confirmation; then look again."""
    listing = f"holdfast lease list --site {shlex.quote(site)}"
    found = read_site_marks(context, site).marks
    chosen = [mark for mark in found if mark.scope == scope]
    if not chosen:
        hint = did_you_mean(scope, dict.fromkeys(mark.scope for mark in found))
        raise InvalidInput(f"No host is marked for {scope!r}: {hint}", remedy=listing)
    leased = {row.holder.run for _, row in _leases(context)}
    for mark in chosen:
        _refuse_if_alive(mark.row, scope)
        run = mark.row.holder.run
        if run in leased:
            raise Refused(f"run {run} holds its lease", remedy=f"holdfast status {run}")
        context.show(leases_table([(mark.label, mark.row)]))
        context.confirm(f"Is {_process(mark.row.holder)} known to be dead?", yes=yes)
        remove_site_mark(context, site, mark)
    after = read_site_marks(context, site)
    if left := [mark for mark in after.marks if mark.scope == scope]:
        raise Refused(f"{left[0].label}: still there", remedy=listing)
    for host, why in after.unknown.items():
        context.err.print(Text(f"{host}: not known: {one_line(why)}", "yellow"), soft_wrap=True)
    context.show(Text(f"No host that answers is marked for {scope} any more"))


def _refuse_if_alive(row: LeaseRow, scope: str) -> None:
    """Refuse if the holder or one of its plays is seen to run on this controller.

    Raises:
        Refused: it is.
    """
    holder = row.holder
    if not lives_here(holder):
        return
    alive = f"process {holder.process} of this controller, which is alive"
    if driver_is_gone(holder):
        plays = ", ".join(map(str, sorted(processes_of(holder.run))))
        alive = f"a play of run {holder.run}, which still runs on this controller: process {plays}"
    raise Refused(f"{scope} is held by {alive}", remedy=f"holdfast abort {holder.run}")


def _process(holder: Holder) -> str:
    """Return what a person must look for, such as ``process 42 of run R on ctl9``."""
    process = f"process {holder.process} of run {holder.run} on {holder.controller}"
    if holder.controller == platform.node():
        return f"{process}, from before its last boot or from another container,"
    return process


def _warn_of_clock(context: CommandContext) -> None:
    """Print a warning where the clocks of this controller and of the state database differ."""
    if warning := context.readable_store.clock_warning(context.now):
        context.err.print(Text(f"{warning}; no run can be started", "yellow"), soft_wrap=True)


def _name_other_state(context: CommandContext, command: str) -> None:
    """Print that runs and leases are kept elsewhere on this machine too, where they are."""
    if note := context.other_state(command):
        context.err.print(Text(note, "yellow"), soft_wrap=True)


def _leases(context: CommandContext) -> list[tuple[str, LeaseRow]]:
    return list(service_leases(context.readable_store))


def _state_json(context: CommandContext, state: RunState) -> dict[str, object]:
    strays, driven = context.stray_plays(state), context.has_driver(state)
    opened, held = state.opened, hold_message(state, strays)
    names = ("runbook", "playbook", "site", "by", "reason")
    return {
        "run": state.run,
        "state": status_word(state, driven=driven),
        **{name: getattr(opened, name, "") for name in names},
        "began": opened.at.isoformat() if opened else "",
        "step": state.current_step,
        "in_hand": [turn.host for _, turn in state.in_hand()],
        "done": state.done(),
        "strays": list(strays.processes) if strays else [],
        "held": held.model_dump(mode="json") if held and not driven else None,
        "waiting_for": _approval_json(open_approval(state)) if driven else None,
    }


def _approval_json(asked: OpenApproval | None) -> dict[str, object] | None:
    if asked is None:
        return None
    return {
        "step": asked.step,
        "question": asked.question,
        "plan_hash": asked.plan_hash,
        "until": asked.until.isoformat(),
        "needed": asked.left,
        "may_approve": list(asked.may),
        "approved_by": list(asked.given),
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


def _mark_json(mark: SiteMark) -> dict[str, object]:
    """Return a mark as a lease is listed, with ``hosts`` and without a token."""
    listed = _lease_json(mark.scope, mark.row)
    del listed["token"]
    return {**listed, "hosts": list(mark.hosts)}
