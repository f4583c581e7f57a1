"""The plan as data: what it says of itself, and how it is kept."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from holdfast.errors import StateUnusable
from holdfast.journal.events import Recorded
from holdfast.journal.fold import fold
from holdfast.journal.run_state import RunState
from holdfast.journal.upgrades import SCHEMA
from holdfast.model import Json
from holdfast.plan.model import Plan, PlannedApprove, PlannedCheck, plan_of, readable_plan
from holdfast.runbook.model import ApprovalPolicy, SettleSpec
from tests.fakes.journal import opened
from tests.unit.plan.test_next_batch import roll

POLICY = ApprovalPolicy(count=2, by_others=True, deadline_seconds=60)
CHECK = PlannedCheck(number=1, title="Check", claims=("s.well",), settle=SettleSpec())
APPROVE = PlannedApprove(number=2, title="Ask", question="Go?", count=1, by_others=True)
PLAN = Plan(
    runbook="r",
    runbook_hash="h",
    site="lab",
    inventory="/lab",
    inputs={},
    limit="",
    leases={"lab/s": "exclusive"},
    steps=(CHECK, APPROVE, roll().model_copy(update={"number": 3})),
)


def state_of(plan: Json) -> RunState:
    """Return the state of a run that was opened with this plan."""
    event = opened().model_copy(update={"plan": plan})
    return fold([Recorded(run="r", seq=1, event=event)])


@pytest.mark.parametrize(
    ("hosts", "batch", "canary", "lengths", "seconds"),
    [
        (0, 1, False, (None, 0), 0),
        (0, 1, True, (None, 0), 0),
        (1, 2, True, (None, 0), 60),
        (1, 2, False, (None, 0), 60),
        (3, 1, False, (None, 0), 180),
        (4, 2, False, (None, 0), 120),
        (5, 2, True, (None, 0), 180),
        (4, 2, True, (None, 0), 180),
        (2, 1, False, (None, 5), 130),
        (2, 1, False, (30, 20), 180),
        (2, 1, False, (20, 30), 180),
    ],
)
def test_a_roll_takes_as_long_as_its_batches(
    hosts: int, batch: int, canary: bool, lengths: tuple[int | None, int], seconds: int
) -> None:
    """``lengths``: what a host settles for, if it says so, and for how long it is verified at least."""
    settle, lasts = lengths
    step = roll(batch=batch, canary=canary, hosts=tuple(f"h{each}" for each in range(hosts)))
    spec = None if settle is None else SettleSpec(seconds=settle)
    step = step.model_copy(update={"settle": spec, "lasts_seconds": lasts})
    assert PLAN.model_copy(update={"steps": (step,)}).estimate_seconds == seconds


@pytest.mark.parametrize(
    ("hosts", "growth", "batches"),
    [(1, (1, 2), 1), (3, (1, 2), 2), (4, (1, 2), 3), (20, (1, 2, 5), 6), (0, (1,), 0)],
)
def test_a_growing_roll_takes_as_long_as_its_batches(
    hosts: int, growth: tuple[int, ...], batches: int
) -> None:
    step = roll(batch=growth[-1], hosts=tuple(f"h{each}" for each in range(hosts)))
    step = step.model_copy(update={"growth": growth})
    assert PLAN.model_copy(update={"steps": (step,)}).estimate_seconds == batches * 60


def test_a_check_takes_what_it_settles_for_and_an_approval_is_not_counted() -> None:
    long = CHECK.model_copy(update={"settle": SettleSpec(seconds=300)})
    assert PLAN.model_copy(update={"steps": (CHECK, APPROVE, long)}).estimate_seconds == 310


def test_a_step_is_found_by_its_number() -> None:
    assert [PLAN.step(number) for number in (0, 2, 4)] == [None, APPROVE, None]


def test_only_rolls_with_hosts_act() -> None:
    empty = roll(hosts=())
    plan = PLAN.model_copy(update={"steps": (*PLAN.steps, empty)})
    assert [step.number for step in plan.rolls()] == [3]


def test_an_approval_before_everything_is_step_0() -> None:
    begun = PLAN.begun_by_approval("May it?", POLICY)
    first = PlannedApprove(number=0, title="Approval", question="May it?", **dict(POLICY))
    assert begun.steps == (first, *PLAN.steps)
    assert begun.hash != PLAN.hash


def test_a_plan_is_kept_as_json_and_known_by_16_digits_of_it() -> None:
    """The order in which a database keeps the keys says nothing."""
    written = PLAN.as_json()
    assert json.loads(json.dumps(written)) == written
    assert written["schema"] == SCHEMA
    turned = dict(reversed(written.items()))
    again = Plan.from_journal(turned, "the plan")
    assert again == PLAN
    assert again.hash == PLAN.hash
    assert len(PLAN.hash) == 16


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"another": 1}, "another: Extra inputs are not permitted"),
        ({"steps": [CHECK.model_dump() | {"another": 1}]}, r"steps\.0\.check\.another: Extra"),
        ({"steps": [{"kind": "none"}]}, r"steps\.0: Input tag 'none'"),
        ({"runbook": 1, "site": 2}, "the plan of run r cannot be read: runbook: Input should be a"),
    ],
)
def test_a_plan_that_is_damaged_is_named_with_a_remedy_and_its_hold_is_reported_all_the_same(
    change: Json, complaint: str
) -> None:
    state = state_of(PLAN.as_json() | change)
    with pytest.raises(StateUnusable, match=complaint) as caught:
        plan_of(state)
    assert "from a backup" in caught.value.remedy
    assert readable_plan(state) is None


def test_the_plan_of_a_run_is_that_of_its_journal() -> None:
    assert plan_of(state_of(PLAN.as_json())) == PLAN
    assert plan_of(state_of({})) is None, "by hand"
    assert plan_of(RunState()) is None, "no journal yet"


def test_a_plan_does_not_change() -> None:
    for value, name in ((PLAN, "site"), (CHECK, "title")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, name, "x")
