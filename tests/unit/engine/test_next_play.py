"""The play of the next batch starts while a batch settles, and does nothing before its word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Play, Progress
from holdfast.journal.events import BatchEnded, GateJudged, Held, Recorded
from holdfast.model import Outcome, Phase
from tests.fakes.fleet import Fault
from tests.fakes.play_runner import FakeRunner, FakeStartedPlay
from tests.unit.engine.engine_harness import EngineHarness, make_policy

ROLL = "roll: broker_restart.yml\nhosts: broker"


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "h1", "h2", "h3")


@dataclass
class Watched:
    """A run, and for each play that was parked what had happened when it was, and what was journaled at its word."""

    harness: EngineHarness
    dying: bool = False
    batches: list[list[str]] = field(default_factory=list)
    restarted: list[list[str]] = field(default_factory=list)
    parked: list[FakeStartedPlay] = field(default_factory=list)
    journaled: list[list[str]] = field(default_factory=list)
    plays: list[Play] = field(default_factory=list)
    code: int = -1

    def start(self, *blocks: str) -> None:
        runner = FakeRunner(self.harness.fleet, self.harness.crashing_store)
        start = runner.start

        def watched(
            play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
        ) -> FakeStartedPlay:
            if not parked:
                return start(play, on_progress)
            self.batches.append(list(play.limit))
            self.restarted.append(self.harness.restarted())
            waits = start(play, on_progress, parked=True)
            waits.dies = self.dying
            waits.at_word = lambda: self.journaled.append(
                [str(entry.event.kind) for entry in self.harness.store.read(play.run)][-2:]
            )
            return waits

        runner.start = watched  # type: ignore[method-assign]  # to see when
        ended = self.harness.start(self.harness.engine(runner), *(blocks or (ROLL,)))
        self.parked, self.plays, self.code = runner.parked, runner.plays, ended.code


def test_each_next_play_starts_when_the_batch_before_it_has_been_restarted(
    harness: EngineHarness,
) -> None:
    run = Watched(harness)
    run.start()

    assert run.code == 0
    assert run.batches == [["h2"], ["h3"]]
    assert run.restarted == [["h1"], ["h1", "h2"]]
    assert [(each.went, each.ended) for each in run.parked] == [(True, False)] * 2
    assert harness.restarted() == ["h1", "h2", "h3"]
    # What was not known when it started is in its word.
    for parked in run.parked:
        assert not {"holdfast_done", "holdfast_sweep"} & parked.play.variables.keys()
    assert len({play.ident for play in run.plays}) == len(run.plays)


def test_a_late_failure_is_found_while_a_batch_settles(harness: EngineHarness) -> None:
    """Somebody restarts h1 while h2 settles for five minutes: it is journaled within a minute, and h3 is not begun."""
    harness.fleet.verify_seconds = 300
    fallen: list[datetime] = []

    def fall() -> None:
        if harness.restarted() == ["h1", "h2"] and not fallen:
            for unit in harness.fleet.hosts["h1"].units.values():
                unit.started += 1
            fallen.append(harness.fleet.clock())

    harness.fleet.clock.on_tick.append(fall)
    run = Watched(harness)
    run.start()

    assert run.code == 4
    assert harness.restarted() == ["h1", "h2"]
    assert not run.parked[-1].went
    events = [each.event for each in harness.notifications if isinstance(each, Recorded)]
    [found] = [e for e in events if isinstance(e, GateJudged) and e.outcome is not Outcome.PASS]
    assert (found.host, found.phase) == ("h3", "sweep")
    assert found.at - fallen[0] <= timedelta(minutes=1)
    *_, settled, held = events
    assert isinstance(settled, BatchEnded)
    assert settled.status == "ok"
    assert isinstance(held, Held)
    assert held.host == "h1"


def test_a_play_that_dies_before_its_word_is_started_again(harness: EngineHarness) -> None:
    run = Watched(harness, dying=True)
    run.start()

    assert (run.code, harness.restarted()) == (0, ["h1", "h2", "h3"])
    assert [each.went for each in run.parked] == [False, False]


def test_a_wrong_guess_is_ended_untouched(harness: EngineHarness) -> None:
    """After h1, h3 has fewer leaders than h2, which was guessed."""
    leaders = {"h1": 0, "h2": 1, "h3": 2}
    for host, count in leaders.items():
        harness.fleet.hosts[host].leaders = count

    def exchange() -> None:
        if harness.restarted() == ["h1"]:
            harness.fleet.hosts["h2"].leaders, harness.fleet.hosts["h3"].leaders = 5, 0

    harness.fleet.clock.on_tick.append(exchange)
    run = Watched(harness)
    run.start(f"{ROLL}\ncanary: false")

    assert run.code == 0
    assert harness.restarted() == ["h1", "h3", "h2"]
    assert run.batches[0] == ["h2"]
    assert (run.parked[0].went, run.parked[0].ended) == (False, True)
    told = [each.text for each in harness.notifications if isinstance(each, Progress)]
    why = "fewest leaders first (h3 has 0)"
    assert f"h3 is next, {why}; the play for h2 is ended untouched" in told


@pytest.mark.parametrize("kind", ["unhealthy", "stopped"])
def test_no_next_play_gets_its_word_after_a_failure(harness: EngineHarness, kind: str) -> None:
    harness.fleet.faults.append(Fault("h1", kind, before=("h1", Phase.VERIFY)))
    run = Watched(harness)
    run.start()

    assert (run.code, harness.restarted()) == (4, ["h1"])
    assert [(each.went, each.ended) for each in run.parked] == [(False, True)]


def test_a_request_to_stop_ends_the_next_play(harness: EngineHarness) -> None:
    engine = harness.engine(runner := FakeRunner(harness.fleet, harness.crashing_store))

    def stop() -> None:
        if runner.parked:
            engine.stop.request()

    harness.fleet.clock.on_tick.append(stop)
    ended = harness.start(engine, ROLL)

    assert (ended.code, harness.restarted()) == (5, ["h1"])
    assert [(each.went, each.ended) for each in runner.parked] == [(False, True)]


def test_the_word_comes_after_the_batch_before_it_is_in_the_journal(harness: EngineHarness) -> None:
    run = Watched(harness)
    run.start()

    assert run.journaled == [["batch_ended", "batch_started"]] * 2


TWO_ROLLS = (ROLL, "roll: other_restart.yml\nhosts: broker")


def with_another_service(harness: EngineHarness) -> None:
    """Another service on the same hosts, whose order does not depend on what a passing survey finds."""
    harness.policies["other_restart.yml"] = make_policy(service="other", order=("unhealthy_first",))


def test_between_two_rolls_no_play_comes_and_the_next_one_is_parked(harness: EngineHarness) -> None:
    with_another_service(harness)
    run = Watched(harness)
    run.start(*TWO_ROLLS)

    assert run.code == 0
    assert harness.restarted() == ["h1", "h2", "h3"] * 2
    assert run.batches == [["h2"], ["h3"], ["h1"], ["h2"], ["h3"]]
    assert all(each.went for each in run.parked)
    books = [play.playbook.removesuffix("_restart.yml") for play in run.plays]
    assert books == ["check.yml", *["broker"] * 3, *["other"] * 3, "sweep.yml", "marks.yml"]
    # Every host done is swept by the first batch of the second roll, which asks the survey too.
    across = run.plays[4]
    assert list(across.variables["holdfast_sweep"]) == ["h1", "h2", "h3"]
    assert across.variables["holdfast_survey"] == ["fake.all_serve"]
    # Before the first batch of each roll all hosts of a large group are asked.
    assert [play.variables["holdfast_rounds"] for play in run.plays[1:7]] == [0, 1, 2, 0, 1, 2]


def test_a_survey_that_fails_between_two_rolls_holds_before_anything_is_touched(
    harness: EngineHarness,
) -> None:
    with_another_service(harness)
    harness.fleet.faults.append(Fault("h2", "unhealthy", before=("h3", Phase.UNDRAIN)))
    run = Watched(harness)
    run.start(*TWO_ROLLS)

    assert (run.code, harness.restarted()) == (4, ["h1", "h2", "h3"])


def test_a_host_that_dies_between_two_rolls_is_seen_before_the_second(
    harness: EngineHarness,
) -> None:
    """The sweep that an older version made in a play of its own."""
    with_another_service(harness)
    harness.policies["other_restart.yml"] = make_policy(service="other", order=(), survey=())
    harness.fleet.faults.append(Fault("h1", "stopped", before=("h3", Phase.UNDRAIN)))
    run = Watched(harness)
    run.start(*TWO_ROLLS)

    assert (run.code, harness.restarted()) == (4, ["h1", "h2", "h3"])
    held = [entry.event for entry in harness.store.read(harness.store.runs()[0])][-1]
    assert "h1" in str(held)


def test_where_a_survey_decides_the_order_it_is_a_play_of_its_own(harness: EngineHarness) -> None:
    harness.policies["other_restart.yml"] = make_policy(service="other")
    run = Watched(harness)
    run.start(*TWO_ROLLS)

    assert run.code == 0
    books = [play.playbook.removesuffix("_restart.yml") for play in run.plays]
    assert books[4:6] == ["check.yml", "other"]
    assert list(run.plays[5].variables["holdfast_sweep"]) == ["h1", "h2", "h3"]


def test_the_marks_of_a_play_that_was_not_used_are_removed(harness: EngineHarness) -> None:
    harness.fleet.faults.append(Fault("h1", "unhealthy", before=("h1", Phase.VERIFY)))
    run = Watched(harness)
    run.start()

    assert run.code == 4
    assert run.batches == [["h2"]]
    assert run.plays[-1].variables["holdfast_unmark"]["hosts"] == ["h1", "h2"]
