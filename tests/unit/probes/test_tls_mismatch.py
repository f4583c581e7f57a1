"""A site that says TLS where none is spoken, or the other way round: told after a look, with what to set."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest
from cryptography import x509

from holdfast.claims import bind_claim
from holdfast.errors import CannotTell
from holdfast.model import Json, Observation, Outcome, Unanswered
from holdfast.observations.nova import ExpectedService
from holdfast.probes.base import ProbeContext
from holdfast.probes.nova.rpc_client import ping
from holdfast.probes.nova.transport_url import brokers_of
from tests.unit.probes.fake_nova import FakeNova, running_nova
from tests.unit.probes.http_server import running_server
from tests.unit.probes.rabbitmq.scripted_broker import running_broker
from tests.unit.probes.shells import NoShell
from tests.unit.probes.test_nova_rpc_client_tls import certificate_for, tls_server

SECRET = "planted"  # noqa: S105 - planted, to be looked for


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return certificate_for(names, tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_port(certificate: tuple[str, str]) -> Iterator[int]:
    """A listener that is spoken to without TLS, and then asked whether it speaks it."""
    with tls_server(*certificate, connections=2) as (port, received):
        yield port
    assert received == [b""]


@pytest.fixture
def tls_port_of_a_trip(certificate: tuple[str, str]) -> Iterator[int]:
    """The same for a round trip, which only connects at first."""
    with tls_server(*certificate, connections=3) as (port, received):
        yield port
    assert received == [b""]


def verdict(claim: str, group: str, **site: Json) -> tuple[Outcome, str]:
    """Return how a claim about one host is judged, with the message."""
    bound = bind_claim(claim)
    common = {"ansible_host": "127.0.0.1", "rabbitmq_answer_seconds": 2}
    context = ProbeContext("h1", {group: ("h1",)}, {"h1": {**common, **site}}, NoShell())
    observed: Observation
    try:
        observed = bound.probe(context)
    except CannotTell as cause:
        observed = Unanswered(str(cause))
    found = bound.judge([observed])
    assert SECRET not in found.message
    return found.outcome, found.message


def test_a_broker_that_is_spoken_to_without_tls(tls_port_of_a_trip: int) -> None:
    port = tls_port_of_a_trip
    found = verdict("rabbitmq.amqp_round_trip", "rabbitmq", rabbitmq_amqp_port=port)
    text = f"h1: login: port {port} speaks TLS: set rabbitmq_amqp_tls: true"
    assert found == (Outcome.UNKNOWN, text)


def test_a_broker_without_tls() -> None:
    with running_broker() as broker:
        site: dict[str, Json] = {"rabbitmq_amqp_port": broker.port, "rabbitmq_amqp_tls": True}
        outcome, message = verdict("rabbitmq.amqp_round_trip", "rabbitmq", **site)
    assert outcome is Outcome.UNKNOWN
    assert message.endswith("answers without TLS: set rabbitmq_amqp_tls: false")


def test_a_management_api_that_is_spoken_to_without_tls(tls_port: int) -> None:
    outcome, message = verdict(
        "rabbitmq.members_agree", "rabbitmq", rabbitmq_management_port=tls_port
    )
    assert outcome is Outcome.UNKNOWN
    assert (
        f"h1's management API at 127.0.0.1:{tls_port} speaks TLS: set rabbitmq_management_scheme: https"
        in message
    )


def refusal(url: str) -> str:
    with pytest.raises(CannotTell) as caught:
        ping(brokers_of(url), {ExpectedService("compute", "cmp1", "cmp1"): 1})
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_nova_s_brokers_that_are_spoken_to_without_tls(tls_port: int) -> None:
    message = refusal(f"rabbit://nova:{SECRET}@127.0.0.1:{tls_port}/")
    assert "speaks TLS: add ?ssl=1 to nova_transport_url, or set nova_transport_tls" in message


def test_nova_s_brokers_without_tls() -> None:
    with running_broker() as broker:
        message = refusal(f"rabbit://nova:{SECRET}@127.0.0.1:{broker.port}/?ssl=1")
    assert "answers without TLS: nova_transport_tls or ?ssl=" in message


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        nova.routes["/"] = 200, {"versions": ["latest"]}
        yield nova


def test_an_api_that_is_spoken_to_without_tls(nova: FakeNova, tls_port: int) -> None:
    site = {**nova.login(), "nova_api_url": f"http://127.0.0.1:{tls_port}"}
    outcome, message = verdict("nova.api_answers", "nova_api", **site)
    assert outcome is Outcome.UNKNOWN
    assert "speaks TLS: write https:// in nova_api_url" in message


def test_an_api_without_tls(nova: FakeNova) -> None:
    site = {**nova.login(), "nova_api_url": nova.url.replace("http:", "https:")}
    outcome, message = verdict("nova.api_answers", "nova_api", **site)
    assert outcome is Outcome.UNKNOWN
    assert "answers without TLS: write http:// in nova_api_url" in message


def test_keystone_that_is_spoken_to_without_tls(nova: FakeNova, tls_port: int) -> None:
    auth = {**nova.login(), "nova_auth_url": f"http://127.0.0.1:{tls_port}/v3"}
    outcome, message = verdict("nova.api_answers", "nova_api", nova_api_url=nova.url, **auth)
    assert outcome is Outcome.UNKNOWN
    assert "speaks TLS: write https:// in nova_auth_url" in message


def test_a_metadata_service_without_tls(nova: FakeNova) -> None:
    url = nova.url.replace("http:", "https:")
    outcome, message = verdict("nova.metadata_answers", "nova_metadata", nova_metadata_url=url)
    assert outcome is Outcome.UNKNOWN
    assert "answers without TLS: write http:// in nova_metadata_url" in message


@pytest.mark.parametrize("status", [404, 406])
def test_a_management_api_elsewhere(status: int) -> None:
    with running_server(lambda _: (status, b"{}")) as port:
        _, message = verdict("rabbitmq.members_agree", "rabbitmq", rabbitmq_management_port=port)
    assert "is there a path_prefix? rabbitmq_management_path is ''" in message


@pytest.mark.parametrize("prefix", ["/rabbit", "rabbit/"])
def test_a_management_api_under_a_prefix(prefix: str) -> None:
    asked = []

    def answer(received: object) -> tuple[int, bytes]:
        asked.append(received.path)  # type: ignore[attr-defined]
        return 500, b"{}"

    with running_server(answer) as port:
        site: dict[str, Json] = {
            "rabbitmq_management_port": port,
            "rabbitmq_management_path": prefix,
        }
        verdict("rabbitmq.members_agree", "rabbitmq", **site)
    assert asked[0].startswith("/rabbit/api/nodes?")
