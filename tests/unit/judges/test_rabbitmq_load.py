"""The verdict on connections and churn, before and after a restart."""

from __future__ import annotations

import pytest

from holdfast.judges.rabbitmq import load as judges
from holdfast.model import Outcome, Verdict
from holdfast.observations.base import Unanswered
from holdfast.observations.rabbitmq import ClientLoad, ClusterViews, NodeView
from tests.unit.judges.verdicts import cases, outcome_and_reason

EXPECTED = {"ctl1": "rabbit@ctl1", "ctl2": "rabbit@ctl2"}
CAUSE = Unanswered("no broker answers")


def counted(*loads: ClientLoad | Unanswered | None) -> ClusterViews:
    """What each node counts; None for a node that does not count."""
    views: dict[str, NodeView | Unanswered] = {}
    for number, load in enumerate(loads, 1):
        views[f"ctl{number}"] = (
            load
            if isinstance(load, Unanswered)
            else NodeView(members=frozenset(), running=frozenset(), load=load)
        )
    return ClusterViews(expected=EXPECTED, views=views)


def load(connections: int = 100, churn: float = 1.0) -> ClientLoad:
    return ClientLoad(connections=connections, churn=churn)


CONNECTIONS = [
    ("the same", counted(load(), load()), "PASS", "at_baseline"),
    ("within the slack", counted(load(90), load(110)), "PASS", "at_baseline"),
    ("not back yet", counted(load(), load(89)), "FAIL", "off_baseline"),
    ("pools have grown", counted(load(), load(210)), "PASS", "at_baseline"),
    ("twice connected", counted(load(211), load()), "FAIL", "off_baseline"),
    ("one node gives no answer", counted(load(), CAUSE), "UNKNOWN", "unanswered"),
    ("one node does not count", counted(load(), None), "UNKNOWN", "unanswered"),
    ("no node", counted(), "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(("cluster", "outcome", "reason"), cases(CONNECTIONS))
def test_connections_at_baseline(cluster: ClusterViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(judges.connections_at_baseline("c", [cluster], 100, 0, 10)) == (
        outcome,
        reason,
    )


CHURN = [
    ("the same", counted(load(), load()), "PASS", "at_baseline"),
    ("calmer than before", counted(load(churn=0.0)), "PASS", "at_baseline"),
    ("within the slack", counted(load(churn=6.0)), "PASS", "at_baseline"),
    ("a storm in one node's count", counted(load(), load(churn=6.1)), "FAIL", "storm"),
    ("one node gives no answer", counted(load(), CAUSE), "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(("cluster", "outcome", "reason"), cases(CHURN))
def test_churn_at_baseline(cluster: ClusterViews, outcome: str, reason: str) -> None:
    assert outcome_and_reason(judges.churn_at_baseline("c", [cluster], 1.0, 0, 5.0)) == (
        outcome,
        reason,
    )


def test_the_load_is_the_evidence_for_a_baseline() -> None:
    verdict = judges.load_known("c", [counted(load(99, 0.5), load(100, 0.0))])
    assert verdict.passed
    assert verdict.evidence == {"connections": 100, "churn": 0.5}


def test_a_load_that_not_every_node_counts_is_no_baseline() -> None:
    assert judges.load_known("c", [counted(load(), None)]).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("tolerance", "slack", "passed"),
    [(0.0, 9.0, False), (0.09, 0.0, False), (0.1, 0.0, True), (0.01, 10.0, True)],
)
def test_the_greater_of_tolerance_and_slack_is_allowed(
    tolerance: float, slack: float, passed: bool
) -> None:
    verdict = judges.connections_at_baseline("c", [counted(load(90))], 100, tolerance, slack)
    assert verdict.passed is passed
    assert verdict.evidence["slack"] == max(slack, 100 * tolerance)


@pytest.mark.parametrize(
    "verdict",
    [
        judges.load_known("c", [CAUSE]),
        judges.connections_at_baseline("c", [CAUSE], 1, 1, 1),
        judges.churn_at_baseline("c", [CAUSE], 1, 1, 1),
    ],
)
def test_without_an_answer_the_verdict_is_unknown(verdict: Verdict) -> None:
    assert verdict.outcome is Outcome.UNKNOWN
