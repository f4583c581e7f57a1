"""A master as OpenSSH's, as far as it opens connections for clients of its control socket (PROTOCOL.mux).

Like ssh (seen with 9.2) it closes what it reads from and what it writes to one by one, ends a connection whose control
connection is closed, and says no more than that it could not open one.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from holdfast.probes.ssh_forward import HELLO, OPENED, STDIO_FORWARD, VERSION

FAILURE = 0x80000003
ELSEWHERE = "only-there.invalid"
"""A name that nobody knows but the host at the other end of the ssh: its loopback, which here is ours."""


@dataclass
class FakeMaster:
    """``asked``: where connections were asked for; ``ended``: how many control connections are over."""

    path: str
    hangs: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def serve(self, control: socket.socket) -> None:
        """Serve one client until it or the connection's other end closes."""
        with control, suppress(OSError, struct.error, EOFError), ExitStack() as kept:
            assert _packet(control) == struct.pack(">II", HELLO, VERSION)
            _send(control, struct.pack(">II", HELLO, VERSION))
            request = _packet(control)
            kind, number, reserved = struct.unpack(">III", request[:12])
            assert (kind, reserved) == (STDIO_FORWARD, 0)
            (length,) = struct.unpack(">I", request[12:16])
            host, port = request[16 : 16 + length].decode(), int.from_bytes(request[16 + length :])
            ends = [_end(control, kept) for _ in range(2)]
            self.asked.append((host, port))
            if self.hangs:
                control.recv(1)
                return
            try:
                remote = socket.create_connection((_there(host), port), 2)
            except OSError:
                text = b"Session open refused by peer"
                _send(control, struct.pack(">III", FAILURE, number, len(text)) + text)
                return
            kept.enter_context(remote)
            remote.settimeout(None)
            _send(control, struct.pack(">III", OPENED, number, 1))
            threads = [
                threading.Thread(target=_copy, args=(ends[0], remote), daemon=True),
                threading.Thread(target=_copy, args=(remote, ends[1]), daemon=True),
            ]
            for thread in threads:
                thread.start()
            control.recv(1)
            remote.shutdown(socket.SHUT_RDWR)
        self.ended.release()


def _there(host: str) -> str:
    if host == ELSEWHERE:
        return "127.0.0.1"
    raise OSError(host)


def _end(control: socket.socket, kept: ExitStack) -> socket.socket:
    data, (fd,), *_ = socket.recv_fds(control, 1, 1)
    assert data == b"\0"
    return kept.enter_context(socket.socket(fileno=fd))


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            sink.sendall(data)
        if sink.family == socket.AF_UNIX:
            sink.close()
        else:
            sink.shutdown(socket.SHUT_WR)


def _send(control: socket.socket, packet: bytes) -> None:
    control.sendall(struct.pack(">I", len(packet)) + packet)


def _packet(control: socket.socket) -> bytes:
    (size,) = struct.unpack(">I", control.recv(4, socket.MSG_WAITALL))
    return control.recv(size, socket.MSG_WAITALL)


@contextmanager
def running_master(hangs: bool = False) -> Iterator[FakeMaster]:
    """Run a master on a control socket of its own."""
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        master = FakeMaster(str(Path(directory) / "control"), hangs)
        listener.bind(master.path)
        listener.listen(64)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    control, _ = listener.accept()
                    threading.Thread(target=master.serve, args=(control,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield master
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
