"""Connections that leave from another host, through an ssh to it that already runs as a ControlMaster.

Owns one request of the protocol that ssh's own clients speak with a master, "new stdio forward" (OpenSSH's
PROTOCOL.mux, version 4), as ``ssh -W`` makes it: unlike ``-L`` and ``-D`` it says whether the connection was opened,
and nobody else on this machine can use it.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import ExitStack, suppress
from threading import Thread
from uuid import uuid4

HELLO, VERSION, STDIO_FORWARD, OPENED = 0x00000001, 4, 0x10000008, 0x80000006
_CHUNK = 65536


class NoMaster(OSError):
    """No ssh answers at the control path: it has ended, or never began."""


def open_through(
    control_path: str, via: str, host: str, port: int, timeout: float
) -> socket.socket:
    """Open a connection from ``via`` to ``host``, whose name is looked up there.

    It ends when either side closes it, and with the ssh.

    Raises:
        NoMaster: no ssh is connected to ``via``.
        OSError: ``via`` could not open the connection.
        TimeoutError: it did not within ``timeout`` seconds.
    """
    with ExitStack() as kept:
        control = kept.enter_context(socket.socket(socket.AF_UNIX))
        control.settimeout(timeout)
        try:
            control.connect(control_path)
            _greet(control)
        except OSError as error:
            raise NoMaster(f"no ssh to {via} at {control_path}: {error}") from error
        ours, inner = socket.socketpair()
        kept.enter_context(ours)
        kept.enter_context(inner)
        # Two pairs, since the master closes what it writes to and what it reads from one by one.
        sent, to_send = socket.socketpair()
        kept.enter_context(sent)
        to_receive, received = socket.socketpair()
        kept.enter_context(received)
        with to_send, to_receive:
            _request(control, host, port, (to_send, to_receive))
            if not _is_opened(control, via, host, port, timeout):
                text = f"{via} opened no connection to {host} port {port}: refused, not reachable, or not forwarded"
                raise OSError(errno.EHOSTUNREACH, text)
        control.settimeout(None)
        kept.pop_all()
    # The master ends a connection whose control connection is closed.
    Thread(target=_pass_on, args=(inner, sent, (sent, control)), daemon=True).start()
    Thread(target=_pass_on, args=(received, inner, (received, inner)), daemon=True).start()
    return ours


def _pass_on(source: socket.socket, sink: socket.socket, ends: tuple[socket.socket, ...]) -> None:
    """Pass on what comes in, until it ends or the other side takes no more."""
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _greet(control: socket.socket) -> None:
    _send(control, struct.pack(">II", HELLO, VERSION))
    answer = _receive(control)
    if answer[:8] != struct.pack(">II", HELLO, VERSION):
        raise ConnectionError("it speaks another version of the protocol")


def _request(
    control: socket.socket, host: str, port: int, ends: tuple[socket.socket, socket.socket]
) -> None:
    """Ask for the connection, and hand over what the master reads from and writes to."""
    address = host.encode()
    number = uuid4().int & 0xFFFF
    head = struct.pack(">IIII", STDIO_FORWARD, number, 0, len(address))
    _send(control, head + address + struct.pack(">I", port))
    for end in ends:
        socket.send_fds(control, [b"\0"], [end.fileno()])


def _is_opened(control: socket.socket, via: str, host: str, port: int, timeout: float) -> bool:
    try:
        (kind,) = struct.unpack(">I", _receive(control)[:4])
    except TimeoutError:
        text = f"{via} opened no connection to {host} port {port} in {timeout:g} s"
        raise TimeoutError(text) from None
    except (OSError, struct.error):
        raise NoMaster(f"the ssh to {via} ended") from None
    return bool(kind == OPENED)


def _send(control: socket.socket, packet: bytes) -> None:
    control.sendall(struct.pack(">I", len(packet)) + packet)


def _receive(control: socket.socket) -> bytes:
    (size,) = struct.unpack(">I", _exactly(control, 4))
    return _exactly(control, size)


def _exactly(control: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = control.recv(size - len(found))
        if not more:
            raise ConnectionError("it closed the connection")
        found += more
    return found
