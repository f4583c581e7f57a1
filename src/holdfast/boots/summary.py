"""What a boot test showed: within its limits or not, how long boots took, what differs from the last. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from holdfast.boots.model import Boot, BootTest, Conflicts, Counters, FailureKind
from holdfast.model import Json


class Ending(StrEnum):
    """How a test ended; each has an exit code."""

    WITHIN = "within_limits"
    EXCEEDED = "limits_exceeded"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


def end_of(test: BootTest) -> Ending:
    """Return how a test ended.

    Unknown as long as one server's end or deletion is: nothing that is not known is within a limit. No boot at all
    is no success either.
    """
    if test.ended is None or test.left:
        return Ending.UNKNOWN
    if test.stopped:
        return Ending.STOPPED
    ends = Counter(boot.outcome for boot in test.boots)
    if ends["failed"] > test.options.failures:
        return Ending.EXCEEDED
    if not test.boots or ends["unknown"] or ends["not_asked"]:
        return Ending.UNKNOWN
    return Ending.WITHIN


def count(test: BootTest, outcome: str) -> int:
    """Return how many boots ended so."""
    return sum(boot.outcome == outcome for boot in test.boots)


def kinds(test: BootTest) -> dict[FailureKind, list[Boot]]:
    """Return the failures by kind, the most frequent kind first."""
    found: dict[FailureKind, list[Boot]] = {}
    for boot in test.boots:
        if boot.outcome == "failed" and boot.kind is not None:
            found.setdefault(boot.kind, []).append(boot)
    return dict(sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0])))


def times(test: BootTest) -> dict[str, float]:
    """Return ``median``, ``p95`` and ``slowest`` of the servers that became ACTIVE; nothing where none did."""
    found = sorted(
        boot.seconds for boot in test.boots if boot.outcome == "active" and boot.seconds is not None
    )
    if not found:
        return {}
    shares = {"median": 0.5, "p95": 0.95, "slowest": 1.0}
    return {name: round(_at(found, share), 1) for name, share in shares.items()}


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def conflicts_since(conflicts: Conflicts) -> Mapping[str, Mapping[str, int] | str]:
    """Return, per node, how many more there are after the boots; a text where the two readings do not compare."""
    return {
        host: _more(conflicts.before.get(host, "not asked before"), after)
        for host, after in conflicts.after.items()
    }


def _more(before: Counters | str, after: Counters | str) -> Mapping[str, int] | str:
    if isinstance(before, str) or isinstance(after, str):
        return after if isinstance(after, str) else str(before)
    if before.start != after.start:
        return "the node was started meanwhile, so its counters began anew"
    names = ("failures", "aborts", "deadlocks")
    return {name: getattr(after, name) - getattr(before, name) for name in names}


def figures(test: BootTest) -> dict[str, Json]:
    """Return the figures of a test that are compared with those of the last."""
    return {
        "servers": len(test.boots),
        "active": count(test, "active"),
        "failed": count(test, "failed"),
        "unknown": count(test, "unknown"),
        "not_asked": count(test, "not_asked"),
        "kinds": {str(kind): len(boots) for kind, boots in kinds(test).items()},
        "boot_seconds": times(test),
    }


def for_programs(test: BootTest, last: BootTest | None) -> dict[str, Json]:
    """Return a test for programs (docs/json.md); ``last`` is the one before it at the site."""
    recorded: dict[str, Json] = test.model_dump(mode="json", by_alias=True)
    return recorded | {
        "outcome": str(end_of(test)),
        "figures": figures(test),
        "conflicts_since": dict(conflicts_since(test.conflicts)) if test.conflicts else None,
        "last": None if last is None else {"id": last.id, "figures": figures(last)},
    }
