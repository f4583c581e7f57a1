"""Approvals: whose word counts, for which run and plan, and until when.

The engine counts the words in the journal and forgets none; here is decided who may give one. A
word is bound to the run's id and to the hash of the plan that was asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.chat.config import Role
from holdfast.chat.messages import awaits, planned_approval
from holdfast.chat.permissions import Member, NotAllowed, Permissions
from holdfast.engine import Engine
from holdfast.errors import InvalidInput, Refused
from holdfast.journal import RunState
from holdfast.plan import PlannedApprove


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A word that was taken; ``left`` more people are needed."""

    run: str
    step: int
    left: int


@dataclass(frozen=True, slots=True)
class ApprovalService:
    """Where words are given."""

    engine: Engine
    access: Permissions

    def approve(self, member: Member, run: str, now: datetime, question: str = "") -> ApprovalGiven:
        """Give the member's word for what the run asks; ``question`` is ``step:hash`` of a button.

        Raises:
            InvalidInput: the run waits for nobody's word, or for another question's.
            NotAllowed: it is not this person's word that is wanted.
            Refused: it is too late, or nobody drives the run any more.
        """
        state = self.engine.state(run)
        self.access.require(member, Role.APPROVER, *site_and_runbook(state))
        asked = _open_question(state, question)
        _refuse_late(state, asked, now)
        if self.engine.driver(state) is None:
            raise Refused(
                f"Run {run} waits for no word: it has no driver any more",
                remedy=f"holdfast resume {run} reason WHY",
            )
        given = [word.by for word in state.step.approvals]
        if any(member.is_one(by) for by in given):
            raise NotAllowed(f"{member.name} has approved step {asked.number} of {run} already")
        self._refuse_requester(member, state, asked)
        self.engine.approve(run, member.id)
        return ApprovalGiven(run, asked.number, max(asked.count - len(given) - 1, 0))

    def _refuse_requester(self, member: Member, state: RunState, asked: PlannedApprove) -> None:
        by = state.opened.by if state.opened else ""
        if asked.by_others and member.is_one(by):
            others = self.access.people(Role.APPROVER, *site_and_runbook(state))
            raise NotAllowed(
                f"{member.name} asked for run {state.run}: somebody else has to approve it",
                remedy=f"one of: {', '.join(name for name in others if name != member.name)}",
            )


def site_and_runbook(state: RunState) -> tuple[str, str]:
    """What permissions depend on."""
    opened = state.opened
    return (opened.site, opened.runbook) if opened else ("", "")


def _open_question(state: RunState, question: str) -> PlannedApprove:
    step = state.step
    asked = planned_approval(state, step.number)
    if asked is None or not awaits(state, step.number):
        raise InvalidInput(
            f"Run {state.run} does not wait for an approval", remedy=f"holdfast status {state.run}"
        )
    if question and question != f"{step.number}:{step.approval_plan_hash}":
        raise InvalidInput(
            f"This approval was for another question or plan: run {state.run} now asks step "
            f"{step.number} for plan {step.approval_plan_hash}",
            remedy=f"holdfast approve {state.run}",
        )
    return asked


def _refuse_late(state: RunState, asked: PlannedApprove, now: datetime) -> None:
    until = (state.step.approval_requested_at or now) + timedelta(
        seconds=asked.deadline_seconds or 0
    )
    if now >= until:
        raise Refused(
            f"Too late: the approval of step {asked.number} of {state.run} expired at {until:%H:%M:%S} UTC",
            remedy=f"holdfast status {state.run}",
        )
