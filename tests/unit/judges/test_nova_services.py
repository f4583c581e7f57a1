"""The verdict on nova's service list: services up, heartbeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from holdfast.judges.nova.services import (
    heartbeat_advanced,
    none_left_disabled,
    services_up,
)
from holdfast.model import Outcome
from holdfast.observations.nova import ExpectedService, ListedService, ServiceList
from tests.unit.judges.verdicts import outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN

UP = ListedService(
    "nova-compute", "cmp1", "enabled", "up", "2026-11-21T00:30:05", "", forced_down=False
)
CONDUCTOR = replace(UP, binary="nova-conductor", known_as="ctl1")
DOWN = replace(UP, state="down")
DISABLED = replace(UP, status="disabled", disabled_reason="disk is failing")
FENCED = replace(UP, status="disabled", disabled_reason="broken DIMM", forced_down=True)
SILENT_CELL = ListedService("nova-compute", "cmp1", "UNKNOWN", "", "", "", forced_down=False)

EXPECTED = (
    ExpectedService("conductor", "ctl1", "ctl1"),
    ExpectedService("compute", "cmp1", "cmp1"),
)


@pytest.mark.parametrize(
    ("listed", "verdict"),
    [
        ([CONDUCTOR, UP], (PASS, "up")),
        ([CONDUCTOR, DISABLED], (PASS, "up")),
        ([CONDUCTOR, DOWN], (FAIL, "not_up")),
        ([CONDUCTOR, replace(UP, forced_down=True)], (FAIL, "not_up")),
        ([CONDUCTOR, replace(UP, state="")], (FAIL, "not_up")),
        ([CONDUCTOR], (FAIL, "not_up")),
        ([CONDUCTOR, replace(UP, known_as="cmp2")], (FAIL, "not_up")),
        ([CONDUCTOR, SILENT_CELL], (UNKNOWN, "cell_silent")),
        # The entries of a silent cell's conductors are left out, not marked.
        ([SILENT_CELL], (UNKNOWN, "cell_silent")),
        ([], (UNKNOWN, "cell_silent")),
    ],
)
def test_services_up(listed: Sequence[ListedService], verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(services_up("c", ServiceList(EXPECTED, listed))) == verdict


class Counted(list[ListedService]):
    """A list that counts how often it is read."""

    reads = 0

    def __iter__(self) -> Iterator[ListedService]:
        self.reads += 1
        return super().__iter__()


def test_the_list_of_a_large_fleet_is_not_searched_for_each_service() -> None:
    """Of 242 computes that took 0.1 s a reading, of 1,000 two seconds."""
    fleet = [ExpectedService("compute", f"cmp{n}", f"cmp{n}") for n in range(242)]
    listed = Counted([replace(UP, known_as=each.known_as) for each in fleet])
    assert services_up("c", ServiceList(fleet, listed)).passed
    assert listed.reads < 20


def test_services_that_are_up_make_their_hosts_healthy() -> None:
    verdict = services_up("c", ServiceList(EXPECTED, [CONDUCTOR, UP]))
    assert verdict.hosts == {"cmp1": {"healthy": True}, "ctl1": {"healthy": True}}
    assert verdict.message == "all 2 services of the inventory are up"


def test_services_up_names_disabled_and_unexpected_services_and_healthy_hosts() -> None:
    down = replace(UP, status="disabled", disabled_reason="AUTO: libvirt is lost", state="down")
    listed = [CONDUCTOR, down, replace(UP, known_as="gone")]
    verdict = services_up("c", ServiceList(EXPECTED, listed))
    assert verdict.evidence["disabled"] == {"nova-compute on cmp1": "AUTO: libvirt is lost"}
    assert verdict.evidence["not_in_inventory"] == ["nova-compute on gone"]
    assert verdict.hosts == {"cmp1": {"healthy": False}, "ctl1": {"healthy": True}}


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([CONDUCTOR], "nova-compute on cmp1 is not in nova's service list"),
        ([CONDUCTOR, DOWN], "nova-compute on cmp1 is down: last heartbeat 2026-11-21T00:30:05"),
        (
            [CONDUCTOR, replace(DOWN, updated_at="")],
            "nova-compute on cmp1 is down: last heartbeat never",
        ),
        ([CONDUCTOR, replace(UP, forced_down=True)], "nova-compute on cmp1 is forced down"),
    ],
)
def test_a_service_that_is_not_up_is_told_with_its_last_heartbeat(
    listed: Sequence[ListedService], message: str
) -> None:
    assert services_up("c", ServiceList(EXPECTED, listed)).message == message


MANY = [f"cmp{number}" for number in range(10, 22)]
COMPUTES = [ExpectedService("compute", host, host) for host in reversed(MANY)]


def test_of_many_services_that_are_down_ten_are_named_and_the_rest_counted() -> None:
    listed = [replace(DOWN, known_as=host) for host in MANY]
    verdict = services_up("c", ServiceList(COMPUTES, listed))
    assert verdict.message.count("nova-compute on ") == 10
    assert verdict.message.endswith(" and 2 more")
    assert list(verdict.hosts) == MANY


def test_remarks_count_all_services_and_name_each_once() -> None:
    """Two taken out under names of their own in nova; 12 disabled ones; 12 that the inventory does not have."""
    taken_out = [ExpectedService("compute", f"c{number}", f"cmp{number}") for number in (1, 2)]
    strangers = [replace(UP, known_as=f"gone-{host}") for host in MANY]
    disabled = [replace(DISABLED, known_as=host) for host in MANY]
    listed = [FENCED, replace(FENCED, known_as="cmp2"), *disabled, *strangers]
    verdict = services_up("c", ServiceList([*taken_out, *COMPUTES], listed))
    assert verdict.message == (
        "all 12 services of the inventory are up"
        "; left out: nova-compute on c1: disabled (broken DIMM), forced down"
        "; nova-compute on c2: disabled (broken DIMM), forced down"
        "; disabled: nova-compute on cmp10; nova-compute on cmp11; nova-compute on cmp12 and 9 more"
        "; not in the inventory: nova-compute on gone-cmp10; nova-compute on gone-cmp11;"
        " nova-compute on gone-cmp12 and 9 more"
    )
    assert len(verdict.evidence["disabled"]) == len(verdict.evidence["not_in_inventory"]) == 10


TWICE = (UP, replace(UP, state="down", updated_at="2023-01-01T00:00:00", id="b"))


@pytest.mark.parametrize(
    ("listed", "verdict"),
    [
        # Super and cell conductor, or a stale entry: which one is this host's is not known.
        (TWICE, (UNKNOWN, "listed_twice")),
        (TWICE[::-1], (UNKNOWN, "listed_twice")),
        ((UP, replace(UP, id="b")), (PASS, "up")),
        ((UP, SILENT_CELL), (UNKNOWN, "cell_silent")),
        # People took one of them out, and the other is up.
        ((UP, FENCED), (UNKNOWN, "listed_twice")),
    ],
)
def test_one_of_two_entries_never_counts_for_both(
    listed: Sequence[ListedService], verdict: tuple[Outcome, str]
) -> None:
    judged = services_up("c", ServiceList(EXPECTED, [CONDUCTOR, *listed]))
    assert outcome_and_reason(judged) == verdict


def test_two_entries_are_named_by_their_ids() -> None:
    listed = [CONDUCTOR, replace(UP, id="a"), TWICE[1], replace(DOWN, id="c", state="")]
    message = services_up("c", ServiceList(EXPECTED, listed)).message
    assert "nova lists it 3 times (a up, b down, c enabled)" in message
    assert "openstack compute service delete" in message


def test_two_hosts_that_nova_lists_as_one_are_unknown() -> None:
    expected = [*EXPECTED, ExpectedService("compute", "cmp2", "cmp1")]
    verdict = services_up("c", ServiceList(expected, [CONDUCTOR, UP]))
    assert outcome_and_reason(verdict) == (UNKNOWN, "listed_twice")
    assert "cmp1, cmp2 are one host for nova (cmp1)" in verdict.message


@pytest.mark.parametrize(
    ("entry", "outcome", "why"),
    [
        (FENCED, PASS, "(broken DIMM), forced down"),
        (replace(FENCED, disabled_reason=""), PASS, "(no reason), forced down"),
        (
            replace(FENCED, forced_down=False, state="down"),
            PASS,
            "(broken DIMM), down since 2026-11-21T00:30:05",
        ),
        # Down, and taken out by nobody; or by a run of ours; or by itself.
        (replace(FENCED, status="enabled"), FAIL, ""),
        (replace(FENCED, disabled_reason="holdfast:20261121-2304-nova-restart-k3f9"), FAIL, ""),
        (replace(FENCED, disabled_reason="AUTO: Connection to libvirt lost"), FAIL, ""),
    ],
)
def test_what_people_took_out_is_named_and_left_out(
    entry: ListedService, outcome: Outcome, why: str
) -> None:
    verdict = services_up("c", ServiceList(EXPECTED, [CONDUCTOR, entry]))
    assert verdict.outcome is outcome
    named = verdict.message.endswith(f"left out: nova-compute on cmp1: disabled {why}")
    assert named == (outcome is PASS)
    assert list(verdict.evidence["absent"]) == (["nova-compute on cmp1"] if named else [])
    assert ("cmp1" in verdict.hosts) != named


def test_without_any_service_to_expect_nothing_is_proved() -> None:
    """Groups of other names than Holdfast's, or all services taken out."""
    none = services_up("c", ServiceList([], [UP]))
    assert outcome_and_reason(none) == (UNKNOWN, "none_expected")
    assert "expected to be up: the inventory has no host in nova_conductor" in none.message
    verdict = services_up("c", ServiceList(EXPECTED[1:], [FENCED]))
    assert outcome_and_reason(verdict) == (UNKNOWN, "none_expected")
    assert "expected to be up: nova-compute on cmp1: disabled (broken DIMM)" in verdict.message


def test_all_entries_of_a_service_must_report() -> None:
    """The first may be another process, whose heartbeat advances while the restarted one is dead."""

    def both(first: int, second: int) -> ServiceList:
        beats = [
            replace(UP, id=each, updated_at=f"2026-11-21T00:30:{at:02d}")
            for each, at in (("a", first), ("b", second))
        ]
        return ServiceList(EXPECTED, [CONDUCTOR, *beats])

    for history in (
        [both(0, 0), both(10, 0), both(20, 0)],
        [both(50, 0), both(50, 10), both(50, 20)],
    ):
        silent = heartbeat_advanced("c", history, "compute", "cmp1", 2)
        assert outcome_and_reason(silent) == (UNKNOWN, "listed_twice")
        assert "advanced 0 of 2 times; nova lists it 2 times (a up, b up)" in silent.message
    well = heartbeat_advanced("c", [both(0, 0), both(10, 9), both(20, 19)], "compute", "cmp1", 2)
    assert outcome_and_reason(well) == (PASS, "advanced")


def test_a_service_is_found_by_novas_name_for_its_host() -> None:
    expected = (ExpectedService("compute", "cmp1", "cmp1.example"),)
    assert services_up("c", ServiceList(expected, [replace(UP, known_as="cmp1.example")])).passed
    verdict = services_up("c", ServiceList(expected, [UP]))
    assert "cmp1 (as cmp1.example) is not in nova's service list" in verdict.message


def beat(second: int, service: ListedService = UP) -> ServiceList:
    entry = replace(service, updated_at=f"2026-11-21T00:30:{second:02d}.000000")
    return ServiceList(EXPECTED, [CONDUCTOR, entry])


NEVER = ServiceList(EXPECTED, [CONDUCTOR, replace(UP, updated_at="")])
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
        ([beat(0), beat(10), beat(20), beat(20)], (PASS, "advanced")),
        # It had never reported: the first heartbeat is no advance.
        ([NEVER, beat(0), beat(10)], (FAIL, "not_advanced")),
        # A timestamp that goes back and then returns is no heartbeat.
        ([beat(10), beat(0), beat(10)], (FAIL, "not_advanced")),
        # Enabling or disabling moves the same timestamp.
        ([beat(0), beat(1, BY_HOLDFAST), beat(11, BY_HOLDFAST)], (FAIL, "not_advanced")),
        ([beat(0), beat(10), beat(15, BY_HOLDFAST)], (FAIL, "not_advanced")),
        (
            [beat(0), beat(1, BY_HOLDFAST), beat(11, BY_HOLDFAST), beat(21, BY_HOLDFAST)],
            (PASS, "advanced"),
        ),
        # Missing from the list once: the count starts again.
        ([beat(0), beat(10), ServiceList(EXPECTED, [CONDUCTOR]), beat(20)], (FAIL, "not_advanced")),
        ([beat(0), beat(10), beat(20, DOWN)], (FAIL, "not_up")),
        ([beat(0), beat(10), beat(20), ServiceList(EXPECTED, [CONDUCTOR])], (FAIL, "not_up")),
        ([beat(0), beat(10), ServiceList(EXPECTED, [SILENT_CELL])], (UNKNOWN, "cell_silent")),
        ([beat(0), beat(10), ServiceList(EXPECTED, [])], (UNKNOWN, "cell_silent")),
    ],
)
def test_heartbeat_advanced(history: Sequence[ServiceList], verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(heartbeat_advanced("c", history, "compute", "cmp1", 2)) == verdict


@pytest.mark.parametrize(
    ("history", "advanced", "updated_at", "healthy"),
    [
        ([beat(0), beat(10)], 1, ["2026-11-21T00:30:10.000000"], True),
        ([NEVER], 0, [], True),
        ([beat(0), ServiceList(EXPECTED, [CONDUCTOR])], 0, [], False),
    ],
)
def test_a_heartbeat_is_counted_and_dated(
    history: Sequence[ServiceList], advanced: int, updated_at: list[str], *, healthy: bool
) -> None:
    verdict = heartbeat_advanced("c", history, "compute", "cmp1", 2)
    assert verdict.evidence == {"advanced": advanced, "wanted": 2, "updated_at": updated_at}
    assert verdict.hosts == {"cmp1": {"healthy": healthy}}
    told = verdict.message == f"nova-compute on cmp1: heartbeat advanced {advanced} of 2 times"
    assert told is healthy


def test_a_heartbeat_of_a_host_outside_the_inventory_is_unknown() -> None:
    verdict = heartbeat_advanced("c", [beat(0)], "compute", "cmp9", 2)
    assert outcome_and_reason(verdict) == (UNKNOWN, "not_in_inventory")


@pytest.mark.parametrize(
    ("listed", "verdict"),
    [
        ([CONDUCTOR, UP], (PASS, "none_left")),
        ([UP], (PASS, "none_left")),
        ([replace(BY_HOLDFAST, status="enabled")], (PASS, "none_left")),
        ([CONDUCTOR, DISABLED], (PASS, "none_left")),
        ([CONDUCTOR, BY_HOLDFAST], (FAIL, "left_by_run")),
        ([BY_HOLDFAST, replace(SILENT_CELL, known_as="cmp2")], (FAIL, "left_by_run")),
        ([CONDUCTOR, SILENT_CELL], (UNKNOWN, "unlisted")),
        ([CONDUCTOR], (UNKNOWN, "unlisted")),
        ([], (UNKNOWN, "unlisted")),
    ],
)
def test_none_left_disabled(listed: Sequence[ListedService], verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(none_left_disabled("c", ServiceList(EXPECTED, listed))) == verdict


def test_what_a_run_left_disabled_is_named_by_its_host_and_no_remark_of_a_pass() -> None:
    known_as = [ExpectedService("compute", "c1", "cmp1")]
    verdict = none_left_disabled("c", ServiceList(known_as, [BY_HOLDFAST]))
    assert verdict.message == "nova-compute on c1 is disabled by run run"
    assert verdict.evidence == {"left": {"c1": "run"}, "unseen": []}
    two = [*known_as, ExpectedService("compute", "c2", "cmp2")]
    unlisted = none_left_disabled("c", ServiceList(known_as, [CONDUCTOR]))
    assert unlisted.message == "nova does not list nova-compute on c1"
    none = none_left_disabled("c", ServiceList([], [UP]))
    assert outcome_and_reason(none) == (UNKNOWN, "unlisted")
    assert none.message == "no compute is expected"
    beside = none_left_disabled("c", ServiceList(two, [BY_HOLDFAST]))
    assert beside.evidence["unseen"] == ["nova does not list nova-compute on c2"]
    assert "disabled" not in services_up("c", ServiceList(known_as, [BY_HOLDFAST])).message
