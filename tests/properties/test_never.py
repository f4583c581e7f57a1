"""What never happens, whatever the fleet, the faults, the crashes and the people do.

Every example is a whole story on the fake fleet: a run, crashes and faults at random moments, repairs
and resumes until it ends. Claims are checked against the fleet's own record of what was done to it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from holdfast.ansible.fake_fleet import FakeFleet, FakeHost, Fault, FleetEvent
from holdfast.engine import RunResult
from holdfast.errors import LeaseHeld
from holdfast.journal import Status
from holdfast.model import Holder, LeaseMode, Phase
from tests.unit.engine.worlds import Crash, World, policy, runbook

HOSTS = ["h1", "h2", "h3", "h4"]
KINDS = ["unreachable", "sick", "dead", "broken", "undecided"]
OTHER = Holder("other", "bob", "testing", "elsewhere", "boot", 1, 1)


@dataclass(frozen=True)
class Incident:
    """Something that people or machines do to the driver when the clock has ticked so often."""

    tick: int
    kind: str


@dataclass(frozen=True)
class Story:
    hosts: list[str]
    batches: tuple[int, int]
    canary: bool
    limit: list[str]
    leaders: list[int]
    troubles: list[Fault]
    crashes: list[tuple[int, bool]]
    incidents: list[Incident]
    repair_first: bool


@st.composite
def stories(draw: st.DrawFn) -> Story:
    hosts = HOSTS[: draw(st.integers(1, len(HOSTS)))]
    some = st.sampled_from(hosts)
    trouble = st.builds(
        Fault,
        host=some,
        kind=st.sampled_from(KINDS),
        before=st.tuples(some, st.sampled_from(list(Phase))),
        nth=st.integers(1, 2),
    )
    incident = st.builds(
        Incident, st.integers(1, 60), st.sampled_from(["abort", "hard", "freeze", "stolen"])
    )
    return Story(
        hosts=hosts,
        batches=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        canary=draw(st.booleans()),
        limit=draw(st.just([]) | st.lists(some, unique=True, min_size=1)),
        leaders=draw(st.lists(st.integers(0, 3), min_size=len(hosts), max_size=len(hosts))),
        troubles=draw(st.lists(trouble, max_size=3)),
        crashes=draw(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=3)),
        incidents=draw(st.lists(incident, max_size=2)),
        repair_first=draw(st.booleans()),
    )


class WatchedFleet(FakeFleet):
    """Asks at every act whether it was allowed, with eyes of its own."""

    watch: Watch

    def note(self, host: str, what: str, run: str, unit: str) -> None:
        super().note(host, what, run, unit)
        if run:
            self.watch.act(self.history[-1])


@dataclass
class Watch:
    """The claims, checked at the moment of every act."""

    world: World
    story: Story
    listed: set[str]
    in_turn: set[str] = field(default_factory=set)

    def act(self, act: FleetEvent) -> None:
        assert act.host in self.listed, f"{act.host} is not part of the run"
        self.holds_a_lease(act)
        if act.what == "undrain":
            self.in_turn.discard(act.host)
            return
        self.in_turn.add(act.host)
        most = max(self.story.batches)
        assert len(self.in_turn) <= most, f"{self.in_turn} out at once, {most} allowed"

    def holds_a_lease(self, act: FleetEvent) -> None:
        rows = self.world.store.holders("lab/broker", act.at)
        assert [row.holder.run for row in rows] == [act.run], f"{act} without a lease"
        assert rows[0].mode is LeaseMode.EXCLUSIVE


@dataclass
class Play:
    """Tells one story to its end."""

    story: Story
    path: Path
    ticks: int = 0

    def __post_init__(self) -> None:
        fleet = WatchedFleet(
            {
                name: FakeHost(name, leaders=leaders)
                for name, leaders in zip(self.story.hosts, self.story.leaders, strict=True)
            },
            troubles=list(self.story.troubles),
        )
        hosts = tuple(self.story.hosts)
        self.world = World(
            self.path,
            fleet,
            {"broker": hosts, "worker": hosts},
            {
                "broker_restart.yml": policy(),
                "worker_restart.yml": policy(service="worker", group="worker", shared=("broker",)),
            },
        )
        fleet.watch = Watch(self.world, self.story, set(self.story.limit or self.story.hosts))
        fleet.clock.on_tick.append(self.tick)

    def tick(self) -> None:
        self.ticks += 1
        for incident in self.story.incidents:
            if incident.tick == self.ticks:
                self.strike(incident.kind)

    def strike(self, kind: str) -> None:
        clock, store = self.world.fleet.clock, self.world.store
        if kind == "abort":
            self.driver.stop.ask()
        elif kind == "hard":
            self.driver.stop.ask(hard=True)
        else:
            # The driver is frozen for ten minutes: nobody renews the lease.
            clock.now += timedelta(minutes=10)
        if kind == "stolen":
            scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
            try:
                store.take(OTHER, scopes, timedelta(minutes=5), clock.now)
            except LeaseHeld:
                event("nobody could steal the lease")

    def tell(self) -> int:
        """Until the run is finished or refused; at most as often as there are things to go wrong."""
        ended = self.attempt("")
        crashes = iter(self.story.crashes)
        for number in range(12):
            if ended is not None and ended.code in {0, 3}:
                return ended.code
            run = self.world.store.runs()[0]
            state = self.driver.state(run)
            if state.status is Status.FINISHED:
                return 0  # it died with its last word in the journal
            if state.grant is None:
                return 3  # it died or was aborted before it could touch anything: start anew
            if self.story.repair_first or number > 3:
                self.world.fleet.repair()
            self.world.fleet.clock.now += timedelta(minutes=10)
            at, after = next(crashes, (0, False))
            tripwire = self.world.tripwire
            tripwire.at, tripwire.after = (tripwire.seen + at if at else 0), after
            ended = self.attempt(run)
        raise AssertionError("twelve repairs and resumes did not finish the run")

    def attempt(self, run: str) -> RunResult | None:
        self.driver = self.world.engine()
        before = len(self.world.fleet.history)
        try:
            ended = self.driver.resume(run, "ada", "repaired") if run else self.start()
        except Crash:
            self.world.kill_drivers()
            return None
        note(f"{ended.code}: {[str(h) for h in self.world.fleet.history[before:]]}")
        return ended

    def start(self) -> RunResult:
        blocks = [
            f"roll: {group}_restart.yml\nhosts: {group}\nbatch: {batch}"
            f"\ncanary: {str(self.story.canary).lower()}"
            for group, batch in zip(("broker", "worker"), self.story.batches, strict=True)
        ]
        path = runbook(self.path, *blocks)
        plan = self.driver.planner.plan(path, self.path, {}, ",".join(self.story.limit))
        return self.driver.start(plan, "ada", "why")


@settings(max_examples=100)
@given(stories())
def test_never(story: Story) -> None:
    with tempfile.TemporaryDirectory() as path:
        play = Play(story, Path(path))
        code = play.tell()
    fleet = play.world.fleet
    event(f"code {code}, {min(play.world.drivers, 5)} drivers")
    if code == 3:
        assert not fleet.history
        return
    repaired = {(h.host, h.unit) for h in fleet.history if h.what == "repaired"}
    restarts = fleet.restarts()
    for host in story.limit or story.hosts:
        for unit in ("broker", "worker"):
            times = restarts.get((host, unit), 0)
            # A host that an operator started by hand in the middle of its turn counts as restarted.
            assert times == 1 or (times == 0 and (host, unit) in repaired), (host, unit, times)
