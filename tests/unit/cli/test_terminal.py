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

import pytest

PATIENCE_SECONDS = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOURS = re.compile(r"\x1b\[(\d+;)*(3[0-8]|4[0-8]|9[0-7]|10[0-7])(;\d+)*m")
_REDRAWS = re.compile(r"\x1b\[[0-9]*[AK]")  # up a line, delete a line
_LONG = "a reason of more words than a line of any of these terminals has room for, " * 2
RUN = ["run", "broker-restart", "--site", "lab", "--reason", "openssl update", "--yes"]
RESUME = ["resume", "broker-restart", "--reason", "go on"]


class Terminal:
    """A program on a terminal of its own; ``text`` is what it printed, without control sequences.

    ``output``: the file that it prints to instead.
    """

    def __init__(
        self,
        directory: Path,
        *commands: list[str],
        columns: int = 80,
        output: int = 0,
        **environment: str,
    ) -> None:
        self.go = directory / "go"
        self._controller, terminal = pty.openpty()
        self.resize(24, columns)
        # Whoever has the tests' output in a file may have colours off.
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.cli.terminal_program", directory, json.dumps(commands)],
            stdin=terminal, stdout=output or terminal, stderr=output or terminal,
            env=inherited | {"TERM": "xterm"} | environment, start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self._output = b""

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self.written)

    @property
    def written(self) -> str:
        """What it printed, with control sequences."""
        return self._output.decode(errors="replace")

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


def run_to_its_end(terminal: Terminal) -> str:
    """Let the run's first host go on once the panel names it; return what was written, with control sequences."""
    terminal.wait_for("batch started: ctl1")
    terminal.go.touch()
    assert terminal.end() == [0], terminal.text
    return terminal.written


@pytest.mark.parametrize("columns", [80, 100])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, columns: int) -> None:
    """A line that the terminal itself wraps is left behind when the panel is drawn again."""
    command = [*RUN, "--reason", _LONG]
    with closing(Terminal(tmp_path, command, columns=columns)) as terminal:
        written = run_to_its_end(terminal)
    assert _REDRAWS.search(written), "there was no panel"
    assert _COLOURS.search(written)
    widths = [len(line) for line in re.split(r"[\r\n]", _ESCAPES.sub("", written))]
    assert columns / 2 < max(widths) <= columns


def test_without_colour_the_panel_is_the_same(tmp_path: Path) -> None:
    with closing(Terminal(tmp_path, RUN, NO_COLOR="1")) as terminal:
        written = run_to_its_end(terminal)
    assert _REDRAWS.search(written)
    assert not _COLOURS.search(written)


def test_a_terminal_that_cannot_redraw_gets_plain_lines(tmp_path: Path) -> None:
    """So does a screen reader, with TERM=dumb: a panel would be read out again and again."""
    with closing(Terminal(tmp_path, RUN, TERM="dumb")) as terminal:
        written = run_to_its_end(terminal)
    assert "\x1b" not in written
    assert written.count("Reading runbook and inventory …") == 1, (
        "else it is silent, or read out again"
    )
    assert "Ctrl-C stops at the next boundary" not in written
    assert re.search(r"ctl1 ✓ PASS ", written), "a panel shows passed gates by itself"


def test_a_log_has_plain_lines(tmp_path: Path) -> None:
    """As `script` and the logs of CI have it: no terminal to draw on, although the session has one."""
    log = tmp_path / "log"
    with log.open("wb") as output, closing(Terminal(tmp_path, RUN, output=output.fileno())) as run:
        run.go.touch()
        run.end()
    written = log.read_text("utf-8")
    assert written.endswith("exit 0\n")
    assert not re.search(r"[\x1b\r]", written)
    assert re.search(r"^\d\d:\d\d:\d\d ctl1 restart of \S+ begins$", written, re.MULTILINE)
