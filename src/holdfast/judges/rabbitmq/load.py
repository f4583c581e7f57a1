"""Judge what brokers carry: whether each has room left, and whether messages pile up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from holdfast.evidence import BACKLOG
from holdfast.judges.rabbitmq.queues import SAMPLES, TOO_FEW_SAMPLES, grows, spaced
from holdfast.model import Json, Outcome, Verdict
from holdfast.observations.rabbitmq import BrokerLoad, Room

NEEDED = ("memory", "disk")
"""Resources that every release reports; descriptors and sockets are not counted by the newest."""


def has_room(claim: str, load: BrokerLoad, share: float) -> Verdict:
    """PASS where each broker uses less than the share of its memory limit, descriptors, sockets and disk.

    At its limit of memory or disk a broker blocks all publishers; without descriptors it accepts no client. The limit
    of memory is its watermark, that of the disk what must stay free.
    """
    shares = {
        host: {resource: round(room.share, 3) for resource, room in rooms.items()}
        for host, rooms in load.rooms.items()
    }
    evidence = {"asked": load.host, "share": share, "used": shares}
    if short := list(_short(load, share)):
        message = "; ".join(short)
        return Verdict(claim, Outcome.FAIL, "little_room", message, evidence)
    unknown = [
        f"{host}: {load.host} does not report its {resource}"
        for host, rooms in load.rooms.items()
        for resource in NEEDED
        if resource not in rooms
    ]
    unknown += [f"{host} is not running" for host in load.stopped]
    unknown += [f"{host} does not answer: {cause}" for host, cause in load.silent.items()]
    if unknown or not load.rooms:
        message = "; ".join(unknown) or "the inventory has no broker"
        return Verdict(claim, Outcome.UNKNOWN, "not_reported", message, evidence)
    most = {r: max(each.get(r, 0) for each in shares.values()) for r in shares[next(iter(shares))]}
    used = ", ".join(f"{resource} {100 * part:.0f} %" for resource, part in most.items())
    message = f"{len(load.rooms)} brokers have room; used at most: {used}"
    return Verdict(claim, Outcome.PASS, "room", message, evidence)


def backlog_known(claim: str, load: BrokerLoad) -> Verdict:
    """PASS where it could be asked how many messages nobody has taken; the figures are the evidence, for a baseline.

    What is not counted, since statistics are switched off, is left out of the evidence.
    """
    if doubt := _uncounted(load):
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", doubt)
    counted = {name: count for name, count in _backlog(load).items() if count is not None}
    now = ", ".join(f"{count} {name}" for name, count in counted.items()) or "nothing is counted"
    message = f"messages that nobody has taken, by {load.host}: {now}"
    return Verdict(claim, Outcome.PASS, "known", message, {BACKLOG: counted})


def backlog_at_baseline(
    claim: str, load: BrokerLoad, baseline: Mapping[str, int], tolerance: float, slack: float
) -> Verdict:
    """PASS where no more messages wait, are unacknowledged or unread than before the first restart, with the tolerance.

    What has piled up and no longer grows is as many messages that nobody takes: ``backlog_steady`` passes then. A kind
    that was not counted before the first restart is not compared.
    """
    if doubt := _uncounted(load):
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", doubt)
    now = _backlog(load)
    most = {name: before + max(slack, before * tolerance) for name, before in baseline.items()}
    evidence: dict[str, Json] = {BACKLOG: dict(now), "baseline": dict(baseline), "slack": slack}
    more = [
        f"{now[name]} {name}, before the first restart {baseline[name]} (up to {limit:.0f} are expected)"
        for name, limit in most.items()
        if (now.get(name) or 0) > limit
    ]
    if more:
        message = f"messages have piled up: {'; '.join(more)}"
        return Verdict(claim, Outcome.FAIL, "piled_up", message, evidence)
    if uncounted := [name for name in baseline if now.get(name) is None]:
        message = f"{load.host} does not count {', '.join(uncounted)} messages"
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", message, evidence)
    text = ", ".join(f"{now[name]} {name} (before {before})" for name, before in baseline.items())
    return Verdict(
        claim, Outcome.PASS, "at_baseline", f"messages did not pile up: {text}", evidence
    )


def _uncounted(load: BrokerLoad) -> str:
    """Return why the cluster's messages were not asked for; "" where they were."""
    if not load.expected:
        return "the inventory has no broker"
    return f"{load.host} counts no messages" if load.reply_queues is None else ""


def _backlog(load: BrokerLoad) -> dict[str, int | None]:
    """Return by kind how many messages nobody has taken; None for what is not counted."""
    return {
        "waiting": load.ready,
        "unacknowledged": load.unacknowledged,
        "unread replies": load.unread_replies,
    }


def backlog_steady(
    claim: str, history: Sequence[BrokerLoad], spacing_seconds: float, slack: int
) -> Verdict:
    """PASS where neither waiting, unacknowledged nor unread messages of the cluster grow over three samples.

    Unread are replies in queues whose callers are gone. All queues count, also those that no gate names. In the
    incident of 2015-08-12 the broker's process was up, and what was sent through it stayed there.
    """
    samples = spaced(history, spacing_seconds)
    if len(samples) < SAMPLES:
        message = f"{len(samples)} of {SAMPLES} samples, {spacing_seconds:.0f} s apart"
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message)
    backlogs = [_backlog(each) for each in samples]
    counts = {name: [each[name] for each in backlogs] for name in backlogs[0]}
    evidence = {name: list(values) for name, values in counts.items()}
    growing = [
        f"{name}: {' -> '.join(map(str, values))}"
        for name, values in counts.items()
        if grows(values) and (values[-1] or 0) - (values[0] or 0) > slack
    ]
    if growing:
        message = f"messages pile up, {'; '.join(growing)}"
        return Verdict(claim, Outcome.FAIL, "growing", message, evidence)
    if uncounted := [name for name, values in counts.items() if None in values]:
        message = f"{history[-1].host} does not count {', '.join(uncounted)} messages"
        return Verdict(claim, Outcome.UNKNOWN, "not_counted", message, evidence)
    now = ", ".join(f"{values[-1]} {name}" for name, values in counts.items())
    return Verdict(claim, Outcome.PASS, "steady", f"messages do not pile up: {now}", evidence)


def _short(load: BrokerLoad, share: float) -> Iterator[str]:
    for host, rooms in load.rooms.items():
        for resource, room in rooms.items():
            if room.share >= share:
                yield f"{host}: {_figures(resource, room)}"


def _figures(resource: str, room: Room) -> str:
    if resource == "disk":
        return f"{_size(room.limit)} of disk free, and below {_size(room.used)} it blocks all publishers"
    if resource == "memory":
        return f"uses {_size(room.used)} of memory, and from {_size(room.limit)} on it blocks all publishers"
    return f"uses {room.used} of {room.limit} {resource}"


def _size(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
