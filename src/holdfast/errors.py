"""One error root; subclasses are named for what the caller may do, and carry the CLI's exit code.

Every message names the host, step, evidence, present state and next command where they apply.
Exit codes are those of docs/architecture.md, "Exit codes".
"""

from __future__ import annotations


class HoldfastError(Exception):
    """Root of all errors Holdfast raises on purpose; anything else is a bug of ours (70)."""

    exit_code = 70

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.remedy}" if self.remedy else self.message


class InvalidInput(HoldfastError):
    """Usage, runbook or inventory is wrong; nothing was touched; correct it and call again."""

    exit_code = 2


class RunbookError(InvalidInput):
    """A runbook says something Holdfast does not know; names file and line."""

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path, self.line = path, line


class Refused(HoldfastError):
    """Not now: a lease is held, an approval is missing or a preflight gate fails; nothing touched."""

    exit_code = 3


class LeaseHeld(Refused):
    """Another run holds the scope; the message says who, since when and why."""


class LeaseLost(HoldfastError):
    """Our lease expired or another run took it; no further act may follow: hold."""

    exit_code = 4


class StateUnusable(InvalidInput):
    """The state database cannot be opened, read or written; nothing was touched."""


class StateLost(HoldfastError):
    """The journal failed in the middle of a run: no further act is possible, none is attempted.

    Exit code 6 where a play was under way, whose outcome cannot be noted; 4 otherwise.
    """

    exit_code = 4

    @classmethod
    def of(cls, run: str, cause: HoldfastError, *, acting: bool) -> StateLost:
        """The error for a run whose journal failed for ``cause``."""
        during = "while a play was under way" if acting else "between two plays"
        error = cls(
            f"run {run} stopped {during}: {cause.message}; nothing more is touched",
            remedy=f"repair the state database, then: holdfast resume {run} --reason '…'",
        )
        error.exit_code = 6 if acting else 4
        return error


class CannotTell(HoldfastError):
    """A probe could not get an answer; the judge turns it into UNKNOWN, never PASS."""
