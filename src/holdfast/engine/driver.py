"""The loop of one run: fold, decide, journal, do; until an end."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from holdfast.ansible.interfaces import Play, PlayResult
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.hold_report import held_event, host_states, next_commands, rerun_command
from holdfast.engine.lease_keeper import TTL, LeaseKeeper
from holdfast.engine.play_builder import inspection_play, roll_play
from holdfast.errors import InvalidInput, LeaseHeld, LeaseLost, StateLost, StateUnusable
from holdfast.journal import Failure, RunState, Status, advance, fold
from holdfast.journal import events as ev
from holdfast.journal.events import Event
from holdfast.model import Grant, Holder
from holdfast.plan import (
    Abort,
    AskApproval,
    AwaitApproval,
    BeginStep,
    Decision,
    EndStep,
    Finish,
    Hold,
    Inspect,
    Plan,
    PlannedRoll,
    Refuse,
    Roll,
    TakeLease,
    decide,
)

_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: ``code`` is the exit code, ``state`` the fold of its journal."""

    run: str
    code: int
    state: RunState


class Driver:
    """Drives one run from where its journal stands to its next end."""

    def __init__(
        self,
        dependencies: Dependencies,
        plan: Plan,
        holder: Holder,
        *,
        grant: Grant | None = None,
        heard: int = 0,
    ) -> None:
        self._dependencies, self._stop = dependencies, dependencies.stop
        self._store, self._clock = dependencies.store, dependencies.clock
        self._plan, self._holder, self._grant = plan, holder, grant
        self._run = holder.run
        self._state = fold(self._store.each(self._run))
        self._keeper = LeaseKeeper(
            self._store,
            self._run,
            holder.by,
            after=heard,
            clock=self._clock,
            listener=dependencies.listener,
            stop=dependencies.stop,
        )

    def drive(self) -> RunResult:
        """Go on until the run has ended; its leases are given back then.

        Raises:
            StateLost: the journal cannot be read or written any more.
        """
        if self._grant is not None:
            self._keeper.hold_on_to(self._grant)
        try:
            with self._dependencies.background(self._keeper.beat):
                code = self._to_its_end()
                self._keeper.beat()
                return RunResult(self._run, code, self._state)
        except StateUnusable as error:
            raise StateLost.of(self._run, error, acting=self._state.batch is not None) from error

    def _to_its_end(self) -> int:
        code = None
        try:
            while code is None:
                code = self._step()
        except LeaseLost as lost:
            code = self._stop_without_lease(lost)
        if self._grant is not None:
            self._store.release(self._grant)
        return code

    def _step(self) -> int | None:
        """One round; the exit code once the run has ended."""
        self._keeper.beat()
        self._read()
        self._refuse_to_share()
        if self._state.status is Status.ABORTED:
            return 5
        return self._do(decide(self._plan, self._state, self._clock()))

    def _do(self, decision: Decision) -> int | None:  # noqa: C901  # one arm for each decision
        now = self._clock()
        match decision:
            case Inspect():
                self._look(decision)
            case TakeLease():
                return self._take_lease()
            case BeginStep():
                self._say(ev.StepStarted(at=now, step=decision.step, title=decision.title))
            case EndStep():
                self._say(ev.StepFinished(at=now, step=decision.step))
            case Roll():
                self._roll(decision)
            case AskApproval():
                self._ask(decision)
            case AwaitApproval():
                self._dependencies.wait(_LOOK_AGAIN_SECONDS)
            case Hold():
                return self._hold(decision.failure)
            case Refuse():
                return self._refuse(decision.failure)
            case Abort():
                self._abort(decision.by)
            case Finish():
                self._say(ev.Finished(at=now))
                return 0
            case _:
                assert_never(decision)
        return None

    def _look(self, look: Inspect) -> None:
        self._say(
            ev.InspectionStarted(
                at=self._clock(),
                step=look.step,
                what=look.what,
                hosts=list(look.hosts),
                claims=list(look.claims),
            )
        )
        # Whoever wants to stop need not wait for a look, which touches nothing; but what a hard
        # stop left on a host has to be observed, however impatient somebody is.
        stop = self._stop
        interrupted = (lambda: False) if look.what == "observe" else (lambda: stop.at_boundary)
        result = self._play(inspection_play(self._plan, self._state, look), interrupted)
        self._say(
            ev.InspectionEnded(
                at=self._clock(),
                step=look.step,
                what=look.what,
                status=result.status,
                messages=dict(result.messages),
            )
        )

    def _roll(self, roll: Roll) -> None:
        step = self._plan.step(roll.step)
        assert isinstance(step, PlannedRoll)  # noqa: S101  # decide() names rolls of this very plan
        self._say(
            ev.BatchStarted(
                at=self._clock(),
                step=roll.step,
                hosts=list(roll.hosts),
                phases=list(roll.phases),
                why=roll.why,
                sweep=list(roll.sweep),
            )
        )
        play = roll_play(self._plan, self._state, step, roll)
        result = self._play(play, lambda: self._stop.hard)
        self._say(
            ev.BatchEnded(
                at=self._clock(),
                step=roll.step,
                status=result.status,
                hosts=dict(result.hosts),
                messages=dict(result.messages),
            )
        )

    def _play(self, play: Play, interrupted: Callable[[], bool]) -> PlayResult:
        try:
            return self._dependencies.runner.run(play, self._keeper.tell, interrupted)
        except InvalidInput as error:
            return PlayResult("failed", dict.fromkeys(play.limit, "absent"), {"": str(error)})

    def _take_lease(self) -> int | None:
        try:
            grant = self._store.take(self._holder, self._plan.leases, TTL, self._clock())
        except LeaseHeld as held:
            return self._refuse(Failure(0, "", "lease", held.message))
        self._grant = grant
        self._keeper.hold_on_to(grant)
        self._say(ev.LeaseTaken(at=self._clock(), tokens=dict(grant.tokens)))
        return None

    def _ask(self, decision: AskApproval) -> None:
        self._say(
            ev.ApprovalRequested(
                at=self._clock(),
                step=decision.step,
                question=decision.question,
                plan_hash=self._plan.hash,
            )
        )

    def _hold(self, failure: Failure) -> int:
        held = held_event(self._state, failure, self._clock())
        self._say(held)
        return held.code

    def _refuse(self, failure: Failure) -> int:
        self._say(
            ev.RunRefused(
                at=self._clock(),
                step=failure.step,
                claim=failure.claim,
                evidence=failure.evidence,
                next_commands=[rerun_command(self._state), f"holdfast log {self._run}"],
            )
        )
        return 3

    def _abort(self, by: str) -> None:
        """Say it, once: a run without a lease may be closed by whoever asked, at this very moment."""
        aborted = ev.Aborted(
            at=self._clock(),
            by=by,
            left=host_states(self._state),
            next_commands=next_commands(self._state),
        )
        if self._grant is None:
            self._store.append_next(self._run, aborted, self._state.seq)
        else:
            self._say(aborted)

    def _stop_without_lease(self, lost: LeaseLost) -> int:
        """Without the lease nothing may be touched; whoever resumed the run now speaks for it."""
        self._read()
        ours = self._grant.tokens if self._grant else {}
        if self._state.grant is None or dict(self._state.grant.tokens) == dict(ours):
            failure = Failure(self._state.current_step, "", "lease", lost.message)
            held = held_event(self._state, failure, self._clock())
            self._store.append(self._run, held)
            self._read()
        return (
            6 if any(turn.outcome_unknown for _, turn in self._state.in_hand()) else lost.exit_code
        )

    def _refuse_to_share(self) -> None:
        """Somebody resumed the run under a lease of theirs: it is no longer ours to drive."""
        theirs = self._state.grant
        if theirs is not None and (self._grant is None or theirs.tokens != self._grant.tokens):
            raise LeaseLost(f"run {self._run} was resumed by another process")

    def _say(self, event: Event) -> None:
        """Write to the journal; with a lease, only while it is ours."""
        store, now = self._store, self._clock()
        if self._grant is None:
            store.append(self._run, event)
        else:
            store.append_guarded(self._grant, event, now)
        self._read()

    def _read(self) -> None:
        advance(self._state, self._store.read(self._run, self._state.seq))


def run_opened(plan: Plan, holder: Holder, now: datetime) -> ev.RunOpened:
    """The first event of a run."""
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
