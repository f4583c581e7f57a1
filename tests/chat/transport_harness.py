"""What the tests of all transports share: a receiver, and waiting with a limit."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from holdfast.chat.backoff import Backoff
from holdfast.chat.transport import (
    ButtonPress,
    Location,
    Message,
    Posted,
    ReceivedMessage,
    Unreachable,
)
from holdfast.chat.transports.base import Transport
from holdfast.retry import RetryPolicy

PATIENCE_SECONDS = 60.0


def fast_backoff() -> Backoff:
    """Return a backoff with short waits."""
    return Backoff(RetryPolicy(0.05, 0.3))


@dataclass
class RecordingReceiver:
    """Records what a transport delivers, and repeated deliveries apart."""

    received: list[ReceivedMessage | ButtonPress] = field(default_factory=list)
    repeated: list[ReceivedMessage | ButtonPress] = field(default_factory=list)

    async def on_received(self, received: ReceivedMessage | ButtonPress) -> None:
        """Record a delivery."""
        known = {each.event_id for each in self.received}
        (self.repeated if received.event_id in known else self.received).append(received)

    @property
    def texts(self) -> list[str]:
        """Return the texts of the messages."""
        return [each.text for each in self.received if isinstance(each, ReceivedMessage)]

    @property
    def pressed(self) -> list[ButtonPress]:
        """Return the button presses."""
        return [each for each in self.received if isinstance(each, ButtonPress)]


@asynccontextmanager
async def listening(transport: Transport) -> AsyncIterator[RecordingReceiver]:
    """Let a transport listen inside this context."""
    receiver = RecordingReceiver()
    task = asyncio.ensure_future(transport.listen(receiver.on_received))
    try:
        yield receiver
    finally:
        assert not task.done(), "listen returned by itself"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what or condition}"
        await asyncio.sleep(0.02)  # noqa: TID251  # waits for a server, in a test


async def post_until_accepted(
    transport: Transport, location: Location, message: Message, key: str
) -> Posted:
    """Post with the same key until it is accepted, as the bot does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await transport.post(location, message, key)
        except Unreachable:
            assert time.monotonic() < end, "never taken"
            await asyncio.sleep(0.1)  # noqa: TID251  # waits for a server, in a test


def run_scenario(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario, with a time limit; what it has not closed is reported of this test."""

    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_SECONDS):
            await scenario
        gc.collect()

    asyncio.run(bounded())
