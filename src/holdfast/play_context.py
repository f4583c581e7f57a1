"""The run that a play belongs to, seen from inside the play: its id, leases, journal and baselines.

Owns how a play that is run by hand takes leases of its own. Knows nothing of Ansible: the play's
variables are given as plain values (docs/architecture.md, "How a play and the engine talk").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from holdfast.errors import ClocksDiffer, InvalidInput, LeaseHeld, LeaseLost, Refused
from holdfast.journal.events import (
    ActIntended,
    BaselineTaken,
    BatchEnded,
    Finished,
    GateJudged,
    LeaseTaken,
    RunOpened,
)
from holdfast.marks import RunMark
from holdfast.model import Grant, Holder, Json, LeaseMode, Outcome, Phase
from holdfast.policy import PlaybookPolicy
from holdfast.store.database import Store
from holdfast.store.leases import LeaseRow
from holdfast.store.processes import is_gone
from holdfast.text import join_names
from holdfast.word import known

BY_HAND_TTL = timedelta(minutes=15)
"""How long a lease taken by hand lasts without renewal. On its own controller it ends with its play."""


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
        """Return the run that the play's variables name, None where they name none.

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


def proved_earlier(variables: Mapping[str, Json], phase: str) -> set[str]:
    """Return the hosts that this run has restarted and proved healthy, in phases in which no host is in hand.

    By hand they are those of the play's earlier batches. After an act others see the host in hand come back, and for a
    moment may not look well themselves; and a host of the batch is itself about to be proved.
    """
    if phase == "sweep":
        return set(known(variables, "holdfast_done", ()))
    if phase != Phase.PREFLIGHT:
        return set()
    hosts, batch = list(variables["ansible_play_hosts_all"]), variables["ansible_play_batch"]
    return set(known(variables, "holdfast_done", hosts[: hosts.index(batch[0])])) - set(batch)


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a play that is run by hand needs to take its leases; ``title`` is the play's name."""

    site: str
    policy: PlaybookPolicy
    title: str

    def scopes(self) -> dict[str, LeaseMode]:
        """Return the scopes to lease: ``{"east/nova": EXCLUSIVE, "east/rabbitmq": SHARED}``."""
        return {f"{self.site}/{name}": mode for name, mode in self.policy.leases().items()}


def take_by_hand(
    store: Store, request: LeaseRequest, holder: Holder, clock: Callable[[], datetime]
) -> PlayContext:
    """Take the play's leases, or renew them where the same process took them before.

    ``holder`` describes the ansible-playbook process. All serial batches of one play therefore share
    one lease, and another play on this controller can take the lease of one that died.

    Raises:
        LeaseHeld: another run holds one of the scopes; the message names who, since when and why.
        ClocksDiffer: the clocks of this controller and of the state database differ.
        StateUnusable: the state goes with its container.
    """
    scopes = request.scopes()
    own = (row for scope in scopes for row in store.holders(scope) if _same(row, holder))
    earlier = next(own, None)
    holder = earlier.holder if earlier else holder
    if earlier is None:
        store.require_lasting()
    if earlier is None and (warning := store.clock_warning(clock)):
        raise ClocksDiffer.of(warning)
    grant = store.take(holder, scopes, BY_HAND_TTL)
    now = clock()
    if earlier is None:
        opened = RunOpened(
            at=now,
            runbook="",
            runbook_hash="",
            playbook=request.title,
            site=request.site,
            by=holder.by,
            reason=holder.reason,
            controller=holder.controller,
            process=holder.process,
        )
        store.append(grant.run, opened)
        store.append(grant.run, LeaseTaken(at=now, tokens=dict(grant.tokens)))
    return PlayContext(grant, by_hand=True)


def would_take(
    store: Store, request: LeaseRequest, holder: Holder, clock: Callable[[], datetime]
) -> str:
    """Return what ``take_by_hand`` would do now, as a sentence; for check mode, changes nothing."""
    scopes = request.scopes()
    try:
        store.would_take(holder, scopes)
    except LeaseHeld as held:
        return f"would be refused: {held.message}"
    if warning := store.clock_warning(clock):
        return f"would be refused: {warning}"
    return f"would take the leases {', '.join(sorted(scopes))}"


def dead_holders(store: Store, all_leases: Store, request: LeaseRequest) -> list[Holder]:
    """Return the holders of the requested scopes whose plays died on this controller.

    ``store`` leaves out their leases; ``all_leases`` is the same state, opened so that it does not.
    """
    dead: dict[str, Holder] = {}
    for scope in request.scopes():
        living = store.holders(scope)
        dead |= {
            row.holder.run: row.holder for row in all_leases.holders(scope) if row not in living
        }
    return list(dead.values())


def holder_of(store: Store, run: PlayContext) -> Holder:
    """Return who holds the play's leases, for those who find its marks.

    Raises:
        LeaseLost: nobody holds them for this run.
    """
    rows = (row for scope in run.grant.tokens for row in store.holders(scope))
    holder = next((row.holder for row in rows if row.holder.run == run.run), None)
    if holder is None:
        raise LeaseLost(f"run {run.run} holds no lease", remedy=f"holdfast status {run.run}")
    return holder


def mark_counts(store: Store, mark: RunMark, gone: Callable[[Holder], bool] = is_gone) -> bool:
    """Return whether another run's valid mark excludes this run.

    Not if its holder and plays are known to have died here, as with a lease; and not if this state knows
    the run, and the run holds no lease in it.
    """
    if gone(mark.holder):
        return False
    if not any(True for _ in store.each(mark.holder.run)):
        return True
    return any(row.holder.run == mark.holder.run for _, row in store.held())


def release_by_hand(store: Store, run: PlayContext, now: datetime) -> bool:
    """Journal that a run by hand has finished, and release its leases.

    Returns False, with nothing done, for a run of the engine: the engine ends it.
    """
    if run.by_hand:
        store.append(run.run, Finished(at=now))
        store.release(run.grant)
    return run.by_hand


@dataclass(frozen=True, slots=True)
class Variables(Mapping[str, Json]):
    """The play's variables. Each is resolved when it is read: templates, lookups and vault."""

    raw: Mapping[str, Json]
    template: Callable[[Json], Json]

    def __getitem__(self, name: str) -> Json:
        return self.template(self.raw[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)


def baseline(store: Store, run: str, taken: BaselineTaken) -> BaselineTaken:
    """Return the run's baseline of that name; where there is none yet, journal ``taken`` as it.

    The first figures stay: later ones are taken after a restart and would hide what it changed.
    """
    kept = taken
    for recorded in store.newest(run, taken.kind):
        if isinstance(recorded.event, BaselineTaken) and recorded.event.name == taken.name:
            kept = recorded.event
    if kept is taken:
        store.append(run, taken)
    return kept


def last_intent(store: Store, run: str, host: str, act: str, unit: str) -> ActIntended | None:
    """Return the newest intent of the run to do the act on a host's unit, None where there is none."""
    intents = (recorded.event for recorded in store.newest(run, "act_intended"))
    wanted = (host, act, unit)
    for event in intents:
        if isinstance(event, ActIntended) and (event.host, event.act, event.unit) == wanted:
            return event
    return None


@dataclass(slots=True)
class LeaseRenewal:
    """Renews a lease taken by hand while a gate waits; the engine renews its own."""

    store: Store
    run: PlayContext
    due: datetime

    def at(self, now: datetime) -> None:
        """Renew the lease if a third of its life has passed since the last renewal.

        Raises:
            LeaseLost: it expired or another run took it; no act may follow.
        """
        # A clock that was set back must not put the renewal off.
        early = timedelta(0) < self.due - now <= BY_HAND_TTL / 3
        if self.run.by_hand and not early:
            self.store.renew(self.run.grant, BY_HAND_TTL)
            self.due = now + BY_HAND_TTL / 3


def require_lease(run: PlayContext | None) -> PlayContext:
    """Return the run; acts and records need one.

    Raises:
        LeaseLost: the play has no run and therefore no lease.
    """
    if run is None:
        raise LeaseLost(
            "this play holds no lease, so it may not act",
            remedy="let the play begin with the role holdfast_run, tasks_from: begin",
        )
    return run


def require_grant(run: PlayContext | None) -> PlayContext:
    """Return the run of a play that is about to act: it holds a lease at least.

    Whether that is valid still, the transaction of the intent proves.

    Raises:
        LeaseLost: the play has no run, or the run no lease.
    """
    held = require_lease(run)
    if not held.grant.tokens:
        raise LeaseLost(f"run {held.run} holds no lease", remedy=f"holdfast status {held.run}")
    return held


def require_no_failure_beside(store: Store, run: str, variables: Mapping[str, Json]) -> None:
    """Return only if no other batch of the run, and no gate, has ended badly since this one began (docs/adr/0043).

    Its play may have begun its turn before that, and nothing new is begun after a failure. A play ends some time after
    its gate, the longer the more it gives back.

    Raises:
        Refused: one has; the message names its hosts.
    """
    begun = known(variables, "holdfast_begun", None)
    kinds = ("batch_ended", "gate_judged")
    for recorded in store.newest(run, *kinds) if begun is not None else ():
        if recorded.seq <= begun:
            return
        match recorded.event:
            case BatchEnded(hosts=hosts, status=status) if status != "ok":
                failed = join_names(hosts)
            case GateJudged(host=host, outcome=outcome) if outcome is not Outcome.PASS:
                failed = host
            case _:
                continue
        raise Refused(f"the turn of {failed} has failed meanwhile, so nothing more is begun")


def _same(row: LeaseRow, holder: Holder) -> bool:
    """Tell whether a lease is held by this very process."""
    return replace(row.holder, run=holder.run, by=holder.by, reason=holder.reason) == holder
