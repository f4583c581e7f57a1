"""Who may do what, and what they are told: a whole bot, people who say things."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.chat.bot import Bot
from holdfast.chat.fake_transport import ABLE
from holdfast.chat.transport import Abilities, Button, Person, Place
from tests.unit.chat.rooms import ADA, BOB, CAT, EVE, ROOM, RUN, TOKEN, Room
from tests.unit.chat.test_command_parser import PAYLOADS
from tests.unit.cli.desks import BLOCKS


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def telling(room: Room, story: Callable[[Bot], Coroutine[Any, Any, None]]) -> None:
    """Let a story happen while a bot serves."""

    async def happening() -> None:
        async with room.serving() as bot:
            await story(bot)
        await asyncio.to_thread(room.launcher.join)

    asyncio.run(happening())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("holdfast help", "holdfast run RUNBOOK [SITE] [LIMIT] [NAME=VALUE …] reason WHY"),
        ("holdfast help abort", "holdfast abort [RUN] [--hard]"),
        ("holdfast runbooks", "broker-restart  for tests"),
        ("holdfast show broker-restart", "## 2. Step 2"),
        ("holdfast plan broker-restart", "3 restarts on 3 hosts"),
        ("holdfast plan broker-restart lab ctl1,ctl3", "2 restarts on 2 hosts"),
        ("holdfast status", "Nobody holds a lease."),
        ("holdfast check lab fake.all_serve", "1 of 1 claim hold"),
        ("holdfast shwo broker-restart", "did you mean show?"),
        ("holdfast plan broker-restrat", "did you mean broker-restart?"),
        ("holdfast plan broker-restart lob", "did you mean lab?"),
        ("holdfast status nothing", "There is no run 'nothing'"),
        ("holdfast plan broker-restart x=1", "no input 'x'"),
        ("holdfast plan broker-restart lab ctl9", "matches no host"),
    ],
)
def test_a_viewer_may_look(room: Room, text: str, words: str) -> None:
    async def story(bot: Bot) -> None:
        assert words in await room.ask(CAT, text, bot)

    telling(room, story)
    assert room.launcher.launched == []


@pytest.mark.parametrize("who", [CAT, BOB], ids=["viewer", "approver"])
@pytest.mark.parametrize(
    "text", [RUN, "holdfast resume RUN reason x", "holdfast abort RUN", "holdfast abort RUN --hard"]
)
def test_only_an_operator_may_act(room: Room, who: Person, text: str) -> None:
    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until(lambda: bool(room.store.runs()), "a run")
        said = await room.ask(who, text.replace("RUN", room.run), bot)
        assert "is no operator of broker-restart at lab" in said

    telling(room, story)
    assert len(room.launcher.launched) == 1
    kinds = [each.event.kind for each in room.store.read(room.run)]
    assert "abort_requested" not in kinds
    assert "resumed" not in kinds


def test_a_role_counts_only_where_it_was_given(room: Room) -> None:
    room.config["roles"] = [
        {"role": "operator", "people": ["ada"], "sites": ["lab"], "runbooks": ["other-restart"]},
        {"role": "viewer", "people": ["ada"], "sites": ["lab"]},
    ]

    async def story(bot: Bot) -> None:
        assert "is no operator of broker-restart at lab" in await room.ask(ADA, RUN, bot)

    telling(room, story)
    assert room.launcher.launched == []


def test_a_stranger_is_refused_once_whatever_they_call_themselves(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(bot: Bot) -> None:
        refusal = await room.ask(EVE, RUN, bot)
        assert refusal.startswith("Refused: memory:eve is not known here.\nnext: ")
        for text in (RUN, "holdfast status", "holdfast help"):
            assert await room.ask(EVE, text, bot) == ""

    telling(room, story)
    assert room.launcher.launched == []
    assert caplog.text.count("memory:eve is not known here") == 4


def test_a_platform_that_vouches_for_nobody_only_tells(room: Room) -> None:
    limits = {"threads": False, "edits": False, "buttons": False, "files": False, "limit": 400}
    room.chat.abilities = Abilities(vouches=False, **limits)  # type: ignore[arg-type]  # a bool and an int

    async def story(bot: Bot) -> None:
        assert "cannot vouch" in await room.ask(ADA, RUN, bot)
        assert "cannot vouch" in await room.ask(Person("", "ada"), RUN, bot)

    telling(room, story)
    assert room.launcher.launched == []


def test_talk_that_is_not_for_it_gets_no_answer(room: Room) -> None:
    async def story(bot: Bot) -> None:
        assert await room.ask(EVE, "shall we run broker-restart?", bot) == ""
        assert await room.ask(ADA, "run broker-restart lab reason x", bot) == ""

    telling(room, story)
    assert room.chat.messages == []


def test_a_command_delivered_again_is_done_once_even_by_another_bot(room: Room) -> None:
    async def story() -> None:
        async with room.serving() as bot:
            assert "Starting" in await room.ask(ADA, RUN, bot, ident="e1")
            assert await room.ask(ADA, RUN, bot, ident="e1") == ""
        async with room.serving() as bot:
            assert await room.ask(ADA, RUN, bot, ident="e1") == ""
        await asyncio.to_thread(room.launcher.join)

    asyncio.run(story())
    assert len(room.launcher.launched) == 1
    assert len(room.restarts) == 3


def test_too_many_commands_are_not_done(room: Room) -> None:
    room.config["rates"] = {"commands": 3, "seconds": 36_000}

    async def story(bot: Bot) -> None:
        answers = [await room.ask(ADA, "holdfast help run", bot) for _ in range(5)]
        assert ["Run a runbook" in answer for answer in answers] == [True] * 3 + [False] * 2
        assert "Too many commands" in answers[3]
        assert answers[4] == ""
        assert "Run a runbook" in await room.ask(CAT, "holdfast help run", bot)

    telling(room, story)


def test_whoever_has_asked_too_much_can_still_abort(room: Room) -> None:
    room.config["rates"] = {"commands": 2, "seconds": 36_000}
    room.config["approvals"] = [{"sites": ["lab"]}]

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("Approval wanted")
        await room.ask(ADA, "holdfast help", bot)
        told = await room.ask(ADA, "holdfast status", bot)
        assert "at most 2 in 10 h 00 min; this one was not done" in told
        assert "next: " in told
        assert "to stop at the next boundary" in await room.press(ADA, "Abort", bot)
        assert room.run in await room.ask(ADA, f"holdfast abort {room.run}", bot)
        assert await room.ask(ADA, f"holdfast abort {room.run}", bot) == ""
        await room.until_said("ABORTED: ")

    telling(room, story)
    assert room.restarts == []


def test_strangers_cannot_make_it_chatter(room: Room) -> None:
    async def story(bot: Bot) -> None:
        for number in range(80):
            await room.chat.say(Person("", f"nick{number}"), "holdfast help", ROOM)
            await room.chat.say(Person(f"memory:e{number}", "ada"), "holdfast help", ROOM)
        await room.chat.heard_all()
        await bot.settled()
        assert len(room.said("Refused: memory does not say who nick0 is")) == 1
        assert len(room.said("Refused: ")) == 50
        assert "is no operator" in await room.ask(CAT, RUN, bot), "who is known is heard"

    telling(room, story)


def test_who_may_is_said_to_who_may_not(room: Room) -> None:
    async def story(bot: Bot) -> None:
        assert "next: ask one of: ada, dot" in await room.ask(CAT, RUN, bot)

    telling(room, story)


def test_a_secret_is_no_value_of_an_input(room: Room) -> None:
    room.write(*BLOCKS, inputs="{unit: {type: string, default: x, summary: s}}")

    async def story(bot: Bot) -> None:
        said = await room.ask(ADA, f"{RUN.partition(' reason')[0]} unit={TOKEN} reason x", bot)
        assert "cannot be a" in said

    telling(room, story)
    assert room.launcher.launched == []
    assert [where for where, text in room.everything().items() if TOKEN in text] == []


def test_a_secret_that_a_log_line_would_cut_is_not_logged_by_half(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def story(bot: Bot) -> None:
        for length in range(150, 200, 7):
            await room.ask(ADA, f"holdfast show {'x' * length} {TOKEN}", bot)

    telling(room, story)
    assert "planted" not in caplog.text


def test_a_runbook_that_cannot_be_read_hides_no_other(room: Room) -> None:
    (room.path / "runbooks/gone-restart.md").symlink_to(room.path / "nowhere")
    (room.path / "runbooks/bad-restart.md").write_bytes(b"---\nname: \xff\n")

    async def story(bot: Bot) -> None:
        said = await room.ask(CAT, "holdfast runbooks", bot)
        assert "broker-restart  for tests" in said
        assert "wrong: " in said
        assert "bad-restart" in said
        assert "gone-restart" in said
        for name in ("gone-restart", "bad-restart"):
            assert f"{name}.md" in await room.ask(CAT, f"holdfast show {name}", bot)
            assert f"{name}.md" in await room.ask(CAT, f"holdfast plan {name}", bot)

    telling(room, story)


def test_what_cannot_be_noted_is_not_done_and_that_is_said_once(room: Room) -> None:
    async def story(bot: Bot) -> None:
        broken = room.path / "chat.db"
        broken.rename(room.path / "away")
        broken.mkdir()
        said = await room.ask(ADA, RUN, bot)
        assert "what chat remembers cannot be read or written" in said
        assert "next: repair the file" in said
        assert await room.ask(ADA, RUN, bot) == ""
        assert await room.ask(EVE, RUN, bot) == ""

    telling(room, story)
    assert room.launcher.launched == []


def test_nothing_that_a_terminal_obeys_is_said(room: Room) -> None:
    async def story(bot: Bot) -> None:
        room.launcher.check = lambda *_: "PASS \x1b[2J\u202e ok"  # type: ignore[method-assign]  # its words
        assert "PASS  ok" in await room.ask(CAT, "holdfast check", bot)

    telling(room, story)


def test_a_second_run_on_the_same_scope_is_told_who_holds_it(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"]}]

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("Approval wanted")
        await room.ask(ADA, RUN.replace("openssl update", "another"), bot)
        await room.until_said("Did not go on")
        (refusal,) = room.said("Did not go on")
        for words in ("lab/broker", "memory:ada", "openssl update"):
            assert words in refusal
        assert room.launcher.launched[1].run in refusal
        await room.ask(ADA, f"holdfast abort {room.run}", bot)

    telling(room, story)
    assert room.restarts == []
    assert len(room.store.runs()) == 1


def test_in_a_runs_thread_the_run_need_not_be_named(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"]}]

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("Approval wanted")
        thread = next(m.place for m in room.chat.messages if m.place.thread)
        assert "Which run?" in await room.ask(ADA, "holdfast abort", bot)
        assert room.run in await room.ask(ADA, "holdfast status", bot, thread)
        assert "at the next boundary" in await room.ask(ADA, "holdfast abort", bot, thread)
        await room.until(lambda: len(room.log()) == 2, "END")

    telling(room, story)
    assert room.restarts == []


@pytest.mark.parametrize(
    "token", ["approve:a", "abort:", "abort:20", "run:x", "abort:x:y", "{{7*7}}"]
)
def test_a_button_that_is_not_ours_does_nothing(room: Room, token: str) -> None:
    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until(lambda: bool(room.store.runs()), "a run")
        said = await room.press_token(ADA, Button("x", token), bot)
        assert "This button is not known" in said

    telling(room, story)
    assert len(room.restarts) == 3


@pytest.mark.parametrize("name", ["jinja", "shell", "backticks", "at_file", "path", "pipe"])
def test_a_reason_is_data_from_chat_to_journal_and_back(room: Room, name: str) -> None:
    reason = f"because {PAYLOADS[name]}"

    async def story(bot: Bot) -> None:
        assert "Starting" in await room.ask(
            ADA, f"holdfast run broker-restart reason {reason}", bot
        )
        await room.until_said("FINISHED: ")

    telling(room, story)
    opened: Any = room.store.read(room.run)[0].event
    assert opened.reason == reason
    assert opened.by == "memory:ada"
    assert any(reason in text for text in room.chat.texts())


def test_a_planted_secret_is_nowhere(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.groups["broker"] = (*room.groups["broker"],)

    async def story(bot: Bot) -> None:
        await room.ask(ADA, f"{RUN} with {TOKEN}", bot)
        await room.until_said("FINISHED: ")
        await room.until(lambda: bool(room.chat.files), "the picture")
        await room.ask(ADA, f"holdfast {TOKEN}", bot)
        await room.ask(ADA, f"holdfast show {TOKEN}", bot)
        await room.ask(ADA, "holdfast status", bot)

    telling(room, story)
    assert len(room.restarts) == 3
    assert [where for where, text in room.everything().items() if TOKEN in text] == []
    assert "[secret]" in json.dumps(dict(room.everything()))


def test_answers_fit_the_platform(room: Room) -> None:
    room.chat.abilities = Abilities(True, True, True, True, True, 400)
    assert ABLE.limit > 400

    async def story(bot: Bot) -> None:
        await room.ask(ADA, "holdfast plan broker-restart", bot)
        await room.ask(ADA, RUN, bot, Place(ROOM.channel))
        await room.until_said("FINISHED: ")

    telling(room, story)
    for message in room.chat.messages:
        assert len(message.message.text) + len(message.message.code) <= 400
    plan = room.said("Nothing was touched.")[0]
    assert "next: holdfast run broker-restart lab reason WHY" in plan
    assert "more lines" in plan
    assert f"[{room.run}]" in room.said("FINISHED")[0]


def test_checks_leave_room_for_other_commands(room: Room) -> None:
    async def story(bot: Bot) -> None:
        over = threading.Event()
        asked = room.launcher.check

        def slow(inventory: Path, claims: tuple[str, ...]) -> str:
            over.wait(10)
            return asked(inventory, claims)

        class Slow:
            check = staticmethod(slow)

        bot.clerk.launcher = Slow()  # type: ignore[assignment]  # the part of it that is asked for
        for _ in range(3):
            await room.chat.say(CAT, "holdfast check", ROOM)
        await room.until_said("2 checks are under way")
        assert "Nobody holds a lease" in await asyncio.wait_for(_status(room), 5)
        over.set()
        await bot.settled()
        assert len(room.launcher.checked) == 2

    telling(room, story)


def test_nobody_waits_behind_an_inventory_that_does_not_answer_to_stop_a_run(room: Room) -> None:
    room.config["approvals"] = [{"sites": ["lab"]}]

    async def story(bot: Bot) -> None:
        await room.ask(ADA, RUN, bot)
        await room.until_said("Approval wanted")
        over, known = threading.Event(), bot.clerk.inventories

        def slow() -> Mapping[str, Path]:
            over.wait(60)
            return known()

        bot.clerk.inventories = slow
        for _ in range(8):
            await room.chat.say(CAT, "holdfast plan broker-restart", ROOM)
        await room.chat.say(ADA, f"holdfast abort {room.run}", ROOM)
        try:
            await room.until_said("to stop at the next boundary")
        finally:
            over.set()
        await bot.settled()

    telling(room, story)
    assert room.restarts == []


async def _status(room: Room) -> str:
    await room.chat.say(CAT, "holdfast status", ROOM)
    await room.until_said("Nobody holds a lease")
    return room.said("Nobody holds a lease")[0]
