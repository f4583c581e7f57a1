"""Judges of the cluster as its nodes see it: members, partitions, alarms, and whether a node booted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from holdfast.evidence import HEALTHY
from holdfast.judges.base import Unanswered, unknown
from holdfast.judges.rabbitmq.seen import Booted, Cluster, Seen, View
from holdfast.model import Json, Outcome, Verdict


def members_agree(claim: str, history: Sequence[Cluster | Unanswered]) -> Verdict:
    """In every node's own view the members, and the running members, are exactly the inventory's group.

    Every node is asked: one that knows only itself would pass every check on quorum (RabbitMQ, "Clustering and
    Network Partitions"; observed on 3.10.8). Not running in any one view fails, even where another node is silent.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    faults: dict[tuple[str, str], list[str]] = {}
    for host, view in seen.answered.items():
        for fault in _faults(seen, view):
            faults.setdefault(fault, []).append(host)
    facts = _facts(seen)
    evidence = {"views": _views(seen), "unanswered": dict(seen.silent)}
    if faults:
        reason = next(iter(faults))[0]
        said = "; ".join(
            f"{what} in the view of {', '.join(by)}" for (_, what), by in faults.items()
        )
        return Verdict(claim, Outcome.FAIL, reason, said, evidence, facts)
    if seen.silent or not seen.answered:
        return _silent(claim, seen, evidence, facts)
    nodes = f"{len(seen.expected)} nodes see each other and nobody else: {', '.join(seen.expected)}"
    return Verdict(claim, Outcome.PASS, "agree", nodes, evidence, facts)


def no_partitions(claim: str, history: Sequence[Cluster | Unanswered]) -> Verdict:
    """No node admits a partition, and all nodes see the same members running.

    Under Khepri the list of partitions is always empty, so the views are compared as well.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    evidence = {"views": _views(seen), "unanswered": dict(seen.silent)}
    admitted = {host: view.partitions for host, view in seen.answered.items() if view.partitions}
    if admitted:
        said = "; ".join(f"{h} is cut off from {_hosts(seen, cut)}" for h, cut in admitted.items())
        return Verdict(claim, Outcome.FAIL, "partitioned", said, evidence)
    if len({view.running for view in seen.answered.values()}) > 1:
        said = "; ".join(f"{h} sees {_hosts(seen, v.running)}" for h, v in seen.answered.items())
        return Verdict(claim, Outcome.FAIL, "views_differ", f"the nodes differ: {said}", evidence)
    if seen.silent or not seen.answered:
        return _silent(claim, seen, evidence)
    said = f"all {len(seen.answered)} nodes see the same members running"
    return Verdict(claim, Outcome.PASS, "one_view", said, evidence)


def no_alarms(claim: str, history: Sequence[Cluster | Unanswered]) -> Verdict:
    """No memory or disk alarm is in effect anywhere; an alarm blocks every publisher of the cluster."""
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    alarms = sorted({alarm for view in seen.answered.values() for alarm in view.alarms})
    evidence = {"alarms": alarms, "unanswered": dict(seen.silent)}
    if alarms:
        said = f"in effect, publishers are blocked: {', '.join(alarms)}"
        return Verdict(claim, Outcome.FAIL, "alarm", said, evidence)
    if seen.silent or not seen.answered:
        return _silent(claim, seen, evidence)
    said = f"no alarm on {len(seen.answered)} nodes"
    return Verdict(claim, Outcome.PASS, "no_alarm", said, evidence)


def booted(claim: str, history: Sequence[Booted | Unanswered]) -> Verdict:
    """The node runs, its virtual hosts are up and it listens for AMQP, by its own word.

    A ping is not enough: the runtime of a paused minority node answers one.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    evidence = {"running": seen.running, "faults": list(seen.faults)}
    facts = {seen.host: {"running": seen.running}}
    if not seen.running:
        said = f"{seen.host}: the broker is not running on {seen.expected[seen.host]}"
        return Verdict(claim, Outcome.FAIL, "not_running", said, evidence, facts)
    if seen.faults:
        said = f"{seen.host} has not booted fully: {'; '.join(seen.faults)}"
        return Verdict(claim, Outcome.FAIL, "not_serving", said, evidence, facts)
    said = f"{seen.host} runs, with its virtual hosts and its AMQP listener up"
    return Verdict(claim, Outcome.PASS, "booted", said, evidence, facts)


def _faults(seen: Cluster, view: View) -> Iterator[tuple[str, str]]:
    """What one view has against the inventory: reason code and words, the worst first."""
    expected = frozenset(seen.expected.values())
    if down := expected & view.members - view.running:
        yield "not_running", f"{_hosts(seen, down)} not running"
    if missing := expected - view.members:
        yield "member_missing", f"{_hosts(seen, missing)} no member"
    if strange := (view.members | view.running) - expected:
        yield (
            "member_unexpected",
            f"{_hosts(seen, strange)}, not in the inventory's group, a member",
        )


def _facts(seen: Cluster) -> dict[str, dict[str, Json]]:
    """Per host what ordering uses: healthy where no view, its own included, has anything against it."""
    facts: dict[str, dict[str, Json]] = {}
    for host, node in seen.expected.items():
        running = bool(seen.answered) and all(node in v.running for v in seen.answered.values())
        own = seen.answered.get(host)
        agrees = own is not None and next(_faults(seen, own), None) is None
        facts[host] = {HEALTHY: running and agrees, "running": running}
    return facts


def _silent(
    claim: str, seen: Cluster, evidence: Mapping[str, Json], facts: Mapping[str, Json] | None = None
) -> Verdict:
    """Nothing bad was seen, and not everything could be: UNKNOWN, with every cause.

    A drained node closes its management API too and still runs: that is said, for a drain that nobody took back looks
    like a firewall otherwise (seen on 3.10.8).
    """
    said = "; ".join(seen.silent.values()) or "no node was asked"
    views = list(seen.answered.values())
    running = [
        host
        for host in seen.silent
        if views and all(seen.expected[host] in view.running for view in views)
    ]
    if running:
        said += f". Its peers see {', '.join(running)} running: drained, and not revived?"
    return Verdict(claim, Outcome.UNKNOWN, "unanswered", said, evidence, facts or {})


def _views(seen: Cluster) -> dict[str, Json]:
    return {
        host: {
            "members": sorted(view.members),
            "running": sorted(view.running),
            "partitions": sorted(view.partitions),
        }
        for host, view in seen.answered.items()
    }


def _hosts(seen: Seen, nodes: frozenset[str]) -> str:
    """Nodes by their hosts' names, which are what the operator types."""
    return ", ".join(sorted(seen.host_of(node) for node in nodes)) or "nobody"
