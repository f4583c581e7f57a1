"""The state of a run, computed from its journal. Only ``fold.py`` changes these values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from holdfast.journal.events import (
    Aborted,
    AbortRequested,
    ActDone,
    ActIntended,
    Approved,
    GateJudged,
    Held,
    InspectionKind,
    Observed,
    Rejected,
    Resumed,
    RunOpened,
    RunRefused,
)
from holdfast.model import SWEEP_SECONDS, Grant, Json, Phase

SWEEP_AT_LEAST = 20
"""How many hosts done earlier are asked before each batch, however young their last answers are."""


class Status(StrEnum):
    """What a run is doing. ``RUNNING`` means only that no end is journaled: its driver may be dead."""

    RUNNING = "running"
    HELD = "held"
    ABORTED = "aborted"
    REFUSED = "refused"
    FINISHED = "finished"


@dataclass(slots=True)
class Restart:
    """An intended restart: the unit's InvocationID before it and, once known, after it."""

    unit: str
    before: str
    after: str = ""
    observed: Observed | None = None

    @property
    def happened(self) -> bool | None:
        """Whether the unit was restarted; None until its host was observed."""
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
    """One host's turn within a step. A turn restarts each unit at most once.

    ``drain`` is the intent of a drain that was not undone; ``drain_seen``: that it is in effect was read from the
    service after the act. ``given_back``: the play that drained it has undrained it, before any restart.
    """

    host: str
    drain: ActIntended | None = None
    drain_seen: bool = False
    given_back: bool = False
    restarts: dict[str, Restart] = field(default_factory=dict)
    done: bool = False

    @property
    def in_hand(self) -> bool:
        """Whether an act was intended on the host and its turn has not ended."""
        return not self.done and bool(self.drain or self.restarts)

    @property
    def restarted(self) -> bool:
        """Whether a unit of the host is known to have been restarted."""
        return any(restart.happened for restart in self.restarts.values())

    @property
    def undo(self) -> str:
        """The command that undoes the drain, "" where none is in effect."""
        if self.drain is None or (self.restarted and self.drain.ends_with_restart):
            return ""
        return self.drain.undo

    @property
    def outcome_unknown(self) -> bool:
        """Whether a restart was intended of which it is not known whether it happened."""
        return self.in_hand and any(r.happened is None for r in self.restarts.values())


@dataclass(slots=True)
class Batch:
    """One play of a roll; ``sweep`` are the hosts done earlier that it asks first, ``survey`` the claims.

    ``gates`` are those that it has judged so far.
    """

    step: int
    hosts: tuple[str, ...]
    phases: tuple[Phase, ...]
    why: str
    sweep: tuple[str, ...]
    started: datetime
    ended: datetime | None = None
    status: str = ""
    survey: tuple[Json, ...] = ()
    gates: list[GateJudged] = field(default_factory=list)


@dataclass(slots=True)
class Inspection:
    """One play that touches nothing, and the gates that it ended with while it runs."""

    step: int
    what: InspectionKind
    hosts: tuple[str, ...]
    claims: tuple[Json, ...]
    gates: list[GateJudged] = field(default_factory=list)
    passed: bool | None = None

    def claim_names(self) -> set[str]:
        """Return the names of its claims."""
        return claim_names(self.claims)


@dataclass(slots=True)
class StepState:
    """A step of the runbook; step 0 is what happens before the first and in plays by hand.

    ``passed`` is about a check or wait; ``surveyed`` and ``swept`` are about a roll: a survey is not
    needed any more, and the sweep after its last batch has passed; ``rounds``: how many whole batches went well
    since it began or was resumed. ``done_hosts`` are those whose turn succeeded,
    ``open_turns`` the others that have begun: few, whatever the fleet. ``approval_plan_hash`` is the
    plan that approvals are requested for, since ``approval_requested_at``; ``approvers`` the ids of those
    who may approve it, by name, and ``starter`` the name of the person who asked for the run.
    """

    number: int
    title: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    finished: bool = False
    passed: bool = False
    surveyed: bool = False
    swept: bool = False
    rounds: int = 0
    turns: dict[str, Turn] = field(default_factory=dict)
    open_turns: dict[str, Turn] = field(default_factory=dict)
    done_hosts: set[str] = field(default_factory=set)
    approval_plan_hash: str = ""
    approvals: list[Approved] = field(default_factory=list)
    approval_requested_at: datetime | None = None
    approvers: dict[str, list[str]] = field(default_factory=dict)
    starter: str = ""
    rejected: Rejected | None = None

    def turn(self, host: str) -> Turn:
        """Return the host's turn, and begin it if it has not begun."""
        turn = self.turns.get(host)
        if turn is None:
            turn = self.turns[host] = self.open_turns[host] = Turn(host)
        return turn

    def reopen(self, host: str) -> Turn:
        """Return the host's turn, which has not succeeded, or not any more."""
        turn = self.open_turns[host] = self.turn(host)
        turn.done = False
        self.done_hosts.discard(host)
        return turn

    def succeed(self, host: str) -> None:
        """Note that the host's turn succeeded."""
        self.turn(host).done = True
        self.open_turns.pop(host, None)
        self.done_hosts.add(host)

    def forget(self, host: str) -> None:
        """Forget the host's turn: it counts as not touched."""
        self.turns.pop(host, None)
        self.open_turns.pop(host, None)
        self.done_hosts.discard(host)

    def done(self) -> list[str]:
        """Return the hosts whose turn succeeded, in the order in which they began."""
        return [turn.host for turn in self.turns.values() if turn.done]

    def in_hand(self) -> list[Turn]:
        """Return the turns that have begun and not ended."""
        return [turn for turn in self.open_turns.values() if turn.in_hand]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the run cannot go on; a resume clears it.

    ``ill`` are the hosts that the evidence says are not well; ``host`` may be the one that asked.
    """

    step: int
    host: str
    claim: str
    evidence: str
    ill: tuple[str, ...] = ()


@dataclass(slots=True)
class RunState:
    """Everything that the journal of one run says.

    ``under_way`` are the batches whose plays run now, in the order in which they began, ``inspection`` the play that
    runs if that is one.
    ``facts`` are the latest per host, for the order of a roll; ``proved_claims`` those that an
    inspection proved since the last act; ``done_units`` per host the InvocationID of each unit that
    was restarted and proved healthy, which is replaced and never changed, so that plays may be given it;
    ``proved_at`` when each of these hosts was last found well, the oldest first; ``hosts_to_observe`` those to
    observe before any decision. ``sweep_owed``: a roll has ended whose hosts were not swept, which the next batch does.
    ``frozen`` has, by host, the intent of a freeze that was not undone.
    ``last_act`` is the number of the newest event of an act.
    """

    run: str = ""
    seq: int = 0
    at: datetime | None = None
    status: Status = Status.RUNNING
    opened: RunOpened | None = None
    resumed: list[Resumed] = field(default_factory=list)
    grant: Grant | None = None
    steps: dict[int, StepState] = field(default_factory=dict)
    current_step: int = 0
    acts: list[ActRecord] = field(default_factory=list)
    last_act: int = 0
    batches: list[Batch] = field(default_factory=list)
    under_way: list[Batch] = field(default_factory=list)
    inspection: Inspection | None = None
    inspections: list[Inspection] = field(default_factory=list)
    facts: dict[str, dict[str, Json]] = field(default_factory=dict)
    proved_claims: set[str] = field(default_factory=set)
    done_units: dict[str, dict[str, str]] = field(default_factory=dict)
    proved_at: dict[str, datetime] = field(default_factory=dict)
    hosts_to_observe: set[str] = field(default_factory=set)
    sweep_owed: bool = False
    frozen: dict[str, ActIntended] = field(default_factory=dict)
    failure: Failure | None = None
    abort_request: AbortRequested | None = None
    held: Held | None = None
    aborted: Aborted | None = None
    refused: RunRefused | None = None

    @property
    def step(self) -> StepState:
        """The step in hand; before it has begun, an empty one. Reading it changes nothing."""
        return self.steps.get(self.current_step) or StepState(self.current_step)

    @property
    def touched(self) -> bool:
        """Whether a play that may act was ever started for the run, and was not refused before any act."""
        begun = any(batch.status != "refused" for batch in self.batches)
        return begun or any(step.turns for step in self.steps.values())

    def batch_of(self, host: str) -> Batch | None:
        """Return the batch under way in whose play a host is; None in a play by hand.

        In journals of before adr/0025 hosts done earlier had gates of their own in it.
        """
        newest = self.under_way[-1] if self.under_way else None
        return next((batch for batch in self.under_way if host in batch.hosts), newest)

    def hosts_under_way(self) -> tuple[str, ...]:
        """Return the hosts of all batches that are under way."""
        return tuple(host for batch in self.under_way for host in batch.hosts)

    def begun_since_oldest(self) -> int:
        """Return how many batches have begun since the oldest one under way, with it; some may have ended."""
        newest_first = enumerate(reversed(self.batches), 1)
        return next((n for n, batch in newest_first if batch is self.under_way[0]), 0)

    def in_hand(self) -> Iterator[tuple[StepState, Turn]]:
        """Yield the turns that have begun and not ended, with their steps."""
        for step in self.steps.values():
            for turn in step.in_hand():
                yield step, turn

    def acts_of(self, host: str) -> Iterator[ActRecord]:
        """Yield the acts on a host, newest first."""
        return (act for act in reversed(self.acts) if act.event.host == host)

    def done(self) -> list[str]:
        """Return the hosts with a unit that this run restarted and proved healthy, in that order."""
        return [host for host, units in self.done_units.items() if units]

    def due(self, now: datetime) -> tuple[str, ...]:
        """Return the hosts done earlier that the next batch's sweep asks, the one asked longest ago first.

        All whose last answer is older than the plan's ``sweep_seconds``, and in any case SWEEP_AT_LEAST: of a small
        fleet all, of a large one so many that the effort for each batch does not grow with it. After a roll that
        was followed by another at once, all. A host that is in hand is proved by its own batch.
        """
        in_hand = set(self.hosts_under_way())
        due: list[str] = []
        plan = self.opened.plan if self.opened else {}
        oldest = now - timedelta(seconds=plan.get("sweep_seconds", SWEEP_SECONDS))
        units = self.done_units
        for host, at in self.proved_at.items():
            if oldest <= at <= now and len(due) >= SWEEP_AT_LEAST and not self.sweep_owed:
                break
            if units.get(host) and host not in in_hand:
                due.append(host)
        return tuple(due)

    def asked_longest_ago(self, most: int) -> list[str]:
        """Return at most so many hosts done earlier that are not in hand, the one asked longest ago first."""
        in_hand = set(self.hosts_under_way())
        asked = (
            host for host in self.proved_at if host not in in_hand and self.done_units.get(host)
        )
        return list(islice(asked, most))

    def found_well(self, at: datetime, *hosts: str) -> None:
        """Note that the units of these hosts were found as this run left them."""
        if 2 * len(hosts) > len(self.proved_at):  # many are left out at once faster than one by one
            found = set(hosts)
            self.proved_at = {h: t for h, t in self.proved_at.items() if h not in found}
        for host in hosts:
            self.proved_at.pop(host, None)  # set again, it is the last
            self.proved_at[host] = at

    def proves(self, claims: tuple[Json, ...] | list[Json]) -> bool:
        """Return whether an inspection proved all of these claims since the last act."""
        return all(canonical(claim) in self.proved_claims for claim in claims)


def claim_names(claims: Iterable[Json]) -> set[str]:
    """Return the names of claims, which may have parameters."""
    return {claim if isinstance(claim, str) else claim["claim"] for claim in claims}


def canonical(claim: Json) -> str:
    """Return a claim with its parameters as text, the same for every spelling of it."""
    return json.dumps({"claim": claim} if isinstance(claim, str) else claim, sort_keys=True)
