"""Turns every error into a message and an exit code, around the whole program.

A HoldfastError is printed without a traceback. Anything else is a bug of Holdfast: exit code 70,
and the traceback is written to a file that the message names.
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
_TYPER_INTERRUPTED = 130
"""The exit code that typer makes of a KeyboardInterrupt."""


class ExitOnError:
    """``with ExitOnError(…):`` raises SystemExit for every error inside."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self._err = context.err

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        interrupted = isinstance(error, SystemExit) and error.code == _TYPER_INTERRUPTED
        if error is None or (isinstance(error, SystemExit) and not interrupted):
            return
        if isinstance(error, HoldfastError):
            self.print_error(error)
            raise SystemExit(error.exit_code) from None
        if interrupted or isinstance(error, KeyboardInterrupt):
            self._err.print("\nInterrupted. Nothing was touched by this command.", style="yellow")
            raise SystemExit(INTERRUPTED) from None
        self._report_bug(error)
        raise SystemExit(self._context.bug_code) from None

    def print_error(self, error: HoldfastError) -> None:
        """Print what is wrong, then what to type next."""
        self._err.print(Text(strip_control(error.message), style="red"), soft_wrap=True)
        if error.remedy:
            remedy = (
                Text().append("next: ", style="dim").append(strip_control(error.remedy), "bold")
            )
            self._err.print(remedy, soft_wrap=True)

    def _report_bug(self, error: BaseException) -> None:
        """Write the traceback to a file and print where it is."""
        text = Text().append("This is a bug of Holdfast: ", style="bold red")
        text.append(strip_control(f"{type(error).__name__}: {error}"), style="red")
        self._err.print(text, soft_wrap=True)
        trace = "".join(traceback.format_exception(error))
        try:
            path = self._context.settings.state_dir / f"bug-{self._context.now():%Y%m%d-%H%M%S}.txt"
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(trace, encoding="utf-8")
            path.chmod(0o600)
        except (OSError, HoldfastError):
            self._err.print(Text(trace), soft_wrap=True)
        else:
            self._err.print(Text(f"Details are in {path}"), soft_wrap=True)
        if run := self._context.run:
            hint = f"Run {run} is journaled: holdfast status {run}"
            self._err.print(Text(hint), soft_wrap=True)
