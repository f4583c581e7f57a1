"""Finds runs: by a part of their id, all of them newest first, and who drives one now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.errors import InvalidInput, StateUnusable
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState, Status
from holdfast.store.database import Store
from holdfast.store.leases import LeaseRow
from holdfast.text import did_you_mean, join_names


def find_run(store: Store, name: str) -> str:
    """Return the id of the run that ``name`` names: an id, a unique part of one, "" for the newest.

    Raises:
        InvalidInput: no run has this id, or several have this part.
        StateUnusable: the database cannot be read.
    """
    runs = store.runs()
    if not runs and not name:
        raise InvalidInput("There are no runs yet", remedy="holdfast runbooks")
    if name in runs:
        return name
    found = [run for run in runs if name in run]
    if not found:
        raise _no_run(name, runs)
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
        raise _no_run(run, store.runs())
    return state


def recent_runs(store: Store) -> Iterator[tuple[str, RunState | StateUnusable]]:
    """Yield the runs, newest first, each with its state or the error that keeps it from being read."""
    for run in store.runs():
        try:
            yield run, fold(store.each(run))
        except StateUnusable as error:
            yield run, error


def driver_of(store: Store, state: RunState) -> LeaseRow | None:
    """Return the lease of the process that drives the run; None where it stopped or its driver died."""
    if state.status is not Status.RUNNING or state.grant is None:
        return None
    rows = (row for scope in state.grant.tokens for row in store.holders(scope))
    return next((row for row in rows if row.holder.run == state.run), None)


def _no_run(name: str, runs: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        f"There is no run {name!r}: {did_you_mean(name, runs)}", remedy="holdfast status"
    )
