"""A gate settles after enough consecutive passing readings over enough time, and not before."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from holdfast.judges.settle import Streak
from holdfast.model import Settle

SETTLE = Settle(readings=3, span=timedelta(seconds=10))


def streak_of(*readings: tuple[float, bool]) -> Streak:
    streak = Streak()
    for at, passed in readings:
        streak = streak.after(passed, at)
    return streak


def test_enough_readings_too_close_together_do_not_settle() -> None:
    assert not streak_of((0, True), (1, True), (2, True), (3, True)).settles(SETTLE, 3)


def test_enough_time_with_too_few_readings_does_not_settle() -> None:
    assert not streak_of((0, True), (60, True)).settles(SETTLE, 60)


def test_both_together_settle() -> None:
    assert streak_of((0, True), (5, True), (10, True)).settles(SETTLE, 10)


def test_one_bad_reading_starts_the_count_again() -> None:
    readings = (0.0, True), (5.0, True), (9.0, False), (10.0, True), (15.0, True)
    assert streak_of(*readings) == Streak(readings=2, since=10.0)
    assert not streak_of(*readings).settles(SETTLE, 15)


def test_without_a_reading_nothing_settles() -> None:
    assert not Streak().settles(Settle(readings=0), 100)


@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans()), max_size=30))
def test_it_settles_only_by_the_last_readings(steps: list[tuple[float, bool]]) -> None:
    now, readings = 0.0, []
    for step, passed in steps:
        now += step
        readings.append((now, passed))
    good: list[float] = []
    for at, passed in readings:
        good = [*good, at] if passed else []
    expected = len(good) >= 3 and timedelta(seconds=now - good[0]) >= SETTLE.span
    assert streak_of(*readings).settles(SETTLE, now) is expected
