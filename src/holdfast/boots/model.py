"""What a boot test wants, does and finds, as frozen values. Pure; durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.model import LeaseMode

SCHEMA = 1
NOTHING_DELETED = "nothing was deleted"  # in the message of a clean-up that was refused
AT_ONCE = 20  # requests under way at the same time


class FailureKind(StrEnum):
    """Why a server did not become ACTIVE, by its fault's text or by what was not seen."""

    DEADLOCK = "deadlock"
    CERTIFICATION = "certification"
    RPC_TIMEOUT = "rpc_timeout"
    NO_VALID_HOST = "no_valid_host"
    QUOTA = "quota"
    NETWORK = "network"
    SLOW = "slow"
    OTHER = "other"


BootEnd = Literal["active", "failed", "unknown", "not_asked"]
"""How a boot ended; ``unknown``: it was asked for, and neither ACTIVE nor ERROR was seen."""


@dataclass(frozen=True, slots=True)
class WantedServer:
    """One server to boot: the compute by its inventory name and by nova's, its number there, and its name."""

    host: str
    known_as: str
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A server as nova lists it; ``doing`` is its status, with the task where there is one."""

    server: str
    name: str
    status: str
    doing: str
    message: str = ""
    details: str = ""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Boot(_Value):
    """One server of a test: when it was asked for and ended, since the test began, and how.

    ``fault`` is nova's text, or what was not seen; ``server`` nova's id, "" where none came.
    """

    host: str
    number: int
    name: str
    server: str = ""
    asked: float | None = None
    ended: float | None = None
    outcome: BootEnd = "not_asked"
    kind: FailureKind | None = None
    fault: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took from the request until its end was seen."""
        if self.asked is None or self.ended is None:
            return None
        return self.ended - self.asked


class Counters(_Value):
    """A database node's counters since its ``start``.

    ``failures``: of certification; ``aborts``: local transactions that a replicated one has killed; ``deadlocks``:
    InnoDB's.
    """

    start: str
    failures: int
    aborts: int
    deadlocks: int


class Conflicts(_Value):
    """The counters of a Galera cluster's nodes before and after the boots; a text where a node gave no answer."""

    before: Mapping[str, Counters | str] = Field(default_factory=dict)
    after: Mapping[str, Counters | str] = Field(default_factory=dict)


class Options(_Value):
    """What was asked for: ``failures`` may fail, each has ``within`` seconds, ``at_once`` requests are under way."""

    per_host: int = Field(default=1, ge=1)
    sample: int = Field(default=0, ge=0)
    flavor: str = Field(min_length=1)
    image: str = Field(min_length=1)
    network: str = "none"
    at_once: int = Field(default=AT_ONCE, ge=1, le=200)
    within: int = Field(default=300, ge=1)
    failures: int = Field(default=0, ge=0)


class BootTest(_Value):
    """A test: what was asked for, every boot, and what is left of it.

    ``ended`` is None while it runs, and where it died. ``left_out``: computes on which nothing was booted, and why.
    ``left``: names of servers that are not known to be deleted. ``stopped``: why it did not boot all, "" where it did.
    """

    schema_number: int = Field(default=SCHEMA, alias="schema")
    id: str
    site: str
    by: str
    began: datetime
    options: Options
    hosts: tuple[str, ...]
    left_out: Mapping[str, str] = Field(default_factory=dict)
    boots: tuple[Boot, ...] = ()
    conflicts: Conflicts | None = None
    seconds: float = 0.0
    stopped: str = ""
    left: tuple[str, ...] = ()
    ended: datetime | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def name_of(test: str, host: str, number: int) -> str:
    """Return the name of a server: it has the test's id, which no other server has."""
    return f"holdfast-{test}-{host}-{number}"


def wanted(test: str, hosts: Mapping[str, str], per_host: int) -> list[WantedServer]:
    """Return the servers to ask for, each host's first before any second; ``hosts``: inventory name to nova's."""
    return [
        WantedServer(host, known_as, number, name_of(test, host, number))
        for number in range(1, per_host + 1)
        for host, known_as in hosts.items()
    ]


def sample(hosts: Sequence[str], count: int) -> list[str]:
    """Return so many hosts, spread evenly over the inventory's order, the same each time; all for 0."""
    if not count or count >= len(hosts):
        return list(hosts)
    return [hosts[index * len(hosts) // count] for index in range(count)]


def scopes(site: str, groups: Mapping[str, Sequence[str]]) -> dict[str, LeaseMode]:
    """Return the leases of a test, all shared: while it lasts nobody restarts what its boots go through."""
    services = {"nova": "nova_api", "rabbitmq": "rabbitmq", "galera": "galera"}
    return {
        f"{site}/{service}": LeaseMode.SHARED
        for service, group in services.items()
        if groups.get(group)
    }
