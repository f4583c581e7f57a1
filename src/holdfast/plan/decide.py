"""``decide``: what a run does next, from its plan and its journal alone.

The rules, first that applies:

1. Hosts that were in hand when something went wrong are asked what they are, before all else.
2. A failure holds the run (refuses it, where nothing was touched yet).
3. Somebody asked for an abort: stop, for no play is running now.
4. Before the lease: the standing claims of every service that will be touched.
5. The first step that has not ended: hosts in hand first (give back what was not restarted, gate
   what was), then the survey, then the next batch, then the sweep.
6. No step left: finished.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from holdfast.journal import Failure, RunState, StepState, Turn
from holdfast.model import ALL_PHASES, Phase
from holdfast.plan.decision import (
    Abort,
    AskApproval,
    AwaitApproval,
    BeginStep,
    Decision,
    EndStep,
    Finish,
    Hold,
    Inspect,
    Refuse,
    Roll,
    TakeLease,
)
from holdfast.plan.host_order import next_batch
from holdfast.plan.model import Plan, PlannedApprove, PlannedRoll, PlannedStep

# Before the first act a survey is one reading: whoever starts a run wants to know now. Between steps
# clients may still be on their way back.
_SURVEY_DEADLINE_SECONDS = 120

_GIVE_BACK = (Phase.UNDRAIN,)
_GATE = (Phase.VERIFY, Phase.UNDRAIN)


def decide(plan: Plan, state: RunState, now: datetime) -> Decision:
    """What comes next. The state must be that of a run whose last play, if any, has ended."""
    return _not_well(state) or _before_lease(plan, state) or _next_step(plan, state, now)


def _not_well(state: RunState) -> Decision | None:
    if state.hosts_to_observe:
        return Inspect(state.current_step, "observe", hosts=tuple(sorted(state.hosts_to_observe)))
    if failure := state.failure or _unknown(state):
        return Hold(failure) if state.touched else Refuse(failure)
    return Abort(state.abort_request.by) if state.abort_request else None


def _before_lease(plan: Plan, state: RunState) -> Decision | None:
    if state.grant is not None:
        return None
    survey = plan.survey()
    return TakeLease() if state.proves(survey) else Inspect(0, "survey", survey)


def _next_step(plan: Plan, state: RunState, now: datetime) -> Decision:
    for step in plan.steps:
        known = state.steps.get(step.number)
        if known is None:
            return BeginStep(step.number, step.title)
        if not known.finished:
            return _within(step, known, state, now)
    return Finish()


def _unknown(state: RunState) -> Failure | None:
    """A restart may have happened and the host did not say: nobody may go on from there."""
    for step, turn in state.in_hand():
        if turn.outcome_unknown:
            evidence = "a restart was intended here, and the host does not say whether it happened"
            return Failure(step.number, turn.host, "", evidence)
        if len({restart.happened for restart in turn.restarts.values()}) > 1:
            evidence = "some of its units were restarted and some not: finish this host by hand"
            return Failure(step.number, turn.host, "", evidence)
    return None


def _within(step: PlannedStep, known: StepState, state: RunState, now: datetime) -> Decision:
    if isinstance(step, PlannedRoll):
        return _rolling(step, known, state)
    if isinstance(step, PlannedApprove):
        return _approving(step, known, state, now)
    if known.passed:
        return EndStep(step.number)
    return Inspect(
        step.number,
        step.kind,
        step.claims,
        step.hosts,
        settle=step.settle,
        deadline_seconds=step.deadline_seconds,
    )


def _rolling(step: PlannedRoll, known: StepState, state: RunState) -> Decision:
    swept = tuple(state.done())
    if decision := _in_hand(step, known, swept):
        return decision
    done = known.done()
    if set(step.hosts) <= set(done):
        if done and not known.swept:
            return Inspect(step.number, "sweep", hosts=swept)
        return EndStep(step.number)
    if not known.surveyed and not state.proves(step.policy.survey):
        return Inspect(
            step.number, "survey", step.policy.survey, deadline_seconds=_SURVEY_DEADLINE_SECONDS
        )
    hosts, why = next_batch(step, done, state.facts)
    return Roll(step.number, hosts, ALL_PHASES, why, swept)


def _in_hand(step: PlannedRoll, known: StepState, swept: tuple[str, ...]) -> Decision | None:
    """Finish what an earlier play left: give back first, for that needs nothing and frees room.

    A host that was neither drained nor restarted is as if never touched: it waits for its turn.
    """
    turns = known.in_hand()
    if drained := tuple(turn.host for turn in turns if turn.drain and not _restarted(turn)):
        return Roll(step.number, drained, _GIVE_BACK, "drained, and not restarted yet", swept)
    if restarted := tuple(turn.host for turn in turns if _restarted(turn)):
        return Roll(step.number, restarted, _GATE, "restarted before the run stopped", swept)
    return None


def _restarted(turn: Turn) -> bool:
    return any(restart.happened for restart in turn.restarts.values())


def _approving(step: PlannedApprove, known: StepState, state: RunState, now: datetime) -> Decision:
    starter = state.opened.by if state.opened else ""
    people = {word.by for word in known.approvals} - ({starter} if step.by_others else set())
    if len(people) >= step.count:
        return EndStep(step.number)
    if known.approval_requested_at is None:
        return AskApproval(step.number, step.question)
    if now - known.approval_requested_at >= timedelta(seconds=step.deadline_seconds or 0):
        evidence = f"{len(people)} of {step.count} approvals in {step.deadline_seconds} s"
        missing = Failure(step.number, "", "", f"{step.question}: {evidence}")
        return Hold(missing) if state.touched else Refuse(missing)
    return AwaitApproval(step.number)
