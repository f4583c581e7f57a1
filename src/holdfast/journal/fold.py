"""What each event changes in the state of a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import singledispatch

from holdfast.errors import StateUnusable
from holdfast.evidence import HEALTHY
from holdfast.journal import events as ev
from holdfast.journal.events import Event, Recorded
from holdfast.journal.failures import (
    all_proved,
    batch_failure,
    failed_beside,
    gate_failure,
    play_failure,
    swept,
)
from holdfast.journal.run_state import (
    ActRecord,
    Batch,
    Failure,
    Inspection,
    Restart,
    RunState,
    Status,
    StepState,
    canonical,
)
from holdfast.model import Act, Grant, Outcome, Phase


def fold(recorded: Iterable[Recorded]) -> RunState:
    """Return the state of the run whose events these are, oldest first."""
    return advance(RunState(), recorded)


def advance(state: RunState, recorded: Iterable[Recorded]) -> RunState:
    """Apply later events to ``state`` and return it; events that it already has are skipped."""
    for entry in recorded:
        if entry.seq > state.seq:
            state.run, state.seq = entry.run, entry.seq
            _apply(entry.event, state)
            state.at = entry.event.at
    return state


@singledispatch
def _apply(event: Event, state: RunState) -> None:
    raise TypeError(f"the fold has no rule for the event {event!r} of run {state.run}")


@_apply.register
def _(event: ev.RunOpened, state: RunState) -> None:
    state.opened = event


@_apply.register
def _(event: ev.LeaseTaken, state: RunState) -> None:
    state.grant = Grant(state.run, dict(event.tokens))


@_apply.register
def _(event: ev.StepStarted, state: RunState) -> None:
    state.current_step = event.step
    state.steps[event.step] = StepState(event.step, event.title, event.at)


@_apply.register
def _(event: ev.StepFinished, state: RunState) -> None:
    step = _begun(state, event)
    step.finished, step.ended = True, event.at
    state.sweep_owed = state.sweep_owed or (bool(step.done_hosts) and not step.swept)


@_apply.register
def _(event: ev.BatchStarted, state: RunState) -> None:
    sweep = tuple(event.sweep) or state.due(event.at)
    batch = Batch(
        event.step,
        tuple(event.hosts),
        tuple(event.phases),
        event.why,
        sweep,
        event.at,
        survey=tuple(event.survey),
    )
    state.batches.append(batch)
    state.under_way.append(batch)
    # A claim proved before an act is not proved after it.
    state.proved_claims.clear()
    step = _current(state)
    step.swept = False
    # From the first preflight on, the roll's own gates replace the survey.
    step.surveyed = step.surveyed or Phase.PREFLIGHT in batch.phases


@_apply.register
def _(event: ev.BatchEnded, state: RunState) -> None:
    _end_acts(state, event.hosts, event.at)
    alone = len(state.under_way) == 1
    ended = (b for b in state.under_way if alone or set(b.hosts) <= event.hosts.keys())
    if (batch := next(ended, None)) is None:
        return
    state.under_way.remove(batch)
    gates, batch.gates = batch.gates, []
    batch.ended, batch.status = event.at, event.status
    if event.status == "interrupted":
        _forget_observations(state, batch.hosts)
        return
    if failure := batch_failure(event, batch, gates, state):
        _forget_observations(state, batch.hosts)
        # Of several batches the first that failed: the others were told to begin nothing more.
        state.failure = state.failure or failed_beside(event, batch, gates, state) or failure
        return
    state.sweep_owed = False
    if Phase.PREFLIGHT in batch.phases:
        _current(state).rounds += 1
    if batch.phases == (Phase.UNDRAIN,):
        # This run's drain was undone: these hosts count as not touched.
        for host in batch.hosts:
            _current(state).forget(host)


@_apply.register
def _(event: ev.InspectionStarted, state: RunState) -> None:
    state.inspection = Inspection(event.step, event.what, tuple(event.hosts), tuple(event.claims))
    state.inspections.append(state.inspection)
    if event.what == "observe":
        # Each host is observed once: one that does not answer stays unknown, which leads to a hold.
        state.hosts_to_observe.difference_update(event.hosts)


@_apply.register
def _(event: ev.InspectionEnded, state: RunState) -> None:
    inspection, state.inspection = state.inspection, None
    if inspection is None:
        return
    inspection.passed = event.status == "ok" and all_proved(inspection)
    # The gates of a large fleet are a large part of its journal; they are not needed any more.
    gates, inspection.gates = inspection.gates, []
    if event.what == "observe" or event.status == "interrupted":
        return
    if not inspection.passed:
        text = f"the {event.what} did not pass"
        state.failure = state.failure or play_failure(event, "", gates, text)
        return
    state.proved_claims |= {canonical(claim) for claim in inspection.claims}
    if event.what == "sweep":
        _current(state).swept, state.sweep_owed = True, False
    elif event.what in {"check", "wait"}:
        _current(state).passed = True


@_apply.register
def _(event: ev.GateJudged, state: RunState) -> None:
    play = state.batch_of(event.host) or state.inspection
    if event.phase != "sweep" and all(
        gate.phase == "sweep" for gate in (play.gates if play else ())
    ):
        _forget_health(state)
    if play is not None:
        play.gates.append(event)
    ill = event.phase == "sweep" and event.outcome is Outcome.FAIL
    if ill and state.inspection is None:
        # Also of a play that waits for its word: nothing more begins, what is in hand is ended.
        state.failure = state.failure or gate_failure(state.current_step, "", [event])
    if isinstance(play, Batch) and event.phase == "sweep" and event.outcome is Outcome.PASS:
        state.found_well(event.at, *swept([event], play.sweep))
        state.sweep_owed = state.sweep_owed and len(play.sweep) < len(state.done())
    for verdict in event.verdicts:
        for host, facts in verdict.get("hosts", {}).items():
            state.facts.setdefault(host, {}).update(facts)


@_apply.register
def _(event: ev.ActIntended, state: RunState) -> None:
    state.acts.append(ActRecord(state.seq, event))
    state.last_act = state.seq
    turn = _current(state).reopen(event.host)
    if event.act is Act.DRAIN:
        turn.drain, turn.drain_seen, turn.given_back = event, False, False
    elif event.act is Act.FREEZE:
        state.frozen[event.host] = event
    elif event.act is Act.RESTART:
        turn.restarts[event.unit] = Restart(event.unit, event.invocation_id)
        _not_done(state, event.host, event.unit)


@_apply.register
def _(event: ev.ActDone, state: RunState) -> None:
    state.last_act = state.seq
    act = next(state.acts_of(event.host), None)
    if act is None or act.ended is not None:
        act = ActRecord(state.seq)
        state.acts.append(act)
    act.done, act.ended, act.changed = event, event.at, event.changed
    turn = _current(state).turn(event.host)
    if event.act is Act.UNFREEZE or (event.act is Act.FREEZE and not event.changed):
        # Enabled again; or somebody else has frozen the host, and this run gives nothing back.
        state.frozen.pop(event.host, None)
    elif event.act is Act.DRAIN and not event.changed:
        # It was drained already, not by this run, or the act had no effect: this run undrains nothing.
        turn.drain = None
    elif event.act is Act.DRAIN:
        turn.drain_seen = True
    elif event.act is Act.UNDRAIN:
        turn.given_back = turn.drain is not None and event.changed and not turn.restarts
        turn.drain = None
    elif event.act is Act.RESTART and event.unit in turn.restarts:
        turn.restarts[event.unit].after = event.invocation_id


@_apply.register
def _(event: ev.HostDone, state: RunState) -> None:
    _end_acts(state, [event.host], event.at)
    _learn_whether_restarted(event, state)
    # A play without the phase verify does not end a turn.
    batch = state.batch_of(event.host)
    if batch is not None and Phase.VERIFY not in batch.phases:
        return
    _current(state).succeed(event.host)
    if not event.invocation_id:  # nothing was restarted, so there is no start to compare with later
        return
    # Popped and set again: the host restarted last is the last of those done.
    units = state.done_units.pop(event.host, {})
    state.done_units[event.host] = {**units, event.unit: event.invocation_id}
    state.found_well(event.at, event.host)


@_apply.register
def _(event: ev.Observed, state: RunState) -> None:
    _learn_whether_restarted(event, state)
    for _, turn in state.in_hand():
        if turn.host == event.host and event.unit in turn.restarts:
            turn.restarts[event.unit].observed = event
    done = state.done_units.get(event.host, {})
    if event.unit not in done:
        return
    if event.active:
        # A person has looked at the fleet before the resume: this start is the one to compare with.
        state.done_units[event.host] = {**done, event.unit: event.invocation_id}
        state.found_well(event.at, event.host)
        return
    evidence = f"{event.unit} was restarted by this run, and is not active now"
    state.failure = Failure(state.current_step, event.host, "systemd.active", evidence)


@_apply.register
def _(_event: ev.BaselineTaken, _state: RunState) -> None:
    """Change nothing: only plays compare with a baseline, and read it (``play_context.baseline``)."""


@_apply.register
def _(_event: ev.SilencePlaced | ev.SilenceEnded, _state: RunState) -> None:
    """Change nothing: what is silenced is in the services, and a resumed turn finds it there."""


@_apply.register
def _(event: ev.ApprovalRequested, state: RunState) -> None:
    step = _begun(state, event)
    step.approval_plan_hash, step.approval_requested_at = event.plan_hash, event.at
    step.approvers, step.starter = dict(event.people), event.starter
    # Answers to an earlier request, which has expired, count no more.
    step.approvals.clear()
    step.rejected = None


@_apply.register
def _(event: ev.Approved, state: RunState) -> None:
    step = _begun(state, event)
    if event.plan_hash == step.approval_plan_hash:
        step.approvals.append(event)


@_apply.register
def _(event: ev.Rejected, state: RunState) -> None:
    step = _begun(state, event)
    if event.plan_hash == step.approval_plan_hash:
        step.rejected = event


@_apply.register
def _(event: ev.AbortRequested, state: RunState) -> None:
    if state.abort_request is None or event.hard:
        state.abort_request = event


@_apply.register
def _(event: ev.Resumed, state: RunState) -> None:
    # An act without a result ended at the latest with the event before the resume.
    _end_acts(state, {act.event.host for act in state.acts}, state.at or event.at)
    state.resumed.append(event)
    state.status = Status.RUNNING
    state.failure = state.abort_request = state.held = state.aborted = None
    state.under_way, state.inspection = [], None
    state.proved_claims.clear()
    # An approval that was not given in time is requested again, and the survey is repeated.
    step = _current(state)
    step.approval_requested_at, step.surveyed, step.rejected = None, False, None
    step.rounds = 0
    in_hand = {turn.host for _, turn in state.in_hand()}
    _forget_observations(state, in_hand | set(state.done_units))


@_apply.register
def _(event: ev.RunRefused, state: RunState) -> None:
    state.status, state.refused = Status.REFUSED, event


@_apply.register
def _(event: ev.Held, state: RunState) -> None:
    state.status, state.held = Status.HELD, event


@_apply.register
def _(event: ev.Aborted, state: RunState) -> None:
    state.status, state.aborted = Status.ABORTED, event


@_apply.register
def _(_event: ev.Finished, state: RunState) -> None:
    state.status = Status.FINISHED


def _begun(
    state: RunState, event: ev.StepFinished | ev.ApprovalRequested | ev.Approved | ev.Rejected
) -> StepState:
    """Return the step of an event that only a step can have.

    Raises:
        StateUnusable: no event has begun it: the journal is damaged.
    """
    step = state.steps.get(event.step)
    if step is None:
        raise StateUnusable(
            f"the journal of run {state.run} is damaged: event {state.seq} ({event.kind}) is about step "
            f"{event.step}, which no event has begun",
            remedy="restore the state database from a backup; other runs in it are not affected",
        )
    return step


def _current(state: RunState) -> StepState:
    """Return the step in hand, and begin it if no event has: plays by hand have no steps."""
    return state.steps.setdefault(state.current_step, StepState(state.current_step))


def _not_done(state: RunState, host: str, unit: str) -> None:
    """Take a unit out of those that this run has restarted and proved healthy."""
    units = state.done_units.get(host, {})
    if unit in units:
        state.done_units[host] = {name: start for name, start in units.items() if name != unit}


def _end_acts(state: RunState, hosts: Iterable[str], at: datetime) -> None:
    """End the newest act of each host if it has no result."""
    left = set(hosts)
    for act in reversed(state.acts):
        if not left:
            return
        if act.event.host in left:
            left.remove(act.event.host)
            act.ended = act.ended or at


def _learn_whether_restarted(event: ev.Observed | ev.HostDone, state: RunState) -> None:
    """Compare a restart without a result with the unit's InvocationID now: another one means restarted."""
    for act in state.acts_of(event.host):
        if (act.event.act, act.event.unit) == (Act.RESTART, event.unit):
            if act.ended is not None and act.changed is None:
                act.changed = act.event.invocation_id != event.invocation_id
            return


def _forget_health(state: RunState) -> None:
    """Forget which hosts the gates of an earlier play found ill: those of this play name each that still is."""
    for host, facts in list(state.facts.items()):
        facts.pop(HEALTHY, None)
        if not facts:
            del state.facts[host]


def _forget_observations(state: RunState, hosts: Iterable[str]) -> None:
    """Forget what these hosts reported: they are observed again before anything is decided."""
    forgotten = set(hosts)
    for _, turn in state.in_hand():
        if turn.host in forgotten:
            for restart in turn.restarts.values():
                restart.observed = None
            state.hosts_to_observe.add(turn.host)
    state.hosts_to_observe |= forgotten & set(state.done_units)
