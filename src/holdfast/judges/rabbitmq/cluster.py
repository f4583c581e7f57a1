"""Judge the cluster as its nodes see it: members, partitions, alarms, client load; and whether a node booted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, floor

from holdfast.evidence import CHURN, CONNECTIONS, FIGURES, HEALTHY, LEFT, UNSEEN
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import (
    BootState,
    ClientLoad,
    ClusterViews,
    NodeFigures,
    NodeView,
)

ANOTHER_NODE = "another_node"


def members_agree(claim: str, cluster: ClusterViews) -> Verdict:
    """PASS where in every node's own view the running members are exactly the inventory's group.

    Every node is asked: one that knows only itself would pass every check of quorum (RabbitMQ, "Clustering and
    Network Partitions"; observed on 3.10.8). Not running in any one view fails, even where another node is silent.
    """
    facts = _host_facts(cluster)
    evidence = {"views": _views(cluster), "unanswered": dict(cluster.silent)}
    if strangers := _strangers(cluster):
        message = "; ".join(
            f"{node} answers at the address of {host}, whose node is {cluster.expected[host]}"
            for host, node in strangers.items()
        )
        message += "; compare their ansible_host and rabbitmq_node_name in the inventory"
        return Verdict(claim, Outcome.FAIL, ANOTHER_NODE, message, evidence)
    faults: dict[tuple[str, str], list[str]] = {}
    for host, view in cluster.answered.items():
        for fault in _faults(cluster, view):
            faults.setdefault(fault, []).append(host)
    if faults:
        reason = next(iter(faults))[0]
        message = "; ".join(
            f"{fault} in the view of {', '.join(hosts)}" for (_, fault), hosts in faults.items()
        )
        return Verdict(claim, Outcome.FAIL, reason, message, evidence, facts)
    if cluster.silent or not cluster.answered:
        return _incomplete(claim, cluster, evidence, facts)
    hosts = ", ".join(cluster.expected)
    message = f"{len(cluster.expected)} nodes see each other and no other node: {hosts}"
    return Verdict(claim, Outcome.PASS, "agree", message, evidence, facts)


def no_partitions(claim: str, cluster: ClusterViews) -> Verdict:
    """PASS where no node reports a partition, and all nodes see the same members running.

    Under Khepri the list of partitions is always empty, so the views are compared as well.
    """
    answered = cluster.answered
    evidence = {"views": _views(cluster), "unanswered": dict(cluster.silent)}
    partitions = {host: view.partitions for host, view in answered.items() if view.partitions}
    if partitions:
        message = "; ".join(
            f"{host} reports that it is cut off from {_hosts(cluster, nodes)}"
            for host, nodes in partitions.items()
        )
        return Verdict(claim, Outcome.FAIL, "partitioned", message, evidence)
    if len({view.running for view in answered.values()}) > 1:
        views = "; ".join(f"{h} sees {_hosts(cluster, v.running)}" for h, v in answered.items())
        message = f"the nodes see different members running: {views}"
        return Verdict(claim, Outcome.FAIL, "views_differ", message, evidence)
    if cluster.silent or not answered:
        return _incomplete(claim, cluster, evidence, {})
    message = f"all {len(answered)} nodes see the same members running"
    return Verdict(claim, Outcome.PASS, "one_view", message, evidence)


def none_left_drained(claim: str, cluster: ClusterViews) -> Verdict:
    """PASS where no node is drained, in its own view or in another's.

    A run drains a node for the time of its turn. Where the run ended in between, the node stays drained. A node whose
    management API answers is not drained: that API is closed then (observed on 3.10.8). Who drained it, no broker
    records.
    """
    seen: dict[str, list[str]] = {}
    for peer, view in cluster.answered.items():
        for node in sorted(view.maintenance or ()):
            seen.setdefault(cluster.host_of(node), []).append(peer)
    if seen:
        message = "; ".join(
            f"{host} is drained in the view of {', '.join(peers)}" for host, peers in seen.items()
        )
        evidence = {LEFT: dict.fromkeys(seen, ""), UNSEEN: list(cluster.silent.values())}
        return Verdict(claim, Outcome.FAIL, "left_drained", message, evidence)
    if cluster.silent or not cluster.answered:
        return _incomplete(claim, cluster, {"unanswered": dict(cluster.silent)}, {})
    message = f"none of {len(cluster.answered)} nodes is drained"
    return Verdict(claim, Outcome.PASS, "none_drained", message)


def no_alarms(claim: str, cluster: ClusterViews) -> Verdict:
    """PASS where no memory or disk alarm is in effect on any node.

    An alarm blocks every publisher of the cluster.
    """
    alarms = sorted({alarm for view in cluster.answered.values() for alarm in view.alarms})
    figures = {alarm: text for alarm in alarms if (text := _alarm_figures(cluster, alarm))}
    evidence = {"alarms": alarms, "unanswered": dict(cluster.silent), FIGURES: figures}
    if alarms:
        told = [f"{each} ({figures[each]})" if each in figures else each for each in alarms]
        message = f"alarms block all publishers: {', '.join(told)}"
        return Verdict(claim, Outcome.FAIL, "alarm", message, evidence)
    if cluster.silent or not cluster.answered:
        return _incomplete(claim, cluster, evidence, {})
    message = f"no alarm on {len(cluster.answered)} nodes"
    return Verdict(claim, Outcome.PASS, "no_alarm", message, evidence)


def _alarm_figures(cluster: ClusterViews, alarm: str) -> str:
    """Return what the node of an alarm uses and may use, and what its peers may, "" where that is not known.

    An alarm is written as its resource and its node: ``memory on rabbit@ctl2``.
    """
    resource, _, node = alarm.partition(" on ")
    known = {
        name: each for view in cluster.answered.values() for name, each in view.figures.items()
    }
    if node not in known:
        return ""
    own, others = known[node], [name for name in sorted(known) if name != node]
    if resource == "memory":
        text = f"used {_size(own.mem_used)} of a limit of {_size(own.mem_limit)}"
        limits = {name: known[name].mem_limit for name in others}
    else:
        text = f"free {_size(own.disk_free)}, the limit is {_size(own.disk_free_limit)}"
        limits = {name: known[name].disk_free_limit for name in others}
    peer = next((name for name in others if limits[name] != _limit(resource, own)), "")
    return f"{text}; {cluster.host_of(peer)}'s limit is {_size(limits[peer])}" if peer else text


def _limit(resource: str, figures: NodeFigures) -> int:
    return figures.mem_limit if resource == "memory" else figures.disk_free_limit


def _size(count: int) -> str:
    """Return a number of bytes in GB with two digits that say something: ``7.1 GB``, ``0.0025 GB``."""
    size = count / 1e9
    return f"{size:.0f} GB" if size >= 10 else f"{size:.2g} GB"


def booted(claim: str, boot: BootState) -> Verdict:
    """PASS where the node runs, with its virtual hosts and its AMQP listener up.

    A ping is not enough: the runtime of a paused minority node answers one.
    """
    evidence = {"running": boot.running, "faults": list(boot.faults)}
    facts = {boot.host: {"running": boot.running}}
    if not boot.running:
        message = f"{boot.host}: the broker is not running on {boot.node}"
        return Verdict(claim, Outcome.FAIL, "not_running", message, evidence, facts)
    if boot.faults:
        message = f"{boot.host} has not booted fully: {'; '.join(boot.faults)}"
        return Verdict(claim, Outcome.FAIL, "not_serving", message, evidence, facts)
    message = f"{boot.host} runs, with its virtual hosts and its AMQP listener up"
    return Verdict(claim, Outcome.PASS, "booted", message, evidence, facts)


def load_known(claim: str, cluster: ClusterViews) -> Verdict:
    """PASS where connections and churn can be read; they are the evidence, for a baseline.

    Every node must count both; where statistics are switched off, churn is None in the evidence.
    """
    loads = _loads(claim, cluster)
    if isinstance(loads, Verdict):
        return loads
    connections = max(load.connections for load in loads.values())
    churns = _churns(loads)
    # A node without statistics makes the figure useless: the others count their own clients alone.
    churn = max(churns.values()) if len(churns) == len(loads) else None
    come_and_go = (
        "how many are opened or closed a second is not counted: statistics are switched off"
        if churn is None
        else f"{churn:.1f} opened or closed a second"
    )
    message = f"{connections} client connections, {come_and_go}"
    evidence = {CONNECTIONS: connections, CHURN: churn}
    return Verdict(claim, Outcome.PASS, "known", message, evidence)


def connections_at_baseline(
    claim: str, cluster: ClusterViews, baseline: float, tolerance: float, slack: float
) -> Verdict:
    """PASS where clients are back: no fewer connections than before the first restart, no more than twice as many.

    Every node must count from just below the baseline to twice as many, but never less than half of it: the slack of a
    large site must not be all clients of a small one. Fewer: clients have not come
    back. More than twice: they reconnect without closing connections. Between the two is normal: a
    client library's pool of connections grows while calls wait for a broker, and keeps what it opened
    (oslo.messaging, ``rpc_conn_pool_size``).
    """
    loads = _loads(claim, cluster)
    if isinstance(loads, Verdict):
        return loads
    counts = {host: load.connections for host, load in loads.items()}
    allowed = max(slack, baseline * tolerance)
    fewest, most = baseline - min(allowed, baseline / 2), 2 * baseline + allowed
    evidence = {CONNECTIONS: counts, "baseline": baseline, "slack": allowed}
    off = {host: count for host, count in counts.items() if not fewest <= count <= most}
    before = (
        f"before the first restart {baseline:.0f}, so {ceil(fewest)} to {floor(most)} are expected"
    )
    if off:
        counted = ", ".join(f"{host} counts {count}" for host, count in off.items())
        message = f"{counted} client connections; {before}"
        return Verdict(claim, Outcome.FAIL, "off_baseline", message, evidence)
    message = f"{max(counts.values())} client connections; {before}"
    return Verdict(claim, Outcome.PASS, "at_baseline", message, evidence)


def churn_at_baseline(
    claim: str, cluster: ClusterViews, baseline: float, tolerance: float, slack: float
) -> Verdict:
    """PASS where connections come and go no faster than before the first restart, give or take the tolerance.

    No node may count clearly more opened or closed a second than the baseline. A storm of reconnecting
    clients must be over before the next node is taken.
    """
    loads = _loads(claim, cluster)
    if isinstance(loads, Verdict):
        return loads
    churns = _churns(loads)
    if uncounted := [host for host in loads if host not in churns]:
        message = (
            f"{', '.join(uncounted)}: statistics are switched off"
            " (management_agent.disable_metrics_collector), so it is not counted how many connections come and go"
        )
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", message)
    allowed = max(slack, baseline * tolerance)
    evidence = {CHURN: churns, "baseline": baseline, "slack": allowed}
    worst = max(churns, key=lambda host: churns[host])
    message = (
        f"{churns[worst]:.1f} connections a second opened or closed ({worst}'s count); "
        f"before the first restart {baseline:.1f} (+ {allowed:.1f})"
    )
    if churns[worst] > baseline + allowed:
        return Verdict(claim, Outcome.FAIL, "storm", message, evidence)
    return Verdict(claim, Outcome.PASS, "at_baseline", message, evidence)


def _strangers(cluster: ClusterViews) -> dict[str, str]:
    """Return, per host at whose address another node answers, that node: addresses exchanged in the inventory."""
    return {
        host: view.node
        for host, view in cluster.answered.items()
        if view.node and view.node != cluster.expected[host]
    }


def _faults(cluster: ClusterViews, view: NodeView) -> Iterator[tuple[str, str]]:
    """Yield how one view differs from the inventory: reason code and text, the worst first."""
    expected = frozenset(cluster.expected.values())
    if down := expected & view.members - view.running:
        yield "not_running", f"{_hosts(cluster, down)} not running"
    if missing := expected - view.members:
        yield "member_missing", f"{_hosts(cluster, missing)} no member"
    if unexpected := (view.members | view.running) - expected:
        names = _hosts(cluster, unexpected)
        yield "member_unexpected", f"{names}, not in the inventory's group, a member"


def _host_facts(cluster: ClusterViews) -> dict[str, dict[str, Json]]:
    """Return, per host, whether it runs in every view, and is healthy: it answers, and runs in most views.

    A node is not ill for seeing that another one is down. In a partition the smaller side is; of two equal sides, both.
    """
    facts: dict[str, dict[str, Json]] = {}
    views = cluster.answered
    for host, node in cluster.expected.items():
        seen = sum(node in view.running for view in views.values())
        running = 0 < seen == len(views)
        facts[host] = {HEALTHY: host in views and 2 * seen > len(views), "running": running}
    return facts


def _incomplete(
    claim: str,
    cluster: ClusterViews,
    evidence: Mapping[str, Json],
    facts: Mapping[str, Json],
) -> Verdict:
    """Return UNKNOWN, with every cause, where no fault was found and a node did not answer.

    A drained node closes its management API and still runs; that is easily taken for a firewall (seen on 3.10.8). But a
    node that refuses connections need not be drained: ``pause_minority`` stops its broker as well. So the message
    says that it is drained only where other nodes report so.
    """
    message = "; ".join(cluster.silent.values()) or "the inventory has no broker"
    message += "".join(_what_peers_see(cluster, host) for host in cluster.silent)
    return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence, facts)


def _what_peers_see(cluster: ClusterViews, host: str) -> str:
    """Return what the nodes that answered report of a silent one."""
    views, node = cluster.answered, cluster.expected[host]
    drained = [peer for peer, view in views.items() if node in (view.maintenance or ())]
    if drained:
        return (
            f". {host} is drained in the view of {', '.join(drained)};"
            f" to end that, on {host}: rabbitmq-upgrade -n {node} revive"
        )
    if views and all(node in view.running for view in views.values()):
        return f". {', '.join(views)} see {host} running: the node is up, and its management API does not answer"
    return ""


def _views(cluster: ClusterViews) -> dict[str, Json]:
    return {
        host: {
            "members": sorted(view.members),
            "running": sorted(view.running),
            "partitions": sorted(view.partitions),
        }
        for host, view in cluster.answered.items()
    }


def _hosts(cluster: ClusterViews, nodes: frozenset[str]) -> str:
    """Return nodes by their hosts' names, which are what an operator types."""
    return ", ".join(sorted(cluster.host_of(node) for node in nodes)) or "none"


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


def _churns(loads: Mapping[str, ClientLoad]) -> dict[str, float]:
    """Return the churn of each node that keeps statistics."""
    return {host: load.churn for host, load in loads.items() if load.churn is not None}
