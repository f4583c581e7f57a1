"""Commands on a real pseudo-terminal: their panel, Ctrl-C, a terminal that changes its size."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path

PATIENCE_SECONDS = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RUN = ["run", "broker-restart", "--site", "lab", "--reason", "openssl update", "--yes"]
RESUME = ["resume", "broker-restart", "--reason", "go on"]


class Terminal:
    """A program on a terminal of its own; ``text`` is what it printed, without control sequences."""

    def __init__(self, directory: Path, *commands: list[str]) -> None:
        self.go = directory / "go"
        self._controller, terminal = pty.openpty()
        self.resize(24, 80)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.cli.terminal_program", directory, json.dumps(commands)],
            stdin=terminal, stdout=terminal, stderr=terminal, env=os.environ | {"TERM": "xterm"},
            start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self._output = b""

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self._output.decode(errors="replace"))

    def resize(self, lines: int, columns: int) -> None:
        """Change the size; the program gets SIGWINCH."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, size)

    def press_ctrl_c(self) -> None:
        os.write(self._controller, b"\x03")

    def wait_for(self, text: str) -> None:
        """Read until the program has printed this."""
        until = time.monotonic() + PATIENCE_SECONDS
        while text not in self.text:
            assert time.monotonic() < until, f"no {text!r} in: {self.text}"
            if select.select([self._controller], [], [], 0.1)[0]:
                self._read()

    def end(self) -> list[int]:
        """Wait until the program has ended; return the exit code of each command."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self._read():
            assert time.monotonic() < until, f"does not end: {self.text}"
        self._process.wait(PATIENCE_SECONDS)
        return [int(code) for code in re.findall(r"^exit (\d+)\r?$", self.text, re.MULTILINE)]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._controller)

    def _read(self) -> bool:
        try:
            data = os.read(self._controller, 65536)
        except OSError:  # Linux: EIO, nobody has the terminal open any more
            return False
        self._output += data
        return bool(data)


def test_run_is_stopped_resumed_and_watched_on_a_terminal_that_changes_its_size(
    tmp_path: Path,
) -> None:
    with closing(Terminal(tmp_path, RUN, RESUME, ["watch"])) as terminal:
        terminal.wait_for("batch started: ctl1")
        terminal.resize(30, 100)
        terminal.press_ctrl_c()
        terminal.wait_for("Stopping at the next boundary")
        terminal.go.touch()
        terminal.wait_for("exit 5")
        terminal.resize(10, 40)
        assert terminal.end() == [5, 0, 0], terminal.text
    resumed = terminal.text.partition("exit 5")[2].partition("exit 0")[0]
    before, _, after = resumed.partition("resumed by")
    assert after
    assert len(re.findall(r"\d\d:\d\d:\d\d", before)) == 1, "events from before the resume"
    assert "preparing" not in resumed
    assert "Traceback" not in terminal.text
