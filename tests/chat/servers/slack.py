"""A local Slack server: the Web API methods and the Socket Mode that Holdfast uses.

It keeps what was posted, insists on what Slack insists on (tokens, block shapes, lengths), delivers
events until they are acknowledged, and can fail as Slack does: ``stop`` and ``start`` again on the same
port, take a post and lose its answer, deliver again, ask for a reconnect.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from socket import create_server
from typing import Any

from aiohttp import WSMsgType, web

BOT_TOKEN = "xoxb-1-planted-bot-token"  # noqa: S105 - of this server alone
APP_TOKEN = "xapp-1-planted-app-token"  # noqa: S105 - of this server alone
TEAM, BOT, BOT_ID = "T1", "U0BOT", "B0BOT"
_ACCEPT_PASSES = 3
"""Passes of the event loop from accepting a connection to ``connection_made``."""
Json = Any


class Refused(Exception):
    """An answer with ``ok: false``."""


@dataclass
class SlackServer:
    """``messages`` are those of each channel, oldest first; ``files`` their content by id."""

    port: int = 0
    retry_seconds: float = 0.5
    messages: dict[str, list[dict[str, Json]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    lose_answers: int = 0
    rate_limit: int = 0
    refuse_sockets: int = 0
    calls: list[str] = field(default_factory=list)
    acked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._names: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._sockets: set[web.WebSocketResponse] = set()
        self._tickets: set[str] = set()
        self._pending: dict[str, dict[str, Json]] = {}
        self._delivering: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self.connected = asyncio.Event()

    @property
    def base_url(self) -> str:
        """What ``AsyncWebClient`` is given."""
        return f"http://127.0.0.1:{self.port}/api/"

    async def start(self) -> None:
        """Listen; the second time on the same port."""
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_get("/socket", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        self._listening = create_server(("127.0.0.1", self.port))
        await web.SockSite(self._runner, self._listening).start()
        self.port = self._runner.addresses[0][1]
        for envelope in list(self._pending.values()):  # what nobody acknowledged comes again
            self._deliver(envelope)

    async def stop(self) -> None:
        """Close all connections; what was posted stays."""
        for task in self._delivering:
            task.cancel()
        for socket in list(self._sockets):
            with suppress(ConnectionError):
                await socket.close()
        self.connected.clear()
        if self._runner is None:
            return
        # asyncio leaks a connection that was accepted before its server is closed and set up after it.
        asyncio.get_running_loop().remove_reader(self._listening)
        for _ in range(_ACCEPT_PASSES):
            await asyncio.sleep(0)  # noqa: TID251  # passes of the loop, no time
        await self._runner.cleanup()

    # --- what people do -----------------------------------------------------------------------

    def say(self, user: str, text: str, channel: str = "C1", thread: str = "", **more: Json) -> str:
        """Write a message; returns its ts."""
        event = self._add(channel, {"type": "message", "user": user, "text": text}, thread) | {
            "channel": channel, "team": TEAM, "event_ts": "", **more,
        }  # fmt: skip
        self.deliver_event(event)
        return str(event["ts"])

    def deliver_event(self, event: dict[str, Json]) -> None:
        """Send an event, perhaps one that was sent before."""
        payload = {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A1",
            "event": event,
            "event_id": f"Ev{next(self._numbers)}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True}],
        }
        self._deliver(self._envelope("events_api", payload))

    def press(self, user: str, ts: str, label: str, channel: str = "C1") -> dict[str, Json]:
        """Press the button with that label; returns the payload, to be sent again."""
        message = self._find(channel, ts)
        actions = [b for b in message["blocks"] if b["type"] == "actions"]
        button = next(e for b in actions for e in b["elements"] if e["text"]["text"] == label)
        thread = {"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}
        payload = {
            "type": "block_actions",
            "team": {"id": TEAM, "domain": "test"},
            "user": {"id": user, "name": user.lower(), "team_id": TEAM},
            "api_app_id": "A1",
            "channel": {"id": channel},
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, **thread},
            "message": message,
            "actions": [
                {
                    "type": "button",
                    "action_id": button["action_id"],
                    "block_id": "b",
                    "value": button["value"],
                    "action_ts": self._ts(),
                }
            ],
        }
        self.deliver_press(payload)
        return payload

    def deliver_press(self, payload: dict[str, Json]) -> None:
        """Send a click, perhaps one that was sent before."""
        self._deliver(self._envelope("interactive", payload))

    async def ask_to_reconnect(self) -> None:
        """Send what Slack sends before it closes a connection."""
        for socket in list(self._sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    async def drop_sockets(self) -> None:
        """Close every connection without notice."""
        for socket in list(self._sockets):
            await socket.close()

    # --- Socket Mode --------------------------------------------------------------------------

    def _envelope(self, kind: str, payload: dict[str, Json]) -> dict[str, Json]:
        number = f"env-{next(self._numbers)}"
        return {
            "type": kind,
            "envelope_id": number,
            "accepts_response_payload": kind == "interactive",
            "retry_attempt": 0,
            "retry_reason": "",
            "payload": payload,
        }

    def _deliver(self, envelope: dict[str, Json]) -> None:
        self._pending[envelope["envelope_id"]] = envelope
        task = asyncio.ensure_future(self._insist(envelope))
        self._delivering.add(task)
        task.add_done_callback(self._delivering.discard)

    async def _insist(self, envelope: dict[str, Json]) -> None:
        while envelope["envelope_id"] in self._pending:
            await self.connected.wait()
            for socket in list(self._sockets)[-1:]:
                with suppress(ConnectionError):
                    await socket.send_json(envelope)
            envelope["retry_attempt"] += 1
            envelope["retry_reason"] = "timeout"
            await asyncio.sleep(self.retry_seconds)  # noqa: TID251  # Slack sends again after a while

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ticket = request.query.get("ticket", "")
        if self.refuse_sockets or ticket not in self._tickets:
            self.refuse_sockets -= 1
            raise web.HTTPForbidden
        self._tickets.discard(ticket)  # good for one connection
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self._sockets.add(socket)
        self.connected.set()
        try:
            async for said in socket:
                if said.type == WSMsgType.TEXT:
                    number = json.loads(said.data).get("envelope_id")
                    self.acked.append(number)
                    self._pending.pop(number, None)
        finally:
            self._sockets.discard(socket)
            if not self._sockets:
                self.connected.clear()
        return socket

    # --- Web API ------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls.append(method)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.rate_limit:
            self.rate_limit -= 1
            answer = {"ok": False, "error": "ratelimited"}
            return web.json_response(answer, status=429, headers={"Retry-After": "1"})
        try:
            self._check_token(method, token)
            asked = await self._asked(request)
            work: Callable[[dict[str, Json]], Awaitable[Json]] = getattr(
                self, "_" + method.replace(".", "_")
            )
            answer = {"ok": True, **await work(asked)}
        except Refused as refused:
            answer = {"ok": False, "error": str(refused)}
        if self.lose_answers and method in {"chat.postMessage", "files.completeUploadExternal"}:
            self.lose_answers -= 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response(answer)

    def _check_token(self, method: str, token: str) -> None:
        if token != (APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN):
            raise Refused("invalid_auth")

    async def _asked(self, request: web.Request) -> dict[str, Json]:
        asked: dict[str, Json] = dict(request.query) | dict(await request.post())
        if request.content_type == "application/json" and (text := await request.text()):
            if not request.match_info["method"].startswith("chat."):
                raise Refused("invalid_arguments")  # as Slack's methods that read
            asked |= json.loads(text)
        return asked

    async def _auth_test(self, _: dict[str, Json]) -> Json:
        return {"user_id": BOT, "bot_id": BOT_ID, "team_id": TEAM, "user": "holdfast"}

    async def _apps_connections_open(self, _: dict[str, Json]) -> Json:
        ticket = f"planted-ticket-{next(self._numbers)}"
        self._tickets.add(ticket)
        return {"url": f"ws://127.0.0.1:{self.port}/socket?ticket={ticket}&app_id=A1"}

    async def _chat_postMessage(self, asked: dict[str, Json]) -> Json:  # noqa: N802 - Slack's name
        self._checked(asked)
        written = {
            "type": "message", "user": BOT, "bot_id": BOT_ID, "text": asked["text"],
            "blocks": asked["blocks"], "metadata": asked.get("metadata"),
        }  # fmt: skip
        message = self._add(asked["channel"], written, asked.get("thread_ts", ""))
        return {"channel": asked["channel"], "ts": message["ts"], "message": message}

    async def _chat_update(self, asked: dict[str, Json]) -> Json:
        self._checked(asked)
        message = self._find(asked["channel"], asked["ts"])
        message |= {"text": asked["text"], "blocks": asked["blocks"], "edited": {"user": BOT}}
        return {"channel": asked["channel"], "ts": message["ts"]}

    async def _conversations_history(self, asked: dict[str, Json]) -> Json:
        every = [m for m in self._channel(asked["channel"]) if "thread_ts" not in m]
        return {"messages": [self._shown(m, asked) for m in reversed(every)][: int(asked["limit"])]}

    async def _conversations_replies(self, asked: dict[str, Json]) -> Json:
        """Pages of two, so that paging is used."""
        root = self._find(asked["channel"], asked["ts"])
        every = [root] + [
            m for m in self._channel(asked["channel"]) if m.get("thread_ts") == asked["ts"]
        ]
        start = int(asked.get("cursor") or 0)
        more = str(start + 2) if start + 2 < len(every) else ""
        page = [self._shown(m, asked) for m in every[start : start + 2]]
        return {"messages": page, "response_metadata": {"next_cursor": more}}

    async def _files_getUploadURLExternal(self, asked: dict[str, Json]) -> Json:  # noqa: N802 - Slack's name
        number = f"F{next(self._numbers)}"
        self._names[number] = asked["filename"]
        if int(asked["length"]) < 1:
            raise Refused("invalid_arguments")
        return {"upload_url": f"http://127.0.0.1:{self.port}/upload/{number}", "file_id": number}

    async def _upload(self, request: web.Request) -> web.Response:
        self.files[request.match_info["file"]] = await request.read()
        return web.Response(text="OK")

    async def _files_completeUploadExternal(self, asked: dict[str, Json]) -> Json:  # noqa: N802 - Slack's name
        files = [
            {"id": f["id"], "name": self._names[f["id"]], "title": f["title"]}
            for f in json.loads(asked["files"])
            if f["id"] in self.files
        ]
        if not files:
            raise Refused("file_not_found")
        said = {"type": "message", "user": BOT, "bot_id": BOT_ID, "text": "", "files": files}
        self._add(asked["channel_id"], said, asked.get("thread_ts", ""))
        return {"files": files}

    # --- messages ----------------------------------------------------------------------------

    def _channel(self, channel: str) -> list[dict[str, Json]]:
        if not channel.startswith("C"):
            raise Refused("channel_not_found")
        return self.messages.setdefault(channel, [])

    def _find(self, channel: str, ts: str) -> dict[str, Json]:
        found = [m for m in self._channel(channel) if m["ts"] == ts]
        if not found:
            raise Refused("message_not_found")
        return found[0]

    def _add(self, channel: str, message: dict[str, Json], thread: str) -> dict[str, Json]:
        message |= {"ts": self._ts()}
        if thread:
            message["thread_ts"] = self._find(channel, thread)["ts"]
        self._channel(channel).append(message)
        return message

    def _ts(self) -> str:
        return f"{int(time.time())}.{next(self._numbers):06d}"

    def _shown(self, message: dict[str, Json], asked: dict[str, Json]) -> dict[str, Json]:
        plan_request = str(asked.get("include_all_metadata")).lower() in {"true", "1"}
        return {k: v for k, v in message.items() if plan_request or k != "metadata"}

    def _checked(self, asked: dict[str, Json]) -> None:
        """Refuse what Slack refuses: no text, empty elements, too long labels and values."""
        if not asked.get("text"):
            raise Refused("no_text")
        if len(asked["text"]) > 40_000 or len(asked["blocks"]) > 50:
            raise Refused("msg_too_long")
        for block in asked["blocks"]:
            for element in block["elements"]:
                if block["type"] == "rich_text":
                    parts = element["elements"]
                    good = all(part.get("text") or part.get("user_id") for part in parts)
                else:
                    good = len(element["text"]["text"]) <= 75 and len(element["value"]) <= 2000
                if not good:
                    raise Refused("invalid_blocks")
