"""IRC: runs are told there; they are asked for only where the network vouches for accounts.

Owns the translation between IRC lines and ours. What it relies on:

1. A nickname proves nothing. A person's id is the services account that the server itself puts on each
   message (IRCv3 ``account-tag``), if the configuration trusts this network's accounts; else it is "".
2. IRC acknowledges nothing. After each line a PING is sent, and its PONG says that the line before it
   was taken: that also keeps below the server's flood limits. After a lost connection a message goes on
   with the first line that was not acknowledged, so at most one line can stand twice.
3. What a server or bouncer plays back from its history (a ``batch``, or an old ``time``) is not heard.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from irc.client import Event

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
from holdfast.chat.transports.irc_format import lines, mentioned
from holdfast.chat.transports.irc_link import AWAY, LOG, IrcSettings, Link

__all__ = ["Irc", "IrcSettings", "opened"]

_LIMIT = 1500  # a message is several lines, each acknowledged: more would be a flood
_REMEMBERED = 1000
_IDLE_SECONDS = 60.0


def opened(settings: IrcSettings) -> Irc:
    """Return the transport."""
    return Irc(settings)


class Irc:
    """One network. Implements ``Transport``."""

    name = "irc"

    def __init__(self, settings: IrcSettings, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self.abilities = Abilities(
            threads=False,
            edits=False,
            buttons=False,
            files=False,
            vouches=settings.trust_accounts,
            limit=_LIMIT,
        )
        self._link: Link | None = None
        self._taken: OrderedDict[str, int] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    # --- hearing ------------------------------------------------------------------------------

    async def listen(self, hear: Hear) -> None:
        """Hear until cancelled; a lost connection is made anew, later and later while it fails."""
        while True:
            try:
                async with self._connected() as link:
                    self._backoff.succeeded()
                    LOG.info("irc: connected to %s", self._settings.server)
                    await self._hear_all(link, hear)
            except (Unreachable, *AWAY) as error:
                LOG.warning("irc: not connected: %s", _said(error))
            await self._backoff.failed()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Link]:
        link = Link(self._settings)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await link.open()
            self._link = link
            yield link
        finally:
            self._link = None
            link.close()

    async def _hear_all(self, link: Link, hear: Hear) -> None:
        while True:
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    event = await link.said.get()
            except TimeoutError:
                await link.acknowledged()  # raises when nobody is there any more
                continue
            if event is None:
                raise Unreachable(f"{self._settings.server} closed the connection: {link.reason}")
            if said := self._heard(link, event):
                await hear(said)

    def _heard(self, link: Link, event: Event) -> Heard | None:
        tags = {tag["key"]: tag["value"] or "" for tag in event.tags or []}
        channel, nick = str(event.target), str(event.source.nick)
        known = {name.casefold(): name for name in self._settings.channels}
        if "batch" in tags or _is_old(tags.get("time", "")) or channel.casefold() not in known:
            return None
        account = tags.get("account", "") if "account-tag" in link.granted else ""
        trusted = self._settings.trust_accounts and account not in {"", "*"}
        # Services compare names without case.
        person = Person(f"irc:account/{account.lower()}" if trusted else "", nick)
        text = mentioned(str(event.arguments[0]), link.nick)
        ident = tags.get("msgid") or uuid.uuid4().hex
        return Heard(ident, person, Place(known[channel.casefold()]), text)

    # --- speaking -----------------------------------------------------------------------------

    async def post(self, place: Place, message: Message, key: str) -> Posted:
        """Say a message line by line; after a failure, go on with the line that was not taken."""
        if place.channel not in self._settings.channels:
            raise Unreachable(f"irc: {place.channel} is not in transports.irc.channels")
        async with self._one_at_a_time:
            link = self._link
            if link is None:
                raise Unreachable(f"irc: not connected to {self._settings.server}")
            every = lines(message)
            for number in range(self._taken.get(key, 0), len(every)):
                await link.say(place.channel, every[number])
                self._note(key, number + 1)
            return Posted(Place(place.channel), "")

    def _note(self, key: str, taken: int) -> None:
        self._taken[key] = taken
        self._taken.move_to_end(key)
        while len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)

    async def edit(self, posted: Posted, message: Message) -> None:  # noqa: ARG002 - the protocol asks
        """IRC has no edits, as ``abilities`` say."""
        raise Unreachable("irc cannot edit a message")

    async def upload(self, place: Place, name: str, data: bytes, key: str) -> None:  # noqa: ARG002 - the same
        """IRC has no files, as ``abilities`` say."""
        raise Unreachable("irc cannot take a file")


def _is_old(moment: str) -> bool:
    """Whether a server's time of a message is too long ago; no time means now."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return False
    return (datetime.now(UTC) - then).total_seconds() > STALE_SECONDS


def _said(error: BaseException) -> str:
    return error.message if isinstance(error, Unreachable) else f"{type(error).__name__}"
