"""Starts runs as processes of their own, which go on when the bot ends.

A run's process leads a session, reads its request from standard input, and writes what it cannot
journal (a refusal before its first event) to a file.
"""

from __future__ import annotations

import fcntl
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from holdfast.chat.run_request import RunRequest
from holdfast.errors import Refused

_CHECK_SECONDS = 600
_OUTPUT = 4000


@dataclass(frozen=True, slots=True)
class ProcessOutput:
    """What a run's process wrote last, and when."""

    text: str
    at: datetime


@dataclass
class ProcessLauncher:
    """Starts runs and checks as other processes.

    Attributes:
        logs: a directory of chat's own.
        environ: holds no token.
        command: the program that is started, without its arguments.
    """

    logs: Path
    directory: Path
    environ: Mapping[str, str]
    command: Sequence[str]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    # Asking whether a process is alive takes its lock for a moment, in which none may be launched.
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def launch(self, request: RunRequest) -> None:
        """Start ``holdfast chat drive`` in a session of its own, and write the request to it; returns at once.

        Raises:
            Refused: no process could be started; nothing was touched.
        """
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with self._asking, self._log(request.run).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                process = self._spawn(request.run, lock.fileno())
        except BlockingIOError:
            raise Refused(
                f"The process of run {request.run} is still running",
                remedy=f"holdfast status {request.run}",
            ) from None
        except OSError as error:
            raise Refused(f"Run {request.run} could not be started: {error.strerror}") from error
        self._running.append(process)
        self._hand_over(process, request)

    def is_alive(self, run: str) -> bool:
        """Return whether a run's process is alive, whichever bot launched it: it holds the lock on its file."""
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

    def output(self, run: str) -> ProcessOutput | None:
        """Return what a run's process wrote that is in no journal, such as why it did not begin."""
        log = self._log(run)
        if not log.exists():
            return None
        text = log.read_text("utf-8", "replace").strip()[-_OUTPUT:]
        at = datetime.fromtimestamp(log.stat().st_mtime, UTC)
        return ProcessOutput(text, at) if text else None

    def check(self, inventory: Path, claims: Sequence[str]) -> str:
        """Run ``holdfast check`` on claims, or all standing ones, and return its output; may take minutes."""
        return self._ask(["check", "--site", str(inventory), *claims])

    def diagnose(self, inventory: Path) -> str:
        """Run ``holdfast diagnose`` and return its output; may take minutes."""
        return self._ask(["diagnose", "--site", str(inventory)])

    def _ask(self, words: Sequence[str]) -> str:
        program = [*self.command, *words]
        try:
            answer = subprocess.run(  # noqa: S603  # a path of the project and names of claims
                program,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=self.directory,
                env=dict(self.environ),
                timeout=_CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Refused(f"The check did not end within {_CHECK_SECONDS} s") from None
        except OSError as error:
            raise Refused(f"The check could not be started: {error.strerror}") from error
        return (answer.stdout + answer.stderr).decode("utf-8", "replace").strip()

    def _spawn(self, run: str, lock: int) -> subprocess.Popen[bytes]:
        """The process inherits the lock, and what it starts does not: a stray play is no driver."""
        log = self._log(run)
        with log.open("wb") as output:
            log.chmod(0o600)
            return subprocess.Popen(  # noqa: S603  # our own program; the request is no argument
                [*self.command, "chat", "drive"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=output,
                cwd=self.directory,
                env=dict(self.environ),
                start_new_session=True,
                pass_fds=(lock,),
            )

    def _hand_over(self, process: subprocess.Popen[bytes], request: RunRequest) -> None:
        """Write the request; a process that has ended already wrote why."""
        pipe = process.stdin
        assert pipe is not None  # noqa: S101  # asked for above
        try:
            with pipe:
                pipe.write(request.model_dump_json().encode())
        except BrokenPipeError:
            return

    def _log(self, run: str) -> Path:
        return self.logs / f"{run}.log"
