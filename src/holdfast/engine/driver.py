"""The loop of one run: fold the journal, decide, record, carry out; until the run ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from holdfast.ansible.interfaces import Play, PlayResult
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.hold_report import aborted_event, held_event, rerun_command
from holdfast.engine.lease_keeper import TTL, LeaseKeeper
from holdfast.engine.play_builder import inspection_play, roll_play
from holdfast.errors import InvalidInput, LeaseHeld, LeaseLost, StateLost, StateUnusable
from holdfast.journal import events as ev
from holdfast.journal.events import Event
from holdfast.journal.fold import advance, fold
from holdfast.journal.run_state import Failure, RunState, Status
from holdfast.model import Grant, Holder
from holdfast.plan.decide import (
    Abort,
    AwaitApproval,
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


class Driver:
    """Drives one run from the state that its journal gives to its next end.

    ``grant`` are leases that the caller took already; ``known_seq`` is the journal's last event that
    the listener knows.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        plan: Plan,
        holder: Holder,
        *,
        grant: Grant | None = None,
        known_seq: int = 0,
    ) -> None:
        self._dependencies, self._stop = dependencies, dependencies.stop
        self._store, self._clock = dependencies.store, dependencies.clock
        self._plan, self._holder, self._grant = plan, holder, grant
        self._run = holder.run
        self._state = fold(self._store.each(self._run))
        self._keeper = LeaseKeeper(dependencies, holder, after=known_seq)

    def drive(self) -> RunResult:
        """Drive the run until it ends, release its leases, and return the result.

        Raises:
            StateLost: the journal can no longer be read or written.
        """
        if self._grant is not None:
            self._keeper.keep(self._grant)
        try:
            with self._dependencies.background(self._keeper.beat):
                code = self._drive_to_the_end()
                self._keeper.beat()
                return RunResult(self._run, code, self._state)
        except StateUnusable as error:
            raise StateLost.of(self._run, error, acting=self._state.batch is not None) from error

    def _drive_to_the_end(self) -> int:
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
        """Make one decision and carry it out; return the exit code once the run has ended."""
        self._keeper.beat()
        self._read_journal()
        self._refuse_if_replaced()
        if self._state.status is Status.ABORTED:
            return 5
        return self._carry_out(decide(self._plan, self._state, self._clock()))

    def _carry_out(self, decision: Decision) -> int | None:  # noqa: C901  # one arm for each decision
        now = self._clock()
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
                self._roll(decision)
            case RequestApproval():
                self._record(
                    ev.ApprovalRequested(
                        at=now,
                        step=decision.step,
                        question=decision.question,
                        plan_hash=self._plan.hash,
                    )
                )
            case AwaitApproval():
                self._dependencies.wait(_POLL_SECONDS)
            case Hold():
                return self._hold(decision.failure)
            case Refuse():
                return self._refuse(decision.failure)
            case Abort():
                self._abort(decision.by)
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
        result = self._run_play(play, lambda: what != "observe" and self._stop.at_boundary)
        status, messages = result.status, dict(result.messages)
        self._record(
            ev.InspectionEnded(
                at=self._clock(), step=step, what=what, status=status, messages=messages
            )
        )

    def _roll(self, roll: Roll) -> None:
        step = self._plan.step(roll.step)
        assert isinstance(step, PlannedRoll)  # noqa: S101  # decide() names rolls of this very plan
        self._record(
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
        result = self._run_play(play, lambda: self._stop.hard)
        self._record(
            ev.BatchEnded(
                at=self._clock(),
                step=roll.step,
                status=result.status,
                hosts=dict(result.hosts),
                messages=dict(result.messages),
            )
        )

    def _run_play(self, play: Play, interrupted: Callable[[], bool]) -> PlayResult:
        try:
            return self._dependencies.runner.run(play, self._keeper.report_progress, interrupted)
        except InvalidInput as error:
            return PlayResult("failed", dict.fromkeys(play.limit, "absent"), {"": str(error)})

    def _take_lease(self) -> int | None:
        try:
            grant = self._store.take(self._holder, self._plan.leases, TTL)
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

    def _abort(self, by: str) -> None:
        """Record the abort once; without a lease, the process that requested it may record it too."""
        aborted = aborted_event(self._state, by, self._clock())
        if self._grant is None:
            self._store.append_next(self._run, aborted, self._state.seq)
        else:
            self._record(aborted)

    def _stop_without_lease(self, lost: LeaseLost) -> int:
        """Return the exit code of a run that lost its lease; record the hold.

        Where another process has resumed the run, nothing is recorded: that process drives it now.
        """
        self._read_journal()
        failure = Failure(self._state.current_step, "", "lease", lost.message)
        held = held_event(self._state, failure, self._clock())
        tokens = dict(self._grant.tokens) if self._grant else {}
        if self._state.grant is None or dict(self._state.grant.tokens) == tokens:
            self._store.append(self._run, held)
            self._read_journal()
        return held.code

    def _refuse_if_replaced(self) -> None:
        """Raise ``LeaseLost`` where another process resumed the run, under a grant of its own."""
        grant = self._state.grant
        if grant is not None and (self._grant is None or grant.tokens != self._grant.tokens):
            raise LeaseLost(f"run {self._run} was resumed by another process")

    def _record(self, event: Event) -> None:
        """Append to the journal; with a lease, only while it is valid."""
        if self._grant is None:
            self._store.append(self._run, event)
        else:
            self._store.append_guarded(self._grant, event)
        self._read_journal()

    def _read_journal(self) -> None:
        advance(self._state, self._store.read(self._run, self._state.seq))


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
