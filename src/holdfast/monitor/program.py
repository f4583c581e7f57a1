"""Takes one reading of a system through its endpoints, and prints it; every error is UNKNOWN."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import NoReturn, Self

from holdfast.claims import bind_claim, find_claim
from holdfast.claims.base import Question
from holdfast.errors import HoldfastError
from holdfast.gate_loop import observe
from holdfast.model import Observation, Unanswered
from holdfast.monitor.arguments import ANSWER_SECONDS, MonitorRequest, parse
from holdfast.monitor.output import Read, exit_code, nagios_line, prometheus_text, write_atomically
from holdfast.monitor.site import read_credentials, site_of
from holdfast.monitor.systems import SYSTEMS


@dataclass(frozen=True, slots=True)
class MonitorClock:
    """Steady seconds, and the time of day."""

    steady: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run ``holdfast check`` with these arguments and end the process.

    Threads that still wait for an answer end with it: monitoring ends a plugin that takes longer.
    """
    code, line = run(arguments, MonitorClock())
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    os._exit(code)


def run(arguments: Sequence[str], clock: MonitorClock) -> tuple[int, str]:
    """Return the exit code and the line; write the file for Prometheus where that was asked for."""
    request, read = None, Read("", error="nothing was asked")
    with _Failures() as failed:
        request = parse(arguments[1:])
        read = take(request, clock)
    system, file = (request.system, request.prometheus) if request else ("", "")
    if failed.error:
        read = failed.read(system)
    if file:
        with _Failures() as failed:
            write_atomically(file, prometheus_text(read, clock.now()))
        if failed.error:
            read = replace(read, unwritten=failed.read(system).headline)
    return exit_code(read.outcome), nagios_line(read)


@dataclass(slots=True)
class _Failures:
    """``with _Failures() as failed:`` keeps what is raised inside: it would end the plugin with 1, a mere WARNING."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None

    def read(self, system: str) -> Read:
        """Return the reading that could not be taken; its outcome is UNKNOWN."""
        if isinstance(self.error, HoldfastError):
            return Read(system, error=self.error.message, remedy=self.error.remedy)
        return Read(system, error=f"a bug of Holdfast: {type(self.error).__name__}: {self.error}")


def take(request: MonitorRequest, clock: MonitorClock, seconds: float = ANSWER_SECONDS) -> Read:
    """Take one reading; what gives no answer in ``seconds`` is UNKNOWN.

    Raises:
        InvalidInput: an endpoint or the file is not what is needed.
    """
    system, began = SYSTEMS[request.system], clock.steady()
    file = read_credentials(request.credentials)
    known = {**file.variables, **{name: 1 for each in file.hosts.values() for name in each}}
    claims = [bind_claim(name) for name in system.chosen(known)]
    context = site_of(system, request.endpoints, file, claims)
    history: dict[Question, list[Observation]] = {bound.question: [] for bound in claims}
    with ThreadPool(len(history)) as pool:
        left = partial(_left, clock, began + seconds)
        observe(pool, claims, context, left, history)
    verdicts = [bound.judge(history[bound.question]) for bound in claims]
    figures = [
        figure
        for bound in claims
        if bound.claim.name in system.figures
        and not isinstance(seen := history[bound.question][-1], Unanswered)
        for figure in system.figures[bound.claim.name](seen)
    ]
    found = Read(request.system, verdicts, figures, clock.steady() - began)
    decided = found.deciding
    return replace(found, remedy=find_claim(decided.claim).remedy) if decided else found


def _left(clock: MonitorClock, end: float) -> timedelta:
    return timedelta(seconds=end - clock.steady())
