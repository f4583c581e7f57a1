"""Judge what a compute has in flight."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.judges.base import first_few
from holdfast.judges.nova.services import LISTED_TWICE, listed_twice
from holdfast.model import Outcome, Verdict
from holdfast.observations.nova import (
    IN_CREATION,
    SILENT_CELL,
    WAITS_FOR_USER,
    ComputeWork,
    Instance,
    ListedService,
    Migration,
)

LEFT_OVER_HOURS = (
    24  # far longer than any step of a migration, so the clocks' difference does not matter
)
MAX_NAMED = 10  # operations named in evidence


def compute_idle(claim: str, work: ComputeWork, wait_for_users: bool) -> Verdict:
    """PASS where a compute has no instance with a task, none in BUILD and no running migration.

    nova-compute sets an instance that it finds half built at its start to ERROR. A migration that
    waits for its user's confirmation is in flight only if ``wait_for_users``. One that was left over is named, and is
    not waited for: it never ends.
    """
    if doubt := _doubt(claim, work):
        return doubt
    waiting = [each for each in work.migrations if each.status == WAITS_FOR_USER]
    open_ones = [each for each in work.migrations if each.is_open]
    open_ones += waiting if wait_for_users else []
    busy = [_describe(each) for each in work.instances if each.task or each.status in IN_CREATION]
    moving = [_describe(each) for each in open_ones if not _is_left_over(each)]
    left_over = [_describe_left_over(each) for each in open_ones if _is_left_over(each)]
    evidence = {
        "instances": len(work.instances),
        "busy": [*busy, *moving][:MAX_NAMED],
        "left_over": left_over[:MAX_NAMED],
        "waiting_for_user": [each.id for each in waiting][:MAX_NAMED],
    }
    if busy or moving:
        operations = first_few([*busy, *moving])
        message = f"{work.host} has {len(busy) + len(moving)} in flight: {operations}"
        return Verdict(claim, Outcome.FAIL, "in_flight", message, evidence)
    message = f"{work.host}: none of {len(work.instances)} instances has a task in flight"
    message += f"; left out: {first_few(left_over)}" if left_over else ""
    return Verdict(claim, Outcome.PASS, "idle", message, evidence)


def _doubt(claim: str, work: ComputeWork) -> Verdict | None:
    """Return UNKNOWN where the lists of instances and migrations may not be this compute's, or not whole."""
    hidden = any(each.status == SILENT_CELL for each in work.instances)
    if hidden or not (_is_reported(work.before) and _is_reported(work.after)):
        message = (
            f"nova does not report nova-compute on {work.host}, so its lists of instances and"
            " migrations may be incomplete"
        )
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message)
    if len(work.before) > 1 or len(work.after) > 1:
        entries = max(work.before, work.after, key=len)
        message = f"nova-compute on {work.host}: {listed_twice(entries)}"
        return Verdict(claim, Outcome.UNKNOWN, LISTED_TWICE, message)
    return None


def _is_reported(entries: Sequence[ListedService]) -> bool:
    return bool(entries) and all(each.status != SILENT_CELL for each in entries)


def _is_left_over(migration: Migration) -> bool:
    """Return whether a migration never ends: nova writes its row at each step, and its instance has no task."""
    return migration.idle_hours >= LEFT_OVER_HOURS and bool(migration.at_rest)


def _describe_left_over(migration: Migration) -> str:
    days = migration.idle_hours / 24
    return f"{_describe(migration)} for {days:.0f} days, {migration.at_rest}"


def _describe(operation: Instance | Migration) -> str:
    if isinstance(operation, Migration):
        return f"{operation.kind} {operation.id} is {operation.status}"
    task = f", {operation.task}" if operation.task else ""
    return f"instance {operation.id} is in {operation.status}{task}"
