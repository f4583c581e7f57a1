"""Tells runs where their feeds are: from the journal, from wherever the last telling ended.

A run never waits for this: it is another process, and a platform that does not answer only delays
what is told. How a feed goes on, whatever happened to the bot or the platform:

1. Read the journal from the start; events up to ``told`` rebuild the board and say nothing.
2. Each later event that a person must see is posted under a key made of run and event, so that what
   was posted before a crash, and not yet noted, is not posted twice where the platform can tell.
3. Note how far the feed has come; then edit the progress message, not more often than is polite.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from holdfast.chat import messages
from holdfast.chat.config import Config, Role
from holdfast.chat.ledger import Feed, Ledger
from holdfast.chat.messages import fit
from holdfast.chat.permissions import Permissions
from holdfast.chat.run_launcher import Launcher
from holdfast.chat.secrets import Scrubber
from holdfast.chat.transport import Message, Place, Posted, Transport, Unreachable
from holdfast.engine import Engine
from holdfast.errors import StateUnusable
from holdfast.journal import RunState, Status, events
from holdfast.journal.events import Recorded
from holdfast.report import build, timeline_svg
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import plain
from holdfast.report.table import tables
from holdfast.store import Store
from holdfast.text import one_line

LOG = logging.getLogger("holdfast.chat")

QUIET = timedelta(seconds=60)
"""How often progress is edited while nothing new is in the journal: the times in it go on."""

GRACE = timedelta(seconds=15)
"""How long a run may seem to have no driver, or no process, before that is said."""

LONGEST_REST = timedelta(seconds=60)
"""How long a feed that cannot be told waits at most before it is tried again."""

FOLLOWED = timedelta(days=7)
"""How long a run that stopped is looked at for a resume."""


@dataclass
class FeedState:
    """What is known of one feed's run; rebuilt from the journal when the bot starts."""

    board: RunProgress = field(default_factory=RunProgress)
    waiting: list[Recorded] = field(default_factory=list)
    read: int = 0
    drawn: str = ""
    drawn_seq: int = 0
    edited: datetime | None = None
    alone_since: datetime | None = None
    over_since: datetime | None = None
    failures: int = 0
    rests_until: datetime | None = None


@dataclass
class Follower:
    """Tells all feeds of one platform."""

    transport: Transport
    config: Config
    access: Permissions
    engine: Engine
    store: Store
    ledger: Ledger
    launcher: Launcher
    scrub: Scrubber
    clock: Callable[[], datetime]
    _tellings: dict[tuple[str, str], FeedState] = field(default_factory=dict)

    async def tell_all(self) -> None:
        """Bring every feed of this platform up to date.

        A feed that cannot be told (its channel is gone, its run's journal is damaged, the platform
        is away) rests for a while, later and later, and no other waits for it; nothing is lost.

        Raises:
            StateUnusable: what chat remembers cannot be read.
        """
        for feed in self.ledger.feeds(self.transport.name):
            telling = self._tellings.setdefault((feed.run, feed.kind), FeedState())
            if telling.rests_until is None or self.clock() >= telling.rests_until:
                await self._tell_or_rest(feed, telling)

    async def _tell_or_rest(self, feed: Feed, telling: FeedState) -> None:
        try:
            await self._tell(feed, telling)
            telling.failures, telling.rests_until = 0, None
        except (Unreachable, StateUnusable) as trouble:
            name, why = self.transport.name, one_line(trouble.message)
            following = f"; {trouble.remedy}" * bool(trouble.remedy)
            LOG.warning("%s: %s is not told now, runs go on: %s%s", name, feed.run, why, following)
            telling.failures += 1
            telling.rests_until = self.clock() + min(
                timedelta(seconds=2 ** min(telling.failures, 10)), LONGEST_REST
            )

    async def say(self, place: Place, message: Message, key: str) -> Posted:
        """Post a message as long as it may be, with no secret in it."""
        fitting = fit(message, self.transport.abilities.limit, self.scrub)
        return await self.transport.post(place, fitting, key)

    # --- one feed -----------------------------------------------------------------------------

    async def _tell(self, feed: Feed, telling: FeedState) -> None:
        new = await asyncio.to_thread(self.store.read, feed.run, telling.read)
        if new:
            telling.read = new[-1].seq
            telling.waiting.extend(new)
        while telling.waiting:
            recorded = telling.waiting[0]
            telling.board.hear(recorded)
            if recorded.seq > feed.told:
                await self._tell_event(feed, telling.board, recorded)
            telling.waiting.pop(0)
        state = telling.board.state
        if state.seq > feed.told:
            self.ledger.told(feed, state.seq)
        if feed.kind == "thread" and state.opened is not None:
            await self._draw(feed, telling)
        await self._tell_alone(feed, telling)
        await self._tell_words(feed, telling)
        self._close_ended(feed, telling)

    async def _tell_event(self, feed: Feed, board: RunProgress, recorded: Recorded) -> None:
        state, event, key = board.state, recorded.event, f"{feed.run}/{feed.kind}/{recorded.seq}"
        if feed.kind == "log":
            by = event.by if isinstance(event, events.RunOpened | events.Resumed) else ""
            if line := messages.log_line(state, event, self.access.named(by)):
                await self.say(Place(feed.channel), Message(line), key)
                self.ledger.told(feed, recorded.seq)
            return
        await self._tell_thread(feed, state, event, key)
        if isinstance(event, _SEEN):
            self.ledger.told(feed, recorded.seq)

    async def _tell_thread(
        self, feed: Feed, state: RunState, event: events.Event, key: str
    ) -> None:
        match event:
            case events.RunOpened():
                message = messages.opening_message(state, self.access.named(event.by))
                posted = await self.say(Place(feed.channel), message, key)
                self.ledger.keep(_root(feed.run), feed.run, posted)
            case events.ApprovalRequested():
                posted = await self.say(self._thread(feed), self._question(state, event.step), key)
                self.ledger.keep(_question(feed.run, event.step), feed.run, posted)
            case events.Approved() | events.StepFinished():
                await self._redraw_question(feed, state, event.step)
            case events.Held() | events.Aborted() | events.RunRefused():
                await self._redraw_question(feed, state, state.current_step)
                await self.say(self._thread(feed), messages.stopped_message(state), key)
            case events.Finished():
                await self._tell_finished(feed, state, key)
            case events.Resumed():
                words = f"Resumed by {self.access.named(event.by)} [{feed.run}]\n{event.reason}"
                await self.say(self._thread(feed), Message(words), key)

    async def _tell_finished(self, feed: Feed, state: RunState, key: str) -> None:
        message = messages.stopped_message(state)
        told = build([await asyncio.to_thread(self.store.read, feed.run)])
        summary = Message(f"{message.text}\n{message.code}", plain(tables(told)))
        await self.say(self._thread(feed), summary, key)
        if self.transport.abilities.files:
            svg = self.scrub(timeline_svg(told)).encode()
            name = f"{feed.run}.svg"
            await self.transport.upload(self._thread(feed), name, svg, f"{key}/picture")

    # --- messages that are edited in place ----------------------------------------------------

    async def _draw(self, feed: Feed, telling: FeedState) -> None:
        """Post the progress message once, and edit it when there is something new, but not often."""
        if not self.transport.abilities.edits:
            return
        now, board = self.clock(), telling.board
        if not self._due(telling, now):
            return
        message = messages.progress_message(board, now)
        key = f"{feed.run}/progress"
        posted = self.ledger.posted(key)
        if posted is None:
            posted = await self.say(self._thread(feed), message, key)
            self.ledger.keep(key, feed.run, posted)
        elif message.code != telling.drawn:
            await self._edit(posted, message)
        telling.drawn, telling.edited = message.code, now
        telling.drawn_seq = board.state.seq

    def _due(self, telling: FeedState, now: datetime) -> bool:
        if telling.edited is None:
            return True
        state, since = telling.board.state, now - telling.edited
        if state.seq != telling.drawn_seq:
            often = timedelta(seconds=self.config.rates.edit_seconds)
            return since >= often or state.status is not Status.RUNNING
        return state.status is Status.RUNNING and since >= QUIET

    async def _redraw_question(self, feed: Feed, state: RunState, step: int) -> None:
        posted = self.ledger.posted(_question(feed.run, step))
        if posted is not None and self.transport.abilities.edits:
            await self._edit(posted, self._question(state, step))

    async def _edit(self, posted: Posted, message: Message) -> None:
        limit = self.transport.abilities.limit
        await self.transport.edit(posted, fit(message, limit, self.scrub))

    def _question(self, state: RunState, step: int) -> Message:
        opened = state.opened
        people: Sequence[str] = ()
        if opened is not None:
            people = self.access.people(Role.APPROVER, opened.site, opened.runbook)
        return messages.approval_message(state, step, people, self.access.named)

    # --- runs without a driver, runs that are over --------------------------------------------

    async def _tell_alone(self, feed: Feed, telling: FeedState) -> None:
        """Say once that nobody drives the run any more, where its journal has no end."""
        state, now = telling.board.state, self.clock()
        leased = state.status is Status.RUNNING and state.grant is not None
        if not leased or await asyncio.to_thread(self.engine.driver, state) is not None:
            telling.alone_since = None
            return
        telling.alone_since = telling.alone_since or now
        key = f"{feed.run}/{feed.kind}/alone/{state.seq}"
        if now - telling.alone_since < GRACE or self.ledger.posted(key) is not None:
            return
        if feed.kind == "log":
            said = await self.say(Place(feed.channel), Message(messages.lost_line(state)), key)
        else:
            said = await self.say(self._thread(feed), messages.stopped_message(state), key)
        self.ledger.keep(key, feed.run, said)

    async def _tell_words(self, feed: Feed, telling: FeedState) -> None:
        """Pass on why a run's process ended after its last event, also where it said nothing at all."""
        if await asyncio.to_thread(self.launcher.alive, feed.run):
            telling.over_since = None
            return
        telling.over_since = telling.over_since or self.clock()
        if feed.kind != "thread":
            return
        state, words = telling.board.state, self.launcher.words(feed.run)
        if words is not None and (state.at is None or words.at >= state.at):
            key = f"{feed.run}/words/{words.at.isoformat()}"
            message = Message(f"Did not go on [{feed.run}]\nnext: holdfast status", words.text)
        elif words is None and state.opened is None and self._long_over(telling):
            key = f"{feed.run}/words"
            text = f"Did not begin [{feed.run}]: its process ended without a word"
            message = Message(f"{text}\nnext: holdfast status, then ask for the run again")
        else:
            return
        if self.ledger.posted(key) is None:
            self.ledger.keep(key, feed.run, await self.say(self._thread(feed), message, key))

    def _close_ended(self, feed: Feed, telling: FeedState) -> None:
        """A run that was asked for just now may have no process yet: such a feed is given time."""
        state = telling.board.state
        old = state.at is None or self.clock() - state.at > FOLLOWED
        stopped = (old and state.status is not Status.RUNNING) or state.opened is None
        ended = state.status in {Status.FINISHED, Status.REFUSED}
        if ended or (stopped and self._long_over(telling)):
            self.ledger.close(feed)
            self._tellings.pop((feed.run, feed.kind), None)

    def _long_over(self, telling: FeedState) -> bool:
        since = telling.over_since
        return since is not None and self.clock() - since >= GRACE

    def _thread(self, feed: Feed) -> Place:
        """The run's thread: that of its first message, where the platform has threads."""
        root = self.ledger.posted(_root(feed.run))
        threads = self.transport.abilities.threads and root is not None
        return Place(feed.channel, root.ident if threads and root else "")


_SEEN = (
    events.RunOpened,
    events.ApprovalRequested,
    events.Held,
    events.Aborted,
    events.RunRefused,
    events.Finished,
    events.Resumed,
)


def adopt(config: Config, store: Store, ledger: Ledger, since: datetime, known: set[str]) -> None:
    """Follow runs that nobody asked for in chat, at sites with a channel, from ``since`` on.

    ``known`` are the runs that need not be looked at again.

    Raises:
        StateUnusable: a journal cannot be read; the others were looked at.
    """
    damage: StateUnusable | None = None
    for run in store.runs():
        if run in known:
            continue
        try:
            first = next(iter(store.each(run)), None)
        except StateUnusable as error:
            damage = error
            continue
        known.add(run)
        if first is not None and not ledger.followed(run):
            _adopt(config, ledger, since, first)
    if damage is not None:
        raise damage


def _adopt(config: Config, ledger: Ledger, since: datetime, first: Recorded) -> None:
    run, opened = first.run, first.event
    if not isinstance(opened, events.RunOpened) or opened.at < since:
        return
    site = config.sites.get(opened.site)
    if site is None or site.channel is None:
        return
    ledger.follow(run, "thread", site.channel.transport, site.channel.channel)
    if config.log is not None:
        ledger.follow(run, "log", config.log.transport, config.log.channel)


def _root(run: str) -> str:
    return f"{run}/thread"


def _question(run: str, step: int) -> str:
    return f"{run}/question/{step}"
