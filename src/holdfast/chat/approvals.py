"""Answers to a run's question in chat: the role comes first, the rest is the engine's (``engine/approvals``)."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.chat.config import Role
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.permissions import Member
from holdfast.journal.run_state import RunState
from holdfast.plan.approval import open_approval


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
        NotAllowed: this person is no approver there.
        InvalidInput, Refused: as ``Engine.approve``.
    """
    step = _required(dependencies, member, run).current_step
    asked = open_approval(dependencies.engine.approve(run, member.id, question))
    return ApprovalGiven(run, step, asked.left if asked else 0)


def reject(
    dependencies: BotDependencies, member: Member, run: str, reason: str, question: str = ""
) -> int:
    """Say no to what the run waits for, and return its step.

    Raises:
        NotAllowed: this person is no approver there.
        InvalidInput, Refused: as ``Engine.reject``.
    """
    step = _required(dependencies, member, run).current_step
    dependencies.engine.reject(run, member.id, reason, question)
    return step


def site_and_runbook(state: RunState) -> tuple[str, str]:
    """Return the site and the runbook of a run, on which permissions depend."""
    opened = state.opened
    return (opened.site, opened.runbook) if opened else ("", "")


def _required(dependencies: BotDependencies, member: Member, run: str) -> RunState:
    state = dependencies.engine.state(run)
    dependencies.permissions.require(member, Role.APPROVER, *site_and_runbook(state))
    return state
