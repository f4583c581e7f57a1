"""Each server is asked for once and deleted once; each failure is seen; nothing of somebody else's is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from threading import Event

import pytest

from holdfast.boots.boot_loop import DELETE_SECONDS, BootLoop
from holdfast.boots.model import FailureKind, name_of
from holdfast.boots.nova import MARK
from tests.unit.boots.boots_harness import TEST, MovedClock, loop, three_each
from tests.unit.probes.fake_nova import FakeNova, running_nova
from tests.unit.probes.fake_servers import FakeServers


@pytest.fixture
def nova() -> Iterator[FakeNova]:
    with running_nova() as nova:
        yield nova


def outcomes(found: BootLoop) -> dict[str, int]:
    ends = [each.outcome for each in found.boots()]
    return {end: ends.count(end) for end in dict.fromkeys(ends)}


def test_every_server_is_asked_for_once_becomes_active_and_is_deleted_once(nova: FakeNova) -> None:
    kept = FakeServers(nova)
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp1", "cmp2", "cmp3"))
    assert outcomes(found) == {"active": 9}
    assert sorted(kept.asked) == sorted(
        name_of(TEST, host, number) for host in kept.computes for number in (1, 2, 3)
    )
    assert len(kept.servers) == 9
    assert found.clean_up() == []
    assert kept.servers == {}
    assert len(kept.deletions) == len(set(kept.deletions)) == 9


def test_a_failure_has_its_kind_and_its_fault_and_is_not_tried_again(nova: FakeNova) -> None:
    bad = name_of(TEST, "cmp2", 2)
    fault = {"message": "(1213, 'Deadlock found when trying to get lock')"}
    kept = FakeServers(
        nova, fate=lambda name: ("ERROR", fault) if name == bad else ("ACTIVE", None)
    )
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp1", "cmp2"))
    [failed] = [each for each in found.boots() if each.outcome == "failed"]
    assert (failed.host, failed.number, failed.kind) == ("cmp2", 2, FailureKind.DEADLOCK)
    assert failed.fault == fault["message"]
    assert len(kept.asked) == 6
    assert found.clean_up() == []
    assert kept.servers == {}


def test_an_error_without_a_fault_is_a_failure_all_the_same(nova: FakeNova) -> None:
    FakeServers(nova, fate=lambda _: ("ERROR", None))
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp1"))
    assert {(each.kind, each.fault) for each in found.boots()} == {
        (FailureKind.OTHER, "nova gives no fault")
    }


def test_the_fault_of_a_server_without_a_host_is_found_though_no_list_has_it(
    nova: FakeNova,
) -> None:
    fault = {"message": "No valid host was found. There are not enough hosts available."}
    FakeServers(nova, fate=lambda _: ("ERROR", fault))
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp1"))
    assert {(each.kind, each.fault) for each in found.boots()} == {
        (FailureKind.NO_VALID_HOST, fault["message"])
    }
    one_by_one = [
        each.path for each in nova.requests if re.search("servers/[0-9a-f]{8}", each.path)
    ]
    assert len(one_by_one) == len(set(one_by_one)) == 3
    assert found.clean_up() == []


def test_a_refused_request_is_a_failure_with_novas_words(nova: FakeNova) -> None:
    said = {"forbidden": {"code": 403, "message": "Quota exceeded for instances: Requested 1"}}
    kept = FakeServers(nova, refuses=lambda name: (403, said) if "cmp1" in name else None)
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp1", "cmp2"))
    assert outcomes(found) == {"failed": 3, "active": 3}
    failed = [each for each in found.boots() if each.outcome == "failed"]
    assert {each.kind for each in failed} == {FailureKind.QUOTA}
    assert "answered 403: Quota exceeded for instances" in failed[0].fault
    assert len(kept.asked) == 6


def test_a_server_whose_request_was_not_answered_is_found_by_its_name(nova: FakeNova) -> None:
    kept = FakeServers(nova, unanswered=lambda name: "cmp1" in name)
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp1"))
    assert outcomes(found) == {"active": 3}
    assert len(kept.asked) == 3
    assert found.clean_up() == []
    assert kept.servers == {}


def test_a_request_without_an_answer_and_without_a_server_is_not_known_and_is_waited_for(
    nova: FakeNova,
) -> None:
    """Its server may be made late: it is deleted then, too."""
    kept = FakeServers(nova, refuses=lambda _: (504, "<html>"))
    clock = MovedClock()
    found = loop(nova, clock, within=30)
    found.boot(three_each("cmp1")[:1])
    assert outcomes(found) == {"unknown": 1}
    made_late = iter([kept.add])
    clock.each = lambda: next(made_late)(name_of(TEST, "cmp1", 1), {MARK: TEST})
    assert found.clean_up() == []
    assert kept.servers == {}
    assert len(kept.deletions) == 1


def test_one_that_stays_in_build_has_failed_as_slow(nova: FakeNova) -> None:
    FakeServers(nova, fate=lambda _: ("BUILD", None))
    found = loop(nova, MovedClock(), within=30)
    found.boot(three_each("cmp1"))
    assert {(each.outcome, each.kind, each.fault) for each in found.boots()} == {
        ("failed", FailureKind.SLOW, "BUILD (spawning) after 30 s")
    }


def test_while_nova_or_a_cell_is_silent_no_end_is_known(nova: FakeNova) -> None:
    kept = FakeServers(nova)
    kept.silent_cell = True
    found = loop(nova, MovedClock(), within=30)
    found.boot(three_each("cmp1"))
    assert outcomes(found) == {"unknown": 3}
    assert {each.fault for each in found.boots()} == {
        "the database of the cell of far1 does not answer"
    }
    assert found.clean_up() == ["not known: the database of the cell of far1 does not answer"]
    assert kept.deletions == []
    kept.silent_cell = False
    assert found.clean_up() == []
    assert kept.servers == {}


def test_what_is_not_deleted_in_time_is_named(nova: FakeNova) -> None:
    stays = name_of(TEST, "cmp1", 2)
    kept = FakeServers(nova, never_goes=lambda name: name == stays)
    clock = MovedClock()
    found = loop(nova, clock)
    found.boot(three_each("cmp1"))
    began = clock.now
    assert found.clean_up() == [f"{stays} (ACTIVE (deleting))"]
    assert clock.now - began >= DELETE_SECONDS
    assert len(kept.deletions) == 3


def test_after_a_stop_nothing_more_is_asked_for_and_all_is_deleted(nova: FakeNova) -> None:
    stop = Event()
    kept = FakeServers(nova, fate=lambda _: ("BUILD", None))
    kept.refuses = lambda name: stop.set() if "-cmp2-" in name else None
    found = loop(nova, MovedClock(), stopped=stop.is_set)
    found.boot(three_each("cmp1", "cmp2", "cmp3", *()))
    ends = outcomes(found)
    assert ends["not_asked"] >= 1
    assert ends["unknown"] == len(kept.asked) < 9
    assert "active" not in ends
    assert found.clean_up() == []
    assert kept.servers == {}


def test_servers_of_others_are_never_deleted(nova: FakeNova) -> None:
    """Neither one that only has the id in its name, nor one that only has it in its metadata under another name."""
    kept = FakeServers(nova)
    others = [
        kept.add(name_of(TEST, "cmp1", 1), {}),
        kept.add(f"{TEST}-mine", {MARK: "20261127-1305-boots-zzzz"}),
        kept.add("web1", {"owner": TEST}),
    ]
    found = loop(nova, MovedClock())
    found.boot(three_each("cmp2"))
    assert outcomes(found) == {"active": 3}
    assert found.clean_up() == []
    assert sorted(kept.servers) == sorted(others)
    assert not set(others) & set(kept.deletions)


def test_a_later_process_deletes_what_a_test_has_left(nova: FakeNova) -> None:
    kept = FakeServers(nova)
    loop(nova, MovedClock()).boot(three_each("cmp1", "cmp2"))
    assert len(kept.servers) == 6
    assert loop(nova, MovedClock()).clean_up() == []
    assert kept.servers == {}


def test_two_servers_of_one_name_are_no_answer_about_one(nova: FakeNova) -> None:
    """The name is asked for once, so which of them is meant is not known; both carry the id and are deleted."""
    kept = FakeServers(nova)
    kept.add(name_of(TEST, "cmp1", 1), {MARK: TEST})
    found = loop(nova, MovedClock(), within=20)
    found.boot(three_each("cmp1")[:1])
    assert outcomes(found) == {"unknown": 1}
    assert found.clean_up() == []
    assert kept.servers == {}
