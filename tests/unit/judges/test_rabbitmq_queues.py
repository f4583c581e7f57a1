"""The verdict on where queues are: quorum queues whole, majorities kept, mirrors in sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.evidence import QUEUE
from holdfast.judges.rabbitmq.queues import (
    consumers_expected,
    consumers_known,
    members_caught_up,
    mirrors_in_sync,
    queues_drain,
    quorum_queues_whole,
)
from holdfast.judges.rabbitmq.quorum import quorum_holds_without
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.rabbitmq import (
    ClusterViews,
    MemberLag,
    NodeView,
    QueueDepth,
    QueueDepths,
    QueueId,
    QueuePlacement,
    QueuePlacements,
    QuorumState,
)
from tests.unit.judges.verdicts import cases, outcome_and_reason

EXPECTED = {"ctl1": "rabbit@ctl1", "ctl2": "rabbit@ctl2", "ctl3": "rabbit@ctl3"}
CAUSE = Unanswered("no broker answers")


def nodes(digits: str) -> frozenset[str]:
    return frozenset(f"rabbit@ctl{digit}" for digit in digits)


def quorum(
    members: str = "123",
    online: str = "123",
    leader: str = "1",
    count: int = 1,
    kind: str = "quorum",
) -> QueuePlacement:
    return QueuePlacement(
        type=kind,
        leader=f"rabbit@ctl{leader}" if leader else "",
        members=nodes(members),
        online=nodes(online),
        count=count,
        names=("orders",),
    )


UNREPORTED = QueuePlacement(type="stream", leader="rabbit@ctl1", names=("log",))
NO_MEMBERS = UNREPORTED.model_copy(update={"online": nodes("23")})
NO_ONLINE = UNREPORTED.model_copy(update={"members": nodes("123")})
CLASSIC = QueuePlacement(type="classic", leader="rabbit@ctl1", names=("plain",))


def listing(*placements: QueuePlacement, version: str = "3.10.8") -> QueuePlacements:
    return QueuePlacements(expected=EXPECTED, host="ctl1", version=version, placements=placements)


WHOLE = [
    ("there are none", [CLASSIC], "PASS", "whole"),
    ("all are", [quorum(), quorum(kind="stream")], "PASS", "whole"),
    ("one member is enough if it is all", [quorum("2", "2", "2")], "PASS", "whole"),
    ("a member is offline", [quorum(online="13")], "FAIL", "not_whole"),
    ("a stream's member is offline", [quorum(online="13", kind="stream")], "FAIL", "not_whole"),
    ("no leader", [quorum(leader="")], "FAIL", "not_whole"),
    ("members not reported", [quorum(), UNREPORTED], "UNKNOWN", "members_unseen"),
    ("members alone reported", [quorum(), NO_ONLINE], "UNKNOWN", "members_unseen"),
    ("those online alone reported", [quorum(), NO_MEMBERS], "UNKNOWN", "members_unseen"),
    ("members not reported, another not whole", [quorum(leader=""), UNREPORTED], "FAIL", "not_whole"),
]  # fmt: skip


@pytest.mark.parametrize(("placements", "outcome", "reason"), cases(WHOLE))
def test_quorum_queues_whole(placements: list[QueuePlacement], outcome: str, reason: str) -> None:
    verdict = quorum_queues_whole("c", listing(*placements))
    assert outcome_and_reason(verdict) == (outcome, reason)


@pytest.mark.parametrize("found", [quorum(online="13"), quorum(leader="")])
def test_a_quorum_queue_at_fault_is_named_for_the_command_that_shows_it(
    found: QueuePlacement,
) -> None:
    stream = found.model_copy(update={"type": "stream", "names": ("log",)})
    verdict = quorum_queues_whole("c", listing(quorum(), stream, found))
    assert verdict.evidence[QUEUE] == "orders"
    assert QUEUE not in quorum_queues_whole("c", listing(quorum(), stream)).evidence


MAINTAINED = [
    ("its members are left out", [quorum(online="13")], "PASS", "queues"),
    ("its own queues are another claim's", [quorum("2", "2", "2")], "PASS", "queues"),
    ("it still leads", [quorum(leader="2")], "FAIL", "no leader: orders"),
    ("another is offline too", [quorum(online="1")], "FAIL", "member on ctl3 not online: orders"),
]


@pytest.mark.parametrize(("placements", "outcome", "said"), cases(MAINTAINED))
def test_a_node_in_maintenance_is_left_out(
    placements: list[QueuePlacement], outcome: str, said: str
) -> None:
    verdict = quorum_queues_whole("c", listing(*placements), without="ctl2")
    assert verdict.outcome == outcome
    assert said in verdict.message


def test_the_members_that_are_offline_are_named_in_order() -> None:
    queue = quorum("123456789", online="1").model_copy(update={"leader": "rabbit@ctl1"})
    message = quorum_queues_whole("c", listing(queue)).message
    others = ", ".join(f"rabbit@ctl{digit}" for digit in "456789")
    assert message == f"member on ctl2, ctl3, {others} not online: orders"


def test_quorum_queues_whole_counts_leaders_per_host() -> None:
    observed = listing(quorum(leader="3", count=7), quorum(leader="1"), CLASSIC)
    verdict = quorum_queues_whole("c", observed)
    assert verdict.hosts == {"ctl1": {"leaders": 1}, "ctl2": {"leaders": 0}, "ctl3": {"leaders": 7}}


def test_quorum_queues_whole_names_queue_and_host() -> None:
    verdict = quorum_queues_whole("c", listing(quorum(online="13", count=9)))
    assert verdict.message == "member on ctl2 not online: orders and 8 more"


def test_quorum_queues_whole_names_an_absent_host_once() -> None:
    elsewhere = quorum("12", online="1", leader="1")
    verdict = quorum_queues_whole("c", listing(quorum(online="13"), elsewhere))
    assert verdict.message == "member on ctl2 not online: orders, orders"


def state_without(
    *placements: QueuePlacement,
    running: str = "123",
    size: int = 3,
    critical: tuple[str, ...] | Unanswered = (),
    queues: Unanswered | None = None,
    silent: str = "",
) -> QuorumState:
    """Return the state without ctl1: a healthy cluster of ``size``, but for what is given."""
    expected = {h: n for h, n in EXPECTED.items() if int(h[-1]) <= size}
    members = frozenset(expected.values())
    view = NodeView(members=members, running=nodes(running) & members)
    views: dict[str, Any] = {h: CAUSE if h[-1] in silent else view for h in expected}
    return QuorumState(
        host="ctl1",
        cluster=ClusterViews(expected=expected, views=views),
        queues=queues or listing(*placements),
        critical=critical,
    )


CRITICAL = ("queue 'orders' in vhost '/'",)
WITHOUT = [
    ("three of three", state_without(quorum()), "PASS", "holds"),
    ("no queues", state_without(), "PASS", "holds"),
    ("its only member", state_without(quorum("1", "1")), "FAIL", "majority_would_be_lost"),
    ("two members", state_without(quorum("12", "12")), "FAIL", "majority_would_be_lost"),
    ("a member elsewhere is offline", state_without(quorum(online="12")), "FAIL", "majority_would_be_lost"),
    ("the same of a stream", state_without(quorum(online="12", kind="stream")), "FAIL", "majority_would_be_lost"),
    ("not a member of it", state_without(quorum("2", "2", "2")), "PASS", "holds"),
    ("not a member, and no majority is left", state_without(quorum("23", "2", "2")), "PASS", "holds"),
    ("already offline itself", state_without(quorum(online="23")), "PASS", "holds"),
    ("a node is down already", state_without(quorum(), running="12"), "FAIL", "majority_would_be_lost"),
    ("a cluster of two", state_without(size=2), "FAIL", "majority_would_be_lost"),
    ("a cluster of one", state_without(size=1), "FAIL", "majority_would_be_lost"),
    ("the broker's check fails", state_without(quorum(), critical=CRITICAL), "FAIL", "majority_would_be_lost"),
    ("the broker does not answer", state_without(quorum(), critical=CAUSE), "UNKNOWN", "unanswered"),
    ("queues not listed", state_without(queues=CAUSE), "UNKNOWN", "unanswered"),
    ("a peer gives no answer", state_without(quorum(), silent="2"), "UNKNOWN", "unanswered"),
    ("members not reported", state_without(UNREPORTED), "UNKNOWN", "unanswered"),
    ("members alone reported", state_without(NO_ONLINE), "UNKNOWN", "unanswered"),
    ("those online alone reported", state_without(NO_MEMBERS), "UNKNOWN", "unanswered"),
    ("a classic queue needs no majority", state_without(CLASSIC), "PASS", "holds"),
    ("a loss beside an unknown", state_without(quorum("1", "1"), critical=CAUSE), "FAIL", "majority_would_be_lost"),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "outcome", "reason"), cases(WITHOUT))
def test_quorum_holds_without(observed: QuorumState, outcome: str, reason: str) -> None:
    assert outcome_and_reason(quorum_holds_without("c", observed)) == (outcome, reason)


ACCEPTED = [
    ("a loss", state_without(size=2), "PASS", "accepted"),
    ("nothing to lose", state_without(quorum()), "PASS", "holds"),
    ("never an unknown", state_without(critical=CAUSE), "UNKNOWN", "unanswered"),
    ("never a loss beside an unknown", state_without(size=2, critical=CAUSE), "FAIL", "majority_would_be_lost"),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "outcome", "reason"), cases(ACCEPTED))
def test_a_person_may_accept_a_loss_but_not_an_unknown(
    observed: QuorumState, outcome: str, reason: str
) -> None:
    verdict = quorum_holds_without("c", observed, accepted="two nodes, window agreed")
    assert outcome_and_reason(verdict) == (outcome, reason)


def test_an_accepted_loss_is_recorded_with_its_reason() -> None:
    verdict = quorum_holds_without("c", state_without(size=2), accepted="window agreed")
    assert verdict.evidence["accepted"] == "window agreed"
    assert verdict.evidence["losses"] == ["1 of 2 nodes left, no majority"]


def test_of_many_queues_that_the_broker_names_five_are_told() -> None:
    many = tuple(f"q{number}" for number in range(7))
    message = quorum_holds_without("c", state_without(critical=many)).message
    assert message.endswith("names as critical: q0, q1, q2, q3, q4 and 2 more")


def mirrored(mirrors: int, synchronised: int) -> QueuePlacement:
    return QueuePlacement(
        type="classic", mirrors=mirrors, synchronised=synchronised, names=("mail",)
    )


UNDESCRIBED = QueuePlacement(type="classic", described=False, names=("young",))
MIRRORS = [
    ("none mirrored", listing(CLASSIC), "PASS", "in_sync"),
    ("all in sync", listing(mirrored(2, 2)), "PASS", "in_sync"),
    ("one is behind", listing(mirrored(2, 1)), "FAIL", "not_in_sync"),
    ("the only one is behind", listing(mirrored(1, 0)), "FAIL", "not_in_sync"),
    ("no mirror is left", listing(mirrored(0, 0)), "FAIL", "not_in_sync"),
    ("not described yet", listing(mirrored(2, 2), UNDESCRIBED), "UNKNOWN", "not_described"),
    ("4.x has none", listing(UNDESCRIBED, version="4.0.5"), "PASS", "not_applicable"),
    ("10.x has none", listing(version="10.0"), "PASS", "not_applicable"),
    ("version not reported", listing(version=""), "UNKNOWN", "version_unknown"),
]


@pytest.mark.parametrize(("observed", "outcome", "reason"), cases(MIRRORS))
def test_mirrors_in_sync(observed: QueuePlacements, outcome: str, reason: str) -> None:
    assert outcome_and_reason(mirrors_in_sync("c", observed)) == (outcome, reason)


def test_the_mirrors_that_are_in_sync_are_counted() -> None:
    assert mirrors_in_sync("c", listing(mirrored(2, 1))).message == "mail: 1 of 2 mirrors in sync"


def depths(at: float = 0.0, wanted: int = 2, **queues: QueueDepth) -> QueueDepths:
    names = {QueueId("/", name): wanted for name in queues or ("conductor",)}
    found = {QueueId("/", name): depth for name, depth in queues.items()}
    return QueueDepths(host="ctl1", at=at, vhosts=frozenset("/"), wanted=names, queues=found)


NONE = QueueDepth(consumers=0)
CONSUMED = [
    ("more than enough", depths(conductor=QueueDepth(consumers=3)), "PASS", "consumed"),
    ("just enough", depths(conductor=QueueDepth(consumers=2)), "PASS", "consumed"),
    ("too few", depths(conductor=QueueDepth(consumers=1)), "FAIL", "too_few_consumers"),
    ("no such queue", depths(), "FAIL", "too_few_consumers"),
    ("not counted yet", depths(conductor=QueueDepth()), "UNKNOWN", "not_counted"),
    ("one is not counted, one short", depths(conductor=QueueDepth(), scheduler=NONE), "FAIL", "too_few_consumers"),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "outcome", "reason"), cases(CONSUMED))
def test_consumers_expected(observed: QueueDepths, outcome: str, reason: str) -> None:
    assert outcome_and_reason(consumers_expected("c", observed)) == (outcome, reason)


def test_present_consumers_are_the_evidence_for_a_baseline() -> None:
    observed = depths(
        conductor=QueueDepth(consumers=8),
        scheduler=QueueDepth(consumers=1),
        idle=NONE,
    )
    verdict = consumers_known("c", observed)
    assert outcome_and_reason(verdict) == ("PASS", "known")
    assert verdict.evidence == {
        "consumers": {"/": {"conductor": 2, "scheduler": 1}},  # no more than wanted
        "missing": ["scheduler", "idle"],
    }


def test_a_queue_that_is_missing_already_is_reported_and_passes() -> None:
    observed = depths(conductor=QueueDepth(consumers=2))
    wanted = {**observed.wanted, QueueId("/cell2", "compute.cmp9"): 1}
    verdict = consumers_known("c", observed.model_copy(update={"wanted": wanted}))
    assert outcome_and_reason(verdict) == ("PASS", "known")
    assert verdict.message == (
        "1 of 2 queues have their consumers; missing already:"
        " compute.cmp9: the broker has no virtual host /cell2"
    )


@pytest.mark.parametrize("observed", [depths(), depths(conductor=NONE, scheduler=NONE)])
def test_no_consumer_at_all_is_no_baseline(observed: QueueDepths) -> None:
    """The queues may be in another virtual host; with an empty baseline nothing would be compared ever after."""
    verdict = consumers_known("c", observed)
    assert outcome_and_reason(verdict) == ("UNKNOWN", "no_consumers")
    assert "has a consumer (" in verdict.message
    assert "conductor" in verdict.message
    assert "rabbitmq_consumers_vhost" in verdict.message


NAMELESS = depths().model_copy(update={"wanted": {}})
UNCOUNTED = depths(conductor=QueueDepth())
SAMPLED = [UNCOUNTED.model_copy(update={"at": at}) for at in (0, 5, 10)]
NONE_NAMED = [NAMELESS.model_copy(update={"at": at}) for at in (0, 5, 10)]


@pytest.mark.parametrize(
    ("verdict", "reason", "said"),
    [
        (lambda: consumers_known("c", UNCOUNTED), "not_counted", "consumers yet of: conductor"),
        (lambda: consumers_known("c", NAMELESS), "no_consumers", "a consumer (none is named)"),
        (lambda: consumers_expected("c", NAMELESS), "not_counted", "no queue was named"),
        (lambda: consumers_expected("c", UNCOUNTED), "not_counted", "consumers yet of: conductor"),
        (lambda: queues_drain("c", NONE_NAMED, 5), "not_counted", "no queue was named"),
        (lambda: queues_drain("c", SAMPLED, 5), "not_counted", "messages yet of: conductor"),
    ],
)
def test_what_is_not_counted_is_unknown(
    verdict: Callable[[], Verdict], reason: str, said: str
) -> None:
    judged = verdict()
    assert outcome_and_reason(judged) == ("UNKNOWN", reason)
    assert said in judged.message


def ready(*samples: tuple[float, int | None]) -> list[QueueDepths]:
    """Return samples of one queue: its waiting messages at these times."""
    return [depths(at=at, conductor=QueueDepth(ready=count)) for at, count in samples]


BACKLOG = [
    ("one sample", ready((0, 5)), "UNKNOWN", "too_few_samples"),
    ("three, too close", ready((0, 1), (1, 2), (2, 3)), "UNKNOWN", "too_few_samples"),
    ("it grows", ready((0, 1), (5, 2), (10, 3)), "FAIL", "growing"),
    ("it does not change", ready((0, 3), (5, 3), (10, 3)), "PASS", "not_growing"),
    ("a burst", ready((0, 1), (5, 9), (10, 2)), "PASS", "not_growing"),
    ("it grew once", ready((0, 1), (5, 2), (10, 2)), "PASS", "not_growing"),
    ("samples too close are skipped", ready((0, 1), (3, 9), (5, 2), (8, 0), (10, 3)), "FAIL", "growing"),
    ("the newest three count", ready((0, 9), (5, 1), (10, 2), (15, 3)), "FAIL", "growing"),
    ("no such queue", [depths(at=at) for at in (0, 5, 10)], "UNKNOWN", "not_counted"),
    ("not counted", ready((0, 1), (5, None), (10, 3)), "UNKNOWN", "not_counted"),
    ("not counted at first", ready((0, None), (5, 1), (10, 2)), "UNKNOWN", "not_counted"),
    ("not counted any more", ready((0, 1), (5, 2), (10, None)), "UNKNOWN", "not_counted"),
    ("from none", ready((0, 0), (5, 1), (10, 2)), "FAIL", "growing"),
]  # fmt: skip


@pytest.mark.parametrize(("history", "outcome", "reason"), cases(BACKLOG))
def test_queues_drain(history: list[QueueDepths], outcome: str, reason: str) -> None:
    assert outcome_and_reason(queues_drain("c", history, 5.0)) == (outcome, reason)


def lag(at: float = 0, behind: int = 0, tick: float = 5, members: int = 3) -> MemberLag:
    examples: dict[str, int | None] = {"orders": 502, "mail": None} if behind else {}
    return MemberLag(
        host="ctl3", at=at, tick_seconds=tick, members=members, behind=behind, examples=examples
    )


@pytest.mark.parametrize(
    ("history", "outcome", "reason"),
    [
        # The indexes are up to 5 s old: the first reading may not see what was written last.
        ([lag(0)], Outcome.UNKNOWN, "too_few_samples"),
        ([lag(100), lag(104.9)], Outcome.UNKNOWN, "too_few_samples"),
        ([lag(0), lag(5)], Outcome.PASS, "caught_up"),
        ([lag(0, behind=2)], Outcome.FAIL, "behind"),
        ([lag(0), lag(9, behind=2)], Outcome.FAIL, "behind"),
        ([lag(0, behind=2), lag(9)], Outcome.PASS, "caught_up"),
        ([lag(0, members=0)], Outcome.PASS, "caught_up"),
        ([lag(0, tick=60), lag(99, tick=60)], Outcome.UNKNOWN, "seldom_reported"),
        ([lag(0, tick=5.5), lag(6, tick=5.5)], Outcome.PASS, "caught_up"),
    ],
)
def test_members_caught_up(history: list[MemberLag], outcome: Outcome, reason: str) -> None:
    assert outcome_and_reason(members_caught_up("c", history)) == (outcome, reason)


def test_members_that_are_behind_are_named() -> None:
    message = members_caught_up("c", [lag(behind=2)]).message
    assert message == "2 of 3 members on ctl3 are behind: orders: 502 entries; mail: no index yet"
