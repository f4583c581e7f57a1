"""The journals that an older Holdfast wrote (schema_1/), and the states that it folded them to."""

from __future__ import annotations

import json
from pathlib import Path

from holdfast.journal.events import EVENTS, Recorded
from holdfast.journal.run_state import RunState
from holdfast.journal.upgrades import upgrade_event
from holdfast.model import Json
from holdfast.plan.model import plan_of

DIRECTORY = Path(__file__).with_name("schema_1")
STATES: dict[str, dict[str, Json]] = json.loads((DIRECTORY / "states.json").read_text("utf-8"))


def bodies(name: str) -> list[str]:
    """Return the events of a recorded journal as the database held them."""
    return (DIRECTORY / f"{name}.jsonl").read_text("utf-8").splitlines()


def read_recorded(name: str) -> list[Recorded]:
    """Return the events of a recorded journal, upgraded."""
    return [
        Recorded(
            run=STATES[name]["run"],
            seq=seq,
            event=EVENTS.validate_python(upgrade_event(json.loads(body), f"event {seq}")),
        )
        for seq, body in enumerate(bodies(name), 1)
    ]


def describe_state(state: RunState) -> dict[str, Json]:
    """Return a state in the form of ``states.json``."""
    plan = plan_of(state)
    failure = state.failure
    return {
        "run": state.run,
        "seq": state.seq,
        "at": state.at.isoformat() if state.at else None,
        "status": str(state.status),
        "touched": state.touched,
        "current": state.current_step,
        "tokens": dict(state.grant.tokens) if state.grant else {},
        "plan_hash": plan.hash if plan else "",
        "steps": {str(number): _describe_step(step) for number, step in state.steps.items()},
        "batches": [
            [b.step, list(b.hosts), [str(p) for p in b.phases], b.why, list(b.sweep), b.status]
            for b in state.batches
        ],
        "inspections": [
            [i.step, i.what, list(i.hosts), list(i.claims), i.passed] for i in state.inspections
        ],
        "facts": state.facts,
        "proved": sorted(state.proved_claims),
        "done_units": state.done_units,
        "to_observe": sorted(state.hosts_to_observe),
        "failure": {name: getattr(failure, name) for name in ("step", "host", "claim", "evidence")}
        if failure
        else None,
        "abort": [state.abort_request.by, state.abort_request.hard]
        if state.abort_request
        else None,
        "held": _describe_event(state.held),
        "aborted": _describe_event(state.aborted),
        "refused": _describe_event(state.refused),
        "resumed": [_describe_event(event) for event in state.resumed],
    }


def _describe_event(event: Json) -> Json:
    if not event:
        return None
    # What schema 1 did not have has its default.
    later = {"ended"} if not getattr(event, "ended", True) and event.kind == "aborted" else set()
    return event.model_dump(mode="json", exclude={"schema_number", *later})


def _describe_step(step: Json) -> dict[str, Json]:
    return {
        "title": step.title,
        "finished": step.finished,
        "passed": step.passed,
        "surveyed": step.surveyed,
        "swept": step.swept,
        "question_plan": step.approval_plan_hash,
        "approved_by": [approval.by for approval in step.approvals],
        "waits_since": step.approval_requested_at.isoformat()
        if step.approval_requested_at
        else None,
        "turns": {
            host: {
                "done": turn.done,
                "in_hand": turn.in_hand,
                "unknown": turn.outcome_unknown,
                "undo": turn.drain.undo if turn.drain else None,
                "restarts": {
                    unit: [restart.before, restart.after, restart.happened]
                    for unit, restart in turn.restarts.items()
                },
            }
            for host, turn in step.turns.items()
        },
    }
