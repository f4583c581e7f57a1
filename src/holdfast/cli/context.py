"""What every command works with, built once: streams, clock, state, project.

Tests build a context of their own; no command reads the environment or the clock by itself.
"""

from __future__ import annotations

import os
import pwd
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from holdfast.ansible.environment import find_project
from holdfast.ansible.interfaces import PlayRunner
from holdfast.ansible.site_reader import NoSites, SiteReader
from holdfast.cli import project
from holdfast.cli.progress import QUIET, ProgressDisplay, progress_display
from holdfast.engine.dependencies import (
    Background,
    Delivery,
    Dependencies,
    Listener,
    ListenerFailed,
    every_second,
    ignore,
    in_a_thread,
)
from holdfast.engine.engine import Engine
from holdfast.engine.planner import Planner
from holdfast.engine.run_lookup import StrayPlays, driver_of, find_run, stray_plays
from holdfast.errors import HoldfastError, InvalidInput, Refused, StateUnusable
from holdfast.journal.events import Recorded
from holdfast.journal.run_state import RunState, Status
from holdfast.people import Approvers
from holdfast.settings import (
    MACHINE_CONFIG,
    MACHINE_DIRECTORY,
    Settings,
    config_directory,
    load_settings,
)
from holdfast.store.database import Store, nothing_kept, open_empty, open_store, open_to_read


@dataclass(frozen=True)
class Adapters:
    """Access to what is outside of this process: Ansible and the passing of time.

    ``runner`` returns a runner whose plays keep their state where the given settings say. ``sites`` reads inventories
    that need not be a site yet.
    """

    runner: Callable[[Settings], PlayRunner]
    planner: Planner
    sites: SiteReader = field(default_factory=NoSites)
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    delivery: Delivery = in_a_thread
    background: Background = every_second


class Declined(Refused):
    """The person at the terminal answered no; nothing was touched."""

    exit_code = 5


def login_name(environ: Mapping[str, str], uid: int | None = None) -> str:
    """Return the login name of this process's user, or of ``uid``; of who called sudo, where it is root's.

    Of the environment only sudo's variable is believed, and only by root: everybody can set USER.
    """
    own = os.getuid() if uid is None else uid
    name = environ.get("SUDO_USER", "") if own == 0 else ""
    try:
        return name or pwd.getpwuid(own).pw_name
    except KeyError:  # a user without an entry, as in a container
        return f"uid-{own}"


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
    state: Callable[[Settings], Store] = open_store
    login: Callable[[Mapping[str, str]], str] = login_name
    machine_config: Path = MACHINE_CONFIG
    machine_state: Path = MACHINE_DIRECTORY
    display: Callable[[Console, Callable[[], datetime]], ProgressDisplay] = progress_display
    program: Sequence[str] = (sys.executable, "-m", "holdfast.cli")  # starts this program again
    run: str = field(default="", init=False)  # named in the message about a bug
    bug_code: int = field(default=HoldfastError.exit_code, init=False)

    @cached_property
    def settings(self) -> Settings:
        """The settings: where the state is kept."""
        return load_settings(self.environ, self.machine_state)

    @cached_property
    def store(self) -> Store:
        """The journal and the leases."""
        return self.state(self.settings)

    @cached_property
    def readable_store(self) -> Store:
        """The journal and the leases, for commands that only read: also where they cannot be written.

        What cannot be written can mostly be read, and is read most when something is broken. Where there is
        no state yet, none is made: it would be of whoever only looked, perhaps root.
        """
        if nothing_kept(self.settings):
            return open_empty(self.settings)
        try:
            return self.store
        except StateUnusable as error:
            with suppress(StateUnusable):
                store = open_to_read(self.settings)
                text = f"{error.message}. It is only read: entries of the last moments may be missing, "
                text += f"and no run can be started, resumed or aborted. next: {error.remedy}"
                self.err.print(Text(text, "yellow"), soft_wrap=True)
                return store
            raise

    @cached_property
    def root(self) -> Path:
        """The project's directory."""
        return find_project(self.environ, self.directory)

    @cached_property
    def places(self) -> list[Path]:
        """Where runbooks, sites and people are looked for: the project, the user's own place, the machine's."""
        own = [config_directory(self.environ), self.machine_config]
        return list(dict.fromkeys([self.root, *own]))

    def site(self, name: str) -> Path:
        """Return the inventory of the site ``name``, else of HOLDFAST_SITE, else of the only site."""

        def name_of(inventory: Path) -> str:
            with suppress(InvalidInput):  # whoever uses that inventory is told
                return self.adapters(self).planner.inventories.read(inventory, "").name
            return ""

        asked = name or self.environ.get("HOLDFAST_SITE", "")
        return project.find_site(self.places, asked, name_of)

    def engine(
        self, listener: Listener = ignore, listener_failed: ListenerFailed = ignore
    ) -> Engine:
        """Return an engine whose events and progress go to ``listener``, and its error to the other."""
        adapters = self.adapters(self)
        return Engine(
            Dependencies(
                store=self.store,
                runner=adapters.runner(self.settings),
                planner=adapters.planner,
                wait=adapters.wait,
                delivery=adapters.delivery,
                background=adapters.background,
                clock=self.now,
                listener=listener,
                listener_failed=listener_failed,
                approvers=Approvers(project.people(self.places)),
            )
        )

    @contextmanager
    def status_line(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal what is being done; yields a function that shows details.

        On one that cannot redraw, which a screen reader may read out, these are lines, and details are far between.
        """
        if not self.err.is_terminal:
            yield lambda _: None
            return
        if self.err.is_dumb_terminal:
            yield self._lines(title)
            return
        with self.err.status(Text(f"{title} …", "dim")) as status:
            yield lambda text: status.update(Text(f"{title}: {text}", "dim"))

    def _lines(self, title: str) -> Callable[[str], None]:
        """Print what is being done, and return a function that prints a detail if the last line is a while ago."""
        last = self.now()
        self.err.print(Text(f"{title} …", "dim"))

        def show(text: str) -> None:
            nonlocal last
            if (now := self.now()) - last >= QUIET:
                last = now
                self.err.print(Text(f"{title}: {text}", "dim"))

        return show

    @property
    def user(self) -> str:
        """The login name of the person at the terminal, also behind sudo."""
        return self.login(self.environ)

    def show(self, content: RenderableType) -> None:
        """Print for a person."""
        self.out.print(content, highlight=False, markup=False, crop=False)

    def write_line(self, text: str) -> None:
        """Print a line for programs: neither wrapped nor coloured."""
        self.out.print(Text(text), soft_wrap=True, no_wrap=True, crop=False, style="")

    @property
    def stdout_closed(self) -> bool:
        """Whether the reader of standard output has closed it."""
        return getattr(self.out.file, "closed", False)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Return if ``yes`` is given or the person at the terminal answers y.

        Raises:
            InvalidInput: standard input is not a terminal, so nobody can be asked.
            Declined: the answer was no.
        """
        if yes:
            return
        if not self.stdin.isatty():
            raise InvalidInput(
                "Cannot ask for confirmation: standard input is not a terminal. Nothing was touched",
                remedy="repeat the command with --yes",
            )
        self.err.print(Text(f"{question} [y/N] ", style="bold"), end="")
        if self.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Declined("Nothing was touched")

    def find_run(self, name: str) -> str:
        """Return the id of the run with this name, and note it for the message about a bug.

        Raises:
            InvalidInput: no run, or more than one, has this name.
        """
        try:
            self.run = find_run(self.readable_store, name)
        except InvalidInput as error:
            if name and any(name in run for run in self.readable_store.runs()):
                raise
            note = self.settings.describe_elsewhere(f"status {name}".strip())
            note = note or "Runs of another state directory: HOLDFAST_STATE_DIR=DIRECTORY"
            raise InvalidInput(f"{error.message}. {note}", remedy=error.remedy) from None
        return self.run

    def other_state(self, command: str) -> str:
        """Return a sentence that names other directories of this machine with runs and leases; "" without any.

        Nothing is said where the directory was named.
        """
        return "" if self.settings.named else self.settings.describe_elsewhere(command)

    def journal(self, name: str) -> Sequence[Recorded]:
        """Return the events of the run with this name; raises as ``find_run``."""
        return self.readable_store.read(self.find_run(name))

    def has_driver(self, state: RunState) -> bool:
        """Return whether a living process drives this run, as far as can be known."""
        return driver_of(self.readable_store, state) is not None

    def stray_plays(self, state: RunState) -> StrayPlays | None:
        """Return what is seen of the plays of a run without a driver; None where it has one or has ended."""
        running = state.status is Status.RUNNING and not self.has_driver(state)
        return stray_plays(state) if running else None
