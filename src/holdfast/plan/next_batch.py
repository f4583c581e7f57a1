"""Which host comes next: the order of a roll, from the latest evidence, then the inventory's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from holdfast.evidence import HEALTHY, LEADERS
from holdfast.model import Json
from holdfast.plan.model import PlannedRoll
from holdfast.policy import Order

Facts = Mapping[str, Mapping[str, Json]]
"""Per host the facts of verdicts that decide the order: ``healthy`` and ``leaders``."""


def next_batch(roll: PlannedRoll, done: Sequence[str], facts: Facts) -> tuple[tuple[str, ...], str]:
    """Return the hosts of the next batch, and a text that says why it is their turn.

    Unhealthy hosts come first: to restart a healthy one while another is down leaves two down
    (Strimzi's KafkaRoller rolls them first for the same reason).
    """
    canary = roll.canary and not done
    hosts = tuple(_in_order(roll, done, facts)[: 1 if canary else roll.batch])
    return hosts, _why(roll, hosts, facts, canary=canary)


def next_batches(roll: PlannedRoll, facts: Facts | None = None) -> Iterator[tuple[str, ...]]:
    """Yield all batches as they follow if the evidence does not change, for showing a plan."""
    left = _in_order(roll, (), facts or {})
    size = 1 if roll.canary else roll.batch
    while left:
        yield tuple(left[:size])
        left, size = left[size:], roll.batch


def _in_order(roll: PlannedRoll, done: Sequence[str], facts: Facts) -> list[str]:
    already = set(done)
    return sorted(
        (host for host in roll.hosts if host not in already),
        key=lambda host: tuple(_KEYS[order](facts.get(host, {})) for order in roll.policy.order),
    )


_KEYS: Mapping[Order, Callable[[Mapping[str, Json]], int]] = {
    "unhealthy_first": lambda facts: facts.get(HEALTHY) is not False,
    "fewest_leaders_first": lambda facts: int(facts.get(LEADERS) or 0),
}


def _why(roll: PlannedRoll, hosts: Sequence[str], facts: Facts, *, canary: bool) -> str:
    first = facts.get(hosts[0], {}) if hosts else {}
    reasons = ["canary"] if canary else []
    if "unhealthy_first" in roll.policy.order and first.get(HEALTHY) is False:
        reasons.append("unhealthy first")
    elif "fewest_leaders_first" in roll.policy.order and LEADERS in first:
        reasons.append(f"fewest leaders first ({hosts[0]} has {first[LEADERS]})")
    else:
        reasons.append("inventory order")
    return ", ".join(reasons)
