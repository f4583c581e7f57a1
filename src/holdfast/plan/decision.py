"""Everything the engine may be told to do next."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.journal import Failure
from holdfast.journal.events import InspectionKind
from holdfast.model import Json, Phase
from holdfast.runbook import SettleSpec


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
    """The next step begins."""

    step: int
    title: str


@dataclass(frozen=True, slots=True)
class EndStep:
    """The step ended well."""

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
class AskApproval:
    """Ask people the step's question."""

    step: int
    question: str


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    """Look into the journal again in a moment."""

    step: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop here: something was touched, and something is not as it must be."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Refuse:
    """Stop here: nothing was touched."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop here because somebody asked."""

    by: str


@dataclass(frozen=True, slots=True)
class Finish:
    """All steps ended well."""


Decision = (
    Inspect
    | TakeLease
    | BeginStep
    | EndStep
    | Roll
    | AskApproval
    | AwaitApproval
    | Hold
    | Refuse
    | Abort
    | Finish
)
