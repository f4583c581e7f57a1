"""What a record of the observer shows: outages, restarts, and how many were out at once. Pure.

An outage runs from the first sample that says out to the first that says otherwise; its length is good to one interval.
A client waits for a slow answer, so silence alone is an outage only from PATIENCE on; a refusal is one at once.
Unknown is counted apart: it neither is an outage nor ends one that it interrupts as healthy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Any

from tests.lab.instruments.in_hand import in_hand, most_at_once
from tests.lab.instruments.lines import SILENT

PATIENCE = 10.0  # seconds before silence is an outage: as long as RabbitMQ itself gives a client to shake hands

Line = Mapping[str, Any]
Series = Mapping[tuple[str, str], Sequence[Line]]
Start = tuple[str, float]  # an invocation, and when it was first seen


class State(StrEnum):
    """What a sample turns out to have shown."""

    THERE = "there"
    OUT = "out"
    SLOW = "slow"
    UNKNOWN = "unknown"


def summarise(lines: Iterable[Line]) -> dict[str, Any]:
    """Return the summary of one record.

    Raises:
        ValueError: the record does not begin with the observer's own first line.
    """
    head, *samples = lines
    if head["what"] != "observer":
        raise ValueError("not a record of the observer")
    series = {key: judged(lines) for key, lines in _series(samples).items()}
    starts = _starts(series)
    out = _out_at(series)
    units = {what.removeprefix("unit:") for _, what in series if what.startswith("unit:")}
    return {
        "started_at": head["detail"]["started_at"],
        "monotonic": head["detail"]["monotonic"],
        "samples": samples[-1]["n"] if samples else 0,
        "first": samples[0]["t"] if samples else None,
        "last": samples[-1]["t"] if samples else None,
        "outages": _per_host(series, State.OUT),
        "slow": _per_host(series, State.SLOW),
        "unknown": _per_host(series, State.UNKNOWN),
        "max_out": _max_out(out, {what for _, what in series}),
        "max_refused": _max_out(_refusing_at(series), {what for _, what in series}),
        "max_out_of_group": _max_out_of_group(out, head["detail"]["groups"]),
        "max_in_hand": {unit: most_at_once(in_hand(series, unit)) for unit in sorted(units)},
        "restarts": _of_each(starts, lambda seen: len(seen) - 1),
        "restarted_at": _of_each(starts, lambda seen: [t for _, t in seen[1:]]),
        "invocations": _of_each(starts, lambda seen: [identity for identity, _ in seen]),
    }


def _series(samples: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    series: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for sample in samples:
        series[sample["host"], sample["what"]].append(sample)
    return series


def judged(lines: Sequence[Line]) -> list[Line]:
    """Return one service's lines with the `state` that each shows, seen from all of them."""
    runs = [list(run) for _, run in groupby(lines, key=lambda line: line["ok"])]
    ends = [following[0]["t"] for following in runs[1:]] + [run[-1]["t"] for run in runs[-1:]]
    return [
        {**line, "state": _state(run, end)}
        for run, end in zip(runs, ends, strict=True)
        for line in run
    ]


def _state(run: Sequence[Line], end: float) -> State:
    ok = run[0]["ok"]
    if ok is None or ok:
        return State.UNKNOWN if ok is None else State.THERE
    refused = any(line["detail"] != SILENT for line in run)
    return State.OUT if refused or end - run[0]["t"] >= PATIENCE else State.SLOW


def _per_host(series: Series, state: State) -> dict[str, dict[str, list[Line]]]:
    found: dict[str, dict[str, list[Line]]] = defaultdict(dict)
    for (host, what), samples in series.items():
        if spans := spans_of(samples, state):
            found[host][what] = spans
    return dict(found)


def spans_of(samples: Sequence[Line], state: State) -> list[Line]:
    """Return when a judged series was in `state`: spans with start, end and seconds; an end of None is still open."""
    runs = [list(run) for _, run in groupby(samples, key=lambda sample: sample["state"])]
    ends = [following[0]["t"] for following in runs[1:]] + [None]
    return [
        {
            "start": run[0]["t"],
            "end": end,
            "seconds": round((run[-1]["t"] if end is None else end) - run[0]["t"], 3),
            "samples": len(run),
            "detail": run[0]["detail"],
        }
        for run, end in zip(runs, ends, strict=True)
        if run[0]["state"] is state
    ]


def _out_at(series: Series) -> dict[int, list[tuple[str, str]]]:
    """Return who was out at each sample, as host and service."""
    out: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for key, samples in series.items():
        for sample in samples:
            if sample["state"] is State.OUT:
                out[sample["n"]].append(key)
    return out


def _refusing_at(series: Series) -> dict[int, list[tuple[str, str]]]:
    """Return who said no at each sample; who is only silent may have been kept from answering by a busy machine."""
    refusing = {
        key: [sample for sample in samples if sample["detail"] != SILENT]
        for key, samples in series.items()
    }
    return _out_at(refusing)


def _max_out(out: Mapping[int, list[tuple[str, str]]], services: Iterable[str]) -> dict[str, int]:
    counts = [Counter(what for _, what in keys) for keys in out.values()]
    return {what: max((count[what] for count in counts), default=0) for what in sorted(services)}


def _max_out_of_group(
    out: Mapping[int, list[tuple[str, str]]], groups: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    hosts = [{host for host, _ in keys} for keys in out.values()]
    return {
        group: max((len(at_once.intersection(members)) for at_once in hosts), default=0)
        for group, members in groups.items()
    }


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
