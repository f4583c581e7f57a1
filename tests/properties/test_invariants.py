"""Invariants of the engine, whatever the fleet, the faults, the crashes and the people do.

Every example is a scenario on the fake fleet: a run, crashes and faults at random moments, repairs and
resumes until it ends. The invariants are checked against the fleet's own record.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from holdfast.engine.driver import RunResult
from holdfast.errors import LeaseHeld
from holdfast.journal.events import BatchEnded, BatchStarted, Resumed, StepStarted
from holdfast.journal.run_state import Status
from holdfast.model import Holder, LeaseMode, Phase
from tests.fakes.fleet import FakeFleet, FakeHost, Fault, FleetEvent
from tests.unit.engine.engine_harness import DriverKilled, EngineHarness, make_policy, write_runbook

HOSTS = ["h1", "h2", "h3", "h4"]
KINDS = ["unreachable", "unhealthy", "stopped", "restart_fails", "unknown"]
OTHER = Holder("other", "bob", "testing", "elsewhere", "boot", 1, 1)


@dataclass(frozen=True)
class Incident:
    """Something that happens to the driver at a tick of the clock."""

    tick: int
    kind: str


@dataclass(frozen=True)
class Scenario:
    hosts: list[str]
    batches: tuple[int, int]
    growth: list[int]
    window: bool
    verify_seconds: int
    canary: bool
    limit: list[str]
    leaders: list[int]
    faults: list[Fault]
    crashes: list[tuple[int, bool]]
    incidents: list[Incident]
    repair_first: bool


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    hosts = HOSTS[: draw(st.integers(1, len(HOSTS)))]
    some = st.sampled_from(hosts)
    batch = st.integers(1, max(1, min(3, len(hosts) - 1)))  # the whole group is refused
    fault = st.builds(
        Fault,
        host=some,
        kind=st.sampled_from(KINDS),
        before=st.tuples(some, st.sampled_from(list(Phase))),
        nth=st.integers(1, 2),
    )
    incident = st.builds(
        Incident, st.integers(1, 60), st.sampled_from(["abort", "hard", "freeze", "stolen"])
    )
    return Scenario(
        hosts=hosts,
        batches=(draw(batch), draw(batch)),
        growth=sorted(draw(st.just([]) | st.lists(batch, min_size=1, max_size=3))),
        window=draw(st.booleans()),
        verify_seconds=draw(st.sampled_from([1, 1, 9])),
        canary=draw(st.booleans()),
        limit=draw(st.just([]) | st.lists(some, unique=True, min_size=1)),
        leaders=draw(st.lists(st.integers(0, 3), min_size=len(hosts), max_size=len(hosts))),
        faults=draw(st.lists(fault, max_size=3)),
        crashes=draw(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=3)),
        incidents=draw(st.lists(incident, max_size=2)),
        repair_first=draw(st.booleans()),
    )


class CheckedFleet(FakeFleet):
    """A fleet that checks every act when it happens."""

    checker: InvariantChecker

    def record(self, host: str, action: str, run: str, unit: str) -> None:
        super().record(host, action, run, unit)
        if run:
            self.checker.act(self.history[-1])


@dataclass
class InvariantChecker:
    """The invariants that are checked at every act."""

    harness: EngineHarness
    scenario: Scenario
    listed: set[str]
    in_turn: set[str] = field(default_factory=set)

    def act(self, act: FleetEvent) -> None:
        assert act.host in self.listed, f"{act.host} is not part of the run"
        self.holds_a_lease(act)
        if act.action == "undrain":
            self.in_turn.discard(act.host)
            return
        self.nothing_has_failed(act)
        self.in_turn.add(act.host)
        most = max(self.scenario.growth or self.scenario.batches)
        assert len(self.in_turn) <= most, f"{self.in_turn} out at once, {most} allowed"

    def nothing_has_failed(self, act: FleetEvent) -> None:
        for recorded in self.harness.store.newest(act.run, "batch_ended", "resumed"):
            ended = recorded.event
            if isinstance(ended, BatchEnded):
                assert ended.status == "ok", f"{act} after {ended}"
            return

    def holds_a_lease(self, act: FleetEvent) -> None:
        rows = self.harness.store.holders("lab/broker")
        assert [row.holder.run for row in rows] == [act.run], f"{act} without a lease"
        assert rows[0].mode is LeaseMode.EXCLUSIVE


@dataclass
class ScenarioRunner:
    """Runs one scenario to its end."""

    scenario: Scenario
    path: Path
    ticks: int = 0

    def __post_init__(self) -> None:
        fleet = CheckedFleet(
            {
                name: FakeHost(name, leaders=leaders)
                for name, leaders in zip(self.scenario.hosts, self.scenario.leaders, strict=True)
            },
            faults=list(self.scenario.faults),
            verify_seconds=self.scenario.verify_seconds,
        )
        hosts = tuple(self.scenario.hosts)
        self.harness = EngineHarness(
            self.path,
            fleet,
            {"broker": hosts, "worker": hosts},
            {
                "broker_restart.yml": make_policy(),
                "worker_restart.yml": make_policy(
                    service="worker", group="worker", shared=("broker",)
                ),
            },
        )
        fleet.checker = InvariantChecker(
            self.harness, self.scenario, set(self.scenario.limit or self.scenario.hosts)
        )
        fleet.clock.on_tick.append(self.tick)

    def tick(self) -> None:
        self.ticks += 1
        for incident in self.scenario.incidents:
            if incident.tick == self.ticks:
                self.cause(incident.kind)

    def cause(self, kind: str) -> None:
        clock, store = self.harness.fleet.clock, self.harness.store
        if kind == "abort":
            self.driver.stop.request()
        elif kind == "hard":
            self.driver.stop.request(hard=True)
        else:
            # The driver is frozen for ten minutes: nobody renews the lease.
            clock.now += timedelta(minutes=10)
        if kind == "stolen":
            scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
            try:
                store.take(OTHER, scopes, timedelta(minutes=5))
            except LeaseHeld:
                event("the lease could not be stolen")

    def run_to_the_end(self) -> int:
        """Start, repair and resume until the run is finished or refused; return the exit code."""
        ended = self.attempt("")
        crashes = iter(self.scenario.crashes)
        for number in range(12):
            if ended is not None and ended.code in {0, 3}:
                return ended.code
            run = self.harness.store.runs()[0]
            state = self.driver.state(run)
            if state.status is Status.FINISHED:
                return 0  # it died after its last event
            if state.grant is None:
                return 3  # it died or was aborted before it could touch anything
            if self.scenario.repair_first or number > 3:
                self.harness.fleet.repair()
            self.harness.fleet.clock.now += timedelta(minutes=10)
            at, after = next(crashes, (0, False))
            store = self.harness.crashing_store
            store.crash_at, store.crash_after_write = (store.writes + at if at else 0), after
            ended = self.attempt(run)
        raise AssertionError("twelve repairs and resumes did not finish the run")

    def attempt(self, run: str) -> RunResult | None:
        self.driver = self.harness.engine()
        before = len(self.harness.fleet.history)
        try:
            ended = self.driver.resume(run, "ada", "repaired") if run else self.start()
        except DriverKilled:
            self.harness.kill_drivers()
            return None
        note(f"{ended.code}: {[str(h) for h in self.harness.fleet.history[before:]]}")
        return ended

    def start(self) -> RunResult:
        growth, canary = self.scenario.growth, str(self.scenario.canary).lower()
        what = "window" if self.scenario.window else "batch"
        blocks = [
            f"roll: {group}_restart.yml\nhosts: {group}\n"
            + (f"growth: {growth}" if growth else f"{what}: {batch}\ncanary: {canary}")
            + (f"\nwindow: {growth[-1]}" if growth and self.scenario.window else "")
            for group, batch in zip(("broker", "worker"), self.scenario.batches, strict=True)
        ]
        path = write_runbook(self.path, *blocks)
        plan = self.driver.planner.plan(path, self.path, {}, ",".join(self.scenario.limit))
        return self.driver.start(plan, "ada", "why")


def grew_only_after_clean_batches(runner: ScenarioRunner) -> None:
    """Check that the first whole batch of each step, and after each resume, has the first size at most."""
    growth, first = runner.scenario.growth, True
    for run in runner.harness.store.runs() if growth else ():
        for recorded in runner.harness.store.read(run):
            if isinstance(recorded.event, Resumed | StepStarted):
                first = True
            if (
                isinstance(recorded.event, BatchStarted)
                and Phase.PREFLIGHT in recorded.event.phases
            ):
                assert len(recorded.event.hosts) <= (growth[0] if first else growth[-1])
                first = False


@settings(max_examples=100)
@given(scenarios())
def test_no_scenario_breaks_an_invariant(scenario: Scenario) -> None:
    with tempfile.TemporaryDirectory() as path:
        runner = ScenarioRunner(scenario, Path(path))
        code = runner.run_to_the_end()
    fleet = runner.harness.fleet
    event(f"code {code}, {min(runner.harness.drivers_started, 5)} drivers")
    if code == 3:
        assert not fleet.history
        return
    grew_only_after_clean_batches(runner)
    repaired = {(h.host, h.unit) for h in fleet.history if h.action == "repaired"}
    restarts = fleet.restarts()
    for host in scenario.limit or scenario.hosts:
        for unit in ("broker", "worker"):
            times = restarts.get((host, unit), 0)
            # A host that an operator started by hand in the middle of its turn counts as restarted.
            assert times == 1 or (times == 0 and (host, unit) in repaired), (host, unit, times)
