"""Slack, over Socket Mode: no inbound port is opened, which suits a bastion.

1. A message is identified by workspace, channel and ``ts``, whichever event brings it and however often.
2. Text is written as ``rich_text``, whose elements are literal: nothing in it is markup or a mention.
3. Slack has no idempotency key. Each message carries ours as metadata; before the first post to a location,
   and after a post whose answer was lost, the messages there are read.
4. The library's client follows Slack's own requests to reconnect, but retries an expired address for
   ever: a connection that stays lost is replaced from the start here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import aiohttp
from pydantic import Field
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from holdfast.chat.backoff import Backoff
from holdfast.chat.config import StrictModel
from holdfast.chat.transport import (
    Capabilities,
    Location,
    Message,
    Person,
    Posted,
    ReceivedMessage,
    Unreachable,
)
from holdfast.chat.transports.base import (
    Deliver,
    Transport,
    describe_error,
)
from holdfast.chat.transports.slack_format import (
    ACTION,
    EVENT_TYPE,
    button_press,
    filename,
    message_arguments,
    message_text,
    posted_by_key,
)
from holdfast.model import Json

_WRITTEN_BY_PEOPLE = {None, "thread_broadcast", "file_share"}
_TICKETS = re.compile(r"(?i)\b(ticket|token|link_id|app_id)=[^&\s'\"),]+")
_LOST = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
_PAGES = 20
_REMEDIES = {
    "not_in_channel": "in the channel, type: /invite @holdfast",
    "channel_not_found": "use the channel's id (C…), and invite the app there",
    "missing_scope": "add the scopes of docs/chat-setup.md to the app and install it again",
    "invalid_auth": "check bot_token and app_token",
}


class SlackSettings(StrictModel):
    """The section ``transports.slack``. ``base_url`` is another server than Slack's, for tests."""

    bot_token: Annotated[str, Field(min_length=1, repr=False)]
    app_token: Annotated[str, Field(min_length=1, repr=False)]
    base_url: str = AsyncWebClient.BASE_URL
    timeout_seconds: Annotated[int, Field(ge=1)] = 10
    ping_seconds: Annotated[float, Field(gt=0)] = 10


class _WithoutTickets(logging.Filter):
    """Makes one line without tickets of what the library logs: its tracebacks hold whole addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _TICKETS.sub(r"\1=…", record.getMessage()), None
        record.exc_info = record.exc_text = None
        return True


class Slack(Transport):
    """One workspace."""

    name = "slack"
    capabilities = Capabilities(
        threads=True, edits=True, buttons=True, files=True, authenticates=True, limit=3000
    )
    lost_errors = (Unreachable, *_LOST)

    def __init__(self, settings: SlackSettings, backoff: Backoff | None = None) -> None:
        super().__init__(backoff)
        self._settings = settings
        self._library = logging.getLogger("holdfast.chat.slack.library")
        self._library.setLevel(logging.WARNING)
        if not self._library.filters:
            self._library.addFilter(_WithoutTickets())
        self._web = AsyncWebClient(
            token=settings.bot_token,
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            logger=self._library,
            retry_handlers=[],  # the library would repeat a post whose answer got lost
        )
        self._bot: dict[str, str] = {}
        self._posted: dict[Location, dict[str, Posted]] = {}

    # --- receiving ----------------------------------------------------------------------------

    async def receive(self, deliver: Deliver) -> None:
        """Connect, and deliver until the connection stays lost."""
        await self._identity()
        settings = self._settings
        handler = AsyncSocketModeHandler(
            self._app(deliver),
            settings.app_token,
            logger=self._library,
            web_client=self._web,
            ping_interval=settings.ping_seconds,
        )
        # The library still follows Slack's own requests to reconnect.
        handler.client.default_auto_reconnect_enabled = False
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                await handler.connect_async()  # type: ignore[no-untyped-call] # the library's
            self.connected()
            lost, step = 0.0, min(1.0, settings.ping_seconds)
            while lost <= settings.ping_seconds:
                await self.backoff.wait(step)
                lost = 0.0 if await handler.client.is_connected() else lost + step
        finally:
            await handler.close_async()  # type: ignore[no-untyped-call] # the library's

    def _app(self, deliver: Deliver) -> AsyncApp:
        app = AsyncApp(client=self._web, logger=self._library)

        async def on_message(event: dict[str, Json], body: dict[str, Json]) -> None:
            if message := self._message(event, body):
                await deliver(message, time.time() - float(event["ts"]))

        async def on_press(ack: Callable[[], Awaitable[None]], body: dict[str, Json]) -> None:
            await ack()
            await deliver(button_press(body), 0.0)

        app.event("message")(on_message)
        app.action(ACTION)(on_press)
        return app

    def _message(self, event: dict[str, Json], body: dict[str, Json]) -> ReceivedMessage | None:
        user = event.get("user")
        if event.get("subtype") not in _WRITTEN_BY_PEOPLE or event.get("bot_id") or not user:
            return None
        channel, thread = str(event["channel"]), str(event.get("thread_ts") or "")
        team = event.get("user_team") or event.get("team") or body.get("team_id")
        return ReceivedMessage(
            f"{body.get('team_id')}/{channel}/{event['ts']}",
            Person(f"slack:{team}/{user}", str(user)),
            Location(channel, thread),
            message_text(str(event.get("text") or ""), self._bot.get("user_id", "")),
        )

    # --- posting ------------------------------------------------------------------------------

    async def post(self, location: Location, message: Message, key: str) -> Posted:
        """Post once for each key, as far as the messages there can be read."""
        known = await self._posted_in(location)
        if key not in known:
            request = self._web.chat_postMessage(
                channel=location.channel,
                thread_ts=location.thread or None,
                metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
                unfurl_links=False,
                unfurl_media=False,
                **message_arguments(message),
            )
            answer = await self._change(location, "chat.postMessage", request)
            known[key] = Posted(location, str(answer["ts"]))
        return known[key]

    async def edit(self, posted: Posted, message: Message) -> None:
        """Replace a message; one that somebody deleted stays deleted."""
        request = self._web.chat_update(
            channel=posted.location.channel, ts=posted.message_id, **message_arguments(message)
        )
        try:
            await self._ask("chat.update", request)
        except Unreachable as error:
            if _code(error.__cause__) != "message_not_found":
                raise

    async def upload(self, location: Location, name: str, data: bytes, key: str) -> None:
        """Upload a file; it is identified by a part of its file name that is made from the key."""
        known, named = await self._posted_in(location), filename(name, key)
        if named not in known:
            request = self._web.files_upload_v2(
                filename=named,
                content=data,
                title=name,
                channel=location.channel,
                thread_ts=location.thread or None,
            )
            answer = await self._change(location, "a file", request)
            known[named] = Posted(location, str(answer["file"]["id"]))

    # --- messages that were posted before -----------------------------------------------------

    async def _posted_in(self, location: Location) -> dict[str, Posted]:
        """Return what the bot has posted there, by key and by name of file; read it after any doubt."""
        if location not in self._posted:
            self._posted[location] = await self._read_posted(location)
        return self._posted[location]

    async def _change(
        self, location: Location, what: str, request: Awaitable[AsyncSlackResponse]
    ) -> dict[str, Json]:
        """Return the answer to a post; if it is lost, what was posted may or may not be there."""
        try:
            return await self._ask(what, request)
        except (Unreachable, asyncio.CancelledError):
            self._posted.pop(location, None)
            raise

    async def _read_posted(self, location: Location) -> dict[str, Posted]:
        bot, found = await self._identity(), dict[str, Posted]()
        arguments = {"channel": location.channel, "include_all_metadata": True, "limit": 200}
        # A channel is read newest first, and one page goes back far enough; a thread from its start.
        method, pages = "conversations.history", 1
        if location.thread:
            method, pages = "conversations.replies", _PAGES
            arguments["ts"] = location.thread
        for _ in range(pages):
            request = self._web.api_call(method, http_verb="GET", params=arguments)
            answer = await self._ask(method, request)
            for each in answer.get("messages") or []:
                if each.get("user") == bot["user_id"] or each.get("bot_id") == bot["bot_id"]:
                    found |= posted_by_key(location, each)
            arguments["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor")
            if not arguments["cursor"]:
                break
        return found

    # --- calls --------------------------------------------------------------------------------

    async def _identity(self) -> dict[str, str]:
        """Return the bot's own ids; asked once, before the first connection."""
        if not self._bot:
            answer = await self._ask("auth.test", self._web.auth_test())
            self._bot = {name: str(answer.get(name) or "") for name in ("user_id", "bot_id")}
        return self._bot

    async def _ask(self, what: str, request: Awaitable[AsyncSlackResponse]) -> dict[str, Json]:
        """Return the answer to a request.

        Raises:
            Unreachable: Slack did not answer, or refused.
        """
        try:
            answer = await request
        except _LOST as error:
            code = _code(error)
            reason = code or describe_error(error)
            raise Unreachable(
                f"slack did not take {what}: {reason}", remedy=_REMEDIES.get(code, "")
            ) from error
        return answer.data if isinstance(answer.data, dict) else {}


def _code(error: BaseException | None) -> str:
    answer = error.response if isinstance(error, SlackApiError) else None
    return str(answer.get("error", "")) if isinstance(answer, AsyncSlackResponse) else ""
