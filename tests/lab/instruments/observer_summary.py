"""Summarises a record of the observer: outages, restarts, and how many services were out at once. Pure.

An outage lasts from the first sample that is out to the next that is not; its length is exact to one interval. Clients
wait for a slow answer, so missing answers alone are an outage only from CLIENT_TIMEOUT on; a refusal is one at once.
Unknown samples are counted separately: they are no outage, and they split one without showing a healthy service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Any

from tests.lab.instruments.records import NO_ANSWER
from tests.lab.instruments.restart_spans import most_at_once, restart_spans

CLIENT_TIMEOUT = 10.0  # seconds; the time that RabbitMQ itself allows a client for the handshake

Record = Mapping[str, Any]
Series = Mapping[tuple[str, str], Sequence[Record]]
Start = tuple[str, float]  # an InvocationID, and when it was first observed


class State(StrEnum):
    """The state of a service in one sample, judged from the samples around it too."""

    UP = "up"
    OUT = "out"
    SLOW = "slow"
    UNKNOWN = "unknown"


def summarise(lines: Iterable[Record]) -> dict[str, Any]:
    """Return the summary of a record.

    Raises:
        ValueError: the first line is not one of the observer.
    """
    head, *samples = lines
    if head["what"] != "observer":
        raise ValueError("not a record of the observer")
    series = {key: with_states(lines) for key, lines in _series(samples).items()}
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
        "max_in_hand": {unit: most_at_once(restart_spans(series, unit)) for unit in sorted(units)},
        "restarts": _of_each(starts, lambda invocations: len(invocations) - 1),
        "restarted_at": _of_each(starts, lambda invocations: [t for _, t in invocations[1:]]),
        "invocations": _of_each(
            starts, lambda invocations: [identity for identity, _ in invocations]
        ),
    }


def _series(samples: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    series: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for sample in samples:
        series[sample["host"], sample["what"]].append(sample)
    return series


def with_states(lines: Sequence[Record]) -> list[Record]:
    """Return one service's lines, each with its `state`, which depends on the lines around it."""
    runs = [list(run) for _, run in groupby(lines, key=lambda line: line["ok"])]
    ends = [following[0]["t"] for following in runs[1:]] + [run[-1]["t"] for run in runs[-1:]]
    return [
        {**line, "state": _state(run, end)}
        for run, end in zip(runs, ends, strict=True)
        for line in run
    ]


def _state(run: Sequence[Record], end: float) -> State:
    ok = run[0]["ok"]
    if ok is None or ok:
        return State.UNKNOWN if ok is None else State.UP
    refused = any(line["detail"] != NO_ANSWER for line in run)
    return State.OUT if refused or end - run[0]["t"] >= CLIENT_TIMEOUT else State.SLOW


def _per_host(series: Series, state: State) -> dict[str, dict[str, list[Record]]]:
    found: dict[str, dict[str, list[Record]]] = defaultdict(dict)
    for (host, what), samples in series.items():
        if spans := spans_of(samples, state):
            found[host][what] = spans
    return dict(found)


def spans_of(samples: Sequence[Record], state: State) -> list[Record]:
    """Return the spans in which a service was in `state`; `end` is None for one that is open when the record ends."""
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
    """Return the services that were out in each sample, as host and service."""
    out: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for key, samples in series.items():
        for sample in samples:
            if sample["state"] is State.OUT:
                out[sample["n"]].append(key)
    return out


def _refusing_at(series: Series) -> dict[int, list[tuple[str, str]]]:
    """Return the services that refused in each sample; one that does not answer may only be slow."""
    refusing = {
        key: [sample for sample in samples if sample["detail"] != NO_ANSWER]
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
    """Return each unit's invocations in order, with the time at which each was first observed."""
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
        host: {unit: what(invocations) for unit, invocations in units.items()}
        for host, units in starts.items()
    }
