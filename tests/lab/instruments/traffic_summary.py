"""Summarises a record of the traffic: lost and duplicated messages, lost calls, time without confirms. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

Record = Mapping[str, Any]


def summarise(lines: Iterable[Record]) -> dict[str, Any]:
    """Return the summary of a record.

    Raises:
        ValueError: the first line is not one of the traffic.
    """
    head, *events = lines
    if head["what"] != "traffic":
        raise ValueError("not a record of the traffic")
    return {
        "started_at": head["detail"]["started_at"],
        "monotonic": head["detail"]["monotonic"],
        "seconds": events[-1]["t"] if events else 0.0,
        "messages": _messages(events),
        "calls": _calls([event for event in events if event["what"] == "call"]),
    }


def _messages(events: Sequence[Record]) -> dict[str, Any]:
    publishes = [event for event in events if event["what"] == "publish"]
    confirmed = {event["id"] for event in publishes if event["ok"]}
    unconfirmed = {event["id"] for event in publishes if not event["ok"]}
    consumed = Counter(event["id"] for event in events if event["what"] == "consume")
    lost = confirmed - consumed.keys()
    return {
        "published": len(publishes),
        "confirmed": len(confirmed),
        "unconfirmed": len(unconfirmed),
        "unconfirmed_but_consumed": len(unconfirmed & consumed.keys()),
        "consumed": len(consumed),
        "lost": len(lost),
        "lost_ids": sorted(lost)[:20],
        "duplicated": sum(times > 1 for times in consumed.values()),
        "disconnects": sum(event["what"] == "connect" and not event["ok"] for event in events),
        "longest_gap": _longest_gap([event["t"] for event in publishes if event["ok"]]),
    }


def _longest_gap(confirms: Sequence[float]) -> dict[str, float]:
    """Return the longest time in which no producer got a confirm."""
    if len(confirms) < 2:
        return {"start": 0.0, "seconds": 0.0}
    start, end = max(pairwise(sorted(confirms)), key=lambda gap: gap[1] - gap[0])
    return {"start": start, "seconds": round(end - start, 3)}


def _calls(calls: Sequence[Record]) -> dict[str, Any]:
    unanswered = [call for call in calls if not call["ok"]]
    per_server = Counter((call["service"], call["host"]) for call in unanswered)
    return {
        "asked": len(calls),
        "answered": len(calls) - len(unanswered),
        "lost": len(unanswered),
        "lost_of": {
            f"{service} {host}": times for (service, host), times in sorted(per_server.items())
        },
        "lost_calls": [
            {
                "host": call["host"],
                "service": call["service"],
                "asked": call["asked"],
                "given_up": call["t"],
                "detail": call["detail"],
            }
            for call in unanswered
        ],
    }
