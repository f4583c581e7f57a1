"""A whole run from chat, on a fleet in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.chat.chat_harness import ADA, RUN, ChatHarness
from tests.unit.cli.cli_harness import HOSTS


@pytest.fixture
def harness(tmp_path: Path) -> ChatHarness:
    return ChatHarness(tmp_path)


def test_a_run_is_posted_to_one_thread_from_plan_to_picture(harness: ChatHarness) -> None:
    async def scenario() -> None:
        async with harness.serving() as bot:
            answer = await harness.ask(ADA, RUN, bot)
            assert f"Starting [{harness.launcher.launched[0].run}]" in answer
            await harness.until_posted("FINISHED: ")
            await harness.until(lambda: bool(harness.platform.files), "the picture")
            await harness.until(lambda: len(harness.log()) == 2, "END")

    asyncio.run(scenario())
    assert harness.restarts == list(HOSTS)
    root, *thread = [
        m
        for m in harness.platform.messages
        if m.key.startswith(harness.run) and m.location.channel == "room"
    ]
    assert "openssl update" in root.message.text
    assert "3 restarts on 3 hosts" in root.message.code
    assert {m.location.thread for m in thread} == {root.message_id}
    assert len(thread) == 2, "progress, and the end"
    assert thread[0].before, "progress was edited in place"
    assert "✓ 2. Step 2" in thread[0].message.code
    assert harness.run in thread[1].message.text
    assert harness.platform.files[f"{harness.run}.png"][1].startswith(b"\x89PNG")
    assert harness.log() == [
        f"START - broker-restart lab by ada (memory:ada): openssl update [{harness.run}]",
        f"END (FINISHED) - broker-restart lab [{harness.run}]",
    ]
