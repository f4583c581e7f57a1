"""How far replicas are behind: by what their source had and they have applied, and nothing that they say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from holdfast.judges.replica import caught_up
from holdfast.model import Unanswered
from holdfast.observations.replica import Position, ReplicaLink, ReplicaState, ReplicaStates
from tests.unit.judges.verdicts import cases, outcome_and_reason

LINK = ReplicaLink("", "Yes", "Yes", (), 1, "0")
AWAY = Unanswered("db1's MariaDB: no route")


def state(
    had: int, applied: int, *, at: float = 0.0, link: ReplicaLink | None = LINK
) -> ReplicaState:
    """Return a replica whose source had so many transactions at a time, and that has applied so many a moment later."""
    return ReplicaState((link,) if link else (), {"db1": {0: had}}, {0: applied}, at, at + 0.5)


def seen(first: ReplicaState | Unanswered, **others: ReplicaState | Unanswered) -> ReplicaStates:
    return {"rep1": first, **others}


GOOD = state(100, 100)
REPORTED, DEAF = replace(LINK, reported="999"), replace(LINK, receives="No")
ONE_MAY_BE: Mapping[str, Position | Unanswered] = {"db1": {0: 100}, "db2": AWAY}
FAULTY = replace(LINK, errors=("Duplicate entry (1062)",), applies="No")
TWO_SOURCES: Mapping[str, Position | Unanswered] = {"db1": {0: 100}, "db2": {0: 101}}
BEHIND = [seen(GOOD, rep2=state(100, 9)), seen(state(100, 100, at=20), rep2=state(100, 9, at=20))]
CASES = [
    ("it has all", [seen(GOOD)], "PASS", "caught_up"),
    ("more than that", [seen(state(100, 103))], "PASS", "caught_up"),
    ("with the first reading one cannot tell", [seen(state(100, 99))], "UNKNOWN", "too_few_samples"),
    ("it has what was there 9 s ago", [seen(state(100, 90)), seen(state(140, 101, at=9))], "PASS", "caught_up"),
    ("it had that 11 s ago alone", [seen(state(100, 90)), seen(state(140, 101, at=11))], "UNKNOWN", "too_few_samples"),
    ("it lacks what was there 11 s ago", [seen(state(100, 90)), seen(state(140, 99, at=11))], "FAIL", "behind"),
    ("it was late once and is not now", [seen(state(100, 90)), seen(state(140, 140, at=60))], "PASS", "caught_up"),
    ("it is reported as late, and is not", [seen(state(1, 1, link=REPORTED))], "PASS", "caught_up"),
    ("no thread receives, and 0 is reported", [seen(state(1, 1, link=DEAF))], "FAIL", "stopped"),
    ("it connects and connects", [seen(state(1, 1, link=replace(LINK, receives="Connecting")))], "FAIL", "stopped"),
    ("no thread applies", [seen(state(1, 1, link=replace(LINK, applies="No")))], "FAIL", "stopped"),
    ("an error", [seen(state(1, 1, link=FAULTY))], "FAIL", "stopped"),
    ("no replica at all", [seen(state(1, 1, link=None))], "FAIL", "stopped"),
    ("silent", [seen(GOOD), seen(AWAY)], "UNKNOWN", "unanswered"),
    ("one of two is silent", [seen(GOOD, rep2=AWAY)], "UNKNOWN", "unanswered"),
    ("one is silent and one has stopped", [seen(state(1, 1, link=FAULTY), rep2=AWAY)], "FAIL", "stopped"),
    ("one of two is behind", BEHIND, "FAIL", "behind"),
    ("its source is silent", [seen(replace(GOOD, source={"db1": AWAY}))], "UNKNOWN", "unanswered"),
    ("one that may be its source is", [seen(replace(GOOD, source=ONE_MAY_BE))], "UNKNOWN", "unanswered"),
    ("nobody knows its source", [seen(replace(GOOD, source={}))], "UNKNOWN", "unanswered"),
    ("of two sources it has one", [seen(replace(GOOD, source=TWO_SOURCES))], "UNKNOWN", "too_few_samples"),
    ("another domain", [seen(replace(GOOD, source={"db1": {0: 100, 5: 1}}))], "UNKNOWN", "too_few_samples"),
    ("none in the inventory", [{}], "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("history", "outcome", "reason"), cases(CASES))
def test_caught_up(history: list[ReplicaStates], outcome: str, reason: str) -> None:
    assert outcome_and_reason(caught_up("c", history, 10)) == (outcome, reason)


def test_the_bounds_are_told() -> None:
    passed = caught_up("c", [seen(state(100, 90)), seen(state(140, 101, at=9))], 10)
    assert passed.message == "behind their source: rep1 at most 9.5 s"
    assert passed.evidence == {"reported": {"rep1": ["0"]}, "at_most": {"rep1": 9.5}}
    late = caught_up("c", [seen(state(100, 90)), seen(state(140, 99, at=11))], 10)
    assert late.message == "rep1 is more than 10 s behind: it lacks what its source had 11.5 s ago"


def test_a_link_is_named_where_it_has_a_name() -> None:
    said = caught_up("c", [seen(state(1, 1, link=replace(FAULTY, name="east")))]).message
    assert said == "rep1 (east): the last error of its replication: Duplicate entry (1062)"
