"""Judge whether a message goes through every node."""

from __future__ import annotations

from holdfast.evidence import HEALTHY
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import RoundTrip, RoundTrips

# Ends of a trip that prove a fault of the node. All others prove nothing about it.
_FAULTS = {"refused", "broken", "silent"}


def amqp_round_trip(claim: str, trips: RoundTrips) -> Verdict:
    """PASS where a message of our own goes through each node: declared, confirmed, consumed, deleted.

    A connection that never gets its answer is the failure of 2015-08-12, so no answer on an open
    connection is a FAIL. A node that cannot be reached, or that denies the login, is UNKNOWN.
    """
    bad = {host: trip for host, trip in trips.items() if not trip.ok}
    failed = [host for host, trip in bad.items() if _is_fault(trip)]
    evidence = {host: _evidence(trip) for host, trip in trips.items()}
    facts = {host: {HEALTHY: False} for host in failed}
    message = "; ".join(f"{host}: {trip.stage}: {trip.cause}" for host, trip in bad.items())
    if failed:
        return Verdict(claim, Outcome.FAIL, "no_round_trip", message, evidence, facts)
    if bad or not trips:
        message = message or "the inventory has no broker"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    slowest = max(trip.seconds for trip in trips.values())
    message = f"a message went through {', '.join(trips)} in {slowest:.2f} s at most"
    return Verdict(claim, Outcome.PASS, "went_through", message, evidence)


def _is_fault(trip: RoundTrip) -> bool:
    """Return whether the end proves a fault. Before a connection is open, silence may be the network's."""
    return trip.how in _FAULTS and not (trip.how == "silent" and trip.stage == "connect")


def _evidence(trip: RoundTrip) -> Json:
    if trip.ok:
        return {"ok": True, "seconds": round(trip.seconds, 3)}
    return {"ok": False, "stage": trip.stage, "how": trip.how, "cause": trip.cause}
