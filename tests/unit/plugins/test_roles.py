"""Roles run by Ansible with verdicts of the judges: what they read from them, and that a missing key stops the play."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.evidence import ABSENT, BACKLOG, CHURN, CONNECTIONS, CONSUMERS, INVOCATION_ID, SLOWEST
from holdfast.journal.events import BaselineTaken, HostDone
from tests.content.repository import ROOT, yaml_of
from tests.unit.plugins.fake_hosts import FakeHosts

RUN = {"holdfast_run": "r1", "holdfast_grant": {}}
LOAD = {CONNECTIONS: 40, CHURN: 0.5}
COUNTED = {"waiting": 3, "unread replies": 1}
QUEUES = {CONSUMERS: {"/": {"orders": 2}}, "missing": []}


@pytest.fixture
def hosts(hosts: FakeHosts) -> FakeHosts:
    hosts.open_run("r1")
    return hosts


def baseline(load: dict[str, Any], queues: dict[str, Any]) -> list[dict[str, Any]]:
    """Take a baseline from these verdicts, then keep the claims that compare with it."""
    verdicts = [
        {"claim": "rabbitmq.load_known", "evidence": load},
        {"claim": "rabbitmq.backlog_known", "evidence": {BACKLOG: COUNTED}},
        {"claim": "rabbitmq.consumers_known", "evidence": queues},
    ]
    role = {"name": "rabbitmq", "tasks_from": "baseline", "public": True}
    variables = {**RUN, "_rabbitmq_counts": verdicts, "rabbitmq_consumers": {"orders": 1}}
    return [
        {"ansible.builtin.include_role": role, "vars": variables},
        {
            "ansible.builtin.debug": {"msg": "{{ _rabbitmq_baseline_claims }}"},
            "vars": variables,
            "register": "compared",
        },
    ]


def test_all_figures_of_the_baseline_are_compared_after_a_restart(hosts: FakeHosts) -> None:
    played = hosts.run_tasks(*baseline(LOAD, QUEUES))
    assert played.rc == 0, played.output
    (taken,) = hosts.journal("r1")
    assert isinstance(taken, BaselineTaken)
    queues = {"/": {"orders": 2}}
    assert taken.values == {
        "connections": 40,
        "churn": 0.5,
        "backlog": COUNTED,
        "consumers": queues,
    }
    compared = {claim["claim"]: claim for claim in played.results["compared"]["msg"]}
    assert compared["rabbitmq.connections_at_baseline"]["baseline"] == 40
    assert compared["rabbitmq.churn_at_baseline"]["baseline"] == 0.5
    assert compared["rabbitmq.backlog_at_baseline"]["baseline"] == COUNTED
    assert compared["rabbitmq.backlog_at_baseline"]["slack"] == 500
    assert compared["rabbitmq.consumers_expected"]["queues"] == {"/": {"orders": 2}}
    assert "rabbitmq.queues_drain" in compared


def test_without_the_management_api_only_consumers_are_compared(hosts: FakeHosts) -> None:
    hosts.set_variables(rabbitmq_management_enabled=False)
    counted = baseline({}, QUEUES)
    counted[0]["vars"]["_rabbitmq_counts"].pop(0)  # rabbitmq.load_known is not asked then
    played = hosts.run_tasks(*counted)
    assert played.rc == 0, played.output
    compared = [claim["claim"] for claim in played.results["compared"]["msg"]]
    assert compared == ["rabbitmq.consumers_expected", "rabbitmq.queues_drain"]


def absences(*out: str) -> dict[str, Any]:
    """Go on after a preflight in which these services of nova were left out."""
    evidence = {ABSENT: dict.fromkeys(out, "disabled (broken DIMM), forced down")}
    verdicts = [
        {"claim": "nova.services_up", "evidence": evidence},
        {"claim": "nova.rpc_answers", "evidence": {SLOWEST: 0.02 * (1 + len(out))}},
        {"claim": "rabbitmq.backlog_known", "evidence": {BACKLOG: {"waiting": len(out)}}},
    ]
    role = {"name": "nova", "tasks_from": "absences"}
    return {"ansible.builtin.include_role": role, "vars": {**RUN, "_nova_verdicts": verdicts}}


def test_a_service_that_is_out_since_the_run_began_stops_it(hosts: FakeHosts) -> None:
    assert hosts.run_tasks(absences("nova-compute on cmp1")).rc == 0
    assert hosts.run_tasks(absences()).rc == 0  # it is back
    worse = hosts.run_tasks(absences("nova-compute on cmp1", "nova-compute on cmp2"))
    assert worse.rc != 0
    assert "out of service since this run began: nova-compute on cmp2" in worse.output
    (taken,) = hosts.journal("r1")
    assert isinstance(taken, BaselineTaken)
    assert (
        taken.values["slowest"] == 0.04
    )  # of the first preflight; what came later is compared with it
    assert taken.values["backlog"] == {"waiting": 1}


def test_churn_that_is_not_counted_is_not_compared(hosts: FakeHosts) -> None:
    played = hosts.run_tasks(*baseline({**LOAD, CHURN: None}, QUEUES))
    assert played.rc == 0, played.output
    compared = [claim["claim"] for claim in played.results["compared"]["msg"]]
    assert "rabbitmq.connections_at_baseline" in compared
    assert "rabbitmq.churn_at_baseline" not in compared


@pytest.mark.parametrize("missing", [CONNECTIONS, CHURN, CONSUMERS])
def test_a_figure_that_is_missing_from_a_verdict_stops_the_play(
    hosts: FakeHosts, missing: str
) -> None:
    load, queues = (
        {key: value for key, value in evidence.items() if key != missing}
        for evidence in (LOAD, QUEUES)
    )
    played = hosts.run_tasks(*baseline(load, queues))
    assert played.rc == 2
    assert missing in played.output
    assert hosts.journal("r1") == []


@pytest.mark.parametrize("evidence", [{INVOCATION_ID: "start7"}, {"start": "start7"}])
def test_a_host_is_done_only_with_the_invocation_id_that_was_proved(
    hosts: FakeHosts, evidence: dict[str, str]
) -> None:
    verdicts = [{"claim": "systemd.stays_up", "evidence": evidence}]
    variables = {
        **RUN,
        "holdfast_run_unit": "cron",
        "holdfast_run_proof": {"holdfast": {"verdicts": verdicts}},
    }
    role = {"name": "holdfast_run", "tasks_from": "done"}
    played = hosts.run_tasks({"ansible.builtin.include_role": role, "vars": variables})
    done = [event.invocation_id for event in hosts.journal("r1") if isinstance(event, HostDone)]
    assert (played.rc, done) == ((0, ["start7"]) if INVOCATION_ID in evidence else (2, []))


@pytest.mark.parametrize(
    ("known_as", "runbook"),
    [
        ("nova-compute@a", "nova-restart"),
        ("my-compute", "nova-restart"),
        ("cron", ""),
    ],
)
def test_an_alias_of_a_unit_that_has_a_runbook_is_refused_before_an_act(
    hosts: FakeHosts, known_as: str, runbook: str
) -> None:
    """The name that was given is refused by the policy; only the host knows the unit's own."""
    hosts.set_unit(Id=f"{known_as}.service")
    roll = next(
        play
        for play in yaml_of(ROOT / "playbooks/unit_restart.yml")
        if "vars" in play and "hosts" in play
    )
    variables = {
        **RUN,
        "rabbitmq_unit": "my-broker.service",
        "nova_compute_unit": "my-compute",
        "group_names": ["rabbitmq", "nova_compute", "nova_api"],
        "systemd_unit_name": "vmhost",
        "systemd_unit_group": "web",
        "holdfast_policy": {"not_for": roll["vars"]["holdfast_policy"]["not_for"]},
    }
    role = {"name": "systemd_unit", "tasks_from": "preflight"}
    played = hosts.run_tasks({"ansible.builtin.include_role": role, "vars": variables})
    said = f"{known_as}.service, which has a runbook with gates of its own, {runbook};"
    assert (said in " ".join(played.output.split())) == bool(runbook)
    assert (played.rc != 0, hosts.restarts) == (
        True,
        [],
    )  # cron: the group's two hosts are one machine
