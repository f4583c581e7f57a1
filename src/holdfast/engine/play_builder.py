"""Which play a decision asks for: playbook, limit and variables.

Owns the engine's half of docs/architecture.md, "How a play and the engine talk".
"""

from __future__ import annotations

from holdfast.ansible.interfaces import Play
from holdfast.journal import RunState
from holdfast.model import Json
from holdfast.plan import Inspect, Plan, PlannedRoll, Roll
from holdfast.runbook import SettleSpec

CHECK, SWEEP, OBSERVE = "check.yml", "sweep.yml", "observe.yml"


def roll_play(plan: Plan, state: RunState, step: PlannedRoll, roll: Roll) -> Play:
    """The play of one batch: first the sweep over what is done, then the hosts' turn."""
    variables = _common(plan, state) | _pace(step.settle, step.deadline_seconds)
    variables |= {
        "holdfast_batch": list(roll.hosts),
        "holdfast_phases": [phase.value for phase in roll.phases],
        "holdfast_done": list(roll.sweep),
        "holdfast_done_units": _done_units(state),
    }
    return Play(
        run=state.run,
        ident=_ident(state, step.playbook),
        playbook=step.playbook,
        inventory=plan.inventory,
        limit=tuple(dict.fromkeys((*roll.sweep, *roll.hosts))),
        variables={**step.variables, **variables},
    )


def inspection_play(plan: Plan, state: RunState, look: Inspect) -> Play:
    """The play that only looks."""
    playbook, limit, asked = _look(state, look)
    return Play(
        run=state.run,
        ident=_ident(state, playbook),
        playbook=playbook,
        inventory=plan.inventory,
        limit=limit,
        variables=_common(plan, state) | _pace(look.settle, look.deadline_seconds) | asked,
    )


def _look(state: RunState, look: Inspect) -> tuple[str, tuple[str, ...], dict[str, Json]]:
    """Playbook, limit and what to look at."""
    if look.what == "observe":
        units = {host: _units(state, host) for host in look.hosts}
        return OBSERVE, look.hosts, {"holdfast_observe": units}
    if look.what == "sweep":
        done = {"holdfast_done": list(look.hosts), "holdfast_done_units": _done_units(state)}
        return SWEEP, look.hosts, done
    asked: dict[str, Json] = {"holdfast_check_claims": list(look.claims)}
    if look.hosts:
        asked["holdfast_check_hosts"] = list(look.hosts)
    return CHECK, look.hosts, asked


def _ident(state: RunState, playbook: str) -> str:
    """Unique within the run: every play's start is journaled before it is composed."""
    number = len(state.batches) + len(state.inspections)
    return f"{number:04d}-{playbook.removesuffix('.yml').replace('_', '-')}"


def _common(plan: Plan, state: RunState) -> dict[str, Json]:
    tokens = state.grant.tokens if state.grant else {}
    opened = state.opened
    words = {"holdfast_by": opened.by, "holdfast_reason": opened.reason} if opened else {}
    return {
        "holdfast_run": state.run,
        "holdfast_grant": dict(tokens),
        "holdfast_site": plan.site,
        **words,
    }


def _pace(settle: SettleSpec | None, deadline_seconds: int | None) -> dict[str, Json]:
    """Only what the runbook says; the roles' defaults apply to the rest."""
    pace: dict[str, Json] = {}
    if settle is not None:
        pace["holdfast_settle_seconds"] = settle.seconds
        pace["holdfast_settle_readings"] = settle.readings
    if deadline_seconds is not None:
        pace["holdfast_gate_deadline_seconds"] = deadline_seconds
    return pace


def _done_units(state: RunState) -> dict[str, dict[str, str]]:
    return {host: dict(state.done_units[host]) for host in state.done()}


def _units(state: RunState, host: str) -> list[str]:
    """The units of a host that this run restarted or may have restarted."""
    units = dict.fromkeys(state.done_units.get(host, {}))
    for _, turn in state.in_hand():
        if turn.host == host:
            units |= dict.fromkeys(turn.restarts)
            if turn.drain is not None:
                units |= {turn.drain.unit: None}
    return list(units)
