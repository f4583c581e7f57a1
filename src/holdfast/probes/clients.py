"""The libraries' clients, over connections that are opened as the site says. TLS goes by the service's own name.

Each library has a place where it opens a connection; these are theirs, and nothing else of a client is changed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import amqp
import httpcore
import httpx
from amqp.transport import SSLTransport, TCPTransport, _AbstractTransport
from httpcore._backends.sync import SyncStream
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from holdfast.probes.connections import Connect, Target

LIMIT = 10.0  # seconds to connect, where a client sets no limit


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


class HttpxTransport(httpx.HTTPTransport):
    """What opens the connections of a client of httpx."""

    def __init__(self, connect: Connect, trust: ssl.SSLContext) -> None:
        super().__init__(verify=trust, trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=trust, network_backend=_Backend(connect))


class _Backend(httpcore.NetworkBackend):
    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - httpcore's
    ) -> httpcore.NetworkStream:
        try:
            return SyncStream(self._connect(host, port, timeout or LIMIT))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class RequestsAdapter(HTTPAdapter):
    """What opens the connections of a session of requests, keystoneauth's too."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections' classes known to the pools."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connect)


@lru_cache(maxsize=8)
def _pools(connect: Connect) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's classes of connections, which open them with ``connect``."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _open(self, connect)

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _open(self, connect)

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
