"""Which host comes next: the order of a roll, from the latest evidence, then the inventory's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from holdfast.evidence import HEALTHY, LEADERS
from holdfast.model import Json
from holdfast.plan.model import PlannedRoll
from holdfast.policy import Order

Facts = Mapping[str, Mapping[str, Json]]
"""Per host the facts of verdicts that decide the order: ``healthy`` and ``leaders``. A host without is healthy."""


def next_batch(
    roll: PlannedRoll, done: AbstractSet[str], facts: Facts, rounds: int = 0
) -> tuple[tuple[str, ...], str]:
    """Return the hosts of the next batch, and a text that says why it is their turn.

    ``rounds``: how many batches of the step have gone well since it began or was resumed. In a window each host is a
    batch of its own.

    Unhealthy hosts come first: to restart a healthy one while another is down leaves two down
    (Strimzi's KafkaRoller rolls them first for the same reason).
    """
    canary = roll.canary and not done
    size = 1 if roll.window else roll.size(rounds, first=not done)
    hosts = tuple(islice(_in_order(roll, done, facts), size))
    return hosts, _why(roll, hosts, facts, canary=canary)


def next_batches(roll: PlannedRoll, facts: Facts | None = None) -> Iterator[tuple[str, ...]]:
    """Yield all batches as they follow if the evidence does not change, for showing a plan."""
    left = iter(_in_order(roll, frozenset(), facts or {}))
    rounds = 0
    while batch := tuple(islice(left, 1 if roll.window else roll.size(rounds, first=rounds == 0))):
        yield batch
        rounds += 1


def _in_order(roll: PlannedRoll, done: AbstractSet[str], facts: Facts) -> Iterable[str]:
    """Return the hosts that are not done, in order; sorted only where a fact of one of them changes the order."""

    def key(host: str) -> tuple[int, ...]:
        return tuple(_KEYS[order](facts.get(host, {})) for order in roll.policy.order)

    left = (host for host in roll.hosts if host not in done)
    usual = key("")
    if any(host not in done and key(host) != usual for host in facts):
        return sorted(left, key=key)
    return left


_KEYS: Mapping[Order, Callable[[Mapping[str, Json]], int]] = {
    "unhealthy_first": lambda facts: facts.get(HEALTHY) is not False,
    "fewest_leaders_first": lambda facts: int(facts.get(LEADERS) or 0),
}


def _why(roll: PlannedRoll, hosts: Sequence[str], facts: Facts, *, canary: bool) -> str:
    first = facts.get(hosts[0], {}) if hosts else {}
    reasons = ["canary"] if canary else []
    if roll.growth and not roll.window:
        reasons.append(f"{len(hosts)} at a time")
    if "unhealthy_first" in roll.policy.order and first.get(HEALTHY) is False:
        reasons.append("unhealthy first")
    elif "fewest_leaders_first" in roll.policy.order and LEADERS in first:
        reasons.append(f"fewest leaders first ({hosts[0]} has {first[LEADERS]})")
    else:
        reasons.append("inventory order")
    return ", ".join(reasons)
