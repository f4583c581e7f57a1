"""Judge whether heartbeats and connections to brokers are lost and come back, again and again."""

from __future__ import annotations

from typing import Literal

from holdfast.evidence import ABSENT, HEALTHY
from holdfast.judges.base import first_few
from holdfast.judges.nova.services import absences, left_out
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.nova import FleetInterruptions, Interruptions, ServiceList

FLAPPING = "flapping"
MAX_NAMED = 10  # services named in evidence


def heartbeats_steady(
    claim: str, fleet: FleetInterruptions, window_seconds: float, losses: int
) -> Verdict:
    """PASS where no service could not report its heartbeat, and then could, so often within the window.

    Each heartbeat that arrives is well by itself. On 2015-08-12 services came up, appeared to work and were down again
    some minutes later, for an hour.
    """
    return _steady(claim, fleet, "heartbeats", window_seconds, losses)


def connections_steady(
    claim: str, fleet: FleetInterruptions, window_seconds: float, losses: int
) -> Verdict:
    """PASS where no service has lost one and the same connection to a broker so often within the window.

    A rolling restart of brokers costs a connection one loss for each broker at most. A broker that drops its clients
    again and again costs more, and "connected" is true of each of them when somebody looks.
    """
    return _steady(claim, fleet, "connections", window_seconds, losses)


def _steady(
    claim: str,
    fleet: FleetInterruptions,
    counted: Literal["heartbeats", "connections"],
    window_seconds: float,
    losses: int,
) -> Verdict:
    what = "its heartbeat" if counted == "heartbeats" else "a connection to a broker"
    counts: dict[str, int] = {
        name: getattr(each, counted)
        for name, each in fleet.services.items()
        if isinstance(each, Interruptions)
    }
    absent = absences(fleet.listed) if isinstance(fleet.listed, ServiceList) else {}
    judged = {name: each for name, each in fleet.services.items() if name not in absent}
    often = sorted(
        (name for name in judged if counts.get(name, 0) >= losses), key=lambda name: -counts[name]
    )
    minutes = f"{window_seconds / 60:g} min"
    evidence: dict[str, Json] = {
        "losses": {name: counts[name] for name in often[:MAX_NAMED]},
        "window_seconds": window_seconds,
        ABSENT: absent,
    }
    if often:
        message = first_few(
            [f"{name} lost {what} {counts[name]} times in {minutes}" for name in often]
        )
        ill: dict[str, dict[str, Json]] = {
            each.host: {HEALTHY: False}
            for name in often
            if isinstance(each := judged[name], Interruptions)
        }
        return Verdict(claim, Outcome.FAIL, FLAPPING, message, evidence, ill)
    doubts = [each.cause for each in judged.values() if isinstance(each, Unanswered)]
    if doubts or not judged:
        message = (
            first_few(doubts)
            or f"no service was asked; {left_out(absent) or 'the inventory has none'}"
        )
        return Verdict(claim, Outcome.UNKNOWN, "losses_unknown", message, evidence)
    most = max(counts[name] for name in judged)
    message = (
        f"none of {len(judged)} services lost {what} {losses} times in {minutes}; at most {most}"
    )
    message += f"; left out: {left_out(absent)}" if absent else ""
    return Verdict(claim, Outcome.PASS, "steady", message, evidence)
