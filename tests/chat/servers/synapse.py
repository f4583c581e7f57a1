"""A real Matrix server on loopback, with a database of its own, and clients of people.

The server is a program in a virtual environment of its own (`make .venv-synapse/.locked`). Stopped by its
own process id. People speak to it over plain HTTP, sharing no code with the transport.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-synapse/bin/python"
NAME = "holdfast.test"
Json = Any
_FREELY = {"per_second": 1000, "burst_count": 1000}


class ServerUnavailable(Exception):
    """The server cannot be started."""


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class SynapseServer:
    """``directory`` has everything it writes; started there again it is the same server."""

    directory: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Configure it, and return what to run in its directory.

        Raises:
            NoServer: it is not installed.
        """
        if not PYTHON.exists():
            raise ServerUnavailable("no matrix-synapse here: make .venv-synapse/.locked")
        command = [str(PYTHON), "-m", "synapse.app.homeserver", "-c", str(self._configured())]
        if not (self.directory / "signing.key").exists():
            subprocess.run([*command, "--generate-keys"], check=True, capture_output=True)
        return command

    def start(self) -> None:
        """Start it, and return once it answers.

        Raises:
            NoServer: it does not come up, or another one has its port.
        """
        if self._healthy():
            raise ServerUnavailable(f"a server answers at {self.url} already")
        command = self.command()
        with (self.directory / "output.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log)
        end = time.monotonic() + 90
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                last = (self.directory / "output.log").read_text()[-2000:]
                raise ServerUnavailable(f"synapse did not come up:\n{last}")
            time.sleep(0.1)  # noqa: TID251 - waits for a program that tells nobody when it is ready

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it with SIGTERM."""
        self._end(signal.SIGTERM)

    def person(self, name: str) -> Person:
        """Register a person."""
        password = secrets.token_hex(8)
        asked: Json = {"username": name, "password": password, "auth": {"type": "m.login.dummy"}}
        answer = requests.post(f"{self.url}/_matrix/client/v3/register", json=asked, timeout=30)
        answer.raise_for_status()
        found = answer.json()
        return Person(self.url, found["user_id"], found["access_token"], password)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
            self._process.wait(30)
        self._process = None

    def _healthy(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=2).ok
        except requests.RequestException:
            return False

    def _configured(self) -> Path:
        logging = self.directory / "log.yaml"
        logging.write_text(json.dumps({"version": 1, "root": {"level": "WARNING"}}))
        listener = {
            "port": self.port, "type": "http", "tls": False, "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["client"]}],
        }  # fmt: skip
        config = {
            "server_name": NAME,
            "listeners": [listener],
            "database": {"name": "sqlite3", "args": {"database": str(self.directory / "db")}},
            "media_store_path": str(self.directory / "media"),
            "signing_key_path": str(self.directory / "signing.key"),
            "log_config": str(logging),
            "pid_file": str(self.directory / "pid"),
            "report_stats": False,
            "trusted_key_servers": [],
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "federation_domain_whitelist": [],
            "rc_message": _FREELY,
            "rc_registration": _FREELY,
            "rc_joins": {"local": _FREELY, "remote": _FREELY},
            "rc_invites": {"per_room": _FREELY, "per_user": _FREELY, "per_issuer": _FREELY},
        }
        path = self.directory / "homeserver.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path


@dataclass
class Person:
    """A person with an ordinary client."""

    url: str
    id: str
    token: str = field(repr=False)
    password: str = field(repr=False)

    def call(self, method: str, path: str, body: Json = None) -> Json:
        """Call the client-server API."""
        answer = requests.request(
            method,
            f"{self.url}/_matrix/client/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()

    def new_room(self, *others: Person, name: str = "") -> str:
        """Make a room and invite people."""
        invited = [other.id for other in others]
        asked = {"preset": "private_chat", "name": name, "invite": invited}
        return str(self.call("POST", "v3/createRoom", asked)["room_id"])

    def join(self, room: str) -> None:
        """Accept an invitation."""
        self.call("POST", f"v3/join/{quote(room)}", {})

    def send(self, room: str, content: Json, kind: str = "m.room.message") -> str:
        """Send an event; returns its id."""
        path = f"v3/rooms/{quote(room)}/send/{kind}/{secrets.token_hex(8)}"
        return str(self.call("PUT", path, content)["event_id"])

    def say(self, room: str, text: str, **more: Json) -> str:
        """Write a message; returns its id."""
        return self.send(room, {"msgtype": "m.text", "body": text, **more})

    def react(self, room: str, event: str, emoji: str) -> str:
        """React to a message; returns the reaction's id."""
        relation = {"rel_type": "m.annotation", "event_id": event, "key": emoji}
        return self.send(room, {"m.relates_to": relation}, "m.reaction")

    def events(self, room: str, kind: str = "m.room.message") -> list[Json]:
        """Return a room's events, oldest first."""
        path = f"v3/rooms/{quote(room)}/messages?dir=b&limit=200"
        answer = self.call("GET", path)
        found = list(answer["chunk"])
        while "end" in answer:
            answer = self.call("GET", f"{path}&from={answer['end']}")
            found += answer["chunk"]
        return [event for event in reversed(found) if event["type"] == kind]

    def file(self, uri: str) -> bytes:
        """Fetch a file."""
        path = f"{self.url}/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(path, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.content
