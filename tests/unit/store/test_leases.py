from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, event

from holdfast.errors import LeaseHeld, LeaseLost
from holdfast.journal.events import ActIntended, Finished
from holdfast.model import Act, Grant, Holder, LeaseMode
from holdfast.settings import Settings
from holdfast.store.connection import make_engine
from holdfast.store.database import Store, _LostRace, open_store
from tests.fakes.journal import opened

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
TTL = timedelta(seconds=60)
EXCLUSIVE, SHARED = LeaseMode.EXCLUSIVE, LeaseMode.SHARED
RABBITMQ = {"lab/rabbitmq": EXCLUSIVE}


def holder(run: str, process: int = 1) -> Holder:
    return Holder(run, "ada", f"because of {run}", "ctl9", "boot", process, 1)


ONE, TWO = holder("one"), holder("two", 2)


@dataclass
class DatabaseClock:
    """The clock of the database, which tests set."""

    now: datetime = NOW

    def __call__(self, _connection: Connection) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def observed_statements(into: list[str]) -> Iterator[None]:
    """Append every SQL statement that is sent meanwhile, on any connection."""

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        into.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def dead() -> set[Holder]:
    return set()


@pytest.fixture
def clock() -> DatabaseClock:
    return DatabaseClock()


@pytest.fixture
def store(settings: Settings, dead: set[Holder], clock: DatabaseClock) -> Store:
    return open_store(settings, gone=dead.__contains__, clock=clock)


def test_a_held_lease_is_reported_with_its_holder_time_and_reason(store: Store) -> None:
    store.take(ONE, RABBITMQ, TTL)

    with pytest.raises(LeaseHeld) as caught:
        store.take(TWO, RABBITMQ, TTL)

    for part in ("lab/rabbitmq", "one", "ada", "ctl9", "23:04:00", "because of one", "23:05:00"):
        assert part in caught.value.message
    assert caught.value.remedy == "holdfast status one"


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (SHARED, SHARED, True),
        (SHARED, EXCLUSIVE, False),
        (EXCLUSIVE, SHARED, False),
        (EXCLUSIVE, EXCLUSIVE, False),
    ],
)
def test_only_shared_leases_are_held_together(
    store: Store, first: LeaseMode, second: LeaseMode, together: bool
) -> None:
    store.take(ONE, {"lab/nova": first}, TTL)

    if together:
        store.take(TWO, {"lab/nova": second}, TTL)
    else:
        with pytest.raises(LeaseHeld):
            store.take(TWO, {"lab/nova": second}, TTL)

    runs = [row.holder.run for row in store.holders("lab/nova")]
    assert runs == (["one", "two"] if together else ["one"])


def test_all_scopes_are_taken_or_none(store: Store) -> None:
    store.take(ONE, RABBITMQ, TTL)

    with pytest.raises(LeaseHeld):
        store.take(TWO, {"lab/nova": EXCLUSIVE, **RABBITMQ, "lab/zaqar": SHARED}, TTL)

    assert not store.holders("lab/nova")
    assert not store.holders("lab/zaqar")


def test_the_same_holder_renews_and_keeps_its_token(store: Store, clock: DatabaseClock) -> None:
    first = store.take(ONE, RABBITMQ, TTL)
    clock.wait(30)
    second = store.take(ONE, RABBITMQ, TTL)

    assert first == second
    clock.wait(59)
    [row] = store.holders("lab/rabbitmq")
    assert (row.since, row.expires) == (NOW, NOW + timedelta(seconds=90))


def test_a_token_only_grows(store: Store, clock: DatabaseClock) -> None:
    tokens = []
    for number in range(3):
        grant = store.take(holder(f"run{number}"), RABBITMQ, TTL)
        tokens.append(grant.tokens["lab/rabbitmq"])
        store.release(grant)
    late = store.take(TWO, RABBITMQ, TTL)
    tokens.append(late.tokens["lab/rabbitmq"])
    clock.wait(71)
    tokens.append(store.take(ONE, RABBITMQ, TTL).tokens["lab/rabbitmq"])

    assert tokens == [1, 2, 3, 4, 5]


def test_a_lease_is_free_after_its_expiry_and_worth_nothing(
    store: Store, clock: DatabaseClock
) -> None:
    old = store.take(ONE, RABBITMQ, TTL)
    clock.wait(59)
    store.check(old)
    with pytest.raises(LeaseHeld):
        store.take(TWO, RABBITMQ, TTL)

    clock.wait(1)
    with pytest.raises(LeaseLost, match="expired at 2026-11-21 23:05:00"):
        store.check(old)
    with pytest.raises(LeaseLost, match="expired"):
        store.renew(old, TTL)

    clock.wait(store.apart.total_seconds())
    store.take(TWO, RABBITMQ, TTL)
    with pytest.raises(LeaseLost, match="two") as caught:
        store.check(old)
    assert caught.value.remedy == "holdfast status one"


def test_the_same_holder_in_another_mode_has_another_lease(
    store: Store, clock: DatabaseClock
) -> None:
    shared = store.take(ONE, {"lab/rabbitmq": SHARED}, TTL)
    clock.wait(1)
    store.take(ONE, RABBITMQ, TTL)

    [row] = store.holders("lab/rabbitmq")
    assert (row.token, row.mode, row.since) == (2, EXCLUSIVE, clock.now)
    with pytest.raises(LeaseLost):
        store.check(shared)


def test_a_renewed_lease_stays_valid(store: Store, clock: DatabaseClock) -> None:
    grant = store.take(ONE, {**RABBITMQ, "lab/nova": SHARED}, TTL)
    clock.wait(50)
    store.renew(grant, TTL)
    clock.wait(59)

    store.check(grant)


def test_a_grant_is_valid_as_long_as_the_first_of_its_leases(
    store: Store, clock: DatabaseClock
) -> None:
    earlier = store.take(ONE, {"lab/nova": SHARED}, TTL)
    clock.wait(10)
    later = store.take(ONE, RABBITMQ, TTL)

    assert store.check(later) == TTL
    both = Grant("one", {**later.tokens, **earlier.tokens})
    assert store.check(both) == TTL - timedelta(seconds=10)
    assert store.check(Grant("one", {})) == timedelta(0)


def test_a_dead_holder_is_replaced_at_once(store: Store, dead: set[Holder]) -> None:
    old = store.take(ONE, RABBITMQ, TTL)
    dead.add(ONE)

    new = store.take(TWO, RABBITMQ, TTL)

    assert new.tokens["lab/rabbitmq"] > old.tokens["lab/rabbitmq"]
    with pytest.raises(LeaseLost):
        store.check(old)
    assert [row.holder.run for row in store.holders("lab/rabbitmq")] == ["two"]


def test_the_same_run_in_another_process_is_another_holder(store: Store) -> None:
    store.take(ONE, RABBITMQ, TTL)

    with pytest.raises(LeaseHeld):
        store.take(dataclasses.replace(ONE, process=7), RABBITMQ, TTL)


def test_asking_whether_a_lease_is_free_takes_nothing(store: Store) -> None:
    store.would_take(ONE, RABBITMQ)
    assert not store.holders("lab/rabbitmq")

    store.take(ONE, RABBITMQ, TTL)
    with pytest.raises(LeaseHeld):
        store.would_take(TWO, RABBITMQ)


def test_releasing_gives_back_only_ones_own(store: Store) -> None:
    mine = store.take(ONE, {"lab/nova": SHARED}, TTL)
    store.take(TWO, {"lab/nova": SHARED}, TTL)

    store.release(mine)
    store.release(mine)

    assert [row.holder.run for row in store.holders("lab/nova")] == ["two"]


def test_all_leases_are_read_in_one_query(store: Store, dead: set[Holder]) -> None:
    """Every run has a scope of its own, so there are as many of those as runs."""
    store.take(ONE, {**RABBITMQ, "lab/run:x": SHARED, "run:one": EXCLUSIVE}, TTL)
    store.take(TWO, {"lab/run:x": SHARED, "run:two": EXCLUSIVE, "lab/nova": EXCLUSIVE}, TTL)
    dead.add(TWO)
    asked: list[str] = []
    with observed_statements(asked):
        held = [(scope, row.holder.run) for scope, row in store.held(without="run:")]
    assert held == [("lab/rabbitmq", "one"), ("lab/run:x", "one")]
    assert len([each for each in asked if "holdfast_leases" in each]) == 1
    assert [scope for scope, _ in store.held()] == ["lab/rabbitmq", "lab/run:x", "run:one"]
    assert len(store.held(without="_un")) == len(store.held(without="%x")) == 3, "no patterns"


def intent(host: str = "ctl1") -> ActIntended:
    return ActIntended(at=NOW, host=host, act=Act.RESTART, unit="rabbitmq", invocation_id="x")


def test_an_intent_is_written_only_with_every_lease(store: Store) -> None:
    grant = store.take(ONE, {**RABBITMQ, "lab/nova": SHARED}, TTL)
    store.append("one", opened())
    assert store.append_guarded(grant, intent()).seq == 2

    store.release(Grant("one", {"lab/nova": grant.tokens["lab/nova"]}))

    with pytest.raises(LeaseLost, match="lab/nova"):
        store.append_guarded(grant, intent())
    assert len(store.read("one")) == 2


def test_an_intent_with_an_old_token_is_not_written(store: Store) -> None:
    store.append("one", opened())
    old = store.take(ONE, RABBITMQ, TTL)
    store.release(old)
    store.take(ONE, RABBITMQ, TTL)

    with pytest.raises(LeaseLost):
        store.append_guarded(old, intent())


def test_another_runs_token_is_no_grant(store: Store) -> None:
    store.append("two", opened())
    theirs = store.take(ONE, RABBITMQ, TTL)

    with pytest.raises(LeaseLost):
        store.append_guarded(Grant("two", theirs.tokens), intent())


def test_an_entry_of_the_engine_goes_without_a_lease(store: Store) -> None:
    store.append("one", opened())
    assert store.append("one", Finished(at=NOW)).seq == 2


# --- the clock


def test_a_lease_that_expires_while_its_owner_waits_for_another_writer_is_worth_nothing(
    settings: Settings, clock: DatabaseClock
) -> None:
    engine, waits = make_engine(settings.state_url), list[float]()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.wait(61)

    store = Store(engine, "the database", lambda _: False, clock, wait=wait)
    open_store(settings)
    grant = store.take(ONE, RABBITMQ, TTL)
    store.append("one", opened())

    @event.listens_for(engine, "before_cursor_execute")
    def lose_once(*told: object) -> None:
        if "INSERT INTO holdfast_events" in str(told[2]) and not waits:
            raise _LostRace

    with pytest.raises(LeaseLost, match="expired"):
        store.append_guarded(grant, intent())
    assert len(waits) == 1
    assert len(store.read("one")) == 1


def test_without_another_clock_leases_go_by_the_database_s(settings: Settings) -> None:
    store = open_store(settings)
    before = datetime.now(UTC)
    store.take(ONE, RABBITMQ, TTL)

    [row] = store.holders("lab/rabbitmq")
    # Both clocks are this machine's; a server's is read a moment later than it is asked.
    assert before <= row.since <= datetime.now(UTC)
    assert row.expires == row.since + TTL


def test_only_a_server_may_be_another_one_with_another_clock(settings: Settings) -> None:
    is_file = settings.state_url.startswith("sqlite")
    assert open_store(settings).apart == timedelta(seconds=0 if is_file else 10)


@pytest.mark.parametrize("ahead", [10, -10])
def test_two_whose_database_clocks_differ_never_both_hold_a_lease(
    ways: Sequence[Settings], ahead: int
) -> None:
    """Each through another node of a cluster."""
    clocks = DatabaseClock(), DatabaseClock(NOW + timedelta(seconds=ahead))
    stores = [
        open_store(way, gone=lambda _: False, clock=clock)
        for way, clock in zip((ways[0], ways[-1]), clocks, strict=True)
    ]
    for store in stores:
        store.apart = timedelta(seconds=10)
    one, other = stores
    grant = one.take(ONE, RABBITMQ, TTL)
    with pytest.raises(LeaseHeld, match="23:05:00 UTC and is free 10 s later"):
        other.take(TWO, RABBITMQ, TTL)
    seconds = 0
    while other.holders("lab/rabbitmq"):
        seconds += 5
        for clock in clocks:
            clock.wait(5)
    other.take(TWO, RABBITMQ, TTL)
    assert seconds == 70 - ahead
    with pytest.raises(LeaseLost):
        one.check(grant)
    assert clocks[0].now >= NOW + TTL, "by the clock of its own server it had ended"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, ""),
        (5, ""),
        (-5, ""),
        (6, "(2026-11-21 23:04:06 UTC) is 6 s ahead of that of the state database"),
        (61, "(2026-11-21 23:05:01 UTC) is 61 s ahead of that of the state database"),
        (-61, "(2026-11-21 23:02:59 UTC) is 61 s behind that of the state database"),
    ],
)
def test_a_controller_whose_clock_differs_is_told(
    store: Store, clock: DatabaseClock, seconds: int, words: str
) -> None:
    warning = store.clock_warning(lambda: clock.now + timedelta(seconds=seconds))
    assert bool(warning) == bool(words)
    assert words in warning


def test_a_slow_answer_is_no_difference_of_the_clocks(store: Store, clock: DatabaseClock) -> None:
    readings = iter([NOW - timedelta(seconds=20), NOW + timedelta(seconds=20)])
    assert not store.clock_warning(lambda: next(readings))
