"""A house on a homeserver: an operator, an approver and a bot, a room for runs and one for their log.

A directory can keep it, with its server; the same directory again is the same house.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chat.servers.synapse import Json, Person, SynapseServer

KEPT = "house.json"
APPROVED = ("rabbitmq-restart", "nova-restart")


@dataclass(frozen=True)
class House:
    """Ada may run and bob may approve; neither may do both."""

    holdfast: Person
    ada: Person
    bob: Person
    room: str
    log: str

    @property
    def people(self) -> dict[str, Person]:
        """Who is not a bot, by name."""
        return {"ada": self.ada, "bob": self.bob}

    def events(self) -> list[Json]:
        """What stands in the room, oldest first."""
        return self.ada.events(self.room)

    def logged(self) -> list[Json]:
        """What stands in the log room, oldest first."""
        return self.ada.events(self.log)

    def config(self, site: str, access_token: Json) -> dict[str, Json]:
        """The bot's configuration: at this site, whose inventory is lab, these runbooks begin with bob's word."""
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


def furnish(server: SynapseServer) -> House:
    """Register everybody with a running server and make the rooms; the bot is invited to both."""
    holdfast, ada, bob = (server.person(name) for name in ("holdfast", "ada", "bob"))
    room, log = (ada.new_room(holdfast, bob, name=name) for name in ("operations", "log"))
    for each in (room, log):
        bob.join(each)
    return House(holdfast, ada, bob, room, log)


def server_in(directory: Path) -> SynapseServer:
    """Return the server of a kept house, not started."""
    kept = _read(directory)
    return SynapseServer(directory / "server", int(kept["port"]))


def house_in(directory: Path) -> House:
    """Return the house that is kept there."""
    kept = _read(directory)
    people = {name: Person(**kept[name]) for name in ("holdfast", "ada", "bob")}
    return House(**people, room=kept["room"], log=kept["log"])


def keep_house(directory: Path) -> None:
    """Make a house there, unless one is kept there already; its server is left stopped.

    Raises:
        NoServer: no server can be had; nothing is left behind.
        OSError: there is something else in the directory.
    """
    if (directory / KEPT).exists():
        return
    if directory.exists():
        directory.rmdir()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory.parent) as shell:  # readable by us alone
        made = Path(shell) / "house"
        (made / "server").mkdir(parents=True)
        made.chmod(0o700)
        server = SynapseServer(made / "server")
        try:
            server.start()
            house = furnish(server)
        finally:
            server.stop()
        write_private(made / KEPT, json.dumps({"port": server.port, **asdict(house)}))
        made.rename(directory)


def write_private(path: Path, text: str) -> None:
    """Write what only we may read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _read(directory: Path) -> Mapping[str, Json]:
    found: Mapping[str, Json] = json.loads((directory / KEPT).read_text(encoding="utf-8"))
    return found
