"""Summarises a record of the fleet's instrument: calls, silence, heartbeats, and what a change did to hosts. Pure.

Times are seconds of the instrument's clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HARMED = 60.0  # seconds without an answer, after which a host counts as harmed
COMES_BACK = 15.0  # seconds after a start in which a host may still be silent: it connects and calls the conductor

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HostRestart:
    """A restart by the host's own journal; `started` is None for a unit that did not start."""

    host: str
    stopped: float
    started: float | None

    def covers(self, host: str, at: float) -> bool:
        """Return whether a call that was sent then may find the host stopped, or not yet back."""
        ended = float("inf") if self.started is None else self.started
        return host == self.host and self.stopped - 1 <= at <= ended + COMES_BACK


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """What a way of restarting did. `failed_elsewhere` are calls to hosts that were not in hand.

    `stable_after`: seconds from the beginning to the last trouble. `after_trouble`: how many hosts were restarted after
    the first call to a host not in hand had failed. `harmed`: the hosts that gave no answer for a minute and more.
    """

    calls: int
    failed: int
    failed_elsewhere: int
    slowest_median: float
    slowest_p99: float
    most_silent: int
    old_heartbeats: int
    restarted: int
    after_trouble: int
    harmed: tuple[str, ...]
    stable_after: float


def summarise(lines: Iterable[Record]) -> dict[str, Any]:
    """Return the figures of a whole record, in which no restart is known."""
    head, *records = lines
    if head["what"] != "fleet":
        raise ValueError("not a record of the fleet's instrument")
    found = figures(records, [], 0.0)
    return {name: getattr(found, name) for name in FleetFigures.__slots__} | {
        "hosts": len(head["detail"]["hosts"])
    }


def figures(
    records: Sequence[Record],
    restarts: Sequence[HostRestart],
    began: float,
    ended: float = float("inf"),
) -> FleetFigures:
    """Return the figures of the time between `began` and `ended`."""
    within = [each for each in records if began <= each["t"] <= ended]
    calls = [each["detail"] for each in within if each["what"] == "calls"]
    silent = [(host, sent) for period in calls for host, sent in period["silent"] if sent >= began]
    elsewhere = [each for each in silent if not any(r.covers(*each) for r in restarts)]
    trouble = min((sent for _, sent in elsewhere), default=float("inf"))
    old = [
        each["detail"]["old"]
        for each in within
        if each["what"] == "heartbeats" and each["ok"] is not None
    ]
    last = max((each["t"] for each in within if each["ok"] is False), default=began)
    return FleetFigures(
        calls=sum(period["calls"] for period in calls),
        failed=len(silent),
        failed_elsewhere=len(elsewhere),
        slowest_median=_largest(calls, "median"),
        slowest_p99=_largest(calls, "p99"),
        most_silent=max((len({host for host, _ in p["silent"]}) for p in calls), default=0),
        old_heartbeats=max(old, default=0),
        restarted=len({restart.host for restart in restarts}),
        after_trouble=len({r.host for r in restarts if r.stopped > trouble}),
        harmed=tuple(sorted(harmed(silent))),
        stable_after=round(last - began, 1),
    )


def harmed(silent: Iterable[tuple[str, float]], period: float = 5.0) -> Iterator[str]:
    """Yield the hosts that gave no answer for `HARMED` seconds, from the calls that had none."""
    sent: dict[str, list[float]] = defaultdict(list)
    for host, at in silent:
        sent[host].append(at)
    for host, times in sent.items():
        first = last = min(times)
        for at in sorted(times):
            first = first if at - last <= 1.5 * period else at
            last = at
            if last - first + period >= HARMED:
                yield host
                break


def _largest(periods: Iterable[Record], what: str) -> float:
    return max((period[what] for period in periods if period[what] is not None), default=0.0)
