"""The observer's summary of a record."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.instruments.observer_summary import State, spans_of, summarise, with_states
from tests.lab.instruments.records import NO_ANSWER

HEAD = {
    "n": 0,
    "t": 0.0,
    "what": "observer",
    "ok": True,
    "detail": {
        "started_at": "2026-01-01T00:00:00+00:00",
        "monotonic": 5.0,
        "groups": {"rabbitmq": ["ctl1", "ctl2"], "nova_compute": ["cmp1"]},
    },
}


def series(host: str, what: str, states: str, detail: Any = None) -> list[dict[str, Any]]:
    """One sample a second: `+` up, `-` out, `?` unknown."""
    ok = {"+": True, "-": False, "?": None}
    return [
        {"n": n, "t": float(n), "host": host, "what": what, "ok": ok[state], "detail": detail}
        for n, state in enumerate(states, 1)
    ]


def in_order(*several: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples as the observer writes them: all of a second together."""
    return [
        HEAD,
        *sorted((line for lines in several for line in lines), key=lambda line: line["n"]),
    ]


@pytest.mark.parametrize(
    ("states", "outages"),
    [
        ("++++", []),
        ("+--+", [(2.0, 4.0, 2.0)]),
        ("-+-+", [(1.0, 2.0, 1.0), (3.0, 4.0, 1.0)]),
        ("++--", [(3.0, None, 1.0)]),
        ("+-?-+", [(2.0, 3.0, 1.0), (4.0, 5.0, 1.0)]),
        ("+??+", []),
    ],
)
def test_an_outage_lasts_from_the_first_bad_sample_to_the_next_other_one(
    states: str, outages: list[tuple[float, float | None, float]]
) -> None:
    spans = spans_of(with_states(series("ctl1", "amqp", states)), State.OUT)
    assert [(span["start"], span["end"], span["seconds"]) for span in spans] == outages


@pytest.mark.parametrize(
    ("states", "outages", "slow"),
    [
        ("+" + 9 * "-" + "+", 0, 1),
        ("+" + 10 * "-" + "+", 1, 0),
        ("++" + 9 * "-", 0, 1),
        ("+-+-+-+-+", 0, 4),
    ],
)
def test_missing_answers_are_an_outage_only_after_the_clients_timeout(
    states: str, outages: int, slow: int
) -> None:
    lines = with_states(series("ctl1", "amqp", states, NO_ANSWER))
    assert (len(spans_of(lines, State.OUT)), len(spans_of(lines, State.SLOW))) == (outages, slow)


def test_missing_answers_next_to_a_refusal_belong_to_its_outage() -> None:
    lines = series("ctl1", "amqp", "+---+", NO_ANSWER)
    lines[2]["detail"] = "ConnectionRefusedError"
    assert [span["seconds"] for span in spans_of(with_states(lines), State.OUT)] == [3.0]


def test_a_service_that_does_not_answer_for_long_is_out_and_not_refusing() -> None:
    unanswering = series("ctl1", "amqp", 12 * "-", NO_ANSWER)
    refusing = series("ctl2", "amqp", "+-++++++++++", "ConnectionRefusedError")
    summary = summarise(in_order(unanswering, refusing))
    assert (summary["max_out"]["amqp"], summary["max_refused"]["amqp"]) == (2, 1)


def test_a_slow_service_is_not_out() -> None:
    summary = summarise(
        in_order(series("ctl1", "amqp", "+-+", NO_ANSWER), series("ctl2", "amqp", "+-+"))
    )
    assert (summary["max_out"]["amqp"], list(summary["slow"])) == (1, ["ctl1"])


def test_unknown_is_counted_separately_from_out() -> None:
    summary = summarise(in_order(series("ctl1", "amqp", "+??+"), series("ctl2", "amqp", "+-++")))
    assert [span["samples"] for span in summary["unknown"]["ctl1"]["amqp"]] == [2]
    assert list(summary["outages"]) == ["ctl2"]
    assert summary["max_out"] == {"amqp": 1}


def test_out_at_once_counts_the_same_sample_only() -> None:
    apart = summarise(in_order(series("ctl1", "amqp", "-+++"), series("ctl2", "amqp", "+-++")))
    together = summarise(in_order(series("ctl1", "amqp", "+--+"), series("ctl2", "amqp", "++-+")))
    assert (apart["max_out"]["amqp"], together["max_out"]["amqp"]) == (1, 2)


def test_a_host_is_out_of_its_group_once_however_many_of_its_services_are() -> None:
    summary = summarise(
        in_order(
            series("ctl1", "amqp", "--"),
            series("ctl1", "http:nova-api", "--"),
            series("cmp1", "rpc:nova-compute", "+-"),
        )
    )
    assert summary["max_out_of_group"] == {"rabbitmq": 1, "nova_compute": 1}


def unit_samples(*states: tuple[bool | None, str]) -> list[dict[str, Any]]:
    return [
        {
            "n": n,
            "t": float(n),
            "host": "ctl1",
            "what": "unit:cron",
            "ok": ok,
            "detail": {"invocation_id": identity} if ok is not None else "no answer within 0.8 s",
        }
        for n, (ok, identity) in enumerate(states, 1)
    ]


@pytest.mark.parametrize(
    ("states", "restarts"),
    [
        ([(True, "a"), (True, "a")], 0),
        ([(True, "a"), (False, "a"), (False, "b"), (True, "b")], 1),
        ([(True, "a"), (None, ""), (True, "b")], 1),
        ([(True, "a"), (False, ""), (True, "a")], 0),
        ([(True, "a"), (True, "b"), (True, "c")], 2),
    ],
)
def test_a_restart_is_a_change_of_invocation(
    states: list[tuple[bool | None, str]], restarts: int
) -> None:
    assert summarise(in_order(unit_samples(*states)))["restarts"] == {"ctl1": {"cron": restarts}}


def test_a_unit_that_never_ran_has_no_restarts_to_count() -> None:
    assert summarise(in_order(unit_samples((False, ""))))["restarts"] == {}


def test_a_record_without_samples_has_no_first_and_last() -> None:
    summary = summarise([HEAD])
    assert (summary["samples"], summary["first"], summary["last"]) == (0, None, None)


def test_another_instruments_record_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record of the observer"):
        summarise([{**HEAD, "what": "traffic"}])


def test_a_restart_happened_when_the_new_invocation_was_first_seen() -> None:
    summary = summarise(
        in_order(unit_samples((True, "a"), (False, "a"), (False, "b"), (True, "b")))
    )
    assert summary["restarted_at"] == {"ctl1": {"cron": [3.0]}}
    assert summary["invocations"] == {"ctl1": {"cron": ["a", "b"]}}
