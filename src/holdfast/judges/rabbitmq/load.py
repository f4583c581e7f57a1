"""Judge the load of clients: connections and churn, known and as they were before the first restart."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.evidence import CHURN, CONNECTIONS
from holdfast.judges.base import judge_latest
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import ClientLoad, ClusterViews


@judge_latest
def load_known(claim: str, cluster: ClusterViews) -> Verdict:
    """PASS where every node counts connections and churn; the counts are the evidence, for a baseline."""
    loads = _loads(claim, cluster)
    if isinstance(loads, Verdict):
        return loads
    connections = max(load.connections for load in loads.values())
    churn = max(load.churn for load in loads.values())
    message = f"{connections} client connections, {churn:.1f} opened or closed a second"
    evidence = {CONNECTIONS: connections, CHURN: churn}
    return Verdict(claim, Outcome.PASS, "known", message, evidence)


@judge_latest
def connections_at_baseline(
    claim: str, cluster: ClusterViews, baseline: float, tolerance: float, slack: float
) -> Verdict:
    """PASS where every node counts from just below the baseline to twice as many connections.

    Fewer: clients have not come back. More than twice: they reconnect without closing connections.
    Between the two is normal: a client library's pool of connections grows while calls wait for a
    broker, and keeps what it opened (oslo.messaging, ``rpc_conn_pool_size``).
    """
    loads = _loads(claim, cluster)
    if isinstance(loads, Verdict):
        return loads
    counts = {host: load.connections for host, load in loads.items()}
    allowed = _allowed(baseline, tolerance, slack)
    fewest, most = baseline - allowed, 2 * baseline + allowed
    evidence = {CONNECTIONS: counts, **_baseline_evidence(baseline, allowed)}
    off = {host: count for host, count in counts.items() if not fewest <= count <= most}
    before = f"before the first restart {baseline:.0f}, so {max(fewest, 0):.0f} to {most:.0f} are expected"
    if off:
        counted = ", ".join(f"{host} counts {count}" for host, count in off.items())
        message = f"{counted} client connections; {before}"
        return Verdict(claim, Outcome.FAIL, "off_baseline", message, evidence)
    message = f"{max(counts.values())} client connections; {before}"
    return Verdict(claim, Outcome.PASS, "at_baseline", message, evidence)


@judge_latest
def churn_at_baseline(
    claim: str, cluster: ClusterViews, baseline: float, tolerance: float, slack: float
) -> Verdict:
    """PASS where no node counts clearly more connections opened or closed a second than the baseline.

    A storm of reconnecting clients must be over before the next node is taken.
    """
    loads = _loads(claim, cluster)
    if isinstance(loads, Verdict):
        return loads
    churns = {host: load.churn for host, load in loads.items()}
    allowed = _allowed(baseline, tolerance, slack)
    evidence = {CHURN: churns, **_baseline_evidence(baseline, allowed)}
    worst = max(churns, key=lambda host: churns[host])
    message = (
        f"{churns[worst]:.1f} connections a second opened or closed ({worst}'s count); "
        f"before the first restart {baseline:.1f} (+ {allowed:.1f})"
    )
    if churns[worst] > baseline + allowed:
        return Verdict(claim, Outcome.FAIL, "storm", message, evidence)
    return Verdict(claim, Outcome.PASS, "at_baseline", message, evidence)


def _loads(claim: str, cluster: ClusterViews) -> Mapping[str, ClientLoad] | Verdict:
    """Return every node's count, or the UNKNOWN verdict where a node's is missing."""
    causes = list(cluster.silent.values())
    loads = {host: view.load for host, view in cluster.answered.items() if view.load}
    causes += [
        f"{host}: connections and churn are counted by the management API, which is off or not ready"
        for host in cluster.answered
        if host not in loads
    ]
    if causes or not loads:
        message = "; ".join(causes) or "the inventory has no broker"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message)
    return loads


def _allowed(baseline: float, tolerance: float, slack: float) -> float:
    """Return how far off a figure may be: the tolerance is a share of the baseline, slack is absolute."""
    return max(slack, baseline * tolerance)


def _baseline_evidence(baseline: float, allowed: float) -> dict[str, Json]:
    return {"baseline": baseline, "slack": allowed}
