"""Everything an engine needs, in memory: a fleet, its runbook, a clock, a journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from holdfast.ansible.fake_fleet import FakeFleet
from holdfast.ansible.fake_runner import FakeRunner
from holdfast.ansible.interfaces import Progress
from holdfast.engine import Dependencies, Engine, Planner
from holdfast.errors import InvalidInput, StateUnusable
from holdfast.journal.events import Event, Recorded
from holdfast.model import Holder, Json
from holdfast.plan import Playbook, Policy, SiteInventory
from holdfast.settings import Settings
from holdfast.store import Store, open_store

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


def runbook(path: Path, *blocks: str, name: str = "broker-restart", inputs: str = "{}") -> Path:
    """Write a runbook with these step blocks."""
    steps = "\n".join(
        STEP.format(number=number, title=f"Step {number}", block=block)
        for number, block in enumerate(blocks, 1)
    )
    target = path / f"{name}.md"
    target.write_text(RUNBOOK.format(name=name, steps=steps, inputs=inputs))
    return target


def policy(**given: Json) -> Policy:
    """A policy of a broker, or something like it."""
    return Policy(
        **{
            "service": "broker",
            "group": "broker",
            "batch_max": 5,
            "batch_max_reason": "tests say so",
            "order": ("unhealthy_first", "fewest_leaders_first"),
            "survey": ("fake.all_serve",),
        }
        | given
    )


@dataclass
class FakeSite:
    """An inventory; one group holds all hosts unless the test says otherwise."""

    groups: dict[str, tuple[str, ...]]
    name: str = "lab"

    def read(self, site: Path, limit: str) -> SiteInventory:
        every = {host for hosts in self.groups.values() for host in hosts}
        selected = every & set(limit.split(",")) if limit else None
        if selected is not None and not selected:
            raise InvalidInput(f"--limit {limit!r} matches no host of {site}")
        return SiteInventory(
            self.name, str(site), self.groups, None if selected is None else frozenset(selected)
        )


@dataclass
class FakePlaybooks:
    """Playbooks by name."""

    policies: dict[str, Policy]

    def read(self, name: str, variables: Mapping[str, Json]) -> Playbook:
        if name not in self.policies:
            raise InvalidInput(f"there is no playbook {name!r}")
        return Playbook(name, self.policies[name], frozenset({"unit"}))


class Crash(BaseException):
    """The driver is killed here; nothing may catch it."""


@dataclass
class Tripwire:
    """A journal that kills the driver right before or after its n-th new event."""

    store: Store
    at: int = 0
    after: bool = True
    seen: int = 0
    broken: bool = False

    def _passing(self, write: Callable[[], Recorded]) -> Recorded:
        self.seen += 1
        if self.broken:
            raise StateUnusable("the state database is on fire")
        if self.seen == self.at and not self.after:
            raise Crash
        recorded = write()
        if self.seen == self.at and self.after:
            raise Crash
        return recorded

    def append(self, run: str, event: Event) -> Recorded:
        return self._passing(lambda: self.store.append(run, event))

    def append_guarded(self, grant: Json, event: Event, now: datetime) -> Recorded:
        return self._passing(lambda: self.store.append_guarded(grant, event, now))

    def __getattr__(self, name: str) -> Json:
        return getattr(self.store, name)


@dataclass
class World:
    """One controller, one fleet. ``drivers`` tells living drivers apart, as processes would."""

    path: Path
    fleet: FakeFleet
    groups: dict[str, tuple[str, ...]]
    policies: dict[str, Policy] = field(default_factory=lambda: {"broker_restart.yml": policy()})
    heard: list[Recorded | Progress] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    drivers: int = 0
    known_claims: frozenset[str] = frozenset({"fake.all_serve", "fake.others_serve"})
    own_claims: frozenset[str] = frozenset()

    @classmethod
    def of(cls, path: Path, *hosts: str) -> World:
        return cls(path, FakeFleet.of(list(hosts)), {"broker": hosts})

    def __post_init__(self) -> None:
        settings = Settings("sqlite://", self.path)
        self.store = open_store(settings, gone=self.is_gone)
        self.tripwire = Tripwire(self.store)

    def is_gone(self, holder: Holder) -> bool:
        return holder.process in self.dead

    def claim_group(self, entry: Json) -> str:
        name = entry if isinstance(entry, str) else entry["claim"]
        if name in self.own_claims:
            return ""
        if name not in self.known_claims:
            raise InvalidInput(f"there is no claim {name!r}")
        return "broker"

    def engine(self, runner: FakeRunner | None = None) -> Engine:
        """A driver of its own: a new process, as far as leases can tell."""
        self.drivers += 1
        process = self.drivers
        return Engine(
            Dependencies(
                store=self.tripwire,  # type: ignore[arg-type]  # a store with a tripwire
                runner=runner or FakeRunner(self.fleet, self.tripwire),
                planner=Planner(
                    inventories=FakeSite(self.groups),
                    playbooks=FakePlaybooks(self.policies),
                    claim_group=self.claim_group,
                ),
                wait=self.fleet.clock.wait,
                clock=self.fleet.clock,
                holder=lambda run, by, reason: Holder(
                    run, by, reason, "ctl", "boot", process, process
                ),
                driver_gone=self.is_gone,
                listener=self.heard.append,
                background=self.fleet.clock.background,
            )
        )

    def kill_drivers(self) -> None:
        """Every driver so far is dead."""
        self.dead |= set(range(1, self.drivers + 1))
