"""From when until when was each restarted host in somebody's hand, and how many were at once? Pure.

A host is in hand from the moment its unit is no longer active until the service answers under its new invocation: being
active is no answer. Only restarted hosts count, so a busy machine on which everybody answers late adds nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Line = Mapping[str, Any]
Series = Mapping[tuple[str, str], Sequence[Line]]
Span = tuple[float, float]

# What shows that a unit's service answers; of any other unit it is the unit itself.
ANSWERS = {
    "rabbitmq-server": "amqp",
    "nova-conductor": "rpc:nova-conductor",
    "nova-scheduler": "rpc:nova-scheduler",
    "nova-compute": "rpc:nova-compute",
    "nova-api": "http:nova-api",
    "nova-api-metadata": "http:nova-metadata",
}


def in_hand(series: Series, unit: str) -> dict[str, list[Span]]:
    """Return each host's spans in hand for this unit; one that never answered again has no end but infinity."""
    what = f"unit:{unit}"
    hosts = [host for host, asked in series if asked == what]
    return {
        host: list(_spans(series[host, what], series.get((host, ANSWERS.get(unit, what)), ())))
        for host in hosts
    }


def _spans(units: Sequence[Line], answers: Sequence[Line]) -> Iterator[Span]:
    known = [line for line in units if line["ok"] is not None and line["detail"]["invocation_id"]]
    for number, (before, line) in enumerate(pairwise(known), 1):
        if line["detail"]["invocation_id"] != before["detail"]["invocation_id"]:
            yield _went_out(known[: number + 1]), _answered(answers, line["t"])


def _went_out(known: Sequence[Line]) -> float:
    """Return when the unit was first seen out before the last of these samples, the first of a new invocation."""
    went_out: float = known[-1]["t"]
    for line in reversed(known[:-1]):
        if line["ok"]:
            break
        went_out = line["t"]
    return went_out


def _answered(answers: Sequence[Line], since: float) -> float:
    return next((line["t"] for line in answers if line["ok"] and line["t"] >= since), float("inf"))


def most_at_once(spans: Mapping[str, Sequence[Span]]) -> int:
    """Return how many hosts were in hand at the same time at most."""
    everybody = [(host, span) for host, several in spans.items() for span in several]
    return max(
        (
            len({host for host, (start, end) in everybody if start <= moment < end})
            for _, (moment, _) in everybody
        ),
        default=0,
    )
