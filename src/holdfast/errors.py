"""The errors of Holdfast; they are named for what the caller may do, and have the CLI's exit code.

Every message names the host, step, evidence, present state and next command where they apply.
Exit codes are those of docs/architecture.md, "Exit codes".
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class HoldfastError(Exception):
    """Root of all errors that Holdfast raises on purpose; anything else is a bug (70).

    ``remedy`` is what the reader can do next.
    """

    exit_code = 70

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.remedy}" if self.remedy else self.message


class InvalidInput(HoldfastError):
    """The command, runbook or inventory is wrong; nothing was touched; correct it and repeat."""

    exit_code = 2


class RunbookError(InvalidInput):
    """A runbook violates the format, or names something that does not exist; has file and line."""

    def __init__(self, path: str, line: int, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{path}:{line}: {message}", remedy=remedy)
        self.path, self.line = path, line


class Refused(HoldfastError):
    """A lease is held, an approval is missing or a survey failed; nothing was touched."""

    exit_code = 3


class LeaseHeld(Refused):
    """Another run holds the scope; the message has the holder, since when and why."""


class ClocksDiffer(Refused):
    """The clocks of this controller and of the state database differ by more than a few seconds."""

    @classmethod
    def of(cls, warning: str) -> ClocksDiffer:
        """Return the error for a difference as ``Store.clock_warning`` words it."""
        return cls(
            f"{warning}; nothing was touched",
            remedy="set the wrong one (timedatectl, chronyc makestep), then repeat the command",
        )


class LeaseLost(HoldfastError):
    """The run's lease expired, or another run took it; no further act may follow: hold."""

    exit_code = 4


class StateUnusable(InvalidInput):
    """The state database, or a journal in it, cannot be read or written; nothing was touched."""


class JournalGone(StateUnusable):
    """The database, or the journal in it, of a run was deleted, replaced or made anew.

    What the run did is no longer written anywhere but in the output of its plays.
    """

    exit_code = 6

    @classmethod
    def told(cls, where: str, found: str) -> JournalGone:
        """Return the error for what was found of the state database ``where``."""
        return cls(
            f"the state database {where} {found}",
            remedy=f"stop what still runs, restore {where} from a backup, and look at every host before anything is"
            " restarted: without its journal a run cannot be resumed",
        )

    @classmethod
    def beside(cls, where: str, directory: str, runs: Sequence[str]) -> JournalGone:
        """Return the error for a database file that is missing where ``directory`` has the files of runs."""
        newest = f"{len(runs)} runs, the newest {runs[-1]}" if len(runs) > 1 else runs[-1]
        put_away = shlex.join(["mv", directory, f"{directory}.without-journal"])
        return cls(
            f"the state database {where} is gone, and {directory} has the files of {newest}; no new one was made, and"
            " nothing was touched",
            remedy=f"restore {where} from a backup. Without one, see in {directory} what those runs did last, and look"
            f" at every host before anything is restarted; then, to begin with an empty journal: {put_away}",
        )

    @classmethod
    def of(cls, run: str, where: str, found: str) -> JournalGone:
        """Return the error for a run whose journal is not in that database any more."""
        error = cls.told(where, found)
        error.message = f"the journal of run {run} is gone: {error.message}"
        return error


class StateLost(HoldfastError):
    """The journal failed during a run; no further act is attempted.

    Exit code 6 where a play was running, whose outcome cannot be recorded, or where the journal is
    gone; 4 otherwise.
    """

    exit_code = 4

    @classmethod
    def of(cls, run: str, cause: HoldfastError, *, acting: bool) -> StateLost:
        """Return the error for a run whose journal failed with ``cause``."""
        during = "while a play was running" if acting else "between two plays"
        gone = isinstance(cause, JournalGone)
        resume = f"repair the state database, then: holdfast resume {run} --reason '…'"
        error = cls(
            f"run {run} stopped {during}: {cause.message}; nothing more is touched",
            remedy=cause.remedy if gone else resume,
        )
        error.exit_code = 6 if acting or gone else 4
        return error


class CannotTell(HoldfastError):
    """A probe got no usable answer; the judge turns it into UNKNOWN, never into PASS.

    ``final`` where waiting cannot bring one: the gate ends at once. ``login_refused`` where the site's login was
    refused: the gate ends soon.
    """

    def __init__(
        self, message: str, *, remedy: str = "", final: bool = False, login_refused: bool = False
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.final = final
        self.login_refused = login_refused


class OutcomeUnknown(HoldfastError):
    """An act was sent to a host, and whether it happened is not known."""

    exit_code = 6
