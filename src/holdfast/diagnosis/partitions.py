"""Which side of a partition is restarted, from what every node reports. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from holdfast.model import Json


@dataclass(frozen=True, slots=True)
class Sides:
    """``ill``: hosts to restart, one at a time; ``line``: who is cut off from whom; ``why``: which side, and why.

    Where it is not ``known`` which side that is, ``ill`` are all hosts of the partition, and none is restarted yet.
    """

    ill: tuple[str, ...]
    line: str
    why: str
    known: bool = False


def sides_of(views: Mapping[str, Mapping[str, Json]], silent: Collection[str]) -> Sides:
    """Return the sides of a partition; ``views`` have every host's members, running nodes and partitions.

    The side with a majority has the newest messages. Without one, or where a node is silent, whose side is not known,
    no side is known to be right.
    """
    cut = {host: set(view["partitions"]) for host, view in views.items()}
    sides = _groups(cut)
    everyone = tuple(sorted({*views, *silent}))
    if silent:
        verb = "gives" if len(silent) == 1 else "give"
        why = f"{_names(sorted(silent))} {verb} no answer, so the smaller side is not known: restart none yet"
        return Sides(everyone, _seen(cut, sides), why)
    if len(sides) == 1:
        doubtful = tuple(host for host in sides[0] if cut[host]) or tuple(sides[0])
        why = "restart the one of them that was frozen or cut off, never both at once"
        return Sides(doubtful, _seen(cut, sides), why)
    if 2 * len(sides[0]) <= len(everyone):
        why = "no side has a majority: restart the one that was frozen or has fewer clients"
        return Sides(everyone, _seen(cut, sides), why)
    ill = tuple(host for side in sides[1:] for host in side)
    one, turns = ("it is", "") if len(ill) == 1 else ("they are", ", one at a time")
    why = (
        f"restart {_names(ill)}{turns}: {one} the smaller side; the larger has the newest messages"
    )
    line = f"{_names(sides[1])} went on without {_names(sides[0])}"
    return Sides(ill, line, why, known=True)


def _groups(cut: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the hosts that see each other, directly or through others, as sides; the largest first."""
    linked = {host: {other for other in cut if not _parted(cut, host, other)} for host in cut}
    groups: list[set[str]] = []
    for host in cut:
        joined = [group for group in groups if group & linked[host]]
        groups = [group for group in groups if group not in joined]
        groups.append({host}.union(*joined))
    return sorted((sorted(group) for group in groups), key=len, reverse=True)


def _seen(cut: Mapping[str, set[str]], sides: list[list[str]]) -> str:
    """Return who is cut off from whom, as far as the nodes that answer report it."""
    if len(sides) > 1:
        return " against ".join(map(_names, sides))
    doubtful = [host for host in sides[0] if cut[host]]
    if len(doubtful) == 1:
        nodes = sorted(node.partition("@")[2] for node in cut[doubtful[0]])
        return f"{doubtful[0]} is cut off from {_names(nodes)}"
    sees_all = [host for host in sides[0] if host not in doubtful]
    more = f", {_names(sees_all)} sees both" if sees_all else ""
    return f"{_names(doubtful)} do not see each other{more}"


def _parted(cut: Mapping[str, set[str]], one: str, other: str) -> bool:
    """Return whether one of two hosts reports that it is cut off from the other; nodes are named ``rabbit@HOST``."""
    return _is_in(cut[one], other) or _is_in(cut[other], one)


def _is_in(nodes: Collection[str], host: str) -> bool:
    short = host.partition(".")[0]
    return any(node.partition("@")[2].partition(".")[0] == short for node in nodes)


def _names(hosts: Collection[str]) -> str:
    return " and ".join(hosts)
