"""What is told of a run when things go wrong: with the fleet, with the platform, with the bot."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from holdfast import events
from holdfast.ansible.fleet import Trouble
from holdfast.chat.bot import Bot
from holdfast.chat.transport import Abilities
from holdfast.model import Holder, LeaseMode, Phase
from tests.unit.chat.rooms import ADA, BOB, ROOM, RUN, Room
from tests.unit.chat.test_commands import telling
from tests.unit.cli.desks import HOSTS


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def keys(room: Room) -> list[str]:
    """What was posted of runs, each under its key."""
    return [m.key for m in room.chat.messages if not m.key.startswith("reply/")]


def test_a_hold_is_told_in_the_words_of_the_command_line_and_resumed(room: Room) -> None:
    room.fleet.troubles.append(Trouble("ctl2", "broken", ("ctl2", Phase.RESTART)))

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("HELD, nothing more is touched")
        (held,) = [m.message for m in room.chat.messages if m.message.text.startswith("HELD")]
        assert held.text.endswith(f"next: holdfast resume {room.run} --reason '…'")
        for words in ("ctl2", "2. Step 2", "did not start", "to give it back", "fake undrain ctl2"):
            assert words in held.code
        await room.until_logged("END (HELD)")
        room.fleet.repair()
        text = f"holdfast resume {room.run} --reason 'unit file repaired'"
        assert "Resuming" in await room.ask(ADA, text, bot)
        await room.until_said("FINISHED: ")
        await room.until_logged("END (FINISHED)")

    telling(room, story)
    assert room.restarts == list(HOSTS)
    assert [line.split(" - ")[0] for line in room.log()] == [
        "START", "END (HELD)", "START (RESUMED)", "END (FINISHED)",
    ]  # fmt: skip
    assert len({m.place.thread for m in room.chat.messages if m.place.thread}) == 1


def test_an_abort_stops_between_hosts(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until(lambda: bool(room.restarts), "the first restart")
        assert "at the next boundary" in await room.ask(ADA, f"holdfast abort {room.run}", bot)
        await room.until_said("ABORTED: ")

    telling(room, story)
    assert room.restarts == ["ctl1"]
    assert not room.fleet.out(), "the host in hand was finished"


def test_a_refusal_is_told(room: Room) -> None:
    room.fleet.hosts["ctl3"].healthy = False

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("REFUSED, nothing was touched")
        await room.until_logged("END (REFUSED)")

    telling(room, story)
    assert "ctl3 does not serve" in room.log()[-1]
    assert room.restarts == []


def test_a_platform_that_is_away_delays_the_telling_and_not_the_run(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("3 restarts on 3 hosts")
        room.chat.reachable = False
        await asyncio.to_thread(room.launcher.join)
        assert room.restarts == list(HOSTS), "the run did not wait"
        room.chat.reachable = True
        await room.until_said("FINISHED: ")
        await room.until(lambda: len(room.log()) == 2, "END")

    telling(room, story)
    assert len(keys(room)) == len(set(keys(room)))


def test_an_answer_that_got_lost_is_no_second_message(room: Room) -> None:
    async def story(bot: Bot) -> None:
        room.chat.answers = False
        await room.chat.say(ADA, RUN, ROOM)
        await room.until(lambda: len(room.restarts) >= 1, "a restart")
        room.chat.answers = True
        await room.until_said("FINISHED: ")
        await room.until(lambda: len(room.log()) == 2, "END")
        await bot.settled()

    telling(room, story)
    every = [m.key for m in room.chat.messages]
    assert len(every) == len(set(every))
    assert len(room.said("FINISHED: ")) == 1


@pytest.mark.parametrize("knows_keys", [True, False])
def test_a_new_bot_goes_on_where_the_old_one_ended(room: Room, knows_keys: bool) -> None:
    room.chat.knows_keys = knows_keys

    async def story() -> None:
        async with room.serving() as bot:
            await room.ask(ADA, RUN, bot)
            await room.until(lambda: bool(room.restarts), "the first restart")
        before = len(keys(room))
        await asyncio.to_thread(room.launcher.join)
        assert room.restarts == list(HOSTS), "the run did not notice"
        assert len(keys(room)) == before
        async with room.serving():
            await room.until_said("FINISHED: ")
            await room.until(lambda: len(room.log()) == 2, "END")
        async with room.serving():
            await asyncio.to_thread(room.clock.wait, 20.0)

    asyncio.run(story())
    assert len(keys(room)) == len(set(keys(room)))
    assert [key.split("/")[1] for key in keys(room)].count("progress") == 1


def test_a_resume_that_is_refused_is_told_each_time(room: Room) -> None:
    room.fleet.troubles.append(Trouble("ctl2", "broken", ("ctl2", Phase.RESTART)))

    def told(times: int) -> bool:
        return len(room.said("Did not go on")) == times

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("HELD: ")
        await asyncio.to_thread(room.launcher.join)  # it says HELD before it gives its leases back
        scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
        other = Holder("other-run", "zoe", "mine", "ctl", "boot", 98, 98)
        room.store.take(other, scopes, timedelta(days=1), room.clock())
        for times in (1, 2):
            await room.ask(ADA, f"holdfast resume {room.run} reason repaired", bot)
            await room.until(partial(told, times), "told")
        assert "zoe" in room.said("Did not go on")[1]

    telling(room, story)
    assert room.restarts == ["ctl1", "ctl2"]


def test_a_run_whose_driver_died_is_told_once(room: Room) -> None:
    async def story(bot: Bot) -> None:
        room.config["approvals"] = []
        plan = bot.clerk.engine.plan(
            room.path / "runbooks/broker-restart.md", room.path / "inventories/lab", {}
        )
        run, now = "20261121-2304-broker-restart-dead", room.clock()
        opened = events.RunOpened(
            at=now,
            runbook=plan.runbook,
            runbook_hash="0",
            site="lab",
            by="memory:ada",
            reason="x",
            plan=plan.as_json(),
            controller="elsewhere",
            process=1,
        )
        room.store.append(run, opened)
        room.store.append(run, events.LeaseTaken(at=now, tokens={"lab/broker": 1}))
        await room.until_said("the run's last event is from")
        await room.until(lambda: len(room.log()) == 2, "END")
        await asyncio.to_thread(room.clock.wait, 60.0)

    telling(room, story)
    assert len(room.said("the run's last event is from")) == 1
    assert "END (NO DRIVER) - broker-restart lab" in room.log()[-1]


def test_a_run_from_a_terminal_is_told_at_its_sites_channel(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"]}]

    async def story(bot: Bot) -> None:
        engine = room.engine()
        path, inventory = room.path / "runbooks/broker-restart.md", room.path / "inventories/lab"
        plan = engine.plan(path, inventory, {})
        await asyncio.to_thread(engine.start, plan, "zoe", "by hand")
        await room.until_said("FINISHED: ")
        await room.until(lambda: len(room.log()) == 2, "END")

    telling(room, story)
    assert room.log()[0] == f"START - broker-restart lab by zoe: by hand [{room.run}]"


def test_what_happened_before_chat_was_first_served_is_no_news(room: Room) -> None:
    engine = room.engine()
    path, inventory = room.path / "runbooks/broker-restart.md", room.path / "inventories/lab"
    engine.start(engine.plan(path, inventory, {}), "zoe", "by hand")

    async def story(bot: Bot) -> None:
        await asyncio.to_thread(room.clock.wait, 20.0)

    telling(room, story)
    assert room.chat.messages == []


def test_a_platform_without_edits_gets_no_progress(room: Room) -> None:
    room.chat.abilities = Abilities(False, False, False, False, True, 400)

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until(lambda: len(room.log()) == 2, "END")
        await room.until_said("FINISHED: broker-restart")

    telling(room, story)
    assert [key.split("/")[1] for key in keys(room)].count("progress") == 0
    assert all(len(m.message.text + m.message.code) <= 400 for m in room.chat.messages)
    assert room.chat.files == {}
    assert {m.place.thread for m in room.chat.messages} == {""}


def test_progress_is_edited_no_more_often_than_is_polite(room: Room) -> None:
    room.config["rates"] = {"edit_seconds": 3600}

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    (progress,) = [m for m in room.chat.messages if m.key.endswith("/progress")]
    assert len(progress.before) == 1, "once at the end"
    assert progress.message.text == f"finished [{room.run}]"


def test_an_approval_asked_while_the_platform_was_away_can_still_be_given(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"]}]

    async def story(bot: Bot) -> None:
        room.chat.reachable = False
        await room.chat.say(ADA, RUN, ROOM)
        await room.until(
            lambda: (
                bool(room.store.runs())
                and any(e.event.kind == "approval_wanted" for e in room.store.read(room.run))
            ),
            "the question",
        )
        room.chat.reachable = True
        await room.until_said("Approval wanted")
        assert "Approved by bob" in await room.press(BOB, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert room.restarts == list(HOSTS)
