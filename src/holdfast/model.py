"""The frozen values that all modules share: outcomes, verdicts, settling, phases, leases.

No behaviour beyond what a value can compute from itself; no I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StrictStr

Json = Any  # JSON-shaped data: what passes through Ansible, the journal and the database

ClaimEntry = Annotated[StrictStr, Field(min_length=1)] | dict[str, Json]
"""How YAML names a claim: its name, or ``{claim: name, parameter: value, …}``."""

PLAY_VARIABLE = "HOLDFAST_PLAY"
"""Environment variable with the play's name within its run: two plays of a run may be alive, one of them parked."""

HOST_DIRECTORY = "/run/holdfast"
"""Where marks and the locks of units are on every host. Nothing else says so: two runs would not meet."""

RUN_VARIABLE = "HOLDFAST_RUN"
"""Environment variable with the run's id, set for every play that the engine starts and so for its
child processes: a play that outlived its driver is found by it."""


class Outcome(StrEnum):
    """Outcome of a gate or a verdict; only ``PASS`` lets a run proceed (docs/vocabulary.md, "verdict")."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim judged once: the outcome, a stable reason code, a message and the evidence.

    ``reason`` is a snake_case code that programs may compare; ``message`` is for people and
    names hosts and figures. ``evidence`` is JSON-shaped, small, and has no secret. ``hosts`` has facts
    that the order of a roll may use: ``{"ctl1": {"healthy": True, "leaders": 3}}`` (holdfast.evidence).
    """

    claim: str
    outcome: Outcome
    reason: str
    message: str
    evidence: Mapping[str, Json] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True for PASS alone: UNKNOWN never counts as PASS."""
        return self.outcome is Outcome.PASS

    def as_json(self) -> dict[str, Json]:
        """Return the verdict as task results, the journal and logs have it."""
        return {
            "claim": self.claim,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "message": self.message,
            "evidence": dict(self.evidence),
            "hosts": {host: dict(facts) for host, facts in self.hosts.items()},
        }


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Return one outcome for several verdicts: any FAIL is FAIL, else any UNKNOWN is UNKNOWN.

    No verdict at all is UNKNOWN: a gate that asked nothing must not pass.
    """
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.PASS if outcomes == {Outcome.PASS} else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Stands in a gate's history for the observation that a probe could not make; ``cause`` says why not.

    ``final`` where waiting cannot change that; ``login_refused`` where it seldom does.
    """

    cause: str
    final: bool = False
    login_refused: bool = False


Observation = Json | Unanswered
"""What a gate's history has of a reading: the probe's own type, or Unanswered; never None."""


@dataclass(frozen=True, slots=True)
class Settle:
    """How long a gate must hold: ``readings`` consecutive passes over at least ``span``."""

    readings: int = 1
    span: timedelta = timedelta(0)


GATE_DEADLINE_SECONDS = 300
"""When a gate gives up unless the task, the site (``holdfast_gate_deadline_seconds``) or a step says otherwise."""

SWEEP_SECONDS = 30
"""How old the last answer of a host done earlier may be when a batch begins, where the runbook says nothing else."""


class Act(StrEnum):
    """Operations that change something on a host; each is journaled before it happens.

    A freeze stops what changes the host by itself, such as Puppet's agent, and outlasts the host's turn. A copy is of
    data that nobody uses before a later act; a purge deletes what people have approved.
    """

    DRAIN = "drain"
    RESTART = "restart"
    UNDRAIN = "undrain"
    REBALANCE = "rebalance"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    COPY = "copy"
    PURGE = "purge"


class Phase(StrEnum):
    """The parts of one host's turn, in order; plays run those named in ``holdfast_phases``."""

    PREFLIGHT = "preflight"
    DRAIN = "drain"
    RESTART = "restart"
    VERIFY = "verify"
    UNDRAIN = "undrain"


ALL_PHASES: tuple[Phase, ...] = tuple(Phase)


class LeaseMode(StrEnum):
    """``EXCLUSIVE`` to change a service, ``SHARED`` to keep others from changing it meanwhile."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease: the run and person for messages, the process to check that it is alive.

    ``process`` and ``process_started`` (clock ticks since boot) with ``controller`` and ``boot_id``
    identify one operating-system process for good, so a dead holder is detected on its own
    controller without waiting for the expiry.
    """

    run: str
    by: str
    reason: str
    controller: str
    boot_id: str
    process: int
    process_started: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Leases held by one run: the fencing token of each scope. A later token is always greater."""

    run: str
    tokens: Mapping[str, int]
