"""The bot: receives, has commands done, replies; and keeps every feed up to date. Any number of platforms.

Owns the order of the checks on everything that is received: is it for the bot, was it received before, who
is it, are they within their rate, is it a command. Only then is anything done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from holdfast.chat.backoff import Backoff
from holdfast.chat.command_parser import addressed, mistyped, parse
from holdfast.chat.commands import CommandHandler, Requester
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.feed_publisher import FeedPublisher, follow_new_runs
from holdfast.chat.messages import error_message, stranger_message, too_many_message
from holdfast.chat.permissions import Member, RateLimit
from holdfast.chat.transport import ButtonPress, Message, Received, ReceivedMessage, Unreachable
from holdfast.chat.transports.base import Transport
from holdfast.errors import HoldfastError, InvalidInput, StateUnusable
from holdfast.text import one_line

LOG = logging.getLogger("holdfast.chat")
_POLL_SECONDS = 1.0
_REPLY_ATTEMPTS = 8
_COMMANDS_AT_ONCE = 6
_HOUR = timedelta(hours=1)
_STRANGERS = 50


@dataclass
class Bot:
    """Serves all ``transports``."""

    dependencies: BotDependencies
    transports: Sequence[Transport]
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        # A command may take minutes, as where an inventory does not answer; no feed waits for one, and
        # an approval or abort waits for no other command.
        self._workers = ThreadPoolExecutor(_COMMANDS_AT_ONCE, "holdfast-command")
        self._urgent_workers = ThreadPoolExecutor(_COMMANDS_AT_ONCE, "holdfast-urgent")
        self.commands = CommandHandler(self.dependencies)
        self.publishers = [FeedPublisher(each, self.dependencies) for each in self.transports]
        self._limit = RateLimit(self.dependencies.config.rates, self.dependencies.clock)

    async def serve(self) -> None:
        """Receive and publish until cancelled. Runs go on without the bot, and are caught up with."""
        since = self.dependencies.delivery.first_served(self.dependencies.clock())
        names = ", ".join(transport.name for transport in self.transports)
        LOG.info("serving %s on %s", ", ".join(self.dependencies.config.sites), names)
        async with asyncio.TaskGroup() as self._group:
            for publisher in self.publishers:
                receive = partial(self.receive, publisher)
                self._group.create_task(publisher.transport.listen(receive))
                self._group.create_task(self._keep_publishing(publisher))
            self._group.create_task(self._keep_following(since))

    async def settled(self) -> None:
        """Return once everything received so far is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- receiving ----------------------------------------------------------------------------

    async def receive(self, publisher: FeedPublisher, received: Received) -> None:
        """Take what somebody wrote or pressed; returns before it is answered."""
        text = received.token if isinstance(received, ButtonPress) else addressed(received.text)
        if text is None:
            self._answer_typo(publisher, received)
            return
        deps, transport = self.dependencies, publisher.transport
        known = transport.capabilities.authenticates
        member = deps.permissions.member(received.person) if known else None
        try:
            event_id = f"{transport.name}/{received.event_id}"
            if not deps.delivery.record_event(event_id, deps.clock()):
                return
        except StateUnusable as error:  # what cannot be recorded is not done: it might come again
            LOG.warning("not answered: %s", one_line(error.message))
            if member is not None and self._limit.allows(f"{member.name}/trouble", 1):
                self._reply(publisher, received, error_message(error))
            return
        if member is None:
            self._refuse_stranger(publisher, received)
        elif self._limit.allows(_budget(member, text)):
            self._start(self._answer(publisher, received, member, deps.scrub(text)))
        elif self._limit.allows(f"{member.name}/told", 1):
            self._reply(publisher, received, too_many_message(deps.config.rates))

    async def _answer(
        self, publisher: FeedPublisher, received: Received, member: Member, text: str
    ) -> None:
        requester = Requester(member, publisher.transport.name, received.location)
        LOG.info("%s (%s) asks: %s", member.name, member.id, one_line(text)[:200])
        urgent = text.lower().startswith(("abort", "approve", "reject"))
        workers = self._urgent_workers if urgent else self._workers
        try:
            loop = asyncio.get_running_loop()
            message = await loop.run_in_executor(workers, self._execute, received, requester, text)
        except HoldfastError as error:
            LOG.info("not done for %s: %s", member.id, one_line(error.message))
            message = error_message(error)
        await self._post_reply(publisher, received, message)

    def _execute(self, received: Received, requester: Requester, text: str) -> Message:
        if isinstance(received, ButtonPress):
            return self.commands.press(text, requester)
        return self.commands.answer(parse(text), requester)

    def _answer_typo(self, publisher: FeedPublisher, received: Received) -> None:
        """Say what was probably meant by a message that begins almost with the bot's name."""
        meant = mistyped(received.text) if isinstance(received, ReceivedMessage) else ""
        known = publisher.transport.capabilities.authenticates
        member = self.dependencies.permissions.member(received.person) if known else None
        if meant and member is not None and self._limit.allows(member.name):
            error = InvalidInput("A command begins with holdfast; nothing was done", remedy=meant)
            self._reply(publisher, received, error_message(error))

    def _refuse_stranger(self, publisher: FeedPublisher, received: Received) -> None:
        transport, person = publisher.transport, received.person
        who = one_line(person.id or person.name)[:200]
        LOG.warning("refused on %s: %s is not known here", transport.name, who)
        # Who has no proved id can use any name, as often as they like: they share one refusal.
        once = self._limit.allows(f"stranger/{transport.name}/{person.id}", 1, _HOUR)
        if once and self._limit.allows(f"strangers/{transport.name}", _STRANGERS, _HOUR):
            authenticates = transport.capabilities.authenticates
            message = stranger_message(transport.name, who, person.id, authenticates=authenticates)
            self._reply(publisher, received, message)

    def _reply(self, publisher: FeedPublisher, received: Received, message: Message) -> None:
        self._start(self._post_reply(publisher, received, message))

    async def _post_reply(
        self, publisher: FeedPublisher, received: Received, message: Message
    ) -> None:
        """Post a reply; a platform that is away gets it when it is back, unless that takes long."""
        name, backoff = publisher.transport.name, Backoff(wait=self.dependencies.wait)
        key = f"reply/{name}/{received.event_id}"
        for _ in range(_REPLY_ATTEMPTS):
            try:
                await publisher.post(received.location, message, key)
            except Unreachable as error:
                LOG.warning("%s: %s", name, one_line(error.message))
                await backoff.failed()
            else:
                return
        text = self.dependencies.scrub(one_line(message.text))[:200]
        LOG.warning("%s: a reply was given up: %s", name, text)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- publishing ---------------------------------------------------------------------------

    async def _keep_publishing(self, publisher: FeedPublisher) -> None:
        backoff = Backoff(wait=self.dependencies.wait)
        while True:
            try:
                await publisher.publish_all()
                backoff.succeeded()
                await self.dependencies.wait(_POLL_SECONDS)
            except HoldfastError as error:
                name = publisher.transport.name
                LOG.warning("%s is not updated now, runs go on: %s", name, one_line(error.message))
                await backoff.failed()

    async def _keep_following(self, since: datetime) -> None:
        known, logged = set[str](), ""
        while True:
            try:
                await asyncio.to_thread(follow_new_runs, self.dependencies, since, known)
            except StateUnusable as error:
                if error.message != logged:  # a damaged journal stays damaged
                    LOG.warning("not every new run can be followed: %s", one_line(error.message))
                logged = error.message
            await self.dependencies.wait(_POLL_SECONDS)


def _budget(member: Member, text: str) -> str:
    """Return what a command counts against: who has asked too often can still stop a run."""
    return f"{member.name}/abort" if text.lower().startswith("abort") else member.name
