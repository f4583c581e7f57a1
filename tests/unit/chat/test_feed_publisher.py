"""What is posted of a run when the fleet, the platform or the bot fails."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from holdfast.chat.bot import Bot
from holdfast.chat.command_parser import parse
from holdfast.chat.commands import Requester
from holdfast.chat.delivery_state import DeliveryState
from holdfast.chat.run_request import RunRequest
from holdfast.chat.transport import Capabilities, Location, Message, Posted, Unreachable
from holdfast.engine.driver import run_opened
from holdfast.journal import events
from holdfast.model import Holder, Json, LeaseMode, Phase
from tests.fakes.fleet import Fault
from tests.fakes.journal import opened
from tests.unit.chat.chat_harness import ADA, BOB, CHANNEL, RUN, ChatHarness, replace_dependencies
from tests.unit.chat.test_commands import run_scenario
from tests.unit.cli.cli_harness import HOSTS


@pytest.fixture
def harness(tmp_path: Path) -> ChatHarness:
    return ChatHarness(tmp_path)


def keys(harness: ChatHarness) -> list[str]:
    """Return the keys of all messages but replies."""
    return [m.key for m in harness.platform.messages if not m.key.startswith("reply/")]


def test_a_hold_is_posted_as_the_command_line_prints_it_and_resumed(harness: ChatHarness) -> None:
    harness.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("HELD, nothing more is touched")
        (held,) = [
            m.message for m in harness.platform.messages if m.message.text.startswith("HELD")
        ]
        assert held.text.endswith(f"next: holdfast resume {harness.run} --reason '…'")
        for part in ("ctl2", "2. Step 2", "did not start", "to undo", "fake undrain ctl2"):
            assert part in held.code
        await harness.until_logged("END (HELD)")
        harness.fleet.repair()
        text = f"holdfast resume {harness.run} --reason 'unit file repaired'"
        assert "Resuming" in await harness.ask(ADA, text, bot)
        await harness.until_posted("FINISHED: ")
        await harness.until_logged("END (FINISHED)")

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)
    assert [line.split(" - ")[0] for line in harness.log()] == [
        "START", "END (HELD)", "START (RESUMED)", "END (FINISHED)",
    ]  # fmt: skip
    assert len({m.location.thread for m in harness.platform.messages if m.location.thread}) == 1


def test_an_abort_stops_between_hosts(harness: ChatHarness) -> None:
    go_on = harness.paused_after(1)

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until(lambda: bool(harness.restarts), "the first restart")
        assert "at the next boundary" in await harness.ask(
            ADA, f"holdfast abort {harness.run}", bot
        )
        go_on.set()
        await harness.until_posted("ABORTED: ")

    run_scenario(harness, scenario)
    assert harness.restarts == ["ctl1"]
    assert not harness.fleet.not_serving(), "the host in hand was finished"


def test_a_refusal_is_posted(harness: ChatHarness) -> None:
    harness.fleet.hosts["ctl3"].healthy = False

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("REFUSED, nothing was touched")
        await harness.until_logged("END (REFUSED)")

    run_scenario(harness, scenario)
    assert "ctl3 does not serve" in harness.log()[-1]
    assert harness.restarts == []


def test_an_unreachable_platform_delays_messages_and_not_the_run(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("3 restarts on 3 hosts")
        harness.platform.reachable = False
        await asyncio.to_thread(harness.launcher.join)
        assert harness.restarts == list(HOSTS), "the run did not wait"
        harness.platform.reachable = True
        await harness.until_posted("FINISHED: ")
        await harness.until(lambda: len(harness.log()) == 2, "END")

    run_scenario(harness, scenario)
    assert len(keys(harness)) == len(set(keys(harness)))


def test_a_message_whose_answer_is_lost_is_posted_once(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        harness.platform.answers = False
        await harness.platform.say(ADA, RUN, CHANNEL)
        await harness.until(lambda: len(harness.restarts) >= 1, "a restart")
        harness.platform.answers = True
        await harness.until_posted("FINISHED: ")
        await harness.until(lambda: len(harness.log()) == 2, "END")
        await bot.settled()

    run_scenario(harness, scenario)
    every = [m.key for m in harness.platform.messages]
    assert len(every) == len(set(every))
    assert len(harness.texts_with("FINISHED: ")) == 1


@pytest.mark.parametrize("knows_keys", [True, False])
def test_a_new_bot_continues_every_feed(harness: ChatHarness, knows_keys: bool) -> None:
    harness.platform.knows_keys = knows_keys

    async def scenario() -> None:
        async with harness.serving() as bot:
            await harness.ask(ADA, RUN, bot)
            await harness.until(lambda: bool(harness.restarts), "the first restart")
        before = len(keys(harness))
        await asyncio.to_thread(harness.launcher.join)
        assert harness.restarts == list(HOSTS), "the run did not notice"
        assert len(keys(harness)) == before
        async with harness.serving():
            await harness.until_posted("FINISHED: ")
            await harness.until(lambda: len(harness.log()) == 2, "END")
        async with harness.serving():
            await asyncio.to_thread(harness.clock.wait, 20.0)

    asyncio.run(scenario())
    assert len(keys(harness)) == len(set(keys(harness)))
    assert [key.split("/")[1] for key in keys(harness)].count("progress") == 1


def test_every_refused_resume_is_posted(harness: ChatHarness) -> None:
    harness.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

    def posted(times: int) -> bool:
        return len(harness.texts_with("Did not go on")) == times

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("HELD: ")
        await asyncio.to_thread(
            harness.launcher.join
        )  # it says HELD before it gives its leases back
        scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
        other = Holder("other-run", "zoe", "mine", "ctl", "boot", 98, 98)
        harness.store.take(other, scopes, timedelta(days=1))
        for times in (1, 2):
            await harness.ask(ADA, f"holdfast resume {harness.run} reason repaired", bot)
            await harness.until(partial(posted, times), "told")
        assert "zoe" in harness.texts_with("Did not go on")[1]

    run_scenario(harness, scenario)
    assert harness.restarts == ["ctl1", "ctl2"]


def damage(harness: ChatHarness, run: str) -> None:
    """Overwrite the first event of a run."""
    with closing(sqlite3.connect(harness.path / "state.db")) as database, database:
        database.execute("UPDATE holdfast_events SET body = 'x' WHERE run = ? AND seq = 1", (run,))


def broken_run(harness: ChatHarness) -> str:
    run, now = "20261121-2303-broker-restart-bad2", harness.clock()
    harness.store.append(run, opened(now))
    damage(harness, run)
    return run


def test_a_damaged_journal_hides_no_other_run(harness: ChatHarness) -> None:
    broken = broken_run(harness)

    async def scenario(bot: Bot) -> None:
        bot.dependencies.delivery.follow(broken, "thread", "memory", "room")
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("FINISHED: ")
        await harness.until_logged("END (FINISHED)")
        answer = await harness.ask(ADA, "holdfast status", bot)
        assert harness.run in answer
        assert f"cannot be read: {broken}" in answer
        assert f"next: holdfast status {broken}" in answer
        assert "restore the database" in await harness.ask(ADA, f"holdfast status {broken}", bot)

    run_scenario(harness, scenario)


@pytest.mark.parametrize("changed", [{"schema": 99}, {"steps": [{"n": 1}]}])
def test_a_plan_of_another_version_stops_neither_the_bot_nor_another_run(
    harness: ChatHarness, changed: dict[str, Json]
) -> None:
    run, now, engine = "20261121-2304-broker-restart-othr", harness.clock(), harness.engine()
    path, inventory = harness.path / "runbooks/broker-restart.md", harness.path / "inventories/lab"
    opened = run_opened(
        engine.planner.plan(path, inventory, {}),
        Holder(run, "memory:ada", "x", "ctl", "boot", 99, 99),
        now,
    )
    other = opened.model_copy(update={"plan": opened.plan | changed})
    started = events.StepStarted(at=now, step=1, title="x")
    asked = events.ApprovalRequested(at=now, step=1, question="?", plan_hash="0")
    for event in (other, events.LeaseTaken(at=now, tokens={"other/broker": 1}), started, asked):
        harness.store.append(run, event)

    async def scenario(bot: Bot) -> None:
        bot.dependencies.follow(run, "memory", "room")
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("FINISHED: ")
        for text in ("status", "approve", "resume {} reason x", "abort", "status"):
            typed = f"holdfast {text.format(run)}" + f" {run}" * ("{}" not in text)
            who = BOB if text == "approve" else ADA
            assert "othr" in await harness.ask(who, typed, bot), typed
        await asyncio.to_thread(harness.clock.wait, 20.0)

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)


def test_new_runs_are_followed_also_beside_a_damaged_journal(
    harness: ChatHarness, caplog: pytest.LogCaptureFixture
) -> None:
    engine, began = harness.engine(), harness.clock()
    path, inventory = harness.path / "runbooks/broker-restart.md", harness.path / "inventories/lab"
    ended = engine.start(engine.planner.plan(path, inventory, {}), "zoe", "by hand")
    damage(harness, harness.store.append("newer", opened(harness.clock())).run)

    async def scenario(bot: Bot) -> None:
        await harness.until_posted("FINISHED: ")
        await asyncio.to_thread(harness.clock.wait, 20.0)

    DeliveryState(harness.path / "chat.db").first_served(began)
    run_scenario(harness, scenario)
    assert harness.store.runs() == ["newer", ended.run]
    assert caplog.text.count("not every new run can be followed") == 1


def test_a_missing_channel_does_not_delay_other_feeds(
    harness: ChatHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.config["log"] = {"transport": "memory", "channel": "gone"}
    post = harness.platform.post

    async def refusing(location: Location, message: Message, key: str) -> Posted:
        if location.channel == "gone":
            raise Unreachable("the channel is gone")
        return await post(location, message, key)

    harness.platform.post = refusing  # type: ignore[method-assign]  # a fault that one channel has

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("FINISHED: ")
        (log,) = [
            feed for feed in bot.dependencies.delivery.open_feeds("memory") if feed.kind == "log"
        ]
        assert log.posted_seq == 0
        await harness.until(lambda: "gone" in caplog.text)

    run_scenario(harness, scenario)


def test_a_run_is_posted_by_the_next_bot_if_one_dies_while_launching_it(
    harness: ChatHarness,
) -> None:
    harness.config["sites"] = {"lab": {}}  # nothing else follows the run

    class Killed(BaseException):
        """The bot's process ends."""

    class Last:
        """A launcher whose bot dies during the launch."""

        def launch(self, request: RunRequest) -> None:
            harness.launcher.launch(request)
            raise Killed

    async def scenario() -> None:
        bot = harness.bot()
        replace_dependencies(bot, launcher=Last())
        member = bot.dependencies.permissions.member(ADA)
        assert member is not None
        with pytest.raises(Killed):
            bot.commands.answer(
                parse(RUN.removeprefix("holdfast ")), Requester(member, "memory", CHANNEL)
            )
        async with harness.serving():
            await harness.until_posted("FINISHED: ")
            await harness.until(lambda: len(harness.log()) == 2, "END")

    asyncio.run(scenario())
    assert len(harness.launcher.launched) == 1


def test_a_process_that_ends_without_output_is_posted_once(harness: ChatHarness) -> None:
    class Stillborn:
        """A launcher whose processes end without output."""

        def launch(self, request: RunRequest) -> None:
            harness.launcher.launched.append(request)

        def is_alive(self, _run: str) -> bool:
            return False

        def output(self, _run: str) -> None:
            return None

    async def scenario(bot: Bot) -> None:
        replace_dependencies(bot, launcher=Stillborn())
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("Did not begin")
        await harness.until(
            lambda: not bot.dependencies.delivery.open_feeds("memory"), "the feed is closed"
        )
        run = harness.launcher.launched[0].run
        (posted,) = harness.texts_with("Did not begin")
        assert posted.startswith(
            f"Did not begin [{run}]: its process ended without any output\nnext: "
        )

    run_scenario(harness, scenario)


def test_a_run_that_stopped_long_ago_is_posted_when_it_is_resumed(harness: ChatHarness) -> None:
    harness.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("HELD: ")
        await harness.until_logged("END (HELD)")
        await asyncio.to_thread(harness.launcher.join)
        harness.clock.now += timedelta(days=8)
        await harness.until(
            lambda: not bot.dependencies.delivery.open_feeds("memory"), "nobody looks any more"
        )
        harness.fleet.repair()
        await harness.ask(ADA, f"holdfast resume {harness.run} reason repaired", bot)
        await harness.until_posted("FINISHED: ")
        await harness.until_logged("END (FINISHED)")

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)


def test_a_lost_driver_is_posted_once(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        harness.config["approvals"] = []
        plan = bot.dependencies.engine.planner.plan(
            harness.path / "runbooks/broker-restart.md", harness.path / "inventories/lab", {}
        )
        run, now = "20261121-2304-broker-restart-dead", harness.clock()
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
        harness.store.append(run, opened)
        harness.store.append(run, events.LeaseTaken(at=now, tokens={"lab/broker": 1}))
        await harness.until_posted("the run's last event is from")
        await harness.until(lambda: len(harness.log()) == 2, "END")
        await asyncio.to_thread(harness.clock.wait, 60.0)

    run_scenario(harness, scenario)
    assert len(harness.texts_with("the run's last event is from")) == 1
    assert "END (NO DRIVER) - broker-restart lab" in harness.log()[-1]


def test_a_run_from_a_terminal_is_posted_to_its_sites_channel(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"]}]

    async def scenario(bot: Bot) -> None:
        engine = harness.engine()
        path, inventory = (
            harness.path / "runbooks/broker-restart.md",
            harness.path / "inventories/lab",
        )
        plan = engine.planner.plan(path, inventory, {})
        await asyncio.to_thread(engine.start, plan, "zoe", "by hand")
        await harness.until_posted("FINISHED: ")
        await harness.until(lambda: len(harness.log()) == 2, "END")

    run_scenario(harness, scenario)
    assert harness.log()[0] == f"START - broker-restart lab by zoe: by hand [{harness.run}]"


def test_runs_from_before_chat_was_first_served_are_not_posted(harness: ChatHarness) -> None:
    engine = harness.engine()
    path, inventory = harness.path / "runbooks/broker-restart.md", harness.path / "inventories/lab"
    engine.start(engine.planner.plan(path, inventory, {}), "zoe", "by hand")

    async def scenario(bot: Bot) -> None:
        await asyncio.to_thread(harness.clock.wait, 20.0)

    run_scenario(harness, scenario)
    assert harness.platform.messages == []


def test_a_platform_without_edits_gets_no_progress(harness: ChatHarness) -> None:
    harness.platform.capabilities = Capabilities(False, False, False, False, True, 400)

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until(lambda: len(harness.log()) == 2, "END")
        await harness.until_posted("FINISHED: broker-restart")

    run_scenario(harness, scenario)
    assert [key.split("/")[1] for key in keys(harness)].count("progress") == 0
    assert all(len(m.message.text + m.message.code) <= 400 for m in harness.platform.messages)
    assert harness.platform.files == {}
    assert {m.location.thread for m in harness.platform.messages} == {""}


def test_progress_is_not_edited_more_often_than_configured(harness: ChatHarness) -> None:
    harness.config["rates"] = {"edit_seconds": 3600}

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("finished [")

    run_scenario(harness, scenario)
    (progress,) = [m for m in harness.platform.messages if m.key.endswith("/progress")]
    assert len(progress.before) == 1, "once at the end"


def test_an_approval_needed_while_the_platform_was_away_can_still_be_given(
    harness: ChatHarness,
) -> None:
    harness.config["approvals"] = [{"sites": ["lab"]}]

    async def scenario(bot: Bot) -> None:
        harness.platform.reachable = False
        await harness.platform.say(ADA, RUN, CHANNEL)
        await harness.until(
            lambda: (
                bool(harness.store.runs())
                and any(
                    e.event.kind == "approval_requested" for e in harness.store.read(harness.run)
                )
            ),
            "the question",
        )
        harness.platform.reachable = True
        await harness.until_posted("Approval needed")
        assert "Approved by bob" in await harness.press(BOB, "Approve", bot)
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    assert harness.restarts == list(HOSTS)
