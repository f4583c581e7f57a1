"""The real program over a fleet in memory and a chat platform in files: for tests that kill processes.

    python -m tests.unit.chat.bot_program serve DIRECTORY     the bot
    python -m tests.unit.chat.bot_program chat drive          what it starts for each run
    python -m tests.unit.chat.bot_program chat serve …        the bot, on the platforms of a configuration

People write by appending to ``received.jsonl``; the bot's messages are in ``posted.jsonl``; what was done to the
fleet is in ``fleet.log``, written by the fleet itself. The directory is named by HOLDFAST_STATE_DIR.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from holdfast.chat.backoff import sleep
from holdfast.chat.bot import Bot
from holdfast.chat.bot_service import serve
from holdfast.chat.config import Config
from holdfast.chat.delivery_state import DeliveryState
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.permissions import Permissions
from holdfast.chat.run_launcher import ProcessLauncher
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import (
    ButtonPress,
    Location,
    Message,
    Person,
    Posted,
    ReceivedMessage,
    Unreachable,
)
from holdfast.chat.transports.base import Deliver, Transport
from holdfast.cli import main
from holdfast.cli.context import Adapters, CommandContext
from holdfast.engine.planner import Planner
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.fakes.chat_transport import CAPABILITIES
from tests.fakes.fleet import FakeClock, FakeFleet
from tests.fakes.play_runner import FakeRunner
from tests.unit.chat.chat_harness import CONFIG
from tests.unit.cli.cli_harness import HOSTS, claim_group
from tests.unit.engine.engine_harness import FakeInventory, FakePlaybooks, make_policy

DIRECTORY = Path(os.environ.get("HOLDFAST_STATE_DIR", "."))
TASK_SECONDS = 0.15
PROGRAM = (sys.executable, "-m", "tests.unit.chat.bot_program")


class RealClock(FakeClock):
    """Real time; a second of waiting is a part of a second."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds * TASK_SECONDS)
        for listener in tuple(self.on_tick):
            listener()


class WrittenFleet(FakeFleet):
    """A fleet whose record outlives the process that acts on it."""

    def record(self, host: str, action: str, run: str, unit: str) -> None:
        super().record(host, action, run, unit)
        with (DIRECTORY / "fleet.log").open("a") as log:
            log.write(f"{action} {host} {os.getpid()}\n")


class FileTransport(Transport):
    """A platform that outlives every bot: it knows its keys, as Matrix knows transaction ids."""

    name = "memory"
    capabilities = CAPABILITIES
    lost_errors = (Unreachable,)

    async def receive(self, deliver: Deliver) -> None:
        """Deliver everything from the beginning, again after every start: re-deliveries."""
        delivered = 0
        while True:
            lines = lines_of("received.jsonl")
            for text in lines[delivered:]:
                line = json.loads(text)
                person, location = Person(**line["person"]), Location(**line["location"])
                if "token" in line:
                    press = ButtonPress(line["event_id"], person, location, line["token"])
                    await deliver(press, 0.0)
                else:
                    message = ReceivedMessage(line["event_id"], person, location, line["text"])
                    await deliver(message, 0.0)
            delivered = len(lines)
            await sleep(0.05)

    async def post(self, location: Location, message: Message, key: str) -> Posted:
        for line in lines_of("posted.jsonl"):
            if json.loads(line)["key"] == key:
                return Posted(location, key)
        self._write(key, location, message)
        return Posted(location, key)

    async def edit(self, posted: Posted, message: Message) -> None:
        return None

    async def upload(self, location: Location, name: str, data: bytes, key: str) -> None:
        await self.post(location, Message(name), key)

    def _write(self, key: str, location: Location, message: Message) -> None:
        with (DIRECTORY / "posted.jsonl").open("a") as posted:
            posted.write(
                json.dumps({"key": key, "location": asdict(location)} | asdict(message)) + "\n"
            )


def lines_of(name: str) -> list[str]:
    path = DIRECTORY / name
    return path.read_text().splitlines() if path.exists() else []


def adapters(_: CommandContext) -> Adapters:
    fleet = WrittenFleet.of(list(HOSTS))
    fleet.clock = RealClock()
    return Adapters(
        runner=lambda settings: FakeRunner(fleet, open_store(settings)),
        planner=Planner(
            FakeInventory({"broker": HOSTS}),
            FakePlaybooks({"broker_restart.yml": make_policy()}),
            claim_group,
        ),
        wait=fleet.clock.wait,
    )


def command_context() -> CommandContext:
    return CommandContext(
        environ=os.environ,
        directory=DIRECTORY,
        out=Console(file=sys.stdout),
        err=Console(file=sys.stderr),
        stdin=sys.stdin,
        now=lambda: datetime.now(UTC),
        adapters=adapters,
        program=PROGRAM,
    )


def bot() -> None:
    at = command_context()
    settings = Settings(f"sqlite:///{DIRECTORY / 'state.db'}", DIRECTORY)
    launcher = ProcessLauncher(
        logs=DIRECTORY / "logs",
        directory=Path.cwd(),
        environ={k: v for k, v in os.environ.items() if k != "PLANTED_TOKEN"},
        command=PROGRAM,
    )
    config = Config.model_validate(CONFIG)
    dependencies = BotDependencies(
        config=config,
        permissions=Permissions(config),
        engine=at.engine(),
        store=open_store(settings),
        delivery=DeliveryState(DIRECTORY / "chat.db"),
        launcher=launcher,
        runbooks=lambda: {p.stem: p for p in (DIRECTORY / "runbooks").glob("*.md")},
        inventories=lambda: {"lab": DIRECTORY / "inventories/lab"},
        scrub=Scrubber(),
        clock=at.now,
    )
    serve(Bot(dependencies, [FileTransport()]))


if __name__ == "__main__":
    bot() if sys.argv[1:] == ["serve"] else main(sys.argv[1:], command_context())
