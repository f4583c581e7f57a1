"""The shapes of events: what an entry of each kind must say, and what is true where it does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from holdfast.journal.events import EVENTS, Finished, Recorded, journaled
from holdfast.journal.upgrades import SCHEMA
from holdfast.model import Json, Outcome, Verdict

AT = "2026-11-21T23:04:00Z"
GATE: Json = {
    "host": "a", "gate": "g", "phase": "verify", "outcome": "PASS", "verdicts": [], "readings": 1, "seconds": 1.0
}  # fmt: skip
UNIT = {"host": "a", "unit": "u", "invocation_id": "i"}
ACT = {**UNIT, "act": "restart"}
BY = {"by": "ada", "reason": "r", "controller": "c", "process": 1}
APPROVED = {"step": 1, "by": "ada", "plan_hash": "h"}

SMALLEST: dict[str, tuple[dict[str, Json], dict[str, Json]]] = {
    "run_opened": (
        {"runbook": "r", "runbook_hash": "h", "site": "s", **BY},
        {"playbook": "", "inputs": {}, "plan": {}},
    ),
    "lease_taken": ({"tokens": {}}, {}),
    "step_started": ({"step": 1, "title": "t"}, {}),
    "step_finished": ({"step": 1}, {}),
    "batch_started": (
        {"step": 1, "hosts": ["a"], "phases": ["drain"], "why": "w"},
        {"sweep": [], "survey": []},
    ),
    "batch_ended": ({"step": 1, "status": "ok", "hosts": {"a": "ok"}}, {"messages": {}}),
    "inspection_started": ({"step": 1, "what": "sweep"}, {"hosts": [], "claims": []}),
    "inspection_ended": ({"step": 1, "what": "sweep", "status": "ok"}, {"messages": {}}),
    "gate_judged": (GATE, {}),
    "act_intended": (ACT, {"undo": "", "ends_with_restart": False, "log": {}}),
    "act_done": (ACT, {"seconds": 0.0, "changed": True}),
    "host_done": (UNIT, {}),
    "observed": ({**UNIT, "active": True}, {}),
    "baseline_taken": ({"name": "n", "values": {}}, {}),
    "silence_placed": (
        {"host": "ctl1", "service": "Icinga", "names": ["n"], "until": AT, "undo": "u"},
        {},
    ),
    "silence_ended": ({"host": "ctl1", "service": "Icinga", "names": ["n"]}, {}),
    "approval_requested": (
        {"step": 1, "question": "q", "plan_hash": "h"},
        {"people": {}, "starter": ""},
    ),
    "approved": (APPROVED, {"person": ""}),
    "rejected": ({**APPROVED, "person": "ada", "reason": "r"}, {}),
    "abort_requested": ({"by": "ada"}, {"hard": False}),
    "resumed": (BY, {"ended": []}),
    "refused": ({"evidence": "e"}, {"step": 0, "claim": "", "next_commands": []}),
    "held": (
        {"evidence": "e"},
        {"host": "", "step": 0, "claim": "", "left": [], "next_commands": [], "code": 4},
    ),
    "aborted": ({"by": "ada"}, {"ended": [], "left": [], "next_commands": []}),
    "finished": ({}, {}),
}
"""By kind: what an event must say, and what one means that says no more."""


@pytest.mark.parametrize("kind", SMALLEST)
def test_an_event_means_the_same_whether_it_says_its_defaults_or_not(kind: str) -> None:
    """So a journal that was written before a field existed is read as one that has it."""
    said, unsaid = SMALLEST[kind]
    event = EVENTS.validate_python({"at": AT, "kind": kind, **said})
    written = {"schema": SCHEMA, "at": AT, "kind": kind, **said, **unsaid}
    assert event.model_dump(mode="json") == written
    assert EVENTS.validate_python(written) == event


@pytest.mark.parametrize("kind", SMALLEST)
def test_an_event_that_says_too_little_or_too_much_is_damaged(kind: str) -> None:
    said, _ = SMALLEST[kind]
    whole = {"at": AT, "kind": kind, **said}
    for missing in set(whole) - {"kind"}:
        with pytest.raises(ValidationError, match=f"{kind}.{missing}"):
            EVENTS.validate_python({key: whole[key] for key in whole if key != missing})
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        EVENTS.validate_python({**whole, "another": 1})


def test_every_kind_is_in_the_table() -> None:
    with pytest.raises(ValidationError) as caught:
        EVENTS.validate_python({"at": AT, "kind": "none"})
    [error] = caught.value.errors()
    assert error["type"] == "union_tag_invalid"
    assert sorted(SMALLEST) == sorted(
        each.strip("' ") for each in error["ctx"]["expected_tags"].split(",")
    )


def test_what_happened_does_not_change() -> None:
    event = Finished(at=datetime(2026, 11, 21, 23, 4, tzinfo=UTC))
    for value, name in ((event, "at"), (Recorded(run="r", seq=1, event=event), "seq")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, name, getattr(value, name))


def test_a_journaled_verdict_names_no_host_that_is_healthy() -> None:
    """A gate over ten thousand hosts is an event of a few hundred bytes."""
    facts: Json = {f"h{number}": {"healthy": True} for number in range(10_000)}
    facts |= {
        "ill": {"healthy": False},
        "silent": {"healthy": None},
        "broker": {"healthy": True, "leaders": 0},
    }
    verdict = Verdict("c", Outcome.FAIL, "r", "m", {"hosts": 10_003}, facts)

    assert journaled(verdict) == {
        **verdict.as_json(),
        "hosts": {"ill": {"healthy": False}, "silent": {"healthy": None}, "broker": {"leaders": 0}},
    }
