"""The verdict on a unit's state and on its history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.claims.systemd import CLAIMS
from holdfast.judges import systemd
from holdfast.model import Outcome, Verdict
from holdfast.observations.systemd import UnitState
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
)
STARTING = replace(UP, active_state="activating", sub_state="auto-restart", result="exit-code")
FAILED = replace(UP, active_state="failed", sub_state="failed", result="exit-code")
STOPPED = replace(UP, active_state="inactive", sub_state="dead")
ONE_SHOT = replace(STOPPED, kind="oneshot")
AGAIN = replace(UP, invocation_id="bbb")


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
    ],
)
def test_active(unit: UnitState, outcome: Outcome, reason: str) -> None:
    assert outcome_and_reason(systemd.is_active("c", unit)) == (outcome, reason)


def test_a_verdict_names_host_unit_and_state() -> None:
    verdict = systemd.is_active("systemd.active", FAILED)
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
    assert outcome_and_reason(systemd.stays_up("c", history, "")) == (outcome, reason)


def test_stays_up_as_the_start_that_the_restart_made() -> None:
    assert systemd.stays_up("c", [UP], "aaa").passed
    verdict = systemd.stays_up("c", [AGAIN], "aaa")
    assert outcome_and_reason(verdict) == (Outcome.FAIL, systemd.RESTARTED)
    assert "expected aaa" in verdict.message
    assert verdict.evidence["expected_invocation_id"] == "aaa"


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
    assert outcome_and_reason(systemd.unchanged_since("c", unit, "aaa")) == (outcome, reason)


def test_a_fault_that_waiting_cannot_change_ends_the_gate() -> None:
    """A start that has ended does not come back, so a gate does not wait for it."""
    final = {
        "systemd.active": {"no_such_unit"},
        "systemd.stays_up": {"no_such_unit", "restarted_meanwhile", "died"},
        "systemd.unchanged_since": {"no_such_unit", "restarted_since", "died"},
    }
    assert {claim.name: set(claim.final) for claim in CLAIMS} == final
