"""Judge whether the nodes serve, and whether they are one cluster, the one that the inventory has."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.evidence import CLUSTER, HEALTHY
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.galera import GaleraNode, GaleraViews, GroupRound, GroupRounds

DESYNCED = "desynced"
ONE_SERVER = "one_server"


def nodes_synced(claim: str, views: GaleraViews) -> Verdict:
    """PASS where every node is ready, connected, in the primary component and Synced, and nobody has desynced it.

    A node that somebody has desynced is left alone: a backup reads from it.
    """
    asked, silent = views.answered, views.silent
    ill = {host: _ailment(node) for host, node in asked.items() if not node.serves}
    facts = {host: {HEALTHY: host not in ill} for host in asked}
    facts |= {host: {HEALTHY: False} for host in silent}
    evidence: dict[str, Json] = {"ill": ill, "unanswered": list(silent.values())}
    if ill:
        only_desynced = all(asked[host].is_desynced for host in ill)
        reason = DESYNCED if only_desynced else "not_synced"
        message = first_few([f"{host} {what}" for host, what in ill.items()])
        return Verdict(claim, Outcome.FAIL, reason, message, evidence, facts)
    if silent or not asked:
        message = first_few(list(silent.values())) or "the inventory has no Galera node to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence, facts)
    message = f"{len(asked)} nodes are Synced: {', '.join(asked)}"
    return Verdict(claim, Outcome.PASS, "synced", message, evidence, facts)


def _ailment(node: GaleraNode) -> str:
    """Return what is wrong with a node that does not serve."""
    if not node.connected:
        return "is not connected to any cluster (wsrep_connected OFF)"
    if node.status.lower() != "primary":
        return f"is in a component without a majority (wsrep_cluster_status {node.status})"
    if not node.ready:
        return "is not ready (wsrep_ready OFF)"
    if node.is_desynced:
        return (
            f"was desynced on purpose, as for a backup (wsrep_desync_count {node.desync_count},"
            f" wsrep_desync {'ON' if node.desynced else 'OFF'}, state {node.state_name})"
        )
    return f"is {node.state_name}, not Synced (wsrep_local_state {node.state})"


def members_agree(claim: str, views: GaleraViews) -> Verdict:
    """PASS where every node is in the same view of the same cluster, which has the inventory's nodes and no other."""
    asked, silent = views.answered, list(views.silent.values())
    evidence: dict[str, Json] = {
        CLUSTER: next((each.cluster for each in asked.values()), ""),
        "views": {host: [each.cluster, each.view, each.size] for host, each in asked.items()},
        "arbitrators": views.arbitrators,
    }
    for reason, fault in (
        (ONE_SERVER, _same_server(asked)),
        ("other_cluster", _split(asked)),
        ("other_size", _size(views)),
    ):
        if fault:
            return Verdict(claim, Outcome.FAIL, reason, fault, evidence)
    if silent or not asked:
        message = first_few(silent) or "the inventory has no Galera node to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    first = next(iter(asked.values()))
    message = f"{len(asked)} nodes are in view {first.view} of cluster {first.cluster}, of {first.size} members"
    return Verdict(claim, Outcome.PASS, "agree", message, evidence)


def members_answer(claim: str, rounds: GroupRounds, seconds: float = 1) -> Verdict:
    """PASS where all members of the inventory acknowledge a message of every node, each within ``seconds``.

    A member that was cut off stays in the others' views for seconds (``evs.suspect_timeout``), in which all that
    they report is good, and a restart of another would cost the majority. Only an answer shows that it is there, or
    was a second ago.
    """
    asked = {host: each for host, each in rounds.nodes.items() if isinstance(each, GroupRound)}
    silent = [each.cause for each in rounds.nodes.values() if isinstance(each, Unanswered)]
    expected = len(rounds.nodes) + rounds.arbitrators
    evidence: dict[str, Json] = {
        "seconds": {host: each.seconds for host, each in asked.items()},
        "views": {host: [each.view, each.size] for host, each in asked.items()},
    }
    late = [
        f"{host}: a message of it was acknowledged after {each.seconds:.1f} s, a member may be cut off"
        for host, each in asked.items()
        if each.seconds > seconds
    ]
    fewer = [
        f"{host} sees {each.size} members, expected are {expected}"
        for host, each in asked.items()
        if each.size != expected
    ]
    for reason, faults in (("late", late), ("other_size", fewer)):
        if faults:
            return Verdict(claim, Outcome.FAIL, reason, first_few(faults), evidence)
    if silent or not asked:
        message = first_few(silent) or "the inventory has no Galera node to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    if len({each.view for each in asked.values()}) != 1:
        message = "the nodes were in different views after it: members come and go"
        return Verdict(claim, Outcome.FAIL, "other_view", message, evidence)
    slowest = max(each.seconds for each in asked.values())
    message = f"all {expected} members acknowledge a message of each node within {slowest:.2f} s"
    return Verdict(claim, Outcome.PASS, "answer", message, evidence)


def _same_server(asked: Mapping[str, GaleraNode]) -> str:
    """Return which two hosts are answered by one server, as through a load balancer's address."""
    first: dict[str, str] = {}
    joined = ((host, node) for host, node in asked.items() if node.connected)
    for host, node in joined:
        if (twin := first.setdefault(node.counters.start, host)) != host:
            return f"{twin} and {host} are answered by one server, {node.name}: set galera_address for each to its own"
    return ""


def _split(asked: Mapping[str, GaleraNode]) -> str:
    """Return how the nodes are divided, where they are not in one view of one cluster."""
    sides: dict[tuple[str, int], list[str]] = {}
    for host, node in asked.items():
        sides.setdefault((node.cluster, node.view), []).append(host)
    if len(sides) < 2:
        return ""
    shown = [
        f"{', '.join(hosts)}: view {view} of {cluster or 'no cluster'}"
        for (cluster, view), hosts in sides.items()
    ]
    return f"the nodes are not in one view of one cluster: {first_few(shown)}"


def _size(views: GaleraViews) -> str:
    """Return how the cluster's size differs from what the inventory has."""
    expected = len(views.nodes) + views.arbitrators
    others = {host: each for host, each in views.answered.items() if each.size != expected}
    if not others:
        return ""
    host, node = next(iter(others.items()))
    arbitrators = sum(not address for address in node.addresses) if node.size > 1 else 0
    message = (
        f"{host} sees {node.size} members, expected are {expected}: the {len(views.nodes)} of the inventory"
        f"{f' and {views.arbitrators} arbitrators' if views.arbitrators else ''}"
    )
    if arbitrators != views.arbitrators:
        message += f"; {_of(arbitrators)} without an address for clients, as an arbitrator (garbd): galera_arbitrators"
    return (
        f"{message}; it lists {first_few([each or '(none)' for each in node.addresses], 5, ', ')}"
    )


def _of(count: int) -> str:
    return "one member is" if count == 1 else f"{count} members are"
