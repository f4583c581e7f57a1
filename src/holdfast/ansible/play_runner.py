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

import fcntl
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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ansible_runner  # noqa: TID251  # the one module that may import it

from holdfast.ansible.environment import filter_environment
from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.ansible.play_outcome import PlayOutcome
from holdfast.errors import InvalidInput, Refused
from holdfast.model import PLAY_VARIABLE, RUN_VARIABLE, Json
from holdfast.word import PARK, word_file

Messages = SimpleQueue[tuple["_StartedPlay", Mapping[str, Json]]]
"""What plays have said: events of ansible-runner; an empty one says that the play has ended."""

# Set by ansible-runner itself, for its display callback.
_RUNNER_VARIABLES = (
    "ANSIBLE_CALLBACK_PLUGINS",
    "ANSIBLE_STDOUT_CALLBACK",
    "ANSIBLE_RETRY_FILES_ENABLED",
    "AWX_ISOLATED_DATA_DIR",
    "RUNNER_OMIT_EVENTS",
    "RUNNER_ONLY_FAILED_EVENTS",
)
_END_SECONDS = 10.0
"""How long a process may take to end after its last task; it needs 0.2 s."""

_TRIES, _MOMENT_SECONDS = 5, 0.001
"""How often the environment of a process is read while it is empty."""

_END = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
"""The signals that end a play, and the seconds its processes get to end after each; they need 0.3 s."""


@dataclass(frozen=True, slots=True)
class _Plays:
    """What the plays of a runner share: what they have said, and those that are over while their processes end.

    Nothing here refers to a play that has ended: it has files open.
    """

    messages: Messages = field(default_factory=SimpleQueue)
    over: list[_StartedPlay] = field(default_factory=list)

    def pass_on(self) -> None:
        """Give each event to its play."""
        while not self.messages.empty():
            play, event = self.messages.get()
            play.add(event)


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
    _plays: _Plays = field(default_factory=_Plays)

    def finish(self) -> list[str]:
        """Wait for plays that were over before their processes had ended, as ``PlayRunner.finish`` says."""
        said = [text for play in self._plays.over if (text := play.finish())]
        self._plays.over.clear()
        return said

    def end_strays(self, run: str) -> list[int]:
        """End the processes of a dead driver's plays and return their ids."""
        found = sorted(self.processes_of(run))
        self._end(run)
        return found

    def start(
        self, play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
    ) -> _StartedPlay:
        """Start a play, as ``PlayRunner.start`` says."""
        place = _PlayDirectory(self.state_dir / "runs" / play.run / play.ident)
        with _writable(place.directory):
            place.make(self.state_dir)
        with ExitStack() as unstarted:
            unstarted.callback(place.clean)
            with _writable(place.directory):
                if parked:
                    place.open_word()
                place.write(play, self.state_url, self.state_dir)
                end = partial(self._end, play.run, play.ident)
                started = _StartedPlay(play, place, on_progress, end, self._plays)
                prepared = self._prepare(play, place, started.enqueue)
            started.begin(prepared)
            unstarted.pop_all()
        return started

    def wait(self, seconds: float) -> None:
        """Pass on what plays have said, as ``PlayRunner.wait`` says."""
        try:
            play, event = self._plays.messages.get(timeout=seconds)
        except Empty:
            return
        play.add(event)
        self._plays.pass_on()

    def _prepare(
        self, play: Play, place: _PlayDirectory, enqueue: Callable[[Mapping[str, Json]], bool]
    ) -> Any:
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
                PLAY_VARIABLE: play.ident,
                "HOLDFAST_CONFIG": str(place.config),
                "HOLDFAST_STATE_DIR": str(self.state_dir),
                "ANSIBLE_HOST_KEY_CHECKING": "True",
                "ANSIBLE_NOCOLOR": "True",
            }
        )

    def _end(self, run: str, ident: str = "") -> None:
        """Send SIGTERM to every process of the run, SIGKILL to those that remain; return when all have ended.

        With ``ident``, those of the run's other plays are spared.

        Raises:
            Refused: one is another user's.
        """
        for number, timeout in _END:
            for process in self._processes(run, ident):
                _send(process, number, run)
            if self._all_ended(run, ident, timeout):
                return

    def _processes(self, run: str, ident: str) -> Iterator[int]:
        found = self.processes_of(run)
        return (each for each in found if not ident or _play_of(each) == ident)

    def _all_ended(self, run: str, ident: str, timeout: float) -> bool:
        pause, deadline = threading.Event(), time.monotonic() + timeout
        while any(self._processes(run, ident)):
            if time.monotonic() > deadline:
                return False
            pause.wait(0.05)
        return True


class _StartedPlay:
    """``StartedPlay``: a play while it runs. What it says is put into a queue and comes back by ``add``."""

    def __init__(
        self,
        play: Play,
        place: _PlayDirectory,
        on_progress: Callable[[Progress], None],
        end: Callable[[], None],
        plays: _Plays,
    ) -> None:
        self._play, self._place, self._on_progress = play, place, on_progress
        self._outcome = PlayOutcome(play.limit)
        self._end_processes, self._plays = end, plays
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ansible-runner")
        self._waits, self._stopped = place.has_word, False
        self._latest: Progress | None = None

    def begin(self, runner: Any) -> None:
        """Start the processes: ``runner`` is ansible-runner's object for the play."""
        self._runner = runner
        self._ending: Future[Any] = self._pool.submit(runner.run)
        self._ending.add_done_callback(lambda _: self.enqueue({}))

    def enqueue(self, event: Mapping[str, Json]) -> bool:
        """Put an event into the queue; ansible-runner calls it and wants to be told that it keeps the event's file."""
        self._plays.messages.put((self, event))
        return True

    def add(self, event: Mapping[str, Json]) -> None:
        """Add an event from the queue. Of what a play asks before its word nothing is shown."""
        for progress in self._outcome.add(event):
            self._latest = progress
            if not self._waits:
                self._on_progress(progress)

    def go(self, variables: Mapping[str, Json]) -> bool:
        """Give the word, as ``StartedPlay.go`` says.

        A play in which a task has failed is about to end: what it has asked before its word holds no run.
        """
        self._plays.pass_on()
        lives = not self._ending.done() and not self._outcome.has_failed
        try:
            given = lives and self._place.say(variables)
        except OSError:  # a full disk; the play that is started in its place will say so
            given = False
        if not given:
            self.end()
        self._waits = False
        if given and self._latest is not None:
            self._on_progress(self._latest)  # the task that waits, which goes on now
        return given

    def result(self) -> PlayResult | None:
        """Return how the play ended, as ``StartedPlay.result`` says."""
        if self._ending.done():
            self.end()
            self._plays.pass_on()
            return self._result()
        if self._play.over_when_done and self._outcome.all_done and not self._stopped:
            self._plays.over.append(self)
            return PlayResult("ok", dict.fromkeys(self._play.limit, "ok"), {})
        return None

    def _result(self) -> PlayResult:
        try:
            self._ending.result()
        except OSError as error:
            # Mostly a full disk. The hosts in hand are observed, as after any play that failed.
            self._outcome.add_error(f"the play's output cannot be written: {error.strerror}")
        return self._outcome.result(exited_ok=self._exited_ok, interrupted=self._stopped)

    def interrupt(self) -> None:
        """End its processes; called again at each tick, since the first of them may only be about to start."""
        if not self._ending.done():
            self._stopped = True
            self._end_processes()

    @property
    def _exited_ok(self) -> bool:
        return bool(self._runner.rc == 0 and self._runner.status == "successful")

    def finish(self) -> str:
        """Wait until the process of a play that is over has ended; return what went wrong with that, "" if nothing."""
        try:
            self._ending.result(_END_SECONDS)
        except (OSError, TimeoutError) as error:
            return f"{self._play.ident}: after its last task: {error}"
        finally:
            self.end()
            self._plays.pass_on()
        return "" if self._exited_ok else f"{self._play.ident}: failed after its last task"

    def end(self) -> None:
        """End every process of the play and wait for them; one that waits for its word has touched nothing."""
        # Before that: a play of which no process has started yet would wait for its word afterwards.
        self._place.close_word()
        try:
            self._end_processes()
            self._pool.shutdown()
        finally:
            self._place.clean()


def _play_of(process: int) -> str:
    """Return the name of the play that a process belongs to; "" where that cannot be told: it may be any.

    For a moment, while a process begins another program, its environment is empty.
    """
    environment = b""
    try:
        for _ in range(_TRIES):
            if environment := Path(f"/proc/{process}/environ").read_bytes():
                break
            threading.Event().wait(_MOMENT_SECONDS)
    except OSError:
        return ""
    mark = f"{PLAY_VARIABLE}=".encode()
    marked = (each for each in environment.split(b"\0") if each.startswith(mark))
    return next(marked, mark).removeprefix(mark).decode()


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
        self.park = directory / "park"
        self._descriptor: int | None = None

    def make(self, state_dir: Path) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What other users of a shared state directory resume, they must be able to write beside.
        shared = state_dir.stat().st_mode & stat.S_IWGRP
        for parent in (self.directory.parent.parent, self.directory.parent):
            if not parent.exists():
                parent.mkdir(mode=0o700)
                parent.chmod(0o2770 if shared else 0o700)
        self.directory.mkdir(mode=0o700)

    def open_word(self) -> None:
        """Make the file that a parked play waits at, and lock it; when this process ends it is not locked any more."""
        self._descriptor = os.open(self.park, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    @property
    def has_word(self) -> bool:
        """Whether a play waits there for its word."""
        return self._descriptor is not None

    def say(self, variables: Mapping[str, Json]) -> bool:
        """Give a play its word, with these variables; return whether it was parked."""
        if not self.has_word:
            return False
        written = self.park.with_suffix(".new")
        _write(written, json.dumps(variables))
        written.rename(word_file(self.park))  # the play finds all of it, or nothing
        return True

    def close_word(self) -> None:
        """Let a play that still waits know that no word will come."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self.park.unlink(missing_ok=True)

    def write(self, play: Play, state_url: str, state_dir: Path) -> None:
        """Write the files that the play reads; from the start only their owner can read them."""
        waits = {} if self._descriptor is None else {PARK: str(self.park)}
        _write(self.variables, json.dumps(_as_text_only({**play.variables, **waits})))
        _write(self.config, json.dumps({"state_url": state_url, "state_dir": str(state_dir)}))
        # A file, since the names of a large fleet are longer than an argument may be.
        _write(self.limit, "\n".join(play.limit))

    def clean(self) -> None:
        """Remove what may hold a secret; the play's events and output are kept for an inquiry."""
        self.close_word()
        for path in (self.variables, self.config, word_file(self.park)):
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
