"""Approvals: who may give one, for which run and plan, and until when.

The engine counts the approvals in the journal. An approval is bound to the run's id and to the hash of the
plan that was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.chat.config import Role
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.messages import awaits, planned_approval
from holdfast.chat.permissions import Member, NotAllowed
from holdfast.errors import InvalidInput, Refused
from holdfast.journal.run_state import RunState
from holdfast.plan.model import PlannedApprove


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """An accepted approval; ``left`` more people are needed."""

    run: str
    step: int
    left: int


def approve(
    dependencies: BotDependencies, member: Member, run: str, question: str = ""
) -> ApprovalGiven:
    """Approve what the run waits for; ``question`` is ``step:hash`` of a button.

    Raises:
        InvalidInput: the run waits for no approval, or for another one.
        NotAllowed: this person may not approve it.
        Refused: it is too late, or no process drives the run any more.
    """
    engine, permissions = dependencies.engine, dependencies.permissions
    state = engine.state(run)
    where = site_and_runbook(state)
    permissions.require(member, Role.APPROVER, *where)
    planned = _open_question(state, question)
    _refuse_late(state, planned, dependencies.clock())
    if engine.driver(state) is None:
        raise Refused(
            f"Run {run} waits for no approval: it has no driver any more",
            remedy=f"holdfast resume {run} reason WHY",
        )
    given = [each.by for each in state.step.approvals]
    if any(member.is_same_person(by) for by in given):
        raise NotAllowed(f"{member.name} has approved step {planned.number} of {run} already")
    if planned.by_others and state.opened and member.is_same_person(state.opened.by):
        others = [n for n in permissions.people(Role.APPROVER, *where) if n != member.name]
        raise NotAllowed(
            f"{member.name} asked for run {run}: somebody else has to approve it",
            remedy=f"one of: {', '.join(others)}",
        )
    engine.approve(run, member.id)
    return ApprovalGiven(run, planned.number, max(planned.count - len(given) - 1, 0))


def site_and_runbook(state: RunState) -> tuple[str, str]:
    """Return the site and the runbook of a run, on which permissions depend."""
    opened = state.opened
    return (opened.site, opened.runbook) if opened else ("", "")


def _open_question(state: RunState, question: str) -> PlannedApprove:
    step = state.step
    planned = planned_approval(state, step.number)
    if planned is None or not awaits(state, step.number):
        raise InvalidInput(
            f"Run {state.run} does not wait for an approval", remedy=f"holdfast status {state.run}"
        )
    if question and question != f"{step.number}:{step.approval_plan_hash}":
        raise InvalidInput(
            f"This approval was for another question or plan: run {state.run} now asks step "
            f"{step.number} for plan {step.approval_plan_hash}",
            remedy=f"holdfast approve {state.run}",
        )
    return planned


def _refuse_late(state: RunState, planned: PlannedApprove, now: datetime) -> None:
    until = (state.step.approval_requested_at or now) + timedelta(
        seconds=planned.deadline_seconds or 0
    )
    if now >= until:
        raise Refused(
            f"Too late: the approval of step {planned.number} of {state.run} expired at {until:%H:%M:%S} UTC",
            remedy=f"holdfast status {state.run}",
        )
