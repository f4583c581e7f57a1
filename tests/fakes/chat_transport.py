"""A chat platform in memory: ``messages`` and ``files`` are what people would see.

It has the faults of real ones: it can be unreachable, deliver the same event again, and take a
message whose answer then gets lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import ClassVar

from holdfast.chat.transport import (
    Button,
    ButtonPress,
    Capabilities,
    Location,
    Message,
    Person,
    Posted,
    ReceivedMessage,
    Unreachable,
)
from holdfast.chat.transports.base import Deliver, Transport

CAPABILITIES = Capabilities(
    threads=True, edits=True, buttons=True, files=True, authenticates=True, limit=4000
)


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """A message as it is shown now, posted under ``key``; ``before`` are those that it replaced."""

    location: Location
    message_id: str
    key: str
    message: Message
    before: tuple[Message, ...] = ()


@dataclass
class FakeTransport(Transport):
    """``messages`` and ``files`` are what people see.

    ``knows_keys``: the same key is posted once, as on Matrix; on others every post is a message.
    """

    name: str = "memory"
    capabilities: Capabilities = CAPABILITIES
    reachable: bool = True
    answers: bool = True
    knows_keys: bool = True
    messages: list[FakeMessage] = field(default_factory=list)
    files: dict[str, tuple[Location, bytes]] = field(default_factory=dict)
    _keys: dict[str, Posted] = field(default_factory=dict)
    _incoming: asyncio.Queue[ReceivedMessage | ButtonPress] = field(default_factory=asyncio.Queue)
    _events: int = 0
    lost_errors: ClassVar = (Unreachable,)

    def __post_init__(self) -> None:
        super().__init__()

    # --- what people do -----------------------------------------------------------------------

    async def say(
        self, person: Person, text: str, location: Location, event_id: str = ""
    ) -> ReceivedMessage:
        """Write a message, under a new id unless one is given (a repeated delivery)."""
        message = ReceivedMessage(event_id or self._new_id(), person, location, text)
        await self._incoming.put(message)
        return message

    async def press(
        self, person: Person, button: Button, location: Location, event_id: str = ""
    ) -> ButtonPress:
        """Press a button."""
        pressed = ButtonPress(event_id or self._new_id(), person, location, button.token)
        await self._incoming.put(pressed)
        return pressed

    def texts(self) -> list[str]:
        """Return the text of every message, in the order in which they were posted."""
        return ["\n".join(filter(None, (m.message.text, m.message.code))) for m in self.messages]

    # --- Transport ----------------------------------------------------------------------------

    async def receive(self, deliver: Deliver) -> None:
        """Deliver messages and button presses, one after the other."""
        while True:
            received = await self._incoming.get()
            try:
                await deliver(received, 0.0)
            finally:
                self._incoming.task_done()

    async def all_received(self) -> None:
        """Return once everything has been delivered."""
        await self._incoming.join()

    async def post(self, location: Location, message: Message, key: str) -> Posted:
        """Post once for each key, where keys are known."""
        self._refuse_unreachable()
        if key not in self._keys or not self.knows_keys:
            posted = Posted(location, f"m{len(self.messages) + 1}")
            self.messages.append(FakeMessage(location, posted.message_id, key, message))
            self._keys[key] = posted
        self._lose_answer()
        return self._keys[key]

    async def edit(self, posted: Posted, message: Message) -> None:
        """Replace a message."""
        self._refuse_unreachable()
        at = next(i for i, m in enumerate(self.messages) if m.message_id == posted.message_id)
        found = self.messages[at]
        before = (*found.before, found.message)
        self.messages[at] = replace(found, message=message, before=before)
        self._lose_answer()

    async def upload(self, location: Location, name: str, data: bytes, key: str) -> None:
        """Keep a file under its name; the same key again changes nothing."""
        self._refuse_unreachable()
        if key not in self._keys:
            self.files[name] = (location, data)
            self._keys[key] = Posted(location, name)
        self._lose_answer()

    def _refuse_unreachable(self) -> None:
        if not self.reachable:
            raise Unreachable(f"{self.name} does not answer")

    def _lose_answer(self) -> None:
        if not self.answers:
            raise Unreachable(f"{self.name} took it and the answer was lost")

    def _new_id(self) -> str:
        self._events += 1
        return f"e{self._events}"
