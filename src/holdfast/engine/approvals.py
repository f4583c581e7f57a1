"""Answers to an approval that a run waits for: who may give one, and whether anybody can.

Every way in (terminal, chat) asks here. The ids that decide are those in the journal, with the request.
"""

from __future__ import annotations

from datetime import datetime

from holdfast.errors import InvalidInput, Refused
from holdfast.journal import events as ev
from holdfast.journal.run_state import RunState
from holdfast.people import Approvers, person_of
from holdfast.plan.approval import OpenApproval, open_approval
from holdfast.plan.decide import RequestApproval
from holdfast.plan.model import Plan, PlannedApprove
from holdfast.text import count_of, gives_reason, join_names

PEOPLE_FILE = "people.yml of the project (docs/chat.md)"


def require_approvers(plan: Plan, by: str, approvers: Approvers) -> None:
    """Return only if every approval of the plan can be given: learnt before anything is touched.

    Raises:
        Refused: nobody knows who asks, or too few others may approve.
    """
    starter, may = person_of(approvers.people, by), approvers.ids()
    for step in plan.steps:
        if not isinstance(step, PlannedApprove):
            continue
        needed = f"step {step.number} needs the approval of {count_of(step.count, 'person')}"
        if step.by_others and not starter:
            raise Refused(
                f"{needed} other than who asks for the run, and {by} is the id of nobody who is known: "
                "it may be anybody's",
                remedy=f"add {by if ':' in by else f'login:{by}'} to its person in {PEOPLE_FILE}",
            )
        others = [name for name in may if not (step.by_others and name == starter)]
        if len(others) < step.count:
            raise Refused(
                f"{needed}, and those who may are {join_names(others) or 'none'}",
                remedy=f"add people to {PEOPLE_FILE}, or the role approver in the configuration of chat",
            )


def approval_requested(
    asked: RequestApproval, plan: Plan, state: RunState, approvers: Approvers, at: datetime
) -> ev.ApprovalRequested:
    """Return the request with those who may answer; a request that is repeated lets no more people answer."""
    may, earlier = approvers.ids(), state.steps[asked.step].approvers
    return ev.ApprovalRequested(
        at=at,
        step=asked.step,
        question=asked.question,
        plan_hash=plan.hash,
        people={name: ids for name, ids in may.items() if not earlier or name in earlier},
        starter=person_of(approvers.people, state.opened.by if state.opened else ""),
    )


def approved(state: RunState, by: str, question: str, at: datetime) -> ev.Approved:
    """Return the approval of the person who has the id ``by``.

    Raises:
        InvalidInput: the run waits for no approval, or for another one than ``question``.
        Refused: it is too late, nobody knows whose id this is, or this person may not approve it (again).
    """
    asked, person = _question(state, by, question, at)
    if person in asked.given:
        raise Refused(f"{person} has approved step {asked.step} of {state.run} already")
    if person not in asked.may:
        raise Refused(
            f"{person} asked for run {state.run}: somebody else has to approve it",
            remedy=_others(asked),
        )
    return ev.Approved(at=at, step=asked.step, by=by, plan_hash=asked.plan_hash, person=person)


def rejected(state: RunState, by: str, reason: str, question: str, at: datetime) -> ev.Rejected:
    """Return the no of the person who has the id ``by``; one of those who may approve, who asked included.

    Raises:
        InvalidInput, Refused: as ``approved``; also without a reason.
    """
    if not gives_reason(reason):
        raise InvalidInput("A reject needs a reason", remedy="--reason 'why not'")
    asked, person = _question(state, by, question, at)
    return ev.Rejected(
        at=at, step=asked.step, by=by, plan_hash=asked.plan_hash, person=person, reason=reason
    )


def _question(state: RunState, by: str, question: str, at: datetime) -> tuple[OpenApproval, str]:
    """Return what the run waits for, and the name of who answers."""
    asked = open_approval(state)
    if asked is None:
        raise InvalidInput(
            f"Run {state.run} does not wait for an approval", remedy=f"holdfast status {state.run}"
        )
    if question and question != f"{asked.step}:{asked.plan_hash}":
        raise InvalidInput(
            f"This answer was to another question or plan: run {state.run} now asks step "
            f"{asked.step} for plan {asked.plan_hash}",
            remedy=f"holdfast approve {state.run}",
        )
    if at >= asked.until:
        raise Refused(
            f"Too late: the approval of step {asked.step} of {state.run} expired at "
            f"{asked.until:%H:%M:%S} UTC",
            remedy=f"holdfast status {state.run}",
        )
    if not state.step.approvers:
        raise Refused(
            f"The request of run {state.run} names nobody who may approve: an older version wrote it",
            remedy=f"holdfast abort {state.run}; a resume asks again",
        )
    person = person_of(state.step.approvers, by)
    if not person:
        raise Refused(
            f"{by} is the id of nobody who may approve run {state.run}", remedy=_others(asked)
        )
    return asked, person


def _others(asked: OpenApproval) -> str:
    return f"one of: {join_names(asked.may)}" if asked.may else f"holdfast abort {asked.run}"
