"""A scripted broker for one connection: enough AMQP 0-9-1 for one message's round trip.

It answers each method as a real broker does, unless the script has another answer for it, none, or the
end of the connection.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from amqp.serialization import dumps

AMQP = b"AMQP\x00\x00\x09\x01"  # a client's first bytes, and a broker's answer to any others
METHOD, HEADER, BODY, END = 1, 2, 3, 0xCE
START_OK, TUNE_OK, OPEN, CLOSE = (10, 11), (10, 31), (10, 40), (10, 50)
CHANNEL_OPEN, DECLARE, CONFIRM, PUBLISH = (20, 10), (50, 10), (85, 10), (60, 40)
CONSUME, CANCEL, DELETE = (60, 20), (60, 30), (50, 40)
Method = tuple[int, int]
Answer = Callable[["ScriptedBroker"], bytes | None]  # None ends the connection
Script = Mapping[Method, Answer]


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Return one encoded frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([END])


def method(channel: int, code: Method, form: str = "", *values: object) -> bytes:
    """Return one method's frame; ``form`` and ``values`` as py-amqp serialises them."""
    return frame(
        METHOD, channel, struct.pack(">HH", *code) + (dumps(form, values) if form else b"")
    )


def no_answer(_: ScriptedBroker) -> bytes:
    """Never answer."""
    return b""


def disconnect(_: ScriptedBroker) -> None:
    """Close the connection without a close method."""


def refuse(code: int, text: str) -> Answer:
    """Close the connection with an error, as when a login or a virtual host is denied."""
    return lambda _: method(0, (10, 50), "BsBB", code, text, 0, 0)


def block_publishers(_: ScriptedBroker) -> bytes:
    """Report an alarm and confirm nothing."""
    return method(0, (10, 60), "s", "low on memory")


def deliver(body: str | None = None) -> Answer:
    """Deliver the message that was published, or another."""

    def answer(broker: ScriptedBroker) -> bytes:
        content = broker.published if body is None else body.encode()
        header = struct.pack(">HHQ", 60, 0, len(content)) + broker.properties
        return (
            method(1, (60, 21), "s", "tag")
            + method(1, (60, 60), "sLbss", "tag", 1, False, "", "queue")
            + frame(HEADER, 1, header)
            + frame(BODY, 1, content)
        )

    return answer


NORMAL: Script = {
    START_OK: lambda _: method(0, (10, 30), "BlB", 2047, 131072, 0),
    TUNE_OK: no_answer,
    OPEN: lambda _: method(0, (10, 41), "s", ""),
    CHANNEL_OPEN: lambda _: method(1, (20, 11), "S", ""),
    DECLARE: lambda _: method(1, (50, 11), "sll", "queue", 0, 0),
    CONFIRM: lambda _: method(1, (85, 11)),
    PUBLISH: lambda _: method(1, (60, 80), "Lb", 1, False),
    CONSUME: deliver(),
    CANCEL: lambda _: method(1, (60, 31), "s", "tag"),
    DELETE: lambda _: method(1, (50, 41), "l", 0),
    CLOSE: lambda _: method(0, (10, 51)),
}


class ScriptedBroker:
    """Serves one connection after another until closed.

    ``methods`` keeps what it was sent, ``arguments`` the newest of each.
    """

    def __init__(self, script: Script, greeting: bool) -> None:
        self._script, self._greeting = {**NORMAL, **script}, greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.published = b""
        self.properties = b""
        self.methods: list[Method] = []
        self.arguments: dict[Method, bytes] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and close the connection."""
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        self._listener.settimeout(0.01)
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.01)
                self._serve_connection(connection)

    def _serve_connection(self, connection: socket.socket) -> None:
        if not self._greeting:
            self._over.wait(5)
            return
        if self._read(connection, 8) != AMQP:
            connection.sendall(AMQP)
            self._read(
                connection, 65536
            )  # until the client gives up: a reset would overtake the answer
            return
        known = {"capabilities": {"authentication_failure_close": True, "connection.blocked": True}}
        start = method(0, (10, 10), "ooFSS", 0, 9, known, "PLAIN", "en_US")
        connection.sendall(start)
        while (head := self._read(connection, 7)) and (
            answer := self._answer(connection, head)
        ) is not None:
            connection.sendall(answer)

    def _answer(self, connection: socket.socket, head: bytes) -> bytes | None:
        kind, _, size = struct.unpack(">BHI", head)
        frame = self._read(connection, size + 1)
        if not frame:  # the client disconnected
            return None
        payload = frame[:-1]
        if kind == HEADER:
            self.properties = payload[12:]
        if kind == BODY:
            self.published = payload
            return self._script[PUBLISH](self)
        if kind != METHOD:
            return b""
        code = struct.unpack(">HH", payload[:4])
        self.methods.append(code)
        self.arguments[code] = payload[4:]
        # A published message is answered when its body has come.
        return b"" if code == PUBLISH else self._script.get(code, no_answer)(self)

    def _read(self, connection: socket.socket, size: int) -> bytes:
        found = b""
        while len(found) < size and not self._over.is_set():
            try:
                more = connection.recv(size - len(found))
            except TimeoutError:
                continue
            except ConnectionError:
                return b""
            if not more:
                return b""
            found += more
        return found if len(found) == size else b""


@contextmanager
def running_broker(script: Script | None = None, greeting: bool = True) -> Iterator[ScriptedBroker]:
    """Run a broker on loopback; without ``greeting`` it accepts connections and sends nothing."""
    broker = ScriptedBroker(script or {}, greeting)
    try:
        yield broker
    finally:
        broker.close()
