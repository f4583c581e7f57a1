"""A window: the next host begins as soon as one has settled, never more than so many at a time."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from holdfast.evidence import HOSTS as ASKED
from holdfast.journal.events import (
    ActIntended,
    BatchEnded,
    BatchStarted,
    Event,
    GateJudged,
    Recorded,
)
from holdfast.journal.fold import fold
from holdfast.journal.run_state import SWEEP_AT_LEAST
from holdfast.model import Grant, Outcome, Phase
from tests.fakes.fleet import Fault
from tests.fakes.play_runner import UNCHANGED, FakeRunner
from tests.unit.engine.engine_harness import DriverKilled, EngineHarness, make_policy

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


@pytest.mark.parametrize("resumed", [False, True])
def test_hosts_that_others_depend_on_come_first_and_each_alone_also_after_a_hold(
    harness: EngineHarness, *, resumed: bool
) -> None:
    """As the preview of a change says of a host on which it restarts a conductor, and it is asked before the roll."""
    harness.policies["broker_restart.yml"] = make_policy(order=("dependencies_first",))
    harness.fleet.depended_on = {"h4": 0, "h2": 2}
    if resumed:
        harness.fleet.faults.append(Fault("h4", "restart_fails", ("h4", Phase.RESTART)))
    ended = harness.start(harness.engine(), ROLL.format(3))
    if resumed:
        assert ended.code == 4
        harness.fleet.repair()
        ended = harness.engine().resume(ended.run, "ada", "mended")

    order = ["h4", "h2", "h1", "h3", "h5", "h6"]
    assert (ended.code, list(dict.fromkeys(harness.restarted()))) == (0, order)
    crowd = [hosts for hosts in in_hand(harness) if len(hosts) > 1]
    assert {host for hosts in crowd for host in hosts} == {"h1", "h3", "h5", "h6"}
    assert max(map(len, crowd)) == 3


def test_the_canary_settles_before_the_window_opens(harness: EngineHarness) -> None:
    harness.start(harness.engine(), ROLL.format(3) + "canary: true")

    assert in_hand(harness)[:3] == [("h1",), (), ("h2",)]
    assert max(map(len, in_hand(harness))) == 3


@pytest.mark.parametrize("size", ["window: 2", "batch: 2"])
def test_the_canary_alone_settles_as_long_as_its_own_setting_says(
    harness: EngineHarness, size: str
) -> None:
    longer = "canary: true\ncanary_settle: {seconds: 180, readings: 9}\nsettle: {seconds: 10}"
    runner = FakeRunner(harness.fleet, harness.crashing_store)
    roll = f"roll: broker_restart.yml\nhosts: broker\n{size}\n{longer}"
    harness.start(harness.engine(runner), roll)

    settled = {
        host: (
            play.variables["holdfast_settle_seconds"],
            play.variables["holdfast_settle_readings"],
            play.variables.get("holdfast_gate_deadline_seconds"),
        )
        for play in runner.plays
        if play.playbook == "broker_restart.yml"
        for host in play.limit
    }
    assert settled == {"h1": (180, 9, 480)} | dict.fromkeys(HOSTS[1:], (10, 1, None))
    assert harness.restarted() == list(HOSTS)


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


def test_the_first_host_is_not_restarted_after_one_that_began_beside_it_has_failed(
    harness: EngineHarness,
) -> None:
    """h1 is alone when it begins, and drained for long; h2 fails in its preflight meanwhile."""
    harness.fleet.idle_seconds = 10
    harness.fleet.hosts["h2"].answers_as = "h9"
    ended = harness.start(harness.engine(), ROLL.format(2))

    assert (ended.code, harness.restarted()) == (4, [])
    assert ended.state.held is not None
    assert "h2 goes by h9" in ended.state.held.evidence


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


@pytest.mark.parametrize("roll", [ROLL.format(1), ROLL.format(3) + "canary: true"])
def test_a_host_that_has_settled_is_asked_by_the_next_again(
    harness: EngineHarness, roll: str
) -> None:
    """The next play was parked while it was in hand, and the word says that it is not any more."""
    runner = FakeRunner(harness.fleet, harness.crashing_store)
    harness.start(harness.engine(runner), roll)

    second = next(play for play in runner.plays if play.limit == ("h2",))
    assert (second.ident, second.variables["holdfast_in_hand"]) == ("0002-broker-restart-next", [])


def test_the_next_asks_whom_its_beginning_in_the_journal_says(tmp_path: Path) -> None:
    """Between the decision and the journal another play sweeps: most that were due are not any more."""
    hosts = [f"h{number}" for number in range(1, 25)]
    harness = EngineHarness.of(tmp_path, *hosts)

    def settle() -> None:  # the last takes so long that all are due
        harness.fleet.verify_seconds = 1 if len(harness.restarted()) < len(hosts) - 3 else 40

    harness.fleet.clock.on_tick.append(settle)
    append = harness.crashing_store.append_guarded

    def sweep_first(grant: Grant, event: Event) -> Recorded:
        if isinstance(event, BatchStarted) and event.hosts == ["h24"]:
            beside = fold(harness.store.each(grant.run)).batch_of("h23")
            assert beside is not None
            append(grant, swept("h23", len(beside.sweep), event.at))
        return append(grant, event)

    harness.crashing_store.append_guarded = sweep_first  # type: ignore[method-assign]  # between reading and writing
    runner = FakeRunner(harness.fleet, harness.crashing_store)
    ended = harness.start(harness.engine(runner), ROLL.format(2))

    assert (ended.code, harness.restarted()) == (0, hosts)
    last = next(play for play in runner.plays if play.limit == ("h24",))
    assert len(last.variables["holdfast_sweep"]) == SWEEP_AT_LEAST


def swept(host: str, hosts: int, at: datetime) -> GateJudged:
    verdict = {"claim": UNCHANGED, "outcome": "PASS", "reason": "r", "message": "m"}
    return GateJudged(
        at=at,
        host=host,
        gate="sweep",
        phase="sweep",
        outcome=Outcome.PASS,
        verdicts=[{**verdict, "evidence": {ASKED: hosts}}],
        readings=1,
        seconds=0,
    )


def test_a_host_in_hand_is_swept_by_no_other(harness: EngineHarness) -> None:
    """In a second roll of the unit it is done already when its turn begins, and is restarted again."""
    ended = harness.start(harness.engine(), ROLL.format(3), ROLL.format(3))

    assert (ended.code, harness.restarted()) == (0, [*HOSTS, *HOSTS])


def test_one_play_is_parked_at_a_time_however_the_others_end(harness: EngineHarness) -> None:
    """The window is full, and h1 takes longest: the play of h5 waits while h2, h3 and h4 settle."""

    def settle() -> None:
        harness.fleet.verify_seconds = 60 if harness.restarted() == ["h1"] else 5

    harness.fleet.clock.on_tick.append(settle)
    runner = FakeRunner(harness.fleet, harness.crashing_store)
    ended = harness.start(harness.engine(runner), ROLL.format(4))

    assert (ended.code, harness.restarted()) == (0, list(HOSTS))
    assert [(play.play.limit, play.went) for play in runner.parked] == [
        ((host,), True) for host in HOSTS[1:]
    ]


@pytest.mark.parametrize("killed", [False, True])
def test_the_marks_of_all_hosts_and_of_the_parked_play_are_removed(
    harness: EngineHarness, killed: bool
) -> None:
    harness.fleet.verify_seconds = 40
    runner = FakeRunner(harness.fleet, harness.crashing_store)
    engine = harness.engine(runner)

    def stop() -> None:
        waits = runner.parked and runner.parked[-1].play.limit == ("h4",)
        if waits and "h3" in harness.restarted() and not engine.stop.hard:
            engine.stop.request(hard=True)
            if killed:
                raise DriverKilled

    harness.fleet.clock.on_tick.append(stop)
    if killed:
        with pytest.raises(DriverKilled):
            harness.start(engine, ROLL.format(3))
        harness.kill_drivers()
        harness.engine(runner).request_abort(harness.store.runs()[0], "ada")
    else:
        assert harness.start(engine, ROLL.format(3)).code == 5

    assert harness.restarted() == ["h1", "h2", "h3"]
    assert runner.plays[-1].variables["holdfast_unmark"]["hosts"] == ["h1", "h2", "h3", "h4"]
