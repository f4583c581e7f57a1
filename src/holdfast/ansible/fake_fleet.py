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
    def well(self) -> bool:
        """Whether everything on it runs and works."""
        return self.healthy and all(unit.active for unit in self.units.values())

    @property
    def serving(self) -> bool:
        """Whether clients get an answer from it."""
        return self.well and not self.drained_by


@dataclass(frozen=True)
class FleetEvent:
    """Something that was done to a host: the fleet's own record."""

    at: datetime
    host: str
    what: str
    run: str
    unit: str
    out: frozenset[str]


@dataclass(frozen=True)
class Fault:
    """Something goes wrong for ``host`` just before ``when`` begins there (for the ``nth`` time).

    ``kind``: ``unreachable``, ``sick`` (active, fails its gates), ``dead`` (its units stop), ``broken`` (its
    next restart does not come back), ``undecided`` (its gates answer UNKNOWN).
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
    troubles: list[Fault] = field(default_factory=list)
    history: list[FleetEvent] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    undecided: set[str] = field(default_factory=set)
    _reached: dict[tuple[str, Phase], int] = field(default_factory=dict)

    @classmethod
    def of(cls, names: list[str]) -> FakeFleet:
        """A healthy fleet."""
        return cls({name: FakeHost(name) for name in names})

    def out(self) -> frozenset[str]:
        """Who does not serve now."""
        return frozenset(name for name, host in self.hosts.items() if not host.serving)

    def note(self, host: str, what: str, run: str, unit: str) -> None:
        """Write into the fleet's own record, after the fact."""
        self.history.append(FleetEvent(self.clock(), host, what, run, unit, self.out()))

    def reach(self, host: str, phase: Phase) -> None:
        """A host's phase is about to begin: let happen what was arranged for this moment."""
        moment = (host, phase)
        self._reached[moment] = self._reached.get(moment, 0) + 1
        for trouble in self.troubles:
            if trouble.before == moment and trouble.nth == self._reached[moment]:
                self._strike(trouble)

    def repair(self) -> None:
        """What a good operator does before a resume: every host reachable, started and well."""
        self.broken.clear()
        self.undecided.clear()
        for host in self.hosts.values():
            host.reachable = host.healthy = True
            for name, unit in host.units.items():
                if not unit.active:
                    unit.active = True
                    unit.started += 1
                    self.note(host.name, "repaired", "", name)

    def restarts(self) -> dict[tuple[str, str], int]:
        """How often plays restarted each unit of each host."""
        counted: dict[tuple[str, str], int] = {}
        for happening in self.history:
            if happening.what == "restart":
                where = (happening.host, happening.unit)
                counted[where] = counted.get(where, 0) + 1
        return counted

    def _strike(self, trouble: Fault) -> None:
        host = self.hosts[trouble.host]
        if trouble.kind == "unreachable":
            host.reachable = False
        elif trouble.kind == "sick":
            host.healthy = False
        elif trouble.kind == "dead":
            for unit in host.units.values():
                unit.active = False
        elif trouble.kind == "broken":
            self.broken.add(trouble.host)
        elif trouble.kind == "undecided":
            self.undecided.add(trouble.host)
        else:
            raise ValueError(trouble.kind)
