"""Nova's claims from the inventory to the verdict, with recorded answers of a real nova."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from holdfast.claims import bind_claim
from holdfast.claims.nova import CLAIMS
from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json, Outcome, Verdict
from holdfast.nova_services import RPC_SERVICES
from holdfast.observations.nova import ExpectedService, RpcReplies
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova import rpc_client
from holdfast.probes.nova.answers import pings_of
from holdfast.probes.nova.api_answers import SERVICES
from tests.unit.probes.fake_nova import PASSWORD, RECORDED, FakeNova, closed_port_url, running_nova
from tests.unit.probes.shells import UnreachableShell

SERVERS, MIGRATIONS = "/v2.1/servers/detail", "/v2.1/os-migrations"
PLANTED = "planted-shared-secret"
WRONG_LOGIN = {"nova_auth_password": "planted-and-wrong"}
GROUPS = {
    "nova_conductor": ["ctl1"],
    "nova_scheduler": ["ctl1"],
    "nova_api": ["ctl1"],
    "nova_metadata": ["ctl1"],
    "nova_compute": ["cmp1"],
}


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        nova.routes[SERVICES] = 200, RECORDED["services"]
        nova.routes[SERVERS] = 200, {"servers": []}
        nova.routes[MIGRATIONS] = 200, {"migrations": []}
        yield nova


def context(nova: FakeNova, **changed: Any) -> ProbeContext:
    """Return a site of one host that does everything, which nova knows as ``one``."""
    common = {
        **nova.login(),
        "nova_service_host": "one",
        "nova_api_url": nova.url,
        "nova_metadata_url": nova.url,
        "nova_metadata_shared_secret": PLANTED,
        "nova_transport_url": "rabbit://nova:planted-in-url@127.0.0.1:1/",
        **changed,
    }
    return ProbeContext("ctl1", GROUPS, {"ctl1": common, "cmp1": common}, UnreachableShell())


def judge(entry: Json, context: ProbeContext, readings: int = 1) -> Verdict:
    bound = bind_claim(entry)
    return bound.judge([bound.probe(context) for _ in range(readings)])


def test_the_standing_claims() -> None:
    assert [claim.name for claim in CLAIMS if claim.standing] == [
        "nova.services_up",
        "nova.units_stay_up",
        "nova.logs_can_be_told",
        "nova.none_left_disabled",
        "nova.rpc_answers",
        "nova.api_answers",
        "nova.metadata_answers",
    ]


def test_services_are_found_by_novas_own_names(nova: FakeNova) -> None:
    verdict = judge("nova.services_up", context(nova))
    assert verdict.passed, verdict.message
    assert verdict.hosts == {"cmp1": {"healthy": True}, "ctl1": {"healthy": True}}
    missing = judge("nova.services_up", context(nova, nova_service_host="other"))
    assert (missing.outcome, missing.evidence["expected"]) == (Outcome.FAIL, 3)


def test_a_silent_cell_is_unknown_not_missing(nova: FakeNova) -> None:
    nova.routes[SERVICES] = 200, RECORDED["silent_cell"]
    assert judge("nova.services_up", context(nova)).outcome is Outcome.UNKNOWN
    beat = {"claim": "nova.heartbeat_advanced", "service": "compute", "host": "cmp1"}
    assert judge(beat, context(nova), readings=3).outcome is Outcome.UNKNOWN
    assert judge({"claim": "nova.compute_idle", "host": "cmp1"}, context(nova)).outcome is (
        Outcome.UNKNOWN
    )


def test_a_compute_with_work_in_flight(nova: FakeNova) -> None:
    nova.routes[SERVERS] = 200, RECORDED["instances"]
    nova.routes[MIGRATIONS] = 200, RECORDED["migrations"]
    verdict = judge({"claim": "nova.compute_idle", "host": "cmp1"}, context(nova))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence["instances"] == 3
    assert [operation.partition(" is ")[2] for operation in verdict.evidence["busy"]] == [
        "in BUILD, spawning",
        "in REBOOT, rebooting",
        "running",
    ]


def test_the_service_is_listed_before_and_after_its_work(nova: FakeNova) -> None:
    """The lists of a cell whose database stopped between are empty and prove nothing."""
    assert judge({"claim": "nova.compute_idle", "host": "cmp1"}, context(nova)).passed
    assert [each.path for each in nova.requests] == [SERVICES, SERVERS, MIGRATIONS, SERVICES]


def test_a_host_outside_the_group_is_refused(nova: FakeNova) -> None:
    for entry in (
        {"claim": "nova.compute_idle", "host": "ctl1"},
        {"claim": "nova.rpc_answers", "hosts": ["cmp9"]},
        {"claim": "nova.rpc_answers", "hosts": ["ctl1", "cmp9"]},
        {"claim": "nova.rpc_answers", "topics": ["compute"], "hosts": ["ctl1"]},
        {"claim": "nova.peer_remains", "service": "conductor", "host": "cmp1"},
        {"claim": "nova.peer_remains", "service": "api", "host": "cmp1"},
    ):
        with pytest.raises(InvalidInput):
            judge(entry, context(nova))


@pytest.mark.parametrize(
    "entry",
    [
        {"claim": "nova.heartbeat_advanced", "service": "api", "host": "ctl1"},
        {"claim": "nova.heartbeat_advanced", "service": "compute"},
        {"claim": "nova.heartbeat_advanced", "service": "compute", "host": "c", "times": 1},
        {"claim": "nova.rpc_answers", "topics": []},
        {"claim": "nova.rpc_answers", "pings": 0},
        {"claim": "nova.peer_remains", "service": "compute", "host": "cmp1"},
        {"claim": "nova.no_messaging_timeouts", "unit": "nova-compute"},
        {"claim": "nova.services_up", "hosts": ["ctl1"]},
    ],
)
def test_parameters_that_would_prove_less_are_refused(entry: Json) -> None:
    with pytest.raises(InvalidInput):
        bind_claim(entry)


def test_numbers_come_from_ansible_as_text(nova: FakeNova) -> None:
    bound = bind_claim({"claim": "nova.rpc_answers", "pings": "7"})
    assert bound.parameters.model_dump()["pings"] == 7


def test_a_variable_that_is_not_set_is_named_with_its_host(nova: FakeNova) -> None:
    site = ProbeContext("ctl1", GROUPS, {"ctl1": {}, "cmp1": {}}, UnreachableShell())
    with pytest.raises(InvalidInput, match=r"ctl1: .*nova_api_url"):
        judge("nova.api_answers", site)


def test_no_secret_is_in_verdicts_and_errors(nova: FakeNova) -> None:
    nova.routes["/"] = 200, {"versions": ["latest"]}
    site = context(nova, **WRONG_LOGIN)
    reported: list[Json] = [judge("nova.api_answers", site).as_json()]
    for entry in ("nova.services_up", "nova.rpc_answers"):
        with pytest.raises(CannotTell) as caught:
            judge(entry, site)
        reported.append(str(caught.value))
    reported.append(judge("nova.metadata_answers", context(nova)).as_json())
    assert len(reported) == 4
    assert "login refused (401)" in json.dumps(reported)
    assert "planted" not in json.dumps(reported)
    assert PASSWORD not in json.dumps(reported)


def test_the_last_api_that_answers_has_no_peer(nova: FakeNova) -> None:
    nova.routes["/"], nova.routes["/v2.1/servers"] = (200, {}), (200, {"servers": []})
    groups = {**GROUPS, "nova_api": ["ctl1", "ctl2"]}
    here = context(nova).variables["ctl1"]
    away = {**here, "nova_api_url": closed_port_url()}
    site = ProbeContext("ctl1", groups, {"ctl1": here, "ctl2": away}, UnreachableShell())
    entry = {"claim": "nova.peer_remains", "service": "api"}
    assert judge({**entry, "host": "ctl1"}, site).reason == "no_peer"
    assert judge({**entry, "host": "ctl2"}, site).reason == "peer_serves"


def test_each_cell_is_called_once_through_its_own_brokers(nova: FakeNova) -> None:
    """Hosts may name the same brokers in any order; another cell has others."""
    groups = {"nova_conductor": ["a", "b", "c"]}
    urls = {
        "a": "rabbit://n:planted@127.0.0.1:1,n:planted@127.0.0.1:2/",
        "b": "rabbit://n:planted@127.0.0.1:2,n:planted@127.0.0.1:1/",
        "c": "rabbit://n:planted@127.0.0.1:3/",
    }
    variables = {host: {"nova_transport_url": url} for host, url in urls.items()}
    with pytest.raises(CannotTell) as caught:
        judge("nova.rpc_answers", ProbeContext("a", groups, variables, UnreachableShell()))
    assert "127.0.0.1:1: " in str(caught.value)
    assert str(caught.value).count("127.0.0.1:2: ") == 1
    with pytest.raises(CannotTell, match=r"127\.0\.0\.1:3: "):
        judge(
            {"claim": "nova.rpc_answers", "hosts": ["c"]},
            ProbeContext("a", groups, variables, UnreachableShell()),
        )


def test_of_a_large_fleet_only_the_computes_that_are_named_are_called(nova: FakeNova) -> None:
    """A compute is one process and gets one call; of the others no variable is read: by the hundred that takes long."""
    here = context(nova)
    computes = [f"cmp{number}" for number in range(1, 243)]
    own = {"cmp7": {**here.variables["cmp1"], "nova_service_host": "seven"}}
    variables = {"ctl1": here.variables["ctl1"], **own}
    fleet = ProbeContext("ctl1", {**GROUPS, "nova_compute": computes}, variables, here.shell)

    def called(fleet: ProbeContext, *computes: str) -> dict[str, int]:
        found = pings_of(fleet, RPC_SERVICES, (), 5, computes)
        return {each.name: count for each, count in found.items()}

    control = {"nova-conductor on ctl1": 5, "nova-scheduler on ctl1": 5}
    assert called(fleet, "cmp7") == {**control, "nova-compute on cmp7": 1}
    # One that is in hand in another batch may be among those that are called in turn.
    beside = replace(fleet, in_hand=frozenset({"cmp8"}), rolled="nova_compute")
    assert called(beside, "cmp7", "cmp8") == {**control, "nova-compute on cmp7": 1}
    with pytest.raises(InvalidInput, match="no cmp999 in"):
        called(fleet, "cmp999")


def test_a_silent_compute_is_looked_up_in_the_service_list(
    nova: FakeNova, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that people took out is left out of the fleet; not where this very host is asked, as after its restart."""

    def ping(
        _: Any, pings: dict[ExpectedService, int], __: rpc_client.Way
    ) -> dict[ExpectedService, RpcReplies]:
        return {
            each: RpcReplies(count, 0 if each.service == "compute" else count)
            for each, count in pings.items()
        }

    monkeypatch.setattr(rpc_client, "ping", ping)
    listed = RECORDED["services"]["services"]
    fenced = {"status": "disabled", "disabled_reason": "broken DIMM", "forced_down": True}
    nova.routes[SERVICES] = 200, {"services": [*listed[:2], listed[2] | fenced]}
    verdict = judge("nova.rpc_answers", context(nova))
    assert verdict.passed, verdict.message
    assert list(verdict.evidence["absent"]) == ["nova-compute on cmp1"]
    own = judge(
        {"claim": "nova.rpc_answers", "topics": ["compute"], "hosts": ["cmp1"]}, context(nova)
    )
    assert own.outcome is Outcome.FAIL
    nova.routes[SERVICES] = 503, {}
    assert judge("nova.rpc_answers", context(nova)).outcome is Outcome.FAIL
