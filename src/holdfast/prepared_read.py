"""What an act reads of its unit first, read at the engine's word beside the gates (docs/adr/0027)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from holdfast import unit_program
from holdfast.errors import HoldfastError
from holdfast.model import Json
from holdfast.probes.base import CommandResult, Shell
from holdfast.unit_program import ProgramAnswer
from holdfast.word import known

PREPARED = "holdfast_prepared"
"""What a word has of it, beside what the engine said."""

FRESH_SECONDS = 5.0
"""How old it may be when the act is intended. The lease's time is counted from it, and what the unit logs."""

_ACT = ("act", "unit", "log")


class PreparedRead:
    """Reads the unit of an act, in a thread and over a connection of its own, between enter and exit.

    ``act`` has ``act``, ``unit`` and ``log``, or nothing: then there is nothing to read.
    """

    def __init__(self, act: Mapping[str, Json], shell: Shell) -> None:
        self._act, self._shell = act, shell
        self._pool = ThreadPoolExecutor(1)
        self._reading: Future[CommandResult] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if self._act:
            self._begun = time.monotonic()
            command = unit_program.read(self._act["unit"], self._act["log"])
            self._reading = self._pool.submit(self._shell.run, command)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the answer."""
        self._pool.shutdown()

    def found(self) -> dict[str, Json]:
        """Return what is kept of it as JSON; nothing where the host gave no answer, so that the act reads it itself."""
        try:
            answer = self._reading.result() if self._reading else None
        except HoldfastError:
            answer = None
        if answer is None:
            return {}
        printed = {"stdout": answer.stdout, "stderr": answer.stderr}
        return {**self._act, **printed, "at": self._begun}


def prepared(variables: Mapping[str, Json], act: Mapping[str, Json]) -> ProgramAnswer | None:
    """Return what was read for this very act at the play's word, moments ago; None where there is none.

    ``act`` has at least ``act``, ``unit`` and ``log``. The clock of ``at`` is that of all processes on the controller.
    """
    found: Mapping[str, Json] = known(variables, PREPARED, {})
    if not found or any(found[name] != act[name] for name in _ACT):
        return None
    if not 0 <= time.monotonic() - found["at"] <= FRESH_SECONDS:
        return None
    try:
        answer = unit_program.parse(found["stdout"], found["stderr"])
    except HoldfastError:
        return None
    return answer if answer.before else None
