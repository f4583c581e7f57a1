"""The decisions that ``decide`` can return: everything that the engine can do next."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.journal.events import InspectionKind
from holdfast.journal.run_state import Failure
from holdfast.model import Json, Phase
from holdfast.runbook.model import SettleSpec


@dataclass(frozen=True, slots=True)
class Inspect:
    """Start a play that touches nothing (``events.InspectionKind`` says what for)."""

    step: int
    what: InspectionKind
    claims: tuple[Json, ...] = ()
    hosts: tuple[str, ...] = ()
    settle: SettleSpec | None = None
    deadline_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class TakeLease:
    """Take every scope the plan needs."""


@dataclass(frozen=True, slots=True)
class BeginStep:
    """Begin the next step."""

    step: int
    title: str


@dataclass(frozen=True, slots=True)
class EndStep:
    """End a step, which succeeded."""

    step: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Start one play for these hosts; ``sweep`` are the hosts done earlier, checked first."""

    step: int
    hosts: tuple[str, ...]
    phases: tuple[Phase, ...]
    why: str
    sweep: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """Request the approvals of a step."""

    step: int
    question: str


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    """Wait a moment, then read the journal again."""

    step: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop: something was touched, and something failed or is not known."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Refuse:
    """Stop: something failed, and nothing was touched."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop on request of the person ``by``."""

    by: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the run: every step succeeded."""


Decision = (
    Inspect
    | TakeLease
    | BeginStep
    | EndStep
    | Roll
    | RequestApproval
    | AwaitApproval
    | Hold
    | Refuse
    | Abort
    | Finish
)
