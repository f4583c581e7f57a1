"""Says of a verdict which run left a host out of service, and whether that run is still under way.

A probe reads what a service reports; what became of the run is in the journal, which a check's play does not have.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.engine.run_lookup import driver_of, recent_runs
from holdfast.errors import StateUnusable
from holdfast.evidence import LEFT, UNSEEN
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState, Status
from holdfast.model import Json, Outcome
from holdfast.store.database import Store

_ENDED = {
    Status.RUNNING: "its driver is gone",
    Status.HELD: "it is held",
    Status.ABORTED: "it was aborted",
    Status.REFUSED: "it was refused",
    Status.FINISHED: "it has finished",
}


@dataclass(frozen=True, slots=True)
class _Finding:
    """What the journal says of one host: a sentence, the run, "" where none is known, and whether it is under way."""

    text: str
    run: str = ""
    under_way: bool = False


def explain(verdict: Mapping[str, Json], site: str, store: Callable[[], Store]) -> dict[str, Json]:
    """Return a verdict with what the journal says of the runs that its evidence names.

    Only what runs that are under way have taken out is a PASS: they give it back; UNKNOWN where others are unseen.
    ``next`` shows the other runs. The store is opened only where something was found.
    """
    left = verdict["evidence"].get(LEFT, {})
    if not left:
        return dict(verdict)
    found = [_find(host, run, site, store) for host, run in left.items()]
    message = "; ".join(dict.fromkeys([verdict["message"], *(each.text for each in found)]))
    if all(each.under_way for each in found):
        if unseen := verdict["evidence"].get(UNSEEN):
            unknown = {"outcome": Outcome.UNKNOWN.value, "reason": "unanswered"}
            return {**verdict, **unknown, "message": "; ".join([message, *unseen])}
        passed = {"outcome": Outcome.PASS.value, "reason": "under_way"}
        return {**verdict, **passed, "message": message}
    runs = dict.fromkeys(each.run for each in found if each.run and not each.under_way)
    commands = [f"holdfast status {shlex.quote(run)}" for run in runs]
    more = {"next": "; ".join(commands)} if commands else {}
    return {**verdict, **more, "message": message}


def _find(host: str, run: str, site: str, store: Callable[[], Store]) -> _Finding:
    try:
        opened = store()
        state = fold(opened.each(run)) if run else _drainer(opened, host, site)
        if state is None or state.opened is None:
            name = f"run {run}" if run else f"the run that drained {host}, if it was one,"
            return _Finding(f"{name} is not in the journal here")
        if driver_of(opened, state) is not None:
            return _Finding(f"run {state.run} is under way", state.run, under_way=True)
    except StateUnusable as error:
        return _Finding(f"the journal cannot be read: {error.message}")
    return _Finding(f"run {state.run}: {_ENDED[state.status]}", state.run)


def _drainer(store: Store, host: str, site: str) -> RunState | None:
    """Return the newest run at the site that drained this host and did not undo it."""
    for _, state in recent_runs(store):
        if isinstance(state, StateUnusable) or state.opened is None or state.opened.site != site:
            continue
        if any(turn.host == host and turn.undo for _, turn in state.in_hand()):
            return state
    return None
