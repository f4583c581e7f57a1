"""Which lost calls are explained by the outage of their own server, and which are not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.instruments.unexplained_losses import unexplained_losses


def observed(host: str, what: str, state: str, start: float, end: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {"monotonic": 100.0, "last": 90.0, "outages": {}, "unknown": {}}
    found[state] = {host: {what: [{"start": start, "end": end}]}}
    return found


def traffic(asked: float, given_up: float) -> dict[str, Any]:
    call = {"host": "cmp1", "service": "rpc:nova-compute", "asked": asked, "given_up": given_up}
    return {"monotonic": 100.0, "calls": {"lost_calls": [call]}}


@pytest.mark.parametrize(
    ("host", "what", "state", "explained"),
    [
        ("cmp1", "rpc:nova-compute", "outages", True),
        ("cmp1", "unit:nova-compute", "outages", True),
        ("cmp1", "unit:nova-compute", "unknown", True),
        ("cmp2", "rpc:nova-compute", "outages", False),
        ("cmp1", "rpc:nova-conductor", "outages", False),
        ("cmp1", "unit:rabbitmq-server", "outages", False),
    ],
)
def test_only_the_servers_own_outage_explains_a_lost_call(
    host: str, what: str, state: str, *, explained: bool
) -> None:
    assert (
        unexplained_losses(observed(host, what, state, 10, 20), traffic(12, 17)) == []
    ) is explained


@pytest.mark.parametrize(
    ("asked", "given_up", "explained"),
    [(21, 26, True), (23, 28, False), (4, 9, True), (2, 7, False), (5, 30, True)],
)
def test_a_call_has_to_overlap_the_outage(
    asked: float, given_up: float, *, explained: bool
) -> None:
    found = unexplained_losses(
        observed("cmp1", "rpc:nova-compute", "outages", 10, 20), traffic(asked, given_up)
    )
    assert (found == []) is explained


def test_an_outage_without_end_explains_what_comes_after_it() -> None:
    assert not unexplained_losses(
        observed("cmp1", "rpc:nova-compute", "outages", 10, None), traffic(50, 55)
    )


def test_the_times_of_both_records_are_compared_on_one_clock() -> None:
    summary = {**traffic(2, 7), "monotonic": 110.0}
    assert not unexplained_losses(observed("cmp1", "rpc:nova-compute", "outages", 10, 20), summary)
