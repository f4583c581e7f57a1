"""Every claim with the empty, the single, the doubled, the silent and the malformed answer.

A new claim is in it by itself. What a probe can observe is in ``OBSERVATIONS``: a new probe fails until it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from holdfast.claims.base import BoundClaim
from holdfast.errors import InvalidInput
from holdfast.model import Json, Observation, Outcome, Unanswered
from holdfast.observations.alerts import Alert, AlertsSeen
from holdfast.observations.galera import GaleraViews, GroupRound, GroupRounds, ReturnForecast
from holdfast.observations.haproxy import HaproxyState, WriterViews
from holdfast.observations.haproxy_service import ConfigurationCheck
from holdfast.observations.nova import (
    ApiReplies,
    ComputeWork,
    ExpectedService,
    FleetInterruptions,
    FleetLogs,
    FleetUnits,
    HttpReply,
    Interruptions,
    ListedService,
    MetadataReplies,
    RpcAnswers,
    RpcReplies,
    ServiceHost,
    ServiceList,
    UnitLog,
)
from holdfast.observations.placement import (
    PlacementAnswer,
    PlacementHost,
    TableFigures,
    TableSet,
    TwoSets,
    WayBack,
    WriterUnits,
)
from holdfast.observations.processes import Peer, ServiceProcess
from holdfast.observations.puppet import Agent, HostReports, LastRun, MassRun, PuppetReport
from holdfast.observations.rabbitmq import (
    BootState,
    BrokerLoad,
    ClientLoad,
    ClusterViews,
    DrainState,
    MemberLag,
    NodePlace,
    NodeView,
    QueueDepth,
    QueueDepths,
    QueueId,
    QueuePlacement,
    QueuePlacements,
    QuorumState,
    Room,
    RoundTrip,
)
from holdfast.observations.replica import ReplicaLink, ReplicaState
from holdfast.observations.ssh import ShownKeys, SshLogin, SshLogins
from holdfast.observations.systemd import (
    GroupState,
    Machine,
    StopTimeout,
    UnitStarts,
    UnitState,
)
from holdfast.probes.alerts.alertmanager import probe_alertmanager
from holdfast.probes.alerts.icinga import probe_icinga
from holdfast.probes.flapping import probe_starts_of
from holdfast.probes.galera.nodes import probe_nodes, probe_return, probe_rounds
from holdfast.probes.galera.replica import probe_replicas
from holdfast.probes.haproxy import probe_writer
from holdfast.probes.haproxy_service import probe_configuration, probe_service
from holdfast.probes.nova.answers import (
    probe_apis,
    probe_metadata,
    probe_metadata_from,
    probe_peers,
    probe_rpc,
)
from holdfast.probes.nova.compute import probe_compute_work
from holdfast.probes.nova.fleet import probe_fleet_logs, probe_fleet_units, probe_nova_starts
from holdfast.probes.nova.host import probe_unit_log
from holdfast.probes.nova.interruptions import probe_interruptions
from holdfast.probes.nova.processes import probe_service_processes
from holdfast.probes.nova.service_host import probe_service_host
from holdfast.probes.nova.services import probe_services
from holdfast.probes.placement import (
    probe_answers,
    probe_both,
    probe_source,
    probe_target,
    probe_way_back,
    probe_writers,
)
from holdfast.probes.puppet import probe_agents, probe_mass_runs, probe_reports
from holdfast.probes.rabbitmq.cluster import probe_boot, probe_clients, probe_cluster
from holdfast.probes.rabbitmq.drain import probe_drain
from holdfast.probes.rabbitmq.load import probe_load
from holdfast.probes.rabbitmq.members import probe_members
from holdfast.probes.rabbitmq.place import (
    probe_broker_starts,
    probe_place,
    probe_tools,
    probe_units,
)
from holdfast.probes.rabbitmq.processes import probe_broker_processes
from holdfast.probes.rabbitmq.queues import probe_depths, probe_queues
from holdfast.probes.rabbitmq.quorum import probe_quorum
from holdfast.probes.rabbitmq.round_trip import probe_round_trips
from holdfast.probes.ssh import probe_host_keys, probe_logins
from holdfast.probes.systemd import probe_group, probe_starts, probe_stop_timeout, probe_unit
from tests.unit.claims.whole_site import every_claim, reading, site_that_answers
from tests.unit.judges.test_galera import node as galera_node
from tests.unit.judges.test_haproxy import server as haproxy_server
from tests.unit.judges.test_haproxy_service import proxied as haproxy_proxied
from tests.unit.judges.test_haproxy_service import service as haproxy_service

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Observed:
    """What one probe may observe.

    ``empty``: nothing where something was asked for, None where the probe has no such answer. ``single``: the one thing
    that there is, well. ``doubled``: two answers for one thing, of which one is ill; None where its type has no room
    for two.
    """

    empty: Observation | None
    single: Observation
    doubled: Observation | None


def _cluster(*hosts: str, running: str = "") -> ClusterViews:
    nodes = frozenset(f"rabbit@{host}" for host in hosts)
    load = ClientLoad(connections=10, churn=0.0)
    view = NodeView(version="4.0.5", members=nodes, running=nodes - {running}, load=load)
    expected = {host: f"rabbit@{host}" for host in hosts}
    return ClusterViews(expected=expected, views=dict.fromkeys(hosts, view))


def _queues(*placements: QueuePlacement, version: str = "3.10.8") -> QueuePlacements:
    node = {"h1": "rabbit@h1"}
    return QueuePlacements(expected=node, host="h1", version=version, placements=placements)


UNSEEN = ClusterViews(expected={"h1": "rabbit@h1"}, views={})
H1 = frozenset({"rabbit@h1"})
WHOLE = QueuePlacement(type="quorum", leader="rabbit@h1", members=H1, online=H1, names=("orders",))
MIRRORED = QueuePlacement(type="classic", mirrors=1, synchronised=1, names=("mail",))
ILL = WHOLE.model_copy(update={"online": frozenset()})
UNSYNCED = MIRRORED.model_copy(update={"synchronised": 0})
ORDERS, OTHERS = QueueId("/", "orders"), QueueId("/other", "orders")


def _depths(wanted: dict[QueueId, int], found: dict[QueueId, QueueDepth]) -> QueueDepths:
    return QueueDepths(host="h1", at=0.0, vhosts=frozenset("/"), wanted=wanted, queues=found)


CONDUCTOR = ExpectedService("conductor", "h1", "h1")
UP = ListedService(
    "nova-conductor", "h1", "enabled", "up", "2026-11-21T00:30:05", "", forced_down=False, id="a"
)
STALE = replace(UP, state="down", updated_at="2023-01-01T00:00:00", id="b")
COMPUTE = replace(UP, binary="nova-compute")
UNIT = UnitState("h1", "some.service", "loaded", "active", "running", "simple", "success", "a" * 32, 0)  # fmt: skip
MACHINE = Machine("h1", "m", "b", "7", "n")
BOTH_UNITS = {
    "some.service on h1": UNIT,
    "some.service on h2": replace(UNIT, host="h2", active_state="failed"),
}
TWO_UNITS = {"s on h1": UNIT, "s on h2": replace(UNIT, host="h2", active_state="failed")}
GOOD_API = ApiReplies(HttpReply(200), HttpReply(200))
GOOD_METADATA = MetadataReplies(HttpReply(200), (HttpReply(400), HttpReply(404)))
STEADY = Interruptions("h1", "journal", 1, 1)
LOG = UnitLog("h1", "some.service", "journal", "start", 5, {}, levels=5)

APPLIED = LastRun(99, "17", 10, 0, 0, 0, "uuid", 90, True, "not_used", False, "changed")
AGENT = Agent("h1", 100, "holdfast:r1: a change", None, APPLIED)
PREVIEW = PuppetReport(60, True, True, "not_used", "unchanged", "t1", {}, frozenset())
RAN = replace(PREVIEW, began=90, noop=False, transaction="uuid")
REPORTS = HostReports(replace(AGENT, disabled_at=50), PREVIEW, RAN)
SALT = MassRun("h2", 901, "salt")

VIEWS = Observed(
    ClusterViews(expected={}, views={}), _cluster("h1"), _cluster("h1", "h2", running="rabbit@h2")
)
PLACE = NodePlace(
    host="h1", node="rabbit@h1", unit="some.service", runs_in="a" * 32, unit_start="a" * 32
)

OBSERVATIONS: dict[Callable[..., Json], Observed] = {
    probe_unit: Observed(replace(UNIT, load_state="", active_state="", sub_state=""), UNIT, None),
    probe_group: Observed(
        GroupState("some.service", {}, []),
        GroupState("some.service", {"h1": (UNIT, MACHINE)}, ["h1"]),
        GroupState(
            "some.service",
            {"h1": (UNIT, MACHINE), "h2": (replace(UNIT, active_state="failed"), MACHINE)},
            ["h1", "h2"],
        ),
    ),
    probe_stop_timeout: Observed(None, StopTimeout("h1", "some.service", 90), None),
    probe_cluster: VIEWS,
    probe_clients: VIEWS,
    probe_place: Observed(
        PLACE.model_copy(update={"runs_in": "", "unit_start": ""}),
        PLACE,
        PLACE.model_copy(update={"unit_start": "b" * 32}),
    ),
    probe_boot: Observed(
        BootState(host="h1", node="rabbit@h1", running=False),
        BootState(host="h1", node="rabbit@h1", running=True),
        None,
    ),
    probe_drain: Observed(
        DrainState(host="h1", marked={}, connections=0),
        DrainState(host="h1", marked={"h2": True}, connections=0),
        DrainState(host="h1", marked={"h2": True, "h3": False}, connections=0),
    ),
    probe_queues: Observed(_queues(version=""), _queues(WHOLE, MIRRORED), _queues(WHOLE, ILL, MIRRORED, UNSYNCED)),
    probe_quorum: Observed(
        QuorumState(host="h1", cluster=UNSEEN, queues=_queues(), critical=()),
        QuorumState(host="h1", cluster=_cluster("h1", "h2", "h3"), queues=_queues(), critical=()),
        QuorumState(host="h1", cluster=_cluster("h1", "h2", "h3"), queues=_queues(WHOLE, ILL), critical=()),
    ),
    probe_round_trips: Observed(
        {},
        {"h1": RoundTrip(ok=True)},
        {"h1": RoundTrip(ok=True), "h2": RoundTrip(ok=False, how="silent", stage="login")},
    ),
    probe_depths: Observed(
        _depths({}, {}),
        _depths({ORDERS: 1}, {ORDERS: QueueDepth(consumers=1, ready=0)}),
        _depths({ORDERS: 1, OTHERS: 1}, {ORDERS: QueueDepth(consumers=1, ready=0), OTHERS: QueueDepth()}),
    ),
    probe_services: Observed(
        ServiceList([], []), ServiceList([CONDUCTOR], [UP]), ServiceList([CONDUCTOR], [UP, STALE])
    ),
    probe_rpc: Observed(
        RpcAnswers({}),
        RpcAnswers({CONDUCTOR: RpcReplies(3, 3)}),
        RpcAnswers({CONDUCTOR: RpcReplies(3, 3), replace(CONDUCTOR, host="h2"): RpcReplies(3)}),
    ),
    probe_apis: Observed({}, {"h1": GOOD_API}, {"h1": GOOD_API, "h2": ApiReplies(HttpReply(0, "refused"), None)}),
    probe_metadata: Observed(
        {}, {"h1": GOOD_METADATA}, {"h1": GOOD_METADATA, "h2": MetadataReplies(HttpReply(0, "refused"), None)}
    ),
    probe_compute_work: Observed(
        ComputeWork("h1", [], [], [], []),
        ComputeWork("h1", [COMPUTE], [], [], [COMPUTE]),
        ComputeWork("h1", [COMPUTE, STALE], [], [], [COMPUTE, STALE]),
    ),
    probe_peers: Observed({}, {"h1": GOOD_API}, {"h1": GOOD_API, "h2": ApiReplies(HttpReply(0, "refused"), None)}),
    probe_service_host: Observed(
        ServiceHost("h1", "h1", False, "", "its hostname"), ServiceHost("h1", "h1", False, "h1", "its hostname"), None
    ),
    probe_unit_log: Observed(replace(LOG, lines=0), LOG, replace(LOG, complaints={"no_reply": 1})),
}  # fmt: skip

ROOMS = {"memory": Room(used=1, limit=10), "disk": Room(used=1, limit=10)}
FULL = ROOMS | {"descriptors": Room(used=99, limit=100)}


def _load(**rooms: dict[str, Room]) -> BrokerLoad:
    nodes = {host: f"rabbit@{host}" for host in rooms}
    return BrokerLoad(
        expected=nodes, host="h1", rooms=rooms, connections=9, channels=9, churn=0.0, queues=9,
        ready=0, unacknowledged=0, reply_queues=2, unread=0, unread_replies=0,
    )  # fmt: skip


ONCE = UnitStarts(UNIT, 1)
STARTS = Observed({}, {"s on h1": ONCE}, {"s on h1": ONCE, "s on h2": replace(ONCE, starts=7)})
ALERT = Alert("BrokerDown", "h1", "firing", silenced=False)
HEARD = AlertsSeen("Alertmanager", "severity", [], heartbeat=True)
CHECKED = AlertsSeen("Icinga", "true", [], objects=1)

OBSERVATIONS |= {
    probe_alertmanager: Observed(
        replace(HEARD, heartbeat=False), HEARD, replace(HEARD, firing=[ALERT])
    ),
    probe_icinga: Observed(
        replace(CHECKED, objects=0), CHECKED, replace(CHECKED, objects=2, firing=[ALERT])
    ),
    probe_host_keys: Observed(
        ShownKeys("bastion", "h1", {}),
        ShownKeys("bastion", "h1", {"192.0.2.1": [("ssh-ed25519", "AAAA")]}),
        ShownKeys(
            "bastion",
            "h1",
            {"192.0.2.1": [("ssh-ed25519", "AAAA")], "192.0.2.2": [("ssh-ed25519", "BBBB")]},
        ),
    ),
    probe_logins: Observed(
        SshLogins("probe@bastion", "h1", {}),
        SshLogins("probe@bastion", "h1", {"192.0.2.1": SshLogin("in")}),
        SshLogins(
            "probe@bastion", "h1", {"192.0.2.1": SshLogin("in"), "192.0.2.2": SshLogin("refused")}
        ),
    ),
    probe_metadata_from: Observed(
        {},
        {"h1 from h2": GOOD_METADATA},
        {"h1 from h2": GOOD_METADATA, "h2 from h2": MetadataReplies(HttpReply(0, "x"), None)},
    ),
    probe_starts_of: STARTS,
    probe_broker_starts: STARTS,
    probe_nova_starts: STARTS,
    probe_load: Observed(_load(), _load(h1=ROOMS), _load(h1=ROOMS, h2=FULL)),
}

WORKS = ServiceProcess(
    "nova-conductor", UNIT, states=("S",), peers=(Peer("h1:5672", established=True),)
)
BOTH_WORK = {"s on h1": WORKS, "s on h2": replace(WORKS, states=("T",))}

OBSERVATIONS |= {
    probe_broker_processes: Observed({}, {"s on h1": WORKS}, BOTH_WORK),
    probe_service_processes: Observed({}, {"s on h1": WORKS}, BOTH_WORK),
    probe_members: Observed(
        None,
        MemberLag(host="h1", at=0, tick_seconds=5, members=1),
        MemberLag(host="h1", at=0, tick_seconds=5, members=2, behind=1, examples={"orders": 7}),
    ),
    probe_starts: Observed({}, {"some.service on h1": UNIT}, BOTH_UNITS),
    probe_units: Observed({}, {"some.service on h1": UNIT}, TWO_UNITS),
    probe_fleet_units: Observed(
        FleetUnits({}), FleetUnits({"nova-api on h1": UNIT}), FleetUnits(TWO_UNITS)
    ),
    probe_fleet_logs: Observed(
        FleetLogs({}),
        FleetLogs({"nova-api on h1": LOG}),
        FleetLogs({"nova-api on h1": LOG, "nova-api on h2": Unanswered("no such file")}),
    ),
    probe_interruptions: Observed(
        FleetInterruptions({}),
        FleetInterruptions({"s on h1": STEADY}),
        FleetInterruptions(
            {"s on h1": STEADY, "s on h2": replace(STEADY, heartbeats=9, connections=9)}
        ),
    ),
    probe_tools: Observed({}, {"h1": []}, {"h1": [], "h2": ["rabbitmqctl"]}),
    probe_agents: Observed({}, {"h1": AGENT}, {"h1": AGENT, "h2": Unanswered("h2 is unreachable")}),
    probe_reports: Observed(
        {}, {"h1": REPORTS}, {"h1": REPORTS, "h2": Unanswered("h2 is unreachable")}
    ),
    probe_mass_runs: Observed({}, {"h1": ()}, {"h1": (), "h2": (SALT,)}),
}

MEMBER = galera_node(1, size=1)
ONE_NODE = GaleraViews(at=0, nodes={"h1": MEMBER})
ROUND = GroupRound(seconds=0.01, view=7, size=1)
TWO_NODES = GaleraViews(at=0, nodes={"h1": MEMBER, "h2": galera_node(2, size=1, state=1, view=6)})
WRITES = HaproxyState(servers=(haproxy_server(1, name="h1"),))
STANDS_BY = HaproxyState(servers=(haproxy_server(1, name="h1", admin=1),))


def _writers(**haproxies: HaproxyState) -> WriterViews:
    return WriterViews(backend="b", servers={"h1": "h1"}, haproxies=haproxies, nodes=ONE_NODE)


SERVICE = haproxy_service(haproxy_proxied("one"), frontends={"db": True})
LINK = ReplicaLink("", "Yes", "Yes", (), 1, "0")
FOLLOWS = ReplicaState((LINK,), {"h1": {0: 7}}, {0: 7}, asked=1.0, read=1.5)
ACCEPTED = ConfigurationCheck(files=("/a.cfg",), rc=0, output="")
REFUSED = ACCEPTED.model_copy(update={"rc": 1})

OBSERVATIONS |= {
    probe_nodes: Observed(GaleraViews(at=0, nodes={}), ONE_NODE, TWO_NODES),
    probe_rounds: Observed(
        GroupRounds(nodes={}),
        GroupRounds(nodes={"h1": ROUND}),
        GroupRounds(nodes={"h1": ROUND, "h2": ROUND}),
    ),
    probe_return: Observed(
        ReturnForecast(host="h1", views=GaleraViews(at=0, nodes={})),
        ReturnForecast(host="h1", views=ONE_NODE),
        ReturnForecast(host="h1", views=TWO_NODES),
    ),
    probe_writer: Observed(_writers(), _writers(h1=WRITES), _writers(h1=WRITES, h2=STANDS_BY)),
    probe_replicas: Observed(
        {}, {"h1": FOLLOWS}, {"h1": FOLLOWS, "h2": replace(FOLLOWS, links=())}
    ),
    probe_service: Observed(
        SERVICE.model_copy(update={"servers": (), "frontends": {}}), SERVICE, None
    ),
    probe_configuration: Observed({}, {"h1": ACCEPTED}, {"h1": ACCEPTED, "h2": REFUSED}),
}

USERS = {"users": TableFigures(1, 1, "7")}
MOVED = TableSet("nova_api", ("users",), ("users",), USERS)
NO_TABLE = TableSet("nova_api", ("users",), (), {})
PROVIDERS = TableSet(
    "nova_api",
    ("resource_providers",),
    ("resource_providers",),
    {"resource_providers": USERS["users"]},
)
UNUSED = replace(MOVED, run="r1")
USES_OLD = PlacementHost("source", active=True)

OBSERVATIONS |= {
    probe_source: Observed(NO_TABLE, PROVIDERS, replace(PROVIDERS, wanted=("resource_providers", "traits"))),
    probe_target: Observed(None, NO_TABLE, MOVED),
    probe_both: Observed(
        TwoSets(NO_TABLE, NO_TABLE), TwoSets(MOVED, MOVED), TwoSets(MOVED, replace(MOVED, figures={}))
    ),
    probe_writers: Observed(
        WriterUnits(),
        WriterUnits({"nova-api on h1": "inactive"}),
        WriterUnits({"nova-api on h1": "inactive", "nova-api on h2": "active"}),
    ),
    probe_answers: Observed(PlacementAnswer("h1", 200, 0), PlacementAnswer("h1", 200, 3), None),
    probe_way_back: Observed(
        WayBack({}, NO_TABLE),
        WayBack({"h1": USES_OLD}, UNUSED),
        WayBack({"h1": USES_OLD, "h2": PlacementHost("target", active=True)}, MOVED),
    ),
}  # fmt: skip

# The one case in which nothing found is well: nothing is expected. Each with the reason.
MAY_BE_EMPTY: dict[str, str] = {
    "rabbitmq.quorum_queues_whole": "a broker need not have such queues, and its list of queues was whole",
}
# Claims that a doubled answer does not contradict.
NOT_ABOUT_THE_SECOND = {
    "rabbitmq.no_alarms": "a node that is down has no alarm in effect",
    "rabbitmq.none_left_drained": "a node that is down is not drained",
    "rabbitmq.no_partitions": "the views agree that a node is down",
    "rabbitmq.load_known": "its count is of the whole cluster",
    "rabbitmq.connections_at_baseline": "its count is of the whole cluster",
    "rabbitmq.churn_at_baseline": "its count is of the whole cluster",
    "galera.queues_short": "a node that joins has a queue, and another claim is about its state",
    "galera.conflicts_known": "counters are told in any state",
    "galera.answers_quick": "a node that joins may answer, and another claim is about its state",
    "rabbitmq.backlog_known": "its count is of the whole cluster",
    "rabbitmq.backlog_at_baseline": "its count is of the whole cluster",
    "rabbitmq.backlog_steady": "its count is of the whole cluster",
    "haproxy.reload_keeps_writer": "each haproxy is compared with itself, and another claim with the others",
}

CLAIMS = every_claim()
every = pytest.mark.parametrize("bound", CLAIMS, ids=[bound.claim.name for bound in CLAIMS])


def judged(bound: BoundClaim, observed: Observation, readings: int = 1) -> Outcome:
    return bound.judge([observed] * readings).outcome


@every
def test_nothing_found_never_passes(bound: BoundClaim) -> None:
    empty = OBSERVATIONS[bound.claim.probe].empty
    if empty is not None and bound.claim.name not in MAY_BE_EMPTY:
        assert judged(bound, empty) is not PASS


@every
def test_one_that_is_well_is_judged(bound: BoundClaim) -> None:
    verdict = bound.judge([OBSERVATIONS[bound.claim.probe].single])
    assert verdict.message
    assert verdict.reason


@every
def test_one_of_two_never_stands_for_both(bound: BoundClaim) -> None:
    doubled = OBSERVATIONS[bound.claim.probe].doubled
    if doubled is not None and bound.claim.name not in NOT_ABOUT_THE_SECOND:
        assert judged(bound, doubled, readings=3) is not PASS


@every
def test_silence_is_unknown(bound: BoundClaim) -> None:
    well = OBSERVATIONS[bound.claim.probe].single
    verdict = bound.judge([well, well, Unanswered("no answer in 5 s")])
    assert (verdict.outcome, verdict.reason) == (UNKNOWN, "unanswered")
    assert verdict.message == "no answer in 5 s"


BODIES = ["[]", "{}", "null", "[[]]", "[{}]", "[null]", '"text"', "5", "<html>", '{"services":{}}']


@pytest.fixture(scope="module", params=[True, False], ids=["http", "commands"])
def management(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_of_another_shape_is_unknown_or_a_fault(body: str, *, management: bool) -> None:
    """Neither a pass nor a Python error: the gate goes on and asks again."""
    with site_that_answers(200, body, rabbitmq_management_enabled=management) as context:
        passed = [each.claim.name for each in CLAIMS if reading(each, context).passed]
    by_exit_status = (
        [] if management else ["rabbitmq.booted"]
    )  # what such a check prints does not count
    assert [name for name in passed if name not in by_exit_status] == []


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_is_unknown_or_a_fault(status: int) -> None:
    with site_that_answers(status, '{"error":"x","reason":"x"}') as context:
        passed = [each.claim.name for each in CLAIMS if reading(each, context).passed]
    assert passed == []


def test_two_hosts_that_are_one_node_are_invalid_input() -> None:
    one = {"rabbitmq_node_name": "rabbit@one", "nova_service_host": "one"}
    with site_that_answers(200, "[]", **one) as context:
        for each in CLAIMS:
            if each.claim.name.startswith("rabbitmq.") or each.claim.probe is probe_rpc:
                with pytest.raises(InvalidInput, match="h1 and h2 are one"):
                    reading(each, context)


@every
def test_what_cannot_be_told_is_found_out_before_the_act(bound: BoundClaim) -> None:
    """A gate in preflight asks whether the claims of a later gate can be told: FAIL is an answer, silence is none."""
    told = replace(bound, only_told=True)
    observed = OBSERVATIONS[bound.claim.probe]
    for each in (observed.single, observed.doubled, observed.empty):
        if each is None:
            continue
        plain, asked = bound.judge([each]), told.judge([each])
        can = plain.outcome is not UNKNOWN or plain.reason in bound.claim.in_time
        assert asked.outcome is (PASS if can else UNKNOWN)
        assert asked.claim == plain.claim
        assert plain.message in asked.message
        assert (dict(asked.evidence), dict(asked.hosts)) == ({}, {})
    assert told.judge([Unanswered("no answer in 5 s")]).outcome is UNKNOWN
