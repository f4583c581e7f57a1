"""The whole bot on a real homeserver: ask, refuse, approve by reaction, follow; over a fleet in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.chat.transports.matrix import Matrix, Settings
from tests.chat.hearing import play, quick, until
from tests.chat.servers.synapse import PYTHON, Person, SynapseServer
from tests.unit.chat.rooms import CONFIG, Room
from tests.unit.cli.desks import HOSTS

APPROVE = "\u2705"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SynapseServer]:
    if not PYTHON.exists():
        pytest.skip("no matrix-synapse here: make .venv-synapse/.locked")
    server = SynapseServer(tmp_path_factory.mktemp("synapse"))
    server.start()
    yield server
    server.stop()


class House:
    """A homeserver with a room and a log room, a bot in both, an operator and an approver."""

    def __init__(self, server: SynapseServer) -> None:
        names = ("holdfast", "ada", "bob")
        self.bot, self.ada, self.bob = (server.person(name) for name in names)
        self.room = self.ada.new_room(self.bot, self.bob)
        self.log = self.ada.new_room(self.bot)
        self.bob.join(self.room)

    def transport(self, server: SynapseServer) -> Matrix:
        return Matrix(
            Settings(
                homeserver=server.url,
                user=self.bot.id,
                access_token=self.bot.token,
                rooms=(self.room, self.log),
                timeout_seconds=5,
            ),
            quick(),
        )

    def config(self) -> dict[str, object]:
        def role(name: str, person: str) -> dict[str, object]:
            return {"role": name, "people": [person], "sites": ["lab"]}

        def ids(person: Person) -> list[str]:
            return [f"matrix:{person.id}"]

        return CONFIG | {
            "transports": {"matrix": {}},
            "people": {"ada": ids(self.ada), "bob": ids(self.bob)},
            "sites": {"lab": {}},
            "roles": [role("operator", "ada"), role("approver", "ada"), role("approver", "bob")],
            "approvals": [{"sites": ["lab"], "deadline_seconds": 36_000}],
            "log": {"transport": "matrix", "channel": self.log},
        }

    def said(self, words: str, room: str = "") -> list[dict[str, object]]:
        """What the bot wrote with these words in it, without edits."""
        return [
            event
            for event in self.ada.events(room or self.room)
            if event["sender"] == self.bot.id
            and "m.new_content" not in event["content"]
            and words in event["content"]["body"]
        ]


def test_a_run_is_asked_approved_and_told_though_the_server_is_killed_meanwhile(
    server: SynapseServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        house = House(server)
        room = Room(tmp_path / "project", config=house.config(), transport=house.transport(server))
        async with room.serving():
            await until(
                lambda: (
                    len(house.ada.call("GET", f"v3/rooms/{house.room}/joined_members")["joined"])
                    == 3
                )
            )
            house.ada.say(house.room, "holdfast run broker-restart lab reason openssl update")
            await until(lambda: house.said("Approval wanted"), "the question")
            (question,) = house.said("Approval wanted")
            (root,) = house.said("3 restarts on 3 hosts")
            thread = question["content"]["m.relates_to"]  # type: ignore[index]  # as the server gives it
            assert thread["event_id"] == root["event_id"]

            house.ada.react(house.room, str(question["event_id"]), APPROVE)
            await until(lambda: house.said("ada asked for run"), "the refusal")
            assert room.restarts == []

            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(room.clock.wait, 50.0)
            await asyncio.to_thread(server.start)

            house.bob.react(house.room, str(question["event_id"]), APPROVE)
            await until(lambda: house.said("FINISHED: "), "FINISHED")
            await until(lambda: len(house.said("", house.log)) == 2, "END")
            await until(lambda: house.said(".svg"), "the picture")
        await asyncio.to_thread(room.launcher.join)

        assert room.restarts == list(HOSTS)
        for words in ("Approval wanted", "FINISHED: ", "3 restarts on 3 hosts", "Approved by bob"):
            assert len(house.said(words)) == 1, words
        start, end = (event["content"]["body"] for event in house.said("", house.log))  # type: ignore[index]  # same
        assert start.startswith(f"START - broker-restart lab by ada (matrix:{house.ada.id}): ")
        assert end == f"END (FINISHED) - broker-restart lab [{room.run}]"

    play(scenario())
