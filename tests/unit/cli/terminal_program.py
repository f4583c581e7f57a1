"""A program for ``test_terminal.py``: several commands, one after the other, over one fleet in memory.

    python -m tests.unit.cli.terminal_program DIRECTORY '[["run", "broker-restart", …], …]'

Its streams are its own, as those of ``holdfast`` are; after each command it prints ``exit CODE``. The
play of the first host waits until somebody has pressed Ctrl-C, so that the run stops in a step.
"""

# ruff: noqa: T201  # a program whose output is its result
from __future__ import annotations

import fcntl
import json
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.ansible.interfaces import Play, PlayResult, PlayRunner, Progress, run_play
from holdfast.cli import main
from holdfast.cli.app import command_context
from holdfast.engine.dependencies import every_second
from tests.fakes.play_runner import RunsAtOnce
from tests.unit.cli.cli_harness import InMemoryProject

LIMIT_SECONDS = 20.0


@dataclass
class WaitingRunner(RunsAtOnce):
    """Runs plays; the first play of a batch is not started before ``go`` exists."""

    runner: PlayRunner
    go: Path

    def run(
        self,
        play: Play,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        """Run the play once the file is there."""
        tick, tries = threading.Event(), int(LIMIT_SECONDS / 0.01)
        if "holdfast_batch" in play.variables:
            while not self.go.exists() and (tries := tries - 1):
                tick.wait(0.01)
        return run_play(self.runner, play, on_progress, interrupted)

    def end_strays(self, run: str) -> list[int]:
        """End what outlived a driver."""
        return self.runner.end_strays(run)


def run_commands(directory: Path, commands: list[list[str]]) -> None:
    """Run the commands and print their exit codes."""
    project = InMemoryProject(directory / "project")
    project.runner = lambda runner: WaitingRunner(runner, directory / "go")
    for arguments in commands:
        context = replace(
            command_context(),
            environ=project.environ,
            directory=project.path,
            now=project.fleet.clock,
            state=project.open_store,
            # With a thread that passes events on, as the program has it.
            adapters=lambda used: replace(project.adapters(used), background=every_second),
        )
        try:
            main(arguments, context)
        except SystemExit as end:
            print(f"exit {end.code}", flush=True)


if __name__ == "__main__":
    # The terminal becomes that of this session: only so does Ctrl-C become a signal.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    run_commands(Path(sys.argv[1]), json.loads(sys.argv[2]))
