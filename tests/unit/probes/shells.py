"""Shells of a task's host that run nothing."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import CannotTell
from holdfast.probes.base import CommandResult


class NoShell:
    """The shell of a test whose probe must run no command."""

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Fail the test."""
        raise AssertionError(argv)


class UnreachableShell:
    """The shell of a host that cannot be reached."""

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Raise CannotTell."""
        raise CannotTell("the host is unreachable")


class ScriptedShell:
    """Answers each command with the next of ``results``, the last one for ever; ``commands`` keeps them."""

    def __init__(self, *results: CommandResult) -> None:
        self._results = list(results)
        self.commands: list[list[str]] = []

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Return the next result."""
        self.commands.append(list(argv))
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]
