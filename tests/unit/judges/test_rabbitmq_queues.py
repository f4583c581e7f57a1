"""What is seen of queues: given these placements and depths, this verdict and reason."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.judges.base import Unanswered
from holdfast.judges.rabbitmq import queues as judges
from holdfast.judges.rabbitmq.seen import (
    Cluster,
    Depth,
    Depths,
    OwnCheck,
    Placement,
    Queues,
    Quorum,
    View,
)
from holdfast.model import Outcome, Verdict

EXPECTED = {"ctl1": "rabbit@ctl1", "ctl2": "rabbit@ctl2", "ctl3": "rabbit@ctl3"}
CAUSE = Unanswered("nobody answers")


def nodes(digits: str) -> frozenset[str]:
    return frozenset(f"rabbit@ctl{digit}" for digit in digits)


def quorum(
    members: str = "123",
    online: str = "123",
    leader: str = "1",
    count: int = 1,
    kind: str = "quorum",
) -> Placement:
    return Placement(
        type=kind,
        leader=f"rabbit@ctl{leader}" if leader else "",
        members=nodes(members),
        online=nodes(online),
        count=count,
        names=("orders",),
    )


UNSEEN = Placement(type="stream", leader="rabbit@ctl1", names=("log",))
CLASSIC = Placement(type="classic", leader="rabbit@ctl1", names=("plain",))


def listing(*placements: Placement, version: str = "3.10.8") -> Queues:
    return Queues(expected=EXPECTED, host="ctl1", version=version, placements=placements)


def said(verdict: Verdict) -> tuple[str, str]:
    return verdict.outcome.value, verdict.reason


WHOLE = [
    ("there are none", [CLASSIC], "PASS", "whole"),
    ("all are", [quorum(), quorum(kind="stream")], "PASS", "whole"),
    ("one member is enough if it is all", [quorum("2", "2", "2")], "PASS", "whole"),
    ("a member is away", [quorum(online="13")], "FAIL", "not_whole"),
    ("a stream's member is away", [quorum(online="13", kind="stream")], "FAIL", "not_whole"),
    ("no leader", [quorum(leader="")], "FAIL", "not_whole"),
    ("members not said", [quorum(), UNSEEN], "UNKNOWN", "members_unseen"),
    ("members not said, another not whole", [quorum(leader=""), UNSEEN], "FAIL", "not_whole"),
]


@pytest.mark.parametrize(
    ("placements", "outcome", "reason"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE]
)
def test_quorum_queues_whole(placements: list[Placement], outcome: str, reason: str) -> None:
    verdict = judges.quorum_queues_whole("c", [listing(*placements)])
    assert said(verdict) == (outcome, reason)


def test_quorum_queues_whole_tells_the_order_who_leads() -> None:
    seen = listing(quorum(leader="3", count=7), quorum(leader="1"), CLASSIC)
    verdict = judges.quorum_queues_whole("c", [seen])
    assert verdict.hosts == {"ctl1": {"leaders": 1}, "ctl2": {"leaders": 0}, "ctl3": {"leaders": 7}}


def test_quorum_queues_whole_names_queue_and_host() -> None:
    verdict = judges.quorum_queues_whole("c", [listing(quorum(online="13", count=9))])
    assert verdict.message == "member on ctl2 not online: orders and 8 more"


def test_quorum_queues_whole_names_an_absent_host_once() -> None:
    elsewhere = quorum("12", online="1", leader="1")
    verdict = judges.quorum_queues_whole("c", [listing(quorum(online="13"), elsewhere)])
    assert verdict.message == "member on ctl2 not online: orders, orders"


def around(
    *placements: Placement,
    running: str = "123",
    size: int = 3,
    own_check: OwnCheck | Unanswered | None = None,
    queues: Unanswered | None = None,
    silent: str = "",
) -> Quorum:
    """What is seen before ctl1 is taken: a healthy cluster of ``size``, but for what is given."""
    expected = {h: n for h, n in EXPECTED.items() if int(h[-1]) <= size}
    members = frozenset(expected.values())
    seen = View(node="any", members=members, running=nodes(running) & members)
    views: dict[str, Any] = {h: CAUSE if h[-1] in silent else seen for h in expected}
    return Quorum(
        expected=expected,
        host="ctl1",
        cluster=Cluster(expected=expected, views=views),
        queues=queues or listing(*placements),
        own_check=own_check or OwnCheck(passed=True),
    )


CRITICAL = OwnCheck(passed=False, critical=("queue 'orders' in vhost '/'",))
WITHOUT = [
    ("three of three", around(quorum()), "PASS", "holds"),
    ("no queues", around(), "PASS", "holds"),
    ("its only member", around(quorum("1", "1")), "FAIL", "majority_would_be_lost"),
    ("two members", around(quorum("12", "12")), "FAIL", "majority_would_be_lost"),
    ("a member elsewhere is away", around(quorum(online="12")), "FAIL", "majority_would_be_lost"),
    ("the same of a stream", around(quorum(online="12", kind="stream")), "FAIL", "majority_would_be_lost"),
    ("not a member of it", around(quorum("2", "2", "2")), "PASS", "holds"),
    ("already away itself", around(quorum(online="23")), "PASS", "holds"),
    ("a node is down already", around(quorum(), running="12"), "FAIL", "majority_would_be_lost"),
    ("a cluster of two", around(size=2), "FAIL", "majority_would_be_lost"),
    ("a cluster of one", around(size=1), "FAIL", "majority_would_be_lost"),
    ("the broker says no", around(quorum(), own_check=CRITICAL), "FAIL", "majority_would_be_lost"),
    ("the broker does not say", around(quorum(), own_check=CAUSE), "UNKNOWN", "unanswered"),
    ("queues not listed", around(queues=CAUSE), "UNKNOWN", "unanswered"),
    ("a peer gives no answer", around(quorum(), silent="2"), "UNKNOWN", "unanswered"),
    ("members not said", around(UNSEEN), "UNKNOWN", "unanswered"),
    ("a sure loss beside an unknown", around(quorum("1", "1"), own_check=CAUSE), "FAIL", "majority_would_be_lost"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"), [row[1:] for row in WITHOUT], ids=[row[0] for row in WITHOUT]
)
def test_quorum_holds_without(seen: Quorum, outcome: str, reason: str) -> None:
    assert said(judges.quorum_holds_without("c", [seen])) == (outcome, reason)


ACCEPTED = [
    ("a loss", around(size=2), "PASS", "accepted"),
    ("nothing to lose", around(quorum()), "PASS", "holds"),
    ("never an unknown", around(own_check=CAUSE), "UNKNOWN", "unanswered"),
    ("never a loss beside an unknown", around(size=2, own_check=CAUSE), "FAIL", "majority_would_be_lost"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_a_person_may_accept_a_loss_but_nothing_unknown(
    seen: Quorum, outcome: str, reason: str
) -> None:
    verdict = judges.quorum_holds_without("c", [seen], accepted="two nodes, window agreed")
    assert said(verdict) == (outcome, reason)


def test_an_accepted_loss_is_recorded_with_its_reason() -> None:
    verdict = judges.quorum_holds_without("c", [around(size=2)], accepted="window agreed")
    assert verdict.evidence["accepted"] == "window agreed"
    assert verdict.evidence["losses"] == ["1 of 2 nodes left, no majority"]


def mirrored(mirrors: int | None, synchronised: int | None) -> Placement:
    return Placement(type="classic", mirrors=mirrors, synchronised=synchronised, names=("mail",))


VAGUE = Placement(type="classic", described=False, names=("young",))
MIRRORS = [
    ("none mirrored", listing(CLASSIC), "PASS", "in_sync"),
    ("all in sync", listing(mirrored(2, 2)), "PASS", "in_sync"),
    ("one is behind", listing(mirrored(2, 1)), "FAIL", "not_in_sync"),
    ("no mirror is left", listing(mirrored(0, 0)), "FAIL", "not_in_sync"),
    ("not described yet", listing(mirrored(2, 2), VAGUE), "UNKNOWN", "not_described"),
    ("4.x has none", listing(VAGUE, version="4.0.5"), "PASS", "not_applicable"),
    ("10.x has none", listing(version="10.0"), "PASS", "not_applicable"),
    ("version not said", listing(version=""), "UNKNOWN", "version_unknown"),
]


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"), [row[1:] for row in MIRRORS], ids=[row[0] for row in MIRRORS]
)
def test_mirrors_in_sync(seen: Queues, outcome: str, reason: str) -> None:
    assert said(judges.mirrors_in_sync("c", [seen])) == (outcome, reason)


def depths(at: float = 0.0, wanted: int = 2, **queues: Depth) -> Depths:
    names = dict.fromkeys(queues or ("conductor",), wanted)
    return Depths(expected=EXPECTED, host="ctl1", vhost="/", at=at, wanted=names, queues=queues)


CONSUMED = [
    ("enough", depths(conductor=Depth(consumers=3)), "PASS", "consumed"),
    ("too few", depths(conductor=Depth(consumers=1)), "FAIL", "too_few_consumers"),
    ("no such queue", depths(), "FAIL", "too_few_consumers"),
    ("not counted yet", depths(conductor=Depth()), "UNKNOWN", "not_counted"),
    (
        "one not counted, another too few",
        depths(conductor=Depth(), scheduler=Depth(consumers=0)),
        "FAIL",
        "too_few_consumers",
    ),
]


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"), [row[1:] for row in CONSUMED], ids=[row[0] for row in CONSUMED]
)
def test_consumers_expected(seen: Depths, outcome: str, reason: str) -> None:
    assert said(judges.consumers_expected("c", [seen])) == (outcome, reason)


def test_consumers_that_are_there_are_the_evidence_for_a_baseline() -> None:
    seen = depths(
        conductor=Depth(consumers=8), scheduler=Depth(consumers=1), idle=Depth(consumers=0)
    )
    verdict = judges.consumers_known("c", [seen])
    assert said(verdict) == ("PASS", "known")
    assert verdict.evidence == {
        "consumers": {"conductor": 2, "scheduler": 1},  # no more than wanted
        "missing": ["scheduler", "idle"],
    }


def test_a_queue_that_is_missing_already_is_said_and_not_waited_for() -> None:
    verdict = judges.consumers_known("c", [depths()])
    assert said(verdict) == ("PASS", "known")
    assert verdict.message == "0 of 1 queues have their consumers; missing already: conductor"


def test_consumers_that_are_not_counted_yet_are_no_baseline() -> None:
    assert said(judges.consumers_known("c", [depths(conductor=Depth())])) == (
        "UNKNOWN",
        "not_counted",
    )


def ready(*samples: tuple[float, int | None]) -> list[Depths | Unanswered]:
    """One queue's waiting messages at these times."""
    return [depths(at=at, conductor=Depth(ready=count)) for at, count in samples]


BACKLOG = [
    ("one sample", ready((0, 5)), "UNKNOWN", "too_few_samples"),
    ("three, too close", ready((0, 1), (1, 2), (2, 3)), "UNKNOWN", "too_few_samples"),
    ("it grows", ready((0, 1), (5, 2), (10, 3)), "FAIL", "growing"),
    ("it stands", ready((0, 3), (5, 3), (10, 3)), "PASS", "not_growing"),
    ("a burst", ready((0, 1), (5, 9), (10, 2)), "PASS", "not_growing"),
    ("it grew once", ready((0, 1), (5, 2), (10, 2)), "PASS", "not_growing"),
    ("samples between are passed over", ready((0, 1), (3, 9), (5, 2), (8, 0), (10, 3)), "FAIL", "growing"),
    ("the newest three count", ready((0, 9), (5, 1), (10, 2), (15, 3)), "FAIL", "growing"),
    ("not counted", ready((0, 1), (5, None), (10, 3)), "UNKNOWN", "not_counted"),
    ("the last look failed", [*ready((0, 1), (5, 1), (10, 1)), CAUSE], "UNKNOWN", "unanswered"),
    ("a failed look between", [*ready((0, 1), (5, 2)), CAUSE, *ready((10, 3))], "FAIL", "growing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("history", "outcome", "reason"), [row[1:] for row in BACKLOG], ids=[row[0] for row in BACKLOG]
)
def test_queues_drain(history: list[Depths | Unanswered], outcome: str, reason: str) -> None:
    assert said(judges.queues_drain("c", history, 5.0)) == (outcome, reason)


@pytest.mark.parametrize(
    "verdict",
    [
        judges.quorum_queues_whole("c", [CAUSE]),
        judges.quorum_holds_without("c", [CAUSE], "accepted all the same"),
        judges.mirrors_in_sync("c", [CAUSE]),
        judges.consumers_expected("c", [CAUSE]),
        judges.consumers_known("c", [CAUSE]),
        judges.queues_drain("c", [CAUSE], 5.0),
    ],
)
def test_what_could_not_be_looked_at_is_unknown(verdict: Verdict) -> None:
    assert verdict.outcome is Outcome.UNKNOWN
