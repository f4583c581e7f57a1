"""The verdict on the nodes' views of the cluster, and on whether a node booted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.judges.rabbitmq.cluster import booted, members_agree, no_alarms, no_partitions
from holdfast.model import Outcome
from holdfast.observations.base import Unanswered
from holdfast.observations.rabbitmq import BootState, ClusterViews, NodeView
from tests.unit.judges.verdicts import cases

EXPECTED = {"ctl1": "rabbit@ctl1", "ctl2": "rabbit@ctl2", "ctl3": "rabbit@ctl3"}
SILENT = Unanswered("ctl2's management API gave no answer")
NO_ANSWER = Unanswered("no broker answers")


def nodes(digits: str) -> frozenset[str]:
    return frozenset(f"rabbit@ctl{digit}" for digit in digits)


def view(
    members: str = "123", running: str = "123", cut_off: str = "", alarm: str = ""
) -> NodeView:
    return NodeView(
        members=nodes(members),
        running=nodes(running),
        partitions=nodes(cut_off),
        alarms=(alarm,) if alarm else (),
    )


def cluster(**views: NodeView | Unanswered) -> ClusterViews:
    """Three nodes that agree, but for the given views."""
    return ClusterViews(expected=EXPECTED, views={**{host: view() for host in EXPECTED}, **views})


AGREEING = [
    ("all agree", {}, "PASS", "agree"),
    ("one is down", {"ctl1": view(running="23")}, "FAIL", "not_running"),
    ("it knows only itself", {"ctl2": view(members="2", running="2")}, "FAIL", "member_missing"),
    (
        "one is unknown to the inventory",
        {"ctl1": view("1234", "1234")},
        "FAIL",
        "member_unexpected",
    ),
    (
        "an unexpected member that is down",
        {"ctl1": view(members="1234")},
        "FAIL",
        "member_unexpected",
    ),
    ("one gives no answer", {"ctl2": SILENT}, "UNKNOWN", "unanswered"),
    (
        "one is down and gives no answer",
        {"ctl1": view(running="13"), "ctl2": SILENT, "ctl3": view(running="13")},
        "FAIL",
        "not_running",
    ),
    ("none gives an answer", dict.fromkeys(EXPECTED, SILENT), "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(("views", "outcome", "reason"), cases(AGREEING))
def test_members_agree(
    views: Mapping[str, NodeView | Unanswered], outcome: str, reason: str
) -> None:
    verdict = members_agree("c", [cluster(**views)])
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_members_agree_names_which_view_misses_a_node() -> None:
    one_down = view(running="13")
    verdict = members_agree("c", [cluster(ctl1=one_down, ctl2=SILENT, ctl3=one_down)])
    assert verdict.message == "ctl2 not running in the view of ctl1, ctl3"


def test_a_silent_node_that_runs_may_be_drained() -> None:
    verdict = members_agree("c", [cluster(ctl2=SILENT)])
    assert verdict.message.endswith(
        "Peers see ctl2 running, so it may still be drained;"
        " `rabbitmq-upgrade revive` on that host ends a drain"
    )


def test_where_no_node_answers_no_drain_is_suspected() -> None:
    verdict = members_agree("c", [cluster(**dict.fromkeys(EXPECTED, SILENT))])
    assert "drained" not in verdict.message


def test_members_agree_has_facts_about_unhealthy_hosts() -> None:
    verdict = members_agree("c", [cluster(ctl1=view(running="13"), ctl2=SILENT)])
    assert verdict.hosts == {
        "ctl1": {"healthy": False, "running": True},  # its view differs
        "ctl2": {"healthy": False, "running": False},
        "ctl3": {"healthy": True, "running": True},
    }


def test_a_cluster_without_nodes_is_not_healthy() -> None:
    verdict = members_agree("c", [ClusterViews(expected={}, views={})])
    assert verdict.outcome is Outcome.UNKNOWN


UNDIVIDED = [
    ("one view", {}, "PASS", "one_view"),
    ("it reports one", {"ctl3": view(cut_off="12")}, "FAIL", "partitioned"),
    ("khepri hides it, the views differ", {"ctl3": view(running="3")}, "FAIL", "views_differ"),
    ("all see the same node down", {h: view(running="12") for h in EXPECTED}, "PASS", "one_view"),
    ("one gives no answer", {"ctl2": SILENT}, "UNKNOWN", "unanswered"),
    (
        "cut off, and another silent",
        {"ctl2": SILENT, "ctl3": view(running="3")},
        "FAIL",
        "views_differ",
    ),
]


@pytest.mark.parametrize(("views", "outcome", "reason"), cases(UNDIVIDED))
def test_no_partitions(
    views: Mapping[str, NodeView | Unanswered], outcome: str, reason: str
) -> None:
    verdict = no_partitions("c", [cluster(**views)])
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


CALM = [
    ("none", {}, "PASS", "no_alarm"),
    ("one node reports it", {"ctl1": view(alarm="memory on rabbit@ctl2")}, "FAIL", "alarm"),
    ("one gives no answer", {"ctl2": SILENT}, "UNKNOWN", "unanswered"),
]


@pytest.mark.parametrize(("views", "outcome", "reason"), cases(CALM))
def test_no_alarms(views: Mapping[str, NodeView | Unanswered], outcome: str, reason: str) -> None:
    verdict = no_alarms("c", [cluster(**views)])
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("running", "faults", "outcome", "reason"),
    [
        (True, (), "PASS", "booted"),
        (False, (), "FAIL", "not_running"),
        (True, ("port 5672: No active listener",), "FAIL", "not_serving"),
    ],
)
def test_booted(running: bool, faults: tuple[str, ...], outcome: str, reason: str) -> None:
    state = BootState(expected=EXPECTED, host="ctl2", running=running, faults=faults)
    verdict = booted("c", [state])
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize("judge", [members_agree, no_partitions, no_alarms, booted])
def test_without_an_answer_the_verdict_is_unknown(judge: object) -> None:
    assert callable(judge)
    assert judge("c", [cluster(), NO_ANSWER]).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("judge", [members_agree, no_partitions, no_alarms])
def test_the_latest_reading_counts(judge: object) -> None:
    assert callable(judge)
    assert judge("c", [cluster(), cluster(ctl2=SILENT)]).outcome is Outcome.UNKNOWN
