"""From recorded answers of real clusters to verdicts: the same by HTTP and by commands, on both releases."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from holdfast.claims import bind_claim
from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json, Observation, Unanswered, Verdict
from holdfast.observations.rabbitmq import QueueDepth, QueueId
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.rabbitmq.cluster import probe_boot, probe_clients
from holdfast.probes.rabbitmq.commands import in_maintenance
from holdfast.probes.rabbitmq.drain import probe_drain
from holdfast.probes.rabbitmq.management import CONNECTIONS
from holdfast.probes.rabbitmq.queues import probe_depths
from holdfast.probes.rabbitmq.site import brokers_of, expected
from tests.unit.probes.rabbitmq.recorded_brokers import (
    PASSWORD,
    RecordedShell,
    cluster,
    context_of,
    node,
    recorded,
)
from tests.unit.probes.shells import NoShell, ScriptedShell

VERSIONS = ("3.10", "4.0")
WAYS = {"http": True, "commands": False}


def judged(context: ProbeContext, entry: str | dict[str, Any]) -> Verdict:
    """Probe and judge one claim once, as a gate does."""
    bound = bind_claim(entry)
    observed: Observation
    try:
        observed = bound.probe(context)
    except CannotTell as cause:
        observed = Unanswered(str(cause))
    return bound.judge([observed])


def outcome_and_reason(context: ProbeContext, entry: str | dict[str, Any]) -> tuple[str, str]:
    verdict = judged(context, entry)
    assert PASSWORD not in repr(verdict)
    return verdict.outcome.value, verdict.reason


def of(claim: str, host: str) -> dict[str, str]:
    return {"claim": f"rabbitmq.{claim}", "host": host}


# In the recordings: qq1 and st1 have members on three nodes, qq-one on ctl1 alone; mirr is mirrored on 3.10.
SAME_EVERYWHERE = [
    ("healthy", "rabbitmq.members_agree", "PASS", "agree"),
    ("healthy", "rabbitmq.no_partitions", "PASS", "one_view"),
    ("healthy", "rabbitmq.no_alarms", "PASS", "no_alarm"),
    ("healthy", "rabbitmq.quorum_queues_whole", "PASS", "whole"),
    ("healthy", of("quorum_holds_without", "ctl1"), "FAIL", "majority_would_be_lost"),
    ("healthy", of("quorum_holds_without", "ctl2"), "PASS", "holds"),
    ("healthy", of("booted", "ctl1"), "PASS", "booted"),
    ("healthy", of("drained", "ctl1"), "FAIL", "not_in_maintenance"),
    ("drained", of("drained", "ctl1"), "PASS", "drained"),
    ("drained", {"claim": "rabbitmq.members_agree", "drained": "ctl1"}, "PASS", "agree"),
    ("drained", {"claim": "rabbitmq.no_partitions", "drained": "ctl1"}, "PASS", "one_view"),
    ("drained", {"claim": "rabbitmq.no_alarms", "drained": "ctl1"}, "PASS", "no_alarm"),
    ("drained", {"claim": "rabbitmq.quorum_queues_whole", "without": "ctl1"}, "PASS", "whole"),
    # qq-one has its only member on the drained node: a loss that has to be accepted, before the drain and after it.
    (
        "drained",
        of("quorum_holds_without", "ctl1") | {"drained": True},
        "FAIL",
        "majority_would_be_lost",
    ),
    (
        "drained",
        of("quorum_holds_without", "ctl1") | {"drained": True, "accepted": "a copy"},
        "PASS",
        "accepted",
    ),
    ("stopped", {"claim": "rabbitmq.members_agree", "drained": "ctl3"}, "FAIL", "not_running"),
    (
        "stopped",
        of("quorum_holds_without", "ctl2") | {"drained": True},
        "FAIL",
        "majority_would_be_lost",
    ),
    ("stopped", "rabbitmq.members_agree", "FAIL", "not_running"),
    ("stopped", of("booted", "ctl1"), "UNKNOWN", "unanswered"),
    ("stopped", of("quorum_holds_without", "ctl2"), "FAIL", "majority_would_be_lost"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("state", "entry", "outcome", "reason"), SAME_EVERYWHERE, ids=str)
def test_both_ways_and_both_releases_give_the_same_verdict(
    *, version: str, way: str, state: str, entry: str | dict[str, Any], outcome: str, reason: str
) -> None:
    with cluster(version, state, rabbitmq_management_enabled=WAYS[way]) as (context, _):
        assert outcome_and_reason(context, entry) == (outcome, reason)


@pytest.mark.parametrize(
    ("version", "state", "way", "entry", "outcome", "reason"),
    [
        ("3.10", "healthy", "http", "rabbitmq.mirrors_in_sync", "PASS", "in_sync"),
        ("3.10", "healthy", "commands", "rabbitmq.mirrors_in_sync", "PASS", "in_sync"),
        ("4.0", "healthy", "http", "rabbitmq.mirrors_in_sync", "PASS", "not_applicable"),
        ("4.0", "healthy", "commands", "rabbitmq.mirrors_in_sync", "PASS", "not_applicable"),
        ("3.10", "healthy", "http", "rabbitmq.load_known", "PASS", "known"),
        ("4.0", "healthy", "http", "rabbitmq.load_known", "PASS", "known"),
        # The command line does not count clients.
        ("4.0", "healthy", "commands", "rabbitmq.load_known", "UNKNOWN", "unanswered"),
        # A drained node's own API is closed, so not every view can be got.
        ("3.10", "drained", "http", "rabbitmq.members_agree", "UNKNOWN", "unanswered"),
        # With qq-one's only member stopped by the drain, no leader is left; the API of 4.0 does not report that.
        ("3.10", "drained", "http", "rabbitmq.quorum_queues_whole", "FAIL", "not_whole"),
        ("3.10", "stopped", "http", "rabbitmq.quorum_queues_whole", "FAIL", "not_whole"),
        ("4.0", "stopped", "http", "rabbitmq.quorum_queues_whole", "FAIL", "not_whole"),
        # The tools omit queues of a stopped node: an incomplete list must not pass.
        ("3.10", "stopped", "commands", "rabbitmq.quorum_queues_whole", "UNKNOWN", "unanswered"),
        ("4.0", "stopped", "commands", "rabbitmq.quorum_queues_whole", "UNKNOWN", "unanswered"),
    ],
)
def test_where_the_releases_and_the_ways_differ(
    *, version: str, state: str, way: str, entry: str, outcome: str, reason: str
) -> None:
    with cluster(version, state, rabbitmq_management_enabled=WAYS[way]) as (context, _):
        assert outcome_and_reason(context, entry) == (outcome, reason)


@pytest.mark.parametrize("version", VERSIONS)
def test_leaders_are_counted_for_the_order(version: str) -> None:
    with cluster(version, "healthy") as (context, _):
        hosts = judged(context, "rabbitmq.quorum_queues_whole").hosts
    assert sum(facts["leaders"] for facts in hosts.values()) == 3
    assert hosts["ctl1"]["leaders"] >= 1  # qq-one


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_consumers_are_counted(version: str, way: str) -> None:
    enabled = WAYS[way]
    with cluster(version, "healthy", rabbitmq_management_enabled=enabled) as (context, _):
        for queues, reason in (
            ({"conductor": 1}, "consumed"),
            ({"conductor": 2}, "too_few_consumers"),
            ({"conductor": 1, "compute.cmp1": 1}, "too_few_consumers"),
        ):
            entry = {"claim": "rabbitmq.consumers_expected", "queues": queues}
            assert judged(context, entry).reason == reason


@pytest.mark.parametrize("way", WAYS)
def test_nova_s_queues_are_in_the_virtual_host_of_each_host_s_transport_url(way: str) -> None:
    """OpenStack-Ansible has one for nova, and every cell may have its own."""
    urls = {"ctl1": "rabbit://nova:x@ctl1:5671/", "ctl2": "rabbit://nova:x@ctl1:5671/%2Fnova?ssl=1"}
    with cluster("4.0", "healthy", rabbitmq_management_enabled=WAYS[way]) as (context, _):
        variables = {
            host: {**site, **({"nova_transport_url": urls[host]} if host in urls else {})}
            for host, site in context.variables.items()
        }
        groups = {**context.groups, "nova_conductor": ["ctl1", "ctl2", "ctl3"]}
        site = replace(context, groups=groups, variables=variables)
        found = probe_depths(site, {"orders": 1}, of_nova=True, vhost="elsewhere")
    assert found.vhosts == {"/", "holdfast"}
    assert found.wanted == {
        QueueId("/", "conductor"): 1,
        QueueId("/", "conductor.ctl1"): 1,
        QueueId("/nova", "conductor"): 1,
        QueueId("/nova", "conductor.ctl2"): 1,
        # No URL is known: they are looked for where the claim says.
        QueueId("elsewhere", "conductor"): 1,
        QueueId("elsewhere", "conductor.ctl3"): 1,
        QueueId("elsewhere", "orders"): 1,
    }
    assert found.queues == {QueueId("/", "conductor"): QueueDepth(consumers=1, ready=0)}


def test_what_a_tool_does_not_know_is_not_counted() -> None:
    """For a queue whose node is down, the tools of 4.0 print "" for its consumers (recorded)."""
    queues = '[{"name":"mirr","consumers":"","messages_ready":""}]'
    shell = ScriptedShell(*(CommandResult(0, text, "") for text in ('[{"name":"/"}]', queues)))
    context = context_of({"ctl1": 1}, RecordedShell({}), rabbitmq_management_enabled=False)
    found = probe_depths(replace(context, shell=shell), {"mirr": 1}, of_nova=False, vhost="/")
    assert found.queues == {QueueId("/", "mirr"): QueueDepth(consumers=None, ready=None)}


# `rabbitmqctl status --formatter json` of 3.10.8 and 4.0.5, without what nobody reads.
STATUS = {
    "is_under_maintenance": False,
    "totals": {"connection_count": 13},
    "disk_free": 83_624_755_200,
    "disk_free_limit": 50_000_000,
    "vm_memory_high_watermark_limit": 10_110_600_806,
    "memory": {"strategy": "rss", "total": {"erlang": 97_409_160, "rss": 149_868_544, "allocated": 74_858_496}},
    "file_descriptors": {"sockets_limit": 17_910, "sockets_used": 13, "total_limit": 19_903, "total_used": 71},
}  # fmt: skip


def room_by_command(*answers: CommandResult) -> Verdict:
    hosts = {f"ctl{number}": number for number in range(1, len(answers) + 1)}
    context = context_of(hosts, RecordedShell({}), rabbitmq_management_enabled=False)
    return judged(replace(context, shell=ScriptedShell(*answers)), "rabbitmq.has_room")


def status_of(**changed: Any) -> CommandResult:
    return CommandResult(0, json.dumps(STATUS | changed), "")


def test_where_there_is_no_management_api_each_broker_is_asked_for_its_room() -> None:
    verdict = room_by_command(status_of(), status_of(), status_of())
    assert verdict.passed
    assert verdict.message == (
        "3 brokers have room; used at most: memory 2 %, disk 0 %, descriptors 0 %, sockets 0 %"
    )
    assert (
        room_by_command(status_of(vm_memory_high_watermark_limit=150_000_000)).reason
        == "little_room"
    )


def test_a_broker_whose_status_says_nothing_is_a_doubt() -> None:
    for silent in (
        CommandResult(69, "", "Error: unable to perform an operation on node"),
        status_of(memory=None),
    ):
        verdict = room_by_command(status_of(), silent)
        assert (verdict.outcome, verdict.reason) == ("UNKNOWN", "not_reported")


def test_a_command_is_run_only_where_http_has_no_answer() -> None:
    """Each start costs a second of CPU; only 3.10's API omits which node is drained."""
    with cluster("4.0", "drained") as (context, shell):
        assert judged(context, of("drained", "ctl1")).passed
        assert shell.commands == []
    with cluster("3.10", "drained") as (context, shell):
        assert judged(context, of("drained", "ctl1")).passed
        asked = [(command.split()[3], command.split()[6]) for command in shell.commands]
    assert sorted(asked) == [("rabbit@ctl2", "cluster_status"), ("rabbit@ctl3", "cluster_status")]


@pytest.mark.parametrize("way", WAYS)
def test_the_broker_s_own_check_names_what_would_be_lost(way: str) -> None:
    with cluster("3.10", "healthy", rabbitmq_management_enabled=WAYS[way]) as (context, _):
        verdict = judged(context, of("quorum_holds_without", "ctl1"))
    assert "the broker's own check names as critical: queue 'qq-one'" in verdict.message


def test_the_peers_are_asked_about_a_drain_and_not_the_node_itself() -> None:
    with cluster("4.0", "healthy") as (context, _):
        assert probe_drain(context, "ctl1").marked == {"ctl2": False, "ctl3": False}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_peer_that_is_silent_about_a_drain_is_a_doubt(version: str) -> None:
    found = recorded(version, "drained")
    with node(found["http"]["ctl2"]) as port, node(None) as nobody:
        ports = {"ctl1": nobody, "ctl2": port, "ctl3": nobody}
        verdict = judged(context_of(ports, RecordedShell(found["commands"])), of("drained", "ctl1"))
    assert (verdict.outcome, verdict.reason) == ("UNKNOWN", "unanswered")
    assert verdict.message.startswith("ctl3's management API")
    assert verdict.evidence["marked"] == {"ctl2": True}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_drained_node_is_told_from_a_silent_one(version: str) -> None:
    """The API of 3.10 does not report which node is drained, so a command adds it."""
    with cluster(version, "drained") as (context, _):
        message = judged(context, "rabbitmq.members_agree").message
    assert "ctl1 is drained in the view of ctl2" in message
    assert message.endswith("on ctl1: rabbitmq-upgrade -n rabbit@ctl1 revive")


@pytest.mark.parametrize("version", VERSIONS)
def test_links_inside_the_broker_and_our_own_gates_are_no_clients(version: str) -> None:
    found = recorded(version, "drained")
    left = [
        {"node": "rabbit@ctl1", "type": "direct", "state": "running"},
        {"node": "rabbit@ctl1", "type": "network", "state": "blocked", "user_provided_name": "holdfast: round trip"},
        {"node": "rabbit@ctl1", "type": "network", "state": "closed"},
        {"node": "rabbit@ctl2", "type": "network", "state": "running"},
    ]  # fmt: skip
    client = {"node": "rabbit@ctl1", "type": "network", "user_provided_name": "nova-compute:1"}
    with ExitStack() as stack:
        for connections, reason, count in (
            (left, "drained", 1),
            ([*left, client], "connections_left", 2),
        ):
            routes = {CONNECTIONS: (200, json.dumps(connections))}
            ports = {
                host: stack.enter_context(node(http and {**http, **routes}))
                for host, http in found["http"].items()
            }
            context = context_of(ports, RecordedShell(found["commands"]))
            assert judged(context, of("drained", "ctl1")).reason == reason
            counted = {
                view.load.connections
                for view in probe_clients(context).answered.values()
                if view.load
            }
            assert counted == {count}


@pytest.mark.parametrize(
    ("start", "reason"), [("52d19c8a", "local"), ("e01b5526", "elsewhere"), ("", "not_reported")]
)
def test_a_node_reports_in_which_start_of_a_unit_it_runs(start: str, reason: str) -> None:
    """Recorded on 3.10.8; the node of a name may run on another host than the one that is reached."""
    answered = json.dumps({"node": "rabbit@ctl1", "result": "ok", "value": start})
    unit = "Id=rabbitmq-server.service\nActiveState=active\nInvocationID=52d19c8a\n"
    shell = ScriptedShell(CommandResult(0, answered, ""), CommandResult(0, unit, ""))
    context = ProbeContext("ctl1", {"rabbitmq": ("ctl1",)}, {"ctl1": {}}, shell)
    assert judged(context, "rabbitmq.node_is_local").reason == reason
    assert "rabbit@ctl1" in shell.commands[0]


BOOT = "6b3d7c1e-8d4f-4f0a-9f57-1f7d4f5b2c11"


@pytest.mark.parametrize(
    ("inside", "starts", "reason"),
    [
        (f"{BOOT} pid:[4026532771]\n", "docker start -a rabbitmq", "local"),
        (f"{BOOT} pid:[4026531836]\n", "docker start -a rabbitmq", "elsewhere"),
        (f"{BOOT} pid:[4026532771]\n", "docker start -a outward_rabbitmq", "other_command"),
    ],
)
def test_a_node_in_a_container_is_told_by_its_namespace(
    inside: str, starts: str, reason: str
) -> None:
    """A container's process has no InvocationID; boot and namespace tell it from every other container."""
    value = f"{BOOT} pid:[4026532771]"
    answered = json.dumps({"node": "rabbit@ctl1", "result": "ok", "value": value})
    unit = f"Id=kolla.service\nActiveState=active\nExecStart={{ argv[]=/usr/bin/{starts} ; }}\n"
    results = [CommandResult(0, text, "") for text in (answered, inside, unit)]
    shell, prefix = ScriptedShell(*results), ["docker", "exec", "rabbitmq"]
    site = {"rabbitmq_command_prefix": prefix}
    context = ProbeContext("ctl1", {"rabbitmq": ("ctl1",)}, {"ctl1": site}, shell)

    assert judged(context, "rabbitmq.node_is_local").reason == reason
    assert [command[:3] == prefix for command in shell.commands] == [True, True, False]


def test_tools_are_looked_for_in_the_broker_s_container() -> None:
    shell = ScriptedShell(CommandResult(0, "rabbitmq-queues\ntold\n", ""))
    site = {"rabbitmq_command_prefix": ["podman", "exec", "mq"]}
    groups = {"rabbitmq": ("ctl1",)}
    context = ProbeContext("ctl1", groups, {"ctl1": site}, shell, reach=lambda _: shell)

    assert judged(context, "rabbitmq.tools_present").reason == "missing"
    assert shell.commands[0][:3] == ["podman", "exec", "mq"]


@pytest.mark.parametrize("given", ["docker exec rabbitmq", ["docker exec", "rabbitmq"], {"a": 1}])
def test_a_prefix_is_a_list_of_words(given: Json) -> None:
    site = {"rabbitmq_command_prefix": given}
    context = ProbeContext("ctl1", {"rabbitmq": ("ctl1",)}, {"ctl1": site}, NoShell())

    with pytest.raises(InvalidInput, match="rabbitmq_command_prefix"):
        brokers_of(context)


def test_only_the_drained_node_is_in_maintenance() -> None:
    with cluster("3.10", "drained") as (context, _):
        peer = brokers_of(context)["ctl2"]
        marked = [
            node for node in expected(brokers_of(context)).values() if in_maintenance(peer, node)
        ]
    assert marked == ["rabbit@ctl1"]


@pytest.mark.parametrize("claim", ["quorum_holds_without", "drained", "booted"])
def test_a_host_that_is_no_broker_is_refused(claim: str) -> None:
    with cluster("4.0", "healthy") as (context, _), pytest.raises(InvalidInput, match="ctl9 is no"):
        judged(context, of(claim, "ctl9"))


def test_a_port_that_nothing_listens_on_is_a_fault_of_the_boot() -> None:
    found = recorded("4.0", "healthy")
    failed = 503, '{"status":"failed","reason":"No active listener"}'
    with node({**found["http"]["ctl2"], "health/checks/port-listener/5672": failed}) as port:
        boot = probe_boot(context_of({"ctl2": port}, RecordedShell({})), "ctl2")
    assert (boot.running, boot.faults) == (True, ("port 5672: No active listener",))
    commands = {
        command: [69, "", "Error:"] if "check_port_listener" in command else result
        for command, result in found["commands"].items()
    }
    context = context_of({"ctl2": 1}, RecordedShell(commands), rabbitmq_management_enabled=False)
    boot = probe_boot(context, "ctl2")
    assert (boot.running, boot.faults) == (True, ("port 5672: not up",))
