"""The question at an ``approve`` step: who may answer it, whose approvals count, until when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.journal.run_state import RunState, Status, StepState
from holdfast.plan.model import PlannedApprove, readable_plan


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """The approval that a run waits for.

    ``may`` are the names of those who may still give it, ``given`` of those who have; ``until`` is when it expires.
    """

    run: str
    step: int
    question: str
    plan_hash: str
    count: int
    by_others: bool
    until: datetime
    given: tuple[str, ...]
    may: tuple[str, ...]

    @property
    def left(self) -> int:
        """How many more approvals are needed."""
        return max(self.count - len(self.given), 0)


def open_approval(state: RunState) -> OpenApproval | None:
    """Return the approval that the run waits for; None where it waits for none."""
    known, planned = state.step, planned_approval(state, state.current_step)
    if planned is None or not awaits(state, known.number) or known.approval_requested_at is None:
        return None
    given = approved_by(planned, known)
    return OpenApproval(
        run=state.run,
        step=planned.number,
        question=planned.question,
        plan_hash=known.approval_plan_hash,
        count=planned.count,
        by_others=planned.by_others,
        until=known.approval_requested_at + timedelta(seconds=planned.deadline_seconds or 0),
        given=given,
        may=tuple(name for name in may_approve(planned, known) if name not in given),
    )


def awaits(state: RunState, step: int) -> bool:
    """Return whether the run waits for an approval at that step now."""
    known = state.steps.get(step)
    if known is None or state.status is not Status.RUNNING or state.current_step != step:
        return False
    return known.approval_requested_at is not None and not known.finished and not known.rejected


def planned_approval(state: RunState, step: int) -> PlannedApprove | None:
    """Return the plan's approval step, if that step is one."""
    plan = readable_plan(state)
    found = plan.step(step) if plan else None
    return found if isinstance(found, PlannedApprove) else None


def may_approve(planned: PlannedApprove, known: StepState) -> tuple[str, ...]:
    """Return the names of those whose approval counts.

    Where others have to approve, nobody's counts unless it is known who asked for the run.
    """
    if not planned.by_others:
        return tuple(known.approvers)
    return tuple(name for name in known.approvers if known.starter and name != known.starter)


def approved_by(planned: PlannedApprove, known: StepState) -> tuple[str, ...]:
    """Return the names of the people who approved, each once, under whichever id."""
    people = dict.fromkeys(approval.person for approval in known.approvals)
    return tuple(name for name in people if name in may_approve(planned, known))
