"""When a restarted host was in hand, and how many were at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.instruments.restart_spans import most_at_once, restart_spans

INFINITY = float("inf")


def unit(states: str) -> list[dict[str, Any]]:
    """One sample a second, as invocation letters: upper case is active, lower case is not, `?` unknown."""
    return [
        {
            "t": float(t),
            "ok": None if s == "?" else s.isupper(),
            "detail": {"invocation_id": s.lower()},
        }
        for t, s in enumerate(states)
    ]


def answers(states: str) -> list[dict[str, Any]]:
    return [{"t": float(t), "ok": s == "+", "detail": None} for t, s in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "answered", "spans"),
    [
        ("AAAA", "++++", []),
        ("AaabbB", "+----+", [(1.0, 5.0)]),
        ("AaaBBB", "+----+", [(1.0, 5.0)]),
        ("AABBBB", "+++-++", [(2.0, 2.0)]),
        ("AAbBBB", "++--++", [(2.0, 4.0)]),
        ("Aabbbb", "+-----", [(1.0, INFINITY)]),
        ("Aa??bB", "+----+", [(1.0, 5.0)]),
        ("AaBbCC", "+-+--+", [(1.0, 2.0), (3.0, 5.0)]),
    ],
)
def test_a_host_is_in_hand_until_the_new_invocation_answers(
    states: str, answered: str, spans: list[tuple[float, float]]
) -> None:
    series = {
        ("ctl1", "unit:nova-conductor"): unit(states),
        ("ctl1", "rpc:nova-conductor"): answers(answered),
    }
    assert restart_spans(series, "nova-conductor") == {"ctl1": spans}


def test_a_unit_without_a_service_check_answers_when_active() -> None:
    assert restart_spans({("ctl1", "unit:cron"): unit("AabbB")}, "cron") == {"ctl1": [(1.0, 4.0)]}


@pytest.mark.parametrize(
    ("first", "second", "at_once"),
    [
        ((1.0, 5.0), (5.0, 9.0), 1),
        ((1.0, 5.0), (4.0, 9.0), 2),
        ((1.0, INFINITY), (7.0, 9.0), 2),
        ((1.0, 2.0), (3.0, 4.0), 1),
    ],
)
def test_hosts_with_overlapping_spans_count_together(
    first: tuple[float, float], second: tuple[float, float], at_once: int
) -> None:
    assert most_at_once({"ctl1": [first], "ctl2": [second]}) == at_once


def test_without_a_restart_no_host_is_in_hand() -> None:
    assert most_at_once({"ctl1": []}) == 0
