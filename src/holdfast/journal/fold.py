"""What each event changes in the state of a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import singledispatch

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
)
from holdfast.model import Act, Grant, Outcome, Phase
from holdfast.text import join_names


def fold(recorded: Iterable[Recorded]) -> RunState:
    """The state of the run whose events these are, oldest first."""
    return advance(RunState(), recorded)


def advance(state: RunState, recorded: Iterable[Recorded]) -> RunState:
    """The same state, after later events; events it already knows are passed over."""
    for entry in recorded:
        if entry.seq > state.seq:
            state.run, state.seq = entry.run, entry.seq
            _apply(entry.event, state)
            state.at = entry.event.at
    return state


@singledispatch
def _apply(event: Event, state: RunState) -> None:
    raise TypeError(f"no meaning is known for the event {event!r} of {state.run}")


@_apply.register
def _(event: ev.RunOpened, state: RunState) -> None:
    state.opened = event


@_apply.register
def _(event: ev.LeaseTaken, state: RunState) -> None:
    state.grant = Grant(state.run, dict(event.tokens))


@_apply.register
def _(event: ev.StepStarted, state: RunState) -> None:
    state.current = event.step
    state.steps[event.step] = StepState(event.step, event.title, event.at)


@_apply.register
def _(event: ev.StepFinished, state: RunState) -> None:
    step = state.steps[event.step]
    step.finished, step.ended = True, event.at


@_apply.register
def _(event: ev.BatchStarted, state: RunState) -> None:
    state.batch = Batch(
        event.step, tuple(event.hosts), tuple(event.phases), event.why, tuple(event.sweep), event.at
    )
    state.batches.append(state.batch)
    state.judged = []
    # What was proved before an act says nothing about the time after it.
    state.proved.clear()
    state.step.swept = False
    # From here on the roll's own gates tell how the fleet is.
    state.step.surveyed = state.step.surveyed or Phase.PREFLIGHT in state.batch.phases


@_apply.register
def _(event: ev.BatchEnded, state: RunState) -> None:
    _end_acts(state, event.hosts, event.at)
    batch, state.batch = state.batch, None
    if batch is None:
        return
    batch.ended, batch.status = event.at, event.status
    if event.status == "interrupted":
        _forget_observations(state, batch.hosts)
    elif fault := _batch_fault(event, batch, state):
        _forget_observations(state, batch.hosts)
        state.failure = fault
    elif batch.phases == (Phase.UNDRAIN,):
        # Our drain is taken back: these hosts are as if never touched.
        for host in batch.hosts:
            state.step.turns.pop(host, None)


@_apply.register
def _(event: ev.InspectionStarted, state: RunState) -> None:
    state.look = Inspection(event.step, event.what, tuple(event.hosts), tuple(event.claims))
    state.looks.append(state.look)
    state.judged = []
    if event.what == "observe":
        # Asked once: who does not answer now stays unknown, and that leads to a hold.
        state.to_observe.difference_update(event.hosts)


@_apply.register
def _(event: ev.InspectionEnded, state: RunState) -> None:
    look, state.look = state.look, None
    if look is None:
        return
    look.passed = event.status == "ok" and _all_proved(look)
    # A look at a large fleet is a large part of its journal: what it was worth is known now.
    judged, look.judged = look.judged, []
    if event.what == "observe" or event.status == "interrupted":
        return
    if not look.passed:
        state.failure = state.failure or _look_fault(event, judged)
        return
    state.proved |= {canonical(claim) for claim in look.claims}
    if event.what == "sweep":
        state.step.swept = True
    elif event.what in {"check", "wait"}:
        state.step.passed = True


@_apply.register
def _(event: ev.GateJudged, state: RunState) -> None:
    state.judged.append(event)
    if state.look is not None:
        state.look.judged.append(event)
    for verdict in event.verdicts:
        for host, facts in verdict.get("hosts", {}).items():
            state.facts.setdefault(host, {}).update(facts)


@_apply.register
def _(event: ev.ActIntended, state: RunState) -> None:
    state.acts.append(ActRecord(state.seq, event))
    turn = state.step.turn(event.host)
    turn.done = False
    if event.act is Act.DRAIN:
        turn.drain = event
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
    turn = state.step.turn(event.host)
    if event.act is Act.DRAIN and not event.changed:
        # Somebody else had drained it: there is nothing of ours to take back.
        turn.drain = None
    elif event.act is Act.UNDRAIN:
        turn.drain = None
    elif event.act is Act.RESTART and event.unit in turn.restarts:
        turn.restarts[event.unit].after = event.invocation_id


@_apply.register
def _(event: ev.HostDone, state: RunState) -> None:
    _end_acts(state, [event.host], event.at)
    _learn_whether_restarted(event, state)
    # A play that only gives work back has not ended a turn, whatever it says.
    if state.batch is not None and Phase.VERIFY not in state.batch.phases:
        return
    state.step.turn(event.host).done = True
    # Last restarted, last in the sweep's order.
    units = state.done_units.pop(event.host, {})
    state.done_units[event.host] = {**units, event.unit: event.invocation_id}


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
        # Whoever resumed has looked at the fleet: from here on, this is the start to compare with.
        done[event.unit] = event.invocation_id
        return
    evidence = f"{event.unit} was restarted by this run, and now it is not active"
    state.failure = Failure(state.current, event.host, "systemd.active", evidence)


@_apply.register
def _(_event: ev.BaselineTaken, _state: RunState) -> None:
    """Plays alone compare with it, and read it themselves (``playrun.baseline``)."""


@_apply.register
def _(event: ev.ApprovalRequested, state: RunState) -> None:
    step = state.steps[event.step]
    step.question_plan, step.wanted_at = event.plan_hash, event.at
    # What was said to an earlier question, which nobody waits for any more, has expired with it.
    step.approvals.clear()


@_apply.register
def _(event: ev.Approved, state: RunState) -> None:
    step = state.steps[event.step]
    if event.plan_hash == step.question_plan:
        step.approvals.append(event)


@_apply.register
def _(event: ev.AbortRequested, state: RunState) -> None:
    if state.abort is None or event.hard:
        state.abort = event


@_apply.register
def _(event: ev.Resumed, state: RunState) -> None:
    # Nothing is done by a run that has stopped, or whose driver has died after its last event.
    _end_acts(state, {act.event.host for act in state.acts}, state.at or event.at)
    state.resumed.append(event)
    state.status = Status.RUNNING
    state.failure = state.abort = state.held = state.aborted = None
    state.batch = state.look = None
    state.proved.clear()
    # An approval that was not given in time is asked for again, and so is the survey.
    state.step.wanted_at = None
    state.step.surveyed = False
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


def _end_acts(state: RunState, hosts: Iterable[str], at: datetime) -> None:
    """End what has no result yet on these hosts."""
    for host in hosts:
        act = next(state.acts_of(host), None)
        if act is not None and act.ended is None:
            act.ended = at


def _learn_whether_restarted(event: ev.Observed | ev.HostDone, state: RunState) -> None:
    """Compare a restart without a result with what the unit runs as: another id means restarted."""
    for act in state.acts_of(event.host):
        if (act.event.act, act.event.unit) == (Act.RESTART, event.unit):
            if act.ended is not None and act.changed is None:
                act.changed = act.event.invocation_id != event.invocation_id
            return


def _forget_observations(state: RunState, hosts: Iterable[str]) -> None:
    """Whatever these hosts said earlier, they must be asked again before anything is decided."""
    wanted = set(hosts)
    for _, turn in state.in_hand():
        if turn.host in wanted:
            for restart in turn.restarts.values():
                restart.observed = None
            state.to_observe.add(turn.host)
    state.to_observe |= wanted & set(state.done_units)


def _all_proved(look: Inspection) -> bool:
    """Every gate passed and all that was asked for is among them: silence proves nothing."""
    if any(judged.outcome is not Outcome.PASS for judged in look.judged):
        return False
    if not set(look.hosts) <= {judged.host for judged in look.judged}:
        return False
    passed = {
        verdict["claim"]
        for judged in look.judged
        for verdict in judged.verdicts
        if verdict["outcome"] == Outcome.PASS
    }
    return look.asked() <= passed


def _look_fault(event: ev.InspectionEnded, judged: list[ev.GateJudged]) -> Failure:
    return _fault(event.step, "", judged, event.messages, f"the {event.what} did not pass")


def _batch_fault(event: ev.BatchEnded, batch: Batch, state: RunState) -> Failure | None:
    # A host that failed explains those that were never reached.
    bad = dict(sorted(event.hosts.items(), key=lambda item: item[1] == "absent"))
    bad = {host: how for host, how in bad.items() if how != "ok"}
    turns = state.steps[batch.step].turns if batch.step in state.steps else {}
    unsaid = [host for host in batch.hosts if not _ended_well(turns.get(host), batch)]
    unsaid += _unswept(batch.sweep, state.judged)
    if event.status == "ok" and not bad and not unsaid:
        return None
    host = next(iter(bad), next(iter(unsaid), ""))
    how = bad.get(host, "failed" if event.status != "ok" else "left without a word that it is well")
    return _fault(batch.step, host, state.judged, event.messages, f"the play ended: {host} {how}")


def _unswept(hosts: Iterable[str], judged: Iterable[ev.GateJudged]) -> list[str]:
    """Hosts that were to be looked at again, and of which no gate of the sweep says anything."""
    looked_at = {gate.host for gate in judged if gate.phase == "sweep"}
    return [host for host in hosts if host not in looked_at]


def _ended_well(turn: Turn | None, batch: Batch) -> bool:
    if Phase.VERIFY not in batch.phases:
        return turn is None or turn.drain is None
    return turn is not None and turn.done


def _fault(
    step: int, host: str, judged: list[ev.GateJudged], messages: dict[str, str], otherwise: str
) -> Failure:
    """The gate that did not pass, on the failed host if there is one; else the play's own words."""
    bad = [gate for gate in judged if gate.outcome is not Outcome.PASS]
    gate = next((gate for gate in reversed(bad) if host in {"", gate.host}), None)
    if gate is None:
        words = messages.get(host) or next(iter(messages.values()), "") or otherwise
        return Failure(step, host, "", words)
    failed, unknown = _said(gate, Outcome.FAIL), _said(gate, Outcome.UNKNOWN)
    if failed and len(unknown) > 1:
        unknown = [unknown[0], f"and {len(unknown) - 1} more UNKNOWN"]
    evidence = failed + unknown
    if others := [] if host else sorted({each.host for each in bad} - {gate.host}):
        evidence.append(f"and not well at {join_names(others)} either")
    decisive = Outcome.FAIL if failed else Outcome.UNKNOWN
    claim = next((v["claim"] for v in gate.verdicts if v["outcome"] == decisive), "")
    return Failure(step, host or gate.host, claim, "; ".join(evidence))


def _said(gate: ev.GateJudged, outcome: Outcome) -> list[str]:
    """Claims that look at the same thing share its words: a wrong password is said once."""
    verdicts = [verdict for verdict in gate.verdicts if verdict["outcome"] == outcome]
    return list(dict.fromkeys(f"{outcome} {v['reason']}: {v['message']}" for v in verdicts))
