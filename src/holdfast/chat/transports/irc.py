"""IRC: announces runs, and takes commands only where the network vouches for accounts.

1. A nickname proves nothing. A person's id is the services account that the server puts on each message
   (IRCv3 ``account-tag``), if the configuration trusts this network's accounts; otherwise it is "".
2. IRC acknowledges nothing. A PING follows each line, and its PONG means that the server has processed
   the line; this also stays below servers' flood limits. After a lost connection a message goes on
   behind its last acknowledged line, so at most one line is sent twice.
3. What a server or bouncer replays from its history (a ``batch``, or an old ``time``) is not a command.

The asyncio client of ``irc`` 20.5 has no SASL login (only its blocking client does): it is done here.
Sources: RFC 2812; IRCv3 "Capability Negotiation", "SASL", "account-tag", "server-time".
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import ssl
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from irc.client import Event, IRCError
from irc.client_aio import AioConnection, AioReactor
from irc.connection import AioFactory
from pydantic import Field

from holdfast.chat.backoff import Backoff
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
    PlatformTransport,
    TransportSettings,
    replace_mention,
)
from holdfast.model import Json
from holdfast.text import strip_control

LINE_BYTES = 380
"""Of the 512 bytes of a line (RFC 2812, 2.3), servers use some for the sender and the channel."""

_LIMIT = 1500  # a message is several lines, each acknowledged: more would take long
_IDLE_SECONDS = 60.0
_REMEMBERED = 1000  # messages whose acknowledged lines are known
_CAPABILITIES = ("message-tags", "account-tag", "server-time", "batch")
_REFUSALS = {
    "nosuchnick", "nosuchchannel", "cannotsendtochan", "notonchannel", "channelisfull",
    "inviteonlychan", "bannedfromchan", "badchannelkey", "nochanmodes",
}  # fmt: skip


class IrcSettings(TransportSettings):
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


class Irc(PlatformTransport):
    """One network. Implements ``Transport``."""

    name = "irc"
    lost_errors = (Unreachable, OSError, TimeoutError, IRCError)

    def __init__(self, settings: IrcSettings, backoff: Backoff | None = None) -> None:
        super().__init__(backoff)
        self._settings = settings
        self.capabilities = Capabilities(
            threads=False, edits=False, buttons=False, files=False,
            authenticates=settings.trust_accounts, limit=_LIMIT,
        )  # fmt: skip
        self._connection: _Connection | None = None
        self._acknowledged: dict[str, int] = {}  # lines, by the message's key
        self._sending = asyncio.Lock()
        # At its level DEBUG the library logs every line that it sends, passwords too.
        logging.getLogger("irc").setLevel(logging.WARNING)

    async def receive(self, deliver: Deliver) -> None:
        """Connect and deliver until the server closes the connection or does not answer."""
        connection = _Connection(self._settings)
        try:
            await connection.open()
            self._connection = connection
            self.connected()
            while True:
                try:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        event = await connection.messages.get()
                except TimeoutError:
                    async with self._sending:
                        await connection.acknowledged()
                else:
                    await self._deliver(event, connection, deliver)
        finally:
            self._connection = None
            connection.close()

    async def _deliver(
        self, event: Event | None, connection: _Connection, deliver: Deliver
    ) -> None:
        if event is None:
            raise Unreachable(connection.closed())
        tags = {tag["key"]: tag["value"] or "" for tag in event.tags or []}
        known = {name.casefold(): name for name in self._settings.channels}
        channel = known.get(str(event.target).casefold())
        if "batch" in tags or channel is None:
            return
        account = tags.get("account", "") if "account-tag" in connection.capabilities else ""
        trusted = self._settings.trust_accounts and account not in {"", "*"}
        # Services compare names without case.
        person = Person(f"irc:account/{account.lower()}" if trusted else "", str(event.source.nick))
        text = replace_mention(str(event.arguments[0]), [connection.nick])
        event_id = tags.get("msgid") or uuid.uuid4().hex
        message = ReceivedMessage(event_id, person, Location(channel), text)
        await deliver(message, _age(tags.get("time", "")))

    async def post(self, location: Location, message: Message, key: str) -> Posted:
        """Send a message line by line; after a failure, from the first line not acknowledged."""
        if location.channel not in self._settings.channels:
            raise Unreachable(f"irc: {location.channel} is not in transports.irc.channels")
        async with self._sending:
            for line in split_lines(message)[self._acknowledged.get(key, 0) :]:
                if self._connection is None:
                    raise Unreachable(f"irc: not connected to {self._settings.server}")
                await self._connection.send(location.channel, line)
                self._acknowledged[key] = self._acknowledged.get(key, 0) + 1
            while len(self._acknowledged) > _REMEMBERED:
                del self._acknowledged[next(iter(self._acknowledged))]
        return Posted(Location(location.channel), "")


class _Connection:
    """One connection, from its opening to its end; what people write is in ``messages``, None at the end."""

    def __init__(self, settings: IrcSettings) -> None:
        self._settings = settings
        self.messages: asyncio.Queue[Event | None] = asyncio.Queue()
        self.capabilities: set[str] = set()
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reason, self._refusal, self._logged_in = "no reason was given", "", False
        self._numbers = itertools.count(1)
        reactor = AioReactor(on_connect=self._negotiate, loop=asyncio.get_running_loop())
        self._irc: AioConnection = reactor.server()
        # People may write in any encoding; that must not end the connection.
        self._irc.buffer_class = type(
            "_Buffer", (AioConnection.buffer_class,), {"errors": "replace"}
        )
        reactor.add_global_handler("all_events", self._on_event)

    @property
    def nick(self) -> str:
        """The bot's nickname now."""
        return str(self._irc.get_nickname())

    async def open(self) -> None:
        """Log in and join the channels.

        Raises:
            Unreachable: the server refused. OSError, TimeoutError: it does not answer.
        """
        settings, context = self._settings, ssl.create_default_context()
        factory = AioFactory(ssl=context if settings.tls else None)
        async with asyncio.timeout(settings.timeout_seconds):
            await self._irc.connect(
                settings.server, settings.port, settings.nick, settings.server_password or None,
                connect_factory=factory,
            )  # fmt: skip
            await self._answer
        for channel in settings.channels:
            self._irc.join(channel)

    def close(self) -> None:
        """Disconnect."""
        self._irc.disconnect("")

    def closed(self) -> str:
        """Describe how the connection ended."""
        return f"{self._settings.server} closed the connection: {self._reason}"

    async def send(self, channel: str, line: str) -> None:
        """Send one line, and return when the server has processed it.

        Raises:
            Unreachable: it has not, or may not have.
        """
        self._refusal = ""
        self._irc.privmsg(channel, line)
        await self.acknowledged()
        if self._refusal:
            self._irc.join(channel)  # the next attempt may find us there
            raise Unreachable(f"irc: {channel} did not take a line: {self._refusal}")

    async def acknowledged(self) -> None:
        """Return when the server has processed everything that was sent so far.

        Raises:
            Unreachable: it does not answer in time.
        """
        if not self._irc.connected:
            raise Unreachable(self.closed())
        self._answer = asyncio.get_running_loop().create_future()
        self._irc.ping("holdfast")
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await self._answer
        except TimeoutError as error:
            self.close()
            raise Unreachable(f"{self._settings.server} does not answer") from error

    def _negotiate(self, _protocol: Json, _transport: Json) -> None:
        """Ask for capabilities before the library logs in; the server waits for CAP END."""
        for name in (*_CAPABILITIES, *(["sasl"] if self._settings.account else [])):
            self._irc.cap("REQ", name)
        if not self._settings.account:
            self._irc.cap("END")

    def _on_event(self, _: AioConnection, event: Event) -> None:
        arguments = [str(each) for each in event.arguments]
        match event.type:
            case "pubmsg":
                self.messages.put_nowait(event)
            case "pong" if not self._answer.done():
                self._answer.set_result(None)
            case "kick" if arguments[:1] == [self.nick]:
                self._irc.join(str(event.target))
            case "error":
                self._reason = " ".join([str(event.target), *arguments])[:200]
            case "disconnect":
                self._fail(f"closed the connection: {self._reason}")
                self.messages.put_nowait(None)
            case refusal if refusal in _REFUSALS:
                self._refusal = " ".join(arguments[-1:]) or refusal
            case _:
                self._on_login(event.type, arguments)

    def _on_login(self, kind: str, arguments: list[str]) -> None:
        account, password = self._settings.account, self._settings.password
        match kind:
            case "cap":
                self._on_capability(arguments[0].upper(), set(arguments[-1].split()))
            case "authenticate":
                login = base64.b64encode(f"{account}\0{account}\0{password}".encode())
                self._irc.send_items("AUTHENTICATE", login.decode())
            case "saslsuccess":
                self._logged_in = True
                self._irc.cap("END")
            case "saslfail":
                self._fail("refused the bot: the account's name or password is wrong (SASL)")
            case "welcome" if account and not self._logged_in:
                self._fail("refused the bot: it has no SASL, and an account is configured")
            case "welcome" if not self._answer.done():
                self._answer.set_result(None)
            case "nicknameinuse":
                self._irc.nick(f"{self._settings.nick}{next(self._numbers)}")

    def _on_capability(self, verb: str, names: set[str]) -> None:
        if verb == "ACK":
            self.capabilities |= names
            if "sasl" in names:
                self._irc.send_items("AUTHENTICATE", "PLAIN")
        elif verb == "NAK" and "sasl" in names:
            self._irc.cap("END")  # "welcome" reports it
        elif verb == "DEL":
            self.capabilities -= names

    def _fail(self, reason: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(Unreachable(f"{self._settings.server} {reason}"))


def split_lines(message: Message) -> list[str]:
    """Return a message as lines that fit; a long one is continued, between words where it has any."""
    text = strip_control("\n".join(filter(None, (message.text, message.code))))
    return [part for line in text.split("\n") if line.strip() for part in _split(line)]


def _split(line: str) -> Iterator[str]:
    while len(line.encode()) > LINE_BYTES:
        longest = line.encode()[:LINE_BYTES].decode(errors="ignore")
        words, space, _ = longest.rpartition(" ")
        part = words if space and words.strip() else longest
        yield part
        line = line[len(part) :].lstrip(" ")
    yield line


def _age(moment: str) -> float:
    """Return the seconds since a server's time of a message; 0 without one."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    except ValueError:
        return 0.0
