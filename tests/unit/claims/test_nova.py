"""Nova's claims from the inventory to the verdict, against answers that a nova gave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from holdfast.claims import bind_claim
from holdfast.claims.nova import CLAIMS
from holdfast.errors import CannotTell, InvalidInput
from holdfast.model import Json, Outcome, Verdict
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.nova_api import SERVICES
from tests.unit.probes.nova_stub import PASSWORD, RECORDED, Stub, closed_port_url, serving

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


class NoShell:
    def run(self, argv: Sequence[str]) -> CommandResult:
        raise CannotTell("the host is unreachable")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as stub:
        stub.routes[SERVICES] = 200, RECORDED["services"]
        stub.routes[SERVERS] = 200, {"servers": []}
        stub.routes[MIGRATIONS] = 200, {"migrations": []}
        yield stub


def look(stub: Stub, **changed: Any) -> ProbeContext:
    """A site of one host that does all, which nova knows as ``one``."""
    common = {
        **stub.login(),
        "nova_service_host": "one",
        "nova_api_url": stub.url,
        "nova_metadata_url": stub.url,
        "nova_metadata_shared_secret": PLANTED,
        "nova_transport_url": "rabbit://nova:planted-in-url@127.0.0.1:1/",
        **changed,
    }
    return ProbeContext("ctl1", GROUPS, {"ctl1": common, "cmp1": common}, NoShell())


def judge(entry: Json, looked: ProbeContext, readings: int = 1) -> Verdict:
    asked = bind_claim(entry)
    seen = [asked.claim.probe(looked, asked.of_probe) for _ in range(readings)]
    return asked.claim.judge(seen, asked.parameters)


def test_the_claims_that_surveys_and_checks_ask() -> None:
    assert [claim.name for claim in CLAIMS if claim.standing] == [
        "nova.services_up",
        "nova.rpc_answers",
        "nova.api_answers",
        "nova.metadata_answers",
    ]


def test_services_are_found_under_novas_own_names(stub: Stub) -> None:
    verdict = judge("nova.services_up", look(stub))
    assert verdict.passed, verdict.message
    assert verdict.hosts == {"cmp1": {"healthy": True}, "ctl1": {"healthy": True}}
    missing = judge("nova.services_up", look(stub, nova_service_host="other"))
    assert (missing.outcome, missing.evidence["expected"]) == (Outcome.FAIL, 3)


def test_a_silent_cell_is_unknown_not_missing(stub: Stub) -> None:
    stub.routes[SERVICES] = 200, RECORDED["silent_cell"]
    assert judge("nova.services_up", look(stub)).outcome is Outcome.UNKNOWN
    beat = {"claim": "nova.heartbeat_advanced", "service": "compute", "host": "cmp1"}
    assert judge(beat, look(stub), readings=3).outcome is Outcome.UNKNOWN
    assert judge({"claim": "nova.compute_idle", "host": "cmp1"}, look(stub)).outcome is (
        Outcome.UNKNOWN
    )


def test_a_compute_with_work_in_flight(stub: Stub) -> None:
    stub.routes[SERVERS] = 200, RECORDED["instances"]
    stub.routes[MIGRATIONS] = 200, RECORDED["migrations"]
    verdict = judge({"claim": "nova.compute_idle", "host": "cmp1"}, look(stub))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence["instances"] == 3
    assert [words.partition(" is ")[2] for words in verdict.evidence["busy"]] == [
        "in BUILD, spawning",
        "in REBOOT, rebooting",
        "running",
    ]


def test_the_service_is_looked_at_before_and_after_its_work(stub: Stub) -> None:
    """Lists of a cell that fell silent meanwhile are empty and mean nothing."""
    assert judge({"claim": "nova.compute_idle", "host": "cmp1"}, look(stub)).passed
    assert [each.path for each in stub.asked] == [SERVICES, SERVERS, MIGRATIONS, SERVICES]


def test_a_host_that_is_not_of_the_group_is_refused(stub: Stub) -> None:
    for entry in (
        {"claim": "nova.compute_idle", "host": "ctl1"},
        {"claim": "nova.rpc_answers", "hosts": ["cmp9"]},
        {"claim": "nova.rpc_answers", "hosts": ["ctl1", "cmp9"]},
        {"claim": "nova.rpc_answers", "topics": ["compute"], "hosts": ["ctl1"]},
        {"claim": "nova.peer_remains", "service": "conductor", "host": "cmp1"},
        {"claim": "nova.peer_remains", "service": "api", "host": "cmp1"},
    ):
        with pytest.raises(InvalidInput):
            judge(entry, look(stub))


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


def test_numbers_come_from_ansible_as_text(stub: Stub) -> None:
    assert (
        bind_claim({"claim": "nova.rpc_answers", "pings": "7"}).of_probe.model_dump()["pings"] == 7
    )


def test_a_variable_that_is_not_set_is_named_with_its_host(stub: Stub) -> None:
    looked = ProbeContext("ctl1", GROUPS, {"ctl1": {}, "cmp1": {}}, NoShell())
    with pytest.raises(InvalidInput, match=r"ctl1: .*nova_api_url"):
        judge("nova.api_answers", looked)


def test_no_secret_is_in_what_a_gate_says(stub: Stub) -> None:
    stub.routes["/"] = 200, {}
    looked = look(stub, **WRONG_LOGIN)
    said: list[Json] = [judge("nova.api_answers", looked).as_json()]
    for entry in ("nova.services_up", "nova.rpc_answers"):
        with pytest.raises(CannotTell) as caught:
            judge(entry, looked)
        said.append(str(caught.value))
    said.append(judge("nova.metadata_answers", look(stub)).as_json())
    assert len(said) == 4
    assert "login refused (401)" in json.dumps(said)
    assert "planted" not in json.dumps(said)
    assert PASSWORD not in json.dumps(said)


def test_the_last_api_is_not_given_up(stub: Stub) -> None:
    stub.routes["/"], stub.routes["/v2.1/servers"] = (200, {}), (200, {"servers": []})
    groups = {**GROUPS, "nova_api": ["ctl1", "ctl2"]}
    here = look(stub).variables["ctl1"]
    away = {**here, "nova_api_url": closed_port_url()}
    looked = ProbeContext("ctl1", groups, {"ctl1": here, "ctl2": away}, NoShell())
    entry = {"claim": "nova.peer_remains", "service": "api"}
    assert judge({**entry, "host": "ctl1"}, looked).reason == "no_peer"
    assert judge({**entry, "host": "ctl2"}, looked).reason == "peer_serves"


def test_each_cell_is_called_once_through_brokers_of_its_own(stub: Stub) -> None:
    """Hosts name the same brokers in whatever order; another cell has others."""
    groups = {"nova_conductor": ["a", "b", "c"]}
    urls = {
        "a": "rabbit://n:planted@127.0.0.1:1,n:planted@127.0.0.1:2/",
        "b": "rabbit://n:planted@127.0.0.1:2,n:planted@127.0.0.1:1/",
        "c": "rabbit://n:planted@127.0.0.1:3/",
    }
    variables = {host: {"nova_transport_url": url} for host, url in urls.items()}
    with pytest.raises(CannotTell) as caught:
        judge("nova.rpc_answers", ProbeContext("a", groups, variables, NoShell()))
    assert "127.0.0.1:1: " in str(caught.value)
    assert str(caught.value).count("127.0.0.1:2: ") == 1
    with pytest.raises(CannotTell, match=r"127\.0\.0\.1:3: "):
        judge(
            {"claim": "nova.rpc_answers", "hosts": ["c"]},
            ProbeContext("a", groups, variables, NoShell()),
        )
