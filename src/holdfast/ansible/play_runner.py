"""``AnsibleRunner``: starts plays with ansible-runner, and works around its pitfalls.

Written for ansible-runner 2.4.3:

- A private data directory is used once: files of an earlier play in it would affect a later one.
- It writes its environment to its artifacts, and switches host key checking off unless that is set: so
  it gets a filtered environment, with checking on.
- Its event handler must return at once, since a slow one breaks the run: it only fills a queue.
- Its own cancel leaves Ansible's workers running: a play is ended by SIGTERM to ansible-playbook, and
  then every process of the run is waited for.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
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

import ansible_runner  # noqa: TID251  # the one module that may import it

from holdfast.ansible.environment import filter_environment
from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.ansible.play_outcome import PlayOutcome
from holdfast.errors import InvalidInput, Refused
from holdfast.model import RUN_VARIABLE, Json

Events = SimpleQueue[Mapping[str, Json]]

# Set by ansible-runner itself, for its display callback.
_RUNNER_VARIABLES = (
    "ANSIBLE_CALLBACK_PLUGINS",
    "ANSIBLE_STDOUT_CALLBACK",
    "ANSIBLE_RETRY_FILES_ENABLED",
    "AWX_ISOLATED_DATA_DIR",
    "RUNNER_OMIT_EVENTS",
    "RUNNER_ONLY_FAILED_EVENTS",
)
_TICK_SECONDS = 0.2
_END = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
"""The signals that end a play, and the seconds its processes get to end after each; they need 0.3 s."""


@dataclass(frozen=True, slots=True)
class AnsibleRunner:
    """``PlayRunner`` over ansible-runner; plays use the state database ``state_url``.

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
        """Start the play and return when it has ended, as ``PlayRunner.run`` says."""
        place = _PlayDirectory(self.state_dir / "runs" / play.run / play.ident)
        with _writable(place.directory):
            place.make(self.state_dir)
        try:
            with _writable(place.directory):
                place.write(play, self.state_url, self.state_dir)
            return self._watch(play, place, on_progress, interrupted)
        finally:
            place.clean()

    def end_strays(self, run: str) -> list[int]:
        """End the processes of a dead driver's plays and return their ids."""
        found = sorted(self.processes_of(run))
        self._end(run)
        return found

    def _watch(
        self,
        play: Play,
        place: _PlayDirectory,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        events: Events = SimpleQueue()
        runner = self._prepare(play, place, events)
        outcome, stopped = PlayOutcome(play.limit), False
        with ThreadPoolExecutor(1, thread_name_prefix="ansible-runner") as pool:
            ending: Future[Any] = pool.submit(runner.run)
            try:
                while not (ending.done() and events.empty()):
                    for progress in outcome.add(_next_event(events)):
                        on_progress(progress)
                    if interrupted() and not (stopped or ending.done()):
                        stopped = True
                        self._end(play.run)
            finally:
                # Whatever failed here: no process of the play may keep running unobserved.
                self._end(play.run)
            try:
                ending.result()
            except OSError as error:
                # Mostly a full disk. The hosts in hand are observed, as after any play that failed.
                outcome.add_error(f"the play's output cannot be written: {error.strerror}")
        exited_ok = runner.rc == 0 and runner.status == "successful"
        return outcome.result(exited_ok=exited_ok, interrupted=stopped)

    def _prepare(self, play: Play, place: _PlayDirectory, events: Events) -> Any:
        def enqueue(event: Mapping[str, Json]) -> bool:
            events.put(event)
            return True

        runner = ansible_runner.interface.init_runner(
            private_data_dir=str(place.directory),
            project_dir=str(self.project),
            ident="play",
            playbook=f"playbooks/{play.playbook}",
            inventory=play.inventory,
            # With the comma Ansible does not split the path at spaces and colons.
            limit=f"@{place.limit}," if play.limit else None,
            cmdline=shlex.join(["-e", f"@{place.variables}"]),  # it is split like in a shell
            quiet=True,
            suppress_env_files=True,
            event_handler=enqueue,
            # Never cancelled that way (see above); without a callback it would handle the process's signals.
            cancel_callback=lambda: False,
        )
        runner.config.env = self._environment(play, place, runner.config.env)
        return runner

    def _environment(
        self, play: Play, place: _PlayDirectory, prepared: Mapping[str, str]
    ) -> dict[str, str]:
        filtered = filter_environment(self.environ)
        path = os.pathsep.join((str(Path(sys.executable).parent), filtered.get("PATH", os.defpath)))
        return (
            {"LANG": "C.UTF-8"}
            | filtered
            | {name: prepared[name] for name in _RUNNER_VARIABLES if name in prepared}
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
        """Send SIGTERM to every process of the run, SIGKILL to those that remain; return when all have ended.

        Raises:
            Refused: one is another user's.
        """
        for number, timeout in _END:
            for process in self.processes_of(run):
                _send(process, number, run)
            if self._all_ended(run, timeout):
                return

    def _all_ended(self, run: str, timeout: float) -> bool:
        pause, deadline = threading.Event(), time.monotonic() + timeout
        while any(self.processes_of(run)):
            if time.monotonic() > deadline:
                return False
            pause.wait(0.05)
        return True


def _send(process: int, number: int, run: str) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise Refused(
            f"a play of run {run} still runs as another user, and you may not end it: process {process}",
            remedy=f"repeat the command as that user or root (ps -fp {process})",
        ) from None


class _PlayDirectory:
    """The private directory of one play and the files in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.variables, self.config = directory / "variables.json", directory / "config.yml"
        self.limit = directory / "limit"

    def make(self, state_dir: Path) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What other users of a shared state directory resume, they must be able to write beside.
        shared = state_dir.stat().st_mode & stat.S_IWGRP
        for parent in (self.directory.parent.parent, self.directory.parent):
            if not parent.exists():
                parent.mkdir(mode=0o700)
                parent.chmod(0o2770 if shared else 0o700)
        self.directory.mkdir(mode=0o700)

    def write(self, play: Play, state_url: str, state_dir: Path) -> None:
        """Write the files that the play reads; from the start only their owner can read them."""
        _write(self.variables, json.dumps(_as_text_only(dict(play.variables))))
        _write(self.config, json.dumps({"state_url": state_url, "state_dir": str(state_dir)}))
        # A file, since the names of a large fleet are longer than an argument may be.
        _write(self.limit, "\n".join(play.limit))

    def clean(self) -> None:
        """Remove what may hold a secret; the play's events and output are kept for an inquiry."""
        for path in (self.variables, self.config):
            path.unlink(missing_ok=True)
        # ansible-runner's record of the command, with the environment.
        (self.directory / "artifacts" / "play" / "command").unlink(missing_ok=True)
        shutil.rmtree(self.directory / "env", ignore_errors=True)


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    """Name the directory that cannot be written; another one would have other leases, which exclude nobody."""
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"the directory of the play cannot be made: {error.strerror}: {directory}",
            remedy=f"make {directory.parent} writable for you, with free space (ls -ld, df -h)",
        ) from error


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, "utf-8")


def _as_text_only(value: Json) -> Json:
    """Return the value with every text marked as no template: extra variables are templates by default."""
    if isinstance(value, dict):
        return {key: _as_text_only(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_text_only(inner) for inner in value]
    return {"__ansible_unsafe": value} if isinstance(value, str) else value


def _next_event(events: Events) -> Mapping[str, Json]:
    try:
        return events.get(timeout=_TICK_SECONDS)
    except Empty:
        return {}
