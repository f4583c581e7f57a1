"""What a chat platform must offer: hear, post, edit, upload. All that core and transports share.

A transport translates and nothing else: commands, words, permissions and rates are decided once,
in the core. It must say ``""`` for a person's id wherever the platform does not vouch for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from holdfast.errors import HoldfastError


class Unreachable(HoldfastError):
    """The platform does not answer now; asking again later, with the same key, is safe."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who speaks: ``id`` is immutable (``slack:T1/U2``, ``matrix:@ada:example.org``), ``""`` if unproved.

    ``name`` is for display only, never for a decision.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where messages stand: a channel, and in it the thread of a run.

    A thread is called by the ``ident`` of its first message (``Posted.ident``); ``""`` is the
    channel itself, also where the platform has no threads.
    """

    channel: str
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message somebody wrote; ``ident`` is unique, and the same when it is delivered again.

    Hand on every message of the channels that the bot is in: the core knows which are meant for it
    (they begin with ``holdfast``). A platform's mention of the bot is handed on as that word.
    """

    ident: str
    person: Person
    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button or reaction; ``token`` is the one of the ``Button`` it stands for."""

    ident: str
    person: Person
    place: Place
    token: str


@dataclass(frozen=True, slots=True)
class Button:
    """Something to press under a message."""

    label: str
    token: str
    style: Literal["plain", "good", "bad"] = "plain"


@dataclass(frozen=True, slots=True)
class Message:
    """``text`` is plain and the transport escapes it; ``code`` is shown as it is, in fixed width."""

    text: str
    code: str = ""
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that stands on the platform, with what the platform calls it."""

    place: Place
    ident: str


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the platform can do; ``limit`` is the characters that one message may have.

    ``vouches``: a person's id is proved by the platform. One that does not is told, and never asked.
    """

    threads: bool
    edits: bool
    buttons: bool
    files: bool
    vouches: bool
    limit: int


Hear = Callable[[Heard | Pressed], Awaitable[None]]
"""What a transport calls for everything that people say and press."""


class Transport(Protocol):
    """One connection to one platform."""

    name: str
    abilities: Abilities

    async def listen(self, hear: Hear) -> None:
        """Call ``hear`` for everything that people say; reconnect alone; return only when cancelled."""
        ...

    async def post(self, place: Place, message: Message, key: str) -> Posted:
        """Post a message; the same key twice is posted once where the platform can tell.

        Raises:
            Unreachable: the platform did not take it.
        """
        ...

    async def edit(self, posted: Posted, message: Message) -> None:
        """Replace a message in place.

        Raises:
            Unreachable: the platform did not take it.
        """
        ...

    async def upload(self, place: Place, name: str, data: bytes, key: str) -> None:
        """Put a file there; the same key twice is put once where the platform can tell.

        Raises:
            Unreachable: the platform did not take it.
        """
        ...
