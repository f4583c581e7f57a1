"""Whose word begins a run, and whose does not: bound to run and plan, counted, in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.chat.approvals import ApprovalService
from holdfast.chat.bot import Bot
from holdfast.chat.config import Config
from holdfast.chat.permissions import Member, Permissions
from holdfast.chat.transport import Button
from holdfast.engine.driver import run_opened
from holdfast.errors import Refused
from holdfast.journal import events
from holdfast.journal.events import Approved
from holdfast.model import Holder
from holdfast.runbook import ApprovalPolicy
from tests.unit.chat.rooms import ADA, BOB, CAT, DOT, EVE, FOX, RUN, Room
from tests.unit.chat.test_commands import telling
from tests.unit.cli.desks import BLOCKS, HOSTS


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path)
    room.config["approvals"] = [{"sites": ["lab"], "runbooks": ["broker-restart"]}]
    return room


def words(room: Room) -> list[Approved]:
    """The words in the newest run's journal."""
    events = [each.event for each in room.store.read(room.run)]
    return [event for event in events if isinstance(event, Approved)]


async def asked(room: Room, bot: Bot, who: Any = ADA) -> None:
    await room.ask(who, RUN, bot)
    await room.until_said("Approval wanted")


def test_nothing_is_touched_before_somebody_approves(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await asked(room, bot)
        assert room.restarts == []
        assert "Approved by bob: step 0" in await room.press(BOB, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert room.restarts == list(HOSTS)
    (word,) = words(room)
    first: Any = room.store.read(room.run)[0].event
    assert (word.by, word.step) == ("memory:bob", 0)
    assert word.plan_hash
    assert first.plan["steps"][0]["kind"] == "approve"
    (question,) = [m for m in room.chat.messages if m.message.text.startswith("Approval wanted")]
    assert "given by bob (memory:bob)" in question.message.text
    assert question.message.buttons == ()


def test_a_command_does_as_well_as_a_button(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await asked(room, bot)
        assert "Approved by fox" in await room.ask(FOX, f"holdfast approve {room.run}", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert [word.by for word in words(room)] == ["memory:fox"]


@pytest.mark.parametrize("who", [ADA, CAT, EVE], ids=["operator", "viewer", "stranger"])
def test_not_everybodys_word_counts(room: Room, who: Any) -> None:
    async def story(bot: Bot) -> None:
        await asked(room, bot)
        assert "Approved" not in await room.press(who, "Approve", bot)
        assert "Approved" not in await room.ask(who, f"holdfast approve {room.run}", bot)
        await room.ask(ADA, f"holdfast abort {room.run}", bot)

    telling(room, story)
    assert words(room) == []
    assert room.restarts == []


def test_who_asked_for_the_run_does_not_approve_it(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await asked(room, bot, DOT)
        said = await room.press(DOT, "Approve", bot)
        assert "dot asked for run" in said
        assert "one of: bob, fox" in said
        await room.ask(ADA, f"holdfast abort {room.run}", bot)

    telling(room, story)
    assert words(room) == []


def test_the_same_person_under_another_name_does_not_either(room: Room) -> None:
    """A run that dot started in a terminal, where the journal knows her login."""
    room.write("approve: really?", *BLOCKS)

    async def story(bot: Bot) -> None:
        from holdfast.chat.run_request import RunRequest, Start  # noqa: PLC0415

        engine = room.engine()
        wanted = RunRequest(runbook="broker-restart", site="lab")
        path, inventory = room.path / "runbooks/broker-restart.md", room.path / "inventories/lab"
        plan = wanted.plan(engine.planner, path, inventory)
        start = Start(
            run=engine.new_run(plan.runbook),
            wanted=wanted,
            runbook_path=path,
            inventory=inventory,
            plan_hash=plan.hash,
            by="dot",
            reason="by hand",
        )
        room.launcher.launch(start)
        await room.until_said("Approval wanted")
        assert "dot asked for run" in await room.press(DOT, "Approve", bot)
        assert "Approved by bob" in await room.press(BOB, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert [word.by for word in words(room)] == ["memory:bob"]


def test_who_asked_may_approve_where_the_rule_says_so(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"], "by_others": False}]

    async def story(bot: Bot) -> None:
        await asked(room, bot, DOT)
        assert "Approved by dot" in await room.press(DOT, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert room.restarts == list(HOSTS)


def test_two_words_are_two_peoples(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"], "count": 2}]

    async def story(bot: Bot) -> None:
        await asked(room, bot)
        assert "1 approval more wanted" in await room.press(BOB, "Approve", bot)
        assert "bob has approved" in await room.press(BOB, "Approve", bot)
        assert room.restarts == []
        assert "Approved by fox" in await room.press(FOX, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert [word.by for word in words(room)] == ["memory:bob", "memory:fox"]


def test_two_people_at_once_start_one_run_once(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await asked(room, bot)
        answers = await asyncio.gather(
            room.press(BOB, "Approve", bot, "p1"),
            room.press(FOX, "Approve", bot, "p2"),
            room.press(BOB, "Approve", bot, "p1"),
        )
        assert any("Approved by" in answer for answer in answers)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert room.restarts == list(HOSTS)
    said = [word.by for word in words(room)]
    assert len(said) == len(set(said)) <= 2


def test_a_word_that_comes_too_late_is_none(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"], "deadline_seconds": 5}]

    async def story(bot: Bot) -> None:
        await asked(room, bot)
        await room.until_said("REFUSED: ")
        said = await room.press(BOB, "Approve", bot)
        assert "does not wait for an approval" in said

    telling(room, story)
    assert room.restarts == []
    assert words(room) == []
    assert "not waited for any more" in room.said("Approval wanted")[0]


def test_a_word_after_the_deadline_is_none_even_if_the_driver_has_not_looked(room: Room) -> None:
    path, inventory = room.path / "runbooks/broker-restart.md", room.path / "inventories/lab"
    engine, now = room.engine(), room.clock()
    plan = engine.planner.plan(path, inventory, {}).begun_by_approval("May it?", ApprovalPolicy())
    holder = Holder("r-late", "memory:ada", "x", "ctl", "boot", 99, 99)
    grant = room.store.take(holder, plan.leases, timedelta(days=2), now)
    room.store.append("r-late", run_opened(plan, holder, now))
    for event in (
        events.LeaseTaken(at=now, tokens=dict(grant.tokens)),
        events.StepStarted(at=now, step=0, title="Approval"),
        events.ApprovalRequested(at=now, step=0, question="May it?", plan_hash=plan.hash),
    ):
        room.store.append("r-late", event)
    desk = ApprovalService(engine, Permissions(Config.model_validate(room.config)))
    bob = Member("bob", "memory:bob", frozenset({"memory:bob"}))
    with pytest.raises(Refused, match="Too late"):
        desk.approve(bob, "r-late", now + timedelta(hours=1))
    assert words(room) == []
    desk.approve(bob, "r-late", now + timedelta(minutes=59))
    assert [word.by for word in words(room)] == ["memory:bob"]


def test_a_word_expires_with_its_question(room: Room) -> None:
    """Two are wanted, one has spoken, the run is aborted; who resumes it asks both anew."""
    room.config["approvals"] = [{"sites": ["lab"], "count": 2}]

    async def story(bot: Bot) -> None:
        await asked(room, bot)
        assert "1 approval more wanted" in await room.press(BOB, "Approve", bot)
        await room.ask(ADA, f"holdfast abort {room.run}", bot)
        await room.until_said("ABORTED: ")
        await asyncio.to_thread(room.launcher.join)
        await room.ask(ADA, f"holdfast resume {room.run} reason again", bot)
        await room.until(lambda: len(room.said("Approval wanted")) == 2, "asked anew")
        assert "1 approval more wanted" in await room.press(FOX, "Approve", bot)
        assert room.restarts == []
        assert "Approved by bob" in await room.press(BOB, "Approve", bot)
        await room.until_said("FINISHED: ")

    telling(room, story)
    assert [word.by for word in words(room)] == ["memory:bob", "memory:fox", "memory:bob"]


def test_a_button_of_another_plan_is_none(room: Room) -> None:
    async def story(bot: Bot) -> None:
        await asked(room, bot)
        old = Button("Approve", f"approve:{room.run}:0:0123456789abcdef", "good")
        assert "another question or plan" in await room.press_token(BOB, old, bot)
        await room.ask(ADA, f"holdfast abort {room.run}", bot)

    telling(room, story)
    assert words(room) == []


def test_a_plan_that_changed_since_it_was_shown_is_not_run(room: Room) -> None:
    async def story(bot: Bot) -> None:
        launch = room.launcher.launch

        class Meanwhile:
            """Somebody edits the runbook between the plan and the run's process."""

            def __getattr__(self, name: str) -> Any:
                return getattr(room.launcher, name)

            def launch(self, request: Any) -> None:
                room.write("check: [fake.all_serve]", *BLOCKS)
                launch(request)

        bot.clerk.launcher = Meanwhile()
        await room.ask(ADA, RUN, bot)
        await room.until_said("changed since it was shown")

    telling(room, story)
    assert list(room.store.runs()) == []
    assert room.restarts == []


def test_the_strictest_rule_holds(room: Room) -> None:
    room.config["approvals"] = [
        {"sites": ["*"], "count": 1, "deadline_seconds": 60},
        {"sites": ["lab"], "count": 2, "by_others": False, "deadline_seconds": 600},
    ]

    async def story(bot: Bot) -> None:
        said = await room.ask(ADA, "holdfast plan broker-restart", bot)
        assert "2 people, not the one who runs it" in said
        assert "gives up after  1 min 00 s" in said

    telling(room, story)
