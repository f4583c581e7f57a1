"""The real program over a fleet in memory and a chat in files: for tests that kill processes.

    python -m tests.unit.chat.program serve DIRECTORY     the bot
    python -m tests.unit.chat.program chat drive          what it starts for each run
    python -m tests.unit.chat.program chat serve …        the bot as it is served, on the platforms of a configuration

People speak by appending to ``said.jsonl``; what stands in the room is ``posted.jsonl``; what was done to the
fleet is ``fleet.log``, written by the fleet itself. The directory is named by HOLDFAST_STATE_DIR.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from holdfast.ansible.fake_fleet import FakeClock, FakeFleet
from holdfast.ansible.fake_runner import FakeRunner
from holdfast.chat.bot import passing
from holdfast.chat.config import Config
from holdfast.chat.fake_transport import ABLE
from holdfast.chat.ledger import Ledger
from holdfast.chat.run_launcher import Processes
from holdfast.chat.secrets import Scrubber
from holdfast.chat.server import BotDependencies, build_bot, serve
from holdfast.chat.transport import Abilities, Heard, Message, Person, Place, Posted, Pressed
from holdfast.cli import main
from holdfast.cli.context import Adapters, CommandContext
from holdfast.engine import Planner
from holdfast.settings import Settings
from holdfast.store import open_store
from tests.unit.chat.rooms import CONFIG
from tests.unit.cli.desks import HOSTS, claim_group
from tests.unit.engine.engine_harness import FakeInventory, FakePlaybooks, make_policy

DIRECTORY = Path(os.environ.get("HOLDFAST_STATE_DIR", "."))
TASK_SECONDS = 0.15
PROGRAM = (sys.executable, "-m", "tests.unit.chat.program")


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


@dataclass
class FileChat:
    """A platform that outlives every bot: it knows its keys, as Matrix knows transaction ids."""

    name: str = "memory"
    abilities: Abilities = ABLE
    keys: dict[str, Posted] = field(default_factory=dict)

    async def listen(self, hear: Callable[[Heard | Pressed], Awaitable[None]]) -> None:
        """Deliver everything from the beginning, again after every start: re-deliveries."""
        heard = 0
        while True:
            lines = lines_of("said.jsonl")
            for line in lines[heard:]:
                said = json.loads(line)
                person, place = Person(**said["person"]), Place(**said["place"])
                if "token" in said:
                    await hear(Pressed(said["ident"], person, place, said["token"]))
                else:
                    await hear(Heard(said["ident"], person, place, said["text"]))
            heard = len(lines)
            await passing(0.05)

    async def post(self, place: Place, message: Message, key: str) -> Posted:
        for line in lines_of("posted.jsonl"):
            if json.loads(line)["key"] == key:
                return Posted(place, key)
        self._write(key, place, message)
        return Posted(place, key)

    async def edit(self, posted: Posted, message: Message) -> None:
        return None

    async def upload(self, place: Place, name: str, data: bytes, key: str) -> None:
        await self.post(place, Message(name), key)

    def _write(self, key: str, place: Place, message: Message) -> None:
        with (DIRECTORY / "posted.jsonl").open("a") as posted:
            posted.write(json.dumps({"key": key, "place": asdict(place)} | asdict(message)) + "\n")


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


def desk() -> CommandContext:
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
    at = desk()
    settings = Settings(f"sqlite:///{DIRECTORY / 'state.db'}", DIRECTORY)
    launcher = Processes(
        logs=DIRECTORY / "logs",
        directory=Path.cwd(),
        environ={k: v for k, v in os.environ.items() if k != "PLANTED_TOKEN"},
        command=PROGRAM,
    )
    around = BotDependencies(
        engine=at.engine(),
        store=open_store(settings),
        launcher=launcher,
        runbooks=lambda: {p.stem: p for p in (DIRECTORY / "runbooks").glob("*.md")},
        inventories=lambda: {"lab": DIRECTORY / "inventories/lab"},
        clock=at.now,
    )
    config = Config.model_validate(CONFIG)
    ledger = Ledger(DIRECTORY / "chat.db")
    serve(build_bot(config, around, [FileChat()], ledger, Scrubber()))


if __name__ == "__main__":
    bot() if sys.argv[1:] == ["serve"] else main(sys.argv[1:], desk())
