"""Who may answer a question, whose approvals count, and when a run waits for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.journal import events as ev
from holdfast.journal.events import Event, Recorded
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState
from holdfast.plan.approval import awaits, open_approval
from holdfast.plan.model import PlannedApprove, PlannedWait
from holdfast.runbook.model import SettleSpec
from tests.fakes.journal import opened
from tests.unit.plan.test_decide import PLAN

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
PEOPLE = {name: [f"login:{name}"] for name in ("ada", "bob", "eve")}
ASKED = ev.ApprovalRequested(
    at=NOW, step=1, question="Go?", plan_hash="p", people=PEOPLE, starter="ada"
)
YES = ev.Approved(at=NOW, step=1, by="login:bob", plan_hash="p", person="bob")
NO = ev.Rejected(at=NOW, step=1, by="login:bob", plan_hash="p", person="bob", reason="no")


def run(
    *events: Event, by_others: bool = True, deadline: int | None = 60, count: int = 2
) -> RunState:
    """Return the state of a run that has begun its step 1, an approval, and then these events."""
    approve = PlannedApprove(
        number=1,
        title="x",
        deadline_seconds=deadline,
        question="Go?",
        count=count,
        by_others=by_others,
    )
    wait = PlannedWait(
        number=2, title="y", deadline_seconds=1, claims=(), settle=SettleSpec(readings=1, seconds=1)
    )
    plan = PLAN.model_copy(update={"steps": (approve, wait)})
    started = opened(NOW).model_copy(update={"plan": plan.as_json()})
    begun = ev.StepStarted(at=NOW, step=1, title="x")
    journal = (started, begun, *events)
    return fold(
        Recorded(run="r1", seq=number, event=each) for number, each in enumerate(journal, 1)
    )


def test_an_open_question_says_who_may_still_answer_and_until_when() -> None:
    asked = open_approval(run(ASKED, YES))
    assert asked is not None
    assert (asked.run, asked.step, asked.question, asked.plan_hash) == ("r1", 1, "Go?", "p")
    assert (asked.given, asked.may, asked.left) == (("bob",), ("eve",), 1)
    assert asked.until == NOW + timedelta(seconds=60)


def test_without_a_time_limit_a_question_expires_at_once() -> None:
    asked = open_approval(run(ASKED, deadline=None))
    assert asked is not None
    assert asked.until == NOW


@pytest.mark.parametrize(
    ("request_", "by_others", "may"),
    [
        (ASKED, True, ("bob", "eve")),
        (ASKED, False, ("ada", "bob", "eve")),
        (ASKED.model_copy(update={"starter": ""}), True, ()),
        (ASKED.model_copy(update={"starter": "zoe"}), True, ("ada", "bob", "eve")),
    ],
)
def test_nobody_approves_alone_what_they_asked_for(
    request_: ev.ApprovalRequested, by_others: bool, may: tuple[str, ...]
) -> None:
    """Where others have to approve and it is not known who asked, nobody's approval counts."""
    asked = open_approval(run(request_, by_others=by_others))
    assert asked is not None
    assert asked.may == may


def test_more_approvals_than_needed_leave_none_to_give() -> None:
    asked = open_approval(run(ASKED, YES, count=1))
    assert asked is not None
    assert asked.left == 0
    more = open_approval(run(ASKED, YES, YES.model_copy(update={"person": "eve"}), count=1))
    assert more is not None
    assert more.left == 0


REFUSED = ev.RunRefused(at=NOW, step=1, claim="", evidence="", next_commands=[])
ENDED = ev.StepFinished(at=NOW, step=1)
NEXT = ev.StepStarted(at=NOW, step=2, title="y")


@pytest.mark.parametrize(
    "events", [(), (ASKED, NO), (ASKED, ENDED), (ASKED, REFUSED), (ASKED, NEXT)]
)
def test_a_run_that_waits_for_no_approval_has_none_open(events: tuple[Event, ...]) -> None:
    state = run(*events)
    assert open_approval(state) is None
    assert not awaits(state, 1)


def test_a_run_waits_at_the_step_that_asks_alone() -> None:
    state = run(ASKED)
    assert awaits(state, 1)
    assert not awaits(state, 2)
