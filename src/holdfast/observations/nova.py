"""What nova and its services report: the service list, a compute's work, replies, a unit's log.

``host`` is always the name in the inventory, ``known_as`` the name that nova has for the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from holdfast.model import Unanswered
from holdfast.nova_services import binary_of
from holdfast.observations.systemd import UnitStates

SILENT_CELL = "UNKNOWN"  # nova's status of a service whose cell's database does not answer
OURS = "holdfast:"  # how the reason begins with which a run of ours disables a service
AUTOMATIC = "AUTO:"  # how the reason begins with which nova-compute disables itself


@dataclass(frozen=True, slots=True)
class ExpectedService:
    """A service that the inventory expects on a host."""

    service: str
    host: str
    known_as: str

    @property
    def name(self) -> str:
        """For messages: ``nova-compute on cmp1``."""
        return f"{binary_of(self.service)} on {self.host}"

    @property
    def queue(self) -> str:
        """The service's own queue on the broker (oslo.messaging, "RPC Server")."""
        return f"{self.service}.{self.known_as}"


@dataclass(frozen=True, slots=True)
class ListedService:
    """One entry of nova's service list. A silent cell's entry has binary, known_as and status alone."""

    binary: str
    known_as: str
    status: str
    state: str
    updated_at: str
    disabled_reason: str
    forced_down: bool
    id: str = ""

    @property
    def name(self) -> str:
        """For messages, with nova's name for the host."""
        return f"{self.binary} on {self.known_as}"

    @property
    def is_up(self) -> bool:
        """Whether it reports heartbeats and nobody declared it down."""
        return self.state == "up" and not self.forced_down

    @property
    def is_taken_out(self) -> bool:
        """Whether people, or their tools, took it out of service: disabled, by no run of ours nor itself, and down."""
        by_others = not self.disabled_reason.startswith((OURS, AUTOMATIC))
        return self.status == "disabled" and by_others and not self.is_up


@dataclass(frozen=True, slots=True)
class ServiceList:
    """What the inventory expects and what nova lists. Both are found by name, however long the lists are.

    ``in_hand`` are nova's names of hosts of which nothing is expected just now.
    """

    expected: Sequence[ExpectedService]
    listed: Sequence[ListedService]
    in_hand: Sequence[str] = ()
    _entries: Mapping[tuple[str, str], list[ListedService]] = field(
        init=False, repr=False, compare=False
    )
    _twins: Mapping[tuple[str, str], list[ExpectedService]] = field(
        init=False, repr=False, compare=False
    )
    _silent: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort both lists by name."""
        entries: dict[tuple[str, str], list[ListedService]] = {}
        twins: dict[tuple[str, str], list[ExpectedService]] = {}
        for entry in self.listed:
            entries.setdefault((entry.binary, entry.known_as), []).append(entry)
        for each in self.expected:
            twins.setdefault(_key(each), []).append(each)
        silent = not self.listed or any(each.status == SILENT_CELL for each in self.listed)
        for name, value in (("_entries", entries), ("_twins", twins), ("_silent", silent)):
            object.__setattr__(self, name, value)  # the value itself is frozen

    def entries(self, expected: ExpectedService) -> Sequence[ListedService]:
        """Return all entries of nova for an expected service.

        There may be several: nova lists every cell's services, and what a host left in the cell that it was moved from.
        """
        return self._entries.get(_key(expected), [])

    def twins(self, expected: ExpectedService) -> Sequence[ExpectedService]:
        """Return the expected services that nova knows by the same name, this one included."""
        return self._twins.get(_key(expected), [])

    def expected_on(self, service: str, host: str) -> ExpectedService | None:
        """Return the service that the inventory expects on a host, None where it expects none."""
        wanted = (service, host)
        return next((each for each in self.expected if (each.service, each.host) == wanted), None)

    def hides(self, expected: ExpectedService) -> bool:
        """Return whether a cell's silent database may be why an entry is empty or missing."""
        entries = self.entries(expected)
        return any(each.status == SILENT_CELL for each in entries) if entries else self._silent


def _key(expected: ExpectedService) -> tuple[str, str]:
    return binary_of(expected.service), expected.known_as


IN_CREATION = {"BUILD", "REBUILD"}  # an instance's statuses
ENDED = {"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"}
WAITS_FOR_USER = "finished"  # a resize to be confirmed, perhaps days from now


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance on a compute; ``task`` is its task_state, "" for none."""

    id: str
    status: str
    task: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration from or to a compute.

    ``idle_hours``: how long nova has not written to it. ``at_rest``: what nova says of its instance where that has no
    task, "" where it has one or was not asked about.
    """

    id: str
    kind: str
    status: str
    idle_hours: float = 0.0
    at_rest: str = ""

    @property
    def is_open(self) -> bool:
        """Whether its status says that it is in flight; a new status of nova's counts as in flight."""
        return self.status not in {*ENDED, WAITS_FOR_USER}


@dataclass(frozen=True, slots=True)
class ComputeWork:
    """What a compute has in flight, and its service as listed before and after that was read.

    An API whose cell's database is silent answers 200 with empty lists (seen on nova 26), so the
    lists count only if nova listed the service both before and after. ``before`` and ``after`` are all entries of it.
    """

    host: str
    before: Sequence[ListedService]
    instances: Sequence[Instance]
    migrations: Sequence[Migration]
    after: Sequence[ListedService]


@dataclass(frozen=True, slots=True)
class RpcReplies:
    """What came back for the ``sent`` pings to one service on one host.

    ``no_queue``: the broker has no queue of that service. ``error``: the class of the exception
    that the service answered with, "" for none. ``quickest``: seconds until the first answer came, of all calls the
    least; 0 without an answer.
    """

    sent: int
    answered: int = 0
    no_queue: bool = False
    error: str = ""
    quickest: float = field(default=0.0, compare=False)


RpcRound = Mapping[ExpectedService, RpcReplies]
"""One round of pings to several services."""


@dataclass(frozen=True, slots=True)
class RpcAnswers:
    """One round of pings, and nova's list of these services where one did not answer all of them."""

    replies: RpcRound
    listed: ServiceList | Unanswered | None = None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """``status`` 0: there was no reply; ``cause`` says why. Of a refusal (401, 403) it says whose login was refused.

    ``strange``: how the body differs from that of the service, "" where it does not or was not read; and that TLS is
    spoken where the site says that it is not, or the other way round.
    """

    status: int
    cause: str = ""
    strange: str = ""


@dataclass(frozen=True, slots=True)
class ApiReplies:
    """One host's nova-api. ``root``: the list of versions; ``call``: a request with a token.

    ``call`` is None where it was not made: the root gave no reply, or there was no token and
    ``no_token`` says why. ``login_refused``: by keystone or by nova.
    """

    root: HttpReply
    call: HttpReply | None
    no_token: str = ""
    login_refused: bool = False


@dataclass(frozen=True, slots=True)
class MetadataReplies:
    """One host's metadata service. ``instance``: a request without headers, and one as neutron signs it.

    None where they were not made: the root gave no reply, or the site names no shared
    secret. ``known``: the signed request was for a real instance.
    """

    root: HttpReply
    instance: tuple[HttpReply, HttpReply] | None
    known: bool = False


PeerReplies = Mapping[str, RpcReplies | ApiReplies | MetadataReplies]
"""Per host what one service answered: all hosts of its group."""


class LogPosition(BaseModel):
    """Where a log file ended before an act: its inode, its size, and a digest of what it ended with.

    ``digest`` is of the last ``DIGESTED`` bytes before ``size`` (SHA-256), so that a file is known again after a
    rotation, and another one with a reused inode is not taken for it. ``processes`` are those of the unit at that
    moment: what they still log until they end is not the new start's. Without ``digest`` nothing is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inode: int = 0
    size: int = 0
    digest: str = ""
    processes: tuple[int, ...] = ()


DIGESTED = 1024

LogSpan = Literal["act", "running", "start"]
"""Which part of a log is read, none of them told by a clock.

``act``: what was written after the noted position, but by the processes from before. ``running``: the lines of the
processes that run now, where no position is known or its file is gone. ``start``: the journal of the present start.
"""


@dataclass(frozen=True, slots=True)
class UnitLog:
    """What a unit logged within ``span``: all lines, and complaints about messaging by kind.

    ``last`` is the time of the newest complaint as the log has it, "" without any. ``levels`` are the lines, of any
    process, with a level such as INFO. ``unnamed``: no line names the process that wrote it. ``missing``: there is no
    such file, so the journal was read. ``cut``: there are more lines than were read.
    """

    host: str
    unit: str
    log: str
    span: LogSpan
    lines: int
    complaints: Mapping[str, int]
    last: str = ""
    levels: int = 0
    unnamed: bool = False
    missing: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class FleetUnits:
    """The unit of every service on its host, and nova's list where one does not run: it names what people took out."""

    units: UnitStates
    listed: ServiceList | Unanswered | None = None


@dataclass(frozen=True, slots=True)
class FleetLogs:
    """The log of every service's unit, and nova's list where one cannot be told."""

    logs: Mapping[str, UnitLog | Unanswered]
    listed: ServiceList | Unanswered | None = None


@dataclass(frozen=True, slots=True)
class Interruptions:
    """How often a service lost its heartbeat, and of its connections to brokers the one that was lost most often.

    Within a window until now, by ``log``. ``last``: how many seconds ago the newest loss was logged, None without any.
    """

    host: str
    log: str
    heartbeats: int
    connections: int
    last: float | None = None


@dataclass(frozen=True, slots=True)
class FleetInterruptions:
    """The interruptions of every service that is called, and nova's list where one cannot be told."""

    services: Mapping[str, Interruptions | Unanswered]
    listed: ServiceList | Unanswered | None = None


@dataclass(frozen=True, slots=True)
class ServiceHost:
    """By what name nova on a host goes (``name``), where that was read, and what the inventory calls it (``known_as``).

    ``from_variable``: the inventory has ``nova_service_host``; without it ``known_as`` is the host's name there.
    """

    host: str
    known_as: str
    from_variable: bool
    name: str
    source: str
