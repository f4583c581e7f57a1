"""How long chat waits before it tries again: one policy for connections, replies and feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from holdfast.retry import RetryPolicy

_POLICY = RetryPolicy(first_seconds=1.0, most_seconds=60.0)


async def sleep(seconds: float) -> None:
    """Let real time pass."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for of Python 3.11 can lose a cancellation
            await asyncio.Event().wait()


@dataclass
class Backoff:
    """Counts failures in a row, and waits after each as the policy says."""

    policy: RetryPolicy = _POLICY
    wait: Callable[[float], Awaitable[object]] = sleep
    _failures: int = 0

    def succeeded(self) -> None:
        """Begin again with the shortest wait."""
        self._failures = 0

    def next_delay(self) -> float:
        """Count a failure and return the seconds to wait after it."""
        self._failures += 1
        return self.policy.delay(self._failures)

    async def failed(self) -> None:
        """Count a failure and wait."""
        await self.wait(self.next_delay())
