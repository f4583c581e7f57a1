"""Whole runs asked for in chat, on a fleet in memory; acts by the fleet's own record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.chat.rooms import ADA, RUN, Room
from tests.unit.cli.desks import HOSTS


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_run_is_told_in_one_thread_from_plan_to_picture(room: Room) -> None:
    async def story() -> None:
        async with room.serving() as bot:
            answer = await room.ask(ADA, RUN, bot)
            assert f"Starting [{room.launcher.launched[0].run}]" in answer
            await room.until_said("FINISHED: ")
            await room.until(lambda: bool(room.chat.files), "the picture")
            await room.until(lambda: len(room.log()) == 2, "END")

    asyncio.run(story())
    assert room.restarts == list(HOSTS)
    root, *thread = [
        m for m in room.chat.messages if m.key.startswith(room.run) and m.place.channel == "room"
    ]
    assert "openssl update" in root.message.text
    assert "3 restarts on 3 hosts" in root.message.code
    assert {m.place.thread for m in thread} == {root.ident}
    assert len(thread) == 2, "progress, and the end"
    assert thread[0].before, "progress was edited in place"
    assert "✓ 2. Step 2" in thread[0].message.code
    assert room.run in thread[1].message.text
    assert room.chat.files[f"{room.run}.svg"][1].startswith(b"<svg")
    assert room.log() == [
        f"START - broker-restart lab by ada (memory:ada): openssl update [{room.run}]",
        f"END (FINISHED) - broker-restart lab [{room.run}]",
    ]
