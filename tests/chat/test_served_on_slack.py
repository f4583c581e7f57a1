"""``holdfast chat serve`` as a process of its own, killed and started again, on a local Slack server."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chat.servers.slack import APP_TOKEN, BOT_TOKEN
from tests.chat.test_whole_on_slack import ADA, BOB, OPS, RUN, Workspace
from tests.chat.transport_harness import run_scenario, until
from tests.unit.chat.test_bot_killed import BotProcesses
from tests.unit.cli.cli_harness import HOSTS


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[BotProcesses]:
    bots = BotProcesses(tmp_path / "served")
    yield bots
    bots.end()


def served(bots: BotProcesses, workspace: Workspace) -> subprocess.Popen[bytes]:
    """Start the bot, as its service does."""
    section: dict[str, object] = {
        "base_url": workspace.slack.base_url,
        "timeout_seconds": 5,
        "ping_seconds": 0.3,
    }
    for name, token in {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN}.items():
        path = bots.path / name
        path.write_text(token)
        path.chmod(0o600)
        section[name] = {"file": str(path)}
    config = bots.path / "chat.yml"
    config.write_text(yaml.safe_dump(workspace.config | {"transports": {"slack": section}}))
    return bots.start("chat", "serve", "--config", str(config))


async def killed(bot: subprocess.Popen[bytes], workspace: Workspace) -> None:
    """Kill the bot, and wait until the server has noticed."""
    os.kill(bot.pid, signal.SIGKILL)
    bot.wait(30)
    await until(lambda: not workspace.slack.connected.is_set(), "Slack has noticed")


def test_a_bot_killed_twice_in_a_run_posts_everything_once(
    tmp_path: Path, bots: BotProcesses
) -> None:
    """Once while an approval is needed and given meanwhile; once between two restarts."""

    async def scenario() -> None:
        workspace = Workspace(tmp_path)
        await workspace.slack.start()
        try:
            first = served(bots, workspace)
            await until(workspace.slack.connected.is_set, "the bot")
            ts = workspace.ask(ADA, RUN)
            question = await workspace.approval_wanted()
            await killed(first, workspace)
            click = workspace.slack.press(BOB, question["ts"], "Approve")
            assert bots.restarts == []

            second = served(bots, workspace)
            workspace.slack.deliver_event(
                {"type": "message", "user": ADA, "channel": OPS, "ts": ts, "text": RUN}
            )
            await until(lambda: bots.restarts, "the first restart")
            await killed(second, workspace)
            before = [text for text, _ in workspace.messages()]
            assert len(bots.restarts) < len(HOSTS), "it was killed in mid-run"
            await until(lambda: len(bots.restarts) == len(HOSTS), "all restarts without a bot")
            assert [text for text, _ in workspace.messages()] == before

            third = served(bots, workspace)
            workspace.slack.deliver_press(click)
            await workspace.wait_for_end("FINISHED: ")
            await workspace.wait_for_picture()
            await until(lambda: "given by bob" in there_now(workspace), "who approved")
            assert [line.partition(" - ")[0] for line in workspace.log()] == [
                "START",
                "END (FINISHED)",
            ]
            assert len(workspace.texts_with("Starting [")) == 1
            assert len(workspace.texts_with("3 restarts on 3 hosts")) == 1
            workspace.assert_everything_posted_once()
            assert len(list((bots.path / "chat/runs").glob("*.log"))) == 1, "one run was started"
            third.terminate()
            third.wait(30)
        finally:
            await workspace.slack.stop()
        assert bots.restarts == list(HOSTS)
        assert len({driver for _, _, driver in bots.acts()}) == 1, "one process, from start to end"
        log = (bots.path / "bot.log").read_text()
        assert BOT_TOKEN not in log
        assert APP_TOKEN not in log

    def there_now(workspace: Workspace) -> str:
        return "\n".join(text for text, _ in workspace.messages())

    run_scenario(scenario())
