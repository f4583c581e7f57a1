"""How probes open connections, and whether the other side of one speaks TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.errors import CannotTell

Connect = Callable[[str, int, float], socket.socket]
"""Opens a connection to ``host``, ``port`` within so many seconds; raises OSError where it cannot."""


@dataclass(frozen=True, slots=True)
class Target:
    """A listener: how it is connected to, where it is, and within how many seconds it answers."""

    connect: Connect
    host: str
    port: int
    timeout: float

    def open(self) -> socket.socket:
        """Open a connection; raises OSError where that fails."""
        return self.connect(self.host, self.port, self.timeout)


_UNMET = TimeoutError | ConnectionRefusedError | socket.gaierror
_PLAIN = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}


def directly(host: str, port: int, timeout: float) -> socket.socket:
    """Open a connection from this machine."""
    connection = socket.create_connection((host, port), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def trust(ca_file: str, variable: str, error: type[CannotTell] = CannotTell) -> ssl.SSLContext:
    """Return the trusted authorities: those of ``ca_file``, the value of ``variable``, or the system's own.

    Raises:
        CannotTell: the file cannot be used; raised as ``error``.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as cause:
        raise error(f"{variable} {ca_file} cannot be used: {cause}") from cause


def speaks_tls(target: Target) -> bool:
    """Return whether a listener answers the beginning of TLS in TLS; nothing else is sent to it.

    Whose certificate it has does not matter here: no password follows.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with target.open() as plain:
            plain.settimeout(target.timeout)
            context.wrap_socket(plain, server_hostname=None).close()
    except ssl.SSLError as error:
        return "ALERT" in (
            error.reason or ""
        )  # it wants another version, a name, or a certificate of ours
    except OSError:
        return False
    return True


def tls_mismatch(error: BaseException | None, target: Target, *, tls: bool) -> str:
    """Return how the other side speaks where a connection failed because it is not how it was spoken to, else "".

    After a failure without TLS the listener is asked again, in TLS; not where it could not be connected to, and not
    where it was silent. ``error`` None: it did answer, with an error of its own.
    """
    origin = _origin(error)
    if tls:
        plain = isinstance(origin, ssl.SSLError) and origin.reason in _PLAIN
        return "answers without TLS" if plain else ""
    return "speaks TLS" if not isinstance(origin, _UNMET) and speaks_tls(target) else ""


def _origin(error: BaseException | None) -> BaseException | None:
    """Return the first of an error's causes that is of the network: libraries wrap it, several times."""
    while error and not isinstance(error, ssl.SSLError | _UNMET):
        error = error.__cause__ or error.__context__
    return error
