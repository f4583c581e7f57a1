"""A window: the next host begins as soon as one has settled, never more than so many at a time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from holdfast.journal.events import ActIntended, BatchEnded, BatchStarted, Event
from holdfast.model import Phase
from tests.fakes.fleet import Fault
from tests.fakes.play_runner import FakeRunner
from tests.unit.engine.engine_harness import DriverKilled, EngineHarness

HOSTS = ("h1", "h2", "h3", "h4", "h5", "h6")
ROLL = "roll: broker_restart.yml\nhosts: broker\nwindow: {}\n"


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    harness = EngineHarness.of(tmp_path, *HOSTS)
    harness.fleet.verify_seconds = 12  # of which a turn has three more until its restart
    return harness


def in_hand(harness: EngineHarness) -> list[tuple[str, ...]]:
    """Return the hosts under way at each beginning and end of a batch, as the journal has them."""
    found, under_way = [], list[str]()
    for event in events(harness):
        if isinstance(event, BatchStarted):
            under_way += event.hosts
        elif isinstance(event, BatchEnded):
            under_way = [host for host in under_way if host not in event.hosts]
        else:
            continue
        found.append(tuple(under_way))
    return found


def events(harness: EngineHarness) -> list[Event]:
    return [entry.event for entry in harness.store.read(harness.store.runs()[0])]


def test_the_next_host_begins_when_the_first_has_settled(harness: EngineHarness) -> None:
    ended = harness.start(harness.engine(), ROLL.format(2))

    assert (ended.code, harness.restarted()) == (0, list(HOSTS))
    most = [hosts for hosts in in_hand(harness) if len(hosts) == 2]
    assert most == list(pairwise(HOSTS))
    assert max(map(len, in_hand(harness))) == 2


def test_no_host_begins_before_an_act_has_begun_on_those_under_way(
    harness: EngineHarness,
) -> None:
    harness.start(harness.engine(), ROLL.format(4))

    assert max(map(len, in_hand(harness))) == 4
    begun = set[str]()
    for event in events(harness):
        if isinstance(event, ActIntended):
            begun.add(event.host)
        elif isinstance(event, BatchStarted):
            assert begun == set(HOSTS[: HOSTS.index(event.hosts[0])])


def test_the_canary_settles_before_the_window_opens(harness: EngineHarness) -> None:
    harness.start(harness.engine(), ROLL.format(3) + "canary: true")

    assert in_hand(harness)[:3] == [("h1",), (), ("h2",)]
    assert max(map(len, in_hand(harness))) == 3


def test_a_window_grows_after_as_many_hosts_as_it_had(harness: EngineHarness) -> None:
    harness.start(harness.engine(), ROLL.format(3) + "growth: [1, 2, 3]")

    begun = [len(hosts) for hosts in in_hand(harness)]
    assert (begun[:3], max(begun)) == ([1, 0, 1], 3)


@pytest.mark.parametrize("window", [2, 3])
def test_a_host_that_does_not_settle_ends_the_roll_after_one_window(
    harness: EngineHarness, window: int
) -> None:
    harness.fleet.faults.append(Fault("h2", "unhealthy", before=("h2", Phase.VERIFY)))
    ended = harness.start(harness.engine(), ROLL.format(window))

    assert ended.code == 4
    assert ended.state.held is not None
    assert ended.state.held.host == "h2"
    assert len(harness.restarted()) <= 2 + window - 1
    # Those that had been restarted were proved.
    restarted = [turn.host for _, turn in ended.state.in_hand() if turn.restarted]
    assert restarted == ["h2"]


def test_nothing_is_begun_by_a_play_that_had_its_word_before_another_failed(
    harness: EngineHarness,
) -> None:
    """h2 has its word while h1 is verified; h1's failure is in the journal before the restart of h2."""
    harness.fleet.verify_seconds = 2
    harness.fleet.faults.append(Fault("h1", "unhealthy", before=("h1", Phase.VERIFY)))
    ended = harness.start(harness.engine(), ROLL.format(3))

    assert ended.code == 4
    assert harness.restarted() == ["h1"]
    refused = [event for event in events(harness) if isinstance(event, BatchEnded)][1]
    assert "the turn of h1 has failed meanwhile" in refused.messages["h2"]


def test_a_request_to_stop_lets_the_hosts_in_hand_settle(harness: EngineHarness) -> None:
    engine = harness.engine()

    def stop() -> None:
        if len(harness.restarted()) == 2 and not engine.stop.at_boundary:
            engine.stop.request()

    harness.fleet.clock.on_tick.append(stop)
    ended = harness.start(engine, ROLL.format(3))

    assert (ended.code, ended.state.done()) == (5, ["h1", "h2", "h3"])
    assert not list(ended.state.in_hand())


def test_a_killed_driver_leaves_several_hosts_that_a_resume_verifies_together(
    harness: EngineHarness,
) -> None:
    store = harness.crashing_store

    def kill() -> None:
        if len(harness.restarted()) == 2:
            raise DriverKilled

    harness.fleet.clock.on_tick.append(kill)
    with pytest.raises(DriverKilled):
        harness.start(harness.engine(), ROLL.format(3))
    harness.fleet.clock.on_tick.remove(kill)
    harness.kill_drivers()
    assert store.runs()

    ended = harness.engine().resume(harness.store.runs()[0], "ada", "again")

    assert (ended.code, sorted(harness.restarted())) == (0, list(HOSTS))


def test_hosts_in_hand_are_named_to_the_play_that_begins_beside_them(
    harness: EngineHarness,
) -> None:
    runner = FakeRunner(harness.fleet, harness.crashing_store)
    harness.start(harness.engine(runner), ROLL.format(2))

    batches = [play for play in runner.plays if "holdfast_batch" in play.variables]
    named = [play.variables.get("holdfast_in_hand", []) for play in batches]
    assert named == [[], ["h1"], ["h2"], ["h3"], ["h4"], ["h5"]]
    assert len({play.ident for play in batches}) == len(HOSTS)
