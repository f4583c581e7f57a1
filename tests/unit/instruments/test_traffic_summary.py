"""The traffic's summary of a record."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.instruments.traffic_summary import summarise

HEAD = {
    "n": 0,
    "t": 0.0,
    "what": "traffic",
    "ok": True,
    "detail": {"started_at": "2026-01-01T00:00:00+00:00", "monotonic": 5.0},
}


def publish(t: float, identity: str, *, ok: bool = True) -> dict[str, Any]:
    return {"t": t, "what": "publish", "ok": ok, "host": "ctl1", "id": identity, "detail": None}


def consume(t: float, identity: str) -> dict[str, Any]:
    return {"t": t, "what": "consume", "ok": True, "host": "ctl1", "id": identity, "detail": {}}


def call(t: float, host: str, *, ok: bool) -> dict[str, Any]:
    return {
        "t": t,
        "what": "call",
        "ok": ok,
        "host": host,
        "service": "rpc:nova-compute",
        "asked": t - 1,
        "detail": None if ok else "no answer within 5 s",
    }


def messages(*events: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = summarise([HEAD, *events])["messages"]
    return found


def test_a_message_confirmed_and_never_consumed_is_lost() -> None:
    found = messages(publish(1, "p1-1"), publish(2, "p1-2"), consume(2.1, "p1-2"))
    assert (found["confirmed"], found["consumed"], found["lost_ids"]) == (2, 1, ["p1-1"])


def test_an_unconfirmed_message_is_not_lost_even_if_never_consumed() -> None:
    found = messages(publish(1, "p1-1", ok=False), publish(2, "p1-2", ok=False), consume(3, "p1-2"))
    assert (found["lost"], found["unconfirmed"], found["unconfirmed_but_consumed"]) == (0, 2, 1)


def test_a_message_that_came_before_its_confirm_was_read_counts_as_consumed() -> None:
    found = messages(consume(0.9, "p1-1"), publish(1, "p1-1"))
    assert (found["lost"], found["consumed"]) == (0, 1)


def test_duplicated_counts_messages_not_deliveries() -> None:
    found = messages(publish(1, "p1-1"), *(consume(t, "p1-1") for t in (2, 3, 4)))
    assert (found["duplicated"], found["consumed"]) == (1, 1)


def test_the_longest_gap_is_between_confirms_of_any_producer() -> None:
    found = messages(
        publish(1, "p1-1"), publish(2, "p2-1"), publish(4, "p1-2", ok=False), publish(7.5, "p2-2")
    )
    assert found["longest_gap"] == {"start": 2, "seconds": 5.5}


def test_a_lost_call_names_host_service_and_time() -> None:
    calls = summarise([HEAD, call(2, "cmp1", ok=True), call(9, "cmp2", ok=False)])["calls"]
    assert (calls["asked"], calls["answered"], calls["lost"]) == (2, 1, 1)
    assert calls["lost_of"] == {"rpc:nova-compute cmp2": 1}
    assert [(lost["host"], lost["asked"], lost["given_up"]) for lost in calls["lost_calls"]] == [
        ("cmp2", 8, 9)
    ]


def test_another_instruments_record_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record of the traffic"):
        summarise([{**HEAD, "what": "observer"}])
