"""What the transports share: how long to wait before asking again, and what is too old to be done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

STALE_SECONDS = 300.0
"""A command that was under way for longer is not handed on: who typed it has long given up on it,
and a restart must not begin because a connection came back."""


async def passing(seconds: float) -> None:
    """Let real time pass."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for of Python 3.11 can lose a cancellation
            await asyncio.Event().wait()


@dataclass
class Backoff:
    """Waits longer after each failure in a row, with jitter: a server that comes back is not stormed.

    ``first`` and ``most`` are seconds.
    """

    first: float = 1.0
    most: float = 60.0
    wait: Callable[[float], Awaitable[object]] = passing
    _failures: int = 0

    def succeeded(self) -> None:
        """Begin anew with the shortest wait."""
        self._failures = 0

    async def failed(self) -> None:
        """Wait for as long as this failure deserves."""
        longest = min(self.first * 2.0 ** min(self._failures, 30), self.most)
        self._failures += 1
        await self.wait(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
