"""The verdict on a drain."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.judges.rabbitmq.drain import drained
from holdfast.model import Outcome
from holdfast.observations.base import Unanswered
from holdfast.observations.rabbitmq import DrainState
from tests.unit.judges.verdicts import outcome_and_reason


@pytest.mark.parametrize(
    ("marked", "connections", "outcome", "reason"),
    [
        ({"ctl2": True}, 0, "PASS", "drained"),
        ({"ctl2": True}, 3, "FAIL", "connections_left"),
        ({"ctl2": False}, 0, "FAIL", "not_in_maintenance"),
        ({"ctl2": True, "ctl3": False}, 0, "FAIL", "not_in_maintenance"),
        ({}, 0, "UNKNOWN", "unanswered"),
    ],
)
def test_drained(marked: Mapping[str, bool], connections: int, outcome: str, reason: str) -> None:
    state = DrainState(host="ctl1", marked=marked, connections=connections)
    assert outcome_and_reason(drained("c", [state])) == (outcome, reason)


def test_without_an_answer_the_verdict_is_unknown() -> None:
    assert drained("c", [Unanswered("no broker answers")]).outcome is Outcome.UNKNOWN
