"""Given this evidence, these hosts come next."""

from __future__ import annotations

import pytest

from holdfast.model import Json
from holdfast.plan.model import PlannedRoll
from holdfast.plan.next_batch import may_begin_beside, next_batch, next_batches
from holdfast.policy import PlaybookPolicy

HOSTS = ("ctl1", "ctl2", "ctl3", "ctl4")


def roll(
    *order: str, batch: int = 1, canary: bool = False, hosts: tuple[str, ...] = HOSTS
) -> PlannedRoll:
    policy = PlaybookPolicy.model_validate(
        {
            "service": "rabbitmq",
            "group": "rabbitmq",
            "batch_max": 3,
            "batch_max_reason": "tests",
            "order": order,
        }
    )
    return PlannedRoll(
        number=1,
        title="Roll",
        playbook="rabbitmq_restart.yml",
        hosts=hosts,
        batch=batch,
        canary=canary,
        variables={},
        settle=None,
        policy=policy,
    )


DEPENDENCIES = ("dependencies_first",)
BOTH = ("unhealthy_first", "fewest_leaders_first")


@pytest.mark.parametrize(
    ("order", "facts", "expected"),
    [
        ((), {}, "ctl1 ctl2 ctl3 ctl4"),
        ((), {"ctl3": {"healthy": False}}, "ctl1 ctl2 ctl3 ctl4"),
        (BOTH, {"ctl3": {"healthy": False}}, "ctl3 ctl1 ctl2 ctl4"),
        (BOTH, {"ctl1": {"leaders": 5}, "ctl2": {"leaders": 1}}, "ctl3 ctl4 ctl2 ctl1"),
        (BOTH, {"ctl1": {"leaders": 9, "healthy": False}}, "ctl1 ctl2 ctl3 ctl4"),
        (("fewest_leaders_first",), {"ctl1": {"leaders": 2}}, "ctl2 ctl3 ctl4 ctl1"),
        (DEPENDENCIES, {"ctl3": {"turn": 0}, "ctl2": {"turn": 3}}, "ctl3 ctl2 ctl1 ctl4"),
        (("unhealthy_first",), {"ctl3": {"turn": 0}}, "ctl1 ctl2 ctl3 ctl4"),
        (BOTH, {"stranger": {"healthy": False}}, "ctl1 ctl2 ctl3 ctl4"),
    ],
)
def test_order(order: tuple[str, ...], facts: Json, expected: str) -> None:
    batches = next_batches(roll(*order), facts)

    assert " ".join(host for batch in batches for host in batch) == expected


@pytest.mark.parametrize(
    ("batch", "canary", "expected"),
    [
        (1, False, [1, 1, 1, 1]),
        (3, False, [3, 1]),
        (3, True, [1, 3]),
        (2, True, [1, 2, 1]),
        (1, True, [1, 1, 1, 1]),
    ],
)
def test_sizes(batch: int, canary: bool, expected: list[int]) -> None:
    assert [len(hosts) for hosts in next_batches(roll(batch=batch, canary=canary))] == expected


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        ((1,), [1, 1, 1, 1]),
        ((1, 2), [1, 2, 1]),
        ((1, 3), [1, 3]),
        ((2, 2), [2, 2]),
        ((1, 1, 9), [1, 1, 2]),
    ],
)
def test_batches_grow(growth: tuple[int, ...], expected: list[int]) -> None:
    growing = roll(batch=growth[-1]).model_copy(update={"growth": growth})

    assert [len(hosts) for hosts in next_batches(growing)] == expected


def test_a_growing_roll_begins_with_its_first_size_whatever_is_done() -> None:
    growing = roll(batch=3).model_copy(update={"growth": (1, 3)})

    assert next_batch(growing, {"ctl1"}, {}, 0) == (("ctl2",), "1 at a time, inventory order")
    assert next_batch(growing, {"ctl1"}, {}, 1)[0] == ("ctl2", "ctl3", "ctl4")


def test_without_a_canary_the_first_batch_is_whole() -> None:
    assert next_batch(roll(batch=3), set(), {}) == (("ctl1", "ctl2", "ctl3"), "inventory order")
    assert list(next_batches(roll(*BOTH, batch=4))) == [HOSTS]


def test_the_reason_names_no_order_that_the_policy_does_not_have() -> None:
    facts = {"ctl1": {"healthy": False, "leaders": 1}}
    assert next_batch(roll(), set(), facts) == (("ctl1",), "inventory order")


def test_the_order_is_decided_again_from_the_latest_evidence() -> None:
    before = {"ctl1": {"leaders": 4}, "ctl2": {"leaders": 1}, "ctl3": {}, "ctl4": {}}
    after = {"ctl1": {"leaders": 0}, "ctl2": {"leaders": 5}, "ctl3": {}, "ctl4": {}}

    first, _ = next_batch(roll(*BOTH), set(), before)
    second, _ = next_batch(roll(*BOTH), {"ctl3", "ctl4"}, after)

    assert (first, second) == (("ctl3",), ("ctl1",))


@pytest.mark.parametrize(
    ("facts", "done", "why"),
    [
        ({}, set(), "canary, inventory order"),
        ({}, {"ctl1"}, "inventory order"),
        ({"ctl2": {"healthy": False}}, {"ctl1"}, "unhealthy first"),
        ({"ctl2": {"leaders": 0}}, {"ctl1"}, "fewest leaders first (ctl2 has 0)"),
    ],
)
def test_every_batch_has_the_reason_of_its_turn(facts: Json, done: set[str], why: str) -> None:
    _, said = next_batch(roll(*BOTH, canary=True), done, facts)

    assert said == why


def test_hosts_of_which_nothing_is_noted_are_not_sorted() -> None:
    """Of ten thousand hosts the facts of a few are looked at before each batch, not of all."""
    asked: list[str] = []

    class Facts(dict[str, Json]):
        def get(self, host: str, default: Json = None) -> Json:
            asked.append(host)
            return super().get(host, default)

    many = roll(*BOTH, batch=3, hosts=tuple(f"h{number}" for number in range(10_000)))
    facts = Facts({"h7": {"leaders": 0}, "gone": {"healthy": False}})

    assert next_batch(many, {"h0", "gone"}, facts)[0] == ("h1", "h2", "h3")
    assert len(asked) < 10
    assert next_batch(many, {"h0"}, Facts({"h7": {"healthy": False}}))[0] == ("h7", "h1", "h2")


CONTROLLERS = {host: {"turn": 0, "alone": True} for host in ("ctl2", "ctl4")}


def test_what_others_depend_on_is_first_and_alone_and_the_rest_keep_their_batch() -> None:
    found = list(next_batches(roll(*DEPENDENCIES, batch=3), CONTROLLERS))
    assert found == [("ctl2",), ("ctl4",), ("ctl1", "ctl3")]
    assert next_batch(roll(*DEPENDENCIES, batch=3), set(), CONTROLLERS)[1] == (
        "what others depend on first, alone"
    )


def test_a_roll_that_does_not_go_by_dependencies_leaves_nobody_alone() -> None:
    """The agents are enabled twenty at a time after a rollout, in the same run with the same facts."""
    assert next(next_batches(roll(batch=3), CONTROLLERS)) == ("ctl1", "ctl2", "ctl3")


@pytest.mark.parametrize(
    ("hosts", "others", "may"),
    [
        (("ctl1",), ("ctl3",), True),
        (("ctl2",), ("ctl3",), False),
        (("ctl1",), ("ctl2",), False),
    ],
)
def test_in_a_window_nothing_begins_beside_a_controller(
    hosts: tuple[str, ...], others: tuple[str, ...], *, may: bool
) -> None:
    assert may_begin_beside(roll(*DEPENDENCIES), hosts, others, CONTROLLERS) is may
    assert may_begin_beside(roll(), hosts, others, CONTROLLERS)
