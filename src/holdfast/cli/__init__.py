"""The command line: arguments, output on a terminal, exit codes. Decides nothing and touches no host."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from holdfast.monitor.arguments import asks_endpoints

if TYPE_CHECKING:
    from holdfast.cli.context import CommandContext

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, context: CommandContext | None = None) -> NoReturn:
    """Run the program, or the part of it that monitoring starts every minute, with only what that needs.

    Raises:
        SystemExit: always, with a documented exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if context is None and asks_endpoints(given):
        import_module("holdfast.monitor.program").main(given)
    import_module("holdfast.cli.app").main(given, context)
    raise SystemExit(0)
