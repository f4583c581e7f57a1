"""The whole bot on a real homeserver: ask, refuse, approve by reaction, follow; over a fleet in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.chat.transports.matrix import Matrix, MatrixSettings
from tests.chat.hearing import play, quick, until
from tests.chat.servers.house import House, furnish
from tests.chat.servers.synapse import PYTHON, Json, SynapseServer
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


def transport(house: House) -> Matrix:
    return Matrix(
        MatrixSettings(
            homeserver=house.holdfast.url,
            user=house.holdfast.id,
            access_token=house.holdfast.token,
            rooms=(house.room, house.log),
            timeout_seconds=5,
        ),
        quick(),
    )


def config(house: House) -> dict[str, Any]:
    """Here ada may approve as well: it is refused to her for her own runs."""
    kept = house.config("lab", access_token="")
    also = {"role": "approver", "people": ["ada"], "sites": ["lab"]}
    patient = [{"sites": ["lab"], "deadline_seconds": 36_000}]
    return CONFIG | kept | {"roles": [*kept["roles"], also], "approvals": patient}


def said(house: House, words: str, events: Sequence[Json]) -> list[Json]:
    """What the bot wrote with these words in it, without edits."""
    return [
        event
        for event in events
        if event["sender"] == house.holdfast.id
        and "m.new_content" not in event["content"]
        and words in event["content"]["body"]
    ]


def test_a_run_is_asked_approved_and_told_though_the_server_is_killed_meanwhile(
    server: SynapseServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        house = furnish(server)
        room = Room(tmp_path / "project", config=config(house), transport=transport(house))

        def told(words: str) -> list[Json]:
            return said(house, words, house.events())

        def logged() -> list[Json]:
            return said(house, "", house.logged())

        async with room.serving():
            await until(
                lambda: (
                    len(house.ada.call("GET", f"v3/rooms/{house.room}/joined_members")["joined"])
                    == 3
                )
            )
            house.ada.say(house.room, "holdfast run broker-restart lab reason openssl update")
            await until(lambda: told("Approval wanted"), "the question")
            (question,) = told("Approval wanted")
            (root,) = told("3 restarts on 3 hosts")
            thread = question["content"]["m.relates_to"]
            assert thread["event_id"] == root["event_id"]

            house.ada.react(house.room, str(question["event_id"]), APPROVE)
            await until(lambda: told("ada asked for run"), "the refusal")
            assert room.restarts == []

            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(room.clock.wait, 50.0)
            await asyncio.to_thread(server.start)

            house.bob.react(house.room, str(question["event_id"]), APPROVE)
            await until(lambda: told("FINISHED: "), "FINISHED")
            await until(lambda: len(logged()) == 2, "END")
            await until(lambda: told(".svg"), "the picture")
        await asyncio.to_thread(room.launcher.join)

        assert room.restarts == list(HOSTS)
        for words in ("Approval wanted", "FINISHED: ", "3 restarts on 3 hosts", "Approved by bob"):
            assert len(told(words)) == 1, words
        start, end = (event["content"]["body"] for event in logged())
        assert start.startswith(f"START - broker-restart lab by ada (matrix:{house.ada.id}): ")
        assert end == f"END (FINISHED) - broker-restart lab [{room.run}]"

    play(scenario())
