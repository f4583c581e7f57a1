"""Judge queues as they are placed: quorum queues and streams whole, mirrors in sync."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from holdfast.evidence import LEADERS
from holdfast.judges.base import judge_latest
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import QueuePlacement, QueuePlacements


@judge_latest
def quorum_queues_whole(claim: str, queues: QueuePlacements) -> Verdict:
    """PASS where every quorum queue and stream has a leader, and all its members are online."""
    replicated = [each for each in queues.placements if each.replicated]
    unreported = [each for each in replicated if each.members is None or each.online is None]
    faults = [f"no leader: {each}" for each in replicated if not each.leader]
    offline: dict[str, list[QueuePlacement]] = {}
    for each in replicated:
        if nodes := (each.members or frozenset()) - (each.online or frozenset()):
            hosts = ", ".join(sorted(queues.host_of(node) for node in nodes))
            offline.setdefault(hosts, []).append(each)
    faults += [
        f"member on {hosts} not online: {', '.join(map(str, placements))}"
        for hosts, placements in offline.items()
    ]
    count = sum(each.count for each in replicated)
    evidence = {"queues": count, "faults": faults, "asked": queues.host}
    facts = _leaders(queues, replicated)
    if faults:
        return Verdict(claim, Outcome.FAIL, "not_whole", "; ".join(faults), evidence, facts)
    if unreported:
        names = "; ".join(map(str, unreported))
        message = f"{queues.host} does not report yet where these queues are: {names}"
        return Verdict(claim, Outcome.UNKNOWN, "members_unseen", message, evidence, facts)
    message = f"{count} quorum queues and streams, each with a leader and all members online"
    return Verdict(claim, Outcome.PASS, "whole", message, evidence, facts)


@judge_latest
def mirrors_in_sync(claim: str, queues: QueuePlacements) -> Verdict:
    """PASS where every mirrored classic queue has a mirror, and all its mirrors are synchronised.

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
        f"{each}: {each.synchronised or 0} of {each.mirrors} mirrors in sync"
        for each in mirrored
        if not each.mirrors or (each.synchronised or 0) < each.mirrors
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


def _leaders(
    queues: QueuePlacements, replicated: Sequence[QueuePlacement]
) -> dict[str, dict[str, Json]]:
    counts = Counter[str]()
    for each in replicated:
        counts[each.leader] += each.count
    return {host: {LEADERS: counts[node]} for host, node in queues.expected.items()}
