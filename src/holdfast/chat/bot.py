"""The bot: hears, asks the clerk, answers; and keeps every feed told. One process, any platforms.

Owns the order of defence for everything that is heard: is it for us, was it heard before, who is it,
are they too fast, is it a command; only then is anything done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from holdfast.chat.command_parser import addressed, parse
from holdfast.chat.commands import Asker, CommandHandler
from holdfast.chat.follower import Follower, adopt
from holdfast.chat.messages import error_message, fit, stranger_message, too_many_message
from holdfast.chat.permissions import Member, Permissions, RateLimit
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import Heard, Message, Place, Pressed, Transport, Unreachable
from holdfast.errors import HoldfastError, StateUnusable
from holdfast.text import one_line

LOG = logging.getLogger("holdfast.chat")
_EVERY_SECONDS = 1.0
_SLOWEST_SECONDS = 60.0
_REPLY_ATTEMPTS = 8
_COMMANDS_AT_ONCE = 6
_HOUR = timedelta(hours=1)
_STRANGERS = 50

Wait = Callable[[float], Awaitable[object]]


async def passing(seconds: float) -> None:
    """Let real time pass."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)


@dataclass
class Bot:
    """``followers`` are one for each transport."""

    clerk: CommandHandler
    access: Permissions
    followers: Sequence[Follower]
    scrub: Scrubber
    clock: Callable[[], datetime]
    wait: Wait = passing
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)
    # Commands may take their time; telling has threads of its own and never waits for one.
    _desk: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_COMMANDS_AT_ONCE, "holdfast-clerk")
    )
    # An inventory that does not answer takes minutes; whoever stops or approves a run waits for none.
    _urgent: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_COMMANDS_AT_ONCE, "holdfast-urgent")
    )

    def __post_init__(self) -> None:
        self._pace = RateLimit(self.clerk.config.rates, self.clock)

    async def serve(self) -> None:
        """Hear and tell until cancelled. Runs go on without us, and are caught up with afterwards."""
        since = self.clerk.ledger.since(self.clock())
        names = ", ".join(follower.transport.name for follower in self.followers)
        LOG.info("serving %s on %s", ", ".join(self.clerk.config.sites), names)
        async with asyncio.TaskGroup() as group:
            self._group = group
            for follower in self.followers:
                hear = partial(self.hear, follower.transport)
                group.create_task(follower.transport.listen(hear))
                group.create_task(self._keep_telling(follower))
            group.create_task(self._keep_adopting(since))

    async def settled(self) -> None:
        """Return once everything heard so far is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- hearing ------------------------------------------------------------------------------

    async def hear(self, transport: Transport, said: Heard | Pressed) -> None:
        """Take in what somebody said or pressed; returns before it is answered."""
        text = said.token if isinstance(said, Pressed) else addressed(said.text)
        if text is None:
            return
        member = self.access.member(said.person) if transport.abilities.vouches else None
        try:
            if not self.clerk.ledger.is_new(f"{transport.name}/{said.ident}", self.clock()):
                return
        except StateUnusable as trouble:  # what cannot be noted is not done: it might come again
            LOG.warning("not answered: %s", one_line(trouble.message))
            if member is not None and self._pace.allows(f"{member.name}/trouble", 1):
                self._reply(transport, said, error_message(trouble))
            return
        if member is None:
            self._refuse_stranger(transport, said)
        elif self._pace.allows(_budget(member, text)):
            self._begin(self._answer(transport, said, member, self.scrub(text)))
        elif self._pace.allows(f"{member.name}/told", 1):
            self._reply(transport, said, too_many_message(self.clerk.config.rates))

    async def _answer(
        self, transport: Transport, said: Heard | Pressed, member: Member, text: str
    ) -> None:
        asker = Asker(member, transport.name, said.place)
        LOG.info("%s (%s) asks: %s", member.name, member.id, one_line(text)[:200])
        desk = self._urgent if text.lower().startswith(("abort", "approve")) else self._desk
        try:
            loop = asyncio.get_running_loop()
            message = await loop.run_in_executor(desk, self._do, said, asker, text)
        except HoldfastError as error:
            LOG.info("not done for %s: %s", member.id, one_line(error.message))
            message = error_message(error)
        await self._post(transport, said.place, message, _reply_key(transport, said))

    def _do(self, said: Heard | Pressed, asker: Asker, text: str) -> Message:
        if isinstance(said, Pressed):
            return self.clerk.press(text, asker)
        return self.clerk.answer(parse(text), asker)

    def _refuse_stranger(self, transport: Transport, said: Heard | Pressed) -> None:
        name, vouches = transport.name, transport.abilities.vouches
        who = one_line(said.person.id or said.person.name)[:200]
        LOG.warning("refused on %s: %s is not known here", name, who)
        # Whoever has no proved id can call themselves anything, as often as they like.
        if not self._pace.allows(f"stranger/{name}/{said.person.id}", 1, _HOUR):
            return
        if self._pace.allows(f"strangers/{name}", _STRANGERS, _HOUR):
            self._reply(
                transport, said, stranger_message(name, who, said.person.id, vouches=vouches)
            )

    def _reply(self, transport: Transport, said: Heard | Pressed, message: Message) -> None:
        self._begin(self._post(transport, said.place, message, _reply_key(transport, said)))

    async def _post(self, transport: Transport, place: Place, message: Message, key: str) -> None:
        """Answer; a platform that is away gets the answer when it is back, unless that takes long."""
        fitting = fit(message, transport.abilities.limit, self.scrub)
        for attempt in range(_REPLY_ATTEMPTS):
            try:
                await transport.post(place, fitting, key)
            except Unreachable as away:
                LOG.warning("%s: %s", transport.name, one_line(away.message))
                await self.wait(min(2.0**attempt, _SLOWEST_SECONDS))
            else:
                return
        LOG.warning("%s: an answer was given up: %s", transport.name, one_line(fitting.text)[:200])

    def _begin(self, work: Awaitable[None]) -> None:
        async def doing() -> None:
            await work

        task = self._group.create_task(doing())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- telling ------------------------------------------------------------------------------

    async def _keep_telling(self, follower: Follower) -> None:
        pause = _EVERY_SECONDS
        while True:
            try:
                await follower.tell_all()
                pause = _EVERY_SECONDS
            except HoldfastError as away:
                name = follower.transport.name
                LOG.warning("%s is not told now, runs go on: %s", name, one_line(away.message))
                pause = min(pause * 2, _SLOWEST_SECONDS)
            await self.wait(pause)

    async def _keep_adopting(self, since: datetime) -> None:
        clerk, said = self.clerk, ""
        while True:
            try:
                await asyncio.to_thread(
                    adopt, clerk.config, clerk.store, clerk.ledger, since, self._known
                )
            except StateUnusable as trouble:
                # A damaged journal stays damaged: said once, not once a second.
                if trouble.message != said:
                    LOG.warning("not every new run can be seen: %s", one_line(trouble.message))
                said = trouble.message
            await self.wait(_EVERY_SECONDS)


def _budget(member: Member, text: str) -> str:
    """Whoever has looked too often can still stop a run."""
    return f"{member.name}/abort" if text.lower().startswith("abort") else member.name


def _reply_key(transport: Transport, said: Heard | Pressed) -> str:
    return f"reply/{transport.name}/{said.ident}"
