"""The whole bot on Slack: planned, asked, approved by button, told in a thread; over a fleet in memory.

Slack is the local server, which loses answers, sends envelopes again and goes away as Slack does.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.ansible.fake_fleet import Fault
from holdfast.chat.transports.slack import Slack, SlackSettings
from holdfast.journal.events import Approved
from holdfast.model import Json, Phase
from tests.chat.hearing import play, quick, until
from tests.chat.servers.slack import APP_TOKEN, BOT, BOT_TOKEN, TEAM, SlackServer
from tests.unit.chat.rooms import CONFIG, WITH_SERVERS, Room
from tests.unit.cli.desks import HOSTS

ADA, BOB, FOX = "U2ADA", "U3BOB", "U4FOX"
OPS, SAL = "C1", "C2"
RUN = "holdfast run broker-restart lab reason openssl update"


def config(**approvals: Json) -> dict[str, Json]:
    """Ada runs and approves, Bob and Fox approve; a run begins with somebody else's word."""

    def role(name: str, *people: str) -> dict[str, Json]:
        return {"role": name, "people": list(people), "sites": ["lab"]}

    people = {"ada": ADA, "bob": BOB, "fox": FOX}
    return CONFIG | {
        "transports": {"slack": {}},
        "people": {name: [f"slack:{TEAM}/{user}"] for name, user in people.items()},
        "sites": {"lab": {}},
        "roles": [role("operator", "ada"), role("approver", "ada", "bob", "fox")],
        "approvals": [{"sites": ["lab"], "deadline_seconds": 36_000} | approvals],
        "log": {"transport": "slack", "channel": SAL},
    }


class Workspace:
    """A Slack, and a bot on it; ``said`` is what people see."""

    def __init__(self, path: Path, **approvals: Json) -> None:
        self.slack = SlackServer()
        self._numbers = itertools.count()
        self.path, self.config = path, config(**approvals)
        self.room = Room(path / "project", config=self.config, speed=WITH_SERVERS)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Room]:
        """A bot that serves while this lasts; the next one is another process, as far as Slack can tell."""
        self.room.transport = Slack(
            SlackSettings(
                bot_token=BOT_TOKEN,
                app_token=APP_TOKEN,
                base_url=self.slack.base_url,
                timeout_seconds=5,
                ping_seconds=0.3,
            ),
            quick(),
        )
        async with self.room.serving():
            yield self.room

    def ask(self, user: str, text: str, thread: str = "") -> str:
        """Say something to the bot; returns the message's ts."""
        return self.slack.say(user, text, OPS, thread)

    def messages(self, channel: str = OPS) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the bot wrote, as people see it now, with the message it stands in."""
        for message in self.slack.messages.get(channel, []):
            if message["user"] == BOT:
                yield shown(message), message

    def said(self, words: str, channel: str = OPS) -> list[dict[str, Any]]:
        """The bot's messages with these words in them."""
        return [message for text, message in self.messages(channel) if words in text]

    def labels(self, message: dict[str, Any]) -> list[str]:
        """What can be pressed under a message."""
        return [
            element["text"]["text"]
            for block in message["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
        ]

    def log(self) -> list[str]:
        """The log channel."""
        return [text for text, _ in self.messages(SAL)]

    def everything_once(self) -> None:
        """Nothing that the bot posted stands there twice."""
        keys = [
            (message.get("metadata") or {}).get("event_payload", {}).get("key")
            or message["files"][0]["name"]
            for channel in (OPS, SAL)
            for _, message in self.messages(channel)
        ]
        assert len(keys) == len(set(keys)), sorted(keys)

    async def approval_wanted(self) -> dict[str, Any]:
        """The question, once it stands there."""
        await until(lambda: self.said("Approval wanted"), "the question")
        (question,) = self.said("Approval wanted")
        return question

    async def told(self, words: str, ends: int = 1) -> None:
        """Wait for a run's end in its thread and in the log channel."""
        await until(lambda: self.said(words), words)
        await until(lambda: sum(line.startswith("END") for line in self.log()) == ends, "END")

    async def pictured(self) -> None:
        """Wait for the run's picture."""
        await until(lambda: any(m.get("files") for _, m in self.messages()), "the picture")


def shown(message: dict[str, Any]) -> str:
    """A message's text and code."""
    return "\n".join(
        part["text"]
        for block in message.get("blocks", ())
        if block["type"] == "rich_text"
        for element in block["elements"]
        for part in element["elements"]
    )


@pytest.fixture
def there(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@asynccontextmanager
async def slack(there: Workspace) -> AsyncIterator[SlackServer]:
    await there.slack.start()
    try:
        yield there.slack
    finally:
        await there.slack.stop()
        await asyncio.to_thread(there.room.launcher.join)


def words_given(there: Workspace) -> list[str]:
    """Whose words stand in the newest run's journal."""
    events = [each.event for each in there.room.store.read(there.room.run)]
    return [event.by for event in events if isinstance(event, Approved)]


def test_a_run_is_planned_approved_by_button_and_told_to_its_picture(there: Workspace) -> None:
    async def scenario() -> None:
        async with slack(there) as server, there.serving() as room:
            there.ask(ADA, f"<@{BOT}> plan broker-restart")
            await until(lambda: there.said("Nothing was touched"), "the plan")
            there.ask(ADA, RUN)
            question = await there.approval_wanted()
            (root,) = there.said(f"broker-restart at lab [{room.run}]\nada (slack:T1/U2ADA)")
            assert question["thread_ts"] == root["ts"]
            assert there.labels(question) == ["Approve", "Abort"]
            server.press(ADA, question["ts"], "Approve")
            await until(lambda: there.said("ada asked for run"), "the refusal")
            assert room.restarts == []
            server.press(BOB, question["ts"], "Approve")
            await there.told("FINISHED: ")
            await there.pictured()
            await until(lambda: there.said(f"finished [{room.run}]"), "the last progress")
            assert "given by bob" in shown(question)
            assert there.labels(question) == []
        (progress,) = there.said("✓ 2. Step 2")
        assert progress["edited"], "in place"
        assert progress["thread_ts"] == root["ts"]
        assert shown(progress).startswith(f"finished [{room.run}]")
        (picture,) = [m for _, m in there.messages() if m.get("files")]
        assert picture["files"][0]["title"] == f"{room.run}.svg"
        assert picture["thread_ts"] == root["ts"]
        assert next(iter(server.files.values())).startswith(b"<svg")
        assert there.log() == [
            f"START - broker-restart lab by ada (slack:T1/U2ADA): openssl update [{room.run}]",
            f"END (FINISHED) - broker-restart lab [{room.run}]",
        ]
        there.everything_once()

    play(scenario())
    assert there.room.restarts == list(HOSTS)


def test_a_run_holds_with_the_command_lines_words_is_aborted_and_resumed(there: Workspace) -> None:
    there.config["approvals"] = []
    there.room.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

    async def scenario() -> None:
        async with slack(there), there.serving() as room:
            there.ask(ADA, RUN)
            await there.told("HELD, nothing more is touched")
            (held,) = there.said("HELD, nothing more is touched")
            for words in (
                f"next: holdfast resume {room.run} --reason '…'",
                "2. Step 2",
                "did not start",
                "fake undrain ctl2",
                f"holdfast log {room.run}",
            ):
                assert words in shown(held), words
            there.ask(ADA, "holdfast abort", held["thread_ts"])
            await there.told("ABORTED: ", ends=2)
            room.fleet.repair()
            there.ask(ADA, f"holdfast resume {room.run} --reason 'unit file repaired'")
            await there.told("FINISHED: ", ends=3)
            await there.pictured()
        assert [line.partition(" - ")[0] for line in there.log()] == [
            "START", "END (HELD)", "END (ABORTED)", "START (RESUMED)", "END (FINISHED)",
        ]  # fmt: skip
        there.everything_once()

    play(scenario())
    assert there.room.restarts == list(HOSTS)


def test_a_run_is_stopped_by_its_button_between_two_hosts(there: Workspace) -> None:
    there.config["approvals"] = []

    async def scenario() -> None:
        go_on = there.room.paused_after(1)
        async with slack(there) as server, there.serving():
            there.ask(ADA, RUN)
            await until(lambda: there.said("running [") and there.room.restarts, "a restart")
            (progress,) = there.said("running [")
            server.press(BOB, progress["ts"], "Stop at the next boundary")
            await until(lambda: there.said("is no operator"), "the refusal")
            server.press(ADA, progress["ts"], "Stop at the next boundary")
            await until(lambda: there.said("to stop at the next boundary"), "the answer")
            go_on.set()
            await there.told("ABORTED: ")
            await until(lambda: there.labels(progress) == [], "no button any more")

    play(scenario())
    assert there.room.restarts == ["ctl1"]
    assert not there.room.fleet.not_serving(), "the host in hand was finished"


def test_slack_goes_away_in_mid_run_and_nothing_is_missing_or_told_twice(there: Workspace) -> None:
    async def scenario() -> None:
        go_on = there.room.paused_after(1)
        async with slack(there) as server, there.serving() as room:
            there.ask(ADA, RUN)
            question = await there.approval_wanted()
            server.press(BOB, question["ts"], "Approve")
            await until(lambda: room.restarts, "the first restart")
            await server.stop()
            go_on.set()
            await asyncio.to_thread(room.launcher.join)
            assert room.restarts == list(HOSTS), "the run did not wait"
            await server.start()
            server.lose_answers = 2
            await there.told("FINISHED: ")
            await there.pictured()
            await until(lambda: there.said(f"finished [{room.run}]"), "the last progress")
        there.everything_once()
        assert len(there.log()) == 2

    play(scenario())


def test_nothing_that_slack_sends_again_starts_or_approves_anything_twice(there: Workspace) -> None:
    """The same event in a new envelope, the same envelope again, the same click again; to a new bot too."""

    async def scenario() -> None:
        async with slack(there) as server:
            async with there.serving() as room:
                ts = there.ask(ADA, RUN)
                await there.approval_wanted()
                event = {"type": "message", "user": ADA, "channel": OPS, "ts": ts, "text": RUN}
                again = server._envelope("events_api", envelope(event)) | {
                    "retry_attempt": 1, "retry_reason": "timeout",
                }  # fmt: skip
                for _ in range(2):
                    server._deliver(dict(again))
                server.deliver_event(event)
                question = await there.approval_wanted()
                click = server.press(BOB, question["ts"], "Approve")
                server.deliver_press(click)
                await until(lambda: there.said("Approved by bob"), "the word")
            async with there.serving() as room:
                server.deliver_event(event)
                server.deliver_press(click)
                await there.told("FINISHED: ")
                there.ask(ADA, "holdfast help run")
                await until(lambda: there.said("Run a runbook"), "it heard all of them")
        assert len(room.launcher.launched) == 1
        assert len(there.said("Starting [")) == len(there.said("Approved by bob")) == 1
        assert words_given(there) == ["slack:T1/U3BOB"]
        there.everything_once()

    play(scenario())
    assert there.room.restarts == list(HOSTS)


def envelope(event: dict[str, Json]) -> dict[str, Json]:
    """What Slack wraps an event in."""
    return {"type": "event_callback", "team_id": TEAM, "api_app_id": "A1", "event": event,
            "event_id": "EvAgain", "event_time": 0, "authorizations": []}  # fmt: skip


def test_two_people_who_press_at_once_begin_one_run(there: Workspace) -> None:
    async def scenario() -> None:
        async with slack(there) as server, there.serving():
            there.ask(ADA, RUN)
            question = await there.approval_wanted()
            for user in (BOB, FOX, BOB):
                server.press(user, question["ts"], "Approve")
            await there.told("FINISHED: ")
            await until(lambda: len(server.acked) >= 4, "every click")

    play(scenario())
    given = words_given(there)
    assert 1 <= len(given) == len(set(given)) <= 2
    assert len(there.room.launcher.launched) == 1
    assert there.room.restarts == list(HOSTS)


def test_a_button_of_an_expired_question_does_nothing(tmp_path: Path) -> None:
    there = Workspace(tmp_path, deadline_seconds=50)

    async def scenario() -> None:
        async with slack(there) as server, there.serving():
            there.ask(ADA, RUN)
            question = dict(await there.approval_wanted())
            await there.told("REFUSED: ")
            standing = server._find(OPS, question["ts"])
            await until(lambda: there.labels(standing) == [], "no buttons any more")
            standing |= {"blocks": question["blocks"]}  # as on a screen that was not drawn again
            server.press(BOB, question["ts"], "Approve")
            await until(lambda: there.said("does not wait for an approval"), "the answer")

    play(scenario())
    assert words_given(there) == []
    assert there.room.restarts == []


def test_what_was_approved_is_what_runs_though_the_runbook_changed_meanwhile(
    there: Workspace,
) -> None:
    async def scenario() -> None:
        async with slack(there) as server, there.serving() as room:
            there.ask(ADA, RUN)
            question = await there.approval_wanted()
            room.write("roll: broker_restart.yml\nhosts: broker", "approve: And now?")
            room.groups["broker"] = (*HOSTS, "ctl4")
            server.press(BOB, question["ts"], "Approve")
            await there.told("FINISHED: ")

    play(scenario())
    assert there.room.restarts == list(HOSTS)
    assert words_given(there) == ["slack:T1/U3BOB"]
