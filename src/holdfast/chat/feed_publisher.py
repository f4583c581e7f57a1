"""Posts runs to their feeds: from the journal, from wherever the last attempt ended.

A run never waits for this: it is another process, and a platform that does not answer only delays what is
posted. How a feed goes on, whatever happened to the bot or the platform:

1. Read the journal from the start; events up to ``posted_seq`` rebuild the progress and post nothing.
2. Post each later event that a person must see, under a key made of run and event: what was posted before
   a crash, and not recorded yet, is not posted twice where the platform can tell.
3. Record how far the feed is; then edit the progress message, at most every ``edit_seconds``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from holdfast.chat import messages
from holdfast.chat.backoff import Backoff
from holdfast.chat.delivery_state import Feed
from holdfast.chat.dependencies import BotDependencies
from holdfast.chat.transport import Location, Message, Posted, Unreachable
from holdfast.chat.transports.base import Transport
from holdfast.engine.run_lookup import StrayPlays
from holdfast.errors import StateUnusable
from holdfast.journal import events
from holdfast.journal.events import Recorded
from holdfast.journal.run_state import RunState, Status
from holdfast.plan.approval import open_approval
from holdfast.report import build_report, timeline_svg
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import plain
from holdfast.report.table import report_tables
from holdfast.text import one_line

LOG = logging.getLogger("holdfast.chat")

REFRESH = timedelta(seconds=60)
"""How often progress is edited while the journal has nothing new: the durations in it go on."""

GRACE = timedelta(seconds=15)
"""How long a run may seem to have no driver, or no process, before that is posted."""

FOLLOWED = timedelta(days=7)
"""How long a run that stopped is watched for a resume."""


@dataclass
class FeedState:
    """What is known of one feed's run; rebuilt from the journal when the bot starts."""

    progress: RunProgress = field(default_factory=RunProgress)
    pending: list[Recorded] = field(default_factory=list)
    read_seq: int = 0
    shown: str = ""
    shown_seq: int = 0
    edited_at: datetime | None = None
    no_driver_since: datetime | None = None
    no_process_since: datetime | None = None
    backoff: Backoff = field(default_factory=Backoff)
    retry_at: datetime | None = None


@dataclass
class FeedPublisher:
    """Posts all feeds of one platform."""

    transport: Transport
    dependencies: BotDependencies
    _states: dict[tuple[str, str], FeedState] = field(default_factory=dict)

    async def publish_all(self) -> None:
        """Bring every feed of this platform up to date.

        A feed that cannot be posted (its channel is gone, its run's journal is damaged, the platform
        does not answer) is tried again after growing waits; no other feed waits for it.

        Raises:
            StateUnusable: chat's own state cannot be read.
        """
        clock = self.dependencies.clock
        for feed in self.dependencies.delivery.open_feeds(self.transport.name):
            state = self._states.setdefault((feed.run, feed.kind), FeedState())
            if state.retry_at is not None and clock() < state.retry_at:
                continue
            try:
                await self._publish(feed, state)
                state.backoff.succeeded()
                state.retry_at = None
            except (Unreachable, StateUnusable) as error:
                remedy = f"; {error.remedy}" * bool(error.remedy)
                LOG.warning(
                    "%s: %s cannot be posted now, runs go on: %s%s",
                    self.transport.name, feed.run, one_line(error.message), remedy,
                )  # fmt: skip
                state.retry_at = clock() + timedelta(seconds=state.backoff.next_delay())

    async def post(self, location: Location, message: Message, key: str) -> Posted:
        """Post a message without secrets, within the platform's limit."""
        return await self.transport.post(location, self._fit(message), key)

    def _fit(self, message: Message) -> Message:
        return messages.fit(message, self.transport.capabilities.limit, self.dependencies.scrub)

    # --- one feed -----------------------------------------------------------------------------

    async def _publish(self, feed: Feed, state: FeedState) -> None:
        new = await asyncio.to_thread(self.dependencies.store.read, feed.run, state.read_seq)
        if new:
            state.read_seq = new[-1].seq
            state.pending.extend(new)
        while state.pending:
            recorded = state.pending[0]
            state.progress.add(recorded)
            if recorded.seq > feed.posted_seq:
                await self._publish_event(feed, state.progress.state, recorded)
            state.pending.pop(0)
        run = state.progress.state
        if run.seq > feed.posted_seq:
            self.dependencies.delivery.set_posted(feed, run.seq)
        if feed.kind == "thread" and run.opened is not None:
            await self._update_progress(feed, state)
        await self._publish_lost_driver(feed, state)
        await self._publish_process_output(feed, state)
        self._close_ended(feed, state)

    async def _publish_event(self, feed: Feed, run: RunState, recorded: Recorded) -> None:
        event, key = recorded.event, f"{feed.run}/{feed.kind}/{recorded.seq}"
        if feed.kind == "log":
            by = event.by if isinstance(event, events.RunOpened | events.Resumed) else ""
            line = messages.log_line(run, event, self._name_of(by))
            posted = bool(line)
            if line:
                await self.post(Location(feed.channel), Message(line), key)
        else:
            posted = await self._publish_to_thread(feed, run, event, key)
        if posted:
            self.dependencies.delivery.set_posted(feed, recorded.seq)

    async def _publish_to_thread(
        self, feed: Feed, run: RunState, event: events.Event, key: str
    ) -> bool:
        """Post what a person must see; return whether it was anything."""
        match event:
            case events.RunOpened():
                message = messages.opening_message(run, self._name_of(event.by))
                await self._post_once(feed, Location(feed.channel), message, key, _root(feed.run))
            case events.ApprovalRequested():
                message, kept = self._question(run, event.step), _question(feed.run, event.step)
                asked = open_approval(run)
                message = self._mentioning(message, asked.may if asked else ())
                await self._post_once(feed, self._thread(feed), message, key, kept)
            case events.Approved() | events.Rejected() | events.StepFinished():
                await self._update_question(feed, run, event.step)
                return False
            case events.Held() | events.Aborted() | events.RunRefused():
                await self._update_question(feed, run, run.current_step)
                await self.post(self._thread(feed), self._stopped_message(run), key)
            case events.Finished():
                await self._publish_finished(feed, run, key)
            case events.Resumed():
                text = f"Resumed by {self._name_of(event.by)} [{feed.run}]\n{event.reason}"
                await self.post(self._thread(feed), Message(text), key)
            case _:
                return False
        return True

    async def _publish_finished(self, feed: Feed, run: RunState, key: str) -> None:
        message, thread = messages.stopped_message(run), self._thread(feed)
        report = build_report([await asyncio.to_thread(self.dependencies.store.read, feed.run)])
        summary = Message(f"{message.text}\n{message.code}", plain(report_tables(report)))
        await self.post(thread, summary, key)
        if self.transport.capabilities.files:
            svg = self.dependencies.scrub(timeline_svg(report))
            png = await asyncio.to_thread(self.dependencies.draw, svg)
            await self.transport.upload(thread, f"{feed.run}.png", png, f"{key}/picture")

    # --- messages that are edited -------------------------------------------------------------

    async def _update_progress(self, feed: Feed, state: FeedState) -> None:
        """Post the progress message once, and edit it when something is new, but not often."""
        now, key = self.dependencies.clock(), f"{feed.run}/progress"
        if not self.transport.capabilities.edits or not self._is_due(state, now):
            return
        run, moment = state.progress.state, now
        if run.at is not None and state.no_driver_since is not None:  # its time has stopped
            moment = run.at
        message = messages.progress_message(state.progress, moment)
        posted = self.dependencies.delivery.find_message(key)
        if posted is None:
            await self._post_once(feed, self._thread(feed), message, key)
        elif message.code != state.shown:
            await self.transport.edit(posted, self._fit(message))
        state.shown, state.edited_at = message.code, now
        state.shown_seq = state.progress.state.seq

    def _is_due(self, state: FeedState, now: datetime) -> bool:
        if state.edited_at is None:
            return True
        run, since = state.progress.state, now - state.edited_at
        if run.seq != state.shown_seq:
            least = timedelta(seconds=self.dependencies.config.rates.edit_seconds)
            return since >= least or run.status is not Status.RUNNING
        return run.status is Status.RUNNING and since >= REFRESH

    async def _update_question(self, feed: Feed, run: RunState, step: int) -> None:
        posted = self.dependencies.delivery.find_message(_question(feed.run, step))
        if posted is not None and self.transport.capabilities.edits:
            await self.transport.edit(posted, self._fit(self._question(run, step)))

    def _question(self, run: RunState, step: int) -> Message:
        return messages.approval_message(run, step, self._name_of)

    def _stopped_message(self, run: RunState, strays: StrayPlays | None = None) -> Message:
        """Return the message of a run that stopped: who started or resumed it has to know."""
        by = [run.opened.by] if run.opened else []
        by += [each.by for each in run.resumed[-1:]]
        names = dict.fromkeys(map(self.dependencies.permissions.person, by))
        return self._mentioning(messages.stopped_message(run, strays), names)

    def _mentioning(self, message: Message, names: Iterable[str]) -> Message:
        ids = self.dependencies.permissions.ids_on(self.transport.name, names)
        return replace(message, mentions=ids)

    # --- runs without a driver, runs that are over --------------------------------------------

    async def _publish_lost_driver(self, feed: Feed, state: FeedState) -> None:
        """Post once that no process drives the run any more, where its journal has no end."""
        run, now = state.progress.state, self.dependencies.clock()
        running = run.status is Status.RUNNING and run.opened is not None
        if not running or await asyncio.to_thread(self.dependencies.engine.driver, run) is not None:
            state.no_driver_since = None
            return
        state.no_driver_since = state.no_driver_since or now
        if now - state.no_driver_since < GRACE:
            return
        strays = await asyncio.to_thread(self.dependencies.engine.stray_plays, run)
        location, message = self._thread(feed), self._stopped_message(run, strays)
        if feed.kind == "log":
            location, message = Location(feed.channel), Message(messages.lost_line(run))
        await self._post_once(feed, location, message, f"{feed.run}/{feed.kind}/alone/{run.seq}")

    async def _publish_process_output(self, feed: Feed, state: FeedState) -> None:
        """Post why a run's process ended without an end in the journal, also where it wrote nothing."""
        launcher = self.dependencies.launcher
        if await asyncio.to_thread(launcher.is_alive, feed.run):
            state.no_process_since = None
            return
        state.no_process_since = state.no_process_since or self.dependencies.clock()
        if feed.kind != "thread":
            return
        run, output = state.progress.state, launcher.output(feed.run)
        if output is not None and (run.at is None or output.at >= run.at):
            key = f"{feed.run}/words/{output.at.isoformat()}"
            message = Message(
                f"Did not go on [{feed.run}]\nnext: holdfast status",
                messages.typeable(output.text, run),
            )
        elif output is None and run.opened is None and self._without_process(state):
            key = f"{feed.run}/words"
            text = f"Did not begin [{feed.run}]: its process ended without any output"
            message = Message(f"{text}\nnext: holdfast status, then ask for the run again")
        else:
            return
        await self._post_once(feed, self._thread(feed), message, key)

    def _close_ended(self, feed: Feed, state: FeedState) -> None:
        """Close the feed of a run that has ended. One that was just asked for may have no process yet."""
        run = state.progress.state
        old = run.at is None or self.dependencies.clock() - run.at > FOLLOWED
        stopped = (old and run.status is not Status.RUNNING) or run.opened is None
        ended = run.status in {Status.FINISHED, Status.REFUSED}
        if ended or (stopped and self._without_process(state)):
            self.dependencies.delivery.close(feed)
            self._states.pop((feed.run, feed.kind), None)

    def _without_process(self, state: FeedState) -> bool:
        since = state.no_process_since
        return since is not None and self.dependencies.clock() - since >= GRACE

    # --- where messages are -------------------------------------------------------------------

    async def _post_once(
        self, feed: Feed, location: Location, message: Message, key: str, recorded_as: str = ""
    ) -> None:
        """Post a message and record it; one of a recorded key was posted before."""
        delivery = self.dependencies.delivery
        if recorded_as or delivery.find_message(key) is None:
            posted = await self.post(location, message, key)
            delivery.save_message(recorded_as or key, feed.run, posted)

    def _thread(self, feed: Feed) -> Location:
        """The run's thread: that of its first message, where the platform has threads."""
        if not self.transport.capabilities.threads:
            return Location(feed.channel)
        root = self.dependencies.delivery.find_message(_root(feed.run))
        return Location(feed.channel, root.message_id if root else "")

    def _name_of(self, by: str) -> str:
        return self.dependencies.permissions.display_name(by)


def follow_new_runs(dependencies: BotDependencies, since: datetime, known: set[str]) -> None:
    """Follow runs that were started in a terminal, at sites with a channel, from ``since`` on.

    ``known`` are the runs that need not be read again.

    Raises:
        StateUnusable: a journal cannot be read; the others were read.
    """
    store, damage = dependencies.store, None
    for run in store.runs():
        if run in known:
            continue
        try:
            first = next(iter(store.each(run)), None)
        except StateUnusable as error:
            damage = error
            continue
        known.add(run)
        opened = first.event if first else None
        if isinstance(opened, events.RunOpened) and opened.at >= since:
            site = dependencies.config.sites.get(opened.site)
            if site and site.channel and not dependencies.delivery.is_followed(run):
                dependencies.follow(run, site.channel.transport, site.channel.channel)
    if damage is not None:
        raise damage


def _root(run: str) -> str:
    return f"{run}/thread"


def _question(run: str, step: int) -> str:
    return f"{run}/question/{step}"
