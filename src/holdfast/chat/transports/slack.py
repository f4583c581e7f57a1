"""Slack, over Socket Mode: no inbound port is opened, which suits a bastion.

Owns the translation between Slack's events, blocks and methods and ours. What it relies on:

1. A message is known by workspace, channel and ``ts``, whichever event brings it and however often.
2. Text is written as ``rich_text``, whose elements are literal: nothing in it is markup or a mention.
3. Slack has no idempotency key. Each message carries ours as metadata; before the first post in a place,
   and after a post whose answer was lost, what already stands there is read.
4. The library's client replaces a connection when Slack asks for it, but goes on for ever with an
   address that has expired; a connection that stays lost is replaced from the start here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import aiohttp
from pydantic import BaseModel, ConfigDict, Field
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from holdfast.chat.backoff import STALE_SECONDS, Backoff
from holdfast.chat.transport import (
    Abilities,
    Hear,
    Heard,
    Message,
    Person,
    Place,
    Posted,
    Unreachable,
)
from holdfast.chat.transports.slack_format import (
    ACTION,
    EVENT_TYPE,
    content,
    filename,
    keys,
    pressed,
    spoken,
)
from holdfast.model import Json

LOG = logging.getLogger("holdfast.chat.slack")

ABLE = Abilities(threads=True, edits=True, buttons=True, files=True, vouches=True, limit=3000)

_SPOKEN = {None, "thread_broadcast", "file_share"}
_TICKETS = re.compile(r"(?i)\b(ticket|token|link_id|app_id)=[^&\s'\"),]+")
_AWAY = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
_PAGES = 20
# Methods that read take no JSON; Slack answers that an argument is missing.
_WRITTEN_AS_JSON = {"chat.postMessage", "chat.update"}
_TO_DO = {
    "not_in_channel": "in the channel, type: /invite @holdfast",
    "channel_not_found": "use the channel's id (C…), and invite the app there",
    "missing_scope": "add the scopes of docs/chat-setup.md to the app and install it again",
    "invalid_auth": "check bot_token and app_token",
}


class SlackSettings(BaseModel):
    """The section ``transports.slack``. ``base_url`` is another server than Slack's, for tests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot_token: Annotated[str, Field(min_length=1, repr=False)]
    app_token: Annotated[str, Field(min_length=1, repr=False)]
    base_url: str = AsyncWebClient.BASE_URL
    timeout_seconds: Annotated[int, Field(ge=1)] = 10
    ping_seconds: Annotated[float, Field(gt=0)] = 10


def opened(settings: SlackSettings) -> Slack:
    """Return the transport."""
    return Slack(settings)


class _Short(logging.Filter):
    """Makes one line without tickets of what the library logs: its tracebacks hold whole addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _TICKETS.sub(r"\1=…", record.getMessage()), None
        record.exc_info = record.exc_text = None
        return True


class Slack:
    """One workspace. Implements ``Transport``."""

    name = "slack"
    abilities = ABLE

    def __init__(self, settings: SlackSettings, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._library = logging.getLogger("holdfast.chat.slack.library")
        self._library.setLevel(logging.WARNING)
        if not self._library.filters:
            self._library.addFilter(_Short())
        self._web = AsyncWebClient(
            token=settings.bot_token,
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            logger=self._library,
            retry_handlers=[],  # the library would repeat a post whose answer got lost
        )
        self._identity: dict[str, str] = {}
        self._standing = _Standing(self._call, self._who)

    # --- hearing ------------------------------------------------------------------------------

    async def listen(self, hear: Hear) -> None:
        """Hear until cancelled; a lost connection is made anew, later and later while it fails."""
        while True:
            try:
                await self._who()
                async with self._connected(hear) as handler:
                    self._backoff.succeeded()
                    LOG.info("slack: connected")
                    await self._until_lost(handler)
            except (Unreachable, *_AWAY) as error:
                LOG.warning("slack: not connected: %s", _said(error))
            await self._backoff.failed()

    @asynccontextmanager
    async def _connected(self, hear: Hear) -> AsyncIterator[AsyncSocketModeHandler]:
        handler = AsyncSocketModeHandler(
            self._app(hear),
            self._settings.app_token,
            logger=self._library,
            web_client=self._web,
            ping_interval=self._settings.ping_seconds,
        )
        # We replace a lost connection ourselves; the library still follows Slack's own requests.
        handler.client.default_auto_reconnect_enabled = False
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await handler.connect_async()  # type: ignore[no-untyped-call] # the library's
            yield handler
        finally:
            await handler.close_async()  # type: ignore[no-untyped-call] # the library's

    async def _until_lost(self, handler: AsyncSocketModeHandler) -> None:
        lost = 0.0
        step = min(1.0, self._settings.ping_seconds)
        while lost <= self._settings.ping_seconds:
            await self._backoff.wait(step)
            lost = 0.0 if await handler.client.is_connected() else lost + step

    def _app(self, hear: Hear) -> AsyncApp:
        app = AsyncApp(client=self._web, logger=self._library)

        async def heard(event: dict[str, Json], body: dict[str, Json]) -> None:
            if said := self._heard(event, body):
                await hear(said)

        async def clicked(ack: Callable[[], Awaitable[None]], body: dict[str, Json]) -> None:
            await ack()
            await hear(pressed(body))

        app.event("message")(heard)
        app.action(ACTION)(clicked)
        return app

    def _heard(self, event: dict[str, Json], body: dict[str, Json]) -> Heard | None:
        if event.get("subtype") not in _SPOKEN or event.get("bot_id") or not event.get("user"):
            return None
        ts, channel = str(event["ts"]), str(event["channel"])
        if time.time() - float(ts) > STALE_SECONDS:
            LOG.warning("slack: a message of %s came too late and is not heard", ts)
            return None
        team = event.get("user_team") or event.get("team") or body.get("team_id")
        person = Person(f"slack:{team}/{event['user']}", str(event["user"]))
        place = Place(channel, str(event.get("thread_ts") or ""))
        text = spoken(str(event.get("text") or ""), self._identity.get("user_id", ""))
        return Heard(f"{body.get('team_id')}/{channel}/{ts}", person, place, text)

    # --- speaking -----------------------------------------------------------------------------

    async def post(self, place: Place, message: Message, key: str) -> Posted:
        """Post once for each key, as far as what stands there can be read."""
        if found := (await self._standing.of(place)).get(key):
            return found
        answer = await self._standing.change(
            place,
            "chat.postMessage",
            {
                "channel": place.channel,
                **({"thread_ts": place.thread} if place.thread else {}),
                **content(message),
                "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
                "unfurl_links": False,
                "unfurl_media": False,
            },
        )
        posted = Posted(place, str(answer["ts"]))
        self._standing.add(place, key, posted)
        return posted

    async def edit(self, posted: Posted, message: Message) -> None:
        """Replace a message; one that somebody deleted stays deleted."""
        where = {"channel": posted.place.channel, "ts": posted.ident}
        try:
            await self._call("chat.update", {**where, **content(message)})
        except Unreachable as error:
            if not _is_answer(error, "message_not_found"):
                raise
            LOG.info("slack: the message %s was deleted", posted.ident)

    async def upload(self, place: Place, name: str, data: bytes, key: str) -> None:
        """Put a file there; it is known again by a part of its file name made from the key."""
        known_as = filename(name, key)
        if known_as in await self._standing.of(place):
            return
        ticket = await self._call(
            "files.getUploadURLExternal", {"filename": known_as, "length": len(data)}
        )
        await self._send(str(ticket["upload_url"]), data)
        file = {"id": ticket["file_id"], "title": name}
        thread = {"thread_ts": place.thread} if place.thread else {}
        await self._standing.change(
            place,
            "files.completeUploadExternal",
            {"files": json.dumps([file]), "channel_id": place.channel, **thread},
        )
        self._standing.add(place, known_as, Posted(place, str(ticket["file_id"])))

    async def _send(self, url: str, data: bytes) -> None:
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.post(url, data=data) as answer,
            ):
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"slack did not take a file: {type(error).__name__}") from error

    # --- asking -------------------------------------------------------------------------------

    async def _who(self) -> dict[str, str]:
        """Who we are there; asked once, and no connection is made before it is known."""
        if not self._identity:
            answer = await self._call("auth.test", {})
            self._identity = {name: str(answer.get(name) or "") for name in ("user_id", "bot_id")}
        return self._identity

    async def _call(self, method: str, arguments: dict[str, Json]) -> dict[str, Json]:
        """Call a method.

        Raises:
            Unreachable: it did not answer, or answered that it will not.
        """
        try:
            if method in _WRITTEN_AS_JSON:
                answer = await self._web.api_call(method, json=arguments)
            else:
                verb = "GET" if method.startswith("conversations.") else "POST"
                answer = await self._web.api_call(method, http_verb=verb, params=arguments)
        except _AWAY as error:
            code = _code(error)
            raise Unreachable(
                f"slack did not take {method}: {_said(error)}", remedy=_TO_DO.get(code, "")
            ) from error
        return answer.data if isinstance(answer.data, dict) else {}


class _Standing:
    """What we have put into each place, by key: read there once, and again after any doubt."""

    def __init__(
        self,
        call: Callable[[str, dict[str, Json]], Awaitable[dict[str, Json]]],
        who: Callable[[], Awaitable[dict[str, str]]],
    ) -> None:
        self._call, self._who = call, who
        self._known: dict[Place, dict[str, Posted]] = {}

    async def of(self, place: Place) -> dict[str, Posted]:
        """Return the keys, and the names of files, that stand there."""
        if place not in self._known:
            self._known[place] = await self._read(place)
        return self._known[place]

    def add(self, place: Place, key: str, posted: Posted) -> None:
        """Note what was just put there."""
        self._known.setdefault(place, {})[key] = posted

    async def change(
        self, place: Place, method: str, arguments: dict[str, Json]
    ) -> dict[str, Json]:
        """Call a method that puts something there; if the answer is lost, it may stand there or not."""
        try:
            return await self._call(method, arguments)
        except (Unreachable, asyncio.CancelledError):
            self._known.pop(place, None)
            raise

    async def _read(self, place: Place) -> dict[str, Posted]:
        ours, found, cursor = await self._who(), dict[str, Posted](), ""
        method = "conversations.replies" if place.thread else "conversations.history"
        thread = {"ts": place.thread} if place.thread else {}
        # A channel is read newest first, and one page goes back far enough; a thread from its start.
        for _ in range(_PAGES if place.thread else 1):
            answer = await self._call(
                method,
                {
                    "channel": place.channel,
                    "include_all_metadata": True,
                    "limit": 200,
                    **thread,
                    **({"cursor": cursor} if cursor else {}),
                },
            )
            for message in answer.get("messages") or []:
                if (
                    message.get("user") == ours["user_id"]
                    or message.get("bot_id") == ours["bot_id"]
                ):
                    found |= keys(place, message)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return found


def _code(error: BaseException | None) -> str:
    answer = error.response if isinstance(error, SlackApiError) else None
    return str(answer.get("error", "")) if isinstance(answer, AsyncSlackResponse) else ""


def _is_answer(error: Unreachable, code: str) -> bool:
    return _code(error.__cause__) == code


def _said(error: Exception) -> str:
    """What went wrong, without the library's text: it quotes requests and addresses."""
    if code := _code(error):
        return code
    return error.message if isinstance(error, Unreachable) else type(error).__name__
