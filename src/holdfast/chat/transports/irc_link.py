"""One connection to an IRC server: logs in, joins, says a line and knows that it was taken.

Owns capabilities, SASL and the acknowledgement of lines; knows nothing of runs or commands.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import ssl
from contextlib import suppress
from typing import Annotated

from irc.client import Event, IRCError, MessageTooLong
from irc.client_aio import AioConnection, AioReactor
from irc.connection import AioFactory
from pydantic import BaseModel, ConfigDict, Field

from holdfast.chat.transport import Unreachable
from holdfast.model import Json

LOG = logging.getLogger("holdfast.chat.irc")
AWAY = (OSError, TimeoutError, IRCError, ssl.SSLError)

_WANTED = ("message-tags", "account-tag", "server-time", "batch", "sasl")
_SECRET = ("RAW: PASS", "RAW: AUTHENTICATE")
# Answers that say a line was not taken, or a channel not joined.
_REFUSALS = {
    "nosuchnick", "nosuchchannel", "cannotsendtochan", "notonchannel", "channelisfull",
    "inviteonlychan", "bannedfromchan", "badchannelkey", "nochanmodes",
}  # fmt: skip

# Somebody on a channel may write in any encoding; that must not end the connection.
_BUFFER = type("Tolerant", (AioConnection.buffer_class,), {"errors": "replace"})


class IrcSettings(BaseModel):
    """The section ``transports.irc``.

    ``account`` and ``password`` are the bot's own at the network's services (SASL PLAIN).
    ``trust_accounts``: take commands from people whom the network's services have logged in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 6697
    tls: bool = True
    nick: Annotated[str, Field(pattern=r"^[A-Za-z][\w\[\]\\`^{|}-]*$", max_length=30)] = "holdfast"
    channels: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[#&][^\s,\x00-\x1f]+$")], ...], Field(min_length=1)
    ]
    server_password: Annotated[str, Field(repr=False)] = ""
    account: str = ""
    password: Annotated[str, Field(repr=False)] = ""
    trust_accounts: bool = False
    timeout_seconds: Annotated[int, Field(ge=1)] = 20


class _NoSecrets(logging.Filter):
    """Drops the library's lines that hold a password, at whatever level they are logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_SECRET)


class Link:
    """One connection, from its opening to its end. Line by line; what people say is in ``said``."""

    def __init__(self, settings: IrcSettings) -> None:
        self._settings = settings
        self.said: asyncio.Queue[Event | None] = asyncio.Queue()
        self.granted: set[str] = set()
        self.reason = "no reason was given"
        self._offered: set[str] = set()
        self._joined: set[str] = set()
        self._welcomed = asyncio.Event()
        self._failure = ""
        self._pongs: dict[str, asyncio.Event] = {}
        self._numbers = itertools.count(1)
        self._refused = ""
        self._open = True
        library = logging.getLogger("irc.client_aio")
        if not library.filters:
            library.addFilter(_NoSecrets())
        reactor = AioReactor(on_connect=self._negotiate, loop=asyncio.get_running_loop())
        self._connection: AioConnection = reactor.server()
        self._connection.buffer_class = _BUFFER
        reactor.add_global_handler("all_events", self._on_event)

    @property
    def nick(self) -> str:
        """What we are called there now."""
        return str(self._connection.get_nickname())

    async def open(self) -> None:
        """Log in, and join the channels.

        Raises:
            Unreachable: the server refused us. OSError: it is not there.
        """
        wanted, context = self._settings, ssl.create_default_context()
        await self._connection.connect(
            wanted.server,
            wanted.port,
            wanted.nick,
            wanted.server_password or None,
            connect_factory=AioFactory(ssl=context if wanted.tls else None),
        )
        await self._welcomed.wait()
        if self._failure:
            raise Unreachable(f"{wanted.server} refused the bot: {self._failure}")
        for channel in wanted.channels:
            self._connection.join(channel)

    def close(self) -> None:
        """Leave."""
        with suppress(*AWAY):
            self._connection.disconnect("")

    async def say(self, channel: str, line: str) -> None:
        """Say one line, and return when the server has taken it.

        Raises:
            Unreachable: it has not, or may not have.
        """
        if channel.casefold() not in self._joined:
            self._send("JOIN", channel)
            await self.acknowledged()
        if channel.casefold() not in self._joined:
            raise Unreachable(f"irc: not in {channel}: {self._refused or 'not yet joined'}")
        self._refused = ""
        self._send("PRIVMSG", channel, f":{line}")
        await self.acknowledged()
        if self._refused:
            raise Unreachable(f"irc: {channel} did not take a line: {self._refused}")

    async def acknowledged(self) -> None:
        """Return when the server has taken everything that was sent so far.

        Raises:
            Unreachable: it does not say so in time.
        """
        token = f"holdfast-{next(self._numbers)}"
        pong = self._pongs[token] = asyncio.Event()
        try:
            self._send("PING", token)
            async with asyncio.timeout(self._settings.timeout_seconds):
                await pong.wait()
        except TimeoutError as error:
            self.close()
            raise Unreachable(f"{self._settings.server} does not answer") from error
        finally:
            del self._pongs[token]
        if not self._open:
            raise Unreachable(f"{self._settings.server} closed the connection: {self.reason}")

    def _send(self, *items: str) -> None:
        try:
            self._connection.send_items(*items)
        except (*AWAY, MessageTooLong) as error:
            raise Unreachable(f"irc: not sent: {type(error).__name__}") from error

    # --- what the server says -----------------------------------------------------------------

    def _negotiate(self, _protocol: Json, _transport: Json) -> None:
        # Called before the library logs in; the server waits for CAP END.
        self._connection.send_raw("CAP LS 302")

    def _on_event(self, _: AioConnection, event: Event) -> None:
        if event.type in _REFUSALS:
            self._refused = " ".join(map(str, event.arguments[-1:])) or event.type
            return
        handler = getattr(self, f"_on_{event.type}", None)
        if handler is not None:
            handler(event)

    def _on_pubmsg(self, event: Event) -> None:
        self.said.put_nowait(event)

    def _on_pong(self, event: Event) -> None:
        if pong := self._pongs.get(str(event.arguments[-1])):
            pong.set()

    def _on_join(self, event: Event) -> None:
        if event.source.nick == self.nick:
            self._joined.add(str(event.target).casefold())

    def _on_part(self, event: Event) -> None:
        if event.source.nick == self.nick:
            self._joined.discard(str(event.target).casefold())

    def _on_kick(self, event: Event) -> None:
        if event.arguments[:1] == [self.nick]:
            self._joined.discard(str(event.target).casefold())

    def _on_welcome(self, _: Event) -> None:
        self._welcomed.set()

    def _on_nicknameinuse(self, _: Event) -> None:
        if not self._welcomed.is_set():
            self._connection.nick(f"{self._settings.nick}{next(self._numbers)}")

    def _on_error(self, event: Event) -> None:
        self.reason = " ".join(map(str, [event.target, *event.arguments]))[:200]

    def _on_disconnect(self, _: Event) -> None:
        self._open = False
        if not self._welcomed.is_set():
            self._fail(self.reason)
        for pong in self._pongs.values():
            pong.set()
        self.said.put_nowait(None)

    def _fail(self, why: str) -> None:
        self._failure = why
        self._welcomed.set()

    # --- capabilities and SASL ----------------------------------------------------------------

    def _on_cap(self, event: Event) -> None:
        verb, words = str(event.arguments[0]).upper(), str(event.arguments[-1]).split()
        if verb == "LS":
            self._offered |= {word.partition("=")[0] for word in words}
            if event.arguments[1] != "*":  # a list that is not over has a star
                self._request()
        elif verb == "ACK":
            self.granted |= set(words)
            self._log_in()
        elif verb == "NAK":
            self._log_in()
        elif verb == "DEL":
            self.granted -= set(words)

    def _request(self) -> None:
        wanted = [name for name in _WANTED if name in self._offered]
        if not self._settings.account:
            wanted = [name for name in wanted if name != "sasl"]
        if wanted:
            self._connection.cap("REQ", *wanted)
        else:
            self._log_in()

    def _log_in(self) -> None:
        if not self._settings.account:
            self._connection.cap("END")
        elif "sasl" in self.granted:
            self._connection.send_items("AUTHENTICATE", "PLAIN")
        else:
            self._fail("it has no SASL, and an account is configured")

    def _on_authenticate(self, _: Event) -> None:
        account = self._settings.account
        words = f"{account}\0{account}\0{self._settings.password}".encode()
        self._connection.send_items("AUTHENTICATE", base64.b64encode(words).decode())

    def _on_saslsuccess(self, _: Event) -> None:
        self._connection.cap("END")

    def _on_saslfail(self, _: Event) -> None:
        self._fail("the account's name or password is wrong (SASL)")
