"""Real processes: a run goes on while the bot is killed; nothing is executed or posted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.unit.chat.chat_harness import ADA, RUN
from tests.unit.cli.cli_harness import BLOCKS, HOSTS
from tests.unit.engine.engine_harness import write_runbook

ROOT = Path(__file__).parents[3]
REASON = "openssl update, says {{ 7*7 }} $(id)"
PLANTED = "planted-secret-4711"


class BotProcesses:
    """Bot processes over one directory, one after the other, and the acts on the fleet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for directory in ("runbooks", "inventories/lab", "playbooks"):
            (path / directory).mkdir(parents=True)
        (path / "ansible.cfg").touch()
        write_runbook(path / "runbooks", *BLOCKS)
        self.bots: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "HOLDFAST_STATE_DIR": str(self.path), "PLANTED_TOKEN": PLANTED}
        environ |= {"HOLDFAST_PROJECT": str(self.path), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        with (self.path / "bot.log").open("ab") as log:
            bot = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.chat.bot_program", *(arguments or ["serve"])],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        self.bots.append(bot)
        return bot

    def say(self, text: str, event_id: str) -> None:
        message = {"event_id": event_id, "text": text, "location": {"channel": "room"}}
        message["person"] = {"id": ADA.id, "name": ADA.name}
        with (self.path / "received.jsonl").open("a") as lines:
            lines.write(json.dumps(message) + "\n")

    def posted(self) -> list[dict[str, Any]]:
        path = self.path / "posted.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def acts(self) -> list[list[str]]:
        path = self.path / "fleet.log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def restarts(self) -> list[str]:
        return [host for act, host, _ in self.acts() if act == "restart"]

    def until(self, holds: Callable[[], bool], what: str) -> None:
        for _ in range(600):
            if holds():
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"never: {what}\n{(self.path / 'bot.log').read_text()}")

    def end(self) -> None:
        drivers = {int(pid) for _, _, pid in self.acts()}
        for bot in self.bots:
            bot.kill()
            bot.wait()
        for driver in drivers:
            with suppress(ProcessLookupError):
                os.kill(driver, signal.SIGKILL)


@pytest.fixture
def bots(tmp_path: Path) -> Iterator[BotProcesses]:
    harness = BotProcesses(tmp_path)
    yield harness
    harness.end()


def finished(bots: BotProcesses) -> bool:
    return any("FINISHED: " in message["text"] for message in bots.posted())


def test_the_next_bot_posts_what_a_killed_one_missed(bots: BotProcesses) -> None:
    first = bots.start()
    bots.say(f"{RUN.partition(' reason ')[0]} reason {REASON}", "e1")
    bots.until(lambda: len(bots.restarts) >= 1, "the first restart")
    driver = int(bots.acts()[0][2])
    assert os.getsid(driver) == driver != first.pid, "a session of its own"

    for kept in ("cmdline", "environ"):
        text = Path(f"/proc/{driver}/{kept}").read_bytes().decode()
        assert "openssl" not in text
        assert PLANTED not in text

    first.send_signal(signal.SIGKILL)
    first.wait()
    assert len(bots.restarts) < len(HOSTS), "it was killed in mid-run"
    before = len(bots.posted())
    bots.until(lambda: len(bots.restarts) == len(HOSTS), "all restarts without a bot")
    assert len(bots.posted()) == before

    bots.start()
    bots.until(lambda: finished(bots), "FINISHED")
    bots.until(lambda: any("END (FINISHED)" in m["text"] for m in bots.posted()), "END")
    keys = [message["key"] for message in bots.posted()]
    assert len(keys) == len(set(keys))
    assert bots.restarts == list(HOSTS)
    assert {pid for _, _, pid in bots.acts()} == {str(driver)}
    assert sum(message["text"].startswith("START - ") for message in bots.posted()) == 1
    assert any(REASON in message["text"] for message in bots.posted())


def test_a_run_goes_on_after_the_bot_was_stopped(bots: BotProcesses) -> None:
    first = bots.start()
    bots.say(RUN, "e1")
    bots.until(lambda: len(bots.restarts) >= 1, "the first restart")
    first.terminate()
    assert first.wait(10) == 0
    bots.until(lambda: len(bots.restarts) == len(HOSTS), "all restarts without a bot")


def test_an_empty_request_starts_nothing(bots: BotProcesses) -> None:
    environ = {**os.environ, "HOLDFAST_STATE_DIR": str(bots.path), "PYTHONPATH": "src:."}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.chat.bot_program", "chat", "drive"],
        cwd=Path(__file__).parents[3],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert b"no request" in ended.stderr
    assert bots.acts() == []
