"""Commands to a whole bot: who may give which, and what it replies."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.chat.bot import Bot
from holdfast.chat.transport import Button, Capabilities, Location, Person
from holdfast.model import Phase
from tests.fakes.chat_transport import CAPABILITIES
from tests.fakes.fleet import Fault
from tests.unit.chat.chat_harness import (
    ADA,
    BOB,
    CAT,
    CHANNEL,
    DOT,
    EVE,
    RUN,
    TOKEN,
    ChatHarness,
    replace_dependencies,
    suggestions,
)
from tests.unit.chat.test_command_parser import PAYLOADS
from tests.unit.cli.cli_harness import BLOCKS


@pytest.fixture
def harness(tmp_path: Path) -> ChatHarness:
    return ChatHarness(tmp_path)


def run_scenario(
    harness: ChatHarness, scenario: Callable[[Bot], Coroutine[Any, Any, None]]
) -> None:
    """Run a scenario while a bot serves."""

    async def happening() -> None:
        async with harness.serving() as bot:
            await scenario(bot)
        await asyncio.to_thread(harness.launcher.join)

    asyncio.run(happening())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("holdfast help", "holdfast run RUNBOOK [SITE] [LIMIT] [NAME=VALUE …] reason WHY"),
        ("holdfast help abort", "holdfast abort [RUN] [--hard]"),
        ("holdfast runbooks", "broker-restart  for tests"),
        ("holdfast show broker-restart", "## 2. Step 2"),
        ("holdfast plan broker-restart", "3 restarts on 3 hosts"),
        ("holdfast plan broker-restart lab ctl1,ctl3", "2 restarts on 2 hosts"),
        ("holdfast plan broker-restart ctl1,ctl3", "2 restarts on 2 hosts"),
        ("holdfast plan broker-restart ctl2", "1 restart on 1 host"),
        ("holdfast plan broker-restart xyz", "matches no host"),
        ("holdfast check --list", "1 of 1 claim passed"),
        ("holdfats status", "nothing was done\nnext: holdfast status"),
        ("holdfast status", "Nobody holds a lease."),
        ("holdfast check lab fake.all_serve", "1 of 1 claim passed"),
        ("holdfast diagnose lab", "nothing is wrong"),
        ("holdfast shwo broker-restart", "did you mean show?"),
        ("holdfast plan broker-restrat", "did you mean broker-restart?"),
        ("holdfast plan broker-restart lob", "did you mean lab?"),
        ("holdfast plan broker-restart lob", "a limit: --limit lob"),
        ("holdfast status nothing", "There is no run 'nothing'"),
        ("holdfast plan broker-restart x=1", "no input 'x'"),
        ("holdfast plan broker-restart lab ctl9", "matches no host"),
    ],
)
def test_a_viewer_may_use_the_commands_that_change_nothing(
    harness: ChatHarness, text: str, expected: str
) -> None:
    async def scenario(bot: Bot) -> None:
        assert expected in await harness.ask(CAT, text, bot)

    run_scenario(harness, scenario)
    assert harness.launcher.launched == []


@pytest.mark.parametrize("who", [CAT, BOB], ids=["viewer", "approver"])
@pytest.mark.parametrize(
    "text", [RUN, "holdfast resume RUN reason x", "holdfast abort RUN", "holdfast abort RUN --hard"]
)
def test_only_an_operator_may_act(harness: ChatHarness, who: Person, text: str) -> None:
    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until(lambda: bool(harness.store.runs()), "a run")
        answer = await harness.ask(who, text.replace("RUN", harness.run), bot)
        assert "is no operator of broker-restart at lab" in answer

    run_scenario(harness, scenario)
    assert len(harness.launcher.launched) == 1
    kinds = [each.event.kind for each in harness.store.read(harness.run)]
    assert "abort_requested" not in kinds
    assert "resumed" not in kinds


def test_a_finished_run_is_not_resumed(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("FINISHED: ")
        answer = await harness.ask(ADA, f"holdfast resume {harness.run} reason x", bot)
        assert f"Run {harness.run} is finished: there is nothing to resume" in answer
        assert "next: holdfast run broker-restart --site lab --reason '…'" in answer

    run_scenario(harness, scenario)
    assert len(harness.launcher.launched) == 1


def test_the_time_of_a_finished_run_has_stopped(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("FINISHED: ")
        first = await harness.ask(CAT, f"holdfast watch {harness.run}", bot)
        harness.clock.now += timedelta(hours=5)
        assert await harness.ask(CAT, f"holdfast watch {harness.run}", bot) == first
        assert f"finished [{harness.run}]\nnext: holdfast report {harness.run}" in first

    run_scenario(harness, scenario)


def test_a_role_counts_only_for_its_sites_and_runbooks(harness: ChatHarness) -> None:
    harness.config["roles"] = [
        {"role": "operator", "people": ["ada"], "sites": ["lab"], "runbooks": ["other-restart"]},
        {"role": "viewer", "people": ["ada"], "sites": ["lab"]},
    ]

    async def scenario(bot: Bot) -> None:
        assert "is no operator of broker-restart at lab" in await harness.ask(ADA, RUN, bot)

    run_scenario(harness, scenario)
    assert harness.launcher.launched == []


def test_a_stranger_is_refused_once_under_any_name(
    harness: ChatHarness, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bot: Bot) -> None:
        refusal = await harness.ask(EVE, RUN, bot)
        assert refusal.startswith("Refused: memory:eve is not known here.\nnext: ")
        for text in (RUN, "holdfast status", "holdfast help"):
            assert await harness.ask(EVE, text, bot) == ""

    run_scenario(harness, scenario)
    assert harness.launcher.launched == []
    assert caplog.text.count("memory:eve is not known here") == 4


def test_a_platform_without_authentication_takes_no_commands(harness: ChatHarness) -> None:
    limits = {"threads": False, "edits": False, "buttons": False, "files": False, "limit": 400}
    harness.platform.capabilities = Capabilities(authenticates=False, **limits)  # type: ignore[arg-type]  # a bool and an int

    async def scenario(bot: Bot) -> None:
        assert "does not authenticate" in await harness.ask(ADA, RUN, bot)
        assert "does not authenticate" in await harness.ask(Person("", "ada"), RUN, bot)

    run_scenario(harness, scenario)
    assert harness.launcher.launched == []


def test_messages_that_are_no_command_get_no_answer(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        assert await harness.ask(EVE, "shall we run broker-restart?", bot) == ""
        assert await harness.ask(ADA, "run broker-restart lab reason x", bot) == ""

    run_scenario(harness, scenario)
    assert harness.platform.messages == []


def test_a_command_delivered_again_is_executed_once_also_by_another_bot(
    harness: ChatHarness,
) -> None:
    async def scenario() -> None:
        async with harness.serving() as bot:
            assert "Starting" in await harness.ask(ADA, RUN, bot, event_id="e1")
            assert await harness.ask(ADA, RUN, bot, event_id="e1") == ""
        async with harness.serving() as bot:
            assert await harness.ask(ADA, RUN, bot, event_id="e1") == ""
        await asyncio.to_thread(harness.launcher.join)

    asyncio.run(scenario())
    assert len(harness.launcher.launched) == 1
    assert len(harness.restarts) == 3


def test_commands_above_the_rate_are_not_executed(harness: ChatHarness) -> None:
    harness.config["rates"] = {"commands": 3, "seconds": 36_000}

    async def scenario(bot: Bot) -> None:
        answers = [await harness.ask(ADA, "holdfast help run", bot) for _ in range(5)]
        assert ["Run a runbook" in answer for answer in answers] == [True] * 3 + [False] * 2
        assert "Too many commands" in answers[3]
        assert answers[4] == ""
        assert "Run a runbook" in await harness.ask(CAT, "holdfast help run", bot)

    run_scenario(harness, scenario)


def test_an_abort_is_accepted_above_the_rate(harness: ChatHarness) -> None:
    harness.config["rates"] = {"commands": 2, "seconds": 36_000}
    harness.config["approvals"] = [{"sites": ["lab"]}]

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("Approval needed")
        await harness.ask(ADA, "holdfast help", bot)
        answer = await harness.ask(ADA, "holdfast status", bot)
        assert "at most 2 in 10 h 00 min; this one was not done" in answer
        assert "next: " in answer
        stop = "Stop at the next boundary"
        assert "to stop at the next boundary" in await harness.press(ADA, stop, bot)
        assert harness.run in await harness.ask(ADA, f"holdfast abort {harness.run}", bot)
        assert await harness.ask(ADA, f"holdfast abort {harness.run}", bot) == ""
        await harness.until_posted("ABORTED: ")

    run_scenario(harness, scenario)
    assert harness.restarts == []


def test_refusals_of_strangers_are_limited(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        for number in range(80):
            await harness.platform.say(Person("", f"nick{number}"), "holdfast help", CHANNEL)
            await harness.platform.say(Person(f"memory:e{number}", "ada"), "holdfast help", CHANNEL)
        await harness.platform.all_received()
        await bot.settled()
        assert len(harness.texts_with("Refused: memory does not prove who nick0 is")) == 1
        assert len(harness.texts_with("Refused: ")) == 50
        assert "is no operator" in await harness.ask(CAT, RUN, bot), "who is known is heard"

    run_scenario(harness, scenario)


def test_a_refusal_names_who_has_the_role(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        assert "next: ask one of: ada, dot" in await harness.ask(CAT, RUN, bot)

    run_scenario(harness, scenario)


def test_a_secret_is_not_accepted_as_an_input(harness: ChatHarness) -> None:
    harness.write(*BLOCKS, inputs="{unit: {type: string, default: x, summary: s}}")

    async def scenario(bot: Bot) -> None:
        answer = await harness.ask(ADA, f"{RUN.partition(' reason')[0]} unit={TOKEN} reason x", bot)
        assert "cannot be a" in answer

    run_scenario(harness, scenario)
    assert harness.launcher.launched == []
    assert [where for where, text in harness.everything().items() if TOKEN in text] == []


def test_no_part_of_a_secret_is_logged_where_the_line_is_cut(
    harness: ChatHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scenario(bot: Bot) -> None:
        for length in range(150, 200, 7):
            await harness.ask(ADA, f"holdfast show {'x' * length} {TOKEN}", bot)

    run_scenario(harness, scenario)
    assert "planted" not in caplog.text


def test_an_invalid_runbook_hides_no_other(harness: ChatHarness) -> None:
    (harness.path / "runbooks/gone-restart.md").symlink_to(harness.path / "nowhere")
    (harness.path / "runbooks/bad-restart.md").write_bytes(b"---\nname: \xff\n")

    async def scenario(bot: Bot) -> None:
        answer = await harness.ask(CAT, "holdfast runbooks", bot)
        assert "broker-restart  for tests" in answer
        assert "invalid: " in answer
        assert "bad-restart" in answer
        assert "gone-restart" in answer
        for name in ("gone-restart", "bad-restart"):
            assert f"{name}.md" in await harness.ask(CAT, f"holdfast show {name}", bot)
            assert f"{name}.md" in await harness.ask(CAT, f"holdfast plan {name}", bot)

    run_scenario(harness, scenario)


def test_a_command_that_cannot_be_recorded_is_refused_with_one_reply(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        broken = harness.path / "chat.db"
        broken.rename(harness.path / "away")
        broken.mkdir()
        answer = await harness.ask(ADA, RUN, bot)
        assert "chat's own state cannot be read or written" in answer
        assert "next: repair the file" in answer
        assert await harness.ask(ADA, RUN, bot) == ""
        assert await harness.ask(EVE, RUN, bot) == ""

    run_scenario(harness, scenario)
    assert harness.launcher.launched == []


def test_control_characters_are_not_posted(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        harness.launcher.check = lambda *_: "PASS \x1b[2J\u202e ok"  # type: ignore[method-assign]  # its words
        assert "PASS  ok" in await harness.ask(CAT, "holdfast check", bot)

    run_scenario(harness, scenario)


def test_a_second_run_on_the_same_scope_is_refused_with_the_holder(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"]}]

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("Approval needed")
        await harness.ask(ADA, RUN.replace("openssl update", "another"), bot)
        await harness.until_posted("Did not go on")
        (refusal,) = harness.texts_with("Did not go on")
        for expected in ("lab/broker", "memory:ada", "openssl update"):
            assert expected in refusal
        assert harness.launcher.launched[1].run in refusal
        await harness.ask(ADA, f"holdfast abort {harness.run}", bot)

    run_scenario(harness, scenario)
    assert harness.restarts == []
    assert len(harness.store.runs()) == 1


def test_in_a_runs_thread_the_run_need_not_be_named(harness: ChatHarness) -> None:
    harness.config["approvals"] = [{"sites": ["lab"]}]

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("Approval needed")
        thread = next(m.location for m in harness.platform.messages if m.location.thread)
        assert "Which run?" in await harness.ask(ADA, "holdfast abort", bot)
        assert harness.run in await harness.ask(ADA, "holdfast status", bot, thread)
        assert "at the next boundary" in await harness.ask(ADA, "holdfast abort", bot, thread)
        await harness.until(lambda: len(harness.log()) == 2, "END")

    run_scenario(harness, scenario)
    assert harness.restarts == []


@pytest.mark.parametrize(
    "token", ["approve:a", "abort:", "abort:20", "run:x", "abort:x:y", "{{7*7}}"]
)
def test_an_unknown_buttons_token_does_nothing(harness: ChatHarness, token: str) -> None:
    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until(lambda: bool(harness.store.runs()), "a run")
        answer = await harness.press_token(ADA, Button("x", token), bot)
        assert "This button is not known" in answer

    run_scenario(harness, scenario)
    assert len(harness.restarts) == 3


@pytest.mark.parametrize("name", ["jinja", "shell", "backticks", "at_file", "path", "pipe"])
def test_a_reason_is_data_from_chat_to_journal_and_back(harness: ChatHarness, name: str) -> None:
    reason = f"because {PAYLOADS[name]}"

    async def scenario(bot: Bot) -> None:
        assert "Starting" in await harness.ask(
            ADA, f"holdfast run broker-restart reason {reason}", bot
        )
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    opened: Any = harness.store.read(harness.run)[0].event
    assert opened.reason == reason
    assert opened.by == "memory:ada"
    assert any(reason in text for text in harness.platform.texts())


def test_a_secret_is_in_nothing_that_is_written(
    harness: ChatHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.draw = str.encode  # the picture's text, in place of its pixels
    harness.groups["broker"] = (*harness.groups["broker"],)

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, f"{RUN} with {TOKEN}", bot)
        await harness.until_posted("FINISHED: ")
        await harness.until(lambda: bool(harness.platform.files), "the picture")
        await harness.ask(ADA, f"holdfast {TOKEN}", bot)
        await harness.ask(ADA, f"holdfast show {TOKEN}", bot)
        await harness.ask(ADA, "holdfast status", bot)

    run_scenario(harness, scenario)
    assert len(harness.restarts) == 3
    assert [where for where, text in harness.everything().items() if TOKEN in text] == []
    assert "[secret]" in json.dumps(dict(harness.everything()))


def test_answers_fit_the_platform(harness: ChatHarness) -> None:
    harness.platform.capabilities = Capabilities(True, True, True, True, True, 400)
    assert CAPABILITIES.limit > 400

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, "holdfast plan broker-restart", bot)
        await harness.ask(ADA, RUN, bot, Location(CHANNEL.channel))
        await harness.until_posted("FINISHED: ")

    run_scenario(harness, scenario)
    for message in harness.platform.messages:
        assert len(message.message.text) + len(message.message.code) <= 400
    plan = harness.texts_with("Nothing was touched.")[0]
    assert "next: holdfast run broker-restart --site lab --reason '\u2026'" in plan
    assert "more lines" in plan
    assert f"[{harness.run}]" in harness.texts_with("FINISHED")[0]


def test_checks_leave_room_for_other_commands(harness: ChatHarness) -> None:
    async def scenario(bot: Bot) -> None:
        over = threading.Event()
        asked = harness.launcher.check

        def slow(inventory: Path, claims: tuple[str, ...]) -> str:
            over.wait(10)
            return asked(inventory, claims)

        class Slow:
            check = staticmethod(slow)

        replace_dependencies(bot, launcher=Slow())
        for _ in range(3):
            await harness.platform.say(CAT, "holdfast check", CHANNEL)
        await harness.until_posted("2 checks are running")
        assert "Nobody holds a lease" in await asyncio.wait_for(_status(harness), 5)
        over.set()
        await bot.settled()
        assert len(harness.launcher.checked) == 2

    run_scenario(harness, scenario)


def test_an_abort_does_not_wait_for_an_inventory_that_does_not_answer(
    harness: ChatHarness,
) -> None:
    harness.config["approvals"] = [{"sites": ["lab"]}]

    async def scenario(bot: Bot) -> None:
        await harness.ask(ADA, RUN, bot)
        await harness.until_posted("Approval needed")
        over, known = threading.Event(), bot.dependencies.inventories

        def slow() -> Mapping[str, Path]:
            over.wait(60)
            return known()

        replace_dependencies(bot, inventories=slow)
        for _ in range(8):
            await harness.platform.say(CAT, "holdfast plan broker-restart", CHANNEL)
        await harness.platform.say(ADA, f"holdfast abort {harness.run}", CHANNEL)
        try:
            await harness.until_posted("to stop at the next boundary")
        finally:
            over.set()
        await bot.settled()

    run_scenario(harness, scenario)
    assert harness.restarts == []


async def _status(harness: ChatHarness) -> str:
    await harness.platform.say(CAT, "holdfast status", CHANNEL)
    await harness.until_posted("Nobody holds a lease")
    return harness.texts_with("Nobody holds a lease")[0]


def test_every_suggestion_of_a_run_works_where_it_is_shown(harness: ChatHarness) -> None:
    """A run is asked for, waits, is approved, holds and is repaired: each message's command is typed."""
    harness.config["approvals"] = [
        {"sites": ["lab"], "by_others": False, "deadline_seconds": 36_000}
    ]
    harness.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))
    seen = set[str]()

    async def type_all(bot: Bot, person: Person) -> None:
        told = [each for text in harness.platform.texts() for each in suggestions(text)]
        for suggestion in dict.fromkeys(told):
            if (person.name + suggestion) in seen or " approve " in suggestion:
                continue
            seen.add(person.name + suggestion)
            answer = await harness.ask(person, suggestion, bot)
            wrong = (
                "no command",
                "cannot be",
                "too many",
                "has no",
                "No site",
                "No runbook",
                "No run ",
            )
            assert answer, suggestion
            assert not any(part in answer for part in wrong), (suggestion, answer)
            if "\u2026" in suggestion or "WHY" in suggestion:
                assert "needs a reason, in place of" in answer, (suggestion, answer)

    async def scenario(bot: Bot) -> None:
        await harness.ask(DOT, "holdfast plan broker-restart", bot)
        await harness.ask(DOT, RUN, bot)
        await harness.until_posted("Approval needed")
        await harness.ask(DOT, "holdfast status", bot)
        await harness.ask(DOT, f"holdfast status {harness.run}", bot)
        await type_all(bot, DOT)
        await harness.ask(DOT, f"holdfast approve {harness.run}", bot)
        await harness.until_posted("HELD: ")
        await type_all(bot, DOT)
        await asyncio.to_thread(harness.launcher.join)
        harness.fleet.repair()
        await harness.ask(DOT, f"holdfast resume {harness.run} reason repaired", bot)
        await harness.until_posted("FINISHED: ")
        for verb in ("watch", "log", "report"):
            answer = await harness.ask(CAT, f"holdfast {verb} {harness.run}", bot)
            assert harness.run in answer, answer
        thread = next(m.location for m in harness.platform.messages if m.location.thread)
        assert "finished: every step ended well" in await harness.ask(
            CAT, "holdfast log", bot, thread
        )
        await type_all(bot, DOT)

    run_scenario(harness, scenario)
    assert harness.restarts == ["ctl1", "ctl2", "ctl3"]
