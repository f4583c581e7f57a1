"""Finds runs: by a part of their id, all of them newest first, and who drives one now."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.engine.lease_keeper import OWN_SCOPE, own_scope
from holdfast.errors import InvalidInput, StateUnusable
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState, Status
from holdfast.model import Holder
from holdfast.store.database import Store
from holdfast.store.leases import LeaseRow
from holdfast.store.processes import driver_is_gone, strays_of
from holdfast.text import did_you_mean, join_names


def find_run(store: Store, name: str) -> str:
    """Return the id of the run that ``name`` names: an id, a unique part of one, "" for the newest.

    Raises:
        InvalidInput: no run has this id, or several have this part.
        StateUnusable: the database cannot be read.
    """
    runs = store.runs()
    if not runs and not name:
        raise InvalidInput(f"There are no runs yet in {store.where}", remedy="holdfast runbooks")
    if name in runs:
        return name
    found = [run for run in runs if name in run]
    if not found:
        raise _no_run(name, store, runs)
    if name and len(found) > 1:
        raise InvalidInput(
            f"{name!r} is a part of several runs: {join_names(found)}",
            remedy=f"holdfast status {found[0]}",
        )
    return found[0]


def read_run(store: Store, run: str) -> RunState:
    """Return the state of a run, folded from its journal.

    Raises:
        InvalidInput: there is no such run; the error names the nearest.
        StateUnusable: its journal is damaged, or was written by a newer Holdfast.
    """
    state = fold(store.each(run))
    if state.opened is None:
        raise _no_run(run, store, store.runs())
    return state


def recent_runs(store: Store) -> Iterator[tuple[str, RunState | StateUnusable]]:
    """Yield the runs, newest first, each with its state or the error that keeps it from being read."""
    for run in store.runs():
        try:
            yield run, fold(store.each(run))
        except StateUnusable as error:
            yield run, error


OUTLINE = (
    "run_opened",
    "lease_taken",
    "step_started",
    "step_finished",
    "approval_requested",
    "approved",
    "rejected",
    "abort_requested",
    "resumed",
    "refused",
    "held",
    "aborted",
    "finished",
)
"""The kinds of events that are not about single batches and hosts."""


LARGE = 5_000
"""Events of a run of which only the outline is read where runs are listed: to read all takes a second or more."""


def recent_outlines(
    store: Store, large: int = LARGE
) -> Iterator[tuple[str, RunState | StateUnusable]]:
    """Yield as ``recent_runs``; of a large run without what happened to batches and hosts."""
    for run in store.runs():
        try:
            outline = store.length(run) > large
            events = reversed(list(store.newest(run, *OUTLINE))) if outline else store.each(run)
            yield run, fold(events)
        except StateUnusable as error:
            yield run, error


def driver_of(
    store: Store,
    state: RunState,
    gone: Callable[[Holder], bool] = driver_is_gone,
) -> LeaseRow | None:
    """Return the lease of the process that drives the run; None where it stopped or its driver died.

    ``gone`` is true only for a holder whose process is known to have ended, as on its own controller.
    """
    if state.status is not Status.RUNNING:
        return None
    scopes = dict.fromkeys([*own_scope(state.run), *(state.grant.tokens if state.grant else ())])
    rows = (row for scope in scopes for row in store.holders(scope))
    return next((r for r in rows if r.holder.run == state.run and not gone(r.holder)), None)


@dataclass(frozen=True, slots=True)
class StrayPlays:
    """What was seen of the plays of a run without a driver.

    ``processes`` are those that still run, on this controller. ``elsewhere`` is the controller where
    the driver ran, if that is another: nobody can look there from here.
    """

    processes: tuple[int, ...] = ()
    elsewhere: str = ""

    def describe(self) -> str:
        """Return what is known of the driver and its plays, as a sentence."""
        if self.processes:
            pids = ",".join(map(str, self.processes))
            return (
                f"its driver is gone, and its ansible-playbook still runs and may act (ps -fp {pids}); "
                "resume and abort end it first"
            )
        if self.elsewhere:
            return (
                f"its driver on {self.elsewhere} renews no lease; whether a play of it still runs there "
                f"cannot be seen from here (on {self.elsewhere}: pgrep -af ansible-playbook)"
            )
        return "its driver is gone, and no process of its plays runs"


def stray_plays(
    state: RunState,
    processes: Callable[[str], Iterable[int]] = strays_of,
    controller: Callable[[], str] = platform.node,
) -> StrayPlays:
    """Look for plays of a run that has no driver, on this controller."""
    last = state.resumed[-1] if state.resumed else state.opened
    where = last.controller if last else ""
    found = tuple(sorted(processes(state.run)))
    return StrayPlays(found, "" if found or where == controller() else where)


def service_leases(store: Store) -> Sequence[tuple[str, LeaseRow]]:
    """Return the valid leases of services with their scopes; a run's own lease excludes nobody."""
    return store.held(without=OWN_SCOPE)


def _no_run(name: str, store: Store, runs: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        f"There is no run {name!r} in {store.where}: {did_you_mean(name, runs)}",
        remedy="holdfast status",
    )
