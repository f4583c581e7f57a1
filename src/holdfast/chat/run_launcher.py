"""Runs as processes of their own: the bot's end, or its being slow, is nothing to them.

A run's process is the leader of a session, reads its request from standard input and writes what it
cannot journal (a refusal before its first event) to a file.
"""

from __future__ import annotations

import fcntl
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from holdfast.chat.run_request import Request
from holdfast.errors import Refused

_CHECK_SECONDS = 600
_WORDS = 4000


@dataclass(frozen=True, slots=True)
class Words:
    """What a run's process said last that is in no journal, and when."""

    text: str
    at: datetime


class Launcher(Protocol):
    """Starts runs, and asks checks, beside this process."""

    def launch(self, request: Request) -> None:
        """Start the run's process; returns at once.

        Raises:
            Refused: no process could be started; nothing was touched.
        """
        ...

    def alive(self, run: str) -> bool:
        """Whether the process of a run that was launched here lives, whichever bot launched it."""
        ...

    def words(self, run: str) -> Words | None:
        """What a run's process had to say that is in no journal, such as why it did not begin."""
        ...

    def check(self, inventory: Path, claims: Sequence[str]) -> str:
        """Ask claims, or the standing ones, and return what the CLI says; takes as long as it takes."""
        ...


@dataclass
class Processes:
    """The launcher of real runs. ``logs`` is a directory of ours; ``environ`` holds no token.

    ``command`` is the program that is started, without its arguments.
    """

    logs: Path
    directory: Path
    environ: Mapping[str, str]
    command: Sequence[str]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    # Asking whether a process lives takes its lock for a moment, in which none may be launched.
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def launch(self, request: Request) -> None:
        """Start ``holdfast chat drive`` in a session of its own and hand it the request."""
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with self._asking, self._log(request.run).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                process = self._spawn(request.run, lock.fileno())
        except BlockingIOError:
            raise Refused(
                f"The process of run {request.run} still lives",
                remedy=f"holdfast status {request.run}",
            ) from None
        except OSError as error:
            raise Refused(f"Run {request.run} could not be started: {error.strerror}") from error
        self._running.append(process)
        self._hand_over(process, request)

    def alive(self, run: str) -> bool:
        """Ask for the lock on the run's file, which its process holds as long as it lives."""
        with self._asking:
            for process in [each for each in self._running if each.poll() is not None]:
                self._running.remove(process)
            try:
                with self._log(run).open("rb") as log:
                    fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except FileNotFoundError:
                return False
            except BlockingIOError:
                return True
            return False

    def words(self, run: str) -> Words | None:
        """The end of the run's file."""
        try:
            log = self._log(run)
            text = log.read_text("utf-8", "replace").strip()[-_WORDS:]
            return Words(text, datetime.fromtimestamp(log.stat().st_mtime, UTC)) if text else None
        except FileNotFoundError:
            return None

    def check(self, inventory: Path, claims: Sequence[str]) -> str:
        """Run ``holdfast check``; its arguments are a path of ours and names of claims."""
        program = [*self.command, "check", "--site", str(inventory), *claims]
        try:
            answer = subprocess.run(  # noqa: S603  # see above
                program,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=self.directory,
                env=dict(self.environ),
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Refused(f"The check gave no answer within {_CHECK_SECONDS} s") from None
        except OSError as error:
            raise Refused(f"The check could not be started: {error.strerror}") from error
        return (answer.stdout + answer.stderr).decode("utf-8", "replace").strip()

    def _spawn(self, run: str, lock: int) -> subprocess.Popen[bytes]:
        """The process inherits the lock, and what it starts does not: a stray play is no driver."""
        log = self._log(run)
        with log.open("wb") as words:
            log.chmod(0o600)
            return subprocess.Popen(  # noqa: S603  # our own program; the request is no argument
                [*self.command, "chat", "drive"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=words,
                cwd=self.directory,
                env=dict(self.environ),
                start_new_session=True,
                pass_fds=(lock,),
            )

    def _hand_over(self, process: subprocess.Popen[bytes], request: Request) -> None:
        """A process that has ended already says why by itself."""
        pipe = process.stdin
        assert pipe is not None  # noqa: S101  # asked for above
        try:
            with pipe:
                pipe.write(request.model_dump_json().encode())
        except BrokenPipeError:
            return

    def _log(self, run: str) -> Path:
        return self.logs / f"{run}.log"
