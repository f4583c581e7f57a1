"""When each restarted host was in hand, and how many were at the same time, from a record of the observer. Pure.

A host is in hand from the moment its unit is no longer active until the service answers under its new invocation; an
active unit is not enough. Only restarted hosts count, so hosts that answer late on a busy machine do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Record = Mapping[str, Any]
Series = Mapping[tuple[str, str], Sequence[Record]]
Span = tuple[float, float]

# The check that shows whether a unit's service answers; for any other unit it is that of the unit itself.
ANSWERS = {
    "rabbitmq-server": "amqp",
    "nova-conductor": "rpc:nova-conductor",
    "nova-scheduler": "rpc:nova-scheduler",
    "nova-compute": "rpc:nova-compute",
    "nova-api": "http:nova-api",
    "nova-api-metadata": "http:nova-metadata",
}


def restart_spans(series: Series, unit: str) -> dict[str, list[Span]]:
    """Return the spans in which each host was in hand for this unit; the end is infinity if it never answered again."""
    what = f"unit:{unit}"
    hosts = [host for host, service in series if service == what]
    return {
        host: list(_spans(series[host, what], series.get((host, ANSWERS.get(unit, what)), ())))
        for host in hosts
    }


def _spans(units: Sequence[Record], answers: Sequence[Record]) -> Iterator[Span]:
    known = [line for line in units if line["ok"] is not None and line["detail"]["invocation_id"]]
    for number, (before, line) in enumerate(pairwise(known), 1):
        if line["detail"]["invocation_id"] != before["detail"]["invocation_id"]:
            yield _went_out(known[: number + 1]), _answered(answers, line["t"])


def _went_out(known: Sequence[Record]) -> float:
    """Return when the unit went out before its restart; the last sample is the first of the new invocation."""
    went_out: float = known[-1]["t"]
    for line in reversed(known[:-1]):
        if line["ok"]:
            break
        went_out = line["t"]
    return went_out


def _answered(answers: Sequence[Record], since: float) -> float:
    return next((line["t"] for line in answers if line["ok"] and line["t"] >= since), float("inf"))


def most_at_once(spans: Mapping[str, Sequence[Span]]) -> int:
    """Return the largest number of hosts that were in hand at the same time."""
    all_spans = [(host, span) for host, several in spans.items() for span in several]
    return max(
        (
            len({host for host, (start, end) in all_spans if start <= moment < end})
            for _, (moment, _) in all_spans
        ),
        default=0,
    )
