"""A report on ten thousand hosts is a page: ranges of hosts, and each that was not well or slow by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast.model import Act, Outcome
from holdfast.report import timeline_svg
from holdfast.report.folding import MOST_LANES, Row, fold_lanes, join_bars
from holdfast.report.model import Bar, Lane, Report, RunSummary, TimeShares
from holdfast.report.progress_text import plain
from holdfast.report.table import report_tables
from holdfast.report.timeline_svg import Additions, Mark

MANY = 10_000


def bar(start: float, outcome: Outcome | None = None, seconds: float = 1) -> Bar:
    what = Act.RESTART if outcome is None else "gate"
    return Bar(what=what, label="b", start=start, end=start + seconds, outcome=outcome)


def lane(number: int, seconds: float = 1, *, unit: str = "u.service", done: bool = True) -> Lane:
    return Lane(
        host=f"h{number:05}",
        unit=unit,
        bars=(bar(number),),
        restarts=1,
        done=done,
        in_hand_seconds=seconds,
    )


def report(lanes: list[Lane], fleet: int = 0) -> Report:
    shares = TimeShares(
        total_seconds=len(lanes),
        acting_seconds=0,
        gating_seconds=0,
        waiting_seconds=0,
        overhead_seconds=0,
    )
    summary = RunSummary(
        run="r",
        site="s",
        runbook="b",
        by="ada",
        reason="why",
        ending="held",
        start=0,
        end=len(lanes),
        shares=shares,
        in_hand_at_most=5,
    )
    return Report(
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        seconds=len(lanes),
        runs=(summary,),
        lanes=tuple(lanes),
        fleet=tuple(bar(at, Outcome.PASS) for at in range(fleet)),
    )


@pytest.fixture(scope="module")
def large() -> Report:
    """Many hosts, of which one failed, one was slow and one had a gate that was UNKNOWN."""
    lanes = [lane(number) for number in range(MANY)]
    lanes[7777] = lane(7777, done=False)
    lanes[1234] = lane(1234, seconds=99)
    doubtful = (bar(0, Outcome.UNKNOWN), *lanes[4321].bars)
    lanes[4321] = lanes[4321].model_copy(update={"bars": doubtful})
    return report(lanes, fleet=MANY)


def test_a_report_on_few_hosts_has_a_row_for_each_lane() -> None:
    lanes = [lane(number) for number in range(MOST_LANES)]

    assert fold_lanes(lanes, 60) == tuple(Row((each,), each.bars) for each in lanes)


def test_every_lane_is_in_one_row_and_those_to_look_at_have_their_own(large: Report) -> None:
    rows = fold_lanes(large.lanes, large.seconds)

    assert len(rows) <= MOST_LANES
    assert sum(len(row.lanes) for row in rows) == MANY
    assert {each for row in rows for each in row.lanes} == set(large.lanes)
    alone = {row.name for row in rows if not row.is_range}
    assert {"h07777", "h01234", "h04321"} <= alone
    assert [row.lanes[0].host for row in rows] == sorted(row.lanes[0].host for row in rows)
    assert sum(row.restarts for row in rows) == MANY


def test_hosts_that_failed_by_the_hundred_are_counted() -> None:
    rows = fold_lanes([lane(number, done=number % 2 == 0) for number in range(1000)], 1000)

    assert len(rows) <= MOST_LANES
    assert sum(row.not_done for row in rows) == 500
    table = plain(report_tables(report([each for row in rows for each in row.lanes])))
    assert "16 not done" in table


def test_lanes_of_different_units_do_not_share_a_row() -> None:
    lanes = [lane(number, unit="ab"[number % 2]) for number in range(100)]

    for row in fold_lanes(lanes, 100):
        assert len({each.unit for each in row.lanes}) == 1


def test_bars_that_nearly_touch_are_one_and_others_are_not() -> None:
    joined = join_bars(
        [bar(0), bar(1.1), bar(50), bar(0.5, Outcome.PASS), bar(1.2, Outcome.FAIL)], 100
    )

    assert [(each.label, each.start, each.end, each.outcome) for each in joined] == [
        ("2 restarts", 0, 2.1, None),
        ("b", 0.5, 1.5, Outcome.PASS),
        ("b", 1.2, 2.2, Outcome.FAIL),
        ("b", 50, 51, None),
    ]


def test_a_picture_of_ten_thousand_hosts_is_one_page(large: Report) -> None:
    marks = {("h00003", "u.service"): [Mark(3, 4, "out for 1 s")]}
    picture = timeline_svg(large, Additions(marks))

    assert len(picture) < 300_000
    assert int(picture.partition(' height="')[2].partition('"')[0]) < 2_000
    for shown in ("h07777", "not done", "h01234", "in hand 1 min 39 s", "out for 1 s"):
        assert shown in picture
    assert "h00000 … h00333 (334)" in picture
    assert "in hand up to 1.0 s" in picture


def test_a_table_of_ten_thousand_hosts_fits_on_a_screen_or_two(large: Report) -> None:
    table = plain(report_tables(large))

    assert table.count("\n") < MOST_LANES + 20
    assert "h00000 … h00333 (334)" in table
    assert "h07777" in table
