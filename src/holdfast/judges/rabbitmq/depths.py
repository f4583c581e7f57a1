"""Judge consumers and waiting messages of queues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from holdfast.evidence import CONSUMERS
from holdfast.judges.base import judge_history, judge_latest
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import QueueDepth, QueueDepths

SAMPLES = 3  # with two, a burst would count as growth


@judge_latest
def consumers_expected(claim: str, depths: QueueDepths) -> Verdict:
    """PASS where each wanted queue exists and has at least so many consumers.

    Necessary, not sufficient: after a half-open connection the broker counts its consumer until a
    heartbeat is missed.
    """
    found = {name: depths.queues.get(name) for name in depths.wanted}
    few = {name: least for name, least in depths.wanted.items() if _is_short(found[name], least)}
    uncounted = [name for name, depth in found.items() if depth and depth.consumers is None]
    evidence: dict[str, Json] = {
        "vhost": depths.vhost,
        "too_few": {name: depth.consumers if (depth := found[name]) else None for name in few},
    }
    if few:
        message = "; ".join(_shortage(name, found[name], least) for name, least in few.items())
        return Verdict(claim, Outcome.FAIL, "too_few_consumers", message, evidence)
    if uncounted:
        return _not_counted(claim, depths, "consumers", uncounted, evidence)
    message = f"{len(found)} queues have their consumers"
    return Verdict(claim, Outcome.PASS, "consumed", message, evidence)


@judge_latest
def consumers_known(claim: str, depths: QueueDepths) -> Verdict:
    """PASS where the consumers of the wanted queues are counted; the counts are the evidence, for a baseline.

    A compute that is down for repair has no consumer before the broker's restart and must not be
    waited for after it, so a missing consumer is named and does not fail.
    """
    uncounted = [name for name, depth in depths.queues.items() if depth.consumers is None]
    if uncounted:
        return _not_counted(claim, depths, "consumers", uncounted)
    counted = {
        name: min(depth.consumers or 0, depths.wanted[name])
        for name, depth in depths.queues.items()
    }
    missing = [name for name, least in depths.wanted.items() if counted.get(name, 0) < least]
    wanted = len(depths.wanted)
    message = f"{wanted - len(missing)} of {wanted} queues have their consumers"
    message += f"; missing already: {', '.join(missing)}" if missing else ""
    evidence: dict[str, Json] = {
        CONSUMERS: {name: count for name, count in counted.items() if count},
        "missing": missing,
    }
    return Verdict(claim, Outcome.PASS, "known", message, evidence)


@judge_history
def queues_drain(claim: str, history: Sequence[QueueDepths], spacing_seconds: float) -> Verdict:
    """PASS where in no wanted queue waiting messages grow over three samples, so many seconds apart.

    A broker that is up and whose replies never arrive shows here first (incident of 2015-08-12).
    """
    newest, samples = history[-1], _spaced(history, spacing_seconds)
    if len(samples) < SAMPLES:
        message = f"{len(samples)} of {SAMPLES} samples, {spacing_seconds:.0f} s apart"
        return Verdict(claim, Outcome.UNKNOWN, "too_few_samples", message)
    ready = {name: [_ready(sample, name) for sample in samples] for name in newest.wanted}
    uncounted = [name for name, counts in ready.items() if None in counts]
    growing = {
        name: counts
        for name, counts in ready.items()
        if all(None not in (a, b) and (a or 0) < (b or 0) for a, b in pairwise(counts))
    }
    evidence: dict[str, Json] = {
        "vhost": newest.vhost,
        "growing": growing,
        "spacing_seconds": spacing_seconds,
    }
    if growing:
        queues = "; ".join(f"{name}: {' -> '.join(map(str, c))}" for name, c in growing.items())
        message = f"waiting messages grow in {queues}"
        return Verdict(claim, Outcome.FAIL, "growing", message, evidence)
    if uncounted:
        return _not_counted(claim, newest, "messages", uncounted, evidence)
    message = f"waiting messages grow in none of {len(ready)} queues"
    return Verdict(claim, Outcome.PASS, "not_growing", message, evidence)


def _not_counted(
    claim: str,
    depths: QueueDepths,
    what: str,
    queues: Iterable[str],
    evidence: dict[str, Json] | None = None,
) -> Verdict:
    message = f"{depths.host} has not counted the {what} yet of: {', '.join(queues)}"
    return Verdict(claim, Outcome.UNKNOWN, "not_counted", message, evidence or {})


def _is_short(depth: QueueDepth | None, least: int) -> bool:
    return depth is None or (depth.consumers is not None and depth.consumers < least)


def _shortage(name: str, depth: QueueDepth | None, least: int) -> str:
    return f"{name} has {depth.consumers} of {least}" if depth else f"there is no queue {name}"


def _spaced(samples: Sequence[QueueDepths], spacing: float) -> list[QueueDepths]:
    """Return the newest samples that lie at least ``spacing`` seconds apart, oldest first."""
    chosen: list[QueueDepths] = []
    for sample in reversed(samples):
        if not chosen or chosen[-1].at - sample.at >= spacing:
            chosen.append(sample)
    return chosen[:SAMPLES][::-1]


def _ready(sample: QueueDepths, name: str) -> int | None:
    depth = sample.queues.get(name)
    return depth.ready if depth else None
