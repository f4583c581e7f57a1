"""Calls that were lost although nobody had their server in hand: the observer's record beside the traffic's. Pure.

    python -m tests.lab.instruments.elsewhere OBSERVER_SUMMARY TRAFFIC_SUMMARY

Prints a JSON list. A lost call is explained by an outage of the very service on the very host, as its unit or its RPC
answers showed it, or by the host having been unknown. Both records tell when they began on the same machine's clock.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SLACK = 2.0  # seconds: an outage's ends are known to one sample, and units are active before they answer

Summary = Mapping[str, Any]


def lost_elsewhere(observed: Summary, carried: Summary) -> list[dict[str, Any]]:
    """Return the lost calls that no outage of their own server explains."""
    ahead = carried["monotonic"] - observed["monotonic"]
    return [
        call for call in carried["calls"]["lost_calls"] if not _explained(call, ahead, observed)
    ]


def _explained(call: Mapping[str, Any], ahead: float, observed: Summary) -> bool:
    asked, given_up = call["asked"] + ahead, call["given_up"] + ahead
    return any(
        start - SLACK <= given_up and asked <= end + SLACK
        for start, end in _outages(observed, call["host"], call["service"])
    )


def _outages(observed: Summary, host: str, service: str) -> Iterator[tuple[float, float]]:
    for state in ("outages", "unknown"):
        spans = observed[state].get(host, {})
        for what in (service, f"unit:{service.removeprefix('rpc:')}"):
            for span in spans.get(what, ()):
                yield span["start"], observed["last"] if span["end"] is None else span["end"]


def main(observer_summary: str, traffic_summary: str) -> None:
    """Print the lost calls that nothing explains."""
    observed, carried = (
        json.loads(Path(path).read_text(encoding="utf-8"))
        for path in (observer_summary, traffic_summary)
    )
    print(json.dumps(lost_elsewhere(observed, carried), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
