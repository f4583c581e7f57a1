"""Judge queues: quorum queues and streams whole, mirrors in sync, consumers there, waiting messages not growing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import TypeVar

from holdfast.evidence import CONSUMERS, LEADERS, QUEUE
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import (
    BrokerLoad,
    MemberLag,
    QueueDepth,
    QueueDepths,
    QueueId,
    QueuePlacement,
    QueuePlacements,
)

TOO_FEW_SAMPLES = "too_few_samples"
SampleT = TypeVar("SampleT", QueueDepths, BrokerLoad)
LONGEST_TICK = 5.5  # seconds; a reading waits little longer for new indexes
SAMPLES = 3  # of waiting messages; with two, a burst would count as growth


def quorum_queues_whole(claim: str, queues: QueuePlacements, without: str = "") -> Verdict:
    """PASS where every quorum queue and stream has a leader and all its members online.

    A node in maintenance (``without``) is left out: its members are stopped. A queue that has no other member is
    left to ``quorum_holds_without``.
    """
    apart = frozenset({queues.expected[without]} if without else ())
    replicated = [each for each in queues.placements if each.replicated]
    unreported = [each for each in replicated if each.members is None or each.online is None]
    asked = [each for each in replicated if each.members is None or each.members - apart]
    leaderless = [each for each in asked if not each.leader or each.leader in apart]
    faults = [f"no leader: {each}" for each in leaderless]
    offline: dict[str, list[QueuePlacement]] = {}
    for each in asked:
        if nodes := _offline(each) - apart:
            hosts = ", ".join(sorted(queues.host_of(node) for node in nodes))
            offline.setdefault(hosts, []).append(each)
    faults += [
        f"member on {hosts} not online: {', '.join(map(str, placements))}"
        for hosts, placements in offline.items()
    ]
    count = sum(each.count for each in replicated)
    ill = [*leaderless, *chain.from_iterable(offline.values())]
    shown = _shown(name for each in ill if each.type == "quorum" for name in each.names)
    evidence = {"queues": count, "faults": faults, "asked": queues.host, **shown}
    facts = _leaders(queues, replicated)
    if faults:
        return Verdict(claim, Outcome.FAIL, "not_whole", "; ".join(faults), evidence, facts)
    if unreported:
        names = "; ".join(map(str, unreported))
        message = f"{queues.host} does not report yet where these queues are: {names}"
        return Verdict(claim, Outcome.UNKNOWN, "members_unseen", message, evidence, facts)
    message = f"{count} quorum queues and streams, each with a leader and all members online"
    return Verdict(claim, Outcome.PASS, "whole", message, evidence, facts)


def members_caught_up(claim: str, history: Sequence[MemberLag]) -> Verdict:
    """PASS where all of a node's members of quorum queues have what their leaders had committed.

    A restarted member is online at once, and would count fully for the next node while it still lacks messages. The
    indexes are some seconds old, so a reading counts that much after the first: it then covers the gate's beginning.
    """
    lag, waited = history[-1], history[-1].at - history[0].at
    evidence = {"members": lag.members, "behind": lag.behind, "examples": dict(lag.examples)}
    evidence |= _shown(lag.examples)
    if lag.behind:
        named = [
            f"{queue}: {'no index yet' if entries is None else f'{entries} entries'}"
            for queue, entries in lag.examples.items()
        ]
        message = (
            f"{lag.behind} of {lag.members} members on {lag.host} are behind: {first_few(named)}"
        )
        return Verdict(claim, Outcome.FAIL, "behind", message, evidence)
    if lag.tick_seconds > LONGEST_TICK:
        message = (
            f"members on {lag.host} report their indexes every {lag.tick_seconds:.0f} s (quorum_tick_interval), too"
            " seldom for a gate; rabbitmq_members_caught_up: false leaves this out"
        )
        return Verdict(claim, Outcome.UNKNOWN, "seldom_reported", message, evidence)
    if lag.members and waited < lag.tick_seconds:
        message = f"the indexes on {lag.host} are up to {lag.tick_seconds:.0f} s old, so they are read again"
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message, evidence)
    message = f"{lag.members} members of quorum queues on {lag.host}, none behind"
    return Verdict(claim, Outcome.PASS, "caught_up", message, evidence)


def mirrors_in_sync(claim: str, queues: QueuePlacements) -> Verdict:
    """PASS where every mirrored classic queue (3.x) has a mirror and all its mirrors are in sync.

    RabbitMQ 4.0 has no mirrored queues; that is a PASS only when the version is known.
    """
    major, _, _ = queues.version.partition(".")
    if not major.isdigit():
        message = f"{queues.host} does not report its version, so mirrored queues are possible"
        return Verdict(claim, Outcome.UNKNOWN, "version_unknown", message)
    if int(major) >= 4:
        message = f"RabbitMQ {queues.version} has no mirrored queues"
        return Verdict(claim, Outcome.PASS, "not_applicable", message, {"version": queues.version})
    mirrored = [each for each in queues.placements if each.mirrors is not None]
    faults = [
        f"{each}: {each.synchronised} of {each.mirrors} mirrors in sync"
        for each in mirrored
        if not each.mirrors or each.synchronised < each.mirrors
    ]
    count = sum(each.count for each in mirrored)
    evidence = {"version": queues.version, "queues": count, "faults": faults}
    if faults:
        return Verdict(claim, Outcome.FAIL, "not_in_sync", "; ".join(faults), evidence)
    if undescribed := [each for each in queues.placements if not each.described]:
        names = "; ".join(map(str, undescribed))
        message = f"{queues.host} does not report yet whether these queues have mirrors: {names}"
        return Verdict(claim, Outcome.UNKNOWN, "not_described", message, evidence)
    message = f"{count} mirrored queues, all in sync"
    return Verdict(claim, Outcome.PASS, "in_sync", message, evidence)


def consumers_expected(claim: str, depths: QueueDepths) -> Verdict:
    """PASS where each named queue, or each of nova's, has at least so many consumers.

    Necessary, not sufficient: after a half-open connection the broker counts its consumer until a
    heartbeat is missed.
    """
    found = {queue: depths.queues.get(queue) for queue in depths.wanted}
    few = {q: least for q, least in depths.wanted.items() if _is_short(found[q], least)}
    uncounted = [queue for queue, depth in found.items() if depth and depth.consumers is None]
    evidence: dict[str, Json] = {
        "too_few": {str(q): depth.consumers if (depth := found[q]) else None for q in few},
    }
    if few:
        message = "; ".join(_shortage(depths, queue, least) for queue, least in few.items())
        return Verdict(claim, Outcome.FAIL, "too_few_consumers", message, evidence)
    if uncounted or not found:
        return _not_counted(claim, depths, "consumers", uncounted, evidence)
    message = f"{len(found)} queues have their consumers"
    return Verdict(claim, Outcome.PASS, "consumed", message, evidence)


def consumers_known(claim: str, depths: QueueDepths) -> Verdict:
    """PASS where the consumers of the named queues, or of nova's, can be counted; the counts are for a baseline.

    A compute that is down for repair has no consumer before the broker's restart and must not be
    waited for after it, so a missing consumer is named and does not fail. Where every consumer is missing there is
    nothing to compare with afterwards: UNKNOWN, since the queues may be elsewhere.
    """
    uncounted = [queue for queue, depth in depths.queues.items() if depth.consumers is None]
    if uncounted:
        return _not_counted(claim, depths, "consumers", uncounted, {})
    counts: dict[str, dict[str, int]] = {}
    missing = {}
    for queue, least in depths.wanted.items():
        count = min(depths.queues.get(queue, QueueDepth()).consumers or 0, least)
        if count:
            counts.setdefault(queue.vhost, {})[queue.name] = count
        if count < least:
            missing[str(queue)] = _shortage(depths, queue, least)
    evidence: dict[str, Json] = {CONSUMERS: counts, "missing": list(missing)}
    wanted, shortages = len(depths.wanted), first_few(list(missing.values()))
    if not counts:
        message = (
            f"none of {wanted} queues has a consumer ({shortages or 'none is named'}), so nothing could be compared"
            " after a restart. Are they in another virtual host (nova_transport_url, rabbitmq_consumers_vhost)?"
            " Where nova is down: rabbitmq_consumers_of_nova: false leaves its queues out"
        )
        return Verdict(claim, Outcome.UNKNOWN, "no_consumers", message, evidence)
    message = f"{wanted - len(missing)} of {wanted} queues have their consumers"
    message += f"; missing already: {shortages}" if missing else ""
    return Verdict(claim, Outcome.PASS, "known", message, evidence)


def queues_drain(claim: str, history: Sequence[QueueDepths], spacing_seconds: float) -> Verdict:
    """PASS where in none of the named queues do waiting messages grow over three samples.

    A broker that is up and whose replies never arrive shows here first (incident of 2015-08-12).
    """
    newest, samples = history[-1], spaced(history, spacing_seconds)
    if len(samples) < SAMPLES:
        message = f"{len(samples)} of {SAMPLES} samples, {spacing_seconds:.0f} s apart"
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message)
    ready = {
        queue: [sample.queues.get(queue, QueueDepth()).ready for sample in samples]
        for queue in newest.wanted
    }
    uncounted = [queue for queue, counts in ready.items() if None in counts]
    growing = {str(queue): counts for queue, counts in ready.items() if grows(counts)}
    evidence: dict[str, Json] = {"growing": growing, "spacing_seconds": spacing_seconds}
    if growing:
        queues = "; ".join(f"{name}: {' -> '.join(map(str, c))}" for name, c in growing.items())
        message = f"waiting messages grow in {queues}"
        return Verdict(claim, Outcome.FAIL, "growing", message, evidence)
    if uncounted or not ready:
        return _not_counted(claim, newest, "messages", uncounted, evidence)
    message = f"waiting messages grow in none of {len(ready)} queues"
    return Verdict(claim, Outcome.PASS, "not_growing", message, evidence)


def _shown(names: Iterable[str]) -> dict[str, Json]:
    """Return the first of these quorum queues as evidence; nothing where there is none."""
    first = next(iter(names), None)
    return {} if first is None else {QUEUE: first}


def _offline(queues: QueuePlacement) -> frozenset[str]:
    """Return the members that are not online; none where the broker does not report both."""
    if queues.members is None or queues.online is None:
        return frozenset()
    return queues.members - queues.online


def grows(counts: Sequence[int | None]) -> bool:
    """Return whether each count is known, and larger than the one before."""
    return all(a is not None and b is not None and a < b for a, b in pairwise(counts))


def _leaders(
    queues: QueuePlacements, replicated: Sequence[QueuePlacement]
) -> dict[str, dict[str, Json]]:
    counts = Counter[str]()
    for each in replicated:
        counts[each.leader] += each.count
    return {host: {LEADERS: counts[node]} for host, node in queues.expected.items()}


def _not_counted(
    claim: str,
    depths: QueueDepths,
    what: str,
    queues: Iterable[QueueId],
    evidence: dict[str, Json],
) -> Verdict:
    """Return UNKNOWN for queues without statistics, or where no queue was asked about."""
    names = ", ".join(map(str, queues)) or "no queue was named"
    message = f"{depths.host} has not counted the {what} yet of: {names}"
    return Verdict(claim, Outcome.UNKNOWN, "not_counted", message, evidence)


def _is_short(depth: QueueDepth | None, least: int) -> bool:
    return depth is None or (depth.consumers is not None and depth.consumers < least)


def _shortage(depths: QueueDepths, queue: QueueId, least: int) -> str:
    if depth := depths.queues.get(queue):
        return f"{queue} has {depth.consumers} of {least}"
    if queue.vhost not in depths.vhosts:
        return f"{queue.name}: the broker has no virtual host {queue.vhost}"
    return f"there is no queue {queue}"


def spaced(samples: Sequence[SampleT], spacing: float) -> list[SampleT]:
    """Return the newest samples that lie at least ``spacing`` seconds apart, oldest first."""
    chosen: list[SampleT] = []
    for sample in reversed(samples):
        if not chosen or chosen[-1].at - sample.at >= spacing:
            chosen.append(sample)
    return chosen[:SAMPLES][::-1]
