"""The summary of a record of writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.instruments.writes_summary import summarise

HEAD = {"what": "writes", "t": 0.0, "detail": {"started_at": "2026-01-01T00:00:00+00:00"}}


def write(t: float, number: int, node: str = "db1", **changed: Any) -> dict[str, Any]:
    values = {"ok": "detail" not in changed, "via": "lb1", "began": t - 0.01, "detail": None}
    return {"t": t, "what": "write", "number": number, "node": node, **values, **changed}


def node(name: str, *numbers: int, counter: int | None = None) -> dict[str, Any]:
    rows = [f"lb1 {number}" for number in numbers]
    detail = {"rows": rows, "counter": len(rows) if counter is None else counter}
    return {"t": 100.0, "what": "node", "ok": True, "node": name, "detail": detail}


def summary(*events: dict[str, Any]) -> dict[str, Any]:
    return summarise([HEAD, *events])


def test_a_change_of_the_writer_is_counted_and_its_gap_measured() -> None:
    first = [write(1, 1), write(2, 2), write(2.5, 3, detail=2013)]
    then = [write(4, 4, "db2"), write(4.1, 5, "db2")]
    found = summary(*first, *then, node("db1", 1, 2, 4, 5), node("db2", 1, 2, 4, 5))
    assert found["writers"] == ["db1", "db2"]
    assert found["two_at_a_time"] == 0
    assert found["gaps_at_changes"] == [2.0]
    assert found["longest_gap"] == {"start": 2, "seconds": 2.0}
    assert (found["acknowledged"], found["failed"], found["lost"]) == (4, {"2013": 1}, 0)
    assert not found["nodes_differ"]
    assert not found["counter_differs"]


def test_an_acknowledged_row_that_one_node_lacks_is_lost() -> None:
    found = summary(write(1, 1), write(2, 2), node("db1", 1, 2), node("db2", 1))
    assert (found["lost"], found["lost_rows"]) == (1, ["lb1 2"])
    assert found["nodes_differ"]


def test_a_replica_that_has_not_what_the_nodes_have_is_told() -> None:
    replicas = [node("rep1", 1), node("rep2")]
    rows = [write(1, 1), node("db1", 1), *({**each, "what": "replica"} for each in replicas)]
    found = summary(*rows)
    assert found["replicas_differ"] == ["rep2"]
    assert (found["lost"], found["nodes_differ"], found["counter_differs"]) == (0, False, False)


def test_a_row_whose_commit_was_not_acknowledged_may_be_there() -> None:
    found = summary(write(1, 1, detail=2013), node("db1", 1), node("db2", 1))
    assert (found["lost"], found["failed_but_written"]) == (0, 1)


@pytest.mark.parametrize(
    "second",
    [
        write(2.5, 2, "db2", began=1.5),  # began before the other's was acknowledged
        write(1.9, 2, "db2", began=1.8),  # within the other's
    ],
)
def test_transactions_on_two_nodes_at_a_time_are_two_writers(second: dict[str, Any]) -> None:
    assert summary(write(2, 1, began=1), second)["two_at_a_time"] == 1


def test_a_node_that_writes_again_between_another_s_is_a_writer_again() -> None:
    found = summary(write(1, 1), write(2, 2, "db2"), write(3, 3), node("db1", 1, 2, 3))
    assert found["writers"] == ["db1", "db2", "db1"]


def test_a_counter_that_is_not_the_number_of_rows_is_told() -> None:
    assert summary(write(1, 1), node("db1", 1, counter=2))["counter_differs"]


def test_without_a_node_nothing_is_said_to_be_there() -> None:
    found = summary(write(1, 1))
    assert found["lost"] == 1
    assert found["nodes_differ"]


def test_a_record_that_ends_while_nobody_can_write_has_that_gap() -> None:
    refused = [
        {"t": float(t), "what": "connect", "ok": False, "via": "lb1", "detail": 2013}
        for t in (3, 9)
    ]
    found = summary(write(1, 1), *refused, node("db1", 1))
    assert found["longest_gap"] == {"start": 1, "seconds": 8.0}


def test_another_record_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record of the writes"):
        summarise([{**HEAD, "what": "traffic"}])
