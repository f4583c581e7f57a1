"""What each event changes in the state of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import singledispatch

from holdfast.errors import StateUnusable
from holdfast.evidence import HEALTHY, HOSTS
from holdfast.journal import events as ev
from holdfast.journal.events import Event, Recorded
from holdfast.journal.run_state import (
    ActRecord,
    Batch,
    Failure,
    Inspection,
    Restart,
    RunState,
    Status,
    StepState,
    Turn,
    canonical,
    claim_names,
)
from holdfast.model import Act, Grant, Outcome, Phase
from holdfast.text import join_names


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
    if failure := _batch_failure(event, batch, gates, state):
        _forget_observations(state, batch.hosts)
        # Of several batches the first that failed: the others were told to begin nothing more.
        state.failure = state.failure or _failed_beside(event, batch, gates, state) or failure
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
    inspection.passed = event.status == "ok" and _all_proved(inspection)
    # The gates of a large fleet are a large part of its journal; they are not needed any more.
    gates, inspection.gates = inspection.gates, []
    if event.what == "observe" or event.status == "interrupted":
        return
    if not inspection.passed:
        text = f"the {event.what} did not pass"
        state.failure = state.failure or _failure(event, "", gates, text)
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
    if isinstance(play, Batch) and event.phase == "sweep" and event.outcome is Outcome.PASS:
        state.found_well(event.at, *_swept([event], play.sweep))
        state.sweep_owed = state.sweep_owed and len(play.sweep) < len(state.done())
    for verdict in event.verdicts:
        for host, facts in verdict.get("hosts", {}).items():
            state.facts.setdefault(host, {}).update(facts)


@_apply.register
def _(event: ev.ActIntended, state: RunState) -> None:
    state.acts.append(ActRecord(state.seq, event))
    turn = _current(state).reopen(event.host)
    if event.act is Act.DRAIN:
        turn.drain, turn.drain_seen, turn.given_back = event, False, False
    elif event.act is Act.RESTART:
        turn.restarts[event.unit] = Restart(event.unit, event.invocation_id)
        state.done_units.get(event.host, {}).pop(event.unit, None)


@_apply.register
def _(event: ev.ActDone, state: RunState) -> None:
    act = next(state.acts_of(event.host), None)
    if act is None or act.ended is not None:
        act = ActRecord(state.seq)
        state.acts.append(act)
    act.done, act.ended, act.changed = event, event.at, event.changed
    turn = _current(state).turn(event.host)
    if event.act is Act.DRAIN and not event.changed:
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
        done[event.unit] = event.invocation_id
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


def _all_proved(inspection: Inspection) -> bool:
    """Return whether every gate passed, and every host and claim of the inspection has one.

    A gate that is missing in the journal proves nothing.
    """
    gates = inspection.gates
    asked = {gate.host for gate in gates}
    if inspection.what == "sweep":
        asked = set(_swept(gates, inspection.hosts))
    return (
        all(gate.outcome is Outcome.PASS for gate in gates)
        and set(inspection.hosts) <= asked
        and inspection.claim_names() <= _passed(gates)
    )


def _passed(gates: Iterable[ev.GateJudged]) -> set[str]:
    verdicts = (verdict for gate in gates for verdict in gate.verdicts)
    return {verdict["claim"] for verdict in verdicts if verdict["outcome"] == Outcome.PASS}


_HOST_ENDS: Mapping[ev.HostEnd, str] = {
    "failed": "the play failed",
    "unreachable": "the host was unreachable",
    "absent": "the play did not reach the host",
}


def _batch_failure(
    event: ev.BatchEnded, batch: Batch, gates: list[ev.GateJudged], state: RunState
) -> Failure | None:
    """Return why the play of a batch did not succeed; None where it did."""
    # A host that failed explains those that the play never reached: it comes first.
    ends = sorted(event.hosts.items(), key=lambda item: item[1] == "absent")
    bad = {host: _HOST_ENDS[end] for host, end in ends if end != "ok"}
    unproved = _unproved(batch, gates, state)
    if event.status == "ok" and not bad and not unproved:
        return None
    host = next(iter(bad), next(iter(unproved), ""))
    if event.status == "ok":
        reason = (unproved | bad)[host]
    else:
        ran = "the play ran on no host" if event.status == "no_hosts" else "the play failed"
        reason = bad.get(host, ran)
    text = f"{host}: {reason}" if host else reason
    proved = set(state.done()) - set(batch.hosts)
    return _failure(event, host, gates, text, proved)


def _failed_beside(
    event: ev.BatchEnded, batch: Batch, gates: Iterable[ev.GateJudged], state: RunState
) -> Failure | None:
    """Return the failure of another batch whose gate had this one begin nothing more; None where it failed by itself.

    What gives back what it has drained may end after those that were told of its failure.
    """
    turns = [state.step.turns.get(host) for host in batch.hosts]
    by_itself = any(turn and turn.restarts for turn in turns) or _first_bad(gates)
    for other in () if by_itself else state.under_way:
        if gate := _first_bad(other.gates):
            proved = set(state.done()) - set(other.hosts)
            return _failure(event, gate.host, other.gates, "", proved)
    return None


def _first_bad(gates: Iterable[ev.GateJudged]) -> ev.GateJudged | None:
    return next((gate for gate in gates if gate.outcome is not Outcome.PASS), None)


def _unproved(batch: Batch, gates: Iterable[ev.GateJudged], state: RunState) -> dict[str, str]:
    """Return the hosts of a batch and of its sweep of which the journal has no proof, and what is missing."""
    turns = state.steps[batch.step].turns if batch.step in state.steps else {}
    missing = "host_done" if Phase.VERIFY in batch.phases else "that the drain was undone"
    reasons = {
        host: f"the play ended without recording {missing}"
        for host in batch.hosts
        if not _succeeded(turns.get(host), batch)
    }
    swept = _swept(gates, batch.sweep)
    if swept is not batch.sweep:
        for host in batch.sweep:
            if host not in swept:
                reasons.setdefault(host, "the play ended without a sweep of this host")
    surveyed = _passed(gate for gate in gates if gate.phase == "check")
    if lacking := sorted(claim_names(batch.survey) - surveyed):
        reasons.setdefault(batch.hosts[0], f"the play ended without asking {join_names(lacking)}")
    return reasons


def _swept(gates: Iterable[ev.GateJudged], hosts: Collection[str]) -> Collection[str]:
    """Return those of the hosts to sweep that the gates asked.

    One gate asks them all, and says how many; in older journals each host had a gate of its own.
    """
    sweeps = [gate for gate in gates if gate.phase == "sweep"]
    counts = [v.get("evidence", {}).get(HOSTS) for gate in sweeps for v in gate.verdicts]
    return hosts if len(hosts) in counts else {gate.host for gate in sweeps}


def _succeeded(turn: Turn | None, batch: Batch) -> bool:
    if Phase.VERIFY not in batch.phases:
        return turn is None or turn.drain is None
    return turn is not None and turn.done


def _failure(
    ended: ev.BatchEnded | ev.InspectionEnded,
    host: str,
    gates: list[ev.GateJudged],
    otherwise: str,
    proved: Collection[str] = (),
) -> Failure:
    """Return the failure with the evidence of the last gate that did not pass, on ``host`` if given.

    Without such a gate the evidence is the play's own output, and without that ``otherwise``. Of several ill hosts it
    names one of ``proved``, which the run has restarted: with it others may not answer either.
    """
    bad = [gate for gate in gates if gate.outcome is not Outcome.PASS]
    gate = next((gate for gate in reversed(bad) if host in {"", gate.host}), None)
    if gate is None:
        output = ended.messages.get(host) or next(iter(ended.messages.values()), "")
        return Failure(ended.step, host, "", output or otherwise)
    failed, unknown = _describe(gate, Outcome.FAIL), _describe(gate, Outcome.UNKNOWN)
    if failed and len(unknown) > 1:
        unknown = [unknown[0], f"and {len(unknown) - 1} more UNKNOWN"]
    evidence = failed + unknown
    if others := [] if host else sorted({each.host for each in bad} - {gate.host}):
        evidence.append(f"also not PASS on {join_names(others)}")
    decisive = Outcome.FAIL if failed else Outcome.UNKNOWN
    claim = next((v["claim"] for v in gate.verdicts if v["outcome"] == decisive), "")
    asked, ill = host or gate.host, _ill(gate)
    # The hosts of a gate vouch for each other: the one that is ill need not be the one that asked.
    relapsed = [each for each in ill if each in proved and gate.phase == Phase.PREFLIGHT]
    named = next(iter(relapsed), asked if asked in ill or not ill else ill[0])
    if host and named != asked:
        evidence.append(f"seen by the gate {gate.gate!r} of {asked}")
    return Failure(ended.step, named, claim, "; ".join(evidence), ill)


def _ill(gate: ev.GateJudged) -> tuple[str, ...]:
    """Return the hosts that the gate's verdicts found broken; after a sweep without any, those that gave no answer."""
    facts = [each for verdict in gate.verdicts for each in verdict.get("hosts", {}).items()]
    bad = (verdict for verdict in gate.verdicts if verdict["outcome"] == Outcome.FAIL)
    broken = (each for verdict in bad for each in verdict.get("hosts", {}).items())
    ill = dict.fromkeys(host for host, each in broken if each.get(HEALTHY) is False)
    silent = dict.fromkeys(host for host, each in facts if each.get(HEALTHY, True) is None)
    return tuple(ill or silent)


def _describe(gate: ev.GateJudged, outcome: Outcome) -> list[str]:
    """Return the messages of a gate's verdicts with this outcome, each once: claims share probes."""
    verdicts = [verdict for verdict in gate.verdicts if verdict["outcome"] == outcome]
    return list(dict.fromkeys(f"{outcome} {v['reason']}: {v['message']}" for v in verdicts))
