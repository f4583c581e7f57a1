"""Runs commands of the whole program against a fleet in memory and returns output and exit code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from holdfast.ansible.interfaces import PlayRunner
from holdfast.ansible.site_reader import NoSites, SiteReader
from holdfast.cli import main
from holdfast.cli.app import app
from holdfast.cli.context import Adapters, CommandContext
from holdfast.cli.output_stream import OutputStream
from holdfast.cli.progress import ProgressDisplay, progress_display
from holdfast.engine.planner import Planner
from holdfast.errors import InvalidInput, StateUnusable
from holdfast.model import Json
from holdfast.policy import PlaybookPolicy
from holdfast.settings import MACHINE_DIRECTORY, Settings
from holdfast.store.database import Store, open_store
from tests.fakes.fleet import FakeFleet, deliver_at_once
from tests.fakes.play_runner import FakeRunner
from tests.unit.engine.engine_harness import (
    FakeInventory,
    FakePlaybooks,
    make_policy,
    write_runbook,
)

HOSTS = ("ctl1", "ctl2", "ctl3")
BLOCKS = (
    "check: [fake.all_serve]",
    "roll: broker_restart.yml\nhosts: broker",
    "wait: {gates: [fake.all_serve], seconds: 10}",
)
PEOPLE = "people: {ada: ['login:ada'], bob: ['login:bob', 'memory:bob'], eve: ['login:eve']}\n"


class FakeTerminalInput(StringIO):
    """Standard input with prepared answers, which claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class CliResult:
    """The output and the exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        return self.out + self.err


@dataclass
class InMemoryProject:
    """A project with a runbook called broker-restart, a site called lab and a fleet in memory."""

    path: Path
    fleet: FakeFleet = field(default_factory=lambda: FakeFleet.of(list(HOSTS)))
    groups: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"broker": HOSTS})
    policies: dict[str, PlaybookPolicy] = field(
        default_factory=lambda: {"broker_restart.yml": make_policy()}
    )
    environ: dict[str, str] = field(default_factory=dict)
    writable: bool = True  # the state database
    runner: Callable[[PlayRunner], PlayRunner] = lambda runner: runner
    display: Callable[[Console, Callable[[], datetime]], ProgressDisplay] = progress_display
    sites: SiteReader = field(default_factory=NoSites)
    clock_ahead: timedelta = timedelta(0)  # of the controller's clock before the database's
    machine_state: Path = MACHINE_DIRECTORY

    def __post_init__(self) -> None:
        for directory in ("playbooks", "runbooks", "inventories/lab", "inventories/example"):
            (self.path / directory).mkdir(parents=True)
        (self.path / "ansible.cfg").touch()
        self.write(*BLOCKS)
        (self.path / "people.yml").write_text(PEOPLE)
        self.environ |= {"HOLDFAST_STATE_DIR": str(self.state), "SUDO_USER": "ada"}

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def acts(self) -> list[str]:
        """What was really done, by the fleet's own record."""
        return [f"{done.action} {done.host}" for done in self.fleet.history]

    def write(self, *blocks: str, name: str = "broker-restart", inputs: str = "{}") -> Path:
        return write_runbook(self.path / "runbooks", *blocks, name=name, inputs=inputs)

    def adapters(self, _: CommandContext) -> Adapters:
        return Adapters(
            runner=lambda settings: self.runner(self.make_runner(settings)),
            planner=Planner(FakeInventory(self.groups), FakePlaybooks(self.policies), claim_group),
            sites=self.sites,
            wait=self.fleet.clock.wait,
            delivery=deliver_at_once,
            background=self.fleet.clock.background,
        )

    def make_runner(self, settings: Settings) -> FakeRunner:
        return FakeRunner(self.fleet, self.open_store(settings))

    def open_store(self, settings: Settings) -> Store:
        """Open the state; its leases go by the fleet's clock."""
        if not self.writable:
            raise StateUnusable("attempt to write a readonly database", remedy="make it writable")
        return open_store(settings, clock=lambda _: self.fleet.clock())

    def call(
        self,
        *arguments: str,
        typed: str | None = None,
        terminal: bool = False,
        width: int = 120,
    ) -> CliResult:
        """Run a command; ``typed`` is entered at its prompts."""
        out, err = StringIO(), StringIO()
        consoles = (
            Console(
                file=OutputStream(stream).as_text_io(),
                width=width,
                force_terminal=terminal,
                _environ={},
            )
            for stream in (out, err)
        )
        context = CommandContext(
            environ=self.environ,
            directory=self.path,
            out=next(consoles),
            err=next(consoles),
            stdin=StringIO() if typed is None else FakeTerminalInput(typed),
            now=lambda: self.fleet.clock() + self.clock_ahead,
            adapters=self.adapters,
            state=self.open_store,
            login=lambda environ: environ["SUDO_USER"],
            display=self.display,
            machine_state=self.machine_state,
        )
        try:
            main(arguments, context)
        except SystemExit as end:
            result = CliResult(int(end.code or 0), out.getvalue(), err.getvalue())
        if arguments[0] != "chat":  # what its runs say is shown in chat, where it is typed
            assert_suggestions_can_be_typed(result.output)
        return result


_SUGGESTION = re.compile(
    r"^\s*(?:next:|to (?:continue|try again|give up|follow|stop)|for details)?\s+(holdfast [a-z].*)$",
    re.MULTILINE,
)


def assert_suggestions_can_be_typed(output: str) -> None:
    """Parse every command that an output suggests on a line of its own, as the program itself would."""
    program: Any = typer.main.get_command(app)
    for found in _SUGGESTION.finditer(output):
        command, (name, *arguments) = program, shlex.split(found[1])
        with program.context_class(program, info_name="holdfast") as context:
            while hasattr(command, "resolve_command"):
                assert arguments, f"not a whole command: {found[1]}"
                name, command, arguments = command.resolve_command(context, arguments)
            command.make_context(name, arguments, parent=context)


def claim_group(entry: Json) -> str:
    name = entry if isinstance(entry, str) else entry["claim"]
    if name == "fake.serves":  # a claim about the host that is asked
        return ""
    if name not in {"fake.all_serve", "fake.none_left", "standing", "puppet.previewed"}:
        raise InvalidInput(f"there is no claim {name!r}; did you mean fake.all_serve?")
    return "broker"
