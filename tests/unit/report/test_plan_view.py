"""A plan shows the batches as they would follow."""

from __future__ import annotations

import pytest

from holdfast.plan.model import Plan, PlannedRoll
from holdfast.report.plan_view import plan_view
from holdfast.report.progress_text import plain
from tests.unit.engine.engine_harness import make_policy


def shown(hosts: int, batch: int, *, canary: bool) -> str:
    roll = PlannedRoll(
        number=1,
        title="Restart",
        playbook="broker_restart.yml",
        hosts=tuple(f"h{number}" for number in range(1, hosts + 1)),
        batch=batch,
        canary=canary,
        variables={},
        settle=None,
        policy=make_policy(),
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
    return plain(plan_view(plan))


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
