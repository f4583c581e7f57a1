"""``decide``: what a run does next, from its plan and its journal alone.

While batches are under way: the next host of a window, if one may begin beside them; else wait. Otherwise the first
rule that applies:

1. Hosts that were in hand when a play failed or was interrupted are observed.
2. A failure holds the run, or refuses it where nothing was touched yet.
3. A requested abort ends the run, journaled or known to the driver alone; no play is running at
   this moment.
4. Before the lease is taken, the standing claims of every service that will be touched are surveyed.
5. In the first step that has not ended: hosts in hand first (undrained if they were not restarted,
   verified if they were), then the survey, the next batch, and after the last one the sweep. Where a roll follows
   another, its first batch's play does the sweep, and the survey unless that decides the order.
6. When no step is left, the run is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.journal.events import InspectionKind
from holdfast.journal.run_state import Batch, Failure, RunState, Status, StepState
from holdfast.model import ALL_PHASES, Json, Phase
from holdfast.plan.approval import approved_by, may_approve
from holdfast.plan.following import asks_apart, next_roll
from holdfast.plan.model import Plan, PlannedApprove, PlannedRoll, PlannedStep
from holdfast.plan.next_batch import may_begin_beside, next_batch
from holdfast.runbook.model import SettleSpec
from holdfast.text import count_of, join_names

SURVEY_DEADLINE_SECONDS = 120
"""How long a survey waits for the fleet to pass, before the lease as well as between steps and after a
resume, and a check that does not say how long: one lost answer refuses no run, and between steps clients may
still be reconnecting. A fleet that is well passes with the first reading."""

_UNDRAIN_ONLY = (Phase.UNDRAIN,)
_VERIFY_AND_UNDRAIN = (Phase.VERIFY, Phase.UNDRAIN)


@dataclass(frozen=True, slots=True)
class Inspect:
    """Start a play that touches nothing (``events.InspectionKind`` says what for)."""

    step: int
    what: InspectionKind
    claims: tuple[Json, ...] = ()
    hosts: tuple[str, ...] = ()
    settle: SettleSpec | None = None
    deadline_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class TakeLease:
    """Take every scope the plan needs."""


@dataclass(frozen=True, slots=True)
class BeginStep:
    """Begin the next step."""

    step: int
    title: str


@dataclass(frozen=True, slots=True)
class EndStep:
    """End a step, which succeeded."""

    step: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Start one play for these hosts; before they are touched it asks the claims of ``survey``.

    ``sweep`` are the hosts done earlier that it asks too.
    """

    step: int
    hosts: tuple[str, ...]
    phases: tuple[Phase, ...]
    why: str
    sweep: tuple[str, ...]
    survey: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class AwaitPlays:
    """Wait for the plays of the batches under way."""


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """Request the approvals of a step."""

    step: int
    question: str


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    """Wait a moment, then read the journal again."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop: something was touched, and something failed or is not known."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Refuse:
    """Stop: something failed, and nothing was touched."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop on request of the person ``by``."""

    by: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the run: every step succeeded."""


Decision = (
    Inspect
    | TakeLease
    | BeginStep
    | EndStep
    | Roll
    | AwaitPlays
    | RequestApproval
    | AwaitApproval
    | Hold
    | Refuse
    | Abort
    | Finish
)


def decide(plan: Plan, state: RunState, now: datetime, stop_by: str = "") -> Decision:
    """Return what comes next. No inspection may be running.

    ``stop_by`` requested the driver to stop, whether or not this could be journaled.
    """
    if state.under_way:
        return _beside(plan, state, now, stop_by) or AwaitPlays()
    stop = _observe_or_stop(state, stop_by)
    return stop or _before_lease(plan, state) or _next_step(plan, state, now)


def _beside(plan: Plan, state: RunState, now: datetime, stop_by: str) -> Roll | None:
    """Return the next host of a window, to begin beside those under way; None while none may.

    Not before the act on each of those has begun: their preflight has passed then, and has not seen this host's
    restart. And no further from the oldest of them than the window is wide: a host that does not settle ends the roll
    after at most one window. Nor beside a host that is to be alone in hand.
    """
    step, known = plan.step(state.current_step), state.step
    reasons = (state.failure, state.abort_request, stop_by, state.hosts_to_observe)
    stopping = any(reasons) or state.status is not Status.RUNNING
    if not isinstance(step, PlannedRoll) or not step.window or stopping:
        return None
    if not all(_has_begun(known, batch) for batch in state.under_way):
        return None
    if state.begun_since_oldest() >= step.size(known.rounds, first=not known.done_hosts):
        return None
    gone = known.done_hosts.union(state.hosts_under_way())
    hosts, why = next_batch(step, gone, state.facts, known.rounds)
    if not may_begin_beside(step, hosts, state.hosts_under_way(), state.facts):
        return None
    return Roll(step.number, hosts, ALL_PHASES, why, state.due(now)) if hosts else None


def _has_begun(step: StepState, batch: Batch) -> bool:
    """Return whether an act has begun on each host of a batch, in a whole turn."""
    turns = [step.turns.get(host) for host in batch.hosts]
    return batch.phases == ALL_PHASES and all(
        turn and (turn.in_hand or turn.done) for turn in turns
    )


def _observe_or_stop(state: RunState, stop_by: str) -> Decision | None:
    if state.hosts_to_observe:
        return Inspect(state.current_step, "observe", hosts=tuple(sorted(state.hosts_to_observe)))
    if failure := state.failure or _unknown_outcome(state):
        return _stop(failure, state)
    by = state.abort_request.by if state.abort_request else stop_by
    return Abort(by) if by else None


def _stop(failure: Failure, state: RunState) -> Decision:
    return Hold(failure) if state.touched else Refuse(failure)


def _before_lease(plan: Plan, state: RunState) -> Decision | None:
    if state.grant is not None:
        return None
    survey = plan.survey()
    return TakeLease() if state.proves(survey) else _survey(0, survey)


def _survey(step: int, claims: tuple[Json, ...]) -> Inspect:
    return Inspect(step, "survey", claims, deadline_seconds=SURVEY_DEADLINE_SECONDS)


def _next_step(plan: Plan, state: RunState, now: datetime) -> Decision:
    for step in plan.steps:
        known = state.steps.get(step.number)
        if known is None:
            return BeginStep(step.number, step.title)
        if not known.finished:
            return _in_step(plan, step, known, state, now)
    return Finish()


def _unknown_outcome(state: RunState) -> Failure | None:
    """Return the failure of a host of which it is not known what was restarted; None without one."""
    for step, turn in state.in_hand():
        if turn.outcome_unknown:
            evidence = "a restart was intended, and it is not known whether it happened: the host was not observed"
            return Failure(step.number, turn.host, "", evidence)
        if len({restart.happened for restart in turn.restarts.values()}) > 1:
            evidence = "some units of this host were restarted and some were not: restart the others by hand"
            return Failure(step.number, turn.host, "", evidence)
    return None


def _in_step(
    plan: Plan, step: PlannedStep, known: StepState, state: RunState, now: datetime
) -> Decision:
    if isinstance(step, PlannedRoll):
        return _in_roll(plan, step, known, state, now)
    if isinstance(step, PlannedApprove):
        return _in_approval(step, known, state, now)
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


def _in_roll(
    plan: Plan, step: PlannedRoll, known: StepState, state: RunState, now: datetime
) -> Decision:
    sweep = state.due(now)
    if decision := _in_hand(step, known, sweep):
        return decision
    done = known.done_hosts
    if done.issuperset(step.hosts):
        # Before another roll its first batch sweeps all of them (RunState.due).
        # A freeze restarts nothing, and leaves nobody to ask.
        if done and not known.swept and next_roll(plan, step) is None and (hosts := state.done()):
            return Inspect(step.number, "sweep", hosts=tuple(hosts))
        return EndStep(step.number)
    survey = step.policy.survey
    if known.surveyed or state.proves(survey):
        survey = ()
    elif asks_apart(step) or not state.sweep_owed:
        return _survey(step.number, survey)
    batch, why = next_batch(step, done, state.facts, known.rounds)
    return Roll(step.number, batch, ALL_PHASES, why, sweep, survey)


def _in_hand(step: PlannedRoll, known: StepState, sweep: tuple[str, ...]) -> Decision | None:
    """Return the roll for the hosts that an earlier play left in hand; None without any.

    Undraining comes first: it needs no claim, and more hosts serve after it. A host that was neither
    drained nor restarted counts as not touched, and waits for its turn.
    """
    turns = known.in_hand()
    if drained := tuple(turn.host for turn in turns if turn.drain and not turn.restarted):
        return Roll(step.number, drained, _UNDRAIN_ONLY, "drained, and not restarted yet", sweep)
    if restarted := tuple(turn.host for turn in turns if turn.restarted):
        return Roll(
            step.number, restarted, _VERIFY_AND_UNDRAIN, "restarted before the run stopped", sweep
        )
    return None


def _in_approval(
    step: PlannedApprove, known: StepState, state: RunState, now: datetime
) -> Decision:
    if known.approval_requested_at is not None and known.rejected is not None:
        no = known.rejected
        evidence = f"{step.question}: rejected by {no.person} ({no.by}): {no.reason}"
        return _stop(Failure(step.number, "", "", evidence), state)
    people = approved_by(step, known)
    if len(people) >= step.count:
        return EndStep(step.number)
    if known.approval_requested_at is None:
        return RequestApproval(step.number, step.question)
    may = may_approve(step, known)
    if len(may) < step.count:
        evidence = (
            f"needs {count_of(step.count, 'approval')}; those who may: {join_names(may) or 'none'}"
        )
        return _stop(Failure(step.number, "", "", f"{step.question}: {evidence}"), state)
    if now - known.approval_requested_at >= timedelta(seconds=step.deadline_seconds or 0):
        evidence = f"{len(people)} of {step.count} approvals in {step.deadline_seconds} s"
        return _stop(Failure(step.number, "", "", f"{step.question}: {evidence}"), state)
    return AwaitApproval()
