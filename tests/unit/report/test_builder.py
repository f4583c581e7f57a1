"""Figures of a report, from journals whose every second is known."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import InvalidInput
from holdfast.journal import events
from holdfast.model import Act, Outcome, Phase
from holdfast.report import build_report, timeline_svg
from holdfast.report.progress_text import plain
from holdfast.report.table import report_tables
from holdfast.report.timeline import at_most_at_once, covered
from tests.unit.report.journals import JournalBuilder, at, nova_journal, rabbitmq_journal


def test_shares_of_a_run_add_up_to_its_length() -> None:
    run = build_report([rabbitmq_journal().recorded]).runs[0]
    shares = run.shares
    assert shares.acting_seconds == pytest.approx(3 * (3 + 12))
    assert shares.gating_seconds == pytest.approx(1 + 3 * (0.5 + 0.5 + 10 + 0.5))
    assert shares.overhead_seconds == pytest.approx(3 * 2)
    assert shares.waiting_seconds == 0
    assert shares.total_seconds == pytest.approx(run.end - run.start)


def test_hosts_of_a_batch_share_their_seconds() -> None:
    """Two computes restarted side by side cost the time of one."""
    journal = JournalBuilder()
    for host in ("cmp1", "cmp2"):
        journal.intend(host, Act.RESTART, "nova-compute")
    journal.later(4)
    for host in ("cmp1", "cmp2"):
        journal.add(
            events.ActDone(
                at=at(4), host=host, act=Act.RESTART, unit="nova-compute", invocation_id="n"
            )
        )
        journal.done(host, "nova-compute")
    report = build_report([journal.finished().recorded])
    assert report.runs[0].shares.acting_seconds == pytest.approx(4)
    assert report.runs[0].in_hand_at_most == 2


def test_instant_counts_once_though_a_gate_and_an_act_share_it() -> None:
    """While one host of a batch still restarts, the other is gated already."""
    journal = JournalBuilder().intend("cmp1", Act.RESTART, "nova-compute")
    journal.gate("cmp2", Phase.VERIFY, 6)
    journal.later(4).add(
        events.ActDone(
            at=at(10), host="cmp1", act=Act.RESTART, unit="nova-compute", invocation_id="n"
        )
    )
    shares = build_report([journal.finished().recorded]).runs[0].shares
    assert (shares.acting_seconds, shares.gating_seconds, shares.overhead_seconds) == (10, 0, 0)


def test_host_is_in_hand_from_its_first_act_to_its_proof() -> None:
    lane = build_report([rabbitmq_journal().recorded]).lanes[0]
    assert (lane.host, lane.unit, lane.restarts, lane.done) == ("ctl2", "rabbitmq-server", 1, True)
    assert lane.in_hand_seconds == pytest.approx(3 + 0.5 + 12 + 10)


def test_batches_of_one_have_one_host_in_hand_at_most() -> None:
    assert build_report([rabbitmq_journal().recorded]).runs[0].in_hand_at_most == 1


def test_units_of_one_host_have_lanes_of_their_own() -> None:
    report = build_report([nova_journal(0).recorded])
    assert [lane.unit for lane in report.lanes if lane.host == "ctl1"] == [
        "nova-conductor",
        "nova-scheduler",
        "nova-api",
        "nova-metadata",
    ]


def test_act_without_a_result_lasts_to_the_end_and_is_not_done() -> None:
    journal = (
        JournalBuilder()
        .gate("ctl1", Phase.PREFLIGHT)
        .intend("ctl1", Act.RESTART, "rabbitmq-server")
    )
    journal.later(30).add(
        events.Held(at=at(journal.now), host="ctl1", evidence="unreachable", code=6)
    )
    report = build_report([journal.recorded])
    lane = report.lanes[0]
    assert (lane.done, lane.restarts) == (False, 0)
    assert lane.in_hand_seconds == pytest.approx(30)
    assert lane.bars[-1].label == "restart (no result)"
    assert report.runs[0].ending == "held"
    assert report.runs[0].held_because == "unreachable"


def test_hold_until_resume_is_waiting_and_the_lane_goes_on() -> None:
    journal = JournalBuilder().act("ctl1", Act.RESTART, "rabbitmq-server", 10)
    journal.gate("ctl1", Phase.VERIFY, 20, Outcome.FAIL)
    journal.add(events.Held(at=at(journal.now), host="ctl1", evidence="no quorum")).later(600)
    journal.add(
        events.Resumed(at=at(journal.now), by="ada", reason="repaired", controller="c1", process=2)
    )
    journal.gate("ctl1", Phase.VERIFY, 5).done("ctl1", "rabbitmq-server").finished()
    report = build_report([journal.recorded])
    assert report.runs[0].shares.waiting_seconds == pytest.approx(600)
    assert report.runs[0].ending == "finished"
    assert report.runs[0].held_because == ""
    assert len(report.lanes) == 1
    assert report.lanes[0].done
    assert report.lanes[0].in_hand_seconds == pytest.approx(10 + 20 + 600 + 5)


def test_gate_after_a_host_is_done_begins_no_second_turn() -> None:
    """The last broker's play ends with a gate on the whole cluster."""
    journal = JournalBuilder().turn("ctl1", "rabbitmq-server", 10, 5).gate("ctl1", Phase.VERIFY, 1)
    lanes = build_report([journal.finished().recorded]).lanes
    assert [(lane.host, lane.done) for lane in lanes] == [("ctl1", True)]
    assert lanes[0].in_hand_seconds == pytest.approx(15)


def resumed(journal: JournalBuilder) -> JournalBuilder:
    event = events.Resumed(at=at(journal.now), by="ada", reason="x", controller="c1", process=2)
    return journal.add(event)


def observed(journal: JournalBuilder, invocation_id: str) -> JournalBuilder:
    event = events.Observed(
        at=at(journal.now), host="ctl1", unit="broker", invocation_id=invocation_id, active=True
    )
    return journal.add(event)


@pytest.mark.parametrize(("invocation_id", "restarts"), [("new", 1), ("old", 0)])
def test_restart_without_a_result_counts_if_the_host_runs_a_new_start(
    invocation_id: str, restarts: int
) -> None:
    journal = JournalBuilder().intend("ctl1", Act.RESTART, "broker").later(5)
    hosts = {"ctl1": "absent"}
    journal.add(events.BatchEnded(at=at(5), step=1, status="interrupted", hosts=hosts))
    observed(journal.later(1), invocation_id)
    lane = build_report([journal.recorded]).lanes[0]
    assert lane.restarts == restarts
    assert (lane.bars[0].label, lane.bars[0].end) == ("restart (no result)", 5)


def test_restart_that_had_to_be_repeated_counts_once() -> None:
    """The first one did not happen: the host runs the old start, so its turn begins anew."""
    journal = JournalBuilder().intend("ctl1", Act.RESTART, "broker").later(5)
    resumed(journal)
    observed(journal.later(1), "old").act("ctl1", Act.RESTART, "broker", 4).done("ctl1", "broker")
    assert build_report([journal.finished().recorded]).lanes[0].restarts == 1


def test_time_after_a_driver_died_is_waiting_not_acting() -> None:
    """The journal's last word is the intent; somebody resumes ten minutes later."""
    journal = (
        JournalBuilder().gate("ctl1", Phase.PREFLIGHT, 2).intend("ctl1", Act.RESTART, "broker")
    )
    resumed(journal.later(600))
    observed(journal.later(3), "new").gate("ctl1", Phase.VERIFY, 5).done(
        "ctl1", "broker"
    ).finished()
    report = build_report([journal.recorded])
    assert report.lanes[0].restarts == 1
    shares = report.runs[0].shares
    assert (shares.acting_seconds, shares.gating_seconds) == (0, 7)
    assert (shares.waiting_seconds, shares.overhead_seconds) == (600, 3)


def test_time_between_abort_and_resume_is_waiting() -> None:
    journal = JournalBuilder().turn("ctl1", "broker", 10, 5)
    journal.add(events.Aborted(at=at(journal.now), by="ada"))
    resumed(journal.later(60)).turn("ctl2", "broker", 10, 5).finished()
    run = build_report([journal.recorded]).runs[0]
    assert run.shares.waiting_seconds == 60
    assert run.ending == "finished"


def test_time_from_a_request_for_approval_until_the_resume_is_waiting() -> None:
    """The request was not answered within its deadline, so the run held."""
    journal = JournalBuilder().add(events.StepStarted(at=at(0), step=1, title="Approve"))
    journal.add(events.ApprovalRequested(at=at(0), step=1, question="?", plan_hash="0"))
    journal.later(600).add(events.Held(at=at(600), step=1, evidence="not approved"))
    report = build_report([resumed(journal.later(100)).finished().recorded])
    assert report.runs[0].shares.waiting_seconds == 700


def test_gate_of_the_whole_fleet_belongs_to_no_host() -> None:
    report = build_report([rabbitmq_journal().recorded])
    sweeps = ["sweep: rabbitmq.members_agree"] * 3
    assert sorted(bar.label for bar in report.fleet) == ["check: rabbitmq.members_agree", *sweeps]


def test_several_runs_are_reported_in_the_order_of_their_start() -> None:
    report = build_report([nova_journal().recorded, rabbitmq_journal().recorded])
    assert [run.runbook for run in report.runs] == ["rabbitmq-restart", "nova-restart"]
    assert report.runs[1].start == pytest.approx(110)


def test_run_that_has_not_ended_is_under_way() -> None:
    assert build_report([JournalBuilder().recorded]).runs[0].ending == "under way"


def test_run_without_a_journal_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no such run"):
        build_report([[]])


@pytest.mark.parametrize(
    ("intervals", "seconds", "most"),
    [
        ([], 0, 0),
        ([(0, 1)], 1, 1),
        ([(0, 2), (1, 3)], 3, 2),
        ([(0, 1), (1, 2)], 2, 1),
        ([(0, 10), (2, 3), (4, 5)], 10, 2),
        ([(0, 1), (5, 6)], 2, 1),
    ],
)
def test_overlap(intervals: list[tuple[float, float]], seconds: float, most: int) -> None:
    assert covered(intervals) == seconds
    assert at_most_at_once(intervals) == most


def test_a_report_names_who_approved_rejected_aborted_and_resumed_and_why() -> None:
    journal = JournalBuilder()
    asked: dict[str, Any] = {"step": 1, "plan_hash": "0"}
    resumed: dict[str, Any] = {"controller": "ctl", "process": 1}
    for event in (
        events.StepStarted(at=at(1), step=1, title="x"),
        events.ApprovalRequested(at=at(2), question="?", **asked),
        events.Rejected(at=at(10), by="login:eve", person="eve", reason="not now", **asked),
        events.Resumed(at=at(20), by="bob", reason="it is time", **resumed),
        events.ApprovalRequested(at=at(30), question="?", **asked),
        events.Approved(at=at(40), by="slack:T1/U2", person="cat", **asked),
        events.AbortRequested(at=at(50), by="dot"),
        events.AbortRequested(at=at(60), by="dot", hard=True),
    ):
        journal.add(event)
    report = build_report([journal.recorded])
    expected = [
        ("rejected", "eve (login:eve)", "not now"),
        ("resumed", "bob", "it is time"),
        ("approved", "cat (slack:T1/U2)", ""),
        ("abort requested", "dot", ""),
        ("hard stop requested", "dot", ""),
    ]
    assert [(each.what, each.by, each.reason) for each in report.runs[0].decisions] == expected
    table, picture = plain(report_tables(report)), timeline_svg(report)
    for what, by, reason in expected:
        assert f"{what} by {by} after " in table
        assert f"{what} by {by}" in picture
        assert reason in table
        assert reason in picture
    assert report.model_dump(mode="json")["runs"][0]["decisions"][0]["at"] == 10.0
