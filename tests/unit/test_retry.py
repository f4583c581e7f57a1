"""How often something is attempted again, and how long the waits are; no time passes here."""

from __future__ import annotations

import pytest

from holdfast.retry import RetryPolicy, wait_seconds


class Lost(Exception):
    pass


class FailingCalls:
    """Fails so many times, then returns; counts its calls."""

    def __init__(self, failures: int, error: type[Exception] = Lost) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "done"


POLICY = RetryPolicy(first_seconds=1, most_seconds=10, attempts=6)


def test_what_succeeds_is_attempted_once_and_waits_for_nothing() -> None:
    waits: list[float] = []
    attempt = FailingCalls(0)

    assert POLICY.call(attempt, retry_on=Lost, wait=waits.append) == "done"
    assert (attempt.calls, waits) == (1, [])


def test_waits_double_up_to_the_most_and_are_jittered() -> None:
    waits: list[float] = []

    assert POLICY.call(FailingCalls(5), retry_on=Lost, wait=waits.append) == "done"

    assert len(waits) == 5
    for wait, most in zip(waits, [1, 2, 4, 8, 10], strict=True):
        assert most / 2 <= wait <= most
    assert waits != [1, 2, 4, 8, 10]


def test_the_last_failure_is_raised_as_it_is() -> None:
    attempt = FailingCalls(99)

    with pytest.raises(Lost):
        POLICY.call(attempt, retry_on=Lost, wait=lambda _: None)
    assert attempt.calls == 6


def test_no_other_error_is_retried() -> None:
    attempt = FailingCalls(1, ValueError)

    with pytest.raises(ValueError):  # noqa: PT011  # any
        POLICY.call(attempt, retry_on=Lost, wait=lambda _: None)
    assert attempt.calls == 1


def test_without_a_number_of_attempts_it_goes_on() -> None:
    attempt = FailingCalls(200)

    forever = RetryPolicy(first_seconds=1, most_seconds=10)

    assert forever.call(attempt, retry_on=Lost, wait=lambda _: None) == "done"


@pytest.mark.parametrize(("failures", "most"), [(1, 1), (2, 2), (5, 10), (100_000, 10)])
def test_a_client_that_reconnects_asks_for_its_delay(failures: int, most: float) -> None:
    delays = [POLICY.delay(failures) for _ in range(200)]

    assert most / 2 <= min(delays) < most * 0.6
    assert most * 0.9 < max(delays) <= most


def test_the_default_wait_returns() -> None:
    wait_seconds(0)
