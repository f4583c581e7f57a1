"""What a platform offers to the bot, and what all share: reconnecting, dropping late commands, mentions."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar

from holdfast.chat.backoff import Backoff
from holdfast.chat.transport import (
    Capabilities,
    Location,
    Message,
    OnReceived,
    Posted,
    Received,
    Unreachable,
)

LOG = logging.getLogger("holdfast.chat")

STALE_SECONDS = 300.0
"""A command that took longer to arrive is dropped: whoever typed it no longer expects it to happen,
and a restart must not begin because a connection came back."""

Deliver = Callable[[Received, float], Awaitable[None]]
"""Takes what was received, and the seconds since it was written."""


class Transport(ABC):
    """One connection to one platform, which implements ``receive``, ``post`` and what else it can.

    ``post``, ``edit`` and ``upload`` raise ``Unreachable``.
    """

    name: str
    capabilities: Capabilities
    lost_errors: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.backoff = backoff or Backoff()
        self._connected = False

    @abstractmethod
    async def receive(self, deliver: Deliver) -> None:
        """Connect, call ``self.connected``, and deliver until the connection is lost.

        Raises:
            one of ``lost_errors``; ``listen`` connects again.
        """

    async def listen(self, on_received: OnReceived) -> None:
        """Call ``on_received`` for everything people write and press, until cancelled.

        A lost connection is made again, after growing waits.
        """

        async def deliver(received: Received, age: float = 0.0) -> None:
            if age > STALE_SECONDS:
                LOG.warning("%s: %s arrived too late: dropped", self.name, received.event_id)
            else:
                await on_received(received)

        try:
            while True:
                try:
                    await self.receive(deliver)
                except self.lost_errors as error:
                    LOG.warning("%s: not connected: %s", self.name, describe_error(error))
                self._connected = False
                await self.backoff.failed()
        finally:
            await self.close()

    def connected(self) -> None:
        """Note that the platform answers."""
        self.backoff.succeeded()
        if not self._connected:
            LOG.info("%s: connected", self.name)
        self._connected = True

    async def close(self) -> None:  # noqa: B027 - most platforms have nothing to close
        """Release what outlives a lost connection."""

    @abstractmethod
    async def post(self, location: Location, message: Message, key: str) -> Posted:
        """Post a message; the same key twice is posted once, where the platform can tell."""

    async def edit(self, posted: Posted, message: Message) -> None:  # noqa: ARG002 - for platforms that can
        """Replace a message."""
        raise Unreachable(f"{self.name} cannot edit a message")

    async def upload(self, location: Location, name: str, data: bytes, key: str) -> None:  # noqa: ARG002 - for platforms that can
        """Upload a file; the same key twice is uploaded once, where the platform can tell."""
        raise Unreachable(f"{self.name} cannot take a file")


def describe_error(error: BaseException) -> str:
    """Return what went wrong without a library's text, which quotes requests and addresses."""
    return error.message if isinstance(error, Unreachable) else type(error).__name__


def replace_mention(text: str, names: Iterable[str]) -> str:
    """Return the text with a name of the bot at its beginning replaced by ``holdfast``."""
    for name in filter(None, names):
        rest = text[len(name) :]
        if text.casefold().startswith(name.casefold()) and not rest[:1].isalnum():
            return f"holdfast {rest.lstrip(':, ')}"
    return text
