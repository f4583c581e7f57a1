"""Judge systemd units: active, stays up, unchanged since a known start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from holdfast.evidence import HEALTHY, INVOCATION_ID
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.systemd import UnitState

NO_SUCH_UNIT = "no_such_unit"
NOT_ACTIVE = "not_active"
RESTARTED = "restarted_meanwhile"
CHANGED = "restarted_since"
DIED = "died"

# systemctl(1), "is-active": a unit does its work while it reloads.
_WORKING = {"active", "reloading", "refreshing"}
# From these states a unit becomes active only by another start, with another InvocationID.
_ENDED = {"inactive", "failed", "deactivating"}


def is_active(claim: str, unit: UnitState) -> Verdict:
    """PASS where the unit is active on this host (a one-shot: ran and ended with success)."""
    return _judge_state(claim, unit)


def stays_up(claim: str, history: Sequence[UnitState], invocation_id: str) -> Verdict:
    """PASS where the unit is active and is not started again during the gate.

    With ``invocation_id``, that start must still run; else the first one seen. The services of
    2015-08-12 came up and failed minutes later; systemd had started them again by the time somebody
    checked, so "active" alone proved nothing.
    """
    unit = history[-1]
    first = next((each.invocation_id for each in history if each.invocation_id), "")
    expected = invocation_id or first
    if expected and unit.invocation_id != expected:
        return _restarted(claim, unit, RESTARTED, expected)
    more = unit.restarts - history[0].restarts
    if more > 0:
        return _restarted(claim, unit, RESTARTED, expected, f"systemd restarted it {more} times")
    return _judge_start(claim, unit) if expected else _judge_state(claim, unit)


def unchanged_since(claim: str, unit: UnitState, invocation_id: str) -> Verdict:
    """PASS where the unit still runs in the given start: nothing restarted it since."""
    if unit.invocation_id != invocation_id:
        return _restarted(claim, unit, CHANGED, invocation_id)
    return _judge_start(claim, unit)


def _judge_start(claim: str, unit: UnitState) -> Verdict:
    """Judge a unit in the start that must still run: one that has ended does not come back, so it is ``DIED``."""
    verdict = _judge_state(claim, unit)
    ended = verdict.reason == NOT_ACTIVE and unit.active_state in _ENDED
    return replace(verdict, reason=DIED) if ended else verdict


def _judge_state(claim: str, unit: UnitState) -> Verdict:
    """Judge the present state alone (systemd(1), "UNITS"; a one-shot that has run is ``inactive``)."""
    if unit.load_state in {"not-found", "masked", "bad-setting", "error"}:
        message = f"{unit.name} on {unit.host} is {unit.load_state}"
        return Verdict(claim, Outcome.FAIL, NO_SUCH_UNIT, message, _evidence(unit))
    state = f"{unit.active_state} ({unit.sub_state})"
    if unit.active_state in _WORKING:
        return _verdict(claim, unit, Outcome.PASS, "active", f"is {state}")
    ran = unit.kind == "oneshot" and unit.result == "success" and unit.invocation_id
    if ran and unit.active_state == "inactive":
        return _verdict(claim, unit, Outcome.PASS, "ran_to_success", "ran and ended with success")
    result = "" if unit.result in {"", "success"} else f", result {unit.result}"
    return _verdict(claim, unit, Outcome.FAIL, NOT_ACTIVE, f"is {state}{result}")


def _restarted(claim: str, unit: UnitState, reason: str, expected: str, how: str = "") -> Verdict:
    how = how or f"its InvocationID is {unit.invocation_id or 'empty'}, expected {expected}"
    message = f"was started again: {how}; it is {unit.active_state} ({unit.sub_state})"
    return _verdict(claim, unit, Outcome.FAIL, reason, message, expected_invocation_id=expected)


def _verdict(
    claim: str, unit: UnitState, outcome: Outcome, reason: str, message: str, **more: Json
) -> Verdict:
    passed = outcome is Outcome.PASS
    return Verdict(
        claim,
        outcome,
        reason,
        f"{unit.name} on {unit.host} {message}",
        evidence={**_evidence(unit), **more},
        hosts={unit.host: {HEALTHY: passed}},
    )


def _evidence(unit: UnitState) -> dict[str, Json]:
    return {
        "unit": unit.name,
        "active_state": unit.active_state,
        "sub_state": unit.sub_state,
        "result": unit.result,
        INVOCATION_ID: unit.invocation_id,
        "restarts": unit.restarts,
    }
