"""Progress on a terminal and as lines, while events are added."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, Group
from rich.spinner import Spinner

from holdfast.cli.context import Adapters, CommandContext
from holdfast.cli.output_stream import OutputStream
from holdfast.cli.progress import FOOTER, LivePanel, LogLines, shorten_reading
from holdfast.journal import events
from holdfast.journal.events import Recorded
from holdfast.journal.fold import fold
from holdfast.model import Act, Outcome, Phase
from holdfast.report.progress import RunProgress
from holdfast.report.progress_text import plain, progress_lines
from holdfast.report.status_view import run_view
from tests.unit.report.journals import JournalBuilder, at

PLAN = {
    "steps": [
        {"number": 1, "title": "Look"},
        {"number": 2, "title": "Restart", "hosts": ["ctl2", "ctl3", "ctl1"]},
        {"number": 3, "title": "See that it stays"},
    ]
}


def half_done_journal() -> JournalBuilder:
    """Step 1 is done; in step 2 ctl2 is done, ctl3 in hand, ctl1 to come."""
    journal = JournalBuilder(plan=PLAN, reason="[red]openssl[/] {{ 7*7 }}\x1b[2J")
    journal.add(events.StepStarted(at=at(1), step=1, title="Look"))
    journal.add(events.StepFinished(at=at(2), step=1))
    journal.add(events.StepStarted(at=at(2), step=2, title="Restart"))
    for host in ("ctl2", "ctl3"):
        journal.add(
            events.BatchStarted(
                at=at(3), step=2, hosts=[host], phases=list(Phase), why="leads fewest queues"
            )
        )
        journal.act(host, Act.RESTART, "rabbitmq-server", 20)
        if host == "ctl2":
            journal.done(host, "rabbitmq-server")
            journal.add(events.BatchEnded(at=at(30), step=2, status="ok", hosts={"ctl2": "ok"}))
    return journal


def drawn(progress: RunProgress, seconds: float) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(Group(*progress_lines(progress, at(seconds), Spinner("line"))))
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is the StringIO from above


def progress_of(journal: Iterable[Recorded]) -> RunProgress:
    progress = RunProgress()
    for recorded in journal:
        progress.add(recorded)
    return progress


def test_progress_shows_done_under_way_and_next() -> None:
    progress = progress_of(half_done_journal().recorded)
    progress.add_reading("ctl3", "gate rabbitmq.booted FAIL 1/3", at(50))
    result = drawn(progress, 53)
    assert "✓ 1. Look  1.0 s" in result
    assert "▸ 2. Restart  1 of 3 hosts" in result
    assert "ctl3 gate rabbitmq.booted FAIL 1/3  3.0 s" in result
    assert "ctl2" not in result
    assert "next: 1 host left: ctl1" in result


@pytest.mark.parametrize(
    "end",
    [
        events.Held(at=at(60), host="ctl3", evidence="x"),
        events.Aborted(at=at(60), by="ada"),
        events.Finished(at=at(60)),
        events.RunRefused(at=at(60), evidence="x"),
    ],
    ids=lambda event: event.kind,
)
def test_the_time_of_a_run_stops_with_it(end: events.Event) -> None:
    journal = half_done_journal()
    journal.add(end)
    progress = progress_of(journal.recorded)
    assert drawn(progress, 61) == drawn(progress, 60)
    assert drawn(progress, 99_999).splitlines()[0].endswith("1 min 00 s")


def test_a_resume_does_not_show_the_request_to_stop_from_before_it() -> None:
    """The panel is drawn before the first new event; a later request is shown."""
    journal = half_done_journal()
    asked = events.AbortRequested(at=at(40), by="ada", hard=False)
    journal.add(asked)
    out = StringIO()
    panel = LivePanel(
        Console(file=out, force_terminal=True, width=100, _environ={}), lambda: at(50)
    )
    panel.catch_up(journal.recorded)
    with panel:
        pass
    assert FOOTER in out.getvalue()
    before = len(journal.recorded)
    journal.add(
        events.Resumed(at=at(50), by="ada", reason="x", controller="ctl9", process=1, ended=[])
    )
    journal.add(asked.model_copy(update={"at": at(55)}))
    with panel:
        for recorded in journal.recorded[before:]:
            panel.show_event(recorded)
    assert out.getvalue().rindex("stop requested by ada") > out.getvalue().rindex(FOOTER)


def test_progress_names_the_next_step_when_the_last_host_is_in_hand() -> None:
    journal = half_done_journal()
    journal.done("ctl3", "rabbitmq-server")
    journal.add(events.BatchEnded(at=at(60), step=2, status="ok", hosts={"ctl3": "ok"}))
    journal.add(
        events.BatchStarted(at=at(61), step=2, hosts=["ctl1"], phases=list(Phase), why="last")
    )
    assert "next: step 3: See that it stays" in drawn(progress_of(journal.recorded), 62)


def test_status_of_a_host_that_is_done_while_its_batch_goes_on_says_so() -> None:
    journal = half_done_journal()
    journal.done("ctl3", "rabbitmq-server")
    shown = plain(run_view(fold(journal.recorded), at(60), driven=True))
    assert "ctl3 done and proved healthy" in shown
    assert "not touched" not in shown


def test_progress_before_the_first_event_is_preparing() -> None:
    assert "preparing" in drawn(RunProgress(), 0)


def test_long_reason_is_cut_in_the_progress() -> None:
    journal = JournalBuilder(plan=PLAN, reason="why " * 5000)
    result = drawn(progress_of(journal.recorded), 1).splitlines()
    assert len(result) < 10
    assert "Look" in result[2]


def test_progress_shows_text_from_outside_as_text() -> None:
    result = drawn(progress_of(half_done_journal().recorded), 50)
    assert "ada: [red]openssl[/] {{ 7*7 }}" in result
    assert "\x1b" not in result


def lines_of(journal: Iterable[Recorded], *notes: tuple[float, str]) -> list[str]:
    now = [0.0]
    console = Console(file=StringIO(), width=40)
    with LogLines(console, lambda: at(now[0])) as display:
        for recorded in journal:
            display.show_event(recorded)
        for now[0], reading in notes:
            display.show_reading("ctl3", "Verify", reading)
        display.show_message("stopping")
    return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]  # the StringIO


def test_log_has_one_unwrapped_line_for_each_event() -> None:
    journal = half_done_journal().gate("ctl3", Phase.VERIFY, 8, Outcome.FAIL)
    result = lines_of(journal.recorded)
    assert len(result) == len(journal.recorded) + 1  # and the answer at the end
    assert all(":" in each.split()[0] for each in result)
    assert any("ctl3 ✗ FAIL verify rabbitmq.members_agree" in each for each in result)


def test_log_omits_passed_gates_of_a_sweep() -> None:
    passed = half_done_journal()
    before = lines_of(passed.recorded)
    assert lines_of(passed.gate("ctl3", "sweep", gate="Swept").recorded) == before
    assert (
        "PASS verify Proved" in lines_of(passed.gate("ctl3", "verify", gate="Proved").recorded)[-2]
    )
    failed = passed.gate("ctl3", "sweep", outcome=Outcome.FAIL, gate="Swept")
    assert "FAIL sweep Swept" in lines_of(failed.recorded)[-2]


def test_log_omits_readings_that_differ_in_figures_only_unless_a_while_has_passed() -> None:
    result = lines_of(
        [],
        (1, "a FAIL 1/3: down (1 s)"),
        (3, "a FAIL 1/3: down (3 s)"),
        (5, ""),
        (6, "b FAIL 1/3: late (6 s)"),
        (8, "b FAIL 1/3: late (8 s)"),
        (22, "b FAIL 1/3: late (22 s)"),
        (24, "b FAIL 1/3: late (24 s)"),
    )
    assert [each.split("(")[-1] for each in result[:-1]] == ["1 s)", "6 s)", "22 s)"]
    assert result[-1].endswith("stopping")


def test_log_omits_the_last_reading_of_a_settled_gate() -> None:
    result = lines_of(
        [],
        (1, "gate ctl3 a.b PASS 3/3 readings, 4 of 10 s (9 s of 300 s)"),
        (6, "gate ctl3 a.b FAIL 1/3: late (14 s)"),
        (7, "gate ctl3 a.b PASS 3/3 readings, 10 of 10 s (15 s of 300 s)"),
        (8, "gate ctl3 c.d PASS 1/1 readings (0 s of 300 s)"),
    )
    assert len(result) == 2 + 1


@pytest.mark.parametrize(
    ("reading", "result"),
    [
        ("gate ctl3 a.b, c.d PASS 2/3 readings (4 s of 300 s)", "Verify: PASS 2/3 readings (4 s of 300 s)"),
        ("gate ctl3 a.b FAIL 1/3: ctl3 is not running (12 s)", "a.b FAIL 1/3: ctl3 is not running (12 s)"),
        ("", ""),
    ],
)  # fmt: skip
def test_reading_is_shown_without_host_and_passing_claims(reading: str, result: str) -> None:
    assert shorten_reading("ctl3", "a_role : Verify", reading) == result


class ClosedStream(StringIO):
    """A terminal that was closed, or a pipe nobody reads."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.EIO, "terminal gone")])
def test_closed_output_never_stops_a_run(error: OSError) -> None:
    for make, on_terminal in ((LogLines, False), (LivePanel, True)):
        stream = OutputStream(ClosedStream(error))
        console = Console(file=stream.as_text_io(), force_terminal=on_terminal)
        with make(console, lambda: at(0)) as display:
            for recorded in half_done_journal().recorded:
                display.show_event(recorded)
            display.show_reading("ctl3", "gate", "still here")
            display.show_message("stopping")
        assert stream.closed


def test_on_a_terminal_that_cannot_redraw_details_are_lines_far_between(tmp_path: Path) -> None:
    seconds = iter([0, 1, 14, 15, 16, 31])
    written = StringIO()
    environ = {"TERM": "dumb"}
    console = Console(file=written, force_terminal=True, width=100, _environ=environ)
    context = CommandContext(
        environ, tmp_path, console, console, StringIO(), lambda: at(next(seconds)), no_adapters
    )
    with context.status_line("Checking") as show:
        for host in ("ctl1", "ctl2", "ctl3", "cmp1", "cmp2"):
            show(host)
    assert written.getvalue().splitlines() == ["Checking …", "Checking: ctl3", "Checking: cmp2"]


def no_adapters(_: CommandContext) -> Adapters:
    raise AssertionError
