"""How long chat waits before it tries again: one policy for connections, posts and feeds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass


async def sleep(seconds: float) -> None:
    """Let real time pass."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for of Python 3.11 can lose a cancellation
            await asyncio.Event().wait()


@dataclass
class Backoff:
    """Waits that double with each failure in a row, with jitter so that a server that is back is not flooded.

    Attributes:
        first: the longest wait after one failure, in seconds.
        most: the longest wait at all, in seconds.
    """

    first: float = 1.0
    most: float = 60.0
    wait: Callable[[float], Awaitable[object]] = sleep
    _failures: int = 0

    def succeeded(self) -> None:
        """Begin again with the shortest wait."""
        self._failures = 0

    def next_delay(self) -> float:
        """Count a failure and return the seconds to wait after it."""
        longest = min(self.first * 2.0 ** min(self._failures, 30), self.most)
        self._failures += 1
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing

    async def failed(self) -> None:
        """Count a failure and wait."""
        await self.wait(self.next_delay())
