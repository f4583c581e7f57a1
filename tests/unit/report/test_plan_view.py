"""A plan shows the batches as they would follow."""

from __future__ import annotations

import pytest

from holdfast.plan.model import Plan, PlannedRoll
from holdfast.report.plan_view import Preview, plan_view
from holdfast.report.progress_text import plain
from tests.unit.engine.engine_harness import make_policy


def shown(
    hosts: int, batch: int, *, canary: bool, preview: Preview | None = None, window: bool = False
) -> str:
    roll = PlannedRoll(
        number=1,
        title="Restart",
        playbook="broker_restart.yml",
        hosts=tuple(f"h{number}" for number in range(1, hosts + 1)),
        batch=batch,
        canary=canary,
        variables={},
        settle=None,
        policy=make_policy(order=("dependencies_first",)),
        window=window,
    )
    plan = Plan(
        runbook="broker-restart",
        runbook_hash="",
        site="lab",
        inventory="lab",
        inputs={},
        limit="",
        leases={},
        steps=(roll,),
    )
    return plain(plan_view(plan, preview))


@pytest.mark.parametrize(
    ("hosts", "batch", "canary", "batches"),
    [
        (3, 1, False, "h1 | h2 | h3 (3 batches)"),
        (1, 2, True, "h1 (1 batch, a canary first)"),
        (5, 2, True, "h1 | h2 h3 | h4 h5 (3 batches, a canary first)"),
        (6, 2, True, "h1 | h2 h3 | h4 h5 | h6 (4 batches, a canary first)"),
    ],
)
def test_batches_are_listed_and_counted(hosts: int, batch: int, canary: bool, batches: str) -> None:
    assert batches in shown(hosts, batch, canary=canary)


def test_of_many_batches_the_first_are_listed() -> None:
    text = shown(200, 5, canary=True)
    assert "(41 batches, a canary first)" in text
    assert "more" in text
    assert "h200" not in text


def test_with_a_preview_the_plan_says_what_would_restart_and_who_comes_first_and_alone() -> None:
    facts = {"h3": {"turn": 0, "alone": True}}
    preview = Preview("restarts nova-conductor on 1 of 4 hosts", facts)
    text = shown(4, 3, canary=False, preview=preview)
    assert "preview: restarts nova-conductor on 1 of 4 hosts" in text
    assert "h3 | h1 h2 h4 (2 batches)" in text
    assert "what others depend on first, one at a time, then as in the inventory" in text
    assert "h3, h1, h2, h4 (3 at a time" in shown(4, 3, canary=False, preview=preview, window=True)
