"""The whole bot on Slack: plan, run, approve by button, follow in a thread; a fleet in memory.

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

from holdfast.chat.transports.slack import Slack, SlackSettings
from holdfast.journal.events import Approved
from holdfast.model import Json, Phase
from tests.chat.servers.slack import APP_TOKEN, BOT, BOT_TOKEN, TEAM, SlackServer
from tests.chat.transport_harness import fast_backoff, run_scenario, until
from tests.fakes.fleet import Fault
from tests.unit.chat.chat_harness import CONFIG, WITH_SERVERS, ChatHarness
from tests.unit.cli.cli_harness import HOSTS

ADA, BOB, FOX = "U2ADA", "U3BOB", "U4FOX"
OPS, SAL = "C1", "C2"
RUN = "holdfast run broker-restart lab reason openssl update"


def config(**approvals: Json) -> dict[str, Json]:
    """Return a configuration: Ada runs and approves, Bob and Fox approve; each run needs an approval."""

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
    """A local Slack server and a bot on it."""

    def __init__(self, path: Path, **approvals: Json) -> None:
        self.slack = SlackServer()
        self._numbers = itertools.count()
        self.path, self.config = path, config(**approvals)
        self.harness = ChatHarness(path / "project", config=self.config, speed=WITH_SERVERS)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ChatHarness]:
        """Serve a bot inside this context; to Slack the next one is another process."""
        self.harness.transport = Slack(
            SlackSettings(
                bot_token=BOT_TOKEN,
                app_token=APP_TOKEN,
                base_url=self.slack.base_url,
                timeout_seconds=5,
                ping_seconds=0.3,
            ),
            fast_backoff(),
        )
        async with self.harness.serving():
            yield self.harness

    def ask(self, user: str, text: str, thread: str = "") -> str:
        """Write to the bot; return the message's ts."""
        return self.slack.say(user, text, OPS, thread)

    def messages(self, channel: str = OPS) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return the bot's messages with their channels."""
        for message in self.slack.messages.get(channel, []):
            if message["user"] == BOT:
                yield shown(message), message

    def texts_with(self, part: str, channel: str = OPS) -> list[dict[str, Any]]:
        """Return the bot's messages with that part."""
        return [message for text, message in self.messages(channel) if part in text]

    def labels(self, message: dict[str, Any]) -> list[str]:
        """Return the labels of a message's buttons."""
        return [
            element["text"]["text"]
            for block in message["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
        ]

    def log(self) -> list[str]:
        """Return the messages of the log channel."""
        return [text for text, _ in self.messages(SAL)]

    def assert_everything_posted_once(self) -> None:
        """Fail if the bot posted anything twice."""
        keys = [
            (message.get("metadata") or {}).get("event_payload", {}).get("key")
            or message["files"][0]["name"]
            for channel in (OPS, SAL)
            for _, message in self.messages(channel)
        ]
        assert len(keys) == len(set(keys)), sorted(keys)

    async def approval_wanted(self) -> dict[str, Any]:
        """Wait for the approval question and return it."""
        await until(lambda: self.texts_with("Approval needed"), "the question")
        (question,) = self.texts_with("Approval needed")
        return question

    async def wait_for_end(self, part: str, ends: int = 1) -> None:
        """Wait for a run's end in its thread and in the log channel."""
        await until(lambda: self.texts_with(part), part)
        await until(lambda: sum(line.startswith("END") for line in self.log()) == ends, "END")

    async def wait_for_picture(self) -> None:
        """Wait for the run's picture."""
        await until(lambda: any(m.get("files") for _, m in self.messages()), "the picture")


def shown(message: dict[str, Any]) -> str:
    """Return a message's text and code."""
    return "\n".join(
        part["text"] if part["type"] == "text" else f"<@{part['user_id']}>"
        for block in message.get("blocks", ())
        if block["type"] == "rich_text"
        for element in block["elements"]
        for part in element["elements"]
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@asynccontextmanager
async def running_slack(workspace: Workspace) -> AsyncIterator[SlackServer]:
    await workspace.slack.start()
    try:
        yield workspace.slack
    finally:
        await workspace.slack.stop()
        await asyncio.to_thread(workspace.harness.launcher.join)


def approvers(workspace: Workspace) -> list[str]:
    """Return who approved, by the newest run's journal."""
    events = [each.event for each in workspace.harness.store.read(workspace.harness.run)]
    return [event.by for event in events if isinstance(event, Approved)]


def test_a_run_is_planned_approved_by_button_and_posted_with_its_picture(
    workspace: Workspace,
) -> None:
    async def scenario() -> None:
        async with running_slack(workspace) as server, workspace.serving() as harness:
            workspace.ask(ADA, f"<@{BOT}> plan broker-restart")
            await until(lambda: workspace.texts_with("Nothing was touched"), "the plan")
            workspace.ask(ADA, RUN)
            question = await workspace.approval_wanted()
            (root,) = workspace.texts_with(
                f"broker-restart at lab [{harness.run}]\nada (slack:T1/U2ADA)"
            )
            assert question["thread_ts"] == root["ts"]
            assert workspace.labels(question) == ["Approve", "Reject"]
            server.press(ADA, question["ts"], "Approve")
            await until(lambda: workspace.texts_with("ada asked for run"), "the refusal")
            assert harness.restarts == []
            server.press(BOB, question["ts"], "Approve")
            await workspace.wait_for_end("FINISHED: ")
            await workspace.wait_for_picture()
            await until(
                lambda: workspace.texts_with(f"finished [{harness.run}]"), "the last progress"
            )
            assert "given by bob" in shown(question)
            assert workspace.labels(question) == []
        (progress,) = workspace.texts_with("✓ 2. Step 2")
        assert progress["edited"], "in place"
        assert progress["thread_ts"] == root["ts"]
        assert shown(progress).startswith(f"finished [{harness.run}]")
        (picture,) = [m for _, m in workspace.messages() if m.get("files")]
        assert picture["files"][0]["title"] == f"{harness.run}.png"
        assert picture["thread_ts"] == root["ts"]
        assert next(iter(server.files.values())).startswith(b"\x89PNG")
        assert workspace.log() == [
            f"START - broker-restart lab by ada (slack:T1/U2ADA): openssl update [{harness.run}]",
            f"END (FINISHED) - broker-restart lab [{harness.run}]",
        ]
        workspace.assert_everything_posted_once()

    run_scenario(scenario())
    assert workspace.harness.restarts == list(HOSTS)


def test_a_run_holds_is_aborted_and_resumed(
    workspace: Workspace,
) -> None:
    workspace.config["approvals"] = []
    workspace.harness.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))

    async def scenario() -> None:
        async with running_slack(workspace), workspace.serving() as harness:
            workspace.ask(ADA, RUN)
            await workspace.wait_for_end("HELD, nothing more is touched")
            (held,) = workspace.texts_with("HELD, nothing more is touched")
            for part in (
                f"next: holdfast resume {harness.run} --reason '…'",
                "2. Step 2",
                "did not start",
                "fake undrain ctl2",
                f"holdfast log {harness.run}",
            ):
                assert part in shown(held), part
            workspace.ask(ADA, "holdfast abort", held["thread_ts"])
            await workspace.wait_for_end("ABORTED: ", ends=2)
            harness.fleet.repair()
            workspace.ask(ADA, f"holdfast resume {harness.run} --reason 'unit file repaired'")
            await workspace.wait_for_end("FINISHED: ", ends=3)
            await workspace.wait_for_picture()
        assert [line.partition(" - ")[0] for line in workspace.log()] == [
            "START", "END (HELD)", "END (ABORTED)", "START (RESUMED)", "END (FINISHED)",
        ]  # fmt: skip
        workspace.assert_everything_posted_once()

    run_scenario(scenario())
    assert workspace.harness.restarts == list(HOSTS)


def test_a_run_is_stopped_by_its_button_between_two_hosts(workspace: Workspace) -> None:
    workspace.config["approvals"] = []

    async def scenario() -> None:
        go_on = workspace.harness.paused_after(1)
        async with running_slack(workspace) as server, workspace.serving():
            workspace.ask(ADA, RUN)
            await until(
                lambda: workspace.texts_with("running [") and workspace.harness.restarts,
                "a restart",
            )
            (progress,) = workspace.texts_with("running [")
            server.press(BOB, progress["ts"], "Stop at the next boundary")
            await until(lambda: workspace.texts_with("is no operator"), "the refusal")
            server.press(ADA, progress["ts"], "Stop at the next boundary")
            await until(lambda: workspace.texts_with("to stop at the next boundary"), "the answer")
            go_on.set()
            await workspace.wait_for_end("ABORTED: ")
            await until(lambda: workspace.labels(progress) == [], "no button any more")

    run_scenario(scenario())
    assert workspace.harness.restarts == ["ctl1"]
    assert not workspace.harness.fleet.not_serving(), "the host in hand was finished"


def test_slack_goes_away_in_mid_run_and_everything_is_posted_once(
    workspace: Workspace,
) -> None:
    async def scenario() -> None:
        go_on = workspace.harness.paused_after(1)
        async with running_slack(workspace) as server, workspace.serving() as harness:
            workspace.ask(ADA, RUN)
            question = await workspace.approval_wanted()
            server.press(BOB, question["ts"], "Approve")
            await until(lambda: harness.restarts, "the first restart")
            await server.stop()
            go_on.set()
            await asyncio.to_thread(harness.launcher.join)
            assert harness.restarts == list(HOSTS), "the run did not wait"
            await server.start()
            server.lose_answers = 2
            await workspace.wait_for_end("FINISHED: ")
            await workspace.wait_for_picture()
            await until(
                lambda: workspace.texts_with(f"finished [{harness.run}]"), "the last progress"
            )
        workspace.assert_everything_posted_once()
        assert len(workspace.log()) == 2

    run_scenario(scenario())


def test_events_that_slack_repeats_are_executed_once(
    workspace: Workspace,
) -> None:
    """The same event in a new envelope, the same envelope, the same click; to a new bot too."""

    async def scenario() -> None:
        async with running_slack(workspace) as server:
            async with workspace.serving() as harness:
                ts = workspace.ask(ADA, RUN)
                await workspace.approval_wanted()
                event = {"type": "message", "user": ADA, "channel": OPS, "ts": ts, "text": RUN}
                again = server._envelope("events_api", envelope(event)) | {
                    "retry_attempt": 1, "retry_reason": "timeout",
                }  # fmt: skip
                for _ in range(2):
                    server._deliver(dict(again))
                server.deliver_event(event)
                question = await workspace.approval_wanted()
                click = server.press(BOB, question["ts"], "Approve")
                server.deliver_press(click)
                await until(lambda: workspace.texts_with("Approved by bob"), "the word")
            async with workspace.serving() as harness:
                server.deliver_event(event)
                server.deliver_press(click)
                await workspace.wait_for_end("FINISHED: ")
                workspace.ask(ADA, "holdfast help run")
                await until(lambda: workspace.texts_with("Run a runbook"), "it heard all of them")
        assert len(harness.launcher.launched) == 1
        assert (
            len(workspace.texts_with("Starting ["))
            == len(workspace.texts_with("Approved by bob"))
            == 1
        )
        assert approvers(workspace) == ["slack:T1/U3BOB"]
        workspace.assert_everything_posted_once()

    run_scenario(scenario())
    assert workspace.harness.restarts == list(HOSTS)


def envelope(event: dict[str, Json]) -> dict[str, Json]:
    """Return an event as Slack wraps it."""
    return {"type": "event_callback", "team_id": TEAM, "api_app_id": "A1", "event": event,
            "event_id": "EvAgain", "event_time": 0, "authorizations": []}  # fmt: skip


def test_two_presses_at_the_same_time_begin_one_run(workspace: Workspace) -> None:
    async def scenario() -> None:
        async with running_slack(workspace) as server, workspace.serving():
            workspace.ask(ADA, RUN)
            question = await workspace.approval_wanted()
            for user in (BOB, FOX, BOB):
                server.press(user, question["ts"], "Approve")
            await workspace.wait_for_end("FINISHED: ")
            await until(lambda: len(server.acked) >= 4, "every click")

    run_scenario(scenario())
    approvers_ = approvers(workspace)
    assert 1 <= len(approvers_) == len(set(approvers_)) <= 2
    assert len(workspace.harness.launcher.launched) == 1
    assert workspace.harness.restarts == list(HOSTS)


def test_a_button_of_an_expired_question_does_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, deadline_seconds=50)

    async def scenario() -> None:
        async with running_slack(workspace) as server, workspace.serving():
            workspace.ask(ADA, RUN)
            question = dict(await workspace.approval_wanted())
            await workspace.wait_for_end("REFUSED: ")
            standing = server._find(OPS, question["ts"])
            await until(lambda: workspace.labels(standing) == [], "no buttons any more")
            standing |= {"blocks": question["blocks"]}  # as on a screen that was not drawn again
            server.press(BOB, question["ts"], "Approve")
            await until(lambda: workspace.texts_with("does not wait for an approval"), "the answer")

    run_scenario(scenario())
    assert approvers(workspace) == []
    assert workspace.harness.restarts == []


def test_what_was_approved_is_what_runs_though_the_runbook_changed_meanwhile(
    workspace: Workspace,
) -> None:
    async def scenario() -> None:
        async with running_slack(workspace) as server, workspace.serving() as harness:
            workspace.ask(ADA, RUN)
            question = await workspace.approval_wanted()
            harness.write("roll: broker_restart.yml\nhosts: broker", "approve: And now?")
            harness.groups["broker"] = (*HOSTS, "ctl4")
            server.press(BOB, question["ts"], "Approve")
            await workspace.wait_for_end("FINISHED: ")

    run_scenario(scenario())
    assert workspace.harness.restarts == list(HOSTS)
    assert approvers(workspace) == ["slack:T1/U3BOB"]
