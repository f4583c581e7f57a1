"""The play of a decision: playbook, limit and variables.

The variables are those of docs/architecture.md, "How a play and the engine talk".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from holdfast.ansible.interfaces import Play
from holdfast.journal.run_state import SWEEP_AT_LEAST, RunState
from holdfast.model import ALL_PHASES, Json, Phase
from holdfast.plan.decide import Inspect, Roll
from holdfast.plan.following import Following, following
from holdfast.plan.model import Plan, PlannedRoll
from holdfast.runbook.model import SettleSpec

MEANWHILE_AT_MOST = 300
"""How many hosts done earlier a parked play sweeps while it waits: so many that it can, each once in a minute."""

CHECK, SWEEP, OBSERVE, MARKS = "check.yml", "sweep.yml", "observe.yml", "marks.yml"


def roll_play(plan: Plan, state: RunState, step: PlannedRoll, roll: Roll) -> Play:
    """Return the play of one batch: first a sweep over hosts done earlier, then the hosts' turn."""
    play = _batch_play(plan, state, step, roll.hosts, roll.phases)
    survey = {"holdfast_survey": list(roll.survey), "holdfast_rounds": state.step.rounds}
    return replace(play, variables={**play.variables, **survey, **roll_word(state, step, roll)})


def roll_word(state: RunState, step: PlannedRoll, roll: Roll) -> dict[str, Json]:
    """Return the variables of a batch's play that are known only once its beginning is in the journal."""
    in_hand = [host for host in state.hosts_under_way() if host not in roll.hosts]
    sweep = _starts(state, roll.sweep)
    # Also where there are none any more: a play that was parked beside hosts in hand leaves those out else.
    word: dict[str, Json] = {"holdfast_in_hand": in_hand, "holdfast_done": state.done()}
    # In a window others begin beside this batch also where it is alone now.
    # So no reading from before the word stands for one at it.
    beside: dict[str, Json] = (
        {"holdfast_begun": state.seq} if step.window else {"holdfast_last_act": state.last_act}
    )
    return {**word, "holdfast_sweep": sweep, **beside}


def parked_play(plan: Plan, state: RunState, following: Following) -> Play:
    """Return the play of the batch that follows the one under way, without what its word says."""
    play = _batch_play(plan, state, following.step, following.hosts, ALL_PHASES)
    in_hand = state.hosts_under_way()
    asked: dict[str, Json] = {
        "holdfast_survey": list(following.survey),
        "holdfast_rounds": following.rounds,
        "holdfast_sweep_meanwhile": _starts(state, state.asked_longest_ago(MEANWHILE_AT_MOST)),
    }
    if following.step.window:
        asked["holdfast_in_hand"] = list(in_hand)
    else:
        asked["holdfast_sweep_expected"] = _expected_starts(state)
    return replace(play, ident=f"{play.ident}-next", variables={**play.variables, **asked})


def _batch_play(
    plan: Plan,
    state: RunState,
    step: PlannedRoll,
    hosts: tuple[str, ...],
    phases: tuple[Phase, ...],
) -> Play:
    settle, deadline = step.settle, step.deadline_seconds
    if step.canary_settle and _is_canary(state, step, hosts):
        settle, deadline = step.canary_settle, step.canary_deadline_seconds
    variables = _common(plan, state) | _timing(settle, deadline)
    variables |= {
        "holdfast_batch": list(hosts),
        "holdfast_phases": [phase.value for phase in phases],
    }
    return Play(
        run=state.run,
        ident=_ident(state, step.playbook),
        playbook=step.playbook,
        inventory=plan.inventory,
        limit=hosts,
        variables={**step.variables, **variables},
        over_when_done=Phase.VERIFY in phases,
    )


def _is_canary(state: RunState, step: PlannedRoll, hosts: tuple[str, ...]) -> bool:
    """Return whether a batch is the first of its step: no other host of it is done or in hand."""
    known, others = state.steps.get(step.number), set(state.hosts_under_way()).difference(hosts)
    in_step = others and state.current_step == step.number
    return step.canary and not in_step and not (known and known.done_hosts)


def inspection_play(plan: Plan, state: RunState, inspection: Inspect) -> Play:
    """Return the play of an inspection."""
    playbook, limit, claims = _inspection(state, inspection)
    return Play(
        run=state.run,
        ident=_ident(state, playbook),
        playbook=playbook,
        inventory=plan.inventory,
        limit=limit,
        variables=_common(plan, state)
        | _timing(inspection.settle, inspection.deadline_seconds)
        | claims,
    )


def unmark_play(
    plan: Plan, state: RunState, parked: Iterable[str] = (), *, without_leases: bool = False
) -> Play:
    """Return the play that removes the run's marks: from every host of its batches, and where runs meet.

    A play that was parked for the batch after the last has marked hosts too: ``parked`` are those that the driver
    knows; of one that died they are guessed as it did.

    The play proves the run's leases, unless it is ``without_leases``: for a run whose driver died with them.
    """
    hosts = dict.fromkeys([*(host for batch in state.batches for host in batch.hosts), *parked])
    last, rolls = state.batches[-1:], [roll for roll in plan.rolls() if roll.number in state.steps]
    for roll in [each for each in rolls if last and each.number == last[0].step]:
        # In a window the last batch need not be the only one that was under way.
        begun = {host for each in state.batches if each.step == roll.number for host in each.hosts}
        if after := following(plan, state, roll, begun):
            hosts |= dict.fromkeys(after.hosts)
            rolls.append(after.step)
    groups = [roll.policy.group for roll in rolls]
    unmark: dict[str, Json] = {"groups": list(dict.fromkeys(groups)), "hosts": list(hosts)}
    unmark |= {"run": state.run} if without_leases else {}
    # It is not journaled; what was journaled before it, a resume at least, makes its name unique.
    ident = f"{_ident(state, MARKS)}-{len(state.resumed)}"
    variables = _common(plan, state) | {"holdfast_unmark": unmark}
    return Play(state.run, ident, MARKS, plan.inventory, (), variables)


def _inspection(
    state: RunState, inspection: Inspect
) -> tuple[str, tuple[str, ...], dict[str, Json]]:
    """Return playbook, limit and the variables that say what is inspected."""
    if inspection.what == "observe":
        units = {host: _units(state, host) for host in inspection.hosts}
        return OBSERVE, inspection.hosts, {"holdfast_observe": units}
    if inspection.what == "sweep":
        hosts = inspection.hosts
        done = {"holdfast_done": list(hosts), "holdfast_sweep": _starts(state, hosts)}
        return SWEEP, hosts[-1:], done
    claims: dict[str, Json] = {"holdfast_check_claims": list(inspection.claims)}
    if inspection.hosts:
        claims["holdfast_check_hosts"] = list(inspection.hosts)
    return CHECK, inspection.hosts, claims


def _ident(state: RunState, playbook: str) -> str:
    """Return a name that is unique in the run: every play's start is journaled before this."""
    number = len(state.batches) + len(state.inspections)
    return f"{number:04d}-{playbook.removesuffix('.yml').replace('_', '-')}"


def _common(plan: Plan, state: RunState) -> dict[str, Json]:
    tokens = state.grant.tokens if state.grant else {}
    opened = state.opened
    why = {"holdfast_by": opened.by, "holdfast_reason": opened.reason} if opened else {}
    return {
        "holdfast_run": state.run,
        "holdfast_grant": dict(tokens),
        "holdfast_site": plan.site,
        **why,
    }


def _timing(settle: SettleSpec | None, deadline_seconds: int | None) -> dict[str, Json]:
    """Return only what the runbook sets; the roles' defaults apply to the rest."""
    timing: dict[str, Json] = {}
    if settle is not None:
        timing["holdfast_settle_seconds"] = settle.seconds
        timing["holdfast_settle_readings"] = settle.readings
    if deadline_seconds is not None:
        timing["holdfast_gate_deadline_seconds"] = deadline_seconds
    return timing


def _starts(state: RunState, hosts: Iterable[str]) -> dict[str, Json]:
    """Return per host the InvocationIDs of the units that this run restarted."""
    return {host: state.done_units[host] for host in hosts}


def _expected_starts(state: RunState) -> dict[str, Json]:
    """Return what the next batch's sweep asks if the hosts under way are done by then, as ``RunState.due``."""
    turns = {turn.host: turn for _, turn in state.in_hand()}
    earlier: dict[str, Json] = _starts(state, state.asked_longest_ago(SWEEP_AT_LEAST))
    begun: dict[str, Json] = {
        host: {
            **state.done_units.get(host, {}),
            **{unit: restart.after for unit, restart in turns[host].restarts.items()},
        }
        for host in state.hosts_under_way()
        if host in turns and all(restart.after for restart in turns[host].restarts.values())
    }
    return dict(islice({**earlier, **begun}.items(), SWEEP_AT_LEAST))


def _units(state: RunState, host: str) -> list[str]:
    """Return the units of a host that this run restarted or may have restarted."""
    units = dict.fromkeys(state.done_units.get(host, {}))
    for _, turn in state.in_hand():
        if turn.host == host:
            units |= dict.fromkeys(turn.restarts)
            if turn.drain is not None:
                units |= {turn.drain.unit: None}
    return list(units)
