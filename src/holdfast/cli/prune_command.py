"""``holdfast prune``: deletes the journals, and the output of plays, of runs that ended long ago."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.cli.options import YesOption, context_of
from holdfast.engine.lease_keeper import own_scope
from holdfast.errors import InvalidInput, StateUnusable
from holdfast.journal.fold import fold
from holdfast.journal.run_state import Status
from holdfast.text import count_of

KeepDaysOption = Annotated[
    int,
    typer.Option("--keep-days", metavar="DAYS", min=8, help="Keep what is newer than this."),
]
UnfinishedOption = Annotated[
    bool,
    typer.Option(
        "--unfinished",
        metavar="",
        help="Also runs that are held, or whose driver died. They cannot be resumed afterwards.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", metavar="", help="List what would be deleted; delete nothing.")
]

_ENDED = {Status.FINISHED, Status.REFUSED, Status.ABORTED}


@dataclass(frozen=True, slots=True)
class _Old:
    """A run to delete as it was read: its state, its last event and when that was; or only a directory."""

    run: str
    state: str
    last: int
    at: datetime


def prune(
    ctx: typer.Context,
    *,
    keep_days: KeepDaysOption = 90,
    unfinished: UnfinishedOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Delete the journals, and the output of plays, of runs that ended long ago.

    A run's age counts from its last event. Only runs that were finished, refused or aborted are
    deleted: a held one may still be resumed. A run that a process drives, or that holds a lease, is
    never deleted. The list is shown and a confirmation asked for; from cron, give --yes. With a database
    that several controllers share, each deletes the output of its own plays when this is run there.
    """
    context = context_of(ctx)
    before = context.now() - timedelta(days=keep_days)
    damaged: list[str] = []
    old = [*_old_runs(context, before, damaged, unfinished=unfinished)]
    old += _old_directories(context, before)
    for each in old:
        context.write_line(f"{each.run}  {each.state}  last event {each.at:%Y-%m-%d}")
    if damaged:
        context.err.print(Text(f"kept, cannot be read: {', '.join(damaged)}", "yellow"))
    if not old:
        context.show(Text(f"Nothing is older than {count_of(keep_days, 'day')}"))
        return
    if dry_run:
        context.show(Text(f"{count_of(len(old), 'run')} would be deleted"))
        return
    context.confirm(f"Delete {count_of(len(old), 'run')} for good?", yes=yes)
    deleted = [each for each in old if _delete(context, each)]
    context.show(Text(f"{count_of(len(deleted), 'run')} deleted"))


def _old_runs(
    context: CommandContext, before: datetime, damaged: list[str], *, unfinished: bool
) -> Iterator[_Old]:
    """Yield the runs to delete, newest first; add to ``damaged`` those that cannot be read."""
    store = context.readable_store
    holding = {row.holder.run for _, row in store.held()}
    for run in store.runs():
        if run in holding:
            continue
        try:
            events = store.read(run)
        except StateUnusable:
            damaged.append(run)
            continue
        state, last = fold(events), events[-1]
        if last.event.at < before and (unfinished or state.status in _ENDED):
            yield _Old(run, state.status, last.seq, last.event.at)


def _old_directories(context: CommandContext, before: datetime) -> Iterator[_Old]:
    """Yield the directories of plays' output whose journal was deleted, perhaps on another controller."""
    known = set(context.readable_store.runs())
    for path in _directories(context.settings.runs_dir):
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if path.name not in known and changed < before:
            yield _Old(path.name, "output of plays without a journal", 0, changed)


def _directories(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []


def _delete(context: CommandContext, old: _Old) -> bool:
    """Delete the journal, then the output; return False for a run that went on meanwhile.

    Raises:
        InvalidInput: the output cannot be deleted; the next prune finds it.
    """
    [own] = own_scope(old.run)
    if old.last and not context.store.delete(old.run, old.last, own):
        return False
    try:
        shutil.rmtree(context.settings.runs_dir / old.run)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise InvalidInput(
            f"the output of run {old.run} cannot be deleted: {error.strerror}: {error.filename}",
            remedy="repeat the command as the user that it belongs to, or as root",
        ) from error
    return True
