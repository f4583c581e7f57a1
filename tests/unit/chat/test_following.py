"""What is told of a run when things go wrong: with the fleet, with the platform, with the bot."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from holdfast.ansible.fake_fleet import Fault
from holdfast.chat.bot import Bot
from holdfast.chat.command_parser import parse
from holdfast.chat.commands import Asker
from holdfast.chat.ledger import Ledger
from holdfast.chat.run_request import Request
from holdfast.chat.transport import Abilities, Message, Place, Posted, Unreachable
from holdfast.journal import events
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
    room.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

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
    go_on = room.paused_after(1)

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until(lambda: bool(room.restarts), "the first restart")
        assert "at the next boundary" in await room.ask(ADA, f"holdfast abort {room.run}", bot)
        go_on.set()
        await room.until_said("ABORTED: ")

    telling(room, story)
    assert room.restarts == ["ctl1"]
    assert not room.fleet.not_serving(), "the host in hand was finished"


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
    room.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

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


def damage(room: Room, run: str) -> None:
    """Somebody writes over the first event of a run."""
    with closing(sqlite3.connect(room.path / "state.db")) as database, database:
        database.execute("UPDATE holdfast_events SET body = 'x' WHERE run = ? AND seq = 1", (run,))


def broken_run(room: Room) -> str:
    run, now = "20261121-2303-broker-restart-bad2", room.clock()
    room.store.append(run, events.AbortRequested(at=now, by="zoe"))
    damage(room, run)
    return run


def test_a_damaged_journal_hides_no_other_run(room: Room) -> None:
    broken = broken_run(room)

    async def story(bot: Bot) -> None:
        bot.clerk.ledger.follow(broken, "thread", "memory", "room")
        await room.ask(ADA, RUN, bot)
        await room.until_said("FINISHED: ")
        await room.until_logged("END (FINISHED)")
        said = await room.ask(ADA, "holdfast status", bot)
        assert room.run in said
        assert f"cannot be read: {broken}" in said
        assert f"next: holdfast status {broken}" in said
        assert "restore the database" in await room.ask(ADA, f"holdfast status {broken}", bot)

    telling(room, story)


def test_runs_behind_a_damaged_journal_are_seen_all_the_same(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    engine, began = room.engine(), room.clock()
    path, inventory = room.path / "runbooks/broker-restart.md", room.path / "inventories/lab"
    ended = engine.start(engine.planner.plan(path, inventory, {}), "zoe", "by hand")
    damage(room, room.store.append("newer", events.AbortRequested(at=room.clock(), by="zoe")).run)

    async def story(bot: Bot) -> None:
        await room.until_said("FINISHED: ")
        await asyncio.to_thread(room.clock.wait, 20.0)

    Ledger(room.path / "chat.db").since(began)
    telling(room, story)
    assert room.store.runs() == ["newer", ended.run]
    assert caplog.text.count("not every new run can be seen") == 1


def test_a_channel_that_is_gone_does_not_slow_the_telling_of_others(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.config["log"] = {"transport": "memory", "channel": "gone"}
    post = room.chat.post

    async def refusing(place: Place, message: Message, key: str) -> Posted:
        if place.channel == "gone":
            raise Unreachable("the channel is gone")
        return await post(place, message, key)

    room.chat.post = refusing  # type: ignore[method-assign]  # a fault that one channel has

    async def story(bot: Bot) -> None:
        follower = bot.followers[0]
        await room.ask(ADA, RUN, bot)
        await room.until_said("FINISHED: ")
        (log,) = [feed for feed in bot.clerk.ledger.feeds("memory") if feed.kind == "log"]
        assert log.told == 0
        await follower.tell_all()
        assert "gone" in caplog.text

    telling(room, story)


def test_a_bot_that_dies_while_it_starts_a_run_leaves_it_to_the_next(room: Room) -> None:
    room.config["sites"] = {"lab": {}}  # nobody else would tell of it

    class Killed(BaseException):
        """The bot ends right here."""

    class Last:
        """The launcher of a bot that dies with the launch."""

        def launch(self, request: Request) -> None:
            room.launcher.launch(request)
            raise Killed

    async def story() -> None:
        bot = room.bot()
        bot.clerk.launcher = Last()  # type: ignore[assignment]  # the part of it that is asked for
        member = bot.access.member(ADA)
        assert member is not None
        with pytest.raises(Killed):
            bot.clerk.answer(parse(RUN.removeprefix("holdfast ")), Asker(member, "memory", ROOM))
        async with room.serving():
            await room.until_said("FINISHED: ")
            await room.until(lambda: len(room.log()) == 2, "END")

    asyncio.run(story())
    assert len(room.launcher.launched) == 1


def test_a_run_whose_process_ends_without_a_word_is_told_once(room: Room) -> None:
    class Stillborn:
        """Its processes are killed before they have said anything."""

        def launch(self, request: Request) -> None:
            room.launcher.launched.append(request)

        def alive(self, _run: str) -> bool:
            return False

        def words(self, _run: str) -> None:
            return None

    async def story(bot: Bot) -> None:
        bot.clerk.launcher = bot.followers[0].launcher = Stillborn()  # type: ignore[assignment]  # as above
        await room.ask(ADA, RUN, bot)
        await room.until_said("Did not begin")
        await room.until(lambda: not bot.clerk.ledger.feeds("memory"), "the feed is closed")
        run = room.launcher.launched[0].run
        (told,) = room.said("Did not begin")
        assert told.startswith(f"Did not begin [{run}]: its process ended without a word\nnext: ")

    telling(room, story)


def test_a_run_that_stopped_long_ago_is_told_when_it_is_resumed(room: Room) -> None:
    room.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("HELD: ")
        await room.until_logged("END (HELD)")
        await asyncio.to_thread(room.launcher.join)
        room.clock.now += timedelta(days=8)
        await room.until(lambda: not bot.clerk.ledger.feeds("memory"), "nobody looks any more")
        room.fleet.repair()
        await room.ask(ADA, f"holdfast resume {room.run} reason repaired", bot)
        await room.until_said("FINISHED: ")
        await room.until_logged("END (FINISHED)")

    telling(room, story)
    assert room.restarts == list(HOSTS)


def test_a_run_whose_driver_died_is_told_once(room: Room) -> None:
    async def story(bot: Bot) -> None:
        room.config["approvals"] = []
        plan = bot.clerk.engine.planner.plan(
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
        plan = engine.planner.plan(path, inventory, {})
        await asyncio.to_thread(engine.start, plan, "zoe", "by hand")
        await room.until_said("FINISHED: ")
        await room.until(lambda: len(room.log()) == 2, "END")

    telling(room, story)
    assert room.log()[0] == f"START - broker-restart lab by zoe: by hand [{room.run}]"


def test_what_happened_before_chat_was_first_served_is_no_news(room: Room) -> None:
    engine = room.engine()
    path, inventory = room.path / "runbooks/broker-restart.md", room.path / "inventories/lab"
    engine.start(engine.planner.plan(path, inventory, {}), "zoe", "by hand")

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
                and any(e.event.kind == "approval_requested" for e in room.store.read(room.run))
            ),
            "the question",
        )
        room.chat.reachable = True
        await room.until_said("Approval wanted")
        assert "Approved by bob" in await room.press(BOB, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert room.restarts == list(HOSTS)
