"""``RetryPolicy``: how often something is attempted again, and how long the waits in between are.

For what changes nothing when it fails: a transaction that lost a race, a connection that was lost.
An act on a host is never attempted again (docs/architecture.md, "Resume").
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random_exponential
from tenacity.wait import wait_base

_T = TypeVar("_T")


def wait_seconds(seconds: float) -> None:
    """Let that many seconds of real time pass."""
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter.

    The wait after the first failure is at most ``first_seconds``, each further one at most twice the
    one before, none more than ``most_seconds``; every wait is between half of its maximum and the
    maximum, at random, so that many clients do not come back at the same moment. ``attempts`` counts
    the first one too; None is for ever.
    """

    first_seconds: float
    most_seconds: float
    attempts: int | None = None

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after that many failures in a row (1 for the first).

        For a client that reconnects: it counts its failures itself, and from 1 again once it was
        connected.
        """
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = failures
        return float(self._delays()(state))

    def call(
        self,
        attempt: Callable[[], _T],
        *,
        retry_on: type[Exception],
        wait: Callable[[float], object] = wait_seconds,
    ) -> _T:
        """Return the result of the first attempt that does not raise ``retry_on``.

        Raises:
            Exception: ``retry_on`` as the last attempt raised it; any other exception at once.
        """
        failures = 0
        while True:
            try:
                return attempt()
            except retry_on:
                failures += 1
                if failures == self.attempts:
                    raise
            wait(self.delay(failures))

    def _delays(self) -> wait_base:
        first, most = self.first_seconds / 2, self.most_seconds / 2
        return wait_exponential(first, most) + wait_random_exponential(first, most)
