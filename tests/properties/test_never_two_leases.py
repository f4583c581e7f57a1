"""What never happens to leases and to the journal they guard, whatever their holders do and in which order."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import LeaseHeld, LeaseLost
from holdfast.journal.events import Finished
from holdfast.model import Grant, Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store import leases
from holdfast.store.database import Store, open_store
from holdfast.store.leases import Scope
from tests.fakes.journal import NOW, opened

NAME = "lab/broker"
TTL = timedelta(seconds=60)
HOLDERS = [Holder(f"R{n}", "ada", "why", "ctl", "boot", n, n) for n in range(3)]


@dataclass(frozen=True)
class Step:
    """What holder ``who`` does once ``seconds`` have passed."""

    who: int
    action: str
    mode: LeaseMode
    seconds: int


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, len(HOLDERS) - 1),
        st.sampled_from(["take", "renew", "release", "act"]),
        st.sampled_from(LeaseMode),
        st.sampled_from([0, 1, 59, 60, 61, 200]),
    ),
    max_size=30,
)


@dataclass
class LeaseHistory:
    """One scope under the rules of leases: grants of each holder, and every token that was ever given."""

    now: datetime = NOW
    scope: Scope = field(default_factory=lambda: Scope(NAME, 0, 0))
    grants: dict[int, Grant] = field(default_factory=dict)
    expires: dict[int, datetime] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=list)

    def do(self, step: Step) -> bool:
        """Do one step; return whether it was allowed."""
        self.now += timedelta(seconds=step.seconds)
        try:
            getattr(self, step.action)(step)
        except (LeaseHeld, LeaseLost):
            return False
        return True

    def take(self, step: Step) -> None:
        valid = self.scope.valid(self.now, lambda _: False)
        holder = HOLDERS[step.who]
        has_it = any((row.holder, row.mode) == (holder, step.mode) for row in valid.rows)
        self.scope = leases.take(valid, holder, step.mode, TTL, self.now)
        token = self.scope.rows[-1].token
        if not has_it:
            self.tokens.append(token)
        self.grants[step.who] = Grant(HOLDERS[step.who].run, {NAME: token})
        self.expires[step.who] = self.now + TTL

    def renew(self, step: Step) -> None:
        self.scope = leases.renew(self.scope, self.grant(step), TTL, self.now)
        self.expires[step.who] = self.now + TTL

    def release(self, step: Step) -> None:
        self.scope = leases.release(self.scope, self.grant(step))
        self.expires[step.who] = self.now

    def act(self, step: Step) -> None:
        leases.prove(self.scope, self.grant(step), self.now)

    def grant(self, step: Step) -> Grant:
        if step.who not in self.grants:
            raise LeaseLost("never took it")
        return self.grants[step.who]


@given(STEPS)
def test_never_two_valid_leases_of_which_one_is_exclusive(steps: list[Step]) -> None:
    history = LeaseHistory()
    for step in steps:
        history.do(step)
        valid = history.scope.valid(history.now, lambda _: False).rows
        assert len(valid) < 2 or all(row.mode is LeaseMode.SHARED for row in valid), valid


@given(STEPS)
def test_never_a_token_that_was_given_before(steps: list[Step]) -> None:
    history = LeaseHistory()
    for step in steps:
        history.do(step)
    assert all(earlier < later for earlier, later in pairwise(history.tokens)), history.tokens


@given(STEPS)
def test_never_an_act_or_a_renewal_after_expiry_or_release(steps: list[Step]) -> None:
    history = LeaseHistory()
    for step in steps:
        ends = history.expires.get(step.who, NOW)
        allowed = history.do(step)
        if step.action in {"act", "renew"} and allowed:
            assert history.now < ends, step


@given(STEPS)
def test_never_is_a_lease_of_another_holder_released_or_shortened(steps: list[Step]) -> None:
    history = LeaseHistory()
    for step in steps:
        history.do(step)
        rows = {
            row.holder.run: row for row in history.scope.valid(history.now, lambda _: False).rows
        }
        for who, ends in history.expires.items():
            if ends > history.now:
                assert rows[HOLDERS[who].run].expires == ends


def change(store: Store, action: str, grant: Grant, now: datetime) -> None:
    """Do with a grant what a step says."""
    if action == "renew":
        store.renew(grant, TTL)
    elif action == "release":
        store.release(grant)
    else:
        store.append_guarded(grant, Finished(at=now))


@given(STEPS)
def test_never_an_entry_without_a_valid_lease_and_never_a_gap(steps: list[Step]) -> None:
    clock, grants = LeaseHistory(), dict[int, Grant]()
    store = open_store(Settings("sqlite://", Path("unused")), clock=lambda _: clock.now)
    for holder in HOLDERS:
        store.append(holder.run, opened())
    written = dict.fromkeys((holder.run for holder in HOLDERS), 1)
    for step in steps:
        holder, clock.now = HOLDERS[step.who], clock.now + timedelta(seconds=step.seconds)
        valid = {row.holder.run for row in store.holders(NAME)}
        with suppress(LeaseHeld, LeaseLost):
            if step.action == "take":
                grants[step.who] = store.take(holder, {NAME: step.mode}, TTL)
            elif grant := grants.get(step.who):
                change(store, step.action, grant, clock.now)
                written[holder.run] += step.action == "act"
                assert holder.run in valid or step.action == "release"
    for run, count in written.items():
        assert [recorded.seq for recorded in store.read(run)] == list(range(1, count + 1))
