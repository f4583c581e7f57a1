"""What the bot and the platforms exchange: people, locations, messages, button presses.

A transport (``chat.transports``) translates between one platform and these. Commands, wording,
permissions and rates are decided once, by the bot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from holdfast.errors import HoldfastError


class Unreachable(HoldfastError):
    """The platform does not answer now, or refused; trying again later with the same key is safe."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote or pressed something.

    Attributes:
        id: immutable (``slack:T1/U2``, ``matrix:@ada:example.org``); "" where the platform does not prove it.
        name: for display only, never for a decision.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Location:
    """A channel, and in it a thread.

    A thread is named by the ``message_id`` of its first message; "" is the channel itself, also where
    the platform has no threads.
    """

    channel: str
    thread: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that somebody wrote; ``event_id`` is unique, and the same when it is delivered again.

    Transports deliver every message of the bot's channels; the bot picks those that begin with
    ``holdfast``. A transport replaces a mention of the bot by that word.
    """

    event_id: str
    person: Person
    location: Location
    text: str


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A pressed button, or a reaction that stands for one; ``token`` is that ``Button``'s."""

    event_id: str
    person: Person
    location: Location
    token: str


Received = ReceivedMessage | ButtonPress
OnReceived = Callable[[Received], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message."""

    label: str
    token: str
    style: Literal["plain", "good", "bad"] = "plain"


@dataclass(frozen=True, slots=True)
class Message:
    """``text`` is plain and the transport escapes it; ``code`` is shown in fixed width.

    ``mentions`` are ids on this platform of people who are needed: it notifies them.
    """

    text: str
    code: str = ""
    buttons: tuple[Button, ...] = ()
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """A message on the platform, by the id that the platform gave it."""

    location: Location
    message_id: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the platform can do.

    Attributes:
        authenticates: the platform proves people's ids; without it the bot posts and takes no commands.
        limit: the characters that one message may have.
    """

    threads: bool
    edits: bool
    buttons: bool
    files: bool
    authenticates: bool
    limit: int
