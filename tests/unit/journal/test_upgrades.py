"""Events and plans of older schemas are read, those of newer ones are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from holdfast.errors import StateUnusable
from holdfast.journal.events import EVENTS, AbortRequested
from holdfast.journal.fold import fold
from holdfast.journal.upgrades import SCHEMA, upgrade_event, upgrade_plan
from holdfast.model import Json
from holdfast.plan.model import Plan
from tests.unit.journal.recorded import STATES, bodies, describe_state, read_recorded

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)


def recorded_events(kind: str) -> list[dict[str, Json]]:
    """Return all events of a kind in the recorded journals, as they were written."""
    events = [json.loads(body) for name in STATES for body in bodies(name)]
    return [event for event in events if event["kind"] == kind]


@pytest.mark.parametrize("name", STATES)
def test_a_journal_of_schema_1_folds_to_the_state_it_had_then(name: str) -> None:
    assert describe_state(fold(read_recorded(name))) == STATES[name]


def test_the_recorded_journals_have_everything_that_schema_2_changed() -> None:
    kinds = {"look_started", "look_ended", "approval_wanted", "abort_asked"}
    assert all(recorded_events(kind) for kind in kinds)
    assert any("drained" in event for event in recorded_events("observed"))
    assert any(event["detail"] for event in recorded_events("act_intended"))
    assert any(event["detail"] for event in recorded_events("act_done"))
    assert any(event["phase"] == "survey" for event in recorded_events("gate_judged"))


def test_an_event_without_a_number_is_of_schema_1() -> None:
    written = {"at": NOW, "kind": "abort_asked", "by": "ada", "hard": True}

    upgraded = upgrade_event(written, "event 1")

    assert upgraded["schema"] == SCHEMA
    assert EVENTS.validate_python(upgraded) == AbortRequested(at=NOW, by="ada", hard=True)
    assert written["kind"] == "abort_asked", "the argument is not changed"


def test_a_field_that_another_kind_had_is_damage_and_stays() -> None:
    for field, value in (("phase", "survey"), ("drained", True), ("detail", "x")):
        upgraded = upgrade_event({"at": NOW, "kind": "finished", field: value}, "event 1")
        assert upgraded[field] == value


def test_an_event_of_the_present_schema_stays_as_it_is() -> None:
    event = {"schema": SCHEMA, "at": NOW, "kind": "finished"}

    assert upgrade_event(event, "event 1") == event


@pytest.mark.parametrize("upgrade", [upgrade_event, upgrade_plan])
def test_a_newer_schema_is_refused_with_what_to_do(upgrade: Json) -> None:
    with pytest.raises(StateUnusable, match=r"event 7 of run R has schema 3, .* newer") as caught:
        upgrade({"schema": SCHEMA + 1, "kind": "from_the_future"}, "event 7 of run R")

    assert "upgrade this Holdfast" in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("number", [0, -1, None, True, "2", 1.5, [], {}])
def test_what_is_no_schema_number_is_refused_by_the_validation(number: Json) -> None:
    event = upgrade_event({"schema": number, "at": NOW, "kind": "finished"}, "event 1")

    with pytest.raises(ValueError, match="schema"):
        EVENTS.validate_python(event)


# --- plans


def plan_of_schema_1() -> dict[str, Json]:
    [opened, *_] = [json.loads(body) for body in bodies("waiting_for_approval")]
    written: dict[str, Json] = opened["plan"]
    assert "schema" not in written
    return written


def test_a_plan_of_schema_1_keeps_the_hash_that_approvals_are_bound_to() -> None:
    plan = Plan.from_journal(plan_of_schema_1(), "the plan of run R")

    assert plan.hash == STATES["waiting_for_approval"]["plan_hash"]


def test_a_new_plan_is_written_with_its_schema_number_which_is_part_of_its_hash() -> None:
    old = Plan.from_journal(plan_of_schema_1(), "the plan of run R")
    new = Plan.from_journal(old.as_json(), "the plan of run R")

    assert new.as_json()["schema"] == SCHEMA
    assert new.hash != old.hash
    assert Plan.from_journal(new.as_json(), "the plan").hash == new.hash


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": SCHEMA + 1}, r"the plan of run R has schema 3, .* newer Holdfast"),
        ({"schema": "two"}, "the plan of run R cannot be read: schema"),
        ({"steps": [{"kind": "teleport"}]}, r"the plan of run R cannot be read: steps\.0"),
    ],
)
def test_a_plan_that_cannot_be_read_is_an_error_with_a_remedy(
    change: dict[str, Json], complaint: str
) -> None:
    with pytest.raises(StateUnusable, match=complaint) as caught:
        Plan.from_journal(plan_of_schema_1() | change, "the plan of run R")

    assert caught.value.remedy
