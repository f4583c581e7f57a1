"""``AnsibleRunner``: plays through ansible-runner, whose traps this module keeps to itself.

Written for ansible-runner 2.4.3:

- A private data directory is used once: what an earlier play left in it would apply to a later one.
- The environment it is given is written to its artifacts, and it switches host key checking off
  unless told otherwise: so it gets a scrubbed one, with checking on.
- Its event handler must return at once: a slow one breaks the run. So it only fills a queue.
- Its own cancel leaves Ansible's workers alive. So a play is ended by SIGTERM to ansible-playbook,
  and every process of the run is waited for.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ansible_runner  # noqa: TID251  # this is the home it has

from holdfast.ansible.environment import scrubbed
from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.ansible.play_outcome import PlayOutcome
from holdfast.errors import InvalidInput
from holdfast.model import RUN_VARIABLE, Json

Events = SimpleQueue[Mapping[str, Json]]

# Set by ansible-runner itself, for its display callback.
_RUNNERS_OWN = (
    "ANSIBLE_CALLBACK_PLUGINS",
    "ANSIBLE_STDOUT_CALLBACK",
    "ANSIBLE_RETRY_FILES_ENABLED",
    "AWX_ISOLATED_DATA_DIR",
    "RUNNER_OMIT_EVENTS",
    "RUNNER_ONLY_FAILED_EVENTS",
)
_TICK_SECONDS = 0.2
_POLITE_SECONDS = 10.0
"""How long ansible-playbook and its children get to end after SIGTERM; they need 0.3 s."""
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class AnsibleRunner:
    """``PlayRunner`` over ansible-runner. Plays keep their state where ``state_url`` says.

    ``processes_of`` finds the processes of a run by the mark in their environment.
    """

    project: Path
    environ: Mapping[str, str]
    state_url: str
    state_dir: Path
    processes_of: Callable[[str], Iterable[int]]

    def run(
        self,
        play: Play,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        """Start the play and return when it, and every process of it, has ended.

        Raises:
            InvalidInput: its directory or files cannot be made; nothing was touched.
        """
        place = _Place.make(self.state_dir, play)
        try:
            with _writable(place.directory):
                place.write(play, self.state_url, self.state_dir)
            return self._watch(play, place, on_progress, interrupted)
        finally:
            place.clean()

    def end_strays(self, run: str) -> list[int]:
        """End what a dead driver's plays left running: first politely, then not."""
        found = sorted(self.processes_of(run))
        self._end(run)
        return found

    def _watch(
        self,
        play: Play,
        place: _Place,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        events: Events = SimpleQueue()
        runner = self._prepared(play, place, events)
        outcome, stopped = PlayOutcome(play.limit), False
        with ThreadPoolExecutor(1, thread_name_prefix="ansible-runner") as pool:
            ending: Future[Any] = pool.submit(runner.run)
            try:
                while not (ending.done() and events.empty()):
                    for progress in outcome.hear(_next(events)):
                        on_progress(progress)
                    if interrupted() and not (stopped or ending.done()):
                        stopped = True
                        self._end(play.run)
            finally:
                # Whatever broke here: no process of a play may outlive its watch.
                self._end(play.run)
            try:
                ending.result()
            except OSError as error:
                # A full disk, mostly. The hosts that were in hand are observed like those of any
                # play that ended badly.
                outcome.lost(f"what the play says cannot be kept: {error.strerror}")
        well = runner.rc == 0 and runner.status == "successful"
        return outcome.result(ended_well=well, interrupted=stopped)

    def _prepared(self, play: Play, place: _Place, events: Events) -> Any:
        def keep(event: Mapping[str, Json]) -> bool:
            events.put(event)
            return True

        runner = ansible_runner.interface.init_runner(
            private_data_dir=str(place.directory),
            project_dir=str(self.project),
            ident="play",
            playbook=f"playbooks/{play.playbook}",
            inventory=play.inventory,
            limit=f"@{place.limit}" if play.limit else None,
            cmdline=f"-e @{place.variables}",
            quiet=True,
            suppress_env_files=True,
            event_handler=keep,
            # Never: its cancel is not ours. Without one it would take over the process's signals.
            cancel_callback=lambda: False,
        )
        runner.config.env = self._environment(play, place, runner.config.env)
        return runner

    def _environment(
        self, play: Play, place: _Place, prepared: Mapping[str, str]
    ) -> dict[str, str]:
        ours = scrubbed(self.environ)
        path = os.pathsep.join((str(Path(sys.executable).parent), ours.get("PATH", os.defpath)))
        return (
            {"LANG": "C.UTF-8"}
            | ours
            | {name: prepared[name] for name in _RUNNERS_OWN if name in prepared}
            | {
                "PATH": path,
                RUN_VARIABLE: play.run,
                "HOLDFAST_CONFIG": str(place.config),
                "HOLDFAST_STATE_DIR": str(self.state_dir),
                "ANSIBLE_HOST_KEY_CHECKING": "True",
                "ANSIBLE_NOCOLOR": "True",
            }
        )

    def _end(self, run: str) -> None:
        """SIGTERM to every process of the run, SIGKILL to those that stay; return when all are gone."""
        for number, patience in (
            (signal.SIGTERM, _POLITE_SECONDS),
            (signal.SIGKILL, _KILL_SECONDS),
        ):
            for process in self.processes_of(run):
                _signal(process, number)
            if self._gone(run, patience):
                return

    def _gone(self, run: str, patience: float) -> bool:
        pause, deadline = threading.Event(), time.monotonic() + patience
        while any(self.processes_of(run)):
            if time.monotonic() > deadline:
                return False
            pause.wait(0.05)
        return True


@dataclass(frozen=True, slots=True)
class _Place:
    """The private directory of one play and the files in it."""

    directory: Path

    @classmethod
    def make(cls, state_dir: Path, play: Play) -> _Place:
        directory = state_dir / "runs" / play.run / play.ident
        with _writable(directory):
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for parent in (directory.parent.parent, directory.parent):
                parent.mkdir(mode=0o700, exist_ok=True)
            directory.mkdir(mode=0o700)
        return cls(directory)

    @property
    def variables(self) -> Path:
        return self.directory / "variables.json"

    @property
    def config(self) -> Path:
        return self.directory / "config.yml"

    @property
    def limit(self) -> Path:
        return self.directory / "limit"

    def write(self, play: Play, state_url: str, state_dir: Path) -> None:
        """What the play reads; readable by its owner alone from the start."""
        _write(self.variables, json.dumps(_as_text_only(dict(play.variables))))
        _write(self.config, json.dumps({"state_url": state_url, "state_dir": str(state_dir)}))
        # A file, since a fleet's names are longer than an argument may be.
        _write(self.limit, "\n".join(play.limit))

    def clean(self) -> None:
        """Remove what may hold a secret; the play's events and output stay for whoever looks into it."""
        for path in (self.variables, self.config):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.directory / "env", ignore_errors=True)


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"the play's directory cannot be made: {error.strerror}: {directory}",
            remedy="set HOLDFAST_STATE_DIR to a directory you may write, with free space",
        ) from error


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, "utf-8")


def _as_text_only(value: Json) -> Json:
    """The value with every text marked: Ansible takes text in extra variables for a template."""
    if isinstance(value, dict):
        return {key: _as_text_only(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_text_only(inner) for inner in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def _next(events: Events) -> Mapping[str, Json]:
    try:
        return events.get(timeout=_TICK_SECONDS)
    except Empty:
        return {}


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
