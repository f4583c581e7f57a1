"""What a host itself says of a service: its unit, its processes, their connections, what they log lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.model import Unanswered
from holdfast.observations.systemd import UnitState

STOPPED = "T"
"""The state of a process that SIGSTOP, or a debugger, has stopped (proc(5), "stat")."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The connections of a service's processes to one address, in one state.

    ``name`` is ``host:port``, with the inventory's name of a broker where the address is one's. ``unacknowledged``: how
    often the kernel has sent the same data again without an answer.
    """

    name: str
    established: bool
    attempted: bool = False
    unacknowledged: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the processes that run now complain about: how often, and how many seconds ago the last time.

    ``age`` is by the log's own times, None where they cannot be read.
    """

    count: int
    age: float | None


@dataclass(frozen=True, slots=True)
class Login:
    """How a service logs in to its brokers, each part as a digest that is good for one comparison alone."""

    brokers: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """One service on its host.

    ``states`` are those of its processes (proc(5)), ``frozen`` whether its control group is. ``peers`` are its
    connections to the brokers' ports. ``complaints`` are by kind, ``earlier`` those of processes that have ended.
    ``stopped_for``: since when it does not run, in seconds. ``skew``: by how many seconds at least the host's clock
    differs from the controller's. ``full``: a directory of it whose file system has no space. ``waiting``: by port, how
    many clients the kernel has connected and the service has not taken.
    """

    service: str
    unit: UnitState
    unit_file: str = ""
    status: int = 0
    stopped_for: float | None = None
    states: Sequence[str] = ()
    frozen: bool = False
    peers: Sequence[Peer] = ()
    complaints: Mapping[str, Complaint] = field(default_factory=dict)
    earlier: Mapping[str, Complaint] = field(default_factory=dict)
    login: Login | None = None
    skew: float = 0.0
    full: str = ""
    waiting: Mapping[int, int] = field(default_factory=dict)


ServiceProcesses = Mapping[str, ServiceProcess | Unanswered]
"""Several services, by their names for messages such as ``nova-compute on cmp1``."""
