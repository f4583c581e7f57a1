"""Judge whether a majority remains without one node, and how that node would get its state back."""

from __future__ import annotations

import math
from collections.abc import Sequence

from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.galera import GaleraNode, GaleraViews, ReturnForecast

TOO_FEW_SAMPLES = "too_few_samples"
WHOLE_COPY = "whole_copy"
SERVING = 2  # Synced nodes that must be left while a node gets a whole copy: one may fail


def quorum_holds_without(claim: str, views: GaleraViews, host: str, accepted: str = "") -> Verdict:
    """PASS where with this node away the others, all Synced, keep a majority.

    Counted by weight (``pc.weight``), arbitrators as 1. A node that leaves in good order lowers what a majority is, so
    of two the other would go on; but it may not fail then. ``accepted`` is a person's recorded reason to take that
    chance; it never covers what could not be found out.
    """
    others = {each: node for each, node in views.answered.items() if each != host}
    silent = [cause for each, cause in views.silent.items() if each != host]
    evidence: dict[str, Json] = {"host": host, "unanswered": silent}
    if host not in views.nodes:
        message = f"{host} is no Galera node of this inventory"
        return Verdict(claim, Outcome.FAIL, "no_node", message, evidence)
    left = [each for each, node in others.items() if node.serves]
    evidence |= {"left": left}
    weights = {each: node.weight for each, node in views.answered.items()}
    whole = sum(weights.get(each, 1) for each in views.nodes) + views.arbitrators
    kept = sum(weights[each] for each in left) + views.arbitrators
    if left and 2 * kept > whole:
        message = f"without {host} {', '.join(left)} keep {kept} of {whole} votes"
        return Verdict(claim, Outcome.PASS, "holds", message, evidence)
    if silent:
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", first_few(silent), evidence)
    message = (
        f"without {host} {kept} of {whole} votes would be left on Synced nodes ({', '.join(left) or 'none'}),"
        " no majority"
    )
    if accepted and left:
        evidence |= {"accepted": accepted}
        return Verdict(
            claim, Outcome.PASS, "accepted", f"accepted ({accepted}): {message}", evidence
        )
    return Verdict(claim, Outcome.FAIL, "majority_would_be_lost", message, evidence)


def returns_by_increment(
    claim: str, history: Sequence[ReturnForecast], seconds: float = 300, accepted: str = ""
) -> Verdict:
    """PASS where the node could be away for some time and get from a Synced one what it missed, with no whole copy.

    A donor sends what it still has in its cache (IST). What the node misses is kept until the cache's oldest entry,
    which moves on with the writes, has come to it, and at most until as much was written as the cache holds, which
    need not be full yet. Two readings say how fast that is, and the node must be back before. Otherwise it gets a whole
    copy (SST), for which a donor stops being Synced: that needs two more that serve. ``accepted``: why it is taken.
    """
    newest = history[-1]
    host, silent = newest.host, list(newest.views.silent.values())
    node = newest.views.answered.get(host)
    if node is None:
        message = first_few(silent) or f"{host} is no Galera node of this inventory"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message)
    others = _others(newest)
    donors = {each: n for each, n in others.items() if _could_send(n, node)}
    evidence: dict[str, Json] = {
        "host": host,
        "committed": node.committed,
        "cached_from": {each: n.cached_from for each, n in others.items()},
        "megabytes": newest.megabytes,
    }
    if not donors:
        if silent:
            return Verdict(claim, Outcome.UNKNOWN, "unanswered", first_few(silent), evidence)
        why = f"no Synced node still has what {host} would miss from {node.committed + 1} on"
        return _whole_copy(claim, newest, why, evidence, accepted)
    lasts = _lasts(history, donors)
    if lasts is None:
        message = (
            "the caches were read once; how fast their oldest entry moves is told by two readings"
        )
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message, evidence)
    able = [each for each, left in lasts.items() if left > seconds]
    if able:
        message = f"{host} could be away for {seconds:.0f} s: {', '.join(able)} would send it what it missed"
        return Verdict(claim, Outcome.PASS, "increment", message, evidence)
    why = (
        f"at the present rate of writes no node has what {host} would miss after {max(lasts.values()):,.0f} s,"
        f" and it may be away for {seconds:.0f} s (gcache.size)"
    )
    return _whole_copy(claim, newest, why, evidence, accepted)


def _others(newest: ReturnForecast) -> dict[str, GaleraNode]:
    """Return the other nodes that serve."""
    answered = newest.views.answered.items()
    return {each: node for each, node in answered if each != newest.host and node.serves}


def _could_send(donor: GaleraNode, node: GaleraNode) -> bool:
    return (
        donor.cluster == node.cluster
        and donor.cached_from is not None
        and donor.cached_from <= node.committed + 1
    )


def _lasts(
    history: Sequence[ReturnForecast], donors: dict[str, GaleraNode]
) -> dict[str, float] | None:
    """Return after how many seconds each donor's cache has lost the node's place, at the speed seen in this gate.

    Infinity where nothing is written; None where there is one reading.
    """
    newest, first = history[-1], history[0]
    node, span = newest.views.answered[newest.host], newest.views.at - first.views.at
    if span <= 0:
        return None
    found: dict[str, float] = {}
    for host, donor in donors.items():
        before = first.views.answered.get(host)
        if before is None or before.cached_from is None or donor.cached_from is None:
            found[host] = 0.0
            continue
        speed = (donor.cached_from - before.cached_from) / span
        left = node.committed + 1 - donor.cached_from
        moved = left / speed if speed > 0 else math.inf
        found[host] = min(moved, _until_full(donor, before, span))
    return found


def _until_full(donor: GaleraNode, before: GaleraNode, span: float) -> float:
    """Return after how many seconds as much will have been written as the donor's cache holds.

    0 where the node was restarted since, or its counters were set back, as by FLUSH STATUS.
    """
    written = donor.counters.written_bytes - before.counters.written_bytes
    if donor.counters.start != before.counters.start or written < 0:
        return 0.0
    return donor.cache_bytes / (written / span) if written else math.inf


def _whole_copy(
    claim: str, newest: ReturnForecast, why: str, evidence: dict[str, Json], accepted: str
) -> Verdict:
    """Return the verdict on a return by a whole copy: refused unless enough serve meanwhile, or a person accepts it."""
    others = _others(newest)
    left = max(len(others) - 1, 0)
    size = "size not known" if newest.megabytes is None else f"about {newest.megabytes} MB"
    message = (
        f"{why}; {newest.host} would get a whole copy (SST, {size}) from a donor that serves no clients meanwhile,"
        f" and {left} would be left Synced"
    )
    evidence |= {"synced_meanwhile": left}
    if left >= SERVING:
        return Verdict(claim, Outcome.PASS, WHOLE_COPY, message, evidence)
    if accepted and others:
        evidence |= {"accepted": accepted}
        return Verdict(
            claim, Outcome.PASS, "accepted", f"accepted ({accepted}): {message}", evidence
        )
    return Verdict(claim, Outcome.FAIL, WHOLE_COPY, message, evidence)
