"""Judges of systemd units: active, stays up, unchanged since a known start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from holdfast.evidence import HEALTHY, INVOCATION_ID
from holdfast.judges.base import Observation, Unanswered, unknown
from holdfast.model import Json, Outcome, Unit, Verdict

NO_SUCH_UNIT = "no_such_unit"
NOT_ACTIVE = "not_active"
RESTARTED = "restarted_meanwhile"
CHANGED = "restarted_since"
DIED = "died"

# systemctl(1), "is-active": a unit that reloads does its work meanwhile.
_ALIVE = {"active", "reloading", "refreshing"}
# From here a unit comes back only as another start, with another InvocationID.
_ENDED = {"inactive", "failed", "deactivating"}


def is_active(claim: str, history: Sequence[Observation]) -> Verdict:
    """The unit does its work now: active, or a one-shot that ran to a good end."""
    unit = history[-1]
    if isinstance(unit, Unanswered):
        return unknown(claim, unit)
    return _alive(claim, unit)


def stays_up(claim: str, history: Sequence[Observation], invocation_id: str) -> Verdict:
    """Active, and never started again while this gate looked (nor since ``invocation_id``, if given).

    The services of 2015-08-12 came up and failed minutes later; systemd had started them again by
    the time somebody looked, so "active" said nothing.
    """
    unit = history[-1]
    if isinstance(unit, Unanswered):
        return unknown(claim, unit)
    seen: list[Unit] = [each for each in history if not isinstance(each, Unanswered)]
    expected = invocation_id or next(
        (each.invocation_id for each in seen if each.invocation_id), ""
    )
    if expected and unit.invocation_id != expected:
        return _restarted(claim, unit, RESTARTED, expected)
    more = unit.restarts - seen[0].restarts
    if more > 0:
        return _restarted(claim, unit, RESTARTED, expected, f"systemd restarted it {more} times")
    return _same_start(claim, unit) if expected else _alive(claim, unit)


def unchanged_since(claim: str, history: Sequence[Observation], invocation_id: str) -> Verdict:
    """Active, as the very start that ``invocation_id`` names: the sweep over hosts done earlier."""
    unit = history[-1]
    if isinstance(unit, Unanswered):
        return unknown(claim, unit)
    if unit.invocation_id != invocation_id:
        return _restarted(claim, unit, CHANGED, invocation_id)
    return _same_start(claim, unit)


def _same_start(claim: str, unit: Unit) -> Verdict:
    """Judge a unit of which this very start was running: once ended, it does not come back."""
    verdict = _alive(claim, unit)
    ended = verdict.reason == NOT_ACTIVE and unit.active_state in _ENDED
    return replace(verdict, reason=DIED) if ended else verdict


def _alive(claim: str, unit: Unit) -> Verdict:
    """Judge the present state alone (systemd(1), "UNITS"; a one-shot rests at ``inactive``)."""
    if unit.load_state in {"not-found", "masked", "bad-setting", "error"}:
        message = f"{unit.name} on {unit.host} is {unit.load_state}"
        return Verdict(claim, Outcome.FAIL, NO_SUCH_UNIT, message, _evidence(unit))
    state = f"{unit.active_state} ({unit.sub_state})"
    if unit.active_state in _ALIVE:
        return _verdict(claim, unit, Outcome.PASS, "active", f"is {state}")
    ran = unit.kind == "oneshot" and unit.result == "success" and unit.invocation_id
    if ran and unit.active_state == "inactive":
        return _verdict(claim, unit, Outcome.PASS, "ran_to_success", "ran and ended well")
    result = "" if unit.result in {"", "success"} else f", result {unit.result}"
    return _verdict(claim, unit, Outcome.FAIL, NOT_ACTIVE, f"is {state}{result}")


def _restarted(claim: str, unit: Unit, reason: str, expected: str, how: str = "") -> Verdict:
    how = how or f"runs as {unit.invocation_id or 'nothing'}, expected {expected}"
    message = f"was started again: {how}; it is {unit.active_state} ({unit.sub_state})"
    return _verdict(claim, unit, Outcome.FAIL, reason, message, expected_invocation_id=expected)


def _verdict(
    claim: str, unit: Unit, outcome: Outcome, reason: str, message: str, **more: Json
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


def _evidence(unit: Unit) -> dict[str, Json]:
    return {
        "unit": unit.name,
        "active_state": unit.active_state,
        "sub_state": unit.sub_state,
        "result": unit.result,
        INVOCATION_ID: unit.invocation_id,
        "restarts": unit.restarts,
    }
