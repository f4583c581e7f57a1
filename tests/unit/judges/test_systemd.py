"""The verdict on a unit's state and on its history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.claims.systemd import CLAIMS
from holdfast.judges import systemd
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.systemd import GroupState, Machine, UnitState, unit_on
from holdfast.report.remedies import remedy_for
from tests.unit.judges.verdicts import outcome_and_reason

UP = UnitState(
    host="ctl1",
    name="cron.service",
    load_state="loaded",
    active_state="active",
    sub_state="running",
    kind="simple",
    result="success",
    invocation_id="aaa",
    restarts=0,
    age=4000.0,
)
STARTING = replace(UP, active_state="activating", sub_state="auto-restart", result="exit-code")
FAILED = replace(UP, active_state="failed", sub_state="failed", result="exit-code")
STOPPED = replace(UP, active_state="inactive", sub_state="dead")
ONE_SHOT = replace(STOPPED, kind="oneshot")
AGAIN = replace(UP, invocation_id="bbb")


@pytest.mark.parametrize(
    "unit",
    [FAILED, STARTING, replace(UP, load_state="not-found"), replace(UP, restarts=3, age=9.0)],
)
def test_what_is_wrong_with_a_unit_has_the_command_for_that_unit(unit: UnitState) -> None:
    alone = systemd.is_active("systemd.active", unit, 120)
    several = systemd.units_stay_up("x.units_stay_up", [{"cron on ctl1": unit}], 120)
    for verdict in (alone, several):
        assert remedy_for(verdict.message, "site") == (
            "on ctl1: systemctl status cron.service; journalctl -u cron.service"
        )


def test_a_host_that_ssh_does_not_reach_is_pinged_and_not_asked_for_its_unit() -> None:
    silent = Unanswered("ctl1 is unreachable: Failed to connect to the host via ssh")
    verdict = systemd.units_stay_up("x.units_stay_up", [{"cron on ctl1": silent}], 120)
    assert remedy_for(verdict.message, "inventories/my site") == (
        "ansible -i 'inventories/my site' ctl1 -m ansible.builtin.ping"
    )


@pytest.mark.parametrize(
    ("unit", "outcome", "reason"),
    [
        (UP, Outcome.PASS, "active"),
        (ONE_SHOT, Outcome.PASS, "ran_to_success"),
        (replace(ONE_SHOT, result="exit-code"), Outcome.FAIL, "not_active"),
        (replace(ONE_SHOT, invocation_id=""), Outcome.FAIL, "not_active"),
        (replace(UP, active_state="reloading", sub_state="reload"), Outcome.PASS, "active"),
        (STARTING, Outcome.FAIL, "not_active"),
        (FAILED, Outcome.FAIL, "not_active"),
        (STOPPED, Outcome.FAIL, "not_active"),
        (replace(STOPPED, load_state="not-found"), Outcome.FAIL, "no_such_unit"),
        (replace(STOPPED, load_state="masked"), Outcome.FAIL, "no_such_unit"),
        (replace(UP, load_state="bad-setting"), Outcome.FAIL, "no_such_unit"),
        (replace(UP, load_state="error"), Outcome.FAIL, "no_such_unit"),
        # Still at work, or stopped in the middle of it.
        (replace(ONE_SHOT, active_state="activating"), Outcome.FAIL, "not_active"),
    ],
)
def test_active(unit: UnitState, outcome: Outcome, reason: str) -> None:
    assert outcome_and_reason(systemd.is_active("c", unit, 120)) == (outcome, reason)


@pytest.mark.parametrize("result", ["", "success"])
def test_a_result_that_is_no_fault_is_not_told(result: str) -> None:
    verdict = systemd.is_active("c", replace(STOPPED, result=result), 120)
    assert verdict.message == "cron.service on ctl1 is inactive (dead)"


def test_a_verdict_names_host_unit_and_state() -> None:
    verdict = systemd.is_active("systemd.active", FAILED, 120)
    assert verdict == Verdict(
        claim="systemd.active",
        outcome=Outcome.FAIL,
        reason="not_active",
        message="cron.service on ctl1 is failed (failed), result exit-code",
        evidence={
            "unit": "cron.service",
            "active_state": "failed",
            "sub_state": "failed",
            "result": "exit-code",
            "invocation_id": "aaa",
            "restarts": 0,
            "age": 4000.0,
            "outlive": 0,
        },
        hosts={"ctl1": {"healthy": False}},
    )


@pytest.mark.parametrize(
    ("history", "outcome", "reason"),
    [
        ([UP], Outcome.PASS, "active"),
        ([UP, UP, UP], Outcome.PASS, "active"),
        ([UP, AGAIN], Outcome.FAIL, systemd.RESTARTED),
        # Active again and stable, but it was down in between.
        ([UP, AGAIN, AGAIN, AGAIN], Outcome.FAIL, systemd.RESTARTED),
        ([UP, replace(UP, restarts=1)], Outcome.FAIL, systemd.RESTARTED),
        ([UP, STOPPED], Outcome.FAIL, systemd.DIED),
        ([UP, FAILED], Outcome.FAIL, systemd.DIED),
        # Not active yet, and it may still start.
        ([STARTING], Outcome.FAIL, "not_active"),
        ([replace(STOPPED, invocation_id="")], Outcome.FAIL, "not_active"),
        # A one-shot that has run is inactive.
        ([ONE_SHOT, ONE_SHOT], Outcome.PASS, "ran_to_success"),
        # A unit that never ran has no start to compare with.
        ([replace(STOPPED, invocation_id=""), UP], Outcome.PASS, "active"),
    ],
)
def test_stays_up(history: list[UnitState], outcome: Outcome, reason: str) -> None:
    assert outcome_and_reason(systemd.stays_up("c", history, "", 120, 0)) == (outcome, reason)


def test_stays_up_as_the_start_that_the_restart_made() -> None:
    assert systemd.stays_up("c", [UP], "aaa", 120, 0).passed
    verdict = systemd.stays_up("c", [AGAIN], "aaa", 120, 0)
    assert outcome_and_reason(verdict) == (Outcome.FAIL, systemd.RESTARTED)
    assert verdict.evidence["expected_invocation_id"] == "aaa"


@pytest.mark.parametrize(
    ("history", "how"),
    [
        ([AGAIN], "its InvocationID is bbb, expected aaa"),
        ([replace(UP, invocation_id="")], "its InvocationID is empty, expected aaa"),
        ([UP, replace(UP, restarts=2)], "systemd restarted it 2 times"),
    ],
)
def test_another_start_is_told_with_how_it_is_known(history: list[UnitState], how: str) -> None:
    message = systemd.stays_up("c", history, "aaa", 120, 0).message
    assert message == f"cron.service on ctl1 was started again: {how}; it is active (running)"


@pytest.mark.parametrize(
    ("unit", "outcome", "reason"),
    [
        (UP, Outcome.PASS, "active"),
        (AGAIN, Outcome.FAIL, systemd.CHANGED),
        (FAILED, Outcome.FAIL, systemd.DIED),
        (STOPPED, Outcome.FAIL, systemd.DIED),
        (ONE_SHOT, Outcome.PASS, "ran_to_success"),
        (STARTING, Outcome.FAIL, "not_active"),
    ],
)
def test_unchanged_since(unit: UnitState, outcome: Outcome, reason: str) -> None:
    reason = "unchanged" if outcome is Outcome.PASS else reason
    assert outcome_and_reason(swept(unit)) == (outcome, reason)


def swept(*units: UnitState | Unanswered) -> Verdict:
    """Judge the unit of hosts ctl1, ctl2, … as restarted in the start aaa."""
    hosts = [f"ctl{number}" for number, _ in enumerate(units, 1)]
    found = {unit_on(host, "cron"): unit for host, unit in zip(hosts, units, strict=True)}
    return systemd.unchanged_since("c", found, {host: {"cron": "aaa"} for host in hosts})


SILENT = Unanswered("ctl2: no answer")


@pytest.mark.parametrize(
    ("units", "outcome", "reason", "facts"),
    [
        ([UP, UP], Outcome.PASS, "unchanged", {}),
        ([UP, SILENT], Outcome.UNKNOWN, "unanswered", {"ctl2": None}),
        ([SILENT, SILENT], Outcome.UNKNOWN, "unanswered", {"ctl1": None, "ctl2": None}),
        ([SILENT, STARTING], Outcome.FAIL, "not_active", {"ctl1": None, "ctl2": False}),
        ([STARTING, UP, AGAIN], Outcome.FAIL, "restarted_since", {"ctl1": False, "ctl3": False}),
    ],
)
def test_a_sweep_names_every_host_that_is_not_well_and_ends_for_what_waiting_cannot_mend(
    units: list[UnitState | Unanswered],
    outcome: Outcome,
    reason: str,
    facts: dict[str, bool | None],
) -> None:
    verdict = swept(*units)
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert verdict.hosts == {host: {"healthy": well} for host, well in facts.items()}
    assert verdict.evidence == {"hosts": len(units)}
    assert len(facts) < 2 or "; " in verdict.message


def test_a_sweep_that_passes_names_its_hosts_and_a_unit_that_was_not_asked_is_a_doubt() -> None:
    assert swept(UP, UP).message == "nothing was restarted since on ctl1, ctl2"
    verdict = systemd.unchanged_since("c", {}, {"ctl1": {"cron": "aaa"}})
    assert outcome_and_reason(verdict) == (Outcome.UNKNOWN, "unanswered")
    assert verdict.message == "ctl1: it was not asked"


FLAPPING = replace(UP, restarts=5, age=7.0)


@pytest.mark.parametrize(
    ("unit", "outcome", "reason"),
    [
        (FLAPPING, Outcome.FAIL, "just_restarted"),
        (replace(FLAPPING, restarts=1, age=119.0), Outcome.FAIL, "just_restarted"),
        (replace(FLAPPING, age=120.0), Outcome.PASS, "active"),
        (replace(FLAPPING, age=None), Outcome.UNKNOWN, "age_unknown"),
        # Somebody's own restart is no fault, however young.
        (replace(UP, age=0.0), Outcome.PASS, "active"),
        (replace(STARTING, restarts=5), Outcome.FAIL, "not_active"),
    ],
)
def test_a_start_that_systemd_made_itself_counts_when_it_has_lasted(
    unit: UnitState, outcome: Outcome, reason: str
) -> None:
    """A unit that systemd restarts every 20 s is active nearly always."""
    for verdict in (
        systemd.is_active("c", unit, 120),
        systemd.stays_up("c", [unit], "", 120, 0),
        systemd.stays_up("c", [unit], "aaa", 120, 0),
        systemd.active_everywhere("c", group(ctl1=unit), 120),
    ):
        assert outcome_and_reason(verdict)[0] == outcome
    assert systemd.is_active("c", unit, 120).reason == reason


def test_it_says_how_long_it_has_run_and_how_often_it_was_restarted() -> None:
    said = systemd.is_active("c", FLAPPING, 120)
    assert said.message == (
        "cron.service on ctl1 is active (running), started 7 s ago; systemd has restarted it 5 times "
        "since somebody last started it, so this start must last for 120 s to count"
    )
    assert said.hosts == {"ctl1": {"healthy": False}}


@pytest.mark.parametrize(
    ("restarts", "age", "outlive"),
    [(5, 120.0, 120.0), (5, 239.0, 239.0), (5, 241.0, 0), (0, 150.0, 0), (5, 7.0, 0)],
)
def test_a_start_must_outlive_the_interval_seen_before_it(
    restarts: int, age: float, outlive: float
) -> None:
    before = systemd.is_active("c", replace(UP, restarts=restarts, age=age), 120)
    assert before.evidence["outlive"] == outlive


@pytest.mark.parametrize(("age", "passes"), [(149.0, False), (150.0, True), (None, False)])
def test_a_unit_stays_up_when_it_has_lasted_longer_than_before(
    age: float | None, passes: bool
) -> None:
    verdict = systemd.stays_up("c", [replace(AGAIN, age=age)], "bbb", 120, 150)
    assert outcome_and_reason(verdict) == (
        (Outcome.PASS, "active") if passes else (Outcome.FAIL, "too_young")
    )
    assert (
        passes or "150 s before this run took the host, so it must last longer" in verdict.message
    )


@pytest.mark.parametrize(
    ("age", "seconds", "outcome"),
    [(51.0, 52, "FAIL"), (52.0, 52, "PASS"), (None, 52, "UNKNOWN"), (None, 0, "PASS")],
)
def test_a_fault_has_had_time_to_show(age: float | None, seconds: float, outcome: str) -> None:
    assert systemd.has_run_for("c", replace(UP, age=age), seconds).outcome == outcome


def test_a_unit_that_is_down_has_run_for_no_time() -> None:
    down = replace(UP, active_state="failed", age=900.0)
    assert systemd.has_run_for("c", down, 0).reason == "not_active"


def machine(hostname: str, **other: str) -> Machine:
    same = {"machine_id": "m", "boot_id": "b", "booted": "7", "namespace": "n"}
    return Machine(hostname=hostname, **(same | other))


def group(*silent: str, **states: UnitState) -> GroupState:
    hosts: dict[str, tuple[UnitState, Machine] | Unanswered] = {
        host: (replace(unit, host=host), machine(host)) for host, unit in states.items()
    }
    hosts |= {host: Unanswered(f"{host}: unreachable") for host in silent}
    return GroupState("cron", hosts, list(hosts))


@pytest.mark.parametrize(
    ("asked", "outcome", "said"),
    [
        (group(ctl1=UP, ctl2=UP), Outcome.PASS, "cron is active on ctl1, ctl2"),
        (group(ctl1=UP, ctl2=FAILED), Outcome.FAIL, "cron.service on ctl2 is failed"),
        (group("ctl2", ctl1=UP), Outcome.UNKNOWN, "ctl2: unreachable"),
        (group("ctl1", "ctl2"), Outcome.UNKNOWN, "ctl1: unreachable; ctl2: unreachable"),
        (group("ctl3", ctl1=UP, ctl2=FAILED), Outcome.FAIL, "ctl3: unreachable"),
        (group(), Outcome.UNKNOWN, "no host was named"),
    ],
)
def test_active_everywhere(asked: GroupState, outcome: Outcome, said: str) -> None:
    verdict = systemd.active_everywhere("c", asked, 120)
    assert verdict.outcome is outcome
    assert said in verdict.message


def machines(*silent: str, **hostnames: Machine | str) -> GroupState:
    hosts: dict[str, tuple[UnitState, Machine] | Unanswered] = {
        host: (UP, machine(each) if isinstance(each, str) else each)
        for host, each in hostnames.items()
    }
    hosts |= {host: Unanswered("unreachable") for host in silent}
    return GroupState("cron", hosts, ["db1", *hosts])


@pytest.mark.parametrize(
    ("asked", "outcome", "reason", "said"),
    [
        (machines(a="a", b="b"), Outcome.PASS, "distinct", "2 hosts"),
        (machines(a="vm7", b="vm8"), Outcome.PASS, "distinct", ""),
        (machines(a="vm7", b="vm7"), Outcome.FAIL, "one_machine", "a and b are one machine"),
        # Made from one image.
        (
            machines(a=machine("x", boot_id="1"), b=machine("x", boot_id="2")),
            Outcome.PASS,
            "distinct",
            "",
        ),
        # Containers of one kernel.
        (
            machines(a=machine("x", namespace="1"), b=machine("x", namespace="2")),
            Outcome.PASS,
            "distinct",
            "",
        ),
        (
            machines(a="b", b="a"),
            Outcome.FAIL,
            "another_host",
            "at the address of a says that it is b",
        ),
        (
            machines(a="DB1.example"),
            Outcome.FAIL,
            "another_host",
            "db1 is another host of the inventory",
        ),
        (machines("b", a="a"), Outcome.UNKNOWN, "unanswered", "b: unreachable"),
        (machines("c", a="x", b="x"), Outcome.FAIL, "one_machine", ""),
        (
            machines(a=machine("", boot_id=""), b=machine("", boot_id="")),
            Outcome.UNKNOWN,
            "unanswered",
            "a says nothing of itself; b says nothing of itself",
        ),
        (machines(), Outcome.UNKNOWN, "unanswered", "no host was named"),
    ],
)
def test_machines_distinct(asked: GroupState, outcome: Outcome, reason: str, said: str) -> None:
    verdict = systemd.machines_distinct("c", asked)
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert said in verdict.message
    assert verdict.evidence == {"hosts": len(asked.hosts)}, "it is journaled, and does not grow"


def test_a_fault_that_waiting_cannot_change_ends_the_gate() -> None:
    """A start that has ended does not come back, so a gate does not wait for it."""
    final = {
        "systemd.active": {"no_such_unit"},
        "systemd.stays_up": {"no_such_unit", "restarted_meanwhile", "died"},
        "systemd.has_run_for": {"no_such_unit"},
        "systemd.active_everywhere": set(),
        "systemd.none_flapping": {"flapping"},
        "systemd.machines_distinct": {"one_machine", "another_host"},
        "systemd.unchanged_since": {"no_such_unit", "restarted_since", "died"},
    }
    assert {claim.name: set(claim.final) for claim in CLAIMS} == final


SCHEDULER = replace(UP, host="ctl2", name="nova-scheduler.service", invocation_id="s1")
DIES_AGAIN = replace(SCHEDULER, restarts=5, age=7.0)


def fleet(scheduler: UnitState | Unanswered) -> dict[str, UnitState | Unanswered]:
    return {"cron on ctl1": UP, "nova-scheduler on ctl2": scheduler}


@pytest.mark.parametrize(
    ("history", "outcome", "reason"),
    [
        ([SCHEDULER], Outcome.PASS, "active"),
        ([SCHEDULER, SCHEDULER], Outcome.PASS, "active"),
        # One reading of less than a second finds a unit that dies every 20 s active.
        ([DIES_AGAIN], Outcome.FAIL, systemd.JUST_RESTARTED),
        ([SCHEDULER, replace(SCHEDULER, invocation_id="s2")], Outcome.FAIL, systemd.RESTARTED),
        ([SCHEDULER, replace(SCHEDULER, restarts=1)], Outcome.FAIL, systemd.RESTARTED),
        ([Unanswered("no route"), SCHEDULER], Outcome.PASS, "active"),
        ([SCHEDULER, Unanswered("no route")], Outcome.UNKNOWN, "unanswered"),
        ([replace(SCHEDULER, active_state="failed")], Outcome.FAIL, systemd.DIED),
    ],
)
def test_every_unit_of_the_fleet_stays_up(
    history: list[UnitState | Unanswered], outcome: Outcome, reason: str
) -> None:
    verdict = systemd.units_stay_up("c", [fleet(each) for each in history], 120)
    assert outcome_and_reason(verdict) == (outcome, reason)


def test_a_flapping_unit_is_named_with_its_age_and_its_restarts() -> None:
    message = systemd.units_stay_up("c", [fleet(DIES_AGAIN)], 120).message
    assert "nova-scheduler.service on ctl2 is active (running), started 7 s ago" in message
    assert "restarted it 5 times" in message
    well = systemd.units_stay_up("c", [fleet(SCHEDULER)], 120).message
    assert well == "2 units are active; the last to start: cron on ctl1, 4000 s ago"


def test_a_unit_that_people_took_out_is_left_out() -> None:
    gone = fleet(Unanswered("no route"))
    absent = {"nova-scheduler on ctl2": "disabled (broken DIMM)"}
    assert systemd.judge_units("c", [gone], 120, absent).outcome is Outcome.PASS
    assert systemd.judge_units("c", [gone], 120, {}).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("unit", "outcome", "reason", "message"),
    [
        (UP, Outcome.PASS, "active", "for 4000 s; a fault may show after 62 s"),
        (replace(UP, age=62.0), Outcome.PASS, "active", "for 62 s; a fault may show after 62 s"),
        (replace(UP, age=61.0), Outcome.FAIL, "too_young", "for 61 s; a fault may show after 62"),
        (replace(UP, age=None), Outcome.UNKNOWN, "age_unknown", "and since when is not known"),
        (replace(FAILED, age=None), Outcome.FAIL, "not_active", "is failed"),
    ],
)
def test_a_unit_must_have_run_for_so_long(
    unit: UnitState, outcome: Outcome, reason: str, message: str
) -> None:
    verdict = systemd.has_run_for("c", unit, 62)
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert message in verdict.message
    assert not verdict.hosts or reason not in {"too_young", "age_unknown"}, "young is not ill"


def test_the_start_that_must_still_run_is_the_first_one_that_is_known() -> None:
    """Before its first start a unit has no InvocationID."""
    unstarted = replace(STARTING, invocation_id="")
    assert systemd.stays_up("c", [unstarted, UP], "", 0, 0).outcome is Outcome.PASS
    again = systemd.stays_up("c", [unstarted, UP, AGAIN], "", 0, 0)
    assert outcome_and_reason(again) == (Outcome.FAIL, systemd.RESTARTED)
    never = systemd.stays_up("c", [unstarted], "", 0, 0)
    assert outcome_and_reason(never) == (Outcome.FAIL, "not_active")


@pytest.mark.parametrize("state", ["reloading", "refreshing"])
def test_a_unit_works_while_it_reloads(state: str) -> None:
    assert systemd.is_active("c", replace(UP, active_state=state), 0).outcome is Outcome.PASS


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating"])
def test_a_start_that_ends_does_not_come_back(state: str) -> None:
    unit = replace(UP, active_state=state)
    verdict = systemd.stays_up("c", [UP, unit], "aaa", 0, 0)
    assert outcome_and_reason(verdict) == (Outcome.FAIL, systemd.DIED)


def test_of_many_units_the_last_to_start_is_named_and_what_is_silent_is_a_doubt() -> None:
    states = {"a": UP, "b": replace(UP, age=7.0), "c": replace(UP, age=None)}
    verdict = systemd.units_stay_up("c", [states], 0)
    assert verdict.outcome is Outcome.PASS
    assert verdict.message == "3 units are active; the last to start: b, 7 s ago"
    silent = systemd.units_stay_up("c", [{**states, "d": Unanswered("no route")}], 0)
    assert outcome_and_reason(silent) == (Outcome.UNKNOWN, "unanswered")
    assert silent.message == "d: no route"
    none = systemd.units_stay_up("c", [{}], 0)
    assert outcome_and_reason(none) == (Outcome.UNKNOWN, "unanswered")
    assert none.message == "the inventory has no such unit"


def test_a_unit_that_fails_is_not_excused_by_its_age() -> None:
    for unit in (replace(FAILED, age=None, restarts=1), replace(FAILED, age=9.0, restarts=1)):
        assert outcome_and_reason(systemd.is_active("c", unit, 5)) == (Outcome.FAIL, "not_active")
        outlived = systemd.stays_up("c", [unit], "", 0, 5)
        assert outcome_and_reason(outlived) == (Outcome.FAIL, systemd.DIED)


def test_how_often_systemd_restarted_a_unit_is_told_and_how_long_the_next_start_must_last() -> None:
    once = systemd.is_active("c", replace(UP, restarts=1, age=10.0), 5)
    assert "systemd has restarted it once since" in once.message
    assert once.evidence["outlive"] == 10
    twice = systemd.is_active("c", replace(UP, restarts=2, age=11.0), 5)
    assert "restarted it 2 times since" in twice.message
    assert twice.evidence["outlive"] == 0
    unknown = systemd.is_active("c", replace(UP, restarts=2, age=None), 5)
    assert outcome_and_reason(unknown) == (Outcome.UNKNOWN, "age_unknown")
    assert "how long ago is not known" in unknown.message
    assert not unknown.hosts
