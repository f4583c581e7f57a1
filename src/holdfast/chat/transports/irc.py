"""IRC: announces runs, and takes commands only where the network vouches for accounts.

1. A nickname proves nothing. A person's id is the services account that the server puts on each message
   (IRCv3 ``account-tag``), if the configuration trusts this network's accounts; otherwise it is "".
2. IRC acknowledges nothing. A PING follows each line, and its PONG means that the server has processed
   the line; this also stays below servers' flood limits. A message that was not acknowledged to its
   last line is sent again from its first.
3. What a server or bouncer replays from its history (a ``batch``, or an old ``time``) is not a command.

The blocking client of ``irc`` runs in a thread. Others send under its reactor's lock: a TLS socket may not
be read and written at the same time.
Sources: RFC 2812; IRCv3 "Capability Negotiation", "SASL", "account-tag", "server-time".
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from irc.client import Event, IRCError, Reactor, ServerConnection
from irc.events import codes
from pydantic import Field

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
    replace_mention,
)
from holdfast.text import strip_control

LINE_BYTES = 380
"""Of the 512 bytes of a line (RFC 2812, 2.3), servers use some for the sender and the channel."""

_LIMIT = 1500  # a message is several lines, each acknowledged: more would take long
_POLL_SECONDS = 0.2  # how soon the thread notices that it should end
_AFTER_A_LINE = "holdfast"  # in the PING that follows a line; the keepalive's has other text
_CAPABILITIES = ("message-tags", "account-tag", "server-time", "batch")

# People may write in any encoding; that must not end the connection.
ServerConnection.buffer_class.errors = "replace"


class IrcSettings(StrictModel):
    """The section ``transports.irc``.

    ``account`` and ``password`` are the bot's own at the network's services (SASL PLAIN).
    ``trust_accounts``: take commands from people whom the network's services have logged in.
    """

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


@dataclass(frozen=True, slots=True)
class Keepalive:
    """The server is asked every ``ping_seconds``; silent for ``silent_seconds``, the connection is lost."""

    ping_seconds: float = 30.0
    silent_seconds: float = 90.0


class Irc(Transport):
    """One network."""

    name = "irc"
    lost_errors = (Unreachable, OSError, IRCError)

    def __init__(
        self,
        settings: IrcSettings,
        backoff: Backoff | None = None,
        keepalive: Keepalive | None = None,
    ) -> None:
        super().__init__(backoff)
        self._settings = settings
        self._keepalive = keepalive or Keepalive()
        self.capabilities = Capabilities(
            threads=False, edits=False, buttons=False, files=False,
            authenticates=settings.trust_accounts, limit=_LIMIT,
        )  # fmt: skip
        self._connection: _Connection | None = None
        self._sending = asyncio.Lock()
        # At its level DEBUG the library logs every line that it sends, passwords too.
        logging.getLogger("irc").setLevel(logging.WARNING)

    async def receive(self, deliver: Deliver) -> None:
        """Connect and deliver until the server closes the connection or does not answer."""
        connection = self._connection = _Connection(self._settings, self._keepalive, self.connected)
        thread = asyncio.ensure_future(asyncio.to_thread(connection.run))
        thread.add_done_callback(lambda _: connection.received.put_nowait(None))
        try:
            while received := await connection.received.get():
                await deliver(*received)
            thread.result()
        finally:
            connection.stopping = True
            await asyncio.gather(thread, return_exceptions=True)

    async def post(self, location: Location, message: Message, key: str) -> Posted:  # noqa: ARG002 - the base's
        """Send a message line by line; one that failed is sent again as a whole."""
        if location.channel not in self._settings.channels:
            raise Unreachable(f"irc: {location.channel} is not in transports.irc.channels")
        async with self._sending:
            connection = self._connection
            if connection is None or not connection.joined:
                raise Unreachable(f"irc: not connected to {self._settings.server}")
            await asyncio.to_thread(connection.send, location.channel, split_lines(message))
        return Posted(Location(location.channel), "")


class _Connection:
    """One connection: ``run`` has a thread of its own; ``received`` holds messages and their ages in seconds."""

    def __init__(
        self, settings: IrcSettings, keepalive: Keepalive, on_joined: Callable[[], None]
    ) -> None:
        self._settings, self._keepalive, self._on_joined = settings, keepalive, on_joined
        self._loop = asyncio.get_running_loop()
        self.received: asyncio.Queue[tuple[ReceivedMessage, float] | None] = asyncio.Queue()
        self.joined, self.stopping = False, False
        self._account_tag, self._logged_in = False, False
        self._ended, self._refusal = f"{settings.server} closed the connection", ""
        self._heard_at = time.monotonic()
        self._answered = threading.Event()
        self._reactor = Reactor(on_connect=self._negotiate)
        self._reactor.add_global_handler("all_events", self._on_event)
        self._irc = self._reactor.server()

    def run(self) -> None:
        """Log in, join the channels, and handle what the server sends.

        Raises:
            Unreachable, OSError, IRCError: the connection ended, as it always does.
        """
        settings = self._settings
        address = (settings.server, settings.port)
        link = socket.create_connection(address, settings.timeout_seconds)
        if settings.tls:
            context = ssl.create_default_context()
            link = context.wrap_socket(link, server_hostname=settings.server)
        try:
            self._irc.connect(
                *address, settings.nick, settings.password if settings.account else None,
                connect_factory=lambda _: link, sasl_login=settings.account,
            )  # fmt: skip
            while self._irc.connected and not self.stopping:
                self._reactor.process_once(_POLL_SECONDS)
                if time.monotonic() - self._heard_at > self._keepalive.silent_seconds:
                    self._ended, self.stopping = f"{settings.server} does not answer", True
        except (ValueError, LookupError, AttributeError) as error:  # as for a line that is no IRC
            failed = f"{settings.server}: the IRC client failed with {type(error).__name__}"
            raise Unreachable(failed) from error
        finally:
            self._irc.disconnect()
        raise Unreachable(self._ended)

    def send(self, channel: str, lines: list[str]) -> None:
        """Send lines, each once the server has processed the one before.

        Raises:
            Unreachable: it has not processed all of them, or may not have.
        """
        for line in lines:
            self._exchange(self._irc.privmsg, channel, line)
            if refusal := self._refusal:
                self._exchange(self._irc.join, channel)  # the next attempt may find us there
                raise Unreachable(f"irc: {channel} did not take a line: {refusal}")

    def _exchange(self, command: Callable[..., None], *arguments: str) -> None:
        self._refusal = ""
        self._answered.clear()
        try:
            with self._reactor.mutex:
                command(*arguments)
                self._irc.ping(_AFTER_A_LINE)
        except IRCError as error:
            raise Unreachable(self._ended) from error
        if not self._answered.wait(self._settings.timeout_seconds):
            self._ended, self.stopping = f"{self._settings.server} does not answer", True
        if self.stopping or not self._irc.connected:
            raise Unreachable(self._ended)

    def _negotiate(self, _: socket.socket) -> None:
        """Send what comes before the library's own login; the server waits for CAP END."""
        if self._settings.server_password:
            self._irc.pass_(self._settings.server_password)
        for name in _CAPABILITIES:
            self._irc.cap("REQ", name)
        if not self._settings.account:
            self._irc.cap("END")

    def _on_event(self, _: ServerConnection, event: Event) -> None:
        self._heard_at = time.monotonic()
        arguments = [str(each) for each in event.arguments]
        match event.type:
            case "pubmsg":
                self._on_message(event, arguments[0])
            case "pong" if _AFTER_A_LINE in (event.target, *arguments):
                self._answered.set()
            case "disconnect":
                self._answered.set()
            case "error":
                self._ended = f"{self._settings.server} closed the connection: {event.target}"
            case "kick" if arguments[0] == self._irc.get_nickname():
                self._irc.join(str(event.target))
            case "nicknameinuse":
                self._irc.nick(f"{self._settings.nick}{uuid.uuid4().hex[:3]}")
            case kind if codes.get(kind, kind).startswith("4"):
                self._refusal = arguments[-1]
            case _:
                self._on_login(event.type, arguments)

    def _on_login(self, kind: str, arguments: list[str]) -> None:
        match kind:
            case "cap" if arguments[0] in {"ACK", "DEL"} and "account-tag" in arguments[1].split():
                self._account_tag = arguments[0] == "ACK"
            case "saslsuccess":
                self._logged_in = True
            case "welcome" if self._settings.account and not self._logged_in:
                reason = "it has no SASL, or the account's name or password is wrong"
                raise Unreachable(f"{self._settings.server} refused the bot: {reason}")
            case "welcome":
                self._irc.set_keepalive(self._keepalive.ping_seconds)
                for channel in self._settings.channels:
                    self._irc.join(channel)
                self.joined = True
                self._loop.call_soon_threadsafe(self._on_joined)

    def _on_message(self, event: Event, text: str) -> None:
        tags = {tag["key"]: tag["value"] or "" for tag in event.tags or []}
        known = {name.casefold(): name for name in self._settings.channels}
        channel, own_nick = known.get(str(event.target).casefold()), str(self._irc.get_nickname())
        if "batch" in tags or channel is None or event.source.nick == own_nick:
            return
        account = tags.get("account", "") if self._account_tag else ""
        trusted = self._settings.trust_accounts and account not in {"", "*"}
        # Services compare names without case.
        person = Person(f"irc:account/{account.lower()}" if trusted else "", str(event.source.nick))
        event_id = tags.get("msgid") or uuid.uuid4().hex
        location, text = Location(channel), replace_mention(text, [own_nick])
        received = ReceivedMessage(event_id, person, location, text), _age(tags.get("time", ""))
        self._loop.call_soon_threadsafe(self.received.put_nowait, received)


def split_lines(message: Message) -> list[str]:
    """Return a message as lines that fit; a long one is continued, between words where it has any."""
    text, lines = strip_control("\n".join(filter(None, (message.text, message.code)))), []
    for line in filter(str.strip, text.split("\n")):
        rest = line
        while len(rest.encode()) > LINE_BYTES:
            longest = rest.encode()[:LINE_BYTES].decode(errors="ignore")
            part = longest.rpartition(" ")[0].rstrip() or longest
            lines.append(part)
            rest = rest[len(part) :].lstrip(" ")
        lines.append(rest)
    return lines


def _age(moment: str) -> float:
    """Return the seconds since a server's time of a message; 0 without one."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
