"""The loop of one run: fold the journal, decide, record, carry out; until the run ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from holdfast.ansible.interfaces import (
    TICK_SECONDS,
    Play,
    PlayResult,
    Progress,
    StartedPlay,
    run_play,
)
from holdfast.engine.approvals import approval_requested
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.hold_report import aborted_event, held_event, host_states, rerun_command
from holdfast.engine.journal_follower import JournalFollower
from holdfast.engine.kept_error import KeptError
from holdfast.engine.lease_keeper import TTL, LeaseKeeper, own_scope
from holdfast.engine.next_play import NextPlay
from holdfast.engine.play_builder import inspection_play, roll_play, roll_word, unmark_play
from holdfast.engine.unmarking import remove_marks
from holdfast.errors import InvalidInput, LeaseHeld, LeaseLost, StateLost, StateUnusable
from holdfast.journal import events as ev
from holdfast.journal.events import Event
from holdfast.journal.fold import advance, fold
from holdfast.journal.run_state import Failure, RunState, Status
from holdfast.model import Grant, Holder
from holdfast.plan.decide import (
    Abort,
    AwaitApproval,
    AwaitPlays,
    BeginStep,
    Decision,
    EndStep,
    Finish,
    Hold,
    Inspect,
    Refuse,
    RequestApproval,
    Roll,
    TakeLease,
    decide,
)
from holdfast.plan.model import Plan, PlannedRoll

_POLL_SECONDS = 1.0
"""How often the journal is read while a run waits for approvals."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: its exit code, and its state as folded from the journal."""

    run: str
    code: int
    state: RunState


class _Beat:
    """Calls a function that runs beside the driver, until it raises; the driver raises its error again."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat, self._kept = beat, KeptError()

    @property
    def error(self) -> Exception | None:
        return self._kept.error

    def __call__(self) -> None:
        if self.error is None:
            with self._kept:
                self._beat()


class Driver:
    """Drives one run from the state that its journal gives to its next end.

    ``grant`` are leases that the caller took already, at least the run's own; ``known_seq`` is the
    journal's last event that the listener knows.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        plan: Plan,
        holder: Holder,
        *,
        grant: Grant,
        known_seq: int = 0,
    ) -> None:
        self._dependencies, self._stop = dependencies, dependencies.stop
        self._store, self._clock = dependencies.store, dependencies.clock
        self._plan, self._holder, self._grant = plan, holder, grant
        self._run, self._known_seq = holder.run, known_seq
        self._state = fold(self._store.each(self._run))
        self._keeper = LeaseKeeper(dependencies, grant)
        self._beats: list[_Beat] = []
        self._last_progress: Progress | None = None
        self._plays: dict[tuple[str, ...], StartedPlay] = {}
        self._next = NextPlay(dependencies.runner, plan, self._pass_on)

    def drive(self, notice: str = "") -> RunResult:
        """Drive the run until it ends, release its leases, and return the result.

        A ``notice`` is the first thing that the listener is given.

        The leases are released before the listener is waited for, which may be a terminal that takes
        no output.

        Raises:
            StateLost: the journal can no longer be read or written.
        """
        dependencies = self._dependencies
        try:
            with dependencies.delivery(dependencies.listener, dependencies.listener_failed) as put:
                self._listener = put
                if notice:
                    put(Progress("", "notice", notice))
                self._follower = JournalFollower(dependencies, self._holder, put, self._known_seq)
                self._beats = [_Beat(self._keeper.beat), _Beat(self._follower.beat)]
                with ExitStack() as stack:
                    for beat in self._beats:
                        stack.enter_context(dependencies.background(beat))
                    stack.callback(self._finish_plays)
                    stack.callback(self._end_plays)
                    code = self._drive_to_the_end()
                self._follower.beat()
                return RunResult(self._run, code, self._state)
        except StateUnusable as error:
            lost = StateLost.of(self._run, error, acting=bool(self._state.under_way))
            lost.message = "\n".join([lost.message, *self._last_known()])
            raise lost from error

    def _last_known(self) -> list[str]:
        """Return what is known of the hosts without the journal: what was read of it, and what the play said last."""
        sentences = host_states(advance(self._state, self._follower.unread))
        if self._last_progress is not None:
            progress = self._last_progress
            text = progress.text or f"task {progress.task!r}"
            sentences.append(f"the last output of the play: {progress.host}: {text}")
        return sentences

    def _drive_to_the_end(self) -> int:
        code = None
        try:
            while code is None:
                code = self._step()
            self._remove_marks()
        except StateUnusable:
            self._let_plays_end()
            raise
        except LeaseLost as lost:
            self._let_plays_end()
            code = self._stop_without_lease(lost)
        self._release()
        return code

    def _remove_marks(self) -> None:
        """Remove the marks that the run's batches left on hosts (docs/adr/0023), while the leases are held.

        Best effort: how the run ended is in the journal by now, and a mark that is left expires.
        """
        if self._state.touched:
            play = unmark_play(self._plan, self._state, sorted(self._next.hosts))
            if text := remove_marks(self._dependencies, play, self._failed):
                self._listener(Progress("", "marks", text))

    def _release(self) -> None:
        """Release the leases, or report when they expire: how the run ended is in the journal by now."""
        try:
            self._store.release(self._grant)
        except StateUnusable as error:
            text = (
                f"the leases of this run were not released ({error.message}): "
                f"they expire within {TTL.total_seconds():.0f} s"
            )
            self._listener(Progress("", "lease", text))

    def _step(self) -> int | None:
        """Make one decision and carry it out; return the exit code once the run has ended."""
        self._follower.beat()
        self._raise_errors()
        self._read_journal()
        self._refuse_if_replaced()
        if self._state.status is Status.ABORTED and not self._plays:
            return 5
        # Known here even where the database failed when it was to be journaled.
        stop_by = self._holder.by if self._stop.at_boundary else ""
        now = self._clock()
        decision = decide(self._plan, self._state, now, stop_by)
        self._next.keep_for(decision)
        return self._carry_out(decision, now)

    def _raise_errors(self) -> None:
        """Raise what ended the renewal of the leases, or the reading of the journal beside a play."""
        for beat in self._beats:
            if beat.error is not None:
                raise beat.error

    def _failed(self) -> bool:
        return any(beat.error is not None for beat in self._beats)

    def _has_bug(self) -> bool:
        """Whether renewal ended for another reason than the loss of the lease.

        The lease is still valid then, so that no intent would be refused: the play is ended instead.
        """
        return any(b.error is not None and not isinstance(b.error, LeaseLost) for b in self._beats)

    def _carry_out(self, decision: Decision, now: datetime) -> int | None:  # noqa: C901, PLR0912  # one arm for each decision
        match decision:
            case Inspect():
                self._inspect(decision)
            case TakeLease():
                return self._take_lease()
            case BeginStep():
                self._record(ev.StepStarted(at=now, step=decision.step, title=decision.title))
            case EndStep():
                self._record(ev.StepFinished(at=now, step=decision.step))
            case Roll():
                self._roll(decision, now)
            case RequestApproval():
                approvers = self._dependencies.approvers
                self._record(approval_requested(decision, self._plan, self._state, approvers, now))
            case AwaitPlays():
                self._await_plays()
            case AwaitApproval():
                self._dependencies.wait(_POLL_SECONDS)
            case Hold():
                return self._hold(decision.failure)
            case Refuse():
                return self._refuse(decision.failure)
            case Abort():
                self._record(aborted_event(self._state, decision.by, now))
            case Finish():
                self._record(ev.Finished(at=now))
                return 0
            case _:
                assert_never(decision)
        return None

    def _inspect(self, inspection: Inspect) -> None:
        step, what = inspection.step, inspection.what
        hosts, claims = list(inspection.hosts), list(inspection.claims)
        self._record(
            ev.InspectionStarted(at=self._clock(), step=step, what=what, hosts=hosts, claims=claims)
        )
        # An inspection touches nothing, so a request to stop ends it at once. Only the observation of
        # hosts is completed: what a hard stop left on them has to be known.
        play = inspection_play(self._plan, self._state, inspection)
        result = self._run_play(
            play, lambda: self._failed() or (what != "observe" and self._stop.at_boundary)
        )
        status, messages = result.status, dict(result.messages)
        self._record(
            ev.InspectionEnded(
                at=self._clock(), step=step, what=what, status=status, messages=messages
            )
        )

    def _roll(self, roll: Roll, now: datetime) -> None:
        """Carry out a roll that was decided at ``now``; the journal has that time, which says whom its sweep asks."""
        step = self._plan.step(roll.step)
        assert isinstance(step, PlannedRoll)  # noqa: S101  # decide() names rolls of this very plan
        self._record(
            ev.BatchStarted(
                at=now,
                step=roll.step,
                hosts=list(roll.hosts),
                phases=list(roll.phases),
                why=roll.why,
                survey=list(roll.survey),
            )
        )
        # A play beside it may have swept since the decision: others are due then, and the journal's are expected.
        roll = replace(roll, sweep=self._state.under_way[-1].sweep)
        self._follower.begun.difference_update(roll.hosts)
        self._follower.restarted.difference_update(roll.hosts)
        try:
            self._plays[roll.hosts] = self._start_play(step, roll)
        except InvalidInput as error:
            failed = PlayResult("failed", dict.fromkeys(roll.hosts, "absent"), {"": str(error)})
            self._end_batch(step, failed)

    def _start_play(self, step: PlannedRoll, roll: Roll) -> StartedPlay:
        """Give the play that waits for these hosts its word; without one, start a play."""
        parked = self._next.take(roll)
        if parked is not None and parked.go(roll_word(self._state, step, roll)):
            return parked
        self._finish_plays()
        play = roll_play(self._plan, self._state, step, roll)
        return self._dependencies.runner.start(play, self._pass_on)

    def _end_batch(self, step: PlannedRoll, result: PlayResult) -> None:
        self._record(
            ev.BatchEnded(
                at=self._clock(),
                step=step.number,
                status=result.status,
                hosts=dict(result.hosts),
                messages=dict(result.messages),
            )
        )

    def _await_plays(self) -> None:
        """Wait until a batch under way has ended, or another may begin beside those under way.

        Without a window the next play is started when all hosts have been restarted: before, it would only take
        processor time from the acts. In a window there is always an act, and a place may be free already: it starts at
        once.
        """
        step, under_way = self._rolling(), self._state.hosts_under_way()
        ready = under_way if step.window else self._follower.restarted
        before_act = set(under_way) - self._follower.begun if step.window else set()
        while True:
            self._interrupt_plays()
            if started := self._next.is_due(under_way, ready):
                self._read_journal()  # of what was restarted, which the next sweep asks too
                self._next.start_beside(step, under_way, self._state)
            acting = before_act and before_act <= self._follower.begun
            if acting or (started and not step.window):
                self._finish_plays()
                return
            if ended := self._ended_plays():
                for result in ended:
                    self._end_batch(step, result)
                return
            self._dependencies.runner.wait(TICK_SECONDS)

    def _rolling(self) -> PlannedRoll:
        """Return the step of the batches under way."""
        step = self._plan.step(self._state.under_way[0].step)
        assert isinstance(step, PlannedRoll)  # noqa: S101  # only rolls have batches
        return step

    def _ended_plays(self) -> list[PlayResult]:
        """Return the results of the batches' plays that have ended or are over."""
        ended = []
        for hosts, play in list(self._plays.items()):
            if (result := play.result()) is not None:
                del self._plays[hosts]
                ended.append(result)
        return ended

    def _interrupt_plays(self) -> None:
        """End the plays under way on a hard stop.

        Without its lease a play is refused its next intent; the act in progress is not torn apart.
        """
        if self._stop.hard or self._has_bug():
            for play in self._plays.values():
                play.interrupt()

    def _let_plays_end(self) -> None:
        """Wait for the plays under way, whose results cannot be journaled any more."""
        self._next.end()
        while self._plays:
            self._interrupt_plays()
            if not self._ended_plays():
                self._dependencies.runner.wait(TICK_SECONDS)

    def _end_plays(self) -> None:
        """End every play that is left: whatever failed, and whichever cannot be ended, none may run on unobserved."""
        with ExitStack() as left:
            for play in self._plays.values():
                left.callback(play.end)
            left.callback(self._next.end)

    def _finish_plays(self) -> None:
        """Wait for the processes of plays that were over, and report what failed in them since then."""
        for text in self._dependencies.runner.finish():
            self._listener(Progress("", "play", text))

    def _run_play(self, play: Play, interrupted: Callable[[], bool]) -> PlayResult:
        self._finish_plays()
        try:
            return run_play(self._dependencies.runner, play, self._pass_on, interrupted)
        except InvalidInput as error:
            return PlayResult("failed", dict.fromkeys(play.limit, "absent"), {"": str(error)})

    def _pass_on(self, progress: Progress) -> None:
        self._last_progress = progress
        self._listener(progress)

    def _take_lease(self) -> int | None:
        scopes = {**self._plan.leases, **own_scope(self._run)}
        try:
            grant = self._store.take(self._holder, scopes, TTL)
        except LeaseHeld as held:
            return self._refuse(Failure(0, "", "lease", held.message))
        self._grant = grant
        self._keeper.keep(grant)
        self._record(ev.LeaseTaken(at=self._clock(), tokens=dict(grant.tokens)))
        return None

    def _hold(self, failure: Failure) -> int:
        held = held_event(self._state, failure, self._clock())
        self._record(held)
        return held.code

    def _refuse(self, failure: Failure) -> int:
        self._record(
            ev.RunRefused(
                at=self._clock(),
                step=failure.step,
                claim=failure.claim,
                evidence=failure.evidence,
                next_commands=[rerun_command(self._state), f"holdfast log {self._run}"],
            )
        )
        return 3

    def _stop_without_lease(self, lost: LeaseLost) -> int:
        """Return the exit code of a run that lost its lease; record the hold.

        Where another process has resumed the run, nothing is recorded: that process drives it now.
        """
        while True:
            self._read_journal()
            failure = Failure(self._state.current_step, "", "lease", lost.message)
            held = held_event(self._state, failure, self._clock())
            # Only as the next entry: between the reading and this, another process may have resumed it.
            if not self._is_mine() or self._store.append_next(self._run, held, self._state.seq):
                self._read_journal()
                return held.code

    def _is_mine(self) -> bool:
        """Whether the last leases in the journal are this driver's, and the run has not ended."""
        grant = self._state.grant
        mine = grant is None or dict(grant.tokens) == dict(self._grant.tokens)
        return mine and self._state.status is Status.RUNNING

    def _refuse_if_replaced(self) -> None:
        """Raise ``LeaseLost`` where another process resumed the run, under a grant of its own."""
        grant = self._state.grant
        if grant is not None and grant.tokens != self._grant.tokens:
            raise LeaseLost(f"run {self._run} was resumed by another process")

    def _record(self, event: Event) -> None:
        """Append to the journal, only while the lease is valid."""
        self._store.append_guarded(self._grant, event)
        self._read_journal()

    def _read_journal(self) -> None:
        advance(self._state, self._store.read(self._run, self._state.seq))
        self._follower.forget(self._state.seq)


def run_opened(plan: Plan, holder: Holder, now: datetime) -> ev.RunOpened:
    """Return the first event of a run."""
    return ev.RunOpened(
        at=now,
        runbook=plan.runbook,
        runbook_hash=plan.runbook_hash,
        site=plan.site,
        by=holder.by,
        reason=holder.reason,
        inputs=plan.inputs,
        plan=plan.as_json(),
        controller=platform.node(),
        process=os.getpid(),
    )
