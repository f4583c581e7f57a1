"""Judge whether units go up, down and up again: each start is by itself well, and together they are the incident."""

from __future__ import annotations

from holdfast.evidence import HEALTHY
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.systemd import StartsWithin

FLAPPING = "flapping"


def none_flapping(claim: str, units: StartsWithin, window_seconds: float, starts: int) -> Verdict:
    """PASS where no unit was started so often within the window, also before the gate.

    On 2015-08-12 services were restarted, appeared to work and failed again some minutes later, for an hour. Each of
    these starts was "active" when somebody looked. Whoever started the unit, each start counts.
    """
    told = {name: each for name, each in units.items() if not isinstance(each, Unanswered)}
    counted = {name: each.starts for name, each in told.items()}
    often = {n: count for n, count in counted.items() if count is not None and count >= starts}
    evidence: dict[str, Json] = {
        "starts": dict(list(often.items())[:10]),
        "window_seconds": window_seconds,
    }
    minutes = f"{window_seconds / 60:g} min"
    if often:
        worst = sorted(often, key=lambda name: -often[name])
        message = first_few(
            [f"{name} was started {often[name]} times in {minutes}" for name in worst]
        )
        ill: dict[str, dict[str, Json]] = {told[name].unit.host: {HEALTHY: False} for name in often}
        return Verdict(claim, Outcome.FAIL, FLAPPING, message, evidence, ill)
    doubts = [each.cause for each in units.values() if isinstance(each, Unanswered)]
    doubts += [
        f"{name} was started lately, and the journal of its host does not have that"
        for name, count in counted.items()
        if count is None
    ]
    if doubts or not units:
        message = first_few(doubts) or "no unit was named"
        return Verdict(claim, Outcome.UNKNOWN, "starts_unknown", message, evidence)
    message = f"none of {len(units)} units was started {starts} times in {minutes}"
    return Verdict(claim, Outcome.PASS, "steady", message, evidence)
