"""IRC servers on loopback: a real ngircd, and the `irc` package's own with services accounts.

ngircd knows no accounts, so what depends on them (SASL, account-tag, msgid, server-time, batch) is spoken
by a subclass of the package's server. People are plain sockets, sharing no code with the transport.
"""

from __future__ import annotations

import base64
import itertools
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from irc.server import IRCClient, IRCServer

from tests.chat.servers.synapse import free_port

UNPACKED = Path(__file__).parents[3] / ".ngircd"  # by ngircd-unpacked, where it is not installed
NGIRCD = shutil.which("ngircd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:{UNPACKED}")
ACCOUNT, PASSWORD = "holdfastbot", "planted-sasl-password"


@dataclass
class Ngircd:
    """``directory`` holds its configuration; a server that was killed starts on the same port."""

    directory: Path
    port: int = field(default_factory=free_port)
    password: str = ""
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it listens."""
        config = self.directory / "ngircd.conf"
        password = f"    Password = {self.password}\n" if self.password else ""
        config.write_text(
            "[Global]\n    Name = irc.holdfast.test\n    Info = test\n    Listen = 127.0.0.1\n"
            f"    Ports = {self.port}\n    MotdPhrase = test\n{password}"
            "[Limits]\n    MaxNickLength = 20\n    MaxConnectionsIP = 0\n"
            "[Options]\n    DNS = no\n    Ident = no\n    PAM = no\n"
        )
        command = [str(NGIRCD), "-n", "-f", str(config)]
        with (self.directory / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + 30
        while not listens(self.port):
            assert self._process.poll() is None, (self.directory / "output.log").read_text()
            assert time.monotonic() < end, "ngircd did not come up"

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        self._process = None


class _AccountClient(IRCClient):  # type: ignore[misc] # the package has no types
    """Speaks the part of IRCv3 that the transport uses."""

    server: AccountServer

    def setup(self) -> None:
        super().setup()
        self.account, self.waiting, self.tagged = "", False, False

    def handle_cap(self, params: str) -> str | None:
        verb, _, rest = params.partition(" ")
        self.waiting = verb != "END"
        if verb == "LS":
            self._queue(f"CAP * LS :{' '.join(self.server.offered)}")
        elif verb == "REQ":
            name = rest.lstrip(":")
            offered = name in self.server.offered
            self.tagged |= offered and name == "message-tags"
            self._queue(f"CAP * {'ACK' if offered else 'NAK'} :{name}")
        elif verb == "END":
            self._welcome()
        return None

    def handle_authenticate(self, params: str) -> str | None:
        if params == "PLAIN":
            self._queue("AUTHENTICATE +", prefix=False)
            return None
        _, account, password = base64.b64decode(params).decode().split("\0")
        if (account, password) == (ACCOUNT, PASSWORD):
            self.account = account
            return f":{self.server.servername} 903 * :SASL authentication successful"
        return f":{self.server.servername} 904 * :SASL authentication failed"

    def handle_account(self, params: str) -> None:
        """Log in under any account; for the people of a test."""
        self.account = params

    def handle_pass(self, _: str) -> None:
        pass

    def handle_nick(self, params: str) -> str | None:
        if not self.waiting:
            return super().handle_nick(params)  # type: ignore[no-any-return] # the package has no types
        if params in self.server.clients:
            return f":{self.server.servername} 433 * {params} :Nickname is already in use"
        self.nick = params
        self.server.clients[params] = self
        return None

    def handle_ping(self, params: str) -> str | None:
        name = self.server.servername
        if self.server.silent:
            return None
        return f":{name} PONG {name} :{params.lstrip(':')}"

    def _handle_one(self) -> None:
        """Wait for input; the package's own polls."""
        while self.send_queue:
            self._send(self.send_queue.pop(0))
        if select.select([self.request], [], [], 0.02)[0]:
            self._handle_incoming()

    def handle_user(self, params: str) -> str | None:
        if self.waiting:
            self.user, self.mode, self.realname = params.split(" ", 1)[0], "0", "x"
            return None
        return super().handle_user(params)  # type: ignore[no-any-return] # the package has no types

    def handle_privmsg(self, params: str) -> None:
        target, _, text = params.partition(" ")
        channel = self.server.channels[target]
        tags = self.server.tags(self)
        for client in channel.clients - {self}:
            prefix = f"@{tags} " if client.tagged and tags else ""
            client.send_queue.append(f"{prefix}:{self.client_ident()} PRIVMSG {target} {text}")

    def _welcome(self) -> None:
        if self.nick:
            self._queue(f"001 {self.nick} :Welcome")

    def _queue(self, text: str, *, prefix: bool = True) -> None:
        self.send_queue.append(f":{self.server.servername} {text}" if prefix else text)


class AccountServer(IRCServer):  # type: ignore[misc] # the package has no types
    """``offered`` are the capabilities; ``more_tags`` are put on every message; a ``silent`` one answers no PING."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        self.offered = ["message-tags", "account-tag", "sasl", "server-time", "batch"]
        self.more_tags: Callable[[], str] = lambda: ""
        self.silent = False
        self._numbers = itertools.count(1)
        super().__init__(("127.0.0.1", port), _AccountClient)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def tags(self, client: _AccountClient) -> str:
        """Return the tags of a client's message."""
        account = f"account={client.account}" if client.account else ""
        return ";".join(filter(None, (f"msgid=m{next(self._numbers)}", account, self.more_tags())))

    def use_tls(self, certificate: str, key: str) -> None:
        """Speak TLS with everybody who connects from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket: ssl.SSLSocket = context.wrap_socket(self.socket, server_side=True)

    def close(self) -> None:
        """Stop listening and drop everybody."""
        self.shutdown()
        for client in list(self.clients.values()):
            client.request.close()
        self.server_close()
        self._thread.join(10)


class IrcUser:
    """A person's client; ``lines`` is everything that the server sent."""

    def __init__(
        self, port: int, nick: str, channel: str = "#ops", *login: str, password: str = ""
    ) -> None:
        self.lines: list[str] = []
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._rest = b""
        for line in (f"PASS {password or '-'}", f"NICK {nick}", f"USER {nick} 0 * :{nick}"):
            self.send(line)
        self.wait_for(" 001 ")
        for line in (*login, f"JOIN {channel}"):
            self.send(line)
        self.wait_for(f"JOIN :{channel}", f"JOIN {channel}")
        self.channel = channel

    def send(self, line: str) -> None:
        """Send a line."""
        self._socket.sendall(f"{line}\r\n".encode())

    def say(self, text: str) -> None:
        """Write to the channel."""
        self.send(f"PRIVMSG {self.channel} :{text}")

    def received(self) -> list[str]:
        """Return what others wrote to the channel."""
        self._read(0.0)
        mark = f" PRIVMSG {self.channel} :"
        return [line.partition(mark)[2] for line in self.lines if mark in line]

    def wait_for(self, *marks: str) -> None:
        """Wait for a line that holds one of these."""
        end = time.monotonic() + 30
        while not any(mark in line for line in self.lines for mark in marks):
            assert time.monotonic() < end, f"no {marks} in {self.lines}"
            self._read(0.1)

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _read(self, seconds: float) -> None:
        while select.select([self._socket], [], [], seconds)[0]:
            data = self._socket.recv(65536)
            if not data:
                return
            *whole, self._rest = (self._rest + data).split(b"\r\n")
            for line in whole:
                text = line.decode()
                self.lines.append(text)
                if text.startswith("PING"):
                    self.send(text.replace("PING", "PONG", 1))


def listens(port: int) -> bool:
    """Return whether something listens on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True
