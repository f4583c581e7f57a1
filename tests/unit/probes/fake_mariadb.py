"""A server that speaks as much of MariaDB's protocol as a client needs to log in and read rows; on loopback."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Rows = Sequence[Sequence[str | None]]
QUERY, CLIENT_FLAGS = 3, 0x0008A208  # protocol 4.1, secure connection, transactions, ways to log in


@dataclass
class FakeMariaDB:
    """What the server answers. ``rows`` maps the beginning of a statement to its rows; any other succeeds.

    ``greeting`` and ``login`` are errors, ``(number, text)``, given instead of the greeting or after the login.
    ``switch``: the way to log in that it asks for after the first. ``silent``: it takes connections and says nothing;
    ``hangs``: to statements with this beginning.
    """

    rows: Mapping[str, Rows] = field(default_factory=dict)
    greeting: tuple[int, str] | None = None
    login: tuple[int, str] | None = None
    refused: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    switch: bytes = b""
    silent: bool = False
    hangs: str = ""
    received: list[str] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)


@contextmanager
def mariadb(server: FakeMariaDB) -> Iterator[int]:
    """Serve on a port of loopback until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, server: FakeMariaDB) -> None:
    with suppress(OSError):
        while True:
            connection = listener.accept()[0]
            threading.Thread(target=_serve, args=(connection, server), daemon=True).start()


def _serve(connection: socket.socket, server: FakeMariaDB) -> None:
    with connection, suppress(OSError, EOFError):
        if server.silent:
            connection.recv(1)
        if server.greeting:
            _send(connection, 0, _error(*server.greeting))
            return
        _send(connection, 0, _greeting())
        server.logins.append(_receive(connection))
        if server.switch:
            _send(connection, 2, b"\xfe" + server.switch + b"\x00" + b"1" * 20 + b"\x00")
            server.logins.append(_receive(connection))
        number = 4 if server.switch else 2
        _send(connection, number, _error(*server.login) if server.login else _OK)
        while (packet := _receive(connection))[0] == QUERY:
            statement = packet[1:].decode()
            server.received.append(statement)
            if server.hangs and statement.startswith(server.hangs):
                connection.recv(1)
            _answer(connection, server, statement)


_OK = b"\x00\x00\x00\x02\x00\x00\x00"
_EOF = b"\xfe\x00\x00\x02\x00"


def _answer(connection: socket.socket, server: FakeMariaDB, statement: str) -> None:
    for begin, error in server.refused.items():
        if statement.startswith(begin):
            _send(connection, 1, _error(*error))
            return
    found = next((rows for begin, rows in server.rows.items() if statement.startswith(begin)), None)
    if found is None:
        _send(connection, 1, _OK)
        return
    width = len(found[0]) if found else 1
    packets = [bytes([width]), *[_column(f"c{n}") for n in range(width)], _EOF]
    packets += [b"".join(_text(value) for value in row) for row in found]
    for number, packet in enumerate([*packets, _EOF], 1):
        _send(connection, number, packet)


def _greeting() -> bytes:
    salt = b"12345678", b"123456789012\x00"
    flags = struct.pack("<HBHHB10x", CLIENT_FLAGS & 0xFFFF, 45, 2, CLIENT_FLAGS >> 16, 21)
    version = b"\x0a5.5.5-10.11.18-MariaDB\x00"
    return (
        version
        + struct.pack("<I", 7)
        + salt[0]
        + b"\x00"
        + flags
        + salt[1]
        + b"mysql_native_password\x00"
    )


def _error(number: int, text: str) -> bytes:
    return b"\xff" + struct.pack("<H", number) + b"#HY000" + text.encode()


def _column(name: str) -> bytes:
    texts = (_text("def"), _text(""), _text(""), _text(""), _text(name), _text(""))
    return b"".join(texts) + b"\x0c" + struct.pack("<HIBHB2x", 45, 1024, 253, 0, 0)


def _text(value: str | None) -> bytes:
    if value is None:
        return b"\xfb"
    data = value.encode()
    size = bytes([len(data)]) if len(data) < 251 else b"\xfc" + struct.pack("<H", len(data))
    return size + data


def _send(connection: socket.socket, number: int, packet: bytes) -> None:
    connection.sendall(struct.pack("<I", len(packet))[:3] + bytes([number]) + packet)


def _receive(connection: socket.socket) -> bytes:
    head = _exactly(connection, 4)
    return _exactly(connection, int.from_bytes(head[:3], "little"))


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        if not (more := connection.recv(size - len(found))):
            raise EOFError
        found += more
    return found
