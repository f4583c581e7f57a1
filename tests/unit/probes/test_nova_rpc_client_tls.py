"""A password is sent over TLS only to a broker whose certificate has its name and a trusted issuer."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.errors import CannotTell
from holdfast.observations.nova import ExpectedService
from holdfast.probes.nova.rpc_client import Way, ping
from holdfast.probes.nova.transport_url import brokers_of


def certificate_for(names: list[x509.GeneralName], directory: Path) -> tuple[str, str]:
    """Write a self-signed certificate and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = directory / "broker.pem", directory / "broker.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(pem), str(secret)


@contextmanager
def tls_server(pem: str, key: str, connections: int = 1) -> Iterator[tuple[int, list[bytes]]]:
    """Serve so many connections with TLS on the loopback; yield the port and the first bytes of each."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(connections):
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    received.append(secured.recv(8))
            except ssl.SSLError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1], received
        thread.join(10)


def refusal(port: int, ca_file: str) -> str:
    brokers = brokers_of(f"rabbit://nova:planted@127.0.0.1:{port}/?ssl=1")
    with pytest.raises(CannotTell) as caught:
        ping(brokers, {ExpectedService("compute", "cmp1", "cmp1"): 1}, Way(ca_file))
    return str(caught.value)


def test_a_broker_with_the_right_certificate_is_connected_to(tmp_path: Path) -> None:
    pem, key = certificate_for([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], tmp_path)
    with tls_server(pem, key) as (port, received):
        refusal(port, pem)
    assert received == [b"AMQP\x00\x00\x09\x01"]


def test_a_broker_with_another_name_is_sent_nothing(tmp_path: Path) -> None:
    pem, key = certificate_for([x509.DNSName("other.example")], tmp_path)
    with tls_server(pem, key) as (port, received):
        assert "certificate verify failed" in refusal(port, pem)
    assert not received


def test_a_broker_with_an_untrusted_certificate_is_sent_nothing(tmp_path: Path) -> None:
    pem, key = certificate_for([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], tmp_path)
    with tls_server(pem, key) as (port, received):
        assert "certificate verify failed" in refusal(port, "")
    assert not received
