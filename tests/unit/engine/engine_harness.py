"""An engine with everything it uses in memory: fleet, runbook, clock, journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.ansible.interfaces import Progress
from holdfast.engine.dependencies import Dependencies
from holdfast.engine.driver import RunResult
from holdfast.engine.engine import Engine
from holdfast.engine.planner import Planner
from holdfast.errors import InvalidInput, StateUnusable
from holdfast.journal.events import Event, Recorded
from holdfast.model import Holder, Json
from holdfast.people import Approvers
from holdfast.plan.model import Playbook, SiteInventory
from holdfast.policy import PlaybookPolicy
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from tests.fakes.fleet import FakeFleet, deliver_at_once
from tests.fakes.play_runner import FakeRunner

RUNBOOK = """\
---
name: {name}
summary: for tests
inputs: {inputs}
approvals: {{count: 1, by_others: true, deadline_seconds: 600}}
---

# For tests

{steps}

## If it holds
Look at the fleet.
"""

STEP = """\
## {number}. {title}
Because.

```step
{block}
```
"""


PEOPLE = ("ada", "bob", "eve")
"""Who is known, each by a login of that name and an id on Slack."""


def write_runbook(
    path: Path, *blocks: str, name: str = "broker-restart", inputs: str = "{}"
) -> Path:
    """Write a runbook with these step blocks and return its path."""
    steps = "\n".join(
        STEP.format(number=number, title=f"Step {number}", block=block)
        for number, block in enumerate(blocks, 1)
    )
    target = path / f"{name}.md"
    target.write_text(RUNBOOK.format(name=name, steps=steps, inputs=inputs))
    return target


def make_policy(**given: Json) -> PlaybookPolicy:
    """Return the policy of a broker; keyword arguments replace its fields."""
    return PlaybookPolicy(
        **{
            "service": "broker",
            "group": "broker",
            "batch_max": 5,
            "batch_max_reason": "the test sets it",
            "order": ("unhealthy_first", "fewest_leaders_first"),
            "survey": ("fake.all_serve",),
        }
        | given
    )


@dataclass
class FakeInventory:
    """An inventory with the given groups."""

    groups: dict[str, tuple[str, ...]]
    name: str = "lab"
    lengths: dict[str, float] = field(default_factory=dict)

    def read(self, site: Path, limit: str) -> SiteInventory:
        every = {host for hosts in self.groups.values() for host in hosts}
        selected = every & set(limit.split(",")) if limit else None
        if selected is not None and not selected:
            raise InvalidInput(f"--limit {limit!r} matches no host of {site}")
        chosen = None if selected is None else frozenset(selected)
        return SiteInventory(self.name, str(site), self.groups, chosen, self.lengths)


@dataclass
class FakePlaybooks:
    """Playbooks with the given policies."""

    policies: dict[str, PlaybookPolicy]

    def read(self, name: str, variables: Mapping[str, Json]) -> Playbook:
        if name not in self.policies:
            raise InvalidInput(f"there is no playbook {name!r}")
        return Playbook(name, self.policies[name], {"unit": None, "unit_timeout": 60})


class DriverKilled(BaseException):
    """The driver's process is killed here; no ``except Exception`` may catch it."""


@dataclass
class CrashingStore:
    """A store that kills the driver immediately before or after its ``crash_at``-th write, or after an event."""

    store: Store
    crash_at: int = 0
    crash_after_write: bool = True
    crash_after: type[Event] | None = None
    writes: int = 0
    unusable: bool = False

    def _write(self, write: Callable[[], Recorded]) -> Recorded:
        self.writes += 1
        if self.unusable:
            raise StateUnusable("the state database is not reachable")
        if self.writes == self.crash_at and not self.crash_after_write:
            raise DriverKilled
        recorded = write()
        at_this_event = self.crash_after is not None and isinstance(
            recorded.event, self.crash_after
        )
        if at_this_event or (self.writes == self.crash_at and self.crash_after_write):
            raise DriverKilled
        return recorded

    def append(self, run: str, event: Event) -> Recorded:
        return self._write(lambda: self.store.append(run, event))

    def append_guarded(self, grant: Json, event: Event) -> Recorded:
        return self._write(lambda: self.store.append_guarded(grant, event))

    def __getattr__(self, name: str) -> Json:
        return getattr(self.store, name)


@dataclass
class EngineHarness:
    """One controller and one fleet; every ``engine()`` counts as a process of its own.

    ``notifications`` is what the listener received, ``dead_processes`` are drivers that were killed.
    """

    path: Path
    fleet: FakeFleet
    groups: dict[str, tuple[str, ...]]
    policies: dict[str, PlaybookPolicy] = field(
        default_factory=lambda: {"broker_restart.yml": make_policy()}
    )
    notifications: list[Recorded | Progress] = field(default_factory=list)
    dead_processes: set[int] = field(default_factory=set)
    drivers_started: int = 0
    fleet_claims: frozenset[str] = frozenset({"fake.all_serve", "fake.others_serve"})
    host_claims: frozenset[str] = frozenset()
    lengths: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, *hosts: str) -> EngineHarness:
        return cls(path, FakeFleet.of(list(hosts)), {"broker": hosts})

    def __post_init__(self) -> None:
        settings = Settings("sqlite://", self.path)
        self.store = open_store(settings, gone=self.is_gone, clock=lambda _: self.fleet.clock())
        self.crashing_store = CrashingStore(self.store)

    def is_gone(self, holder: Holder) -> bool:
        return holder.process in self.dead_processes

    def claim_group(self, entry: Json) -> str:
        name = entry if isinstance(entry, str) else entry["claim"]
        if name in self.host_claims:
            return ""
        if name not in self.fleet_claims:
            raise InvalidInput(f"there is no claim {name!r}")
        return "broker"

    def engine(self, runner: FakeRunner | None = None) -> Engine:
        """Return a new engine, which the leases see as a new process."""
        self.drivers_started += 1
        process = self.drivers_started
        runner = runner or FakeRunner(self.fleet, self.crashing_store)
        runner.of_engine = True
        return Engine(
            Dependencies(
                store=self.crashing_store,  # type: ignore[arg-type]  # a store by its methods
                runner=runner,
                planner=Planner(
                    inventories=FakeInventory(self.groups, lengths=self.lengths),
                    playbooks=FakePlaybooks(self.policies),
                    claim_group=self.claim_group,
                ),
                wait=self.fleet.clock.wait,
                clock=self.fleet.clock,
                holder=lambda run, by, reason: Holder(
                    run, by, reason, "ctl", "boot", process, process
                ),
                driver_gone=self.is_gone,
                listener=self.notifications.append,
                delivery=deliver_at_once,
                background=self.fleet.clock.background,
                approvers=Approvers({p: (f"login:{p}", f"slack:T1/{p}") for p in PEOPLE}),
            )
        )

    def start(self, engine: Engine, *blocks: str) -> RunResult:
        """Start a run of a runbook with these step blocks, and return its result."""
        plan = engine.planner.plan(write_runbook(self.path, *blocks), self.path, {})
        return engine.start(plan, "ada", "why")

    def restarted(self) -> list[str]:
        """Return the hosts of all restarts, in order."""
        return [event.host for event in self.fleet.history if event.action == "restart"]

    def kill_drivers(self) -> None:
        """Mark every driver started so far as dead."""
        self.dead_processes |= set(range(1, self.drivers_started + 1))
