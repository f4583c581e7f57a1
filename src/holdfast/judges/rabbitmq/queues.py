"""Judges of queues: whole, surviving a node's absence, in sync, consumed, not growing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from holdfast.evidence import CONSUMERS, LEADERS
from holdfast.judges.base import Unanswered, unknown
from holdfast.judges.rabbitmq.seen import Depth, Depths, Placement, Queues, Quorum
from holdfast.model import Json, Outcome, Verdict

SAMPLES = 3  # a backlog that grows from one sample to the next may be a burst


def quorum_queues_whole(claim: str, history: Sequence[Queues | Unanswered]) -> Verdict:
    """Every quorum queue and stream has a leader, and all its members are online."""
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    replicated = [queues for queues in seen.placements if queues.replicated]
    unseen = [queues for queues in replicated if queues.members is None or queues.online is None]
    faults = [f"no leader: {queues}" for queues in replicated if not queues.leader]
    away: dict[str, list[Placement]] = {}
    for queues in replicated:
        if missing := (queues.members or frozenset()) - (queues.online or frozenset()):
            where = ", ".join(sorted(seen.host_of(node) for node in missing))
            away.setdefault(where, []).append(queues)
    faults += [
        f"member on {where} not online: {', '.join(map(str, queues))}"
        for where, queues in away.items()
    ]
    count = sum(queues.count for queues in replicated)
    evidence = {"queues": count, "faults": faults, "asked": seen.host}
    facts = _leaders(seen, replicated)
    if faults:
        return Verdict(claim, Outcome.FAIL, "not_whole", "; ".join(faults), evidence, facts)
    if unseen:
        said = f"{seen.host} does not say yet where these live: {'; '.join(map(str, unseen))}"
        return Verdict(claim, Outcome.UNKNOWN, "members_unseen", said, evidence, facts)
    said = f"{count} quorum queues and streams, each with a leader and all members online"
    return Verdict(claim, Outcome.PASS, "whole", said, evidence, facts)


def quorum_holds_without(
    claim: str, history: Sequence[Quorum | Unanswered], accepted: str = ""
) -> Verdict:
    """With this node away the cluster and every quorum queue and stream would keep their majority.

    Counted here for the members of the cluster (Khepri stops without a majority; under Mnesia ``pause_minority`` stops
    the rest) and for every queue, and asked of the broker itself. Ask before draining: in maintenance mode the broker's
    check passes without having looked (3.10.8). ``accepted`` is a person's recorded reason to lose
    it all the same, as a cluster of two must; it never covers what could not be found out.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    losses, unanswered = _losses(seen), _unanswered(seen)
    evidence: dict[str, Json] = {"host": seen.host, "losses": losses, "unanswered": unanswered}
    if losses and not (accepted and not unanswered):
        said = f"without {seen.host}: {'; '.join(losses)}"
        return Verdict(claim, Outcome.FAIL, "majority_would_be_lost", said, evidence)
    if unanswered:
        said = "; ".join(unanswered)
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", said, evidence)
    if losses:
        said = f"accepted ({accepted}): without {seen.host}: {'; '.join(losses)}"
        return Verdict(claim, Outcome.PASS, "accepted", said, {**evidence, "accepted": accepted})
    said = f"the cluster and all its quorum queues and streams keep a majority without {seen.host}"
    return Verdict(claim, Outcome.PASS, "holds", said, evidence)


def mirrors_in_sync(claim: str, history: Sequence[Queues | Unanswered]) -> Verdict:
    """Every mirrored classic queue has a mirror, and all its mirrors are synchronised.

    RabbitMQ 4.0 has no mirrored queues; that is a pass only when the version is known.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    major, _, _ = seen.version.partition(".")
    if not major.isdigit():
        said = f"{seen.host} does not say its version, so mirrored queues cannot be ruled out"
        return Verdict(claim, Outcome.UNKNOWN, "version_unknown", said)
    if int(major) >= 4:
        said = f"RabbitMQ {seen.version} has no mirrored queues"
        return Verdict(claim, Outcome.PASS, "not_applicable", said, {"version": seen.version})
    mirrored = [queues for queues in seen.placements if queues.mirrors is not None]
    faults = [
        f"{queues}: {queues.synchronised or 0} of {queues.mirrors} mirrors in sync"
        for queues in mirrored
        if not queues.mirrors or (queues.synchronised or 0) < queues.mirrors
    ]
    count = sum(queues.count for queues in mirrored)
    evidence = {"version": seen.version, "queues": count, "faults": faults}
    if faults:
        return Verdict(claim, Outcome.FAIL, "not_in_sync", "; ".join(faults), evidence)
    if vague := [queues for queues in seen.placements if not queues.described]:
        said = (
            f"{seen.host} does not say yet whether these have mirrors: {'; '.join(map(str, vague))}"
        )
        return Verdict(claim, Outcome.UNKNOWN, "not_described", said, evidence)
    said = f"{count} mirrored queues, all in sync"
    return Verdict(claim, Outcome.PASS, "in_sync", said, evidence)


def consumers_expected(claim: str, history: Sequence[Depths | Unanswered]) -> Verdict:
    """Each wanted queue exists and has at least so many consumers.

    Necessary, not sufficient: a half-open connection leaves a ghost consumer until its heartbeat.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    found = {name: seen.queues.get(name) for name in seen.wanted}
    few = {name: least for name, least in seen.wanted.items() if _short(found[name], least)}
    unseen = [name for name, depth in found.items() if depth and depth.consumers is None]
    evidence: dict[str, Json] = {
        "vhost": seen.vhost,
        "too_few": {name: depth.consumers if (depth := found[name]) else None for name in few},
    }
    if few:
        said = "; ".join(_shortage(name, found[name], least) for name, least in few.items())
        return Verdict(claim, Outcome.FAIL, "too_few_consumers", said, evidence)
    if unseen:
        said = f"{seen.host} has not counted the consumers yet of: {', '.join(unseen)}"
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", said, evidence)
    said = f"{len(found)} queues have their consumers"
    return Verdict(claim, Outcome.PASS, "consumed", said, evidence)


def consumers_known(claim: str, history: Sequence[Depths | Unanswered]) -> Verdict:
    """The consumers of the wanted queues are counted; those that are there are the evidence, for a baseline.

    A compute that is down for repair has no consumer before the broker's restart and must not be
    missed after it, so what is missing already is said and does not fail.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    unseen = [name for name, depth in seen.queues.items() if depth.consumers is None]
    if unseen:
        said = f"{seen.host} has not counted the consumers yet of: {', '.join(unseen)}"
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", said)
    counted = {
        name: min(depth.consumers or 0, seen.wanted[name]) for name, depth in seen.queues.items()
    }
    there = {name: count for name, count in counted.items() if count}
    missing = [name for name, least in seen.wanted.items() if counted.get(name, 0) < least]
    said = f"{len(seen.wanted) - len(missing)} of {len(seen.wanted)} queues have their consumers"
    said += f"; missing already: {', '.join(missing)}" if missing else ""
    evidence: dict[str, Json] = {CONSUMERS: there, "missing": missing}
    return Verdict(claim, Outcome.PASS, "known", said, evidence)


def queues_drain(claim: str, history: Sequence[Depths | Unanswered], spacing: float) -> Verdict:
    """In none of the wanted queues do waiting messages grow over three samples ``spacing`` seconds apart.

    "Broker up, replies never arrive" shows here first (incident of 2015-08-12).
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    samples = _spaced([s for s in history if isinstance(s, Depths)], spacing)
    if len(samples) < SAMPLES:
        said = f"{len(samples)} of {SAMPLES} samples, {spacing:.0f} s apart"
        return Verdict(claim, Outcome.UNKNOWN, "too_few_samples", said)
    ready = {name: [_ready(sample, name) for sample in samples] for name in seen.wanted}
    unseen = [name for name, counts in ready.items() if None in counts]
    grows = {name: [c or 0 for c in counts] for name, counts in ready.items() if name not in unseen}
    grows = {n: c for n, c in grows.items() if all(a < b for a, b in pairwise(c))}
    evidence: dict[str, Json] = {"vhost": seen.vhost, "growing": grows, "spacing_seconds": spacing}
    if grows:
        said = "; ".join(f"{name}: {' -> '.join(map(str, c))}" for name, c in grows.items())
        return Verdict(claim, Outcome.FAIL, "growing", f"messages pile up in {said}", evidence)
    if unseen:
        said = f"{seen.host} did not count the messages of: {', '.join(unseen)}"
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", said, evidence)
    said = f"{len(ready)} queues do not grow"
    return Verdict(claim, Outcome.PASS, "not_growing", said, evidence)


def _leaders(seen: Queues, replicated: Sequence[Placement]) -> dict[str, dict[str, Json]]:
    led = Counter[str]()
    for queues in replicated:
        led[queues.leader] += queues.count
    return {host: {LEADERS: led[node]} for host, node in seen.expected.items()}


def _losses(seen: Quorum) -> list[str]:
    """Everything that would be without a majority if the host's node stopped now."""
    node = seen.expected[seen.host]
    losses = []
    views = seen.cluster.answered.values()
    members = frozenset(seen.expected.values()).union(*(view.members for view in views))
    survivors = frozenset.intersection(members, *(view.running for view in views)) - {node}
    if len(survivors) <= len(members) // 2:
        losses.append(f"{len(survivors)} of {len(members)} nodes left, no majority")
    for queues in seen.queues.placements if isinstance(seen.queues, Queues) else ():
        if queues.replicated and node in (queues.members or ()):
            left = (queues.online or frozenset()) - {node}
            if len(left) <= len(queues.members or ()) // 2:
                losses.append(f"{len(left)} of {len(queues.members or ())} members left: {queues}")
    if isinstance(seen.own_check, Unanswered) or seen.own_check.passed:
        return losses
    return [*losses, f"the broker itself counts on it for: {_names(seen.own_check.critical)}"]


def _unanswered(seen: Quorum) -> list[str]:
    """Everything that would have to be known and is not."""
    causes = list(seen.cluster.silent.values())
    causes += [part.cause for part in (seen.queues, seen.own_check) if isinstance(part, Unanswered)]
    for queues in seen.queues.placements if isinstance(seen.queues, Queues) else ():
        if queues.replicated and (queues.members is None or queues.online is None):
            causes.append(f"{seen.host} does not say yet where these live: {queues}")
    return list(dict.fromkeys(causes))


def _names(critical: Sequence[str]) -> str:
    return ", ".join(critical[:5]) + (f" and {len(critical) - 5} more" if critical[5:] else "")


def _short(depth: Depth | None, least: int) -> bool:
    return depth is None or (depth.consumers is not None and depth.consumers < least)


def _shortage(name: str, depth: Depth | None, least: int) -> str:
    return f"{name} has {depth.consumers} of {least}" if depth else f"there is no queue {name}"


def _spaced(samples: Sequence[Depths], spacing: float) -> list[Depths]:
    """The newest samples that lie at least ``spacing`` seconds apart, oldest first."""
    chosen: list[Depths] = []
    for sample in reversed(samples):
        if not chosen or chosen[-1].at - sample.at >= spacing:
            chosen.append(sample)
    return chosen[:SAMPLES][::-1]


def _ready(sample: Depths, name: str) -> int | None:
    depth = sample.queues.get(name)
    return depth.ready if depth else None
