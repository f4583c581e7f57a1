"""Connections that leave from another host: what arrives, how they end, and what is said where there is none."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

from holdfast.claims import bind_claim
from holdfast.errors import CannotTell
from holdfast.model import Json
from holdfast.observations.nova import ExpectedService
from holdfast.probes.base import ProbeContext, ReachedSite
from holdfast.probes.connections import Connect
from holdfast.probes.nova.rpc_client import Way, ping
from holdfast.probes.nova.transport_url import brokers_of
from holdfast.probes.ssh_forward import NoMaster, open_through
from tests.unit.claims.test_site_variables import sites
from tests.unit.probes.fake_nova import FakeNova, running_nova
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.rabbitmq.recorded_brokers import PASSWORD, USER, node, recorded
from tests.unit.probes.rabbitmq.scripted_broker import DECLARE, disconnect, running_broker
from tests.unit.probes.shells import NoShell
from tests.unit.probes.ssh_master import ELSEWHERE, FakeMaster, running_master
from tests.unit.probes.test_nova_rpc_client_tls import certificate_for, tls_server


@pytest.fixture
def master() -> Iterator[FakeMaster]:
    with running_master() as master:
        yield master


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def opened(master: FakeMaster, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    ours = open_through(master.path, "bas1", ELSEWHERE, listener.getsockname()[1], 5)
    ours.settimeout(5)
    theirs, _ = listener.accept()
    theirs.settimeout(5)
    return ours, theirs


def test_what_is_sent_arrives_both_ways(master: FakeMaster) -> None:
    with listening() as listener:
        ours, theirs = opened(master, listener)
        with ours, theirs:
            big = bytes(range(256)) * 4096
            threading.Thread(target=ours.sendall, args=(big,)).start()
            with theirs.makefile("rb") as received:
                assert received.read(len(big)) == big
            theirs.sendall(b"answer")
            assert ours.recv(6) == b"answer"


def test_the_other_side_s_end_is_ours(master: FakeMaster) -> None:
    with listening() as listener:
        ours, theirs = opened(master, listener)
        with ours:
            theirs.sendall(b"last")
            theirs.close()
            assert ours.recv(10) == b"last"
            assert ours.recv(10) == b""


def test_our_end_is_the_other_side_s_and_the_master_s(master: FakeMaster) -> None:
    """A peer that is frozen never closes: the connection must not stay in the ssh until it does."""
    with listening() as listener:
        ours, theirs = opened(master, listener)
        with theirs:
            ours.close()
            assert theirs.recv(10) == b""
            assert master.ended.acquire(timeout=5)


@pytest.mark.parametrize("host", [ELSEWHERE, "unknown.invalid"])
def test_a_connection_that_was_not_opened_names_both_hosts(master: FakeMaster, host: str) -> None:
    with pytest.raises(OSError, match=f"bas1 opened no connection to {host} port ") as caught:
        open_through(master.path, "bas1", host, closed_port(), 5)
    assert caught.value.errno == errno.EHOSTUNREACH


def test_a_connection_that_is_not_opened_in_time() -> None:
    with running_master(hangs=True) as master, pytest.raises(TimeoutError, match="bas1 opened no"):
        open_through(master.path, "bas1", ELSEWHERE, 1, 0.05)


def test_without_an_ssh(tmp_path: Path) -> None:
    with pytest.raises(NoMaster, match="no ssh to bas1 at"):
        open_through(str(tmp_path / "control"), "bas1", ELSEWHERE, 1, 1)


def context(master: FakeMaster, group: str, site: dict[str, Json]) -> ProbeContext:
    """Return the context of a host that only bas1 reaches: its name is unknown here."""

    def look_from(host: str) -> Connect:
        assert host == "bas1"
        return partial(open_through, master.path, host)

    variables = {"ansible_host": ELSEWHERE, "holdfast_look_from": "bas1", **site}
    groups = {group: ("ctl1",)}
    return ProbeContext("ctl1", groups, {"ctl1": variables}, NoShell(), look_from=look_from)


@contextmanager
def asked_through(claim: str, master: FakeMaster) -> Iterator[ProbeContext]:
    """Yield a site of which a claim asks what only bas1 reaches."""
    if claim == "rabbitmq.booted":
        with node(recorded("3.10", "healthy")["http"]["ctl1"]) as port:
            login = {"rabbitmq_management_user": USER, "rabbitmq_management_password": PASSWORD}
            yield context(master, "rabbitmq", {"rabbitmq_management_port": port, **login})
    elif claim == "rabbitmq.amqp_round_trip":
        with running_broker() as broker:
            yield context(master, "rabbitmq", {"rabbitmq_amqp_port": broker.port})
    else:
        with running_nova() as nova:
            nova.routes["/"] = 200, {"versions": ["latest"]}
            nova.routes["/v2.1/servers"] = 200, {"servers": []}
            yield context(master, claim.replace(".", "_").removesuffix("_answers"), of_nova(nova))


def of_nova(nova: FakeNova) -> dict[str, Json]:
    there = nova.url.replace("127.0.0.1", ELSEWHERE)
    auth = {**nova.login(), "nova_auth_url": f"{there}/v3"}
    return {**auth, "nova_api_url": there, "nova_metadata_url": there}


@pytest.mark.parametrize(
    "claim",
    ["rabbitmq.booted", "rabbitmq.amqp_round_trip", "nova.api_answers", "nova.metadata_answers"],
)
def test_a_claim_is_proved_from_the_host_that_the_site_names(
    claim: str, master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    bound = bind_claim({"claim": claim, "host": "ctl1"} if claim == "rabbitmq.booted" else claim)
    with asked_through(claim, master) as site:
        verdict = bound.judge([bound.probe(site)])
    assert verdict.passed, verdict.message
    assert {host for host, _ in master.asked} == {ELSEWHERE}


def test_services_are_called_from_the_host_that_the_site_names(master: FakeMaster) -> None:
    service = ExpectedService("conductor", "ctl1", "ctl1")
    with running_broker({DECLARE: disconnect}) as broker:
        url = f"rabbit://nova:planted@{ELSEWHERE}:{broker.port}/"
        way = Way(connect=partial(open_through, master.path, "bas1"))
        with pytest.raises(CannotTell, match="failed before all pings were answered"):
            ping(brokers_of(url), {service: 1}, way)
    assert master.asked == [(ELSEWHERE, broker.port)]


@pytest.mark.parametrize(
    ("name", "reached"), [(x509.DNSName(ELSEWHERE), True), (x509.DNSName("bas1"), False)]
)
def test_a_certificate_has_the_service_s_own_name(
    master: FakeMaster, tmp_path: Path, name: x509.GeneralName, reached: bool
) -> None:
    pem, key = certificate_for([name], tmp_path)
    with tls_server(pem, key) as (port, received):
        url = f"rabbit://nova:planted@{ELSEWHERE}:{port}/?ssl=1"
        way = Way(pem, connect=partial(open_through, master.path, "bas1"))
        with pytest.raises(CannotTell):
            ping(brokers_of(url), {ExpectedService("compute", "c", "c"): 1}, way)
    assert bool(received) is reached


def test_what_cannot_be_connected_to_from_there_is_no_fault_of_the_service(
    master: FakeMaster,
) -> None:
    bound = bind_claim("rabbitmq.amqp_round_trip")
    site = context(master, "rabbitmq", {"rabbitmq_amqp_port": closed_port()})
    verdict = bound.judge([bound.probe(site)])
    assert verdict.outcome.value == "UNKNOWN"
    assert f"ctl1: connect: [Errno 113] bas1 opened no connection to {ELSEWHERE}" in verdict.message


def test_every_site_variable_that_names_an_endpoint_is_beside_where_it_is_looked_at_from() -> None:
    """A probe that connects by itself would be UNKNOWN behind a bastion, for ever."""
    parsed_only = {"_TransportSite", "QueuesSite"}
    models = {
        model.__name__: model
        for model in sites()
        if any(name.endswith(("_url", "_port")) for name in model.model_fields)
    }
    assert {
        name for name, model in models.items() if not issubclass(model, ReachedSite)
    } == parsed_only
