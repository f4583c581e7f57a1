"""Matrix, over the client-server API.

Owns the translation between Matrix events and ours. What it relies on:

1. The homeserver vouches for ``sender``; an event's id is the same however often it is delivered.
2. A send with the same transaction id and access token is one event, for hours after (the client-server
   API, "Transaction identifiers"); the transaction id is made from the key.
3. A button is a reaction. What each emoji stands for is written in the message itself, so it is read
   from the server when somebody reacts, whatever happened to this process since.
4. Rooms must be unencrypted: what the bot says there is for everybody in the room, and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Sequence
from typing import Annotated

import aiohttp
import nio
from pydantic import BaseModel, ConfigDict, Field

from holdfast.chat.backoff import STALE_SECONDS, Backoff
from holdfast.chat.transport import (
    Abilities,
    Hear,
    Heard,
    Message,
    Person,
    Place,
    Posted,
    Pressed,
    Unreachable,
)
from holdfast.chat.transports.matrix_format import (
    bare,
    content,
    edited,
    file_content,
    in_thread,
    inside,
    spoken,
    thread_of,
    tokens,
)
from holdfast.model import Json

LOG = logging.getLogger("holdfast.chat.matrix")

# Four copies of a text in an edit, each with entities and up to four bytes a character, stay below
# the 65,536 bytes of an event.
ABLE = Abilities(threads=True, edits=True, buttons=True, files=True, vouches=True, limit=3500)

_SYNC_SECONDS = 30
_AWAY = (aiohttp.ClientError, TimeoutError, OSError)
# A reaction may stand under a message that the bot may not read, so none of ours.
_NOT_OURS = {"M_NOT_FOUND", "M_FORBIDDEN"}
_TO_DO = {
    "M_FORBIDDEN": "invite the bot to the room, and list the room in transports.matrix.rooms",
    "M_UNKNOWN_TOKEN": "the access token is no longer good: log in again (docs/chat-setup.md)",
    "M_MISSING_TOKEN": "give an access_token (docs/chat-setup.md)",
}


class MatrixSettings(BaseModel):
    """The section ``transports.matrix``. ``rooms`` are ids (``!…``); the bot is in no other room."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    homeserver: Annotated[str, Field(pattern=r"^https?://\S+$")]
    user: Annotated[str, Field(pattern=r"^@[^:\s]+:\S+$")]
    access_token: Annotated[str, Field(min_length=1, repr=False)]
    rooms: Annotated[tuple[Annotated[str, Field(pattern=r"^!\S+$")], ...], Field(min_length=1)]
    timeout_seconds: Annotated[int, Field(ge=1)] = 10


def opened(settings: MatrixSettings) -> Matrix:
    """Return the transport."""
    return Matrix(settings)


class Matrix:
    """One homeserver. Implements ``Transport``."""

    name = "matrix"
    abilities = ABLE

    def __init__(self, settings: MatrixSettings, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._since: str | None = None
        self._display_name = ""
        self._sealed: set[str] = set()
        # It neither repeats nor waits by itself: whoever posts is told, and posts again.
        quick = nio.AsyncClientConfig(
            max_timeouts=0, max_limit_exceeded=0, request_timeout=settings.timeout_seconds
        )
        self._client = nio.AsyncClient(settings.homeserver, settings.user, config=quick)
        self._client.restore_login(settings.user, "holdfast", settings.access_token)
        # It logs whole answers and, at its own level, invalid ones; what matters is said here.
        logging.getLogger("nio").setLevel(logging.ERROR)

    # --- hearing ------------------------------------------------------------------------------

    async def listen(self, hear: Hear) -> None:
        """Hear until cancelled, from where the last answer ended; wait longer while none comes."""
        try:
            while True:
                try:
                    await self._sync(hear)
                    self._backoff.succeeded()
                except Unreachable as away:
                    LOG.warning("%s", away.message)
                    await self._backoff.failed()
        finally:
            await self._client.close()

    async def _sync(self, hear: Hear) -> None:
        """Ask what is new, once.

        Raises:
            Unreachable: no answer, or not the one that was asked for.
        """
        first = self._since is None
        if first:
            await self._learn_name()
        # The library's own goes on as soon as it has an answer; ours, when all of that was heard.
        self._client.next_batch = self._since or ""
        answer = await self._answered(
            self._client.sync(
                timeout=0 if first else _SYNC_SECONDS * 1000,
                sync_filter={"room": {"timeline": {"limit": 100}}, "presence": {"types": []}},
            ),
            "sync",
            _SYNC_SECONDS,
        )
        for room in answer.rooms.invite:
            await self._join(room)
        for room, news in answer.rooms.join.items():
            if room in self._settings.rooms:
                for event in news.timeline.events:
                    await self._hear(room, event.source, hear)
        if first:
            LOG.info("matrix: connected")
        self._since = answer.next_batch

    async def _learn_name(self) -> None:
        answer = await self._answered(
            self._client.get_displayname(self._settings.user), "the bot's name"
        )
        self._display_name = answer.displayname or ""

    async def _join(self, room: str) -> None:
        if room not in self._settings.rooms:
            LOG.warning("matrix: invited to %s, which is not in transports.matrix.rooms", room)
            return
        await self._answered(self._client.join(room), f"joining {room}")
        LOG.info("matrix: joined %s", room)

    async def _hear(self, room: str, event: dict[str, Json], hear: Hear) -> None:
        if event.get("sender") == self._settings.user or not event.get("event_id"):
            return
        kind = event.get("type")
        if kind == "m.room.encrypted" and room not in self._sealed:
            self._sealed.add(room)
            LOG.warning("matrix: %s is encrypted; the bot cannot read what is said there", room)
        if kind not in {"m.room.message", "m.reaction"}:
            return
        age = inside(event, "unsigned").get("age")
        if isinstance(age, int) and age > STALE_SECONDS * 1000:
            LOG.info("matrix: %s came too late and is not heard", event["event_id"])
            return
        said = (
            await self._pressed(room, event) if kind == "m.reaction" else self._heard(room, event)
        )
        if said is not None:
            await hear(said)

    def _heard(self, room: str, event: dict[str, Json]) -> Heard | None:
        body = inside(event, "content")
        text = spoken(body, self._settings.user, self._display_name)
        if text is None:
            return None
        place = Place(room, thread_of(body))
        return Heard(str(event["event_id"]), _person(event), place, text)

    async def _pressed(self, room: str, event: dict[str, Json]) -> Pressed | None:
        relation = inside(inside(event, "content"), "m.relates_to")
        target, emoji = relation.get("event_id"), bare(str(relation.get("key") or ""))
        if relation.get("rel_type") != "m.annotation" or not isinstance(target, str):
            return None
        answer = await self._reached(self._client.room_get_event(room, target), "a message")
        if getattr(answer, "status_code", "") in _NOT_OURS:
            return None
        _check(answer, "a message")
        asked = answer.event
        if asked.sender != self._settings.user:
            return None
        token = tokens(asked.source).get(emoji)
        if token is None:
            return None
        place = Place(room, thread_of(inside(asked.source, "content")))
        return Pressed(str(event["event_id"]), _person(event), place, token)

    # --- speaking -----------------------------------------------------------------------------

    async def post(self, place: Place, message: Message, key: str) -> Posted:
        """Post once for each key, and offer its buttons as reactions."""
        body = in_thread(content(message), place)
        ident = await self._send(place.channel, "m.room.message", body, key)
        await self._offer(place.channel, ident, list(tokens({"content": body})))
        return Posted(place, ident)

    async def edit(self, posted: Posted, message: Message) -> None:
        """Replace a message. The same edit sent again changes nothing, so each is a new event."""
        body = edited(content(message), posted)
        await self._send(posted.place.channel, "m.room.message", body, "")
        await self._offer(posted.place.channel, posted.ident, list(tokens({"content": body})))

    async def upload(self, place: Place, name: str, data: bytes, key: str) -> None:
        """Put a file there; its content may be stored twice, its message stands once."""
        kind = file_content(name, len(data), "")["info"]["mimetype"]

        def again(_failures: int, _timeouts: int) -> bytes:
            return data

        answer, _ = await self._reached(
            self._client.upload(again, content_type=kind, filename=name, filesize=len(data)),
            f"the file {name}",
            self._settings.timeout_seconds * 3,
        )
        _check(answer, f"the file {name}")
        body = in_thread(file_content(name, len(data), answer.content_uri), place)
        await self._send(place.channel, "m.room.message", body, key)

    async def _offer(self, room: str, ident: str, emojis: Sequence[str]) -> None:
        for emoji in emojis:
            relation = {"rel_type": "m.annotation", "event_id": ident, "key": emoji}
            # The server refuses a second one of ours, as when a message is edited.
            await self._send(
                room, "m.reaction", {"m.relates_to": relation}, f"{ident}/{emoji}",
                allowed="M_DUPLICATE_ANNOTATION",
            )  # fmt: skip

    async def _send(
        self, room: str, kind: str, body: dict[str, Json], key: str, allowed: str = ""
    ) -> str:
        transaction = hashlib.sha256(f"{room}/{key}".encode()).hexdigest()[:40] if key else None
        what = f"a message to {room}"
        answer = await self._reached(self._client.room_send(room, kind, body, transaction), what)
        if allowed and getattr(answer, "status_code", "") == allowed:
            return ""
        _check(answer, what)
        return str(answer.event_id)

    # --- asking -------------------------------------------------------------------------------

    async def _answered(self, asking: Awaitable[Json], what: str, longer: float = 0) -> Json:
        answer = await self._reached(asking, what, longer)
        _check(answer, what)
        return answer

    async def _reached(self, asking: Awaitable[Json], what: str, longer: float = 0) -> Json:
        """Return an answer, good or bad.

        Raises:
            Unreachable: none came in time.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_seconds + longer):
                return await asking
        except _AWAY as error:
            raise Unreachable(f"matrix did not take {what}: {type(error).__name__}") from error


def _check(answer: Json, what: str) -> None:
    if isinstance(answer, nio.ErrorResponse):
        code = str(answer.status_code or "an answer that is none")
        raise Unreachable(f"matrix did not take {what}: {code}", remedy=_TO_DO.get(code, ""))


def _person(event: dict[str, Json]) -> Person:
    return Person(f"matrix:{event['sender']}", str(event["sender"]))
