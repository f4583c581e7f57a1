"""The run that a play belongs to, as seen from inside the play: its name, leases and journal.

Owns how a play run by hand takes leases of its own. Knows nothing of Ansible: the play's variables
come in as plain values (docs/architecture.md, "How a play and the engine talk").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.errors import InvalidInput, LeaseHeld, LeaseLost
from holdfast.journal.events import BaselineTaken, Finished, LeaseTaken, RunOpened
from holdfast.model import Grant, Holder, Json, LeaseMode
from holdfast.store import LeaseRow, Store

BY_HAND_TTL = timedelta(minutes=15)
"""A lease taken by hand outlives its play by this much at most, and only on other controllers."""


class Policy(BaseModel):
    """The part of a play's ``holdfast_policy`` that says which leases it needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: str = Field(min_length=1)
    shared: tuple[str, ...] = ()

    @classmethod
    def of(cls, declared: Json) -> Policy:
        """The policy as a play declares it.

        Raises:
            InvalidInput: it does not name its service.
        """
        try:
            return cls.model_validate(declared)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise InvalidInput(f"holdfast_policy: {key}: {first['msg']}") from None

    def scopes(self, site: str) -> dict[str, LeaseMode]:
        """What the play must hold: its own service alone, the shared ones together with others."""
        shared = {f"{site}/{service}": LeaseMode.SHARED for service in self.shared}
        return {**shared, f"{site}/{self.service}": LeaseMode.EXCLUSIVE}


@dataclass(frozen=True, slots=True)
class PlayContext:
    """The run a play belongs to; ``by_hand`` if the play itself took the leases."""

    grant: Grant
    by_hand: bool

    @property
    def run(self) -> str:
        """The run's id."""
        return self.grant.run

    @classmethod
    def of(cls, variables: Mapping[str, Json]) -> PlayContext | None:
        """The run that the play's variables name; None where they name none.

        Raises:
            InvalidInput: a run is named without a usable grant.
        """
        run, tokens = variables.get("holdfast_run"), variables.get("holdfast_grant")
        if not run:
            return None
        if not isinstance(tokens, Mapping):
            raise InvalidInput(f"holdfast_grant of run {run} must map scopes to tokens")
        grant = Grant(str(run), {str(scope): int(token) for scope, token in tokens.items()})
        return cls(grant, bool(variables.get("holdfast_by_hand", False)))


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a play that is run by hand says of itself."""

    site: str
    policy: Policy
    title: str


def take_by_hand(store: Store, wanted: LeaseRequest, me: Holder, now: datetime) -> PlayContext:
    """Take the play's leases, or renew them where this very process took them before.

    ``me`` describes the ansible-playbook process, so that all serial batches of one play share
    one lease and a play that died keeps nobody out on its own controller.

    Raises:
        LeaseHeld: another run holds one of the scopes; names who, since when and why.
    """
    scopes = wanted.policy.scopes(wanted.site)
    mine = next(
        (row for scope in scopes for row in store.holders(scope, now) if _same(row, me)), None
    )
    holder = mine.holder if mine else me
    grant = store.take(holder, scopes, BY_HAND_TTL, now)
    if mine is None:
        store.append(grant.run, _opened(wanted, holder, now))
        store.append(grant.run, LeaseTaken(at=now, tokens=dict(grant.tokens)))
    return PlayContext(grant, by_hand=True)


def would_take(store: Store, wanted: LeaseRequest, me: Holder, now: datetime) -> str:
    """What ``take_by_hand`` would do now, in a sentence; touches nothing (Ansible's check mode)."""
    scopes = wanted.policy.scopes(wanted.site)
    try:
        store.would_take(me, scopes, now)
    except LeaseHeld as held:
        return f"would be refused: {held.message}"
    return f"would take the leases {', '.join(sorted(scopes))}"


def dead_holders(
    store: Store, everyone: Store, wanted: LeaseRequest, now: datetime
) -> list[Holder]:
    """Whose leases stand in the play's way in name only: their plays died on this controller.

    ``everyone`` is the same state opened so that no holder is taken for dead.
    """
    dead: dict[str, Holder] = {}
    for scope in wanted.policy.scopes(wanted.site):
        living = store.holders(scope, now)
        dead |= {
            row.holder.run: row.holder for row in everyone.holders(scope, now) if row not in living
        }
    return list(dead.values())


def release_by_hand(store: Store, run: PlayContext, now: datetime) -> bool:
    """The last batch ended well: note it and give the leases back.

    False, with nothing done, for a run of the engine, which ends it itself.
    """
    if run.by_hand:
        store.append(run.run, Finished(at=now))
        store.release(run.grant)
    return run.by_hand


@dataclass(frozen=True, slots=True)
class Variables(Mapping[str, Json]):
    """The play's variables, each resolved when it is asked for: templates, lookups and vault."""

    raw: Mapping[str, Json]
    template: Callable[[Json], Json]

    def __getitem__(self, name: str) -> Json:
        return self.template(self.raw[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


def baseline(store: Store, run: str, taken: BaselineTaken) -> BaselineTaken:
    """The run's baseline of that name; ``taken`` becomes it where there is none yet.

    Figures taken after a restart would hide what the restart did, so the first ones stay.
    """
    for recorded in store.read(run):
        if isinstance(recorded.event, BaselineTaken) and recorded.event.name == taken.name:
            return recorded.event
    store.append(run, taken)
    return taken


@dataclass(slots=True)
class LeaseRenewal:
    """Keeps a lease taken by hand alive while a gate waits; the engine renews its own."""

    store: Store
    run: PlayContext
    due: datetime

    def at(self, now: datetime) -> None:
        """Renew if a third of the lease's life has passed since the last time.

        Raises:
            LeaseLost: it expired or was taken; no act may follow.
        """
        if self.run.by_hand and now >= self.due:
            self.store.renew(self.run.grant, BY_HAND_TTL, now)
            self.due = now + BY_HAND_TTL / 3


def require_lease(run: PlayContext | None) -> PlayContext:
    """The run, which an act and its record cannot do without.

    Raises:
        LeaseLost: the play took no lease.
    """
    if run is None:
        raise LeaseLost(
            "this play holds no lease, so it may not act",
            remedy="let the play begin with the role holdfast_run, tasks_from: begin",
        )
    return run


def _same(row: LeaseRow, me: Holder) -> bool:
    theirs = row.holder
    return (theirs.controller, theirs.boot_id, theirs.process, theirs.process_started) == (
        me.controller,
        me.boot_id,
        me.process,
        me.process_started,
    )


def _opened(wanted: LeaseRequest, holder: Holder, now: datetime) -> RunOpened:
    return RunOpened(
        at=now,
        runbook="",
        runbook_hash="",
        playbook=wanted.title,
        site=wanted.site,
        by=holder.by,
        reason=holder.reason,
        controller=holder.controller,
        process=holder.process,
    )
