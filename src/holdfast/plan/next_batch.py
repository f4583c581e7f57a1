"""Which host comes next: the order of a roll, from the latest evidence, then the inventory's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from holdfast.evidence import ALONE, HEALTHY, LEADERS, TURN
from holdfast.model import Json
from holdfast.plan.model import PlannedRoll
from holdfast.policy import Order

Facts = Mapping[str, Mapping[str, Json]]
"""Per host the facts of verdicts that decide the order (``evidence``). A host without is healthy, and comes last."""


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
    hosts = _beside_each_other(roll, tuple(islice(_in_order(roll, done, facts), size)), facts)
    return hosts, _why(roll, hosts, facts, canary=canary)


def next_batches(roll: PlannedRoll, facts: Facts | None = None) -> Iterator[tuple[str, ...]]:
    """Yield all batches as they follow if the evidence does not change, for showing a plan."""
    left, begun, rounds = tuple(_in_order(roll, frozenset(), facts or {})), 0, 0
    while begun < len(left):
        size = 1 if roll.window else roll.size(rounds, first=rounds == 0)
        batch = _beside_each_other(roll, left[begun : begun + size], facts or {})
        yield batch
        begun += len(batch)
        rounds += 1


def may_begin_beside(
    roll: PlannedRoll, hosts: Iterable[str], others: Iterable[str], facts: Facts
) -> bool:
    """Return whether hosts of a roll may be in hand while ``others`` of it are."""
    return not any(_is_alone(roll, host, facts) for host in (*hosts, *others))


def _is_alone(roll: PlannedRoll, host: str, facts: Facts) -> bool:
    """Return whether a host may be in hand only by itself, where the roll goes by what its hosts restart."""
    return "dependencies_first" in roll.policy.order and bool(facts.get(host, {}).get(ALONE))


def _beside_each_other(roll: PlannedRoll, hosts: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """Return the first hosts that may be in one batch."""
    number = next((n for n, host in enumerate(hosts) if _is_alone(roll, host, facts)), len(hosts))
    return hosts[: max(number, 1)]


def _in_order(roll: PlannedRoll, done: AbstractSet[str], facts: Facts) -> Iterable[str]:
    """Return the hosts that are not done, in order; sorted only where a fact of one of them changes the order."""

    def key(host: str) -> tuple[int, ...]:
        return tuple(_KEYS[order](facts.get(host, {})) for order in roll.policy.order)

    left = (host for host in roll.hosts if host not in done)
    usual = key("")
    if any(host not in done and key(host) != usual for host in facts):
        return sorted(left, key=key)
    return left


_LAST = 99

_KEYS: Mapping[Order, Callable[[Mapping[str, Json]], int]] = {
    "dependencies_first": lambda facts: _LAST if (turn := facts.get(TURN)) is None else int(turn),
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
    elif "dependencies_first" in roll.policy.order and TURN in first:
        reasons.append(f"what others depend on first{', alone' * bool(first.get(ALONE))}")
    elif "fewest_leaders_first" in roll.policy.order and LEADERS in first:
        reasons.append(f"fewest leaders first ({hosts[0]} has {first[LEADERS]})")
    else:
        reasons.append("inventory order")
    return ", ".join(reasons)
