"""Turns every error into a message and an exit code, around the whole program.

A HoldfastError is printed without a traceback. Anything else is a bug of Holdfast: exit code 70,
and the traceback is written to a file that the message names.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from rich.text import Text

from holdfast.cli.context import CommandContext
from holdfast.errors import HoldfastError
from holdfast.text import strip_control

INTERRUPTED = 5
_TYPER_INTERRUPTED = 130
"""The exit code that typer makes of a KeyboardInterrupt."""


@dataclass(frozen=True, slots=True)
class ExitOnError:
    """``with ExitOnError(context):`` prints every error inside and raises SystemExit with its exit code."""

    context: CommandContext

    def __enter__(self) -> None:
        """Begin; nothing is to be prepared."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        interrupted = isinstance(error, SystemExit) and error.code == _TYPER_INTERRUPTED
        if error is None or (isinstance(error, SystemExit) and not interrupted):
            return
        if interrupted or isinstance(error, KeyboardInterrupt):
            code = _print_interrupted(self.context)
        elif isinstance(error, HoldfastError):
            code = _print_error(self.context, error)
        else:
            code = report_bug(self.context, error)
        raise SystemExit(code) from None


def _print_interrupted(context: CommandContext) -> int:
    context.err.print("\nInterrupted. Nothing was touched by this command.", style="yellow")
    return INTERRUPTED


def _print_error(context: CommandContext, error: HoldfastError) -> int:
    """Print what is wrong, then what to type next."""
    context.err.print(Text(strip_control(error.message), style="red"), soft_wrap=True)
    if error.remedy:
        remedy = Text().append("next: ", "dim").append(strip_control(error.remedy), "bold")
        context.err.print(remedy, soft_wrap=True)
    return error.exit_code


def report_bug(context: CommandContext, error: BaseException) -> int:
    """Write the traceback to a file and print where it is; return the exit code of a bug."""
    text = Text().append("This is a bug of Holdfast: ", style="bold red")
    text.append(strip_control(f"{type(error).__name__}: {error}"), style="red")
    context.err.print(text, soft_wrap=True)
    trace = "".join(traceback.format_exception(error))
    try:
        path = context.settings.state_dir / f"bug-{context.now():%Y%m%d-%H%M%S}.txt"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(trace, encoding="utf-8")
        path.chmod(0o600)
    except (OSError, HoldfastError):
        context.err.print(Text(trace), soft_wrap=True)
    else:
        context.err.print(Text(f"Details are in {path}"), soft_wrap=True)
    if context.run:
        hint = f"Run {context.run} is journaled: holdfast status {context.run}"
        context.err.print(Text(hint), soft_wrap=True)
    return context.bug_code
