"""The SVG of a report: well-formed, reproducible, safe with any text, with every verdict."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from holdfast.journal import events
from holdfast.model import Outcome, Phase
from holdfast.report import build_report, timeline_svg
from tests.unit.report.journals import JournalBuilder, at, nova_journal, rabbitmq_journal

SVG = "{http://www.w3.org/2000/svg}"


def texts(document: str) -> list[str]:
    # The document is our own output, a moment old.
    tree = ET.fromstring(document)  # noqa: S314
    return [element.text or "" for element in tree.iter() if element.tag != f"{SVG}svg"]


def test_same_report_gives_the_same_bytes() -> None:
    first, second = (
        timeline_svg(build_report([rabbitmq_journal().recorded, nova_journal().recorded]))
        for _ in range(2)
    )
    assert first == second


def test_every_lane_names_its_host_and_unit() -> None:
    shown = texts(timeline_svg(build_report([nova_journal(0).recorded])))
    assert shown.count("ctl1") == 4
    assert shown.count("nova-compute") == 3


def test_a_host_name_too_long_for_its_lane_is_cut() -> None:
    journal = JournalBuilder().gate("controller01.example.org", Phase.PREFLIGHT, 7)
    assert "controller0…" in texts(timeline_svg(build_report([journal.recorded])))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_gate_shows_its_verdict(outcome: Outcome) -> None:
    journal = JournalBuilder().gate("ctl1", Phase.PREFLIGHT, 7, outcome)
    shown = texts(timeline_svg(build_report([journal.recorded])))
    assert f"ctl1 · preflight: rabbitmq.members_agree: {outcome} · from 0:00 for 7.0 s" in shown


def test_verdicts_differ_by_more_than_colour() -> None:
    drawn: list[str] = []
    for outcome in Outcome:
        journal = JournalBuilder().gate("ctl1", Phase.PREFLIGHT, 7, outcome)
        axis = timeline_svg(build_report([journal.recorded])).partition(">drain<")[0]
        drawn += [sign for sign in ("l4 4m0 -4l-4 4", ">?<") if sign in axis]
    assert drawn == ["l4 4m0 -4l-4 4", ">?<"]


def test_a_bar_is_as_long_as_its_gate() -> None:
    journal = JournalBuilder().gate("ctl1", Phase.PREFLIGHT, 5).gate("ctl1", Phase.VERIFY, 5)
    assert 'width="440"' in timeline_svg(build_report([journal.recorded]))


def test_text_from_outside_stays_text() -> None:
    reason = "<script>x</script> {{ 7*7 }} \x1b[31mred\x1b[0m & more"
    document = timeline_svg(build_report([JournalBuilder(reason=reason).finished().recorded]))
    assert "<script" not in document
    assert any("<script>x</script> {{ 7*7 }} red & more" in line for line in texts(document))


def test_nothing_is_loaded_from_outside() -> None:
    document = timeline_svg(build_report([rabbitmq_journal().recorded]))
    assert document.count("http") == 1  # the name of SVG's own vocabulary
    assert "href" not in document


def test_run_that_ended_at_once_has_a_picture() -> None:
    journal = JournalBuilder().add(events.Aborted(at=at(0), by="ada"))
    assert "aborted" in timeline_svg(build_report([journal.recorded]))
