"""What nova and its services report: the service list, a compute's work, replies, a unit's log.

``host`` is always the name in the inventory, ``known_as`` the name that nova has for the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.nova_services import binary_of

SILENT_CELL = "UNKNOWN"  # nova's status of a service whose cell's database does not answer


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

    @property
    def name(self) -> str:
        """For messages, with nova's name for the host."""
        return f"{self.binary} on {self.known_as}"


@dataclass(frozen=True, slots=True)
class ServiceList:
    """What the inventory expects and what nova lists."""

    expected: Sequence[ExpectedService]
    listed: Sequence[ListedService]

    def entry(self, expected: ExpectedService) -> ListedService | None:
        """Return nova's entry for an expected service, None where it lists none."""
        wanted = (binary_of(expected.service), expected.known_as)
        return next((each for each in self.listed if (each.binary, each.known_as) == wanted), None)

    def expected_on(self, service: str, host: str) -> ExpectedService | None:
        """Return the service that the inventory expects on a host, None where it expects none."""
        wanted = (service, host)
        return next((each for each in self.expected if (each.service, each.host) == wanted), None)

    def hides(self, expected: ExpectedService) -> bool:
        """Return whether a cell's silent database may be why the entry is empty or missing."""
        entry = self.entry(expected)
        silent = not self.listed or any(each.status == SILENT_CELL for each in self.listed)
        return silent if entry is None else entry.status == SILENT_CELL


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance on a compute; ``task`` is its task_state, "" for none."""

    id: str
    status: str
    task: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration from or to a compute."""

    id: str
    kind: str
    status: str


@dataclass(frozen=True, slots=True)
class ComputeWork:
    """What a compute has in flight, and its service as listed before and after that was read.

    An API whose cell's database is silent answers 200 with empty lists (seen on nova 26), so the
    lists count only if nova listed the service both before and after.
    """

    host: str
    before: ListedService | None
    instances: Sequence[Instance]
    migrations: Sequence[Migration]
    after: ListedService | None


@dataclass(frozen=True, slots=True)
class RpcReplies:
    """What came back for the ``sent`` pings to one service on one host.

    ``no_queue``: the broker has no queue of that service. ``error``: the class of the exception
    that the service answered with, "" for none.
    """

    sent: int
    answered: int = 0
    no_queue: bool = False
    error: str = ""


RpcRound = Mapping[ExpectedService, RpcReplies]
"""One round of pings to several services."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """``status`` 0: there was no reply; ``cause`` says why, and is "" otherwise."""

    status: int
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ApiReplies:
    """One host's nova-api. ``root``: the list of versions; ``call``: a request with a token.

    ``call`` is None where it was not made: the root gave no reply, or there was no token and
    ``no_token`` says why.
    """

    root: HttpReply
    call: HttpReply | None
    no_token: str = ""


@dataclass(frozen=True, slots=True)
class MetadataReplies:
    """One host's metadata service. ``unsigned``: a request without headers; ``signed``: as neutron signs it.

    Both are None where they were not made: the root gave no reply, or the site names no shared
    secret. ``known``: the signed request was for a real instance.
    """

    root: HttpReply
    unsigned: HttpReply | None
    signed: HttpReply | None
    known: bool = False


PeerReplies = Mapping[str, RpcReplies | ApiReplies | MetadataReplies]
"""Per host what one service answered: all hosts of its group."""


@dataclass(frozen=True, slots=True)
class UnitLog:
    """What a unit logged since its start: all lines, and complaints about messaging by kind.

    ``since`` and ``last`` (the newest complaint) are in the host's local time; ``last`` is ""
    without any complaint.
    """

    host: str
    unit: str
    log: str
    since: str
    lines: int
    complaints: Mapping[str, int]
    last: str
