"""Judge how the cluster keeps up with writes: flow control, queues, and transactions that were lost to conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.evidence import CONFLICTS
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.galera import GaleraCounters, GaleraNode, GaleraViews

TOO_FEW_SAMPLES = "too_few_samples"
_NANOSECONDS = 1e9
_LOST = ("failures", "aborts", "deadlocks")


def queues_short(claim: str, views: GaleraViews, entries: int = 100) -> Verdict:
    """PASS where no node has more than a few transactions in its receive queue, now."""
    queues = {host: node.queue for host, node in views.answered.items()}
    evidence: dict[str, Json] = {"queues": queues}
    long = [f"{host} {queue}" for host, queue in queues.items() if queue > entries]
    if long:
        message = (
            f"receive queues are longer than {entries} (wsrep_local_recv_queue): {first_few(long)}"
        )
        return Verdict(claim, Outcome.FAIL, "long", message, evidence)
    return _all_told(claim, views, evidence) or Verdict(
        claim, Outcome.PASS, "short", f"receive queues are at most {max(queues.values())}", evidence
    )


def answers_quick(claim: str, views: GaleraViews, seconds: float = 0.5) -> Verdict:
    """PASS where every node, the writer among them, lets in and answers three questions within so many seconds.

    For ``holdfast_pace``: a database that answers late has more to do than it can. Writes that wait for other nodes are
    told by ``galera.flow_quiet``.
    """
    took = {host: node.took for host, node in views.answered.items()}
    evidence: dict[str, Json] = {"took": took}
    slow = [f"{host} {each:.2f} s" for host, each in took.items() if each > seconds]
    if slow:
        message = f"slower than {seconds:g} s to log in and to answer: {first_few(slow)}"
        return Verdict(claim, Outcome.FAIL, "slow", message, evidence)
    return _all_told(claim, views, evidence) or Verdict(
        claim,
        Outcome.PASS,
        "quick",
        f"every node answers within {max(took.values()):.2f} s",
        evidence,
    )


def flow_quiet(
    claim: str, history: Sequence[GaleraViews], share: float = 0.05, window_seconds: float = 10
) -> Verdict:
    """PASS where in the last seconds flow control has kept no node's writes waiting for more than a share of the time.

    By the difference of ``wsrep_flow_control_paused_ns`` between two readings; ``wsrep_flow_control_paused``
    is an average since long ago. ``window_seconds``: how far back is looked, where the gate has asked for so long.
    """
    newest = history[-1]
    shares = {
        host: _share(history, host, node, window_seconds) for host, node in newest.answered.items()
    }
    evidence: dict[str, Json] = {"paused": shares}
    if unanswered := _all_told(claim, newest, evidence):
        return unanswered
    told = {host: each for host, each in shares.items() if each is not None}
    busy = [f"{host} {each:.0%}" for host, each in told.items() if each > share]
    if busy:
        message = f"flow control keeps writes waiting: {first_few(busy)} of the time"
        return Verdict(claim, Outcome.FAIL, "paused", message, evidence)
    if len(told) < len(shares):
        once = ", ".join(host for host, each in shares.items() if each is None)
        message = f"{once}: read once since its start; two readings tell how long writes waited"
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message, evidence)
    message = f"flow control keeps writes waiting for at most {max(told.values()):.1%} of the time"
    return Verdict(claim, Outcome.PASS, "quiet", message, evidence)


def _share(
    history: Sequence[GaleraViews], host: str, now: GaleraNode, window: float
) -> float | None:
    """Return the share of the time in which the node's writes waited; None where it was read once in this start."""
    earlier = _earlier(history, host, now, window)
    if earlier is None:
        return None
    at, counters = earlier
    waited = now.counters.paused_ns - counters.paused_ns
    return round(waited / _NANOSECONDS / (history[-1].at - at), 3)


def _earlier(
    history: Sequence[GaleraViews], host: str, now: GaleraNode, window: float
) -> tuple[float, GaleraCounters] | None:
    """Return the node's counters of a window ago, and when that was; of its first reading where that is less."""
    earlier = [
        (views.at, node.counters)
        for views in history
        if views.at < history[-1].at
        and (node := views.answered.get(host))
        and node.counters.start == now.counters.start
    ]
    old = [each for each in earlier if history[-1].at - each[0] >= window]
    return old[-1] if old else next(iter(earlier), None)


def conflicts_quiet(
    claim: str, history: Sequence[GaleraViews], conflicts: int = 2, window_seconds: float = 10
) -> Verdict:
    """PASS where in the last seconds few transactions were lost to conflicts, by the nodes' own counters.

    For ``holdfast_pace``, in a run of any service: clients see each as error 1213, and two writers make many.
    ``window_seconds``: how far back is looked, where the gate has asked for so long.
    """
    newest = history[-1]
    grown = {
        host: _grown_since(history, host, node, window_seconds)
        for host, node in newest.answered.items()
    }
    told = {host: each for host, each in grown.items() if each is not None}
    total = sum(sum(each.values()) for each in told.values())
    evidence: dict[str, Json] = {"grown": told, "total": total}
    if total > conflicts:
        message = (
            f"{total} transactions were lost to conflicts in {window_seconds:g} s,"
            f" {conflicts} are allowed: {first_few(_parts(told))}"
        )
        return Verdict(claim, Outcome.FAIL, "conflicts", message, evidence)
    if unanswered := _all_told(claim, newest, evidence):
        return unanswered
    if len(told) < len(grown):
        once = ", ".join(host for host, each in grown.items() if each is None)
        message = (
            f"{once}: read once since its start; two readings tell how many conflicts there were"
        )
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message, evidence)
    message = f"{total} transactions were lost to conflicts in the last seconds"
    return Verdict(claim, Outcome.PASS, "quiet", message, evidence)


def _grown_since(
    history: Sequence[GaleraViews], host: str, now: GaleraNode, window: float
) -> dict[str, int] | None:
    """Return how many conflicts more a node has counted; None where it was read once in this start."""
    earlier = _earlier(history, host, now, window)
    return None if earlier is None else _grown(now.counters, counters_of(earlier[1]))


def conflicts_known(claim: str, views: GaleraViews) -> Verdict:
    """PASS where every node tells how many transactions were lost to conflicts; roles/galera keeps its figures."""
    conflicts = {host: counters_of(node.counters) for host, node in views.answered.items()}
    evidence: dict[str, Json] = {CONFLICTS: conflicts}
    return _all_told(claim, views, evidence) or Verdict(
        claim, Outcome.PASS, "known", f"{len(conflicts)} nodes count conflicts", evidence
    )


def conflicts_at_baseline(
    claim: str, views: GaleraViews, before: Mapping[str, Mapping[str, Json]], conflicts: int = 10
) -> Verdict:
    """PASS where since the baseline few transactions were lost: failed certifications, brute-force aborts, deadlocks.

    Clients see each as error 1213. ``before``: per host the counters from before the first restart, as
    ``galera.conflicts_known`` has them. A node that was restarted since counts from 0.
    """
    grown = {
        host: _grown(node.counters, before.get(host, {})) for host, node in views.answered.items()
    }
    total = sum(sum(each.values()) for each in grown.values())
    evidence: dict[str, Json] = {"since_baseline": grown, "total": total}
    if total > conflicts:
        message = (
            f"{total} transactions were lost to conflicts since the first restart,"
            f" {conflicts} are allowed: {first_few(_parts(grown))}"
        )
        return Verdict(claim, Outcome.FAIL, "conflicts", message, evidence)
    missing = [host for host in views.answered if host not in before]
    if missing:
        message = f"the baseline has no counters of {', '.join(missing)}"
        return Verdict(claim, Outcome.UNKNOWN, "no_baseline", message, evidence)
    return _all_told(claim, views, evidence) or Verdict(
        claim,
        Outcome.PASS,
        "few",
        f"{total} transactions were lost to conflicts since the first restart",
        evidence,
    )


def _parts(grown: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [
        f"{host} {', '.join(f'{count} {name}' for name, count in each.items() if count)}"
        for host, each in grown.items()
        if sum(each.values())
    ]


def counters_of(counters: GaleraCounters) -> dict[str, Json]:
    """Return a node's counters as a baseline keeps them."""
    return {"start": counters.start, **{name: getattr(counters, name) for name in _LOST}}


def _grown(now: GaleraCounters, before: Mapping[str, Json]) -> dict[str, int]:
    same = before.get("start") == now.start
    return {
        name: max(getattr(now, name) - (int(before.get(name, 0)) if same else 0), 0)
        for name in _LOST
    }


def _all_told(claim: str, views: GaleraViews, evidence: dict[str, Json]) -> Verdict | None:
    """Return UNKNOWN where a node is silent, or there is none; nothing where all have answered."""
    if views.silent or not views.answered:
        message = (
            first_few(list(views.silent.values())) or "the inventory has no Galera node to ask"
        )
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    return None
