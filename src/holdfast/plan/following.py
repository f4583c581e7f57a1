"""Which batch follows the one under way, if all goes well: what a parked play is for (docs/adr/0054)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from holdfast.journal.run_state import RunState
from holdfast.model import Json, Phase
from holdfast.plan.model import Plan, PlannedRoll, PlannedStep
from holdfast.plan.next_batch import next_batch


@dataclass(frozen=True, slots=True)
class Following:
    """A batch that will follow: its step, its hosts, the survey that its play asks first, and ``StepState.rounds``."""

    step: PlannedRoll
    hosts: tuple[str, ...]
    survey: tuple[Json, ...] = ()
    rounds: int = 0


def following(
    plan: Plan, state: RunState, step: PlannedRoll, hosts: Collection[str]
) -> Following | None:
    """Return the batch after those of ``hosts``, in this step or in the next; None where a play comes between."""
    known = state.steps.get(step.number)
    done = {*(known.done_hosts if known else ()), *hosts}
    # Not those that a resume finishes.
    whole = sum(Phase.PREFLIGHT in batch.phases for batch in state.under_way)
    rounds = (known.rounds if known else 0) + whole
    if batch := next_batch(step, done, state.facts, rounds)[0]:
        surveyed = known is not None and (known.surveyed or state.proves(step.policy.survey))
        return Following(step, batch, rounds=rounds) if surveyed else None
    later = next_roll(plan, step)
    if later is None or asks_apart(later):
        return None
    return Following(later, next_batch(later, frozenset(), state.facts)[0], later.policy.survey)


def next_roll(plan: Plan, step: PlannedStep) -> PlannedRoll | None:
    """Return the step after this one if it is a roll; one that ``--limit`` left without hosts starts no play."""
    later = (each for each in plan.steps if each.number > step.number)
    after = next((e for e in later if not isinstance(e, PlannedRoll) or e.hosts), None)
    return after if isinstance(after, PlannedRoll) else None


def asks_apart(roll: PlannedRoll) -> bool:
    """Return whether the survey before a roll is a play of its own: what it finds decides which host is first.

    A survey that passes has found no host ill, so it is only leaders that may decide.
    """
    return bool(roll.policy.survey) and "fewest_leaders_first" in roll.policy.order
