"""The verdict on what a compute has in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from holdfast.judges.nova.compute import compute_idle
from holdfast.model import Outcome
from holdfast.observations.nova import ComputeWork, Instance, ListedService, Migration
from tests.unit.judges.verdicts import outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
UP = ListedService(
    "nova-compute", "cmp1", "enabled", "up", "2026-11-21T00:30:05", "", forced_down=False
)
OTHER = replace(UP, id="of another cell")
DISABLED = replace(UP, status="disabled", disabled_reason="disk is failing")
SILENT_CELL = ListedService("nova-compute", "cmp1", "UNKNOWN", "", "", "", forced_down=False)


def work(
    instances: Sequence[Instance] = (),
    migrations: Sequence[Migration] = (),
    before: Sequence[ListedService] = (UP,),
    after: Sequence[ListedService] = (UP,),
) -> ComputeWork:
    return ComputeWork("cmp1", before, instances, migrations, after)


ACTIVE = Instance("i1", "ACTIVE", "")
LIVE = Migration("7", "live-migration", "running")
LEFT_OVER = Migration("5", "evacuation", "accepted", 72.0, "its instance i9 is gone")


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (work(), (PASS, "idle")),
        (work([ACTIVE]), (PASS, "idle")),
        (work([Instance("i2", "ERROR", "")]), (PASS, "idle")),
        (work(before=[DISABLED], after=[DISABLED]), (PASS, "idle")),
        (work([ACTIVE, Instance("i2", "ACTIVE", "rebooting")]), (FAIL, "in_flight")),
        (work([Instance("i2", "BUILD", "")]), (FAIL, "in_flight")),
        (work([Instance("i2", "REBUILD", "")]), (FAIL, "in_flight")),
        (work(migrations=[LIVE]), (FAIL, "in_flight")),
        (work(migrations=[replace(LIVE, status="queued")]), (FAIL, "in_flight")),
        (work(migrations=[replace(LIVE, status="completed")]), (PASS, "idle")),
        (work(migrations=[replace(LIVE, status="confirmed")]), (PASS, "idle")),
        (work(migrations=[replace(LIVE, status="something new")]), (FAIL, "in_flight")),
        (work(migrations=[replace(LIVE, status="finished")]), (PASS, "idle")),
        # The lists of a silent cell are empty, and prove nothing.
        (work(before=[]), (UNKNOWN, "cell_silent")),
        (work(after=[]), (UNKNOWN, "cell_silent")),
        (work(before=[SILENT_CELL]), (UNKNOWN, "cell_silent")),
        (work(after=[SILENT_CELL]), (UNKNOWN, "cell_silent")),
        (work([Instance("i2", "UNKNOWN", "")]), (UNKNOWN, "cell_silent")),
        # Which of two entries is this host's is not known, so neither is whose lists these are.
        (work(before=[UP, OTHER]), (UNKNOWN, "listed_twice")),
        (work(after=[UP, OTHER]), (UNKNOWN, "listed_twice")),
        (work(before=[UP, SILENT_CELL]), (UNKNOWN, "cell_silent")),
        # A migration row that never ends.
        (work(migrations=[LEFT_OVER]), (PASS, "idle")),
        (work(migrations=[replace(LEFT_OVER, at_rest="")]), (FAIL, "in_flight")),
        (work(migrations=[replace(LEFT_OVER, idle_hours=23.9)]), (FAIL, "in_flight")),
        (work(migrations=[replace(LEFT_OVER, idle_hours=24.0)]), (PASS, "idle")),
        (work(migrations=[LEFT_OVER, LIVE]), (FAIL, "in_flight")),
    ],
)
def test_compute_idle(observed: ComputeWork, verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(compute_idle("c", observed, wait_for_users=False)) == verdict


def test_an_unconfirmed_resize_is_in_flight_only_where_the_site_waits_for_users() -> None:
    done = replace(LIVE, status="completed")
    resize = work(migrations=[done, Migration("8", "resize", "finished")])
    assert compute_idle("c", resize, wait_for_users=False).evidence["waiting_for_user"] == ["8"]
    verdict = compute_idle("c", resize, wait_for_users=True)
    assert outcome_and_reason(verdict) == (FAIL, "in_flight")
    assert verdict.message == "cmp1 has 1 in flight: resize 8 is finished"


def test_what_is_in_flight_is_named() -> None:
    observed = work([Instance("i2", "ACTIVE", "rebooting")], [LIVE])
    message = compute_idle("c", observed, wait_for_users=False).message
    assert message == (
        "cmp1 has 2 in flight: instance i2 is in ACTIVE, rebooting; live-migration 7 is running"
    )


def test_a_migration_that_never_ends_is_named_and_left_out() -> None:
    old = replace(LEFT_OVER, idle_hours=24.0 * 30)
    verdict = compute_idle("c", work(migrations=[old]), wait_for_users=False)
    text = "evacuation 5 is accepted for 30 days, its instance i9 is gone"
    assert verdict.message.endswith(f"; left out: {text}")
    assert compute_idle("c", work(migrations=[old, LIVE]), wait_for_users=False).evidence == {
        "instances": 0,
        "busy": ["live-migration 7 is running"],
        "left_over": [text],
        "waiting_for_user": [],
    }


def test_of_many_operations_ten_are_in_the_evidence() -> None:
    many = [*([LIVE] * 11), *([LEFT_OVER] * 11), *([replace(LIVE, status="finished")] * 11)]
    verdict = compute_idle("c", work(migrations=many), wait_for_users=False)
    assert {what: len(each) for what, each in verdict.evidence.items() if what != "instances"} == {
        "busy": 10,
        "left_over": 10,
        "waiting_for_user": 10,
    }


def test_entries_that_are_one_too_many_are_named() -> None:
    entries = [replace(UP, id="a"), replace(UP, id="b", state="down")]
    for observed in (work(before=entries), work(after=entries)):
        message = compute_idle("c", observed, wait_for_users=False).message
        assert "nova lists it 2 times (a up, b down)" in message
