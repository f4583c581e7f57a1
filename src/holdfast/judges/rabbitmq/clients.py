"""Judges of what clients notice: drained, messages that go through, load as it was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.evidence import CHURN, CONNECTIONS, HEALTHY
from holdfast.judges.base import Unanswered, unknown
from holdfast.judges.rabbitmq.seen import Cluster, Drained, Load, Trip, Trips
from holdfast.model import Json, Outcome, Verdict

# What a trip that did not end well says: that the node does not serve, or only that nobody knows.
_TELLING = {"refused", "broken", "silent"}


def drained(claim: str, history: Sequence[Drained | Unanswered]) -> Verdict:
    """Peers see the node in maintenance and no client connection is left on it.

    The exit status of a drain is weak evidence, and the node's own API is gone by then.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    evidence = {"marked": dict(seen.marked), "connections": seen.connections}
    if not seen.marked:
        said = f"nobody could say whether {seen.host} is in maintenance"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", said, evidence)
    if not all(seen.marked.values()):
        by = ", ".join(host for host, marked in seen.marked.items() if not marked)
        said = f"{seen.host} is not in maintenance in the view of {by}"
        return Verdict(claim, Outcome.FAIL, "not_in_maintenance", said, evidence)
    if seen.connections:
        said = f"{seen.connections} client connections are left on {seen.host}"
        return Verdict(claim, Outcome.FAIL, "connections_left", said, evidence)
    said = f"{seen.host} is in maintenance in the view of {', '.join(seen.marked)}, no connection is left"
    return Verdict(claim, Outcome.PASS, "drained", said, evidence)


def amqp_round_trip(claim: str, history: Sequence[Trips | Unanswered]) -> Verdict:
    """A message of our own went through every asked node: declared, confirmed, consumed, deleted.

    A connection that never gets its answer is the failure of 2015-08-12, so silence on an open connection
    fails. Not reaching the node at all, or being denied, says nothing about it: UNKNOWN.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    bad = {host: trip for host, trip in seen.trips.items() if not trip.ok}
    fails = [host for host, trip in bad.items() if _fails(trip)]
    evidence = {host: _said(trip) for host, trip in seen.trips.items()}
    facts = {host: {HEALTHY: False} for host in fails}
    said = "; ".join(f"{host}: {trip.stage}: {trip.cause}" for host, trip in bad.items())
    if fails:
        return Verdict(claim, Outcome.FAIL, "no_round_trip", said, evidence, facts)
    if bad or not seen.trips:
        said = said or "no node was asked"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", said, evidence)
    slowest = max(trip.seconds for trip in seen.trips.values())
    said = f"a message went through {', '.join(seen.trips)} in {slowest:.2f} s at most"
    return Verdict(claim, Outcome.PASS, "went_through", said, evidence)


def load_known(claim: str, history: Sequence[Cluster | Unanswered]) -> Verdict:
    """The cluster's connections and churn can be read; they are the evidence, for a baseline."""
    seen = history[-1]
    loads = _loads(claim, seen)
    if isinstance(loads, Verdict):
        return loads
    connections = max(load.connections for load in loads.values())
    churn = max(load.churn for load in loads.values())
    said = f"{connections} client connections, {churn:.1f} opened or closed a second"
    evidence = {CONNECTIONS: connections, CHURN: churn}
    return Verdict(claim, Outcome.PASS, "known", said, evidence)


def connections_at_baseline(
    claim: str, history: Sequence[Cluster | Unanswered], baseline: float, slack: float
) -> Verdict:
    """In every node's count the clients are back: from ``slack`` below the baseline to twice it and ``slack``.

    Fewer: clients have not come back. More than twice: they reconnect without letting go. In between
    lies health: a client library's pool of connections grows while calls wait for a broker, and keeps
    what it opened (oslo.messaging, ``rpc_conn_pool_size``).
    """
    loads = _loads(claim, history[-1])
    if isinstance(loads, Verdict):
        return loads
    counts = {host: load.connections for host, load in loads.items()}
    fewest, most = baseline - slack, 2 * baseline + slack
    evidence = {"connections": counts, **_about(baseline, slack)}
    off = {host: count for host, count in counts.items() if not fewest <= count <= most}
    before = f"before the first restart {baseline:.0f}, so {max(fewest, 0):.0f} to {most:.0f} are expected"
    if off:
        said = ", ".join(f"{host} counts {count}" for host, count in off.items())
        return Verdict(
            claim, Outcome.FAIL, "off_baseline", f"{said} client connections; {before}", evidence
        )
    said = f"{max(counts.values())} client connections; {before}"
    return Verdict(claim, Outcome.PASS, "at_baseline", said, evidence)


def churn_at_baseline(
    claim: str, history: Sequence[Cluster | Unanswered], baseline: float, slack: float
) -> Verdict:
    """In every node's count no more than ``slack`` connections a second above the baseline come and go.

    A storm of reconnecting clients must pass before the next node is taken.
    """
    loads = _loads(claim, history[-1])
    if isinstance(loads, Verdict):
        return loads
    churns = {host: load.churn for host, load in loads.items()}
    evidence = {"churn": churns, **_about(baseline, slack)}
    worst = max(churns, key=lambda host: churns[host])
    said = f"{churns[worst]:.1f} connections a second opened or closed ({worst}'s count)"
    said = f"{said}; before the first restart {baseline:.1f} (+ {slack:.1f})"
    if churns[worst] > baseline + slack:
        return Verdict(claim, Outcome.FAIL, "storm", said, evidence)
    return Verdict(claim, Outcome.PASS, "at_baseline", said, evidence)


def _loads(claim: str, seen: Cluster | Unanswered) -> Mapping[str, Load] | Verdict:
    """Every node's count, or the UNKNOWN verdict on why not every one could be got."""
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    causes = list(seen.silent.values())
    loads = {host: view.load for host, view in seen.answered.items() if view.load}
    causes += [
        f"{host}: connections and churn are counted by the management API, which is off or not ready"
        for host in seen.answered
        if host not in loads
    ]
    if causes or not loads:
        return Verdict(
            claim, Outcome.UNKNOWN, "unanswered", "; ".join(causes) or "no node was asked"
        )
    return loads


def _fails(trip: Trip) -> bool:
    """Silence counts only on a connection that was opened: before, the network may be at fault."""
    return trip.how in _TELLING and not (trip.how == "silent" and trip.stage == "connect")


def _said(trip: Trip) -> Json:
    if trip.ok:
        return {"ok": True, "seconds": round(trip.seconds, 3)}
    return {"ok": False, "stage": trip.stage, "how": trip.how, "cause": trip.cause}


def _about(baseline: float, slack: float) -> dict[str, Json]:
    return {"baseline": baseline, "slack": slack}
