"""A fleet in memory: hosts, faults that happen to them, and a record of the acts on them.

The record is written by the fleet itself after each act: tests check it instead of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.engine.kept_error import KeptError
from holdfast.errors import CannotTell
from holdfast.marking import READ, SWAP
from holdfast.model import Act, Phase
from holdfast.probes.base import CommandResult


@dataclass
class FakeClock:
    """A clock that advances only in ``wait``; every wait calls the functions of ``on_tick``."""

    now: datetime = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
    on_tick: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self) -> datetime:
        """Return the present time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let that many seconds pass."""
        self.now += timedelta(seconds=seconds)
        for listener in tuple(self.on_tick):
            listener()

    @contextmanager
    def background(self, beat: Callable[[], None]) -> Iterator[None]:
        """Call ``beat`` after every wait: the engine's ``Background`` without a thread."""
        self.on_tick.append(beat)
        try:
            yield
        finally:
            self.on_tick.remove(beat)


@contextmanager
def deliver_at_once(
    listener: Callable[[Any], None], failed: Callable[[Exception], None]
) -> Iterator[Callable[[Any], None]]:
    """Call the listener in the caller's thread: the engine's ``Delivery`` without a thread."""
    kept = KeptError()

    def put(message: Any) -> None:
        before = kept.error
        if before is None:
            with kept:
                listener(message)
            if error := kept.error:
                failed(error)

    yield put


@dataclass
class FakeUnit:
    """A unit of one host. ``started`` counts its starts and makes its InvocationIDs."""

    started: int = 1
    active: bool = True


@dataclass
class FakeHost:
    """One host; a unit exists from the first time that it is named."""

    name: str
    units: dict[str, FakeUnit] = field(default_factory=dict)
    drained_by: str = ""
    answers_as: str = ""  # by which name, where that is not its own
    reachable: bool = True
    healthy: bool = True
    leaders: int = 0
    marks: dict[str, str] = field(default_factory=dict)

    def unit(self, name: str) -> FakeUnit:
        """Return the unit of that name."""
        return self.units.setdefault(name, FakeUnit())

    def invocation_id(self, unit: str) -> str:
        """Return the unit's InvocationID: a new one for every start, as with systemd."""
        return f"{self.name}-{unit}-{self.unit(unit).started}"

    def runs_as(self, starts: Mapping[str, str]) -> bool:
        """Return whether it is operational and each of these units has this InvocationID."""
        for name, start in starts.items():
            unit = self.units.get(name)
            if unit is None or start != f"{self.name}-{name}-{unit.started}":
                return False
        return self.operational

    @property
    def operational(self) -> bool:
        """Whether it is healthy and all of its units are active."""
        for unit in self.units.values():
            if not unit.active:
                return False
        return self.healthy

    @property
    def serving(self) -> bool:
        """Whether it is operational and not drained."""
        return self.operational and not self.drained_by


@dataclass(frozen=True)
class FakeShell:
    """Runs the scripts of ``holdfast.marking`` on the marks of a host."""

    host: FakeHost
    clock: FakeClock

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Return what the script prints."""
        if not self.host.reachable:
            raise CannotTell("the host is unreachable")
        script, arguments = argv[2], argv[5:]  # [4] is the directory
        if script == READ:
            lines = ["boot", str(self.clock.now.timestamp())]
            lines += [f"{service}.mark\t{text}" for service, text in self.host.marks.items()]
            return CommandResult(0, "\n".join(lines), "")
        assert script == SWAP, script
        service, before, after = arguments
        if self.host.marks.get(service, "") != before:
            return CommandResult(0, "changed\n", "")
        self.host.marks.pop(service, None)
        if after:
            self.host.marks[service] = after
        return CommandResult(0, "swapped\n", "")


@dataclass(frozen=True)
class FleetEvent:
    """One entry of the fleet's own record: an action on a host, and which hosts did not serve then."""

    at: datetime
    host: str
    action: str
    run: str
    unit: str
    not_serving: frozenset[str]


@dataclass(frozen=True)
class Fault:
    """Something that happens to ``host`` when the host and phase of ``before`` begin, the ``nth`` time.

    ``kind``: ``unreachable``, ``unhealthy`` (active, fails its gates), ``stopped`` (its units stop),
    ``restart_fails`` (its next restart does not come back), ``unknown`` (its gates answer UNKNOWN).
    """

    host: str
    kind: str
    before: tuple[str, Phase]
    nth: int = 1


@dataclass
class FakeFleet:
    """Hosts, the faults that will happen to them, and the record of the acts on them.

    ``brokers``: they behave as roles/rabbitmq and its service do, otherwise as roles/nova: a restart ends a drain, the
    others are proved again just before it, and a doubt gives the host back. ``depended_on``: hosts whose restart comes
    first and that are to be alone in hand, with their place among them.
    """

    hosts: dict[str, FakeHost]
    brokers: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    faults: list[Fault] = field(default_factory=list)
    history: list[FleetEvent] = field(default_factory=list)
    restart_fails: set[str] = field(default_factory=set)
    act_fails: set[tuple[str, Act]] = field(default_factory=set)
    answer_unknown: set[str] = field(default_factory=set)
    doubt: str = "no answer from"  # how the verdict about those begins
    never_idle: set[str] = field(default_factory=set)
    depended_on: dict[str, int] = field(default_factory=dict)
    verify_seconds: int = 1
    idle_seconds: int = 1  # from a drain to the restart
    _phases_begun: dict[tuple[str, Phase], int] = field(default_factory=dict)

    @classmethod
    def of(cls, names: list[str]) -> FakeFleet:
        """Return a healthy fleet."""
        return cls({name: FakeHost(name) for name in names})

    def shell(self, host: str) -> FakeShell:
        """Return a shell on the host."""
        return FakeShell(self.hosts[host], self.clock)

    def marks(self) -> dict[str, list[str]]:
        """Return which hosts have a mark, by service."""
        found: dict[str, list[str]] = {}
        for host in self.hosts.values():
            for service in host.marks:
                found.setdefault(service, []).append(host.name)
        return found

    def doubtful(self) -> Iterable[str]:
        """Return the hosts that are looked at to see who does not serve: all."""
        return self.hosts

    def not_serving(self) -> frozenset[str]:
        """Return the hosts that do not serve now."""
        return frozenset(name for name in self.doubtful() if not self.hosts[name].serving)

    def ill(self) -> frozenset[str]:
        """Return the hosts that are not operational."""
        return frozenset(name for name in self.doubtful() if not self.hosts[name].operational)

    def silent(self) -> frozenset[str]:
        """Return the hosts that give no answer."""
        return frozenset(name for name in self.doubtful() if not self.hosts[name].reachable)

    def leaders(self) -> dict[str, int]:
        """Return how many leaders each host has; none for a service without."""
        counts = {name: self.hosts[name].leaders for name in self.doubtful()}
        return counts if any(counts.values()) else {}

    def record(self, host: str, action: str, run: str, unit: str) -> None:
        """Append to the fleet's own record, after the action."""
        self.history.append(FleetEvent(self.clock(), host, action, run, unit, self.not_serving()))

    def begin_phase(self, host: str, phase: Phase) -> None:
        """Let the faults happen that are due before this phase of this host."""
        moment = (host, phase)
        self._phases_begun[moment] = self._phases_begun.get(moment, 0) + 1
        for fault in self.faults:
            if fault.before == moment and fault.nth == self._phases_begun[moment]:
                self._apply_fault(fault)

    def repair(self) -> None:
        """Make every host reachable, started and healthy, as an operator does before a resume."""
        self.restart_fails.clear()
        self.act_fails.clear()
        self.answer_unknown.clear()
        for host in self.hosts.values():
            host.reachable = host.healthy = True
            for name, unit in host.units.items():
                if not unit.active:
                    unit.active = True
                    unit.started += 1
                    self.record(host.name, "repaired", "", name)

    def restarts(self) -> dict[tuple[str, str], int]:
        """Return how often plays restarted each unit of each host."""
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


class SteadyFleet(FakeFleet):
    """A fleet of many hosts to which nothing happens but what runs do: who was acted on is looked at, not all.

    It keeps no record of acts; how often a unit was started says how often it was restarted.
    """

    _acted_on: tuple[str, ...] = ()

    def doubtful(self) -> Iterable[str]:
        """Return the hosts that do not serve because of an act."""
        self._acted_on = tuple(name for name in self._acted_on if not self.hosts[name].serving)
        return self._acted_on

    def record(self, host: str, action: str, run: str, unit: str) -> None:
        """Look at the host from now on."""
        self._acted_on = (*self._acted_on, host)
