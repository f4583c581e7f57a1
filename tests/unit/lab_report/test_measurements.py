"""The lab's report: the measurements in the instruments' summaries, on the report's time axis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.report import Report, build_report, timeline_svg
from holdfast.report.progress_text import plain
from holdfast.settings import load_settings
from holdfast.store.database import open_store
from tests.lab.instruments import observer_summary, traffic_summary
from tests.lab.report.__main__ import main
from tests.lab.report.drawing import additions, measurement_tables
from tests.lab.report.measurements import Measurements, Outage, measure_runs
from tests.unit.report.journals import START, JournalBuilder, at, nova_journal, rabbitmq_journal

Lines = list[dict[str, Any]]


def observer(*out: tuple[str, str, range], seconds: int = 20) -> Any:
    """Return the summary of an observer that began 10 s before the runs."""
    head = {"started_at": at(-10).isoformat(), "monotonic": 1.0, "interval": 1, "groups": {}}
    lines: Lines = [{"n": 0, "t": 0.0, "what": "observer", "detail": head}]
    for n in range(1, seconds + 11):
        for host, what, span in out:
            detail: Any = {"invocation_id": "1"} if what.startswith("unit:") else ""
            line = {"host": host, "what": what, "ok": n - 10 not in span, "detail": detail}
            lines.append(line | {"n": n, "t": float(n)})
    return observer_summary.summarise(lines)


def traffic(*calls: tuple[str, str, float]) -> Any:
    """Return the summary of a traffic that began with the runs; calls are lost after 5 s."""
    head = {"started_at": START.isoformat(), "monotonic": 11.0}
    lines: Lines = [{"n": 0, "t": 0.0, "what": "traffic", "detail": head}]
    lines += [
        {"n": 1, "t": 1.0, "what": "publish", "id": "a", "ok": True},
        {"n": 2, "t": 3.5, "what": "publish", "id": "b", "ok": True},
        {"n": 3, "t": 3.6, "what": "publish", "id": "c", "ok": False},
        {"n": 4, "t": 4.0, "what": "consume", "id": "a"},
    ]
    for host, service, asked in calls:
        call = {"what": "call", "host": host, "service": service, "detail": None, "ok": False}
        lines.append(call | {"n": 5, "asked": asked, "t": asked + 5})
    return traffic_summary.summarise(lines)


@pytest.fixture
def report() -> Report:
    return build_report([rabbitmq_journal().recorded, nova_journal().recorded])


def text(report: Report, measured: Measurements) -> str:
    return plain(measurement_tables(report, measured))


def test_outages_are_those_of_the_lanes_own_unit(report: Report) -> None:
    observed = observer(
        ("ctl2", "amqp", range(5, 16)),
        ("ctl2", "rpc:nova-conductor", range(5, 7)),
        ("ctl1", "http:nova-metadata", range(5, 7)),
    )
    lanes = {
        (lane.host, lane.unit): lane for lane in measure_runs(report, observed, traffic()).lanes
    }
    assert lanes["ctl2", "rabbitmq-server"].outages == (Outage("amqp", 5.0, 16.0),)
    assert lanes["ctl2", "rabbitmq-server"].out_seconds == 11
    assert lanes["ctl1", "rabbitmq-server"].out_seconds == 0


def test_outage_that_did_not_end_lasts_to_the_last_sample(report: Report) -> None:
    observed = observer(("ctl2", "amqp", range(15, 99)))
    lane = measure_runs(report, observed, traffic()).lanes[0]
    assert lane.outages == (Outage("amqp", 15.0, 20.0),)


def test_checks_of_units_are_counted_only_where_no_other_check_is_there(report: Report) -> None:
    unit, answer = ("ctl1", "unit:nova-api", range(5, 7)), ("ctl1", "amqp", range(5, 7))
    alone, both = (
        measure_runs(report, observer(*out), traffic()) for out in ([unit], [unit, answer])
    )
    assert alone.out_at_most == {"unit:nova-api": 1}
    assert both.out_at_most == {"amqp": 1}


def test_lost_call_is_counted_unless_an_outage_of_its_server_explains_it(report: Report) -> None:
    observed = observer(("ctl2", "rpc:nova-conductor", range(5, 12)))
    measured = measure_runs(
        report,
        observed,
        traffic(
            ("ctl2", "rpc:nova-conductor", 5.0),  # while it is out
            ("ctl3", "rpc:nova-conductor", 5.0),  # while another is out
            ("ctl2", "rpc:nova-conductor", 5000.0),  # after all runs
        ),
    )
    assert (measured.calls, measured.lost_calls, measured.unexplained_calls) == (3, 3, 2)
    assert list(measured.unexplained_calls_by_run.values()) == [1]


def test_tables_say_what_was_out_and_what_was_lost(report: Report) -> None:
    observed = observer(("ctl2", "amqp", range(5, 16)))
    shown = text(report, measure_runs(report, observed, traffic()))
    assert "Out at once at most: amqp 1" in shown
    assert "Messages: 1 lost of 2 confirmed (3 published, 1 without a confirm" in shown
    assert "longest gap between confirms 2.5 s" in shown
    assert "0 lost that no outage of their server explains, 0 unanswered in all of 0" in shown


def test_restarts_that_the_journal_counts_otherwise_are_shown() -> None:
    report = build_report(
        [JournalBuilder().turn("ctl1", "rabbitmq-server", 10, 5).finished().recorded]
    )
    assert "0, but 1 by the journal" in text(report, measure_runs(report, observer(), traffic()))


def test_picture_has_the_products_lanes_and_the_outages(report: Report) -> None:
    measured = measure_runs(report, observer(("ctl2", "amqp", range(5, 16))), traffic())
    picture = timeline_svg(report, additions(measured))
    assert "ctl2: amqp out for 11 s, by the observer" in picture
    assert ">out 11 s<" in picture
    for title in ("out at once at most", "of 2 messages lost", "out, by the observer"):
        assert f">{title}<" in picture
    assert set(titles(timeline_svg(report))) <= set(titles(picture))


def titles(picture: str) -> Iterator[str]:
    return (line.strip() for line in picture.splitlines() if "<title>" in line)


def test_program_reports_runs_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    journal = rabbitmq_journal()
    store = open_store(load_settings({"HOLDFAST_STATE_DIR": str(tmp_path / "state")}))
    for recorded in journal.recorded:
        store.append(journal.run, recorded.event)
    summaries = {"observer": observer(("ctl2", "amqp", range(5, 16))), "traffic": traffic()}
    options = list[str]()
    for name, summary in summaries.items():
        (tmp_path / name).write_text(json.dumps(summary))
        options += [f"--{name}", str(tmp_path / name)]

    main([journal.run, *options, "--svg", str(tmp_path / "run.svg")])
    assert "Out at once at most: amqp 1" in capsys.readouterr().out
    assert "out, by the observer" in (tmp_path / "run.svg").read_text()

    main([journal.run, *options, "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["report"]["runs"][0]["run"] == journal.run
    assert printed["measured"]["out_at_most"] == {"amqp": 1}
