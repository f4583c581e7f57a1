"""What clients notice: given these trips, drains and counts, this verdict and reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.judges.base import Unanswered
from holdfast.judges.rabbitmq import clients as judges
from holdfast.judges.rabbitmq.seen import Cluster, Drained, Load, Trip, Trips, View
from holdfast.model import Outcome, Verdict

EXPECTED = {"ctl1": "rabbit@ctl1", "ctl2": "rabbit@ctl2"}
CAUSE = Unanswered("nobody answers")


def said(verdict: Verdict) -> tuple[str, str]:
    return verdict.outcome.value, verdict.reason


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
    seen = Drained(expected=EXPECTED, host="ctl1", marked=marked, connections=connections)
    assert said(judges.drained("c", [seen])) == (outcome, reason)


WENT = Trip(ok=True, seconds=0.02)


def ended(how: str, stage: str = "publish") -> Trip:
    return Trip.model_validate({"ok": False, "stage": stage, "how": how, "cause": "the cause"})


TRIPS = [
    ("through both", {"ctl1": WENT, "ctl2": WENT}, "PASS", "went_through"),
    ("nobody listens", {"ctl1": WENT, "ctl2": ended("refused", "connect")}, "FAIL", "no_round_trip"),
    ("the confirm never comes", {"ctl1": ended("silent")}, "FAIL", "no_round_trip"),
    ("a greeting never comes", {"ctl1": ended("silent", "login")}, "FAIL", "no_round_trip"),
    ("cut off in between", {"ctl1": ended("broken")}, "FAIL", "no_round_trip"),
    ("no way to connect", {"ctl1": WENT, "ctl2": ended("silent", "connect")}, "UNKNOWN", "unanswered"),
    ("no route", {"ctl1": ended("unreachable", "connect")}, "UNKNOWN", "unanswered"),
    ("denied", {"ctl1": ended("denied", "login")}, "UNKNOWN", "unanswered"),
    ("denied here, broken there", {"ctl1": ended("denied"), "ctl2": ended("broken")}, "FAIL", "no_round_trip"),
    ("nobody was asked", {}, "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("trips", "outcome", "reason"), [row[1:] for row in TRIPS], ids=[row[0] for row in TRIPS]
)
def test_amqp_round_trip(trips: Mapping[str, Trip], outcome: str, reason: str) -> None:
    verdict = judges.amqp_round_trip("c", [Trips(expected=EXPECTED, trips=trips)])
    assert said(verdict) == (outcome, reason)


def test_only_a_node_that_fails_is_called_unwell() -> None:
    trips = {"ctl1": ended("broken"), "ctl2": ended("denied")}
    verdict = judges.amqp_round_trip("c", [Trips(expected=EXPECTED, trips=trips)])
    assert verdict.hosts == {"ctl1": {"healthy": False}}
    assert verdict.message == "ctl1: publish: the cause; ctl2: publish: the cause"


def counted(*loads: Load | Unanswered | None) -> Cluster:
    """What each node counts; None for a node that does not count."""
    views: dict[str, View | Unanswered] = {}
    for number, load in enumerate(loads, 1):
        views[f"ctl{number}"] = (
            load
            if isinstance(load, Unanswered)
            else View(node="n", members=frozenset(), running=frozenset(), load=load)
        )
    return Cluster(expected=EXPECTED, views=views)


def load(connections: int = 100, churn: float = 1.0) -> Load:
    return Load(connections=connections, churn=churn)


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


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"),
    [row[1:] for row in CONNECTIONS],
    ids=[row[0] for row in CONNECTIONS],
)
def test_connections_at_baseline(seen: Cluster, outcome: str, reason: str) -> None:
    assert said(judges.connections_at_baseline("c", [seen], 100, 10)) == (outcome, reason)


CHURN = [
    ("the same", counted(load(), load()), "PASS", "at_baseline"),
    ("calmer than before", counted(load(churn=0.0)), "PASS", "at_baseline"),
    ("within the slack", counted(load(churn=6.0)), "PASS", "at_baseline"),
    ("a storm in one node's count", counted(load(), load(churn=6.1)), "FAIL", "storm"),
    ("one node gives no answer", counted(load(), CAUSE), "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"), [row[1:] for row in CHURN], ids=[row[0] for row in CHURN]
)
def test_churn_at_baseline(seen: Cluster, outcome: str, reason: str) -> None:
    assert said(judges.churn_at_baseline("c", [seen], 1.0, 5.0)) == (outcome, reason)


def test_the_load_is_the_evidence_for_a_baseline() -> None:
    verdict = judges.load_known("c", [counted(load(99, 0.5), load(100, 0.0))])
    assert verdict.passed
    assert verdict.evidence == {"connections": 100, "churn": 0.5}


def test_a_load_that_not_every_node_counts_is_no_baseline() -> None:
    assert judges.load_known("c", [counted(load(), None)]).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "verdict",
    [
        judges.drained("c", [CAUSE]),
        judges.amqp_round_trip("c", [CAUSE]),
        judges.load_known("c", [CAUSE]),
        judges.connections_at_baseline("c", [CAUSE], 1, 1),
        judges.churn_at_baseline("c", [CAUSE], 1, 1),
    ],
)
def test_what_could_not_be_looked_at_is_unknown(verdict: Verdict) -> None:
    assert verdict.outcome is Outcome.UNKNOWN
