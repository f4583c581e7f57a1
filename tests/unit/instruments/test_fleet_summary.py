"""What the fleet's instrument says: who gave no answer, and whether that host was in hand."""

from __future__ import annotations

from typing import Any

from tests.lab.instruments.fleet_summary import HostRestart, figures, harmed, summarise

HOSTS = ["cmp1", "cmp2"]


def period(t: float, *silent: tuple[str, float], median: float | None = 0.01) -> dict[str, Any]:
    detail = {
        "calls": 2,
        "median": median,
        "p99": median,
        "silent": [list(s) for s in silent],
        "lost": [],
    }
    return {"t": t, "what": "calls", "ok": not silent, "detail": detail}


def old(t: float, number: int) -> dict[str, Any]:
    return {"t": t, "what": "heartbeats", "ok": not number, "detail": {"listed": 2, "old": number}}


def test_a_host_in_hand_may_be_silent_and_comes_back() -> None:
    restarts = [HostRestart("cmp1", 10, 20)]
    records = [period(5), period(30, ("cmp1", 12.0), ("cmp1", 34.0)), period(45, ("cmp1", 36.0))]
    found = figures(records, restarts, 0)
    assert (found.calls, found.failed, found.failed_elsewhere) == (6, 3, 1)
    assert (found.restarted, found.after_trouble, found.stable_after) == (1, 0, 45)


def test_hosts_that_are_restarted_after_the_first_trouble_are_counted() -> None:
    restarts = [HostRestart("cmp1", 10, 20), HostRestart("cmp2", 60, None)]
    records = [
        period(50, ("cmp1", 45.0)),
        old(55, 1),
        {"t": 60, "what": "heartbeats", "ok": None, "detail": "OSError"},
    ]
    found = figures(records, restarts, 0)
    assert (found.after_trouble, found.old_heartbeats, found.most_silent) == (1, 1, 1)
    assert figures(records, restarts, 51).failed == 0


def test_a_unit_that_does_not_start_is_in_hand_until_the_end() -> None:
    found = figures([period(500, ("cmp2", 480.0))], [HostRestart("cmp2", 60, None)], 0)
    assert (found.failed, found.failed_elsewhere) == (1, 0)


def test_harmed_is_who_gave_no_answer_for_a_minute() -> None:
    a_minute = [("cmp1", 5.0 * number) for number in range(12)]
    assert list(harmed(a_minute)) == ["cmp1"]
    assert not list(harmed(a_minute[:11]))
    with_an_answer_between = [each for each in a_minute * 2 if each[1] != 25.0]
    assert not list(harmed(with_an_answer_between))


def test_a_summary_is_of_the_whole_record() -> None:
    head = {"t": 0, "what": "fleet", "ok": True, "detail": {"hosts": HOSTS}}
    assert summarise([head, period(5), period(10, ("cmp2", 1.0), median=None)]) | {"hosts": 2} == {
        "calls": 4, "failed": 1, "failed_elsewhere": 1, "slowest_median": 0.01, "slowest_p99": 0.01, "most_silent": 1,
        "old_heartbeats": 0, "restarted": 0, "after_trouble": 0, "harmed": (), "stable_after": 10.0, "hosts": 2,
    }  # fmt: skip
