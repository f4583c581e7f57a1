"""Approvals: who may give one, for which run and plan, and until when.

The engine counts the approvals in the journal. An approval is bound to the run's id and to the hash of the
plan that was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.chat.config import Role
from holdfast.chat.messages import awaits, planned_approval
from holdfast.chat.permissions import Member, NotAllowed, Permissions
from holdfast.engine.engine import Engine
from holdfast.errors import InvalidInput, Refused
from holdfast.journal.run_state import RunState
from holdfast.plan.model import PlannedApprove


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """An accepted approval; ``left`` more people are needed."""

    run: str
    step: int
    left: int


@dataclass(frozen=True, slots=True)
class ApprovalService:
    """Accepts approvals."""

    engine: Engine
    permissions: Permissions

    def approve(self, member: Member, run: str, now: datetime, question: str = "") -> ApprovalGiven:
        """Approve what the run waits for; ``question`` is ``step:hash`` of a button.

        Raises:
            InvalidInput: the run waits for no approval, or for another one.
            NotAllowed: this person may not approve it.
            Refused: it is too late, or no process drives the run any more.
        """
        state = self.engine.state(run)
        self.permissions.require(member, Role.APPROVER, *site_and_runbook(state))
        planned = _open_question(state, question)
        _refuse_late(state, planned, now)
        if self.engine.driver(state) is None:
            raise Refused(
                f"Run {run} waits for no approval: it has no driver any more",
                remedy=f"holdfast resume {run} reason WHY",
            )
        given = [each.by for each in state.step.approvals]
        if any(member.is_same_person(by) for by in given):
            raise NotAllowed(f"{member.name} has approved step {planned.number} of {run} already")
        self._refuse_requester(member, state, planned)
        self.engine.approve(run, member.id)
        return ApprovalGiven(run, planned.number, max(planned.count - len(given) - 1, 0))

    def _refuse_requester(self, member: Member, state: RunState, planned: PlannedApprove) -> None:
        by = state.opened.by if state.opened else ""
        if planned.by_others and member.is_same_person(by):
            others = self.permissions.people(Role.APPROVER, *site_and_runbook(state))
            raise NotAllowed(
                f"{member.name} asked for run {state.run}: somebody else has to approve it",
                remedy=f"one of: {', '.join(name for name in others if name != member.name)}",
            )


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
