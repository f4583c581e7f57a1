"""What Puppet's agents leave on their hosts: the disabled lock, the run lock, the summary and report of the last run.

``host`` is always the name in the inventory. Times are seconds since the epoch, by the host's own clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.model import Unanswered

OURS = "holdfast:"
"""How the message begins with which a run of Holdfast disables an agent; the run's id follows, then ``: `` and why."""


def run_of(message: str) -> str:
    """Return the run that disabled an agent with this message; "" where none of ours did."""
    return message.removeprefix(OURS).split(": ")[0].strip() if message.startswith(OURS) else ""


@dataclass(frozen=True, slots=True)
class RunLock:
    """The lock of a run: the process that it names, and that process's command, "" where there is no such process."""

    pid: int
    command: str

    @property
    def in_flight(self) -> bool:
        """Whether the process is an agent: Puppet itself takes a lock with any other for stale (its Pidlock)."""
        return "puppet" in self.command


@dataclass(frozen=True, slots=True)
class LastRun:
    """The summary of the agent's last run, and what its report says of whether the summary can be believed.

    ``at`` is when it ended, also of a run that failed. ``total`` and the counts are None where the summary has none:
    the catalog was not compiled or not applied. ``completed``, ``cached``, ``noop`` and ``status`` are the report's,
    None or "" where there is no report of that run.
    """

    at: float
    version: str
    total: int | None
    failed: int | None
    failed_to_restart: int | None
    failures: int | None
    transaction: str = ""
    began: float | None = None
    completed: bool | None = None
    cached: str = ""
    noop: bool | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent of one host, read at ``now``.

    ``disabled`` is the message of its disabled lock, None where there is no lock, and ``disabled_at`` when it was made.
    ``drivers`` are what starts it by
    itself, such as ``puppet.service``, a timer or a file of cron.
    """

    host: str
    now: float
    disabled: str | None
    lock: RunLock | None
    last: LastRun | None
    drivers: Sequence[str] = ()
    disabled_at: float | None = None

    @property
    def age(self) -> float | None:
        """How many seconds ago its last run ended; None where it never ran."""
        return None if self.last is None else self.now - self.last.at


Agents = Mapping[str, Agent | Unanswered]
"""The agents of several hosts, by host; or why one gave no answer."""


@dataclass(frozen=True, slots=True)
class PuppetReport:
    """A run's or a preview's own report: whether it can be believed, and what it changed, or would have.

    ``changes`` has the properties of each resource that was, or would be, changed; ``refreshes`` the resources that
    were, or would be, refreshed because another changed: a service is restarted. ``failed`` are resources that failed.
    """

    began: float
    noop: bool
    completed: bool
    cached: str
    status: str
    transaction: str
    changes: Mapping[str, Sequence[str]]
    refreshes: frozenset[str]
    failed: tuple[str, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """Return the units that are restarted, started or stopped, as far as Puppet knows them as services."""
        found = _titles({*self.changes, *self.refreshes}, "Service")
        return tuple(sorted(name.removesuffix(".service") for name in found))

    @property
    def restarts(self) -> Mapping[str, str]:
        """Return, by unit, what is done to each of ``services`` of which a process may begin or end anew.

        One that is only enabled or disabled at boot is left out.
        """
        ensured = (name for name, how in self.changes.items() if "ensure" in how)
        done = dict.fromkeys(_titles(ensured, "Service"), "starts or stops")
        done |= dict.fromkeys(_titles(self.refreshes, "Service"), "restarts")
        return {name.removesuffix(".service"): what for name, what in done.items()}

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the titles of the packages that are changed, whose own scripts may restart services."""
        return tuple(sorted(_titles(self.changes, "Package")))

    @property
    def lines(self) -> frozenset[str]:
        """Return what it does, a line for each resource: for comparing it with another."""
        changed = {f"{name} ({', '.join(how)})" for name, how in self.changes.items()}
        refreshed = {f"{name} (refreshed)" for name in self.refreshes}
        return frozenset(changed | refreshed)


def _titles(names: Iterable[str], kind: str) -> Iterator[str]:
    """Yield the titles of the resources of one type."""
    for name in names:
        if name.startswith(f"{kind}["):
            yield name.removeprefix(f"{kind}[").removesuffix("]")


@dataclass(frozen=True, slots=True)
class HostReports:
    """An agent with the reports of its last preview and of its last run; None where there is no such report.

    ``layers``: by unit, the service of nova that the site has in it on this host.
    """

    agent: Agent
    preview: PuppetReport | None
    run: PuppetReport | None
    layers: Mapping[str, Sequence[str]] = field(default_factory=dict)


FleetReports = Mapping[str, HostReports | Unanswered]
"""The reports of several hosts, by host; or why one gave no answer."""


@dataclass(frozen=True, slots=True)
class MassRun:
    """A process that runs agents on many hosts, or one that such a process has started: where, its PID, by which tool.

    Its command line is not kept: it may have passwords in it.
    """

    where: str
    pid: int
    tool: str


MassRuns = Mapping[str, Sequence[MassRun] | Unanswered]
"""The mass runs seen at each place that was looked at."""
