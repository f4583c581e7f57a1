"""What systemd reports about a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.model import Unanswered


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit's state (systemctl(1), "show").

    ``invocation_id`` is the id that systemd gives the unit at every start, "" where it never ran.
    ``restarts`` counts the starts that systemd made on its own since somebody last started the unit.
    ``age`` is how many seconds ago it became active, by the host's own clock; None where that is not known.
    """

    host: str
    name: str
    load_state: str
    active_state: str
    sub_state: str
    kind: str
    result: str
    invocation_id: str
    restarts: int
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """What a host says it is, whatever the inventory calls it.

    ``hostname`` is the kernel's (uname(1)), ``machine_id`` that of machine-id(5), ``boot_id`` the kernel's,
    ``booted`` the start of its first process in clock ticks, ``namespace`` that of its processes.
    Machines of one image share some of them, and containers others; one machine under two names shares all.
    """

    hostname: str
    machine_id: str
    boot_id: str
    booted: str
    namespace: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """One unit on several hosts: per host its state and the machine, or why there is no answer.

    ``names`` are all hosts of the inventory.
    """

    unit: str
    hosts: Mapping[str, tuple[UnitState, Machine] | Unanswered]
    names: Sequence[str]


UnitStates = Mapping[str, UnitState | Unanswered]
"""Several units on their hosts, by their names for messages such as ``nova-compute on cmp1``."""


@dataclass(frozen=True, slots=True)
class UnitStarts:
    """A unit and how often systemd started it within some seconds; None where the journal does not tell."""

    unit: UnitState
    starts: int | None


StartsWithin = Mapping[str, UnitStarts | Unanswered]
"""Several units on their hosts, by their names for messages."""


def unit_on(host: str, unit: str) -> str:
    """Return the name of a host's unit in ``UnitStates``."""
    return f"{unit} on {host}"


@dataclass(frozen=True, slots=True)
class StopTimeout:
    """How many seconds systemd lets the unit stop before it kills it; infinity where it never does."""

    host: str
    unit: str
    seconds: float
