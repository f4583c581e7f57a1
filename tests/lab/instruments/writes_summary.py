"""Summarises a record of the writes: lost rows, divergence, who wrote, and how long nobody did. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

Record = Mapping[str, Any]


def summarise(lines: Iterable[Record]) -> dict[str, Any]:
    """Return the summary of a record.

    Raises:
        ValueError: the first line is not one of the writes.
    """
    head, *events = lines
    if head["what"] != "writes":
        raise ValueError("not a record of the writes")
    writes = [event for event in events if event["what"] == "write"]
    good = sorted((each for each in writes if each["ok"]), key=lambda each: each["t"])
    nodes = {event["node"]: event["detail"] for event in events if event["what"] == "node"}
    acknowledged = {_row(each) for each in good}
    everywhere = (
        set.intersection(*(set(node["rows"]) for node in nodes.values())) if nodes else set()
    )
    failed = [each for each in writes if not each["ok"]]
    return {
        "started_at": head["detail"]["started_at"],
        "seconds": events[-1]["t"] if events else 0.0,
        "acknowledged": len(acknowledged),
        "failed": dict(Counter(str(each["detail"]) for each in failed)),
        "failed_but_written": len({_row(each) for each in failed} & everywhere),
        "not_connected": sum(event["what"] == "connect" for event in events),
        "lost": len(acknowledged - everywhere),
        "lost_rows": sorted(acknowledged - everywhere)[:20],
        "nodes_differ": len({(tuple(each["rows"]), each["counter"]) for each in nodes.values()})
        != 1,
        "replicas_differ": sorted(
            event["node"]
            for event in events
            if event["what"] == "replica" and event["detail"] not in list(nodes.values())
        ),
        "counter_differs": any(each["counter"] != len(each["rows"]) for each in nodes.values()),
        "writers": [node for node, _ in groupby(each["node"] for each in good)],
        "two_at_a_time": _overlaps(good),
        "longest_gap": _longest_gap([each["t"] for each in good], _end(events)),
        "gaps_at_changes": _gaps_at_changes(good),
    }


def _row(write: Record) -> str:
    return f"{write['via']} {write['number']}"


def _overlaps(good: Sequence[Record]) -> int:
    """Return how many acknowledged transactions began before one on another node, acknowledged before, had ended.

    Also a node that writes again between two of another: its last was acknowledged after the other's first.
    """
    found, latest = 0, dict[str, float]()
    for each in sorted(good, key=lambda each: each["began"]):
        others = [t for node, t in latest.items() if node != each["node"]]
        found += bool(others) and each["began"] < max(others)
        latest[each["node"]] = max(each["t"], latest.get(each["node"], 0.0))
    return found


def _end(events: Sequence[Record]) -> float:
    """Return when the clients were stopped: their last event."""
    return max(
        (each["t"] for each in events if each["what"] not in ("node", "replica")), default=0.0
    )


def _longest_gap(acknowledged: Sequence[float], ended: float) -> dict[str, float]:
    """Return the longest time in which no client got an acknowledgement, from the start to the end of the record."""
    start, end = max(pairwise([0.0, *acknowledged, ended]), key=lambda gap: gap[1] - gap[0])
    return {"start": start, "seconds": round(end - start, 3)}


def _gaps_at_changes(good: Sequence[Record]) -> list[float]:
    """Return, for each change of the writer, the seconds between the acknowledgements before and after."""
    return [
        round(after["t"] - before["t"], 3)
        for before, after in pairwise(good)
        if before["node"] != after["node"]
    ]
