"""Runs with different state databases meet at marks on the fleet; a run leaves none behind (docs/adr/0023)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import PlayResult
from holdfast.engine.engine import Engine
from holdfast.errors import InvalidInput
from holdfast.journal.events import ActIntended
from holdfast.journal.run_state import Status
from holdfast.marks import TTL, HostMarks
from holdfast.model import Holder, Phase
from tests.fakes.fleet import Fault
from tests.fakes.play_runner import FakeRunner, RunsAtOnce
from tests.unit.engine.engine_harness import DriverKilled, EngineHarness

ROLL = "roll: broker_restart.yml\nhosts: broker"
BOB = Holder("other", "bob", "an upgrade", "ctl9", "boot", 99, 99)


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "h1", "h2", "h3", "h4")


def mark(harness: EngineHarness, host: str, holder: Holder = BOB) -> None:
    now = harness.fleet.clock()
    found = HostMarks("boot", now.timestamp())
    harness.fleet.hosts[host].marks["broker"] = found.new_mark(holder, now).as_text()


def test_a_run_is_refused_while_a_run_of_another_state_is_under_way(harness: EngineHarness) -> None:
    mark(harness, "h3")

    ended = harness.start(harness.engine(), ROLL)

    assert ended.code == 3
    assert ended.state.refused is not None
    evidence = ended.state.refused.evidence
    assert "no mark was made: broker is being changed by run other: bob on ctl9" in evidence
    assert (harness.fleet.history, harness.fleet.marks()) == ([], {"broker": ["h3"]})

    harness.fleet.clock.wait(TTL.total_seconds())
    assert harness.start(harness.engine(), ROLL).code == 0


def test_a_batch_is_refused_where_another_run_marked_its_host_meanwhile(
    harness: EngineHarness,
) -> None:
    """With another inventory it meets this run at that host alone."""
    harness.fleet.clock.on_tick.append(lambda: mark(harness, "h4"))

    ended = harness.start(harness.engine(), ROLL)

    assert ended.code == 4
    assert harness.restarted() == ["h1", "h2", "h3"]
    assert harness.fleet.marks() == {"broker": ["h4"]}


def test_a_run_under_way_has_marked_the_first_hosts_and_its_batch(harness: EngineHarness) -> None:
    seen: list[dict[str, list[str]]] = []
    harness.fleet.clock.on_tick.append(lambda: seen.append(harness.fleet.marks()))

    assert harness.start(harness.engine(), ROLL).code == 0

    assert {"broker": ["h1", "h2", "h3"]} in seen
    assert {"broker": ["h1", "h2", "h3", "h4"]} in seen
    assert harness.fleet.marks() == {}


@pytest.mark.parametrize(
    ("kind", "phase"), [("unhealthy", Phase.VERIFY), ("restart_fails", Phase.RESTART)]
)
def test_a_run_that_holds_gives_back_its_marks_with_its_leases(
    harness: EngineHarness, kind: str, phase: Phase
) -> None:
    harness.fleet.faults.append(Fault("h2", kind, before=("h2", phase)))

    assert harness.start(harness.engine(), ROLL).code == 4

    assert harness.fleet.marks() == {}


def test_an_aborted_run_leaves_no_mark(harness: EngineHarness) -> None:
    engine = harness.engine()

    def stop() -> None:
        if harness.restarted() and not engine.stop.at_boundary:
            engine.stop.request()

    harness.fleet.clock.on_tick.append(stop)

    assert harness.start(engine, ROLL).code == 5

    assert harness.restarted() == ["h1"]
    assert harness.fleet.marks() == {}


def dead_run(harness: EngineHarness) -> str:
    """A run whose driver died after it had marked hosts."""
    harness.crashing_store.crash_after = ActIntended
    with pytest.raises(DriverKilled):
        harness.start(harness.engine(), ROLL)
    harness.crashing_store.crash_after = None
    harness.kill_drivers()
    assert harness.fleet.marks() == {"broker": ["h1", "h2", "h3"]}
    return str(harness.store.runs()[0])


def test_a_run_that_was_resumed_is_not_refused_by_its_own_marks(harness: EngineHarness) -> None:
    """Nor when its driver died and left them, and another controller resumes it."""
    run = dead_run(harness)

    assert harness.engine().resume(run, "ada", "again").code == 0

    assert harness.fleet.marks() == {}


def test_an_abort_of_a_dead_run_removes_its_marks_and_says_so(harness: EngineHarness) -> None:
    """They would keep other runs away for half an hour."""
    run, told = dead_run(harness), list[str]()

    assert harness.engine().request_abort(run, "eve", tell=told.append).status is Status.ABORTED

    assert harness.fleet.marks() == {}
    assert told == ["its marks were removed from the hosts"]
    assert harness.store.holders(f"run:{run}") == ()
    assert harness.engine().resume(run, "ada", "again").code == 0


class BrokenRunner(RunsAtOnce):
    """A runner that can start no play."""

    def run(self, *_: object) -> PlayResult:
        raise InvalidInput("ansible-playbook is not there")

    def end_strays(self, run: str) -> list[int]:
        return []


def test_an_abort_says_which_marks_it_could_not_remove(harness: EngineHarness) -> None:
    run, told = dead_run(harness), list[str]()
    engine = Engine(replace(harness.engine()._dependencies, runner=BrokenRunner()))

    assert engine.request_abort(run, "eve", tell=told.append).status is Status.ABORTED

    [text] = told
    assert text == (
        "the marks of this run were not removed (ansible-playbook is not there): "
        "they expire within 30 min"
    )


def test_a_run_that_lost_its_lease_removes_nothing(harness: EngineHarness) -> None:
    """Whoever has resumed it has written these marks."""

    def lose() -> None:
        if harness.fleet.marks():
            harness.fleet.clock.now += timedelta(minutes=2)
            harness.fleet.clock.on_tick.remove(lose)

    harness.fleet.clock.on_tick.append(lose)

    assert harness.start(harness.engine(), ROLL).code in {4, 6}

    assert harness.fleet.marks() == {"broker": ["h1", "h2", "h3"]}


def test_the_mark_of_a_wrong_guess_is_removed_too(harness: EngineHarness) -> None:
    """The play of h2 was parked; then h1 failed with h3, which would have been next."""
    for host in ("h1", "h3"):
        harness.fleet.faults.append(Fault(host, "unhealthy", before=("h1", Phase.VERIFY)))
    runner = FakeRunner(harness.fleet, harness.crashing_store)

    assert harness.start(harness.engine(runner), ROLL).code == 4

    assert [play.play.limit for play in runner.parked] == [("h2",)]
    assert "h2" in runner.plays[-1].variables["holdfast_unmark"]["hosts"]
