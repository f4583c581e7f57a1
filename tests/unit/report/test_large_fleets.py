"""What people read of a run over ten thousand hosts: it names the first, and says how many more."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.engine.hold_report import host_states
from holdfast.journal import events
from holdfast.journal.run_state import Batch, RunState, StepState
from holdfast.model import ALL_PHASES
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import plain, progress_lines
from holdfast.report.status_view import run_view
from holdfast.report.stop_message import stop_message

NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)
HOSTS = tuple(f"h{number:05}" for number in range(10_000))
DONE, BATCH = HOSTS[:5000], HOSTS[5000:5100]


def under_way() -> RunState:
    """Return a run with half of its hosts done, and a hundred in hand."""
    plan = {"steps": [{"number": 1, "title": "Roll", "hosts": list(HOSTS)}]}
    opened = events.RunOpened(
        at=NOW,
        runbook="b",
        runbook_hash="",
        site="s",
        by="ada",
        reason="why",
        plan=plan,
        controller="c",
        process=1,
    )
    step = StepState(1, "Roll", NOW)
    for host in DONE:
        step.succeed(host)
    batch = Batch(1, BATCH, ALL_PHASES, "", (), NOW)
    return RunState(
        run="r",
        at=NOW,
        opened=opened,
        steps={1: step},
        current_step=1,
        under_way=[batch],
        batches=[batch],
        done_units={host: {"u": "i"} for host in DONE},
    )


def test_progress_shows_the_first_hosts_in_hand_and_how_many_more() -> None:
    shown = plain(*progress_lines(RunProgress(under_way()), NOW))

    assert shown.count("\n") < 30
    assert "5000 of 10000 hosts" in shown
    assert "and 80 more in hand" in shown
    assert "4900 hosts left: h05100, h05101" in shown
    assert "and 4892 more" in shown


def test_what_a_host_in_hand_does_is_shown_when_the_next_begins_beside_it() -> None:
    progress = RunProgress()
    for seq, host in enumerate(("h1", "h2"), 1):
        event = events.BatchStarted(at=NOW, step=1, hosts=[host], phases=list(ALL_PHASES), why="")
        progress.add(events.Recorded(run="r", seq=seq, event=event))
        progress.add_reading(host, f"reading of {host}", NOW)
    progress.add_reading("h9", "of an earlier batch", NOW)
    event = events.BatchStarted(at=NOW, step=1, hosts=["h3"], phases=list(ALL_PHASES), why="")
    progress.add(events.Recorded(run="r", seq=3, event=event))

    assert {host: text.text for host, (text, _) in progress.latest.items() if host} == {
        "h1": "reading of h1",
        "h2": "reading of h2",
    }


def test_the_plan_of_a_run_is_read_once_for_all_its_progress() -> None:
    progress = RunProgress(under_way())

    assert [row.title for row in progress.steps()] == ["Roll"]
    assert next(progress.steps()) is next(progress.steps())


def test_a_hold_with_a_thousand_ill_hosts_is_read_in_one_screen() -> None:
    state = under_way()
    state.under_way = []
    sentences = host_states(state, set(DONE[:1000]))

    assert len(sentences) < 12
    assert max(map(len, sentences)) < 200
    assert sentences[0] == (
        "h00000: restarted and proved healthy earlier in this run, and not well now"
    )
    assert sentences[8].startswith("h00008, h00009, ")
    assert "and 984 more: restarted and proved healthy earlier" in sentences[8]
    assert sentences[9].endswith("and 3992 more")


def test_status_and_stop_message_of_a_large_run_are_bounded() -> None:
    for text in (
        plain(run_view(under_way(), NOW, driven=True)),
        plain(stop_message(under_way())),
    ):
        assert "r" in text
        assert text.count("\n") < 40
        assert len(text) < 5_000
