"""Finds lost calls that no outage of their server explains, from the summaries of the observer and the traffic.

    python -m tests.lab.instruments.unexplained_losses OBSERVER_SUMMARY TRAFFIC_SUMMARY

Prints a JSON list. A lost call is explained if, while it waited, its service was out or unknown on its host, by the
check of its unit or of its RPC server. Both summaries have the time of their start on the same machine's clock.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TOLERANCE = 2.0  # seconds: an outage's ends are exact to one sample, and units are active before they answer

Summary = Mapping[str, Any]


def unexplained_losses(observed: Summary, traffic: Summary) -> list[dict[str, Any]]:
    """Return the lost calls that no outage of their own server explains."""
    offset = traffic["monotonic"] - observed["monotonic"]
    return [
        call for call in traffic["calls"]["lost_calls"] if not _explained(call, offset, observed)
    ]


def _explained(call: Mapping[str, Any], offset: float, observed: Summary) -> bool:
    asked, given_up = call["asked"] + offset, call["given_up"] + offset
    return any(
        start - TOLERANCE <= given_up and asked <= end + TOLERANCE
        for start, end in _outages(observed, call["host"], call["service"])
    )


def _outages(observed: Summary, host: str, service: str) -> Iterator[tuple[float, float]]:
    for state in ("outages", "unknown"):
        spans = observed[state].get(host, {})
        for what in (service, f"unit:{service.removeprefix('rpc:')}"):
            for span in spans.get(what, ()):
                yield span["start"], observed["last"] if span["end"] is None else span["end"]


def main(observer_summary: str, traffic_summary: str) -> None:
    """Print the lost calls that no outage explains."""
    observed, traffic = (
        json.loads(Path(path).read_text(encoding="utf-8"))
        for path in (observer_summary, traffic_summary)
    )
    print(json.dumps(unexplained_losses(observed, traffic), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
