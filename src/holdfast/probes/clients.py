"""The libraries' clients, over connections that are opened as the site says. TLS goes by the service's own name.

Each library has a place where it opens a connection; these are theirs, and nothing else of a client is changed.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import amqp
import requests
from amqp.transport import SSLTransport, TCPTransport, _AbstractTransport
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from holdfast.probes.connections import Connect, Target

LIMIT = 10.0  # seconds to connect, where a client sets no limit
MAX_ERROR = 200  # characters of an error or an answer that a message quotes
_CAUSE = re.compile(
    r"\[Errno -?\d+\] [^'\")]+|certificate verify failed[^\"(]*|Remote end closed [a-z ]+"
)


class AmqpConnection(amqp.Connection):
    """A connection of py-amqp to a broker, not yet open; ``options`` are the library's."""

    def __init__(self, target: Target, **options: Any) -> None:
        self._target = target
        super().__init__(f"{target.host}:{target.port}", connect_timeout=target.timeout, **options)

    def Transport(  # noqa: N802 - py-amqp's name
        self,
        host: str,
        connect_timeout: float,
        tls: Any = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        **_: Any,
    ) -> Any:
        """Return what opens the connection."""
        seconds = {"read_timeout": read_timeout, "write_timeout": write_timeout}
        return (_Tls if tls else _Plain)(self._target, host, connect_timeout, ssl=tls, **seconds)


class _Routed(_AbstractTransport):
    """What both transports of py-amqp have in common here."""

    def __init__(self, target: Target, *args: Any, **options: Any) -> None:
        self._target = target
        super().__init__(*args, **options)

    def _connect(self, *_: Any) -> None:
        self.sock = self._target.open()

    def _set_socket_options(self, settings: Any) -> None:
        if self.sock.family != socket.AF_UNIX:  # they are TCP's
            super()._set_socket_options(settings)


class _Plain(_Routed, TCPTransport):
    pass


class _Tls(_Routed, SSLTransport):
    pass


def http_session(
    connect: Connect, authorities: Callable[[], ssl.SSLContext], tls_name: str = ""
) -> requests.Session:
    """Return a session of requests that goes to each host itself, and believes a certificate as the site says.

    ``authorities`` is asked at the first connection with TLS, and may raise; ``tls_name`` is the name on the
    certificate, where it is not that of the URL. No proxy from the environment: it would be asked instead of the host,
    and would be sent the password.
    """
    session = requests.Session()
    session.trust_env = False
    adapter = _HttpAdapter(connect, authorities, tls_name)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session


def was_not_connected(error: RequestException) -> bool:
    """Return whether a request failed before anything of it was sent."""
    reason = getattr(next(iter(error.args), None), "reason", None)
    return isinstance(reason, ConnectTimeoutError | NewConnectionError)


def cause_of(error: Exception) -> str:
    """Return an error of requests or keystoneauth as one short line: its innermost cause, where the text has it."""
    text = str(error)
    cause = _CAUSE.search(text)
    return (
        cause[0].rstrip(" .")
        if cause
        else text.partition("\n")[0][:MAX_ERROR] or type(error).__name__
    )


class _HttpAdapter(HTTPAdapter):
    def __init__(
        self, connect: Connect, authorities: Callable[[], ssl.SSLContext], tls_name: str
    ) -> None:
        self._connect, self._authorities, self._tls_name = connect, authorities, tls_name
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections' classes known to the pools."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connect)

    @cached_property
    def _tls(self) -> dict[str, Any]:
        return {"ssl_context": self._authorities(), "server_hostname": self._tls_name or None}

    def build_connection_pool_key_attributes(self, *args: Any, **options: Any) -> Any:
        """Add what a connection with TLS needs."""
        host, pool = super().build_connection_pool_key_attributes(*args, **options)
        return host, {**pool, **(self._tls if host["scheme"] == "https" else {})}

    def cert_verify(self, *_: Any) -> None:
        """Add no authorities: requests would believe those that it brings itself."""


@lru_cache(maxsize=8)
def _pools(connect: Connect) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's classes of connections, which open them with ``connect``."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _open(self, connect)

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _open(self, connect)

        def connect(self) -> None:
            try:
                super().connect()
            except ssl.SSLError as error:  # nothing of the request has been sent
                raise NewConnectionError(self, str(error)) from error

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _open(connection: HTTPConnection, connect: Connect) -> socket.socket:
    seconds = connection.timeout if isinstance(connection.timeout, int | float) else LIMIT
    try:
        return connect(connection.host, connection.port or 0, seconds)
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, str(error)) from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error
