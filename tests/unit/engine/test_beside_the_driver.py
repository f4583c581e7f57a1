"""What runs beside the driver: renewal, the listener, requests to stop. No part blocks or ends another in silence."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.engine.dependencies import every_second, in_a_thread
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.engine.hold_report import hold_message
from holdfast.engine.run_lookup import StrayPlays
from holdfast.errors import LeaseHeld, Refused, StateLost, StateUnusable
from holdfast.journal.events import Aborted, AbortRequested, BatchEnded, Event, Recorded
from holdfast.journal.run_state import Status
from holdfast.model import Grant, Json
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.fakes.play_runner import FakeRunner, FakeStartedPlay, RunsAtOnce, Tasks
from tests.unit.engine.engine_harness import DriverKilled, EngineHarness

ROLL = "roll: broker_restart.yml\nhosts: broker"


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    return EngineHarness.of(tmp_path, "h1", "h2", "h3")


def modified(harness: EngineHarness, **changes: Json) -> Engine:
    """Return an engine with some of its dependencies replaced."""
    engine = harness.engine()
    return Engine(replace(engine._dependencies, **changes))


class StoreThatFails:
    """A store whose ``method`` fails as long as ``broken`` says so."""

    def __init__(self, harness: EngineHarness, method: str, broken: Callable[[], bool]) -> None:
        self._store, self._method, self._broken = harness.crashing_store, method, broken

    def __getattr__(self, name: str) -> Json:
        if name == self._method and self._broken():
            return self._fail
        return getattr(self._store, name)

    def _fail(self, *_: Json) -> None:
        raise StateUnusable("the state database was restarted")


# --- the lease and the listener


def test_a_listener_that_is_blocked_stops_neither_renewal_nor_the_run(
    harness: EngineHarness,
) -> None:
    """As behind Ctrl-S: the terminal takes nothing until the run has ended and released its leases."""
    takes_output, heard = threading.Event(), list[Recorded | Progress]()

    def listener(message: Recorded | Progress) -> None:
        assert takes_output.wait(10)
        heard.append(message)

    release = harness.store.release

    class StoreThatUnblocks:
        def __getattr__(self, name: str) -> Json:
            return getattr(harness.crashing_store, name)

        def release(self, grant: Json) -> None:
            release(grant)
            takes_output.set()

    engine = modified(harness, listener=listener, delivery=in_a_thread, store=StoreThatUnblocks())
    ended = harness.start(engine, "wait: {gates: [fake.all_serve], seconds: 90}", ROLL)

    assert ended.code == 0
    assert harness.restarted() == ["h1", "h2", "h3"]
    events = [each for each in heard if isinstance(each, Recorded)]
    assert events == list(harness.store.read(ended.run))


def test_renewal_goes_on_while_the_journal_is_not_read(harness: EngineHarness) -> None:
    """Each works in a thread of its own: the reading that hangs does not keep the lease from being renewed."""
    hangs, renewed = threading.Event(), threading.Event()
    # One connection for each thread: a database in memory has but one.
    settings = Settings(f"sqlite:///{harness.path / 'state.db'}", harness.path)
    store = open_store(settings, clock=lambda _: harness.fleet.clock())
    harness.store = harness.crashing_store.store = store

    class StoreThatHangs:
        def __getattr__(self, name: str) -> Json:
            return getattr(harness.crashing_store, name)

        def read(self, run: str, after: int = 0) -> Json:
            if threading.current_thread() is not threading.main_thread():
                assert hangs.wait(10)
            return harness.store.read(run, after)

        def renew(self, *given: Json) -> None:
            harness.store.renew(*given)
            renewed.set()

    class Runner(RunsAtOnce):
        def run(self, play: Play, *_: Json) -> PlayResult:
            harness.fleet.clock.now += timedelta(seconds=25)
            assert renewed.wait(10)
            hangs.set()
            return PlayResult("failed", dict.fromkeys(play.limit, "failed"))

    def background(beat: Callable[[], None]) -> Json:
        return every_second(beat, 0.01)

    engine = modified(harness, store=StoreThatHangs(), runner=Runner(), background=background)

    assert harness.start(engine, ROLL).code == 3


def test_a_listener_with_a_bug_is_reported_and_the_run_goes_on(harness: EngineHarness) -> None:
    errors = list[Exception]()

    def listener(_: Recorded | Progress) -> None:
        raise ValueError("this cannot be drawn")

    engine = modified(
        harness, listener=listener, listener_failed=errors.append, delivery=in_a_thread
    )

    assert harness.start(engine, ROLL).code == 0
    assert [str(error) for error in errors] == ["this cannot be drawn"]
    assert harness.restarted() == ["h1", "h2", "h3"]


def test_a_bug_in_renewal_ends_the_play_and_the_run(harness: EngineHarness) -> None:
    class StoreWithABug:
        def __getattr__(self, name: str) -> Json:
            return getattr(harness.crashing_store, name)

        def renew(self, *_: Json) -> None:
            raise ZeroDivisionError

    def late() -> None:
        # Renewal is due 20 seconds after the lease was taken: here while h1 is in hand.
        if len(harness.fleet.history) == 1:
            harness.fleet.clock.now += timedelta(seconds=30)

    harness.fleet.clock.on_tick.insert(0, late)
    engine = modified(harness, store=StoreWithABug())
    with pytest.raises(ZeroDivisionError):
        harness.start(engine, ROLL)

    [run] = harness.store.runs()
    [end] = [e.event for e in harness.store.read(run) if isinstance(e.event, BatchEnded)]
    assert end.status == "interrupted"
    assert {act.host for act in harness.fleet.history} == {"h1"}


def test_a_lost_lease_ends_a_wait_at_once(harness: EngineHarness) -> None:
    class Runner(FakeRunner):
        def tasks(self, play: Play, started: FakeStartedPlay) -> Tasks[PlayResult]:
            store, now = harness.store, harness.fleet.clock()
            [own] = [row for scope in store.scopes() for row in store.holders(scope)]
            store.release(Grant(play.run, {f"run:{play.run}": own.token}))
            while not started.interrupted:
                assert harness.fleet.clock() - now < timedelta(minutes=1)
                yield
            return PlayResult("interrupted", {})

    wait = "wait: {gates: [fake.all_serve], seconds: 300}"
    runner = Runner(harness.fleet, harness.crashing_store)
    ended = harness.start(modified(harness, runner=runner), wait)

    assert ended.code == 4
    assert ended.state.held is not None
    assert "no longer holds the lease" in ended.state.held.evidence


# --- the end


def test_a_release_that_fails_does_not_change_how_the_run_ended(harness: EngineHarness) -> None:
    engine = modified(harness, store=StoreThatFails(harness, "release", lambda: True))

    ended = harness.start(engine, ROLL)

    assert (ended.code, ended.state.status) == (0, Status.FINISHED)
    told = [each.text for each in harness.notifications if isinstance(each, Progress)]
    assert any("were not released" in text and "expire within 60 s" in text for text in told)


# --- requests to stop


def ask_once(harness: EngineHarness, engine: Engine, after_acts: int) -> None:
    def ask() -> None:
        if len(harness.fleet.history) == after_acts and not engine.stop.at_boundary:
            engine.stop.request()

    harness.fleet.clock.on_tick.insert(0, ask)


def kinds(harness: EngineHarness, ended: RunResult, kind: type[Event]) -> int:
    return sum(isinstance(each.event, kind) for each in harness.store.read(ended.run))


class StoreWithoutRequests(StoreThatFails):
    """A store that fails to write a request to stop, the first ``times``."""

    def __init__(self, harness: EngineHarness, times: int) -> None:
        super().__init__(harness, "", lambda: False)
        self.times = times

    def append(self, run: str, event: Event) -> Json:
        if isinstance(event, AbortRequested) and self.times:
            self.times -= 1
            raise StateUnusable("the state database was restarted")
        return self._store.append(run, event)


@pytest.mark.parametrize(("fails", "journaled"), [(1, 1), (999, 0)])
def test_a_request_to_stop_is_kept_while_the_database_fails(
    harness: EngineHarness, fails: int, journaled: int
) -> None:
    engine = modified(harness, store=StoreWithoutRequests(harness, fails))
    ask_once(harness, engine, after_acts=1)

    ended = harness.start(engine, ROLL)

    assert ended.code == 5
    assert harness.restarted() == ["h1"]
    assert kinds(harness, ended, AbortRequested) == journaled
    assert kinds(harness, ended, Aborted) == 1
    assert ended.state.aborted is not None
    assert ended.state.aborted.by == "ada"


# --- who drives a run


@pytest.mark.parametrize(
    "blocks",
    [
        ("check: [fake.all_serve]", "wait: {gates: [fake.all_serve], seconds: 5}"),
        (ROLL,),
    ],
    ids=["without a lease of a service", "in its first survey"],
)
def test_a_living_run_is_known_to_be_driven_from_its_first_event(
    harness: EngineHarness, blocks: tuple[str, ...]
) -> None:
    driven = list[bool]()

    def look() -> None:
        if harness.store.runs():
            other = harness.engine()
            state = other.state(harness.store.runs()[0])
            if state.status is Status.RUNNING:
                driven.append(other.driver(state) is not None)
                with pytest.raises(LeaseHeld, match="is driven by ada, process 1 on ctl"):
                    other.resume(state.run, "bob", "it looks dead")

    harness.fleet.clock.on_tick.append(look)

    ended = harness.start(harness.engine(), *blocks)

    assert ended.code == 0
    assert driven
    assert all(driven)
    own = f"run:{ended.run}"
    assert not harness.store.holders(own), "it is released at the end"


def test_a_runs_own_lease_excludes_no_other_run(harness: EngineHarness) -> None:
    blocks = ("check: [fake.all_serve]",)
    inner = list[int]()

    def second() -> None:
        if not inner:
            inner.append(-1)
            inner[0] = harness.start(harness.engine(), *blocks).code

    harness.fleet.clock.on_tick.append(second)

    assert harness.start(harness.engine(), *blocks).code == 0
    assert inner == [0]


# --- a dead driver


class RunnerWithStrays(FakeRunner):
    """A runner whose plays outlive their driver, until they are ended."""

    strays: tuple[int, ...] = (4711,)

    def end_strays(self, run: str) -> list[int]:
        ended, self.strays = list(self.strays), ()
        return ended


@pytest.fixture
def dead(harness: EngineHarness) -> Engine:
    """Return an engine beside a run whose driver was killed with h1 in hand; its play still runs."""
    harness.crashing_store.crash_at = 11
    with pytest.raises(DriverKilled):
        harness.start(harness.engine(), ROLL)
    harness.crashing_store.crash_at = 0
    harness.kill_drivers()
    # A stray play keeps the lease of its dead driver.
    harness.store._gone = lambda _: False
    runner = RunnerWithStrays(harness.fleet, harness.crashing_store)
    return modified(
        harness, runner=runner, processes_of=lambda _: runner.strays, controller=platform.node
    )


def test_a_dead_driver_is_recognised_before_its_lease_expires(
    harness: EngineHarness, dead: Engine
) -> None:
    state = dead.state(harness.store.runs()[0])

    assert harness.store.holders("lab/broker")
    assert dead.driver(state) is None
    strays = dead.stray_plays(state)
    assert strays == StrayPlays((4711,))
    message = hold_message(state, strays)
    assert message is not None
    assert "its ansible-playbook still runs and may act (ps -fp 4711)" in message.evidence
    assert message.next_commands[1] == f"holdfast abort {state.run}"


def test_an_abort_of_a_dead_run_ends_its_plays_and_records_them(
    harness: EngineHarness, dead: Engine
) -> None:
    state = dead.request_abort(harness.store.runs()[0], "eve")

    assert state.status is Status.ABORTED
    assert state.aborted is not None
    assert state.aborted.ended == [4711]
    assert not dead.stray_plays(state)


def test_plays_on_another_controller_cannot_be_seen(dead: Engine, harness: EngineHarness) -> None:
    other = replace(dead._dependencies, processes_of=lambda _: (), controller=lambda: "ctl9")

    strays = Engine(other).stray_plays(dead.state(harness.store.runs()[0]))

    assert strays is not None
    assert strays.elsewhere == platform.node()
    assert "cannot be seen from here" in strays.describe()


# --- after a lost lease


def test_a_hold_without_a_lease_is_not_recorded_over_a_resume(harness: EngineHarness) -> None:
    """Another process resumes the run between the driver's last reading and its record."""
    codes = list[int]()

    class StoreWithAResume:
        """Lets another process resume immediately before the hold is recorded."""

        def __getattr__(self, name: str) -> Json:
            return getattr(harness.crashing_store, name)

        def append_next(self, run: str, event: Event, after: int) -> bool:
            if not codes:
                codes.append(-1)
                codes[0] = harness.engine().resume(run, "bob", "it does not answer").code
            return harness.store.append_next(run, event, after)

    def freeze() -> None:
        if len(harness.fleet.history) == 2 and not codes:
            harness.fleet.clock.now += timedelta(minutes=10)

    harness.fleet.clock.on_tick.insert(0, freeze)
    ended = harness.start(modified(harness, store=StoreWithAResume()), ROLL)

    assert codes == [0]
    assert ended.code == 4
    state = harness.engine().state(ended.run)
    assert (state.status, state.held) == (Status.FINISHED, None)


# --- a journal that is gone


def test_a_run_whose_journal_is_gone_names_what_its_play_did_and_said_last(
    harness: EngineHarness,
) -> None:
    gone, ticks = list[bool](), list[bool]()

    def read(run: str, after: int = 0) -> Json:
        if gone:
            raise StateUnusable("the state database was deleted")
        return harness.store.read(run, after)

    class StoreThatIsDeleted:
        def __getattr__(self, name: str) -> Json:
            return read if name == "read" else getattr(harness.crashing_store, name)

        def append_guarded(self, grant: Grant, event: Event) -> Json:
            if gone:
                raise StateUnusable("the state database was deleted")
            return harness.store.append_guarded(grant, event)

    def delete() -> None:
        # The second tick after the restart: the follower has read by then that it is done.
        if harness.restarted() == ["h1", "h2"]:
            ticks.append(True)
            gone.extend(ticks[1:])

    harness.fleet.clock.on_tick.append(delete)

    with pytest.raises(StateLost) as caught:
        harness.start(modified(harness, store=StoreThatIsDeleted()), ROLL)

    assert caught.value.exit_code == 6
    lines = caught.value.message.splitlines()
    assert lines[1].startswith("h2: broker was restarted, not yet proved healthy")
    assert "done and proved healthy: h1" in lines
    assert "not touched in step 1: h3" in lines
    assert lines[-1] == "the last output of the play: h2: task 'undrain'"


def test_a_host_whose_turn_has_begun_is_not_called_untouched(harness: EngineHarness) -> None:
    """The driver died right after it had journaled the batch: nobody knows what its play did."""
    harness.crashing_store.crash_at = 8
    with pytest.raises(DriverKilled):
        harness.start(harness.engine(), ROLL)

    message = hold_message(harness.engine().state(harness.store.runs()[0]))

    assert message is not None
    assert message.left == [
        "h1: its turn had begun; no act on it is in the journal",
        "not touched in step 1: h2, h3",
    ]


def test_a_bug_ends_every_play_under_way_also_where_one_cannot_be_ended(
    harness: EngineHarness,
) -> None:
    runner, ended = FakeRunner(harness.fleet, harness.crashing_store), list[str]()
    start = runner.start

    def watched(
        play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
    ) -> FakeStartedPlay:
        started = start(play, on_progress, parked=parked)

        def end() -> None:
            ended.extend(play.limit)
            raise Refused("it runs as another user")

        started.end = end  # type: ignore[method-assign]  # to see which were ended
        return started

    def fail() -> None:
        if len(harness.restarted()) == 2:
            raise RuntimeError("a bug")

    runner.start = watched  # type: ignore[method-assign]
    harness.fleet.verify_seconds = 12
    harness.fleet.clock.on_tick.append(fail)
    with pytest.raises((RuntimeError, Refused)):
        harness.start(harness.engine(runner), f"{ROLL}\nwindow: 2\n")

    assert {"h1", "h2"} <= set(ended)
