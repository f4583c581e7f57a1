"""Matrix, over the client-server API.

1. The homeserver vouches for ``sender``; an event's id is the same however often it is delivered.
2. A send with the same transaction id and access token is one event, for hours after ("Transaction
   identifiers"); the transaction id is made from the key.
3. A button is a reaction. What each emoji stands for is written in the message itself, and read from the
   server when somebody reacts: it survives this process.
4. Rooms must be unencrypted: what the bot posts is for everybody in the room, and for nobody else.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Iterable
from typing import Annotated

import aiohttp
import nio
from pydantic import Field

from holdfast.chat.backoff import Backoff
from holdfast.chat.config import StrictModel
from holdfast.chat.transport import (
    ButtonPress,
    Capabilities,
    Location,
    Message,
    Person,
    Posted,
    Received,
    ReceivedMessage,
    Unreachable,
)
from holdfast.chat.transports.base import Deliver, Transport
from holdfast.chat.transports.matrix_format import (
    edit_content,
    file_content,
    in_thread,
    message_content,
    message_text,
    nested,
    plain_emoji,
    thread_of,
    tokens,
)
from holdfast.model import Json

LOG = logging.getLogger("holdfast.chat.matrix")

_SYNC_SECONDS = 30
_LOST = (aiohttp.ClientError, TimeoutError, OSError)
_UNREADABLE = {"M_NOT_FOUND", "M_FORBIDDEN"}
_REMEDIES = {
    "M_FORBIDDEN": "invite the bot to the room, and list the room in transports.matrix.rooms",
    "M_UNKNOWN_TOKEN": "the access token is no longer good: log in again (docs/chat-setup.md)",
    "M_MISSING_TOKEN": "give an access_token (docs/chat-setup.md)",
}


class MatrixSettings(StrictModel):
    """The section ``transports.matrix``. ``rooms`` are ids (``!…``); the bot is in no other room."""

    homeserver: Annotated[str, Field(pattern=r"^https?://\S+$")]
    user: Annotated[str, Field(pattern=r"^@[^:\s]+:\S+$")]
    access_token: Annotated[str, Field(min_length=1, repr=False)]
    rooms: Annotated[tuple[Annotated[str, Field(pattern=r"^!\S+$")], ...], Field(min_length=1)]
    timeout_seconds: Annotated[int, Field(ge=1)] = 10


class Matrix(Transport):
    """One homeserver."""

    name = "matrix"
    lost_errors = (Unreachable,)
    # An edit holds a text four times, with entities and up to four bytes a character; an event has
    # at most 65,536 bytes.
    capabilities = Capabilities(
        threads=True, edits=True, buttons=True, files=True, authenticates=True, limit=3500
    )

    def __init__(self, settings: MatrixSettings, backoff: Backoff | None = None) -> None:
        super().__init__(backoff)
        self._settings = settings
        self._since, self._display_name = "", ""
        self._encrypted: set[str] = set()
        # The library must neither repeat nor wait: its caller does.
        config = nio.AsyncClientConfig(
            max_timeouts=0, max_limit_exceeded=0, request_timeout=settings.timeout_seconds
        )
        self._client = nio.AsyncClient(settings.homeserver, settings.user, config=config)
        self._client.restore_login(settings.user, "holdfast", settings.access_token)
        # Below this level the library logs whole answers.
        logging.getLogger("nio").setLevel(logging.ERROR)

    # --- receiving ----------------------------------------------------------------------------

    async def receive(self, deliver: Deliver) -> None:
        """Ask for new events, from where the last answer ended, until none comes."""
        while True:
            await self._sync(deliver)
            self.connected()

    async def close(self) -> None:
        """Close the library's connections."""
        await self._client.close()

    async def _sync(self, deliver: Deliver) -> None:
        if not self._since:
            name = await self._ask(self._client.get_displayname(self._settings.user), "its name")
            self._display_name = name.displayname or ""
        # The library moves on with the answer; we do when all of it was delivered.
        self._client.next_batch = self._since
        answer = await self._ask(
            self._client.sync(
                timeout=_SYNC_SECONDS * 1000 if self._since else 0,
                sync_filter={"room": {"timeline": {"limit": 100}}, "presence": {"types": []}},
            ),
            "sync",
            _SYNC_SECONDS,
        )
        for room in answer.rooms.invite:
            await self._join(room)
        for room in set(answer.rooms.join) & set(self._settings.rooms):
            for event in answer.rooms.join[room].timeline.events:
                await self._deliver(room, event.source, deliver)
        self._since = answer.next_batch

    async def _join(self, room: str) -> None:
        if room not in self._settings.rooms:
            LOG.warning("matrix: invited to %s, which is not in transports.matrix.rooms", room)
            return
        await self._ask(self._client.join(room), f"joining {room}")
        LOG.info("matrix: joined %s", room)

    async def _deliver(self, room: str, event: dict[str, Json], deliver: Deliver) -> None:
        if event.get("sender") == self._settings.user or not event.get("event_id"):
            return
        match event.get("type"):
            case "m.room.encrypted" if room not in self._encrypted:
                self._encrypted.add(room)
                LOG.warning("matrix: %s is encrypted; the bot cannot read its messages", room)
                return
            case "m.room.message":
                received: Received | None = self._message(room, event)
            case "m.reaction":
                received = await self._button_press(room, event)
            case _:
                return
        if received is not None:
            age = nested(event, "unsigned").get("age")
            await deliver(received, age / 1000 if isinstance(age, int) else 0.0)

    def _message(self, room: str, event: dict[str, Json]) -> ReceivedMessage | None:
        content = nested(event, "content")
        text = message_text(content, self._settings.user, self._display_name)
        if text is None:
            return None
        location = Location(room, thread_of(content))
        return ReceivedMessage(str(event["event_id"]), _sender(event), location, text)

    async def _button_press(self, room: str, event: dict[str, Json]) -> ButtonPress | None:
        relation = nested(nested(event, "content"), "m.relates_to")
        target, emoji = relation.get("event_id"), plain_emoji(str(relation.get("key") or ""))
        if relation.get("rel_type") != "m.annotation" or not isinstance(target, str):
            return None
        answer = await self._ask(
            self._client.room_get_event(room, target), "a message", allowed=_UNREADABLE
        )
        # A message that the bot may not read is none of its own.
        if isinstance(answer, nio.ErrorResponse) or answer.event.sender != self._settings.user:
            return None
        token = tokens(answer.event.source).get(emoji)
        if token is None:
            return None
        location = Location(room, thread_of(nested(answer.event.source, "content")))
        return ButtonPress(str(event["event_id"]), _sender(event), location, token)

    # --- posting ------------------------------------------------------------------------------

    async def post(self, location: Location, message: Message, key: str) -> Posted:
        """Post once for each key, and offer the buttons as reactions."""
        content = in_thread(message_content(message), location)
        event_id = await self._send(location.channel, "m.room.message", content, key)
        await self._offer(location.channel, event_id, tokens({"content": content}))
        return Posted(location, event_id)

    async def edit(self, posted: Posted, message: Message) -> None:
        """Replace a message. Each edit is a new event: the same text twice changes nothing."""
        channel, content = posted.location.channel, message_content(message)
        await self._send(channel, "m.room.message", edit_content(content, posted), "")
        await self._offer(channel, posted.message_id, tokens({"content": content}))

    async def upload(self, location: Location, name: str, data: bytes, key: str) -> None:
        """Upload a file; its content may be stored twice, its message is posted once."""
        answer = await self._ask(
            self._client.upload(
                lambda _failures, _timeouts: data,
                content_type=file_content(name, len(data), "")["info"]["mimetype"],
                filename=name,
                filesize=len(data),
            ),
            f"the file {name}",
            self._settings.timeout_seconds * 3,
        )
        content = file_content(name, len(data), answer[0].content_uri)
        await self._send(location.channel, "m.room.message", in_thread(content, location), key)

    async def _offer(self, room: str, event_id: str, emojis: Iterable[str]) -> None:
        for emoji in emojis:
            relation = {"rel_type": "m.annotation", "event_id": event_id, "key": emoji}
            # The server refuses a second one of ours, as after an edit.
            await self._send(
                room, "m.reaction", {"m.relates_to": relation}, f"{event_id}/{emoji}",
                allowed={"M_DUPLICATE_ANNOTATION"},
            )  # fmt: skip

    async def _send(
        self,
        room: str,
        kind: str,
        content: dict[str, Json],
        key: str,
        allowed: Iterable[str] = (),
    ) -> str:
        transaction = hashlib.sha256(f"{room}/{key}".encode()).hexdigest()[:40] if key else None
        sending = self._client.room_send(room, kind, content, transaction)
        answer = await self._ask(sending, f"a message to {room}", allowed=allowed)
        return str(getattr(answer, "event_id", ""))

    async def _ask(
        self, request: Awaitable[Json], what: str, longer: float = 0, allowed: Iterable[str] = ()
    ) -> Json:
        """Return the answer; an error only if its code is ``allowed``.

        Raises:
            Unreachable: none came in time, or it is an error.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_seconds + longer):
                answer = await request
        except _LOST as error:
            raise Unreachable(f"matrix did not take {what}: {type(error).__name__}") from error
        # An upload's answer comes in a pair.
        first = answer[0] if isinstance(answer, tuple) else answer
        if isinstance(first, nio.ErrorResponse) and first.status_code not in allowed:
            code = str(first.status_code or "an unreadable answer")
            raise Unreachable(f"matrix did not take {what}: {code}", remedy=_REMEDIES.get(code, ""))
        return answer


def _sender(event: dict[str, Json]) -> Person:
    return Person(f"matrix:{event['sender']}", str(event["sender"]))
