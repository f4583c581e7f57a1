"""Which side of a partition is restarted, from what every node reports. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from holdfast.model import Json


@dataclass(frozen=True, slots=True)
class Sides:
    """``ill``: hosts to restart, one at a time; ``line``: who is cut off from whom; ``why``: which side, and why."""

    ill: tuple[str, ...]
    line: str
    why: str


def sides_of(views: Mapping[str, Mapping[str, Json]], silent: Collection[str]) -> Sides:
    """Return the sides of a partition; ``views`` have every host's members, running nodes and partitions.

    The larger side kept its majority and has the newest messages. Of sides of one size neither is known to be right.
    """
    cut = {host: set(view["partitions"]) for host, view in views.items()}
    linked = {host: {other for other in views if not _parted(cut, host, other)} for host in views}
    groups: list[set[str]] = []
    for host in views:
        joined = [group for group in groups if group & linked[host]]
        groups = [group for group in groups if group not in joined]
        groups.append({host}.union(*joined))
    sides = sorted((sorted(group) for group in groups), key=len, reverse=True)
    if len(sides) == 1:
        return _partial(cut, sides[0])
    ill = tuple(host for side in sides[1:] for host in side) + tuple(sorted(silent))
    line = f"{_names(sides[1])} went on without {_names(sides[0])}"
    if len(sides[0]) == len(sides[1]):
        why = "the sides are of one size: restart the one that was frozen or has fewer clients"
        return Sides(ill, line, why)
    one = "it is" if len(ill) == 1 else "they are"
    turns = "" if len(ill) == 1 else ", one at a time"
    why = (
        f"restart {_names(ill)}{turns}: {one} the smaller side; the larger has the newest messages"
    )
    return Sides(ill, line, why)


def _partial(cut: Mapping[str, set[str]], everyone: list[str]) -> Sides:
    """Return the sides where some node sees all the others: those that do not see each other are in doubt."""
    doubtful = tuple(host for host in everyone if cut[host]) or tuple(everyone)
    sees_all = [host for host in everyone if host not in doubtful]
    line = f"{_names(doubtful)} do not see each other, {_names(sees_all)} sees both"
    why = "restart the one of them that was frozen or cut off, never both at once"
    return Sides(doubtful, line, why)


def _parted(cut: Mapping[str, set[str]], one: str, other: str) -> bool:
    """Return whether one of two hosts reports that it is cut off from the other; nodes are named ``rabbit@HOST``."""
    return _is_in(cut[one], other) or _is_in(cut[other], one)


def _is_in(nodes: Collection[str], host: str) -> bool:
    short = host.partition(".")[0]
    return any(node.partition("@")[2].partition(".")[0] == short for node in nodes)


def _names(hosts: Collection[str]) -> str:
    return " and ".join(hosts)
