"""A bot over a fleet in memory: people type commands, runs are driven in threads, time runs fast."""

from __future__ import annotations

import asyncio
import re
import shlex
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from holdfast.chat.bot import Bot
from holdfast.chat.command_parser import addressed, parse
from holdfast.chat.config import Config
from holdfast.chat.delivery_state import DeliveryState
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.permissions import Permissions
from holdfast.chat.picture import as_png
from holdfast.chat.run_launcher import ProcessLauncher, ProcessOutput
from holdfast.chat.run_request import RunRequest, drive
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import Button, Location, Person
from holdfast.chat.transports.base import Transport
from holdfast.cli.app import app
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.engine import Engine
from holdfast.engine.planner import Planner
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.model import Holder, Json
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.fakes.chat_transport import FakeTransport
from tests.fakes.fleet import FakeClock, FakeFleet, deliver_at_once
from tests.fakes.play_runner import FakeRunner
from tests.unit.cli.cli_harness import BLOCKS, HOSTS, claim_group
from tests.unit.engine.engine_harness import (
    FakeInventory,
    FakePlaybooks,
    make_policy,
    write_runbook,
)

SPEED = 25.0
"""Seconds of the fleet's time in one second of real time."""

WITH_SERVERS = 10.0
"""The same beside real servers, which may be slow: a lease must not expire meanwhile."""

ADA = Person("memory:ada", "Ada")  # operator
BOB = Person("memory:bob", "Bob")  # approver
CAT = Person("memory:cat", "Cat")  # viewer
DOT = Person("memory:dot", "Dot")  # operator and approver
FOX = Person("memory:fox", "Fox")  # another approver
EVE = Person("memory:eve", "ada")  # a stranger who calls herself ada
CHANNEL = Location("room")
RUN = "holdfast run broker-restart lab reason openssl update"
TOKEN = "planted-secret-4711"  # noqa: S105  # searched for in everything that is written

CONFIG: dict[str, Json] = {
    "transports": {"memory": {}},
    "people": {
        name: [f"memory:{name}", f"login:{name}"] for name in ("ada", "bob", "cat", "dot", "fox")
    },
    "sites": {"lab": {"channel": {"transport": "memory", "channel": "room"}}},
    "roles": [
        {"role": "operator", "people": ["ada", "dot"], "sites": ["lab"]},
        {"role": "approver", "people": ["bob", "dot", "fox"], "sites": ["lab"]},
        {"role": "viewer", "people": ["cat"], "sites": ["lab"]},
    ],
    "log": {"transport": "memory", "channel": "log"},
}


@dataclass
class FastClock(FakeClock):
    """A clock that runs ``speed`` times as fast as real time."""

    speed: float = SPEED
    began: float = field(default_factory=time.monotonic)
    stands_still: datetime | None = None

    def __call__(self) -> datetime:
        return self.stands_still or self.now + timedelta(
            seconds=(time.monotonic() - self.began) * self.speed
        )

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds / self.speed)
        for listener in tuple(self.on_tick):
            listener()

    def stand_still(self, go_on: threading.Event) -> None:
        """Stop the clock until the event is set, so that no lease expires meanwhile."""
        self.stands_still = self()
        assert go_on.wait(120), "nobody let time go on"
        self.now, self.began = self.stands_still, time.monotonic()
        self.stands_still = None

    async def sleep(self, seconds: float) -> None:
        await asyncio.to_thread(threading.Event().wait, seconds / self.speed)


class ThreadLauncher(ProcessLauncher):
    """Launches runs as threads; they outlive a bot, not this process."""

    def __init__(self, engine: Callable[[], Engine], clock: Callable[[], datetime]) -> None:
        self.engine, self.clock = engine, clock
        self.launched: list[RunRequest] = []
        self.checked: list[tuple[Path, tuple[str, ...]]] = []
        self._threads: dict[str, threading.Thread] = {}
        self._outputs: dict[str, ProcessOutput] = {}

    def launch(self, request: RunRequest) -> None:
        self.launched.append(request)
        sent = type(request).model_validate_json(request.model_dump_json())
        thread = threading.Thread(target=self._drive, args=(sent,), daemon=True)
        self._threads[request.run] = thread
        thread.start()

    def is_alive(self, run: str) -> bool:
        return run in self._threads and self._threads[run].is_alive()

    def output(self, run: str) -> ProcessOutput | None:
        return self._outputs.get(run)

    def check(self, inventory: Path, claims: Sequence[str]) -> str:
        self.checked.append((inventory, tuple(claims)))
        return "PASS: 1 of 1 claim passed"

    def diagnose(self, inventory: Path) -> str:
        self.checked.append((inventory, ("diagnose",)))
        return "nothing is wrong: 1 claim passed"

    def join(self) -> None:
        for thread in self._threads.values():
            thread.join(20)
            assert not thread.is_alive()

    def _drive(self, request: RunRequest) -> None:
        try:
            drive(request, self.engine())
        except HoldfastError as error:
            self._outputs[request.run] = ProcessOutput(str(error), self.clock())


_SUGGESTION = re.compile(
    r"(?:(?:next|to say no|type): |(?:to continue|to try again|to give up|for details|for the cause|see also) {2,})"
    r"(holdfast [^\n,;(]+)"
)


def suggestions(text: str) -> list[str]:
    """Return the commands that a message tells people to type."""
    return [found.strip() for found in _SUGGESTION.findall(text)]


def assert_terminal_takes(suggestion: str) -> None:
    """Fail if the command line does not parse a command; ``help`` is chat's own."""
    _, *words = shlex.split(suggestion)
    command: Any = typer.main.get_command(app)  # typer has no public type for "command or group"
    while isinstance(command, TyperGroup) and words and words[0] != "help":
        command = command.commands[words.pop(0)]
    if not isinstance(command, TyperGroup):
        command.make_context(suggestion, words)


def replace_dependencies(bot: Bot, **changed: Any) -> None:
    """Give a bot and its parts other dependencies."""
    bot.dependencies = bot.commands.dependencies = replace(bot.dependencies, **changed)
    for publisher in bot.publishers:
        publisher.dependencies = bot.dependencies


@dataclass
class ChatHarness:
    """A project with broker-restart, a site called lab, a bot, and a log channel.

    ``transport`` is what the bot serves; without one it is ``chat``, in memory.
    """

    path: Path
    config: dict[str, Json] = field(default_factory=lambda: dict(CONFIG))
    platform: FakeTransport = field(default_factory=FakeTransport)
    transport: Transport | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"broker": HOSTS})
    drivers: int = 0
    speed: float = SPEED
    pauses: list[threading.Event] = field(default_factory=list)
    draw: Callable[[str], bytes] = as_png

    def __post_init__(self) -> None:
        for directory in ("runbooks", "inventories/lab"):
            (self.path / directory).mkdir(parents=True)
        self.write(*BLOCKS)
        self.clock = FastClock(speed=self.speed)
        self.fleet = FakeFleet.of(list(HOSTS))
        self.fleet.clock = self.clock
        self.settings = Settings(f"sqlite:///{self.path / 'state.db'}", self.path)
        self.gone: set[int] = set()
        self.store = open_store(
            self.settings,
            gone=lambda holder: holder.process in self.gone,
            clock=lambda _: self.clock(),
        )
        self.launcher = ThreadLauncher(self.engine, self.clock)

    def write(self, *blocks: str, name: str = "broker-restart", inputs: str = "{}") -> Path:
        return write_runbook(self.path / "runbooks", *blocks, name=name, inputs=inputs)

    def engine(self) -> Engine:
        self.drivers += 1
        process = self.drivers
        return Engine(
            Dependencies(
                store=self.store,
                runner=FakeRunner(self.fleet, self.store),
                planner=Planner(
                    inventories=FakeInventory(self.groups),
                    playbooks=FakePlaybooks({"broker_restart.yml": make_policy()}),
                    claim_group=claim_group,
                ),
                wait=self.clock.wait,
                clock=self.clock,
                holder=lambda run, by, reason: Holder(
                    run, by, reason, "ctl", "boot", process, process
                ),
                delivery=deliver_at_once,
                background=self.clock.background,
            )
        )

    def paused_after(self, restarts: int) -> threading.Event:
        """Stop the clock after that many restarts, until the event is set."""
        go_on = threading.Event()
        self.pauses.append(go_on)

        def pause() -> None:
            if len(self.restarts) >= restarts and not go_on.is_set():
                self.clock.stand_still(go_on)

        self.clock.on_tick.append(pause)
        return go_on

    def bot(self) -> Bot:
        config = Config.model_validate(self.config)
        dependencies = BotDependencies(
            config=config,
            permissions=Permissions(config),
            engine=self.engine(),
            store=self.store,
            delivery=DeliveryState(self.path / "chat.db"),
            launcher=self.launcher,
            runbooks=lambda: {p.stem: p for p in (self.path / "runbooks").glob("*.md")},
            inventories=lambda: {p.name: p for p in (self.path / "inventories").iterdir()},
            scrub=Scrubber({TOKEN}),
            clock=self.clock,
            wait=self.clock.sleep,
            draw=self.draw,
        )
        return Bot(dependencies, [self.transport or self.platform])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Bot]:
        """Serve a bot inside this context, and cancel it at the end."""
        bot = self.bot()
        task = asyncio.ensure_future(bot.serve())
        await asyncio.wait([task], timeout=0.05)
        try:
            yield bot
            if task.done():
                task.result()
            self.assert_suggestions_can_be_typed()
        finally:
            for pause in self.pauses:
                pause.set()
            task.cancel()
            await asyncio.wait([task])

    def assert_suggestions_can_be_typed(self) -> None:
        """Fail if a message names a command that chat, or a terminal, does not take as it stands."""
        for text in self.platform.texts():
            for suggestion in suggestions(text):
                typed = addressed(suggestion)
                assert typed is not None, suggestion
                # After a mistake in chat, how a command is typed there, with RUN and WHY in capitals.
                if not re.search(r"\b(RUN|WHY|RUNBOOK)\b", suggestion):
                    assert_terminal_takes(suggestion)
                try:
                    parse(typed)
                except InvalidInput as error:
                    if "needs a reason" not in error.message:
                        raise AssertionError(f"{suggestion!r} of {text!r}: {error}") from error

    async def ask(
        self, person: Person, text: str, bot: Bot, location: Location = CHANNEL, event_id: str = ""
    ) -> str:
        """Write a message and return the bot's reply, "" if there is none."""
        before = len(self.platform.messages)
        await self.platform.say(person, text, location, event_id)
        await asyncio.wait_for(self.platform.all_received(), 60)
        await bot.settled()
        new = [m for m in self.platform.messages[before:] if m.key.startswith("reply/")]
        return "\n".join(f"{m.message.text}\n{m.message.code}" for m in new)

    async def press(self, person: Person, label: str, bot: Bot, event_id: str = "") -> str:
        """Press the newest button of that label, and return the bot's reply."""
        found, location = next(
            (button, message.location)
            for message in reversed(self.platform.messages)
            for button in (
                *message.message.buttons,
                *(b for m in message.before for b in m.buttons),
            )
            if button.label == label
        )
        return await self.press_token(person, found, bot, location, event_id)

    async def press_token(  # as a person sees it: who, what, where
        self,
        person: Person,
        button: Button,
        bot: Bot,
        location: Location = CHANNEL,
        event_id: str = "",
    ) -> str:
        before = len(self.platform.messages)
        await self.platform.press(person, button, location, event_id)
        await asyncio.wait_for(self.platform.all_received(), 60)
        await bot.settled()
        new = [m for m in self.platform.messages[before:] if m.key.startswith("reply/")]
        return "\n".join(f"{m.message.text}\n{m.message.code}" for m in new)

    async def until(self, holds: Callable[[], bool], what: str = "") -> None:
        """Wait until a condition holds."""
        for _ in range(
            6000
        ):  # a minute: a busy machine is slow, and this waits no longer than it must
            if holds():
                return
            await asyncio.to_thread(threading.Event().wait, 0.01)
        raise AssertionError(f"never: {what}\n" + "\n---\n".join(self.platform.texts()))

    async def until_posted(self, part: str) -> None:
        await self.until(lambda: any(part in text for text in self.platform.texts()), part)

    async def until_logged(self, part: str) -> None:
        await self.until(lambda: any(part in line for line in self.log()), part)

    def texts_with(self, part: str) -> list[str]:
        """Return all messages with that part."""
        return [text for text in self.platform.texts() if part in text]

    def log(self) -> list[str]:
        """Return the messages of the log channel."""
        return [m.message.text for m in self.platform.messages if m.location.channel == "log"]

    @property
    def restarts(self) -> list[str]:
        """Return the hosts that were restarted, by the fleet's own record."""
        return [done.host for done in self.fleet.history if done.action == "restart"]

    @property
    def run(self) -> str:
        """Return the newest run."""
        return self.store.runs()[0]

    def everything(self) -> Mapping[str, str]:
        """Return everything that was written: messages, files, the journal, chat's own state."""
        written = {f"message {n}": text for n, text in enumerate(self.platform.texts())}
        written |= {
            name: data.decode(errors="replace") for name, (_, data) in self.platform.files.items()
        }
        for run in self.store.runs():
            for recorded in self.store.read(run):
                written[f"{run}/{recorded.seq}"] = recorded.model_dump_json()
        return written | {"chat.db": (self.path / "chat.db").read_bytes().decode("latin-1")}
