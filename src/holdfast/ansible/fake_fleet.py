"""A fleet in memory: hosts, what goes wrong with them, and a record of what was done to them.

The record is the fleet's own, written after the fact: tests believe it instead of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from holdfast.model import Phase


@dataclass
class FakeClock:
    """Time that passes only when somebody waits; ``on_tick`` is called after every step."""

    now: datetime = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
    on_tick: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self) -> datetime:
        """The present moment."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let that many seconds pass."""
        self.now += timedelta(seconds=seconds)
        for listener in tuple(self.on_tick):
            listener()

    @contextmanager
    def background(self, beat: Callable[[], None]) -> Iterator[None]:
        """The engine's ``Background`` without a thread: the beat follows every step of time."""
        self.on_tick.append(beat)
        try:
            yield
        finally:
            self.on_tick.remove(beat)


@dataclass
class FakeUnit:
    """A unit of one host. ``started`` counts its starts, so it tells InvocationIDs apart."""

    started: int = 1
    active: bool = True


@dataclass
class FakeHost:
    """One host; its units exist from the moment somebody names them."""

    name: str
    units: dict[str, FakeUnit] = field(default_factory=dict)
    drained_by: str = ""
    reachable: bool = True
    healthy: bool = True
    leaders: int = 0

    def unit(self, name: str) -> FakeUnit:
        """The unit of that name."""
        return self.units.setdefault(name, FakeUnit())

    def invocation_id(self, unit: str) -> str:
        """A new one for every start, as systemd does."""
        return f"{self.name}-{unit}-{self.unit(unit).started}"

    @property
    def operational(self) -> bool:
        """Whether everything on it runs and works."""
        return self.healthy and all(unit.active for unit in self.units.values())

    @property
    def serving(self) -> bool:
        """Whether clients get an answer from it."""
        return self.operational and not self.drained_by


@dataclass(frozen=True)
class FleetEvent:
    """Something that was done to a host: the fleet's own record."""

    at: datetime
    host: str
    action: str
    run: str
    unit: str
    not_serving: frozenset[str]


@dataclass(frozen=True)
class Fault:
    """Something goes wrong for ``host`` just before ``when`` begins there (for the ``nth`` time).

    ``kind``: ``unreachable``, ``unhealthy`` (active, fails its gates), ``stopped`` (its units stop),
    ``restart_fails`` (its next restart does not come back), ``unknown`` (its gates answer UNKNOWN).
    """

    host: str
    kind: str
    before: tuple[str, Phase]
    nth: int = 1


@dataclass
class FakeFleet:
    """Hosts, what went wrong with them, and what was done to them."""

    hosts: dict[str, FakeHost]
    clock: FakeClock = field(default_factory=FakeClock)
    faults: list[Fault] = field(default_factory=list)
    history: list[FleetEvent] = field(default_factory=list)
    restart_fails: set[str] = field(default_factory=set)
    answer_unknown: set[str] = field(default_factory=set)
    _phases_begun: dict[tuple[str, Phase], int] = field(default_factory=dict)

    @classmethod
    def of(cls, names: list[str]) -> FakeFleet:
        """A healthy fleet."""
        return cls({name: FakeHost(name) for name in names})

    def not_serving(self) -> frozenset[str]:
        """Who does not serve now."""
        return frozenset(name for name, host in self.hosts.items() if not host.serving)

    def record(self, host: str, action: str, run: str, unit: str) -> None:
        """Write into the fleet's own record, after the fact."""
        self.history.append(FleetEvent(self.clock(), host, action, run, unit, self.not_serving()))

    def begin_phase(self, host: str, phase: Phase) -> None:
        """A host's phase is about to begin: let happen what was arranged for this moment."""
        moment = (host, phase)
        self._phases_begun[moment] = self._phases_begun.get(moment, 0) + 1
        for fault in self.faults:
            if fault.before == moment and fault.nth == self._phases_begun[moment]:
                self._apply_fault(fault)

    def repair(self) -> None:
        """What a good operator does before a resume: every host reachable, started and well."""
        self.restart_fails.clear()
        self.answer_unknown.clear()
        for host in self.hosts.values():
            host.reachable = host.healthy = True
            for name, unit in host.units.items():
                if not unit.active:
                    unit.active = True
                    unit.started += 1
                    self.record(host.name, "repaired", "", name)

    def restarts(self) -> dict[tuple[str, str], int]:
        """How often plays restarted each unit of each host."""
        counted: dict[tuple[str, str], int] = {}
        for event in self.history:
            if event.action == "restart":
                where = (event.host, event.unit)
                counted[where] = counted.get(where, 0) + 1
        return counted

    def _apply_fault(self, fault: Fault) -> None:
        host = self.hosts[fault.host]
        if fault.kind == "unreachable":
            host.reachable = False
        elif fault.kind == "unhealthy":
            host.healthy = False
        elif fault.kind == "stopped":
            for unit in host.units.values():
                unit.active = False
        elif fault.kind == "restart_fails":
            self.restart_fails.add(fault.host)
        elif fault.kind == "unknown":
            self.answer_unknown.add(fault.host)
        else:
            raise ValueError(fault.kind)
