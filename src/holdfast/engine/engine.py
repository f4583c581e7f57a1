"""``Engine``: plan, start, resume, abort, approve. Checks before anything is touched; then drives."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from holdfast.engine.dependencies import Dependencies
from holdfast.engine.driver import Driver, RunResult, run_opened
from holdfast.engine.hold_report import host_states, next_commands, rerun_command
from holdfast.engine.lease_keeper import TTL
from holdfast.engine.planner import Planner
from holdfast.engine.run_lookup import driver_of, read_run
from holdfast.errors import InvalidInput, Refused
from holdfast.journal import RunState, Status
from holdfast.journal import events as ev
from holdfast.model import Grant, Holder
from holdfast.plan import Plan, plan_of
from holdfast.store import LeaseRow

_OPEN = {Status.RUNNING, Status.HELD}


class Engine:
    """Runs runbooks. ``stop`` is safe to ask from a signal handler: first boundary, then hard."""

    def __init__(self, dependencies: Dependencies) -> None:
        self.stop = dependencies.stop
        self._dependencies = dependencies
        self._store, self._clock = dependencies.store, dependencies.clock

    @property
    def planner(self) -> Planner:
        """What makes plans, with the inventories and playbooks of this engine."""
        return self._dependencies.planner

    # --- runs ---------------------------------------------------------------------------------

    def new_run(self, runbook: str) -> str:
        """Return a run id that nobody has used."""
        return self._store.new_run(runbook, self._clock())

    def start(self, plan: Plan, by: str, reason: str, run: str = "") -> RunResult:
        """Run the plan; returns when the run has ended, in whichever way.

        ``run`` is an id from ``new_run``: whoever has to know it beforehand asks for it there.

        Raises:
            InvalidInput: there is no reason, or nothing to do, or there is such a run already.
            LeaseHeld: another run holds a scope; nothing was touched, nothing journaled.
            StateLost: the journal cannot be read or written any more.
        """
        if not reason.strip():
            raise InvalidInput("a run needs a reason", remedy="--reason 'why this is done now'")
        now = self._clock()
        holder = self._dependencies.holder(run or self.new_run(plan.runbook), by, reason)
        self._store.would_take(holder, plan.leases, now)
        if self._store.read(holder.run):
            raise InvalidInput(
                f"run {holder.run} was started already", remedy=f"holdfast status {holder.run}"
            )
        self._store.append(holder.run, run_opened(plan, holder, now))
        return Driver(self._dependencies, plan, holder).drive()

    def resume(self, run: str, by: str, reason: str) -> RunResult:
        """Go on with a held, aborted or dead run from its journal; repeats nothing that is done.

        Raises:
            InvalidInput: there is no such run, it has ended for good, or its hosts are gone.
            StateUnusable: its journal or plan is damaged, or was written by a newer Holdfast.
            LeaseHeld: its driver still lives, or another run holds a scope.
            StateLost: the journal cannot be read or written any more.
        """
        if not reason.strip():
            raise InvalidInput("a resume needs a reason", remedy="--reason 'what was repaired'")
        state = self.state(run)
        plan = self._resumable(state)
        holder = self._dependencies.holder(run, by, reason)
        ended = self._end_strays(run, plan)
        now = self._clock()
        grant = self._store.take(holder, plan.leases, TTL, now)
        self._journal_resume(holder, grant, ended)
        return Driver(self._dependencies, plan, holder, grant=grant, heard=state.seq).drive()

    def ask_abort(self, run: str, by: str, *, hard: bool = False) -> RunState:
        """Ask a running run to stop; one that holds no lease is closed as aborted at once.

        Whether it was closed is said by the state that is returned. A driver that lives without a
        lease, in its first survey, finds it closed and ends.

        Raises:
            InvalidInput: there is no such run, or it has ended already.
            Refused: it is a play that somebody runs by hand, in a terminal of their own.
        """
        state = self.state(run)
        self._refuse_a_play(state)
        if state.status not in _OPEN:
            raise InvalidInput(
                f"run {run} has ended already: {state.status}", remedy=f"holdfast status {run}"
            )
        self._store.append(run, ev.AbortRequested(at=self._clock(), by=by, hard=hard))
        state = self.state(run)
        if state.status in _OPEN and self.driver(state) is None:
            # Only as the next event: whoever writes meanwhile lives, and has heard the request.
            self._store.append_next(run, _closed(state, by, self._clock()), state.seq)
        return self.state(run)

    def approve(self, run: str, by: str) -> RunState:
        """Give the word that the run waits for, for exactly the plan it asked about.

        Raises:
            InvalidInput: there is no such run, or it waits for nobody's word.
        """
        state = self.state(run)
        step = state.step
        if (
            state.status is not Status.RUNNING
            or step.approval_requested_at is None
            or step.finished
        ):
            raise InvalidInput(f"run {run} does not wait for an approval")
        word = ev.Approved(
            at=self._clock(), step=step.number, by=by, plan_hash=step.approval_plan_hash
        )
        self._store.append(run, word)
        return self.state(run)

    # --- looking ------------------------------------------------------------------------------

    def state(self, run: str) -> RunState:
        """The fold of a run's journal.

        Raises:
            InvalidInput: there is no such run; names the nearest.
        """
        return read_run(self._store, run)

    def driver(self, state: RunState) -> LeaseRow | None:
        """Who drives this run now, as far as can be known; None for a run that stopped or died."""
        return driver_of(self._store, state, self._clock())

    # --- resuming -----------------------------------------------------------------------------

    def _resumable(self, state: RunState) -> Plan:
        """The run's own plan, if its hosts still exist."""
        if state.status in {Status.FINISHED, Status.REFUSED}:
            raise InvalidInput(f"run {state.run} is {state.status}: there is nothing to resume")
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

    def _end_strays(self, run: str, plan: Plan) -> list[int]:
        """End what outlived a dead driver. A living one keeps its plays, and its lease says so."""
        now = self._clock()
        rows = (row for scope in plan.leases for row in self._store.holders(scope, now))
        ours = [row.holder for row in rows if row.holder.run == run]
        if any(not self._dependencies.driver_gone(holder) for holder in ours):
            return []
        return self._dependencies.runner.end_strays(run)

    def _journal_resume(self, holder: Holder, grant: Grant, ended: list[int]) -> None:
        now = self._clock()
        resumed = ev.Resumed(
            at=now,
            by=holder.by,
            reason=holder.reason,
            controller=holder.controller,
            process=holder.process,
            ended=ended,
        )
        self._store.append_guarded(grant, resumed, now)
        self._store.append_guarded(grant, ev.LeaseTaken(at=now, tokens=dict(grant.tokens)), now)

    def _refuse_a_play(self, state: RunState) -> None:
        """A play run by hand has no driver of ours that could hear a request."""
        driver = self.driver(state)
        if driver is not None and state.opened is not None and not state.opened.plan:
            where = f"process {driver.holder.process} on {driver.holder.controller}"
            raise Refused(
                f"Run {state.run} is a play that {driver.holder.by} started by hand ({where})",
                remedy="Ctrl-C in its own terminal; it stops there, perhaps with a host in hand",
            )


def _closed(state: RunState, by: str, now: datetime) -> ev.Aborted:
    left, then = host_states(state), next_commands(state)
    return ev.Aborted(at=now, by=by, left=left, next_commands=then)
