"""The outermost edge of the program: every error becomes a message and an exit code.

Owns the promise that a HoldfastError is said in words without a traceback, and that anything else
is a bug of ours: exit code 70, with the place where its details were written.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Self

from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.errors import HoldfastError
from holdfast.text import strip_control

INTERRUPTED = 5
_BY_TYPER = 130
"""What typer makes of a KeyboardInterrupt before it comes here."""


class ExitOnError:
    """``with Boundary(…):`` ends in SystemExit, whatever happens inside."""

    def __init__(self, desk: CommandContext) -> None:
        self._desk = desk
        self._err = desk.err

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        interrupted = isinstance(error, SystemExit) and error.code == _BY_TYPER
        if error is None or (isinstance(error, SystemExit) and not interrupted):
            return
        if isinstance(error, HoldfastError):
            self.say(error)
            raise SystemExit(error.exit_code) from None
        if interrupted or isinstance(error, KeyboardInterrupt):
            self._err.print("\nInterrupted. Nothing was touched by this command.", style="yellow")
            raise SystemExit(INTERRUPTED) from None
        self._confess(error)
        raise SystemExit(self._desk.bug_code) from None

    def say(self, error: HoldfastError) -> None:
        """Print an error for people: what is wrong, then what to do next."""
        self._err.print(Text(strip_control(error.message), style="red"), soft_wrap=True)
        if error.remedy:
            remedy = (
                Text().append("next: ", style="dim").append(strip_control(error.remedy), "bold")
            )
            self._err.print(remedy, soft_wrap=True)

    def _confess(self, error: BaseException) -> None:
        """Write the traceback down, and say where."""
        words = Text().append("This is a bug of Holdfast: ", style="bold red")
        words.append(strip_control(f"{type(error).__name__}: {error}"), style="red")
        self._err.print(words, soft_wrap=True)
        trace = "".join(traceback.format_exception(error))
        try:
            path = self._desk.settings.state_dir / f"bug-{self._desk.now():%Y%m%d-%H%M%S}.txt"
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(trace, encoding="utf-8")
            path.chmod(0o600)
        except (OSError, HoldfastError):
            self._err.print(Text(trace), soft_wrap=True)
        else:
            self._err.print(Text(f"Details are in {path}"), soft_wrap=True)
        if run := self._desk.run:
            again = f"Run {run} is journaled: holdfast status {run}"
            self._err.print(Text(again), soft_wrap=True)
