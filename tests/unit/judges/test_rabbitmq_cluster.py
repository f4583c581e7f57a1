"""The verdict on the nodes' views of the cluster and their clients, and on whether a node booted or is drained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from holdfast.judges.rabbitmq.cluster import (
    booted,
    churn_at_baseline,
    connections_at_baseline,
    load_known,
    members_agree,
    no_alarms,
    no_partitions,
    none_left_drained,
)
from holdfast.judges.rabbitmq.drain import drained
from holdfast.judges.rabbitmq.place import node_is_local, tools_present
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.rabbitmq import (
    BootState,
    ClientLoad,
    ClusterViews,
    DrainState,
    NodePlace,
    NodeView,
)
from tests.unit.judges.verdicts import cases, outcome_and_reason

Judge = Callable[..., Verdict]
Views = Mapping[str, NodeView | Unanswered]
EXPECTED = {"ctl1": "rabbit@ctl1", "ctl2": "rabbit@ctl2", "ctl3": "rabbit@ctl3"}
SILENT = Unanswered("ctl2's management API gave no answer")


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


DRAINED = view().model_copy(update={"maintenance": nodes("2")})
CTL2_DOWN = view(running="13")
CTL2_GONE: Views = {"ctl1": CTL2_DOWN, "ctl2": SILENT, "ctl3": CTL2_DOWN}
VERDICTS = [
    ("all agree", members_agree, {}, "PASS", "agree"),
    ("one is down", members_agree, {"ctl1": view(running="23")}, "FAIL", "not_running"),
    ("one knows only itself", members_agree, {"ctl2": view(members="2", running="2")}, "FAIL", "member_missing"),
    ("one is unknown to the inventory", members_agree, {"ctl1": view("1234", "1234")}, "FAIL", "member_unexpected"),
    ("an unexpected member is down", members_agree, {"ctl1": view(members="1234")}, "FAIL", "member_unexpected"),
    ("one does not answer", members_agree, {"ctl2": SILENT}, "UNKNOWN", "unanswered"),
    ("one is down and does not answer", members_agree, CTL2_GONE, "FAIL", "not_running"),
    ("none answers", members_agree, dict.fromkeys(EXPECTED, SILENT), "UNKNOWN", "unanswered"),
    ("one view", no_partitions, {}, "PASS", "one_view"),
    ("one reports a partition", no_partitions, {"ctl3": view(cut_off="12")}, "FAIL", "partitioned"),
    ("khepri hides it, the views differ", no_partitions, {"ctl3": view(running="3")}, "FAIL", "views_differ"),
    ("all see the same node down", no_partitions, {h: view(running="12") for h in EXPECTED}, "PASS", "one_view"),
    ("one does not answer", no_partitions, {"ctl2": SILENT}, "UNKNOWN", "unanswered"),
    ("cut off, another silent", no_partitions, {"ctl2": SILENT, "ctl3": view(running="3")}, "FAIL", "views_differ"),
    ("no alarm", no_alarms, {}, "PASS", "no_alarm"),
    ("one node reports an alarm", no_alarms, {"ctl1": view(alarm="memory on rabbit@ctl2")}, "FAIL", "alarm"),
    ("one does not answer", no_alarms, {"ctl2": SILENT}, "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("judge", "views", "outcome", "reason"), cases(VERDICTS))
def test_views_of_the_cluster(judge: Judge, views: Views, outcome: str, reason: str) -> None:
    assert outcome_and_reason(judge("c", cluster(**views))) == (outcome, reason)


NO_BROKER = "the inventory has no broker"


@pytest.mark.parametrize(
    "judge", [members_agree, no_partitions, no_alarms, none_left_drained, load_known]
)
def test_without_a_node_nothing_is_proved(judge: Judge) -> None:
    verdict = judge("c", ClusterViews(expected={}, views={}))
    assert outcome_and_reason(verdict) == ("UNKNOWN", "unanswered")
    assert verdict.message == NO_BROKER
    assert verdict.hosts == {}


NINE = {f"ctl{digit}": f"rabbit@ctl{digit}" for digit in range(9, 0, -1)}
ALL = "123456789"


def test_evidence_and_messages_have_nodes_in_order() -> None:
    seen = view(ALL, ALL, cut_off=ALL)
    verdict = no_partitions("c", ClusterViews(expected=NINE, views={"ctl1": seen}))
    names = [f"rabbit@ctl{digit}" for digit in ALL]
    views = {"members": names, "running": names, "partitions": names}
    assert verdict.evidence == {"views": {"ctl1": views}, "unanswered": {}}
    hosts = ", ".join(f"ctl{digit}" for digit in ALL)
    assert verdict.message == f"ctl1 reports that it is cut off from {hosts}"
    drained = view().model_copy(update={"maintenance": nodes(ALL)})
    left = none_left_drained("c", ClusterViews(expected=NINE, views={"ctl1": drained}))
    assert list(left.evidence["left"]) == [f"ctl{digit}" for digit in ALL]
    alarms = tuple(f"memory on {name}" for name in reversed(names))
    full = view().model_copy(update={"alarms": alarms})
    alarm = no_alarms("c", ClusterViews(expected=NINE, views={"ctl1": full}))
    assert alarm.evidence["alarms"] == [f"memory on {name}" for name in names]


def test_a_view_in_which_none_runs_is_told_as_such() -> None:
    message = no_partitions("c", cluster(ctl3=view(running=""))).message
    assert message.endswith("ctl3 sees none")


def test_members_agree_names_which_view_misses_a_node() -> None:
    verdict = members_agree("c", cluster(**CTL2_GONE))
    assert verdict.message == "ctl2 not running in the view of ctl1, ctl3"


def test_a_silent_node_is_called_drained_only_where_others_report_it() -> None:
    """A refused connection alone is no drain: pause_minority stops a broker too."""
    sees_drain = view().model_copy(update={"maintenance": nodes("2")})
    verdict = members_agree("c", cluster(ctl2=SILENT, ctl3=sees_drain))
    assert verdict.message.endswith(
        "ctl2 is drained in the view of ctl3; to end that, on ctl2: rabbitmq-upgrade -n rabbit@ctl2 revive"
    )
    for maintenance in (None, nodes("")):
        known = view().model_copy(update={"maintenance": maintenance})
        message = members_agree("c", cluster(ctl1=known, ctl2=SILENT, ctl3=known)).message
        assert message == (
            f"{SILENT.cause}. ctl1, ctl3 see ctl2 running: the node is up, and its management API does not answer"
        )
    differing = members_agree("c", cluster(ctl1=CTL2_DOWN, ctl2=SILENT))
    assert "see ctl2 running" not in differing.message


@pytest.mark.parametrize("running", ["12", "13", "1"])
def test_a_silent_node_that_not_every_other_sees_running_is_not_called_running(
    running: str,
) -> None:
    views = cluster(ctl1=view(running=running), ctl2=SILENT, ctl3=CTL2_DOWN)
    assert no_alarms("c", views).message == SILENT.cause


@pytest.mark.parametrize("running", ["123", "23"])
def test_another_node_at_a_host_s_address_is_a_fault_of_the_inventory(running: str) -> None:
    exchanged = {
        host: view(running=running).model_copy(update={"node": f"rabbit@{other}"})
        for host, other in (("ctl1", "ctl2"), ("ctl2", "ctl1"), ("ctl3", "ctl3"))
    }
    verdict = members_agree("c", cluster(**exchanged))
    assert outcome_and_reason(verdict) == ("FAIL", "another_node")
    assert (
        "rabbit@ctl2 answers at the address of ctl1, whose node is rabbit@ctl1" in verdict.message
    )
    assert "ctl3" not in verdict.message
    assert verdict.message.endswith(
        "; compare their ansible_host and rabbitmq_node_name in the inventory"
    )


def test_where_no_node_answers_no_drain_is_suspected() -> None:
    verdict = members_agree("c", cluster(**dict.fromkeys(EXPECTED, SILENT)))
    assert verdict.message == f"{SILENT.cause}; {SILENT.cause}; {SILENT.cause}"


def test_one_view_is_enough_for_a_node_to_count_as_running() -> None:
    verdict = members_agree("c", cluster(ctl1=SILENT, ctl3=SILENT))
    assert outcome_and_reason(verdict) == ("UNKNOWN", "unanswered")
    assert verdict.hosts == {
        "ctl1": {"healthy": False, "running": True},  # it did not answer
        "ctl2": {"healthy": True, "running": True},
        "ctl3": {"healthy": False, "running": True},
    }


def test_members_agree_has_facts_about_unhealthy_hosts() -> None:
    verdict = members_agree("c", cluster(ctl1=CTL2_DOWN, ctl2=SILENT))
    assert verdict.hosts == {
        "ctl1": {"healthy": True, "running": True},  # that it sees ctl2 down is no fault of its own
        "ctl2": {"healthy": False, "running": False},
        "ctl3": {"healthy": True, "running": True},
    }


@pytest.mark.parametrize(
    ("views", "ill"),
    [
        ({"ctl1": SILENT, "ctl2": view(running="23"), "ctl3": view(running="23")}, {"ctl1"}),
        ({"ctl1": view(running="1"), "ctl2": view(running="23"), "ctl3": view(running="23")}, {"ctl1"}),
        ({"ctl1": SILENT, "ctl2": view(running="2"), "ctl3": view(running="3")}, {"ctl1", "ctl2", "ctl3"}),
    ],
)  # fmt: skip
def test_the_smaller_side_of_a_cluster_is_ill(views: Views, ill: set[str]) -> None:
    verdict = members_agree("c", cluster(**views))
    assert {host for host, facts in verdict.hosts.items() if not facts["healthy"]} == ill


BOOTS = [
    ("all serves", True, (), "PASS", "booted"),
    ("it does not run", False, (), "FAIL", "not_running"),
    ("no listener", True, ("port 5672: No active listener",), "FAIL", "not_serving"),
]


@pytest.mark.parametrize(("running", "faults", "outcome", "reason"), cases(BOOTS))
def test_booted(running: bool, faults: tuple[str, ...], outcome: str, reason: str) -> None:
    state = BootState(host="ctl2", node="rabbit@ctl2", running=running, faults=faults)
    assert outcome_and_reason(booted("c", state)) == (outcome, reason)


@pytest.mark.parametrize(
    ("marked", "connections", "outcome", "reason", "message"),
    [
        ({"ctl2": True}, 0, "PASS", "drained", "maintenance in the view of ctl2, no connection is left"),
        ({"ctl2": True}, 3, "FAIL", "connections_left", "3 client connections are left on ctl1"),
        ({"ctl2": True, "ctl3": False}, 0, "FAIL", "not_in_maintenance", "not in maintenance in the view of ctl3"),
        ({}, 0, "UNKNOWN", "unanswered", "no peer reported whether ctl1 is in maintenance"),
    ],
)  # fmt: skip
def test_drained(
    marked: Mapping[str, bool], connections: int, outcome: str, reason: str, message: str
) -> None:
    verdict = drained("c", DrainState(host="ctl1", marked=marked, connections=connections))
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert verdict.message.endswith(message)


@pytest.mark.parametrize(
    ("marked", "outcome"), [({"ctl2": True}, "UNKNOWN"), ({"ctl2": False}, "FAIL"), ({}, "UNKNOWN")]
)
def test_a_silent_peer_is_a_doubt_about_a_drain(marked: Mapping[str, bool], outcome: str) -> None:
    """Seen: one broker froze while another was drained, and the drained one was restarted beside it."""
    silent = {"ctl3": "ctl3's management API gave no answer"}
    state = DrainState(host="ctl1", marked=marked, connections=0, silent=silent)
    verdict = drained("c", state)
    assert verdict.outcome == outcome
    assert verdict.message.endswith("ctl3's management API gave no answer")


PLACES = [
    ("the same start", "abc", "abc", "PASS", "local", "runs in rabbitmq-server on ctl2"),
    ("another host's unit", "abc", "def", "FAIL", "elsewhere", "the start abc, the unit has def;"),
    ("no unit runs here", "abc", "", "FAIL", "elsewhere", "the start abc, the unit has none;"),
    ("the node does not know", "", "abc", "UNKNOWN", "not_reported", "does not report in which"),
    ("neither is known", "", "", "UNKNOWN", "not_reported", "does not report in which"),
]


@pytest.mark.parametrize(("runs_in", "unit_start", "outcome", "reason", "said"), cases(PLACES))
def test_node_is_local(runs_in: str, unit_start: str, outcome: str, reason: str, said: str) -> None:
    place = NodePlace(
        host="ctl2",
        node="rabbit@ctl2",
        unit="rabbitmq-server",
        runs_in=runs_in,
        unit_start=unit_start,
    )
    verdict = node_is_local("c", place)
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert said in verdict.message


IN = "rabbitmq"
STARTS = "{ path=/usr/bin/docker ; argv[]=/usr/bin/docker start -a rabbitmq ; }"
OTHER = STARTS.replace("rabbitmq", "outward_rabbitmq")
NODE_IS = "rabbit@ctl2 runs in the container rabbitmq"
CONTAINERS = [
    ("in its container", "b pid:[1]", "b pid:[1]", STARTS, "PASS", "local", f"{NODE_IS} of kolla-x on ctl2"),
    ("in another", "b pid:[1]", "b pid:[2]", STARTS, "FAIL", "elsewhere", "compare ansible_host"),
    ("on another host", "c pid:[1]", "b pid:[1]", STARTS, "FAIL", "elsewhere", "compare ansible_host"),
    ("neither answers", "", "", STARTS, "FAIL", "elsewhere", "the node reports nothing"),
    ("the unit starts another", "b pid:[1]", "b pid:[1]", OTHER, "UNKNOWN", "other_command", "does not name it"),
    ("the unit starts nothing", "b pid:[1]", "b pid:[1]", "", "UNKNOWN", "other_command", "it has none"),
]  # fmt: skip


@pytest.mark.parametrize("case", CONTAINERS, ids=[each[0] for each in CONTAINERS])
def test_node_in_a_container_is_local(case: tuple[str, ...]) -> None:
    _, runs_in, inside, command, outcome, reason, said = case
    place = NodePlace(
        host="ctl2",
        node="rabbit@ctl2",
        unit="kolla-x",
        runs_in=runs_in,
        unit_start=inside,
        container=IN,
        unit_command=command,
    )
    verdict = node_is_local("c", place)
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert said in verdict.message


LACKING = ("rabbitmq-diagnostics", "rabbitmq-upgrade")
LACKS = f"ctl1 has no {', '.join(LACKING)} in its PATH"
NO_ROUTE = Unanswered("ctl2: no route")
TOOLS = [
    ("all there", {"ctl1": (), "ctl2": ()}, "PASS", "present", "2 hosts have the broker's tools"),
    ("some lack", {"ctl1": LACKING, "ctl2": ()}, "FAIL", "missing", LACKS),
    ("some lack, one is silent", {"ctl1": LACKING, "ctl2": NO_ROUTE}, "FAIL", "missing", f"{LACKS}; ctl2: no route"),
    ("one is silent", {"ctl1": (), "ctl2": NO_ROUTE}, "UNKNOWN", "unanswered", "ctl2: no route"),
    ("no broker", {}, "UNKNOWN", "unanswered", NO_BROKER),
]  # fmt: skip


@pytest.mark.parametrize(("tools", "outcome", "reason", "message"), cases(TOOLS))
def test_tools_present(
    tools: Mapping[str, Sequence[str] | Unanswered], outcome: str, reason: str, message: str
) -> None:
    verdict = tools_present("c", tools)
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert verdict.message == message


def counted(*loads: ClientLoad | Unanswered | None) -> ClusterViews:
    """Return what each node counts; None for a node that does not count."""
    return ClusterViews(
        expected=EXPECTED,
        views={
            host: load if isinstance(load, Unanswered) else view().model_copy(update={"load": load})
            for host, load in zip(EXPECTED, loads, strict=False)
        },
    )


def load(connections: int = 100, churn: float | None = 1.0) -> ClientLoad:
    return ClientLoad(connections=connections, churn=churn)


BASELINES = [
    ("the same", connections_at_baseline, counted(load(), load()), "PASS", "at_baseline"),
    ("within the slack", connections_at_baseline, counted(load(95), load(105)), "PASS", "at_baseline"),
    ("not back yet", connections_at_baseline, counted(load(), load(94)), "FAIL", "off_baseline"),
    ("pools have grown", connections_at_baseline, counted(load(), load(205)), "PASS", "at_baseline"),
    ("twice connected", connections_at_baseline, counted(load(206), load()), "FAIL", "off_baseline"),
    ("one does not answer", connections_at_baseline, counted(load(), SILENT), "UNKNOWN", "unanswered"),
    ("one does not count", connections_at_baseline, counted(load(), None), "UNKNOWN", "unanswered"),
    ("no node", connections_at_baseline, counted(), "UNKNOWN", "unanswered"),
    ("the same", churn_at_baseline, counted(load(churn=100), load(churn=100)), "PASS", "at_baseline"),
    ("calmer than before", churn_at_baseline, counted(load(churn=0)), "PASS", "at_baseline"),
    ("within the slack", churn_at_baseline, counted(load(churn=105)), "PASS", "at_baseline"),
    ("a storm in one node's count", churn_at_baseline, counted(load(), load(churn=105.1)), "FAIL", "storm"),
    ("a storm in the first one's", churn_at_baseline, counted(load(churn=105.1), load()), "FAIL", "storm"),
    ("one does not answer", churn_at_baseline, counted(load(), SILENT), "UNKNOWN", "unanswered"),
    ("one keeps no statistics", churn_at_baseline, counted(load(), load(churn=None)), "UNKNOWN", "not_counted"),
]  # fmt: skip


@pytest.mark.parametrize(("judge", "observed", "outcome", "reason"), cases(BASELINES))
def test_load_against_its_baseline(
    judge: Judge, observed: ClusterViews, outcome: str, reason: str
) -> None:
    verdict = judge("c", observed, baseline=100, tolerance=0, slack=5)
    assert outcome_and_reason(verdict) == (outcome, reason)


@pytest.mark.parametrize(("count", "passed"), [(0, False), (4, False), (5, True), (30, True)])
def test_a_slack_as_large_as_the_baseline_is_not_all_of_it(count: int, *, passed: bool) -> None:
    """With the role's default slack of 10, none of 10 clients would have been enough."""
    verdict = connections_at_baseline("c", counted(load(count)), 10, 0.2, 10)
    assert verdict.passed == passed
    assert "before the first restart 10, so 5 to 30 are expected" in verdict.message


def test_the_message_has_the_largest_count_and_limits_in_whole_connections() -> None:
    """At 103 connections 20 % are 20.6: 83 to 226 pass, and the limits are never rounded to what fails."""
    within = connections_at_baseline("c", counted(load(83), load(226)), 103, 0.2, 0)
    limits = "before the first restart 103, so 83 to 226 are expected"
    assert within.message == f"226 client connections; {limits}"
    for count in (82, 227):
        off = connections_at_baseline("c", counted(load(), load(count)), 103, 0.2, 0)
        assert off.message == f"ctl2 counts {count} client connections; {limits}"


def test_nodes_without_statistics_are_named_in_the_inventorys_order() -> None:
    observed = counted(load(churn=None), load(), load(churn=None))
    message = churn_at_baseline("c", observed, 100, 0, 5).message
    assert message.startswith("ctl1, ctl3: statistics are switched off")


def test_the_load_is_the_evidence_for_a_baseline() -> None:
    verdict = load_known("c", counted(load(99, 0.5), load(100, 0.0)))
    assert verdict.passed
    assert verdict.evidence == {"connections": 100, "churn": 0.5}


def test_a_load_that_not_every_node_counts_is_no_baseline() -> None:
    verdict = load_known("c", counted(load(), None, SILENT))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.message == (
        f"{SILENT.cause}; ctl2: connections and churn are counted by the management API, which is off or not ready"
    )


@pytest.mark.parametrize(
    ("tolerance", "slack", "passed"),
    [(0.0, 9.0, False), (0.09, 0.0, False), (0.1, 0.0, True), (0.01, 10.0, True)],
)
def test_the_greater_of_tolerance_and_slack_is_allowed(
    tolerance: float, slack: float, passed: bool
) -> None:
    verdict = connections_at_baseline("c", counted(load(90)), 100, tolerance, slack)
    assert verdict.passed is passed
    assert verdict.evidence["slack"] == max(slack, 100 * tolerance)


@pytest.mark.parametrize(
    ("views", "verdict"),
    [
        ({}, (Outcome.PASS, "none_drained")),
        ({"ctl1": DRAINED, "ctl2": SILENT}, (Outcome.FAIL, "left_drained")),
        # Asked by command it answers itself, drained or not.
        ({"ctl2": DRAINED}, (Outcome.FAIL, "left_drained")),
        ({"ctl2": SILENT}, (Outcome.UNKNOWN, "unanswered")),
    ],
)
def test_none_left_drained(views: Views, verdict: tuple[Outcome, str]) -> None:
    judged = none_left_drained("c", cluster(**views))
    assert outcome_and_reason(judged) == verdict
    if verdict[0] is Outcome.FAIL:
        silent = [each.cause for each in views.values() if isinstance(each, Unanswered)]
        assert judged.evidence == {"left": {"ctl2": ""}, "unseen": silent}


def test_without_statistics_the_connections_are_known_and_the_churn_is_not() -> None:
    verdict = load_known("c", counted(load(100), load(98, churn=None)))
    assert (verdict.outcome, verdict.evidence) == (
        Outcome.PASS,
        {"connections": 100, "churn": None},
    )
    assert "statistics are switched off" in verdict.message
