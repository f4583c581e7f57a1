"""HTTP of every service: whose certificate is believed, what is never sent, and whether a request was sent at all."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from pydantic import SecretStr
from requests import Response
from requests.exceptions import ConnectionError as RequestsConnectionError

from holdfast.errors import CannotTell
from holdfast.probes.alerts.client import NotDone, request
from holdfast.probes.alerts.site import Account
from holdfast.probes.clients import cause_of, http_session
from holdfast.probes.connections import directly, trust
from holdfast.probes.nova.api_client import open_session
from holdfast.probes.nova.site import Endpoint
from holdfast.probes.rabbitmq import management
from holdfast.probes.rabbitmq.site import brokers_of
from tests.unit.probes.http_server import Received, closed_port, running_server
from tests.unit.probes.rabbitmq.recorded_brokers import RecordedShell, context_of
from tests.unit.probes.test_nova_rpc_client_tls import certificate_for, tls_server

LOOPBACK: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
NAMED: list[x509.GeneralName] = [x509.DNSName("broker.example")]
SECRET = "gepflanzt-пароль-€"  # noqa: S105 - planted, and not of latin-1


def empty(_: Received) -> tuple[int, bytes]:
    return 200, b"[]"


def get(port: int, ca_file: str, tls_name: str = "") -> Response:
    with http_session(directly, partial(trust, ca_file, "ca_file"), tls_name) as session:
        return session.get(f"https://127.0.0.1:{port}/", timeout=5)


def ask_management(port: int) -> object:
    https = {"rabbitmq_management_scheme": "https"}
    context = context_of({"ctl1": port}, RecordedShell({}), **https)
    return management.ask(brokers_of(context)["ctl1"], "vhosts")


def ask_nova(port: int) -> object:
    endpoint = Endpoint("nova_api_url", f"https://127.0.0.1:{port}/", "")
    return open_session(endpoint).get(endpoint.url, authenticated=False)


def ask_alerts(port: int) -> object:
    return request(account(f"https://127.0.0.1:{port}"), "GET", "/")


def account(url: str, ca_file: str = "") -> Account:
    return Account(
        name="Alertmanager",
        variable="alertmanager",
        url=url,
        user="monitor",
        password=SecretStr(SECRET),
        ca_file=ca_file,
        tls_name="",
        connect=directly,
    )


@pytest.mark.parametrize(("names", "tls_name"), [(LOOPBACK, ""), (NAMED, "broker.example")])
def test_a_certificate_of_the_sites_authority_and_name_is_believed(
    tmp_path: Path, names: list[x509.GeneralName], tls_name: str
) -> None:
    certificate = certificate_for(names, tmp_path)
    with running_server(empty, certificate) as port:
        assert get(port, certificate[0], tls_name).ok


@pytest.mark.parametrize(
    ("names", "tls_name", "known"), [(NAMED, "", True), (LOOPBACK, "x.example", True), (LOOPBACK, "", False)]
)  # fmt: skip
def test_to_any_other_certificate_nothing_is_sent(
    tmp_path: Path, names: list[x509.GeneralName], tls_name: str, known: bool
) -> None:
    pem, key = certificate_for(names, tmp_path)
    with (
        tls_server(pem, key) as (port, received),
        pytest.raises(RequestsConnectionError, match="certificate verify failed"),
    ):
        get(port, pem if known else "", tls_name)
    assert not received


def test_what_is_wrong_with_a_certificate_is_said_whole(tmp_path: Path) -> None:
    pem, key = certificate_for(NAMED, tmp_path)
    with tls_server(pem, key) as (port, _), pytest.raises(RequestsConnectionError) as raised:
        get(port, pem)
    assert cause_of(raised.value) == (
        "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'"
    )


def test_the_authorities_that_requests_brings_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = certificate_for(LOOPBACK, tmp_path)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", pem)
    with tls_server(pem, key) as (port, received), pytest.raises(RequestsConnectionError):
        get(port, "")
    assert not received


@pytest.mark.parametrize("ask", [ask_management, ask_nova, ask_alerts])
def test_the_systems_own_authorities_are_believed_where_the_site_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[int], object]
) -> None:
    """Those that an operator has added to the machine; requests by itself believes a list that it brings along."""
    certificate = certificate_for(LOOPBACK, tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])

    def anybody(received: Received) -> tuple[int, bytes]:
        return 200, b'[{"name":"/"}]' if "vhosts" in received.path else b"[]"

    with running_server(anybody, certificate) as port:
        assert ask(port)


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """What it points to would be sent the question, and its answer taken for the broker's."""
    asked: list[str] = []

    def moved(received: Received) -> tuple[int, bytes]:
        asked.append(received.path)
        return 302, b""

    with running_server(moved) as port, pytest.raises(CannotTell, match="302 from ctl1"):
        management.ask(brokers_of(context_of({"ctl1": port}, RecordedShell({})))["ctl1"], "vhosts")
    assert asked == ["/api/vhosts"]


def test_a_password_may_have_any_letters() -> None:
    sent: list[str] = []

    def note(received: Received) -> tuple[int, bytes]:
        sent.append(received.headers["Authorization"])
        return 200, b"[]"

    with running_server(note) as port:
        request(account(f"http://127.0.0.1:{port}"), "GET", "/")
    assert base64.b64decode(sent[0].removeprefix("Basic ")).decode() == f"monitor:{SECRET}"


def test_what_was_certainly_not_sent_is_not_done(tmp_path: Path) -> None:
    pem, key = certificate_for(NAMED, tmp_path)
    refused = f"http://127.0.0.1:{closed_port()}"
    for url in (refused, "ftp://127.0.0.1", "127.0.0.1", "http://[::1", "http://.x:1"):
        with pytest.raises(NotDone, match="alertmanager_url"):
            request(account(url), "POST", "/", {})
    with tls_server(pem, key) as (port, _), pytest.raises(NotDone, match="certificate"):
        request(account(f"https://127.0.0.1:{port}"), "POST", "/", {})


def test_what_may_have_been_sent_cannot_be_told(tmp_path: Path) -> None:
    """The connection ends after the request, without an answer."""
    pem, key = certificate_for(LOOPBACK, tmp_path)
    with tls_server(pem, key) as (port, received), pytest.raises(CannotTell) as raised:
        request(account(f"https://127.0.0.1:{port}", pem), "POST", "/", {})
    assert received
    assert not isinstance(raised.value, NotDone)
