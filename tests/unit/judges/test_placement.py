"""Whether placement's tables can be moved, and whether going back would lose a write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.judges import placement as judge
from holdfast.model import Outcome, Unanswered
from holdfast.observations.placement import (
    PlacementAnswer,
    PlacementHost,
    TableFigures,
    TableSet,
    TwoSets,
    WayBack,
    WriterUnits,
)
from tests.unit.judges.verdicts import cases, outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
FIGURES = {
    "resource_providers": TableFigures(3, 7, "11"),
    "users": TableFigures(2, 2, "5"),
}
OLD = TableSet("nova_api", tuple(FIGURES), (*FIGURES, "instance_mappings"), FIGURES, 2**20)
NEW = TableSet("placement", tuple(FIGURES), (), {})
UNUSED = replace(NEW, names=("holdfast_copy", "users"), run="r1")
USED = replace(NEW, names=tuple(FIGURES), figures=FIGURES)
ON_OLD, ON_NEW = PlacementHost("source", active=True), PlacementHost("target", active=False)
OTHER, SILENT = PlacementHost("other", active=True), Unanswered("ctl2 is unreachable")


@pytest.mark.parametrize(
    ("tables", "wanted"),
    cases(
        [
            ("whole", OLD, (PASS, "whole")),
            ("a table less", replace(OLD, figures={"users": FIGURES["users"]}), (FAIL, "tables_missing")),
            ("none", replace(OLD, figures={}), (FAIL, "tables_missing")),
            (
                "no provider",
                replace(OLD, figures={**FIGURES, "resource_providers": TableFigures(0, 0, "0")}),
                (FAIL, "nothing_to_move"),
            ),
        ]
    ),
)  # fmt: skip
def test_the_old_database_has_what_is_moved(tables: TableSet, wanted: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(judge.source_whole("c", tables)) == wanted


@pytest.mark.parametrize(
    ("tables", "wanted"),
    cases(
        [
            ("empty", NEW, (PASS, "empty")),
            ("ours", UNUSED, (PASS, "unused_copy")),
            ("rows", USED, (FAIL, judge.NOT_EMPTY)),
            ("a schema", replace(NEW, names=("alembic_version",)), (FAIL, judge.NOT_EMPTY)),
        ]
    ),
)
def test_the_new_database_has_nothing_of_others(
    tables: TableSet, wanted: tuple[Outcome, str]
) -> None:
    assert outcome_and_reason(judge.target_empty("c", tables)) == wanted


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"users": FIGURES["users"]},
        {**FIGURES, "users": TableFigures(3, 2, "5")},
        {**FIGURES, "users": TableFigures(2, 3, "5")},
        {**FIGURES, "users": TableFigures(2, 2, "6")},
    ],
)
def test_one_difference_is_no_copy_and_a_write(figures: dict[str, TableFigures]) -> None:
    there = replace(USED, figures=figures)
    assert judge.copy_agrees("c", TwoSets(OLD, USED)).passed
    assert outcome_and_reason(judge.copy_agrees("c", TwoSets(OLD, there))) == (FAIL, judge.DIFFERS)
    now = replace(OLD, figures=figures)
    assert judge.source_unchanged("c", OLD, FIGURES).passed
    assert outcome_and_reason(judge.source_unchanged("c", now, FIGURES)) == (FAIL, judge.CHANGED)


def test_the_same_tables_missing_on_both_sides_are_no_copy() -> None:
    half = {"users": FIGURES["users"]}
    sets = TwoSets(replace(OLD, figures=half), replace(USED, figures=half))
    assert outcome_and_reason(judge.copy_agrees("c", sets)) == (FAIL, judge.DIFFERS)


@pytest.mark.parametrize(
    ("states", "wanted"),
    cases(
        [
            ("stopped", {"nova-api on ctl1": "inactive", "nova-api on ctl2": "failed"}, PASS),
            ("one runs", {"nova-api on ctl1": "inactive", "nova-api on ctl2": "active"}, FAIL),
            ("one stops", {"nova-api on ctl1": "deactivating"}, FAIL),
            ("one is silent", {"nova-api on ctl1": "inactive", "x on ctl2": SILENT}, UNKNOWN),
            ("one runs, one is silent", {"x on ctl1": "active", "x on ctl2": SILENT}, FAIL),
            ("nobody", {}, UNKNOWN),
        ]
    ),
)
def test_writers_are_stopped_where_all_say_so(
    states: dict[str, str | Unanswered], wanted: Outcome
) -> None:
    assert judge.writers_stopped("c", WriterUnits(states)).outcome is wanted


@pytest.mark.parametrize(
    ("states", "wanted"),
    cases(
        [
            ("all run", {"nova-api on ctl1": "active", "placement-api on ctl1": "active"}, PASS),
            ("one was stopped", {"nova-api on ctl1": "active", "x on ctl2": "inactive"}, FAIL),
            ("one is silent", {"nova-api on ctl1": "active", "x on ctl2": SILENT}, UNKNOWN),
            ("nobody", {}, UNKNOWN),
        ]
    ),
)
def test_what_somebody_has_stopped_is_not_started_by_a_move(
    states: dict[str, str | Unanswered], wanted: Outcome
) -> None:
    assert judge.writers_run("c", WriterUnits(states)).outcome is wanted


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    cases(
        [
            ("as the vault has it", {"ctl1": ON_OLD, "ctl2": ON_OLD}, (PASS, "old_database")),
            ("one otherwise", {"ctl1": ON_OLD, "ctl2": OTHER}, (FAIL, "other_connection")),
            ("moved already", {"ctl1": ON_NEW, "ctl2": OTHER}, (FAIL, "on_new_database")),
            ("one is silent", {"ctl1": ON_OLD, "ctl2": SILENT}, (UNKNOWN, "unanswered")),
            ("nobody", {}, (UNKNOWN, "unanswered")),
        ]
    ),
)
def test_a_connection_that_cannot_be_exchanged_is_seen_before_the_outage(
    hosts: dict[str, PlacementHost | Unanswered], wanted: tuple[Outcome, str]
) -> None:
    verdict = judge.on_old_database("c", WayBack(hosts, NEW))
    assert outcome_and_reason(verdict) == wanted
    assert verdict.passed or "nothing was touched" in verdict.message or verdict.outcome is UNKNOWN


@pytest.mark.parametrize(
    ("hosts", "target", "wanted"),
    cases(
        [
            ("nothing was switched", {"ctl1": ON_OLD}, UNUSED, (PASS, "not_used")),
            ("there is no copy", {"ctl1": ON_OLD}, NEW, (PASS, "not_used")),
            ("switched, not started", {"ctl1": ON_NEW, "ctl2": ON_OLD}, UNUSED, (PASS, "not_used")),
            (
                "switched, and somebody has started it",
                {"ctl1": PlacementHost("target", active=True)},
                UNUSED,
                (FAIL, judge.PAST),
            ),
            ("placement has it", {"ctl1": ON_NEW, "ctl2": ON_OLD}, USED, (FAIL, judge.PAST)),
            ("past, and one is silent", {"ctl1": ON_NEW, "ctl2": SILENT}, USED, (FAIL, judge.PAST)),
            ("one is silent", {"ctl1": ON_OLD, "ctl2": SILENT}, UNUSED, (UNKNOWN, "unanswered")),
            ("a third database", {"ctl1": OTHER}, UNUSED, (UNKNOWN, "other_connection")),
            ("nobody", {}, UNUSED, (UNKNOWN, "unanswered")),
        ]
    ),
)
def test_the_way_back_ends_where_placement_has_the_copy(
    hosts: dict[str, PlacementHost | Unanswered], target: TableSet, wanted: tuple[Outcome, str]
) -> None:
    assert outcome_and_reason(judge.may_go_back("c", WayBack(hosts, target))) == wanted


@pytest.mark.parametrize(
    ("status", "providers", "wanted"),
    [(200, 3, PASS), (200, 2, FAIL), (200, 0, FAIL), (401, 0, FAIL), (503, 0, FAIL)],
)
def test_placement_answers_with_its_providers(status: int, providers: int, wanted: Outcome) -> None:
    answer = PlacementAnswer("ctl1", status, providers)
    assert judge.answers_nova("c", answer, 3).outcome is wanted
