"""A homeserver with an operator, an approver and a bot, a room for runs and one for their log.

It can be saved in a directory, with its server, and loaded from there again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chat.servers.synapse import Json, Person, SynapseServer

SAVED = "matrix.json"
APPROVED = ("rabbitmq-restart", "nova-restart")


@dataclass(frozen=True)
class MatrixEnvironment:
    """Its people and rooms. Ada may run and bob may approve; neither may do both."""

    holdfast: Person
    ada: Person
    bob: Person
    room: str
    log: str

    @property
    def people(self) -> dict[str, Person]:
        """Return the people, by name."""
        return {"ada": self.ada, "bob": self.bob}

    def events(self) -> list[Json]:
        """Return the messages of the room, oldest first."""
        return self.ada.events(self.room)

    def log_events(self) -> list[Json]:
        """Return the messages of the log room, oldest first."""
        return self.ada.events(self.log)

    def config(self, site: str, access_token: Json) -> dict[str, Json]:
        """Return the bot's configuration: at this site, whose inventory is lab, bob approves these runbooks."""
        return {
            "transports": {
                "matrix": {
                    "homeserver": self.holdfast.url,
                    "user": self.holdfast.id,
                    "access_token": access_token,
                    "rooms": [self.room, self.log],
                }
            },
            "people": {name: [f"matrix:{each.id}"] for name, each in self.people.items()},
            "sites": {site: {"inventory": "lab", "channel": self._channel(self.room)}},
            "roles": [
                {"role": "operator", "people": ["ada"], "sites": [site]},
                {"role": "approver", "people": ["bob"], "sites": [site]},
            ],
            "approvals": [{"sites": [site], "runbooks": list(APPROVED), "deadline_seconds": 900}],
            "log": self._channel(self.log),
        }

    def _channel(self, room: str) -> dict[str, str]:
        return {"transport": "matrix", "channel": room}


def create_environment(server: SynapseServer) -> MatrixEnvironment:
    """Register everybody with a running server and make the rooms; the bot is invited to both."""
    holdfast, ada, bob = (server.person(name) for name in ("holdfast", "ada", "bob"))
    room, log = (ada.new_room(holdfast, bob, name=name) for name in ("operations", "log"))
    for each in (room, log):
        bob.join(each)
    return MatrixEnvironment(holdfast, ada, bob, room, log)


def load_server(directory: Path) -> SynapseServer:
    """Return the saved environment's server, not started."""
    saved = _read(directory)
    return SynapseServer(directory / "server", int(saved["port"]))


def load_environment(directory: Path) -> MatrixEnvironment:
    """Return the environment that is saved there."""
    saved = _read(directory)
    people = {name: Person(**saved[name]) for name in ("holdfast", "ada", "bob")}
    return MatrixEnvironment(**people, room=saved["room"], log=saved["log"])


def ensure_environment(directory: Path) -> None:
    """Create an environment there, unless one is saved there already; its server is left stopped.

    Raises:
        NoServer: no server can be had; nothing is left behind.
        OSError: there is something else in the directory.
    """
    if (directory / SAVED).exists():
        return
    if directory.exists():
        directory.rmdir()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory.parent) as parent:  # readable by us alone
        made = Path(parent) / "environment"
        (made / "server").mkdir(parents=True)
        made.chmod(0o700)
        server = SynapseServer(made / "server")
        try:
            server.start()
            environment = create_environment(server)
        finally:
            server.stop()
        write_private(made / SAVED, json.dumps({"port": server.port, **asdict(environment)}))
        made.rename(directory)


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _read(directory: Path) -> Mapping[str, Json]:
    found: Mapping[str, Json] = json.loads((directory / SAVED).read_text(encoding="utf-8"))
    return found
