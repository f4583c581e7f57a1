"""Judge what a compute has in flight."""

from __future__ import annotations

from holdfast.judges.base import first_few
from holdfast.model import Outcome, Verdict
from holdfast.observations.nova import SILENT_CELL, ComputeWork, Instance, ListedService, Migration

DONE = {"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"}
WAITS_FOR_USER = "finished"  # a resize to be confirmed, perhaps days from now
IN_CREATION = {"BUILD", "REBUILD"}
MAX_NAMED = 10  # operations named in evidence


def compute_idle(claim: str, work: ComputeWork, wait_for_users: bool) -> Verdict:
    """PASS where a compute has no instance with a task, none in BUILD and no running migration.

    nova-compute sets an instance that it finds half built at its start to ERROR. A migration that
    waits for its user's confirmation is in flight only if ``wait_for_users``.
    """
    hidden = any(each.status == SILENT_CELL for each in work.instances)
    if hidden or not (_is_reported(work.before) and _is_reported(work.after)):
        message = (
            f"nova does not report nova-compute on {work.host}, so its lists of instances and"
            " migrations may be incomplete"
        )
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message)
    over = DONE if wait_for_users else DONE | {WAITS_FOR_USER}
    busy = [_describe(each) for each in work.instances if each.task or each.status in IN_CREATION]
    moving = [_describe(each) for each in work.migrations if each.status not in over]
    waiting = [each.id for each in work.migrations if each.status == WAITS_FOR_USER]
    evidence = {
        "instances": len(work.instances),
        "busy": [*busy, *moving][:MAX_NAMED],
        "waiting_for_user": waiting[:MAX_NAMED],
    }
    if busy or moving:
        operations = first_few([*busy, *moving])
        message = f"{work.host} has {len(busy) + len(moving)} in flight: {operations}"
        return Verdict(claim, Outcome.FAIL, "in_flight", message, evidence)
    message = f"{work.host}: none of {len(work.instances)} instances has a task in flight"
    return Verdict(claim, Outcome.PASS, "idle", message, evidence)


def _is_reported(entry: ListedService | None) -> bool:
    return entry is not None and entry.status != SILENT_CELL


def _describe(operation: Instance | Migration) -> str:
    if isinstance(operation, Migration):
        return f"{operation.kind} {operation.id} is {operation.status}"
    task = f", {operation.task}" if operation.task else ""
    return f"instance {operation.id} is in {operation.status}{task}"
