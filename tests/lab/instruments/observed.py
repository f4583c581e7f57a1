"""What a record of the observer shows: outages, restarts, and how many were out at once. Pure.

An outage runs from the first sample that says out to the first that says otherwise; its length is good to one interval.
Unknown is counted apart: it neither is an outage nor ends one that it interrupts as healthy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

Line = Mapping[str, Any]
Series = Mapping[tuple[str, str], Sequence[Line]]
Start = tuple[str, float]  # an invocation, and when it was first seen


def summarise(lines: Iterable[Line]) -> dict[str, Any]:
    """Return the summary of one record.

    Raises:
        ValueError: the record does not begin with the observer's own first line.
    """
    head, *samples = lines
    if head["what"] != "observer":
        raise ValueError("not a record of the observer")
    series = _series(samples)
    starts = _starts(series)
    return {
        "started_at": head["detail"]["started_at"],
        "monotonic": head["detail"]["monotonic"],
        "samples": samples[-1]["n"] if samples else 0,
        "first": samples[0]["t"] if samples else None,
        "last": samples[-1]["t"] if samples else None,
        "outages": _per_host(series, False),
        "unknown": _per_host(series, None),
        "max_out": _max_out(samples),
        "max_out_of_group": _max_out_of_group(samples, head["detail"]["groups"]),
        "restarts": _of_each(starts, lambda seen: len(seen) - 1),
        "restarted_at": _of_each(starts, lambda seen: [t for _, t in seen[1:]]),
        "invocations": _of_each(starts, lambda seen: [identity for identity, _ in seen]),
    }


def _series(samples: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    series: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for sample in samples:
        series[sample["host"], sample["what"]].append(sample)
    return series


def _per_host(series: Series, state: bool | None) -> dict[str, dict[str, list[Line]]]:
    found: dict[str, dict[str, list[Line]]] = defaultdict(dict)
    for (host, what), samples in series.items():
        if spans := spans_of(samples, state):
            found[host][what] = spans
    return dict(found)


def spans_of(samples: Sequence[Line], state: bool | None) -> list[Line]:
    """Return when a series read `state`, as spans with start, end and seconds; an end of None is still open."""
    runs = [(ok, list(run)) for ok, run in groupby(samples, key=lambda sample: sample["ok"])]
    ends = [following[1][0]["t"] for _, following in pairwise(runs)] + [None]
    return [
        {
            "start": run[0]["t"],
            "end": end,
            "seconds": round((run[-1]["t"] if end is None else end) - run[0]["t"], 3),
            "samples": len(run),
            "detail": run[0]["detail"],
        }
        for (ok, run), end in zip(runs, ends, strict=True)
        if ok is state
    ]


def _out_at(samples: Iterable[Line]) -> dict[int, list[Line]]:
    out: dict[int, list[Line]] = defaultdict(list)
    for sample in samples:
        if sample["ok"] is False:
            out[sample["n"]].append(sample)
    return out


def _max_out(samples: Sequence[Line]) -> dict[str, int]:
    most = dict.fromkeys((sample["what"] for sample in samples), 0)
    for out in _out_at(samples).values():
        for what in {sample["what"] for sample in out}:
            most[what] = max(most[what], sum(sample["what"] == what for sample in out))
    return most


def _max_out_of_group(
    samples: Sequence[Line], groups: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    most = dict.fromkeys(groups, 0)
    for out in _out_at(samples).values():
        hosts = {sample["host"] for sample in out}
        for group, members in groups.items():
            most[group] = max(most[group], len(hosts.intersection(members)))
    return most


def _starts(series: Series) -> dict[str, dict[str, list[Start]]]:
    """Return each unit's invocations in order, with the time at which each was first seen."""
    found: dict[str, dict[str, list[Start]]] = defaultdict(dict)
    for (host, what), samples in series.items():
        if what.startswith("unit:"):
            known = [
                (line["detail"]["invocation_id"], line["t"])
                for line in samples
                if line["ok"] is not None
            ]
            running = [(identity, t) for identity, t in known if identity]
            starts = [next(run) for _, run in groupby(running, key=lambda start: start[0])]
            if starts:
                found[host][what.removeprefix("unit:")] = starts
    return dict(found)


def _of_each(
    starts: Mapping[str, Mapping[str, list[Start]]], what: Callable[[list[Start]], Any]
) -> dict[str, Any]:
    return {
        host: {unit: what(seen) for unit, seen in units.items()} for host, units in starts.items()
    }
