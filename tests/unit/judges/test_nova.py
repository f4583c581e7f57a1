"""Given what nova lists, which verdict: services, heartbeats, the work of a compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from holdfast.judges.base import Observation, Unanswered
from holdfast.judges.nova import (
    Expected,
    Instance,
    Migration,
    Service,
    ServiceList,
    Work,
    compute_idle,
    heartbeat_advanced,
    services_up,
)
from holdfast.model import Outcome, Verdict

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
SILENT = Unanswered("no token from keystone: login refused (401)")

UP = Service("nova-compute", "cmp1", "enabled", "up", "2026-11-21T00:30:05", "", forced_down=False)
CONDUCTOR = replace(UP, binary="nova-conductor", host="ctl1")
DOWN = replace(UP, state="down")
DISABLED = replace(UP, status="disabled", disabled_reason="disk is failing")
SILENT_CELL = Service("nova-compute", "cmp1", "UNKNOWN", "", "", "", forced_down=False)

EXPECTED = (
    Expected("nova-conductor", "ctl1", "ctl1"),
    Expected("nova-compute", "cmp1", "cmp1"),
)


def said(verdict: Verdict) -> tuple[Outcome, str]:
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("listed", "verdict"),
    [
        ([CONDUCTOR, UP], (PASS, "up")),
        ([CONDUCTOR, DISABLED], (PASS, "up")),
        ([CONDUCTOR, DOWN], (FAIL, "not_up")),
        ([CONDUCTOR, replace(UP, forced_down=True)], (FAIL, "not_up")),
        ([CONDUCTOR, replace(UP, state="")], (FAIL, "not_up")),
        ([CONDUCTOR], (FAIL, "not_up")),
        ([CONDUCTOR, replace(UP, host="cmp2")], (FAIL, "not_up")),
        ([CONDUCTOR, SILENT_CELL], (UNKNOWN, "cell_silent")),
        # The entries of a silent cell's conductors are left out, not marked.
        ([SILENT_CELL], (UNKNOWN, "cell_silent")),
        ([], (UNKNOWN, "cell_silent")),
    ],
)
def test_services_up(listed: Sequence[Service], verdict: tuple[Outcome, str]) -> None:
    assert said(services_up("c", [ServiceList(EXPECTED, listed)])) == verdict


def test_services_up_judges_the_last_reading_alone() -> None:
    good, bad = ServiceList(EXPECTED, [CONDUCTOR, UP]), ServiceList(EXPECTED, [CONDUCTOR, DOWN])
    assert services_up("c", [bad, SILENT, good]).passed
    assert not services_up("c", [good, bad]).passed
    assert said(services_up("c", [good, SILENT])) == (UNKNOWN, "unanswered")


def test_services_up_names_what_is_disabled_what_is_strange_and_who_is_healthy() -> None:
    listed = [CONDUCTOR, replace(DISABLED, state="down"), replace(UP, host="gone")]
    verdict = services_up("c", [ServiceList(EXPECTED, listed)])
    assert verdict.evidence["disabled"] == {"nova-compute on cmp1": "disk is failing"}
    assert verdict.evidence["not_in_inventory"] == ["nova-compute on gone"]
    assert verdict.hosts == {"cmp1": {"healthy": False}, "ctl1": {"healthy": True}}


def test_a_service_is_found_under_the_name_nova_has_for_its_host() -> None:
    expected = (Expected("nova-compute", "cmp1", "cmp1.example"),)
    assert services_up("c", [ServiceList(expected, [replace(UP, host="cmp1.example")])]).passed
    verdict = services_up("c", [ServiceList(expected, [UP])])
    assert "cmp1 (as cmp1.example) is not in nova's service list" in verdict.message


def beat(second: int, service: Service = UP) -> ServiceList:
    entry = replace(service, updated_at=f"2026-11-21T00:30:{second:02d}.000000")
    return ServiceList(EXPECTED, [CONDUCTOR, entry])


BY_HOLDFAST = replace(UP, status="disabled", disabled_reason="holdfast:run")


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        ([beat(0)], (FAIL, "not_advanced")),
        ([beat(0), beat(0), beat(0)], (FAIL, "not_advanced")),
        # The first advance may be the old process's last report.
        ([beat(0), beat(10)], (FAIL, "not_advanced")),
        ([beat(0), beat(10), beat(10)], (FAIL, "not_advanced")),
        ([beat(0), beat(10), beat(20)], (PASS, "advanced")),
        ([beat(0), SILENT, beat(10), SILENT, beat(20)], (PASS, "advanced")),
        ([beat(0), beat(10), beat(20), beat(20)], (PASS, "advanced")),
        # A timestamp that goes back and comes again is no heartbeat.
        ([beat(10), beat(0), beat(10)], (FAIL, "not_advanced")),
        # Enabling or disabling moves the same timestamp.
        ([beat(0), beat(1, BY_HOLDFAST), beat(11, BY_HOLDFAST)], (FAIL, "not_advanced")),
        ([beat(0), beat(10), beat(15, BY_HOLDFAST)], (FAIL, "not_advanced")),
        (
            [beat(0), beat(1, BY_HOLDFAST), beat(11, BY_HOLDFAST), beat(21, BY_HOLDFAST)],
            (PASS, "advanced"),
        ),
        # Gone from the list and back: the count starts again.
        ([beat(0), beat(10), ServiceList(EXPECTED, [CONDUCTOR]), beat(20)], (FAIL, "not_advanced")),
        ([beat(0), beat(10), beat(20, DOWN)], (FAIL, "not_up")),
        ([beat(0), beat(10), beat(20), ServiceList(EXPECTED, [CONDUCTOR])], (FAIL, "not_up")),
        ([beat(0), beat(10), ServiceList(EXPECTED, [SILENT_CELL])], (UNKNOWN, "cell_silent")),
        ([beat(0), beat(10), ServiceList(EXPECTED, [])], (UNKNOWN, "cell_silent")),
        ([beat(0), beat(10), beat(20), SILENT], (UNKNOWN, "unanswered")),
    ],
)
def test_heartbeat_advanced(history: Sequence[Observation], verdict: tuple[Outcome, str]) -> None:
    assert said(heartbeat_advanced("c", history, "nova-compute", "cmp1", 2)) == verdict


def test_a_heartbeat_of_a_host_outside_the_inventory_is_not_told() -> None:
    verdict = heartbeat_advanced("c", [beat(0)], "nova-compute", "cmp9", 2)
    assert said(verdict) == (UNKNOWN, "not_in_inventory")


def work(
    instances: Sequence[Instance] = (),
    migrations: Sequence[Migration] = (),
    before: Service | None = UP,
    after: Service | None = UP,
) -> Work:
    return Work("cmp1", before, instances, migrations, after)


ACTIVE = Instance("i1", "ACTIVE", "")
LIVE = Migration("7", "live-migration", "running")


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (work(), (PASS, "idle")),
        (work([ACTIVE]), (PASS, "idle")),
        (work([Instance("i2", "ERROR", "")]), (PASS, "idle")),
        (work(before=DISABLED, after=DISABLED), (PASS, "idle")),
        (work([ACTIVE, Instance("i2", "ACTIVE", "rebooting")]), (FAIL, "in_flight")),
        (work([Instance("i2", "BUILD", "")]), (FAIL, "in_flight")),
        (work([Instance("i2", "REBUILD", "")]), (FAIL, "in_flight")),
        (work(migrations=[LIVE]), (FAIL, "in_flight")),
        (work(migrations=[replace(LIVE, status="queued")]), (FAIL, "in_flight")),
        (work(migrations=[replace(LIVE, status="completed")]), (PASS, "idle")),
        (work(migrations=[replace(LIVE, status="confirmed")]), (PASS, "idle")),
        (work(migrations=[replace(LIVE, status="something new")]), (FAIL, "in_flight")),
        (work(migrations=[replace(LIVE, status="finished")]), (PASS, "idle")),
        # The lists of a silent cell are empty, and say nothing.
        (work(before=None), (UNKNOWN, "cell_silent")),
        (work(after=None), (UNKNOWN, "cell_silent")),
        (work(before=SILENT_CELL), (UNKNOWN, "cell_silent")),
        (work(after=SILENT_CELL), (UNKNOWN, "cell_silent")),
        (work([Instance("i2", "UNKNOWN", "")]), (UNKNOWN, "cell_silent")),
        (SILENT, (UNKNOWN, "unanswered")),
    ],
)
def test_compute_idle(seen: Observation, verdict: tuple[Outcome, str]) -> None:
    assert said(compute_idle("c", [seen], wait_for_users=False)) == verdict


def test_a_resize_that_waits_for_its_user_is_waited_for_only_where_the_site_says_so() -> None:
    seen = [work(migrations=[Migration("8", "resize", "finished")])]
    assert compute_idle("c", seen, wait_for_users=False).evidence["waiting_for_user"] == ["8"]
    assert said(compute_idle("c", seen, wait_for_users=True)) == (FAIL, "in_flight")


def test_what_is_in_flight_is_named() -> None:
    seen = work([Instance("i2", "ACTIVE", "rebooting")], [LIVE])
    message = compute_idle("c", [seen], wait_for_users=False).message
    assert message == (
        "cmp1 has 2 in flight: instance i2 is in ACTIVE, rebooting; live-migration 7 is running"
    )
