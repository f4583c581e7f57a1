"""The state of a run, as far as its journal tells. Only ``fold`` changes these values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from holdfast.journal.events import (
    Aborted,
    AbortRequested,
    ActDone,
    ActIntended,
    Approved,
    GateJudged,
    Held,
    Observed,
    Resumed,
    RunOpened,
    RunRefused,
)
from holdfast.model import Grant, Json, Phase


class Status(StrEnum):
    """How a run stands. ``RUNNING`` says only that no end is journaled: its driver may be dead."""

    RUNNING = "running"
    HELD = "held"
    ABORTED = "aborted"
    REFUSED = "refused"
    FINISHED = "finished"


@dataclass(slots=True)
class Restart:
    """A restart that was intended: the unit's InvocationID before it and, once known, after it."""

    unit: str
    before: str
    after: str = ""
    observed: Observed | None = None

    @property
    def happened(self) -> bool | None:
        """Whether the unit was restarted; None while nobody has asked the host."""
        if self.after:
            return True
        return None if self.observed is None else self.observed.invocation_id != self.before


@dataclass(slots=True)
class ActRecord:
    """An act, begun by the event ``seq``: its intent or, where a play journals none, its result.

    ``ended`` is when its result was journaled or, without one, when its play or its driver had
    ended. ``changed`` is None while it is not known whether the act happened.
    """

    seq: int
    intended: ActIntended | None = None
    done: ActDone | None = None
    ended: datetime | None = None
    changed: bool | None = None

    @property
    def event(self) -> ActIntended | ActDone:
        """The event that began it."""
        event = self.intended or self.done
        assert event is not None  # noqa: S101  # the fold makes none without either
        return event


@dataclass(slots=True)
class Turn:
    """One host's turn within a step. A turn restarts each unit at most once."""

    host: str
    drain: ActIntended | None = None
    restarts: dict[str, Restart] = field(default_factory=dict)
    done: bool = False

    @property
    def in_hand(self) -> bool:
        """Something was intended on the host and its turn has not ended."""
        return not self.done and bool(self.drain or self.restarts)

    @property
    def unknown(self) -> bool:
        """A restart was intended, and nobody can say whether it happened."""
        return self.in_hand and any(r.happened is None for r in self.restarts.values())


@dataclass(slots=True)
class Batch:
    """One play of a roll."""

    step: int
    hosts: tuple[str, ...]
    phases: tuple[Phase, ...]
    why: str
    sweep: tuple[str, ...]
    started: datetime
    ended: datetime | None = None
    status: str = ""


@dataclass(slots=True)
class Inspection:
    """One play that touches nothing, and what its gates judged."""

    step: int
    what: str
    hosts: tuple[str, ...]
    claims: tuple[Json, ...]
    judged: list[GateJudged] = field(default_factory=list)
    passed: bool | None = None

    def asked(self) -> set[str]:
        """Names of the claims asked for."""
        return {claim if isinstance(claim, str) else claim["claim"] for claim in self.claims}


@dataclass(slots=True)
class StepState:
    """A step of the runbook; step 0 is what happens before the first and in plays by hand."""

    number: int
    title: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    finished: bool = False
    passed: bool = False
    surveyed: bool = False
    swept: bool = False
    turns: dict[str, Turn] = field(default_factory=dict)
    question_plan: str = ""
    approvals: list[Approved] = field(default_factory=list)
    wanted_at: datetime | None = None

    def turn(self, host: str) -> Turn:
        """The host's turn, begun if it was not."""
        return self.turns.setdefault(host, Turn(host))

    def done(self) -> list[str]:
        """Hosts whose turn ended well, in the order in which they began."""
        return [turn.host for turn in self.turns.values() if turn.done]

    def in_hand(self) -> list[Turn]:
        """Turns that have begun and not ended."""
        return [turn for turn in self.turns.values() if turn.in_hand]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the run cannot go on; a resume clears it."""

    step: int
    host: str
    claim: str
    evidence: str


@dataclass(slots=True)
class RunState:
    """Everything a journal tells about one run."""

    run: str = ""
    seq: int = 0
    at: datetime | None = None
    status: Status = Status.RUNNING
    opened: RunOpened | None = None
    resumed: list[Resumed] = field(default_factory=list)
    grant: Grant | None = None
    steps: dict[int, StepState] = field(default_factory=dict)
    current: int = 0
    acts: list[ActRecord] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    batch: Batch | None = None
    look: Inspection | None = None
    looks: list[Inspection] = field(default_factory=list)
    judged: list[GateJudged] = field(default_factory=list)
    facts: dict[str, dict[str, Json]] = field(default_factory=dict)
    proved: set[str] = field(default_factory=set)
    done_units: dict[str, dict[str, str]] = field(default_factory=dict)
    to_observe: set[str] = field(default_factory=set)
    failure: Failure | None = None
    abort: AbortRequested | None = None
    held: Held | None = None
    aborted: Aborted | None = None
    refused: RunRefused | None = None

    @property
    def step(self) -> StepState:
        """The step in hand."""
        return self.steps.setdefault(self.current, StepState(self.current))

    @property
    def touched(self) -> bool:
        """Whether a play that may act was ever started for the run."""
        return bool(self.batches) or any(step.turns for step in self.steps.values())

    def in_hand(self) -> Iterator[tuple[StepState, Turn]]:
        """All turns that have begun and not ended, with their steps."""
        for step in self.steps.values():
            for turn in step.in_hand():
                yield step, turn

    def acts_of(self, host: str) -> Iterator[ActRecord]:
        """The acts on a host, newest first."""
        return (act for act in reversed(self.acts) if act.event.host == host)

    def done(self) -> list[str]:
        """All hosts with a unit that this run restarted and saw healthy, in that order."""
        return [host for host, units in self.done_units.items() if units]

    def proves(self, claims: tuple[Json, ...] | list[Json]) -> bool:
        """Whether a look proved all of these claims since anything was last touched."""
        return all(canonical(claim) in self.proved for claim in claims)


def canonical(claim: Json) -> str:
    """One spelling for a claim with parameters."""
    return json.dumps({"claim": claim} if isinstance(claim, str) else claim, sort_keys=True)
