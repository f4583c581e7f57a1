"""Summaries of the lab's instruments: read as they are written, refused when they are something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.report.instruments import read_observer, read_traffic
from tests.lab.instruments import observer_summary, traffic_summary
from tests.unit.report.stories import START, at


def record() -> list[dict[str, object]]:
    """What an observer writes while a broker is out from second 2 to 4, and another at the end."""
    head = {"started_at": START.isoformat(), "monotonic": 1.0, "interval": 1, "groups": {}}
    lines: list[dict[str, object]] = [{"n": 0, "t": 0.0, "what": "observer", "detail": head}]
    out = {"ctl1": (2, 3), "ctl2": (5, 6)}
    for n in range(1, 7):
        lines += [
            {"n": n, "t": float(n), "host": host, "what": "amqp", "ok": n not in span, "detail": ""}
            for host, span in out.items()
        ]
    return lines


def test_observer_summary_is_read_in_wall_clock_time(tmp_path: Path) -> None:
    """Made by the observer's own code: the two must go on understanding each other."""
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(observer_summary.summarise(record())))
    seen = read_observer(path)
    assert seen.outages == (("ctl1", "amqp", at(2), at(4)), ("ctl2", "amqp", at(5), at(6)))
    assert seen.out_at_most == {"amqp": 1}


def test_traffic_summary_is_read(tmp_path: Path) -> None:
    """Made by the traffic's own code, too."""
    head = {"started_at": START.isoformat(), "monotonic": 1.0}
    call = {"what": "call", "host": "ctl1", "service": "rpc:nova-conductor", "detail": None}
    lines: list[dict[str, object]] = [
        {"n": 0, "t": 0.0, "what": "traffic", "detail": head},
        {"n": 1, "t": 1.0, "what": "publish", "id": "a", "ok": True},
        {"n": 2, "t": 3.5, "what": "publish", "id": "b", "ok": True},
        {"n": 3, "t": 3.6, "what": "publish", "id": "c", "ok": False},
        {"n": 4, "t": 4.0, "what": "consume", "id": "a"},
        call | {"n": 5, "t": 5.0, "asked": 4.9, "ok": True},
        call | {"n": 6, "t": 11.0, "asked": 6.0, "ok": False},
    ]
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(traffic_summary.summarise(lines)))
    traffic = read_traffic(path)
    assert (traffic.losses.confirmed, traffic.losses.lost, traffic.losses.unconfirmed) == (2, 1, 1)
    assert traffic.losses.longest_gap_seconds == 2.5
    assert (traffic.losses.calls, traffic.losses.calls_lost) == (2, 1)
    assert traffic.lost_calls == (("ctl1", at(6), at(11)),)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json", '{"started_at": "yesterday"}'])
def test_other_files_are_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    for read in (read_observer, read_traffic):
        with pytest.raises(InvalidInput, match=r"odd\.json is not such a summary"):
            read(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_observer(tmp_path / "none.json")
