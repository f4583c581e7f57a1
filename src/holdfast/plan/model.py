"""The values of planning: a site's hosts, a playbook, and the plan itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from holdfast.errors import StateUnusable
from holdfast.journal.run_state import RunState
from holdfast.journal.upgrades import SCHEMA, SchemaNumber, schema_of, upgrade_plan
from holdfast.model import SWEEP_SECONDS, ClaimEntry, Json, LeaseMode
from holdfast.policy import PlaybookPolicy
from holdfast.runbook.model import ApprovalPolicy, SettleSpec

SOAK = "holdfast_soak_seconds"
LENGTHS = (SOAK, "nova_rpc_response_timeout")
"""Variables of a site that say how long gates last."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A restart playbook as the engine sees it: its policy, and the variables it understands with their defaults."""

    name: str
    policy: PlaybookPolicy
    variables: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SiteInventory:
    """An inventory as the engine sees it: groups and their hosts in order, and of its variables the lengths alone.

    ``selected`` holds the hosts that ``--limit`` leaves, None without a limit. ``lengths`` has those of
    ``LENGTHS`` that are set, in seconds; the largest, where hosts have several. ``closed`` are hosts that can be in no
    run, since their variables cannot be read (a vault of another team) or they have no shell: the message of an error,
    and what to do.
    """

    name: str
    path: str
    groups: Mapping[str, tuple[str, ...]]
    selected: frozenset[str] | None = None
    lengths: Mapping[str, float] = field(default_factory=dict)
    closed: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class _Planned(BaseModel):
    """``why``: why the gates of the step last as long as they do, "" where the runbook says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    title: str
    deadline_seconds: int | None = None
    # Left out where it is empty: plans from before it keep their hash.
    why: str = Field("", exclude_if=lambda why: not why)


class PlannedCheck(_Planned):
    """Claims that are proved once before the run goes on."""

    kind: Literal["check"] = "check"
    claims: tuple[ClaimEntry, ...]
    hosts: tuple[str, ...] = ()
    settle: SettleSpec


class PlannedWait(_Planned):
    """Claims that must hold for ``settle.seconds``."""

    kind: Literal["wait"] = "wait"
    claims: tuple[ClaimEntry, ...]
    hosts: tuple[str, ...] = ()
    settle: SettleSpec


class PlannedApprove(_Planned):
    """Approvals by people; ``deadline_seconds`` is how long the run waits for them."""

    kind: Literal["approve"] = "approve"
    question: str
    count: int
    by_others: bool


class PlannedRoll(_Planned):
    """A playbook, its hosts in the inventory's order, and how many at a time.

    ``--limit`` may leave a roll without hosts. ``lasts_seconds``: how long after its restart a host is
    verified at least. ``growth``: the sizes of the first batches after the beginning and after each resume. ``window``:
    the next host begins as soon as one has settled, in a batch of its own, never more than ``batch`` at a time.
    ``canary_settle``: how the canary settles, where that is not as the others do, and until when its gates wait.
    """

    kind: Literal["roll"] = "roll"
    playbook: str
    hosts: tuple[str, ...]
    batch: int
    canary: bool
    variables: dict[str, Json]
    settle: SettleSpec | None
    policy: PlaybookPolicy
    lasts_seconds: int = Field(0, exclude_if=lambda seconds: not seconds)
    growth: tuple[int, ...] = Field((), exclude_if=lambda sizes: not sizes)
    window: bool = Field(default=False, exclude_if=lambda window: not window)
    canary_settle: SettleSpec | None = Field(None, exclude_if=lambda settle: settle is None)
    canary_deadline_seconds: int | None = Field(None, exclude_if=lambda seconds: seconds is None)

    def size(self, rounds: int, *, first: bool) -> int:
        """Return how many hosts there may be at a time after so many clean batches.

        ``first``: no host of the step is done.
        """
        if self.growth and self.window:
            # A round is as many hosts as the window had.
            sizes = zip(self.growth, accumulate(self.growth[:-1]), strict=False)
            return next((size for size, end in sizes if rounds < end), self.batch)
        if self.growth:
            return self.growth[min(rounds, len(self.growth) - 1)]
        return 1 if first and self.canary else self.batch


PlannedStep = Annotated[
    PlannedCheck | PlannedWait | PlannedApprove | PlannedRoll, Field(discriminator="kind")
]


class Plan(BaseModel):
    """A runbook applied to a site. Pure data: made without touching anything, kept in the journal.

    ``site`` is the site's name, ``inventory`` its directory; ``leases`` are the scopes to hold. ``sweep_seconds``: how
    old the last answer of a host done earlier may be when a batch begins (docs/adr/0025).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    schema_number: SchemaNumber = Field(default=SCHEMA, alias="schema")
    runbook: str
    runbook_hash: str
    site: str
    inventory: str
    inputs: dict[str, Json]
    limit: str
    leases: dict[str, LeaseMode]
    steps: tuple[PlannedStep, ...]
    sweep_seconds: int = Field(SWEEP_SECONDS, exclude_if=lambda seconds: seconds == SWEEP_SECONDS)
    _older: dict[str, Json] | None = PrivateAttr(default=None)
    """The plan as an older Holdfast wrote it."""

    @classmethod
    def from_journal(cls, written: dict[str, Json], source: str) -> Plan:
        """Return the plan that ``as_json`` wrote, of this schema or an older one; it keeps its hash.

        ``source`` names it in the error, such as ``the plan of run RUN``.

        Raises:
            StateUnusable: it was written by a newer Holdfast, or is damaged.
        """
        upgraded = upgrade_plan(written, source)
        try:
            plan = cls.model_validate(upgraded)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise StateUnusable(
                f"{source} cannot be read: {where}: {first['msg']}",
                remedy="restore the state database from a backup, or start the runbook as a new run",
            ) from error
        if schema_of(written) != SCHEMA:
            plan._older = written  # noqa: SLF001  # a plan of this class
        return plan

    @cached_property
    def hash(self) -> str:
        """The plan's identity, which approvals are bound to; an upgraded plan keeps the one it had."""
        text = json.dumps(self._older or self.as_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Json]:
        """Return the plan as the journal and programs read it; the inverse of ``from_journal``."""
        return self.model_dump(mode="json")

    def begun_by_approval(self, question: str, policy: ApprovalPolicy) -> Plan:
        """Return the same plan with an approval as its step 0, before anything is touched."""
        first = PlannedApprove(number=0, title="Approval", question=question, **dict(policy))
        return Plan(**{**self.as_json(), "steps": (first, *self.steps)})

    def step(self, number: int) -> PlannedStep | None:
        """Return the step of that number; None where there is none."""
        return next((step for step in self.steps if step.number == number), None)

    def rolls(self) -> Iterator[PlannedRoll]:
        """Yield the rolls that have hosts: the steps that act."""
        for step in self.steps:
            if isinstance(step, PlannedRoll) and step.hosts:
                yield step

    def survey(self) -> tuple[ClaimEntry, ...]:
        """Return the standing claims of every service that will be touched, each once."""
        claims = {repr(claim): claim for roll in self.rolls() for claim in roll.policy.survey}
        return tuple(claims.values())

    @property
    def estimate_seconds(self) -> int:
        """How long the run takes if nothing holds it, without the time that approvals take."""
        return sum(_estimate(step) for step in self.steps)


def _estimate(step: PlannedStep) -> int:
    if isinstance(step, PlannedRoll):
        batches = _count_batches(step)
        settle = int(step.settle.seconds) if step.settle else 0
        canary = int(step.canary_settle.seconds) if step.canary_settle else 0
        usual = max(settle, step.lasts_seconds)
        return batches * (step.policy.estimate_seconds + usual) + max(canary - usual, 0)
    return int(step.settle.seconds) + 5 if not isinstance(step, PlannedApprove) else 0


def _count_batches(step: PlannedRoll) -> int:
    """Return how many batches a roll has, if nothing holds it."""
    if step.window:  # as many hosts one after the other as each place in the window has
        return -(-len(step.hosts) // step.batch)
    left, batches = len(step.hosts), 0
    first = [step.size(number, first=number == 0) for number in range(len(step.growth) or 1)]
    for size in first:
        if left > 0:
            left, batches = left - size, batches + 1
    return batches + (-(-left // step.batch) if left > 0 else 0)


def plan_of(state: RunState) -> Plan | None:
    """Return the plan that a run follows; None for a play run by hand, which keeps none.

    Raises:
        StateUnusable: the plan was written by a newer Holdfast, or is damaged.
    """
    if state.opened is None or not state.opened.plan:
        return None
    return Plan.from_journal(state.opened.plan, f"the plan of run {state.run}")


def readable_plan(state: RunState) -> Plan | None:
    """Return the run's plan; None without one, and for one that cannot be read: a hold is reported all the same."""
    try:
        return plan_of(state)
    except StateUnusable:
        return None
