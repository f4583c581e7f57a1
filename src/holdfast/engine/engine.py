"""``Engine``: starts, resumes, aborts and approves runs; checks first, then drives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from holdfast.engine.approvals import approved, rejected, require_approvers
from holdfast.engine.dependencies import Dependencies, ignore
from holdfast.engine.driver import Driver, RunResult, run_opened
from holdfast.engine.hold_report import aborted_event, rerun_command
from holdfast.engine.lease_keeper import TTL, own_scope
from holdfast.engine.planner import Planner
from holdfast.engine.play_builder import unmark_play
from holdfast.engine.run_lookup import StrayPlays, driver_of, read_run, stray_plays
from holdfast.engine.unmarking import remove_marks
from holdfast.errors import ClocksDiffer, InvalidInput, LeaseHeld, Refused
from holdfast.journal import events as ev
from holdfast.journal.run_state import RunState, Status
from holdfast.people import Approvers
from holdfast.plan.model import Plan, plan_of, readable_plan
from holdfast.store.leases import LeaseRow

_OPEN = {Status.RUNNING, Status.HELD}


class Engine:
    """Runs runbooks. ``stop`` may be used in a signal handler: first the boundary, then hard."""

    def __init__(self, dependencies: Dependencies) -> None:
        self.stop = dependencies.stop
        self._dependencies = dependencies
        self._store, self._clock = dependencies.store, dependencies.clock

    @property
    def planner(self) -> Planner:
        """The planner, with the inventories and playbooks of this engine."""
        return self._dependencies.planner

    def new_run(self, runbook: str) -> str:
        """Return a run id that is not used yet."""
        return self._store.new_run(runbook, self._clock())

    def start(
        self, plan: Plan, by: str, reason: str, run: str = "", approvers: Approvers | None = None
    ) -> RunResult:
        """Run the plan and return when the run has ended, in whichever way.

        ``run`` is an id from ``new_run``, for a caller that has to know it beforehand; ``approvers``
        replace those of the dependencies.

        Raises:
            InvalidInput: there is no reason, or there is such a run already.
            Refused: an approval of the plan can be given by nobody.
            LeaseHeld: another run holds a scope; nothing was touched, nothing journaled.
            ClocksDiffer: the controller's clock differs from the database's; the same.
            StateUnusable: the state goes with its container; the same.
            StateLost: the journal can no longer be read or written.
        """
        if not reason.strip():
            raise InvalidInput("a run needs a reason", remedy="--reason 'why this is done now'")
        dependencies = self._with(approvers)
        require_approvers(plan, by, dependencies.approvers)
        self._store.require_lasting()
        if warning := self._store.clock_warning(self._clock):
            raise ClocksDiffer.of(warning)
        now = self._clock()
        holder = self._dependencies.holder(run or self.new_run(plan.runbook), by, reason)
        self._store.would_take(holder, plan.leases)
        # The run's own lease comes before its first event, so that it is known at once to be driven.
        grant = self._store.take(holder, own_scope(holder.run), TTL)
        if self._store.read(holder.run):
            self._store.release(grant)
            raise InvalidInput(
                f"run {holder.run} was started already", remedy=f"holdfast status {holder.run}"
            )
        self._store.append_guarded(grant, run_opened(plan, holder, now))
        return Driver(dependencies, plan, holder, grant=grant).drive()

    def resume(
        self,
        run: str,
        by: str,
        reason: str,
        known_seq: int | None = None,
        approvers: Approvers | None = None,
    ) -> RunResult:
        """Continue a held, aborted or dead run from its journal; repeat nothing that is done.

        The listener gets the events after ``known_seq``, by default those from the resume on.

        Raises:
            InvalidInput: there is no such run, it has ended for good, or its hosts are gone.
            StateUnusable: its journal or plan is damaged, or was written by a newer Holdfast.
            LeaseHeld: its driver still lives, or another run holds a scope.
            StateLost: the journal can no longer be read or written.
        """
        if not reason.strip():
            raise InvalidInput("a resume needs a reason", remedy="--reason 'what was repaired'")
        state = self.state(run)
        self._refuse_driven(state)
        plan = self._resumable(state)
        holder = self._dependencies.holder(run, by, reason)
        ended = self._dependencies.runner.end_strays(run)
        # No refusal: a host may be in hand, and leases go by the database's clock alone.
        notice = self._store.clock_warning(self._clock)
        now = self._clock()
        grant = self._store.take(holder, {**plan.leases, **own_scope(run)}, TTL)
        resumed = ev.Resumed(
            at=now,
            by=by,
            reason=reason,
            controller=holder.controller,
            process=holder.process,
            ended=ended,
        )
        self._store.append_guarded(grant, resumed)
        self._store.append_guarded(grant, ev.LeaseTaken(at=now, tokens=dict(grant.tokens)))
        known = state.seq if known_seq is None else known_seq
        driver = Driver(self._with(approvers), plan, holder, grant=grant, known_seq=known)
        return driver.drive(notice)

    def request_abort(
        self,
        run: str,
        by: str,
        *,
        hard: bool = False,
        tell: Callable[[str], object] = ignore,
    ) -> RunState:
        """Request that a run stops; a run without a driver is recorded as aborted at once.

        The returned state has the status ``ABORTED`` in that case; plays that outlived the driver on
        this controller were ended first. ``tell`` is given what became of the marks that a dead driver left.

        Raises:
            InvalidInput: there is no such run, or it has ended already.
            Refused: it is a play that was started by hand and still runs.
        """
        state = self.state(run)
        self._refuse_by_hand(state)
        if state.status not in _OPEN:
            raise InvalidInput(
                f"run {run} has ended already: {state.status}", remedy=f"holdfast status {run}"
            )
        self._store.append(run, ev.AbortRequested(at=self._clock(), by=by, hard=hard))
        state = self.state(run)
        ended: list[int] = []
        died = state.status is Status.RUNNING
        while state.status in _OPEN and self.driver(state) is None:
            ended += self._dependencies.runner.end_strays(run)
            state = self.state(run)
            aborted = aborted_event(state, by, self._clock(), ended)
            # Only as the next event: whoever wrote one meanwhile may be a driver, and reads the request.
            recorded = self._store.append_next(run, aborted, state.seq)
            state = self.state(run)
            if recorded and died and (told := self._remove_marks(state, by)):
                tell(told)
        return state

    def _remove_marks(self, state: RunState, by: str) -> str:
        """Remove the marks of an aborted run whose driver died, and say so; "" where it has none.

        Under the run's own lease, so that nobody resumes it meanwhile and writes them again.
        """
        plan = readable_plan(state)
        if plan is None or not state.touched:
            return ""
        holder = self._dependencies.holder(state.run, by, "abort: remove the marks")
        try:
            grant = self._store.take(holder, own_scope(state.run), TTL)
        except LeaseHeld:
            return ""  # it was resumed, and the marks are those of that process
        try:
            if self.state(state.run).seq != state.seq:
                return ""
            play = unmark_play(plan, state, without_leases=True)
            left = remove_marks(self._dependencies, play, lambda: False)
        finally:
            self._store.release(grant)
        return left or "its marks were removed from the hosts"

    def approve(self, run: str, by: str, question: str = "") -> RunState:
        """Approve the step that the run waits at, for exactly the plan of its request.

        ``question`` is ``step:hash`` of a button.

        Raises:
            InvalidInput: there is no such run, or it waits for no approval, or for another one.
            Refused: ``by`` may not approve it, it is too late, or no process drives the run any more.
        """
        state = self.state(run)
        event = approved(state, by, question, self._clock())
        return self._answer(state, event)

    def reject(self, run: str, by: str, reason: str, question: str = "") -> RunState:
        """Say no to what the run asks: it ends, refused where nothing was touched, else held.

        Raises:
            InvalidInput, Refused: as ``approve``; also without a reason.
        """
        state = self.state(run)
        event = rejected(state, by, reason, question, self._clock())
        return self._answer(state, event)

    def _answer(self, state: RunState, event: ev.Approved | ev.Rejected) -> RunState:
        if self.driver(state) is None:
            raise Refused(
                f"Run {state.run} waits for no approval: it has no driver any more",
                remedy=f"holdfast resume {state.run} --reason '…'",
            )
        self._store.append(state.run, event)
        return self.state(state.run)

    def state(self, run: str) -> RunState:
        """Return the state of a run, as ``run_lookup.read_run`` does."""
        return read_run(self._store, run)

    def driver(self, state: RunState) -> LeaseRow | None:
        """Return the lease of the run's driver; None for a run that stopped or whose driver died."""
        return driver_of(self._store, state, self._dependencies.driver_gone)

    def stray_plays(self, state: RunState) -> StrayPlays | None:
        """Return what is seen of the plays of a run without a driver; None where it has one or has ended."""
        if state.status is not Status.RUNNING or self.driver(state) is not None:
            return None
        return stray_plays(state, self._dependencies.processes_of, self._dependencies.controller)

    def _with(self, approvers: Approvers | None) -> Dependencies:
        if approvers is None:
            return self._dependencies
        return replace(self._dependencies, approvers=approvers)

    def _resumable(self, state: RunState) -> Plan:
        """Return the run's own plan; raise ``InvalidInput`` where it cannot be resumed."""
        if state.status in {Status.FINISHED, Status.REFUSED}:
            raise InvalidInput(
                f"run {state.run} is {state.status}: there is nothing to resume",
                remedy=rerun_command(state),
            )
        plan = plan_of(state)
        if plan is None:
            raise InvalidInput(
                f"run {state.run} was started by hand and keeps no plan",
                remedy="repair what stopped it and start its playbook again",
            )
        if state.grant is None:
            raise InvalidInput(
                f"run {state.run} never held its lease and touched nothing",
                remedy=f"start anew: {rerun_command(state)}",
            )
        site = self._dependencies.planner.inventories.read(Path(plan.inventory), "")
        known = {host for hosts in site.groups.values() for host in hosts}
        if gone := [host for roll in plan.rolls() for host in roll.hosts if host not in known]:
            raise InvalidInput(
                f"{plan.inventory} no longer has hosts of run {state.run}: {', '.join(gone)}",
                remedy="put them back into the inventory, or abort this run and start a new one",
            )
        return plan

    def _refuse_driven(self, state: RunState) -> None:
        """Refuse where a process drives the run, as far as can be known: it keeps its plays and leases.

        Raises:
            LeaseHeld: it does.
        """
        row = self.driver(state)
        if row is not None:
            raise LeaseHeld(
                f"run {state.run} is driven by {row.holder.by}, process {row.holder.process} on "
                f"{row.holder.controller}, because: {row.holder.reason}. Unless renewed, its lease "
                f"expires at {row.expires:%Y-%m-%d %H:%M:%S} UTC",
                remedy=f"holdfast watch {state.run}",
            )

    def _refuse_by_hand(self, state: RunState) -> None:
        """Refuse for a play that runs by hand: it has no driver that could read the request."""
        driver = self.driver(state)
        if driver is not None and state.opened is not None and not state.opened.plan:
            where = f"process {driver.holder.process} on {driver.holder.controller}"
            raise Refused(
                f"Run {state.run} is a play that {driver.holder.by} started by hand ({where})",
                remedy="press Ctrl-C in its terminal; it stops at once, perhaps with a host in hand",
            )
