"""The frozen values every other module speaks in: outcomes, verdicts, settling, units, hosts.

Owns no behaviour beyond what a value can answer about itself; does no I/O and reads no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StrictStr

Json = Any  # JSON-shaped data: what crosses Ansible, the journal and the database.

ClaimEntry = Annotated[StrictStr, Field(min_length=1)] | dict[str, Json]
"""How YAML names a claim: its name, or ``{claim: name, parameter: value, …}``."""

RUN_VARIABLE = "HOLDFAST_RUN"
"""Every play the engine starts carries its run in this environment variable, and so do all of its
children: a play that outlived its driver is found by it."""


class Outcome(StrEnum):
    """What a gate found; only ``PASS`` lets a run proceed (docs/vocabulary.md, "verdict")."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim judged once: the outcome, a stable reason code, a sentence and the evidence.

    ``reason`` is a snake_case code that programs may compare; ``message`` is for people and
    names hosts and figures. ``evidence`` is JSON-shaped, holds no secret and stays small.
    ``hosts`` carries what ordering may use: ``{"ctl1": {"healthy": True, "leaders": 3}}``.
    """

    claim: str
    outcome: Outcome
    reason: str
    message: str
    evidence: Mapping[str, Json] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True for PASS alone: an unknown is never a pass (design, "What a roll guarantees")."""
        return self.outcome is Outcome.PASS

    def as_json(self) -> dict[str, Json]:
        """Flatten for task results, the journal and logs."""
        return {
            "claim": self.claim,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "message": self.message,
            "evidence": dict(self.evidence),
            "hosts": {host: dict(facts) for host, facts in self.hosts.items()},
        }


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Fold verdicts into one outcome: any FAIL fails, else any UNKNOWN is unknown.

    Nothing judged is UNKNOWN: a gate that looked at nothing must not pass.
    """
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.PASS if outcomes == {Outcome.PASS} else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Settle:
    """How long a gate must hold: ``readings`` consecutive passes spread over ``span`` or more."""

    readings: int = 1
    span: timedelta = timedelta(0)


GATE_DEADLINE_SECONDS = 300
"""When a gate gives up unless the task, the site (``holdfast_gate_deadline_seconds``) or a step says otherwise."""


class Act(StrEnum):
    """Verbs that change something on a host; each is journaled before it happens."""

    DRAIN = "drain"
    RESTART = "restart"
    UNDRAIN = "undrain"


class Phase(StrEnum):
    """The parts of one host's turn, in order; plays run the ones named in ``holdfast_phases``."""

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
    """Who holds a lease: enough to name them to a person and to tell whether they still live.

    ``process`` and ``process_started`` (clock ticks since boot) with ``controller`` and ``boot_id``
    identify one operating-system process for good, so a dead holder is recognised on its own
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
    """Leases held by one run: the fencing token of each scope; tokens only ever grow."""

    run: str
    tokens: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit as its host describes it (systemctl(1), "show").

    ``invocation_id`` is systemd's fresh name for each start, "" where the unit never ran;
    ``restarts`` counts the starts that systemd made on its own.
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
