"""What brokers carry: room on each, and UNKNOWN where it is not reported."""

from __future__ import annotations

import pytest

from holdfast.evidence import BACKLOG
from holdfast.judges.rabbitmq.load import (
    backlog_at_baseline,
    backlog_known,
    backlog_steady,
    has_room,
)
from holdfast.model import Verdict
from holdfast.observations.rabbitmq import BrokerLoad, Room

GIB = 2**30
WELL = {"memory": Room(used=GIB, limit=4 * GIB), "disk": Room(used=1, limit=GIB)}


def judged(rooms: dict[str, dict[str, Room]], stopped: tuple[str, ...] = ()) -> Verdict:
    nodes = {host: f"rabbit@{host}" for host in (*rooms, *stopped)}
    load = BrokerLoad(
        expected=nodes, host="ctl1", rooms=rooms, stopped=stopped, reply_queues=0, unread=0, unread_replies=0
    )  # fmt: skip
    return has_room("rabbitmq.has_room", load, 0.9)


def test_brokers_with_room_pass_and_their_shares_are_named() -> None:
    verdict = judged({"ctl1": WELL, "ctl2": WELL})
    assert verdict.passed
    assert verdict.message == "2 brokers have room; used at most: memory 25 %, disk 0 %"


@pytest.mark.parametrize(
    ("resource", "room", "said"),
    [
        ("memory", Room(used=37 * GIB, limit=40 * GIB), "ctl2: uses 37.00 GiB of memory, and from 40.00 GiB on"),
        ("disk", Room(used=GIB, limit=GIB), "ctl2: 1.00 GiB of disk free, and below 1.00 GiB it blocks"),
        ("descriptors", Room(used=940, limit=1024), "ctl2: uses 940 of 1024 descriptors"),
        ("sockets", Room(used=900, limit=1000), "ctl2: uses 900 of 1000 sockets"),
    ],
)  # fmt: skip
def test_one_that_is_short_fails_with_its_figures(resource: str, room: Room, said: str) -> None:
    verdict = judged({"ctl1": WELL, "ctl2": WELL | {resource: room}})
    assert (verdict.outcome, verdict.reason) == ("FAIL", "little_room")
    assert said in verdict.message


def test_what_is_not_reported_is_unknown() -> None:
    assert judged({"ctl1": WELL, "ctl2": {"disk": WELL["disk"]}}).reason == "not_reported"
    assert judged({"ctl1": WELL}, stopped=("ctl2",)).message == "ctl2 is not running"
    assert judged({}).outcome == "UNKNOWN"


def backlog(*samples: tuple[int | None, int, int]) -> Verdict:
    history = [
        BrokerLoad(
            expected={}, host="ctl1", at=5.0 * number, rooms={}, ready=ready, unacknowledged=unacknowledged,
            reply_queues=1, unread=1, unread_replies=unread,
        )
        for number, (ready, unacknowledged, unread) in enumerate(samples)
    ]  # fmt: skip
    return backlog_steady("rabbitmq.backlog_steady", history, 5.0, 20)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([(0, 0, 0), (30, 0, 0), (60, 0, 0)], "waiting: 0 -> 30 -> 60"),
        ([(0, 0, 0), (0, 15, 0), (0, 30, 0)], "unacknowledged: 0 -> 15 -> 30"),
        ([(0, 0, 5), (0, 0, 25), (0, 0, 45)], "unread replies: 5 -> 25 -> 45"),
    ],
)
def test_messages_that_pile_up_fail(samples: list[tuple[int, int, int]], said: str) -> None:
    assert backlog(*samples).message == f"messages pile up, {said}"


def test_a_burst_and_a_backlog_that_shrinks_pass() -> None:
    assert backlog((0, 0, 0), (500, 0, 0), (20, 0, 0)).passed
    assert backlog((0, 0, 0), (9, 0, 0), (19, 0, 0)).passed


def test_samples_that_are_few_or_not_counted_are_unknown() -> None:
    assert backlog((0, 0, 0), (0, 0, 0)).reason == "too_few_samples"
    assert backlog((0, 0, 0), (0, 0, 0), (None, 0, 0)).reason == "not_counted"


def carried(
    ready: int | None = 0, unacknowledged: int | None = 0, unread: int | None = 0
) -> BrokerLoad:
    return BrokerLoad(
        expected={"ctl1": "rabbit@ctl1"}, host="ctl1", rooms={}, reply_queues=1,
        ready=ready, unacknowledged=unacknowledged, unread_replies=unread,
    )  # fmt: skip


def compared(load: BrokerLoad, **before: int) -> Verdict:
    baseline = {name.replace("_", " "): count for name, count in before.items()}
    return backlog_at_baseline("rabbitmq.backlog_at_baseline", load, baseline, 1.0, 500)


def test_a_backlog_that_no_longer_grows_fails_against_the_baseline() -> None:
    """As many samples as one likes are steady, and nobody takes the messages."""
    assert backlog((900, 0, 0), (900, 0, 0), (900, 0, 0)).passed
    verdict = compared(carried(900), waiting=12)
    assert (verdict.outcome, verdict.reason) == ("FAIL", "piled_up")
    said = "900 waiting, before the first restart 12 (up to 512 are expected)"
    assert verdict.message == f"messages have piled up: {said}"
    assert compared(carried(unread=501), unread_replies=0).reason == "piled_up"
    assert compared(carried(unacknowledged=501), unacknowledged=0).reason == "piled_up"


def test_up_to_twice_as_many_as_before_are_expected_of_a_large_site() -> None:
    assert compared(carried(1999), waiting=1000).passed
    assert not compared(carried(2001), waiting=1000).passed


def test_what_was_counted_before_and_is_not_now_is_unknown_and_the_other_way_round_is_left_out() -> (
    None
):
    verdict = compared(carried(None), waiting=0, unacknowledged=0)
    assert (verdict.outcome, verdict.message) == ("UNKNOWN", "ctl1 does not count waiting messages")
    assert compared(carried(99_999), unacknowledged=0).passed


def test_the_figures_of_a_baseline_are_those_that_are_counted() -> None:
    verdict = backlog_known("rabbitmq.backlog_known", carried(3, None, 1))
    assert verdict.passed
    assert verdict.evidence[BACKLOG] == {"waiting": 3, "unread replies": 1}
    nothing = backlog_known("rabbitmq.backlog_known", carried(None, None, None))
    assert (nothing.evidence[BACKLOG], "nothing is counted" in nothing.message) == ({}, True)


@pytest.mark.parametrize("changed", [{"expected": {}}, {"reply_queues": None}])
def test_where_messages_were_not_asked_for_nothing_passes(changed: dict[str, None]) -> None:
    asked = carried().model_copy(update=changed)
    assert backlog_known("c", asked).outcome == "UNKNOWN"
    assert compared(asked, waiting=9).outcome == "UNKNOWN"
