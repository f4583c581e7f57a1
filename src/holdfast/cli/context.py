"""What every command works with, built once: streams, clock, state, project.

Tests build a Desk of their own; nothing below reads the environment or the clock by itself.
"""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from holdfast.ansible.environment import find_project
from holdfast.ansible.interfaces import PlayRunner
from holdfast.cli import project
from holdfast.engine import Dependencies, Engine, Planner, Progress, driver_of, find_run
from holdfast.engine.lease_keeper import Background, every_second
from holdfast.errors import InvalidInput, Refused
from holdfast.journal import RunState
from holdfast.journal.events import Recorded
from holdfast.settings import Settings, load_settings
from holdfast.store import Store, open_store

BUG = 70
Listener = Callable[[Progress | Recorded], None]


@dataclass(frozen=True)
class Adapters:
    """What reaches beyond this process: Ansible, the claims that its plays know, passing time.

    ``runner`` gives a runner whose plays keep their state where these settings say.
    """

    runner: Callable[[Settings], PlayRunner]
    planner: Planner
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    background: Background = every_second


class Declined(Refused):
    """The person at the terminal said no; nothing was touched."""

    exit_code = 5


@dataclass
class CommandContext:
    """One invocation of the program."""

    environ: Mapping[str, str]
    directory: Path
    out: Console
    err: Console
    stdin: TextIO
    now: Callable[[], datetime]
    adapters: Callable[[CommandContext], Adapters]
    program: Sequence[str] = (sys.executable, "-m", "holdfast.cli")  # this program, as started anew
    run: str = field(default="", init=False)  # the run at hand, for the message about a bug
    bug_code: int = field(default=BUG, init=False)

    @cached_property
    def settings(self) -> Settings:
        """Where state lives."""
        return load_settings(self.environ)

    @cached_property
    def store(self) -> Store:
        """The journal and the leases."""
        return open_store(self.settings)

    @cached_property
    def root(self) -> Path:
        """The project's directory."""
        return find_project(self.environ, self.directory)

    def site(self, wanted: str) -> Path:
        """Return the inventory that --site, HOLDFAST_SITE or the lack of a choice means."""
        return project.site(self.root, wanted or self.environ.get("HOLDFAST_SITE", ""))

    def engine(self, listener: Listener = lambda _: None) -> Engine:
        """Build the engine of this invocation."""
        adapters = self.adapters(self)
        return Engine(
            Dependencies(
                store=self.store,
                runner=adapters.runner(self.settings),
                planner=adapters.planner,
                wait=adapters.wait,
                background=adapters.background,
                clock=self.now,
                listener=listener,
            )
        )

    def planner(self) -> Planner:
        """Return what makes plans; the state is not opened for it."""
        return self.adapters(self).planner

    @contextmanager
    def busy(self, what: str) -> Iterator[Callable[[str], None]]:
        """Say what is being done, on a terminal, while it is done; gives a way to say more."""
        if not self.err.is_terminal:
            yield lambda _: None
            return
        with self.err.status(Text(f"{what} …", "dim")) as status:
            yield lambda words: status.update(Text(f"{what}: {words}", "dim"))

    @property
    def by(self) -> str:
        """Who is asking: the login name, also behind sudo."""
        return self.environ.get("SUDO_USER") or getpass.getuser()

    def show(self, what: RenderableType) -> None:
        """Print for a person."""
        self.out.print(what, highlight=False, markup=False, crop=False)

    def emit(self, text: str) -> None:
        """Print for a program: unwrapped, uncoloured."""
        self.out.print(Text(text), soft_wrap=True, no_wrap=True, crop=False, style="")

    @property
    def alone(self) -> bool:
        """Whether whoever read standard output has gone."""
        return getattr(self.out.file, "gone", False)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on only with somebody's word: ``--yes``, or y on a terminal.

        Raises:
            InvalidInput: there is nobody to ask.
            Declined: the answer was no.
        """
        if yes:
            return
        if not self.stdin.isatty():
            raise InvalidInput(
                "Nobody can be asked here (standard input is no terminal); nothing was touched",
                remedy="repeat the command with --yes",
            )
        self.err.print(Text(f"{question} [y/N] ", style="bold"), end="")
        if self.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Declined("Nothing was touched")

    def journal(self, wanted: str) -> Sequence[Recorded]:
        """Return the events of a run, named as for ``find_run``.

        Raises:
            InvalidInput: no run, or more than one, is meant.
        """
        self.run = find_run(self.store, wanted)
        return self.store.read(self.run)

    def driven(self, state: RunState) -> bool:
        """Tell whether, as far as can be known, a living process drives this run."""
        return driver_of(self.store, state, self.now()) is not None
