"""What the tests of all transports share: somebody who listens, and patience that ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from holdfast.chat.backoff import Backoff
from holdfast.chat.transport import Heard, Message, Place, Posted, Pressed, Transport, Unreachable

PATIENCE_SECONDS = 60.0


def quick() -> Backoff:
    """A backoff for servers that are back in a moment."""
    return Backoff(first=0.05, most=0.3)


@dataclass
class Ear:
    """Hears for a bot, and knows what was heard before, as a bot does."""

    said: list[Heard | Pressed] = field(default_factory=list)
    repeated: list[Heard | Pressed] = field(default_factory=list)

    async def hear(self, said: Heard | Pressed) -> None:
        """Take it in."""
        known = {each.ident for each in self.said}
        (self.repeated if said.ident in known else self.said).append(said)

    @property
    def texts(self) -> list[str]:
        """The messages, without the clicks."""
        return [each.text for each in self.said if isinstance(each, Heard)]

    @property
    def pressed(self) -> list[Pressed]:
        """The clicks and reactions."""
        return [each for each in self.said if isinstance(each, Pressed)]


@asynccontextmanager
async def listening(transport: Transport) -> AsyncIterator[Ear]:
    """Let a transport listen."""
    ear = Ear()
    task = asyncio.ensure_future(transport.listen(ear.hear))
    try:
        yield ear
    finally:
        assert not task.done(), "listen returned by itself"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], object], what: str = "") -> None:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, f"never came true: {what or true}"
        await asyncio.sleep(0.02)  # noqa: TID251  # waits for a server, in a test


async def posted(transport: Transport, place: Place, message: Message, key: str) -> Posted:
    """Post as the core does: with the same key until it is taken."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await transport.post(place, message, key)
        except Unreachable:
            assert time.monotonic() < end, "never taken"
            await asyncio.sleep(0.1)  # noqa: TID251  # waits for a server, in a test


def play(scenario: Coroutine[Any, Any, None]) -> None:
    """Play a scenario to its end, which comes."""

    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_SECONDS):
            await scenario

    asyncio.run(bounded())
