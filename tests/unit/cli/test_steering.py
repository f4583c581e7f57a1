"""Signals, aborts, approvals and bugs while a run is under way."""

from __future__ import annotations

import json
import os
import pwd
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Play, PlayResult, Progress
from holdfast.cli.context import login_name
from holdfast.cli.progress import ProgressDisplay
from holdfast.journal.events import Recorded
from tests.fakes.play_runner import RunsAtOnce
from tests.unit.cli.cli_harness import BLOCKS, HOSTS, CliResult, InMemoryProject

RUN = ("run", "broker-restart", "--reason", "openssl update", "--yes")


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def after_act(project: InMemoryProject, act: str, then: Callable[[], object]) -> None:
    """Call ``then`` right after an act was done on the fleet."""
    pending = [then]

    def run_callback() -> None:
        if pending and act in project.acts:
            pending.pop()()

    project.fleet.clock.on_tick.append(run_callback)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def twice() -> None:
    interrupt()
    interrupt()


def test_ctrl_c_finishes_the_host_in_hand_and_touches_no_other(project: InMemoryProject) -> None:
    after_act(project, "restart ctl1", interrupt)
    result = project.call(*RUN)
    assert result.code == 5, result.output
    assert project.acts == ["drain ctl1", "restart ctl1", "undrain ctl1"]
    assert "Stopping at the next boundary" in result.out
    assert "ABORTED" in result.out
    assert "not touched in step 2: ctl2, ctl3" in result.out


def test_second_ctrl_c_is_the_hard_stop_and_the_host_is_observed(project: InMemoryProject) -> None:
    after_act(project, "drain ctl1", twice)
    result = project.call(*RUN)
    assert result.code == 5, result.output
    assert "HARD STOP" in result.out
    assert "restart ctl2" not in project.acts
    assert "left drained by this run" in result.out
    assert "fake undrain ctl1" in result.out


def test_aborted_run_resumes_where_it_stopped(project: InMemoryProject) -> None:
    after_act(project, "restart ctl1", interrupt)
    project.call(*RUN)
    result = project.call("resume", "broker", "--reason", "go on")
    assert result.code == 0, result.output
    assert [act for act in project.acts if act.startswith("restart")] == [
        f"restart {host}" for host in HOSTS
    ]


def test_abort_from_another_terminal(project: InMemoryProject) -> None:
    other: list[CliResult] = []
    after_act(project, "restart ctl1", lambda: other.append(project.call("abort", "broker")))
    result = project.call(*RUN)
    assert result.code == 5
    assert other[0].code == 0
    assert "to stop at the next boundary" in other[0].out
    assert project.acts == ["drain ctl1", "restart ctl1", "undrain ctl1"]


def test_status_of_a_run_under_way_is_one_screen(project: InMemoryProject) -> None:
    """Who is out, what happens there, what is next, until when, and whether a stop was asked for."""
    seen: list[str] = []

    def look() -> None:
        seen.append(project.call("status", "broker", width=80).out)
        project.call("abort", "broker")
        seen.append(project.call("status", "broker", width=80).out)

    after_act(project, "drain ctl2", look)
    assert project.call(*RUN).code == 5
    before, after = seen
    assert "▸ 2. Step 2  1 of 3 hosts" in before
    assert "ctl2 not restarted; left drained by this run" in before
    assert "next: 1 host left: ctl3" in before
    assert "planned end  23:07" in before
    assert "to follow    holdfast watch 2026" in before
    assert "to stop      holdfast abort 2026" in before
    assert "at the next boundary" in after
    assert "holdfast abort" not in after


def test_a_run_in_its_first_survey_is_running_and_no_lease_is_shown(
    project: InMemoryProject,
) -> None:
    seen: list[CliResult] = []

    def look() -> None:
        if not seen:
            seen.extend(project.call(*words) for words in (("status", "broker"), ("status",)))

    project.fleet.clock.on_tick.append(look)
    assert project.call(*RUN).code == 0
    assert "holdfast watch" in seen[0].out
    assert "HELD" not in seen[0].out
    assert "Nobody holds a lease" in seen[1].out


class FailingDisplay(ProgressDisplay):
    """A display with a bug."""

    def show_event(self, recorded: Recorded) -> None:
        raise ValueError("this cannot be drawn")


def test_a_display_with_a_bug_is_reported_and_the_run_goes_on(project: InMemoryProject) -> None:
    project.display = lambda _console, _now: FailingDisplay()
    result = project.call(*RUN)
    assert result.code == 0, result.output
    assert "This is a bug of Holdfast: ValueError: this cannot be drawn" in result.err
    assert "The run goes on without this display" in result.err
    assert len([act for act in project.acts if act.startswith("restart")]) == 3


def test_a_state_deleted_under_a_run_is_never_made_anew(project: InMemoryProject) -> None:
    """What is printed then is what the journal and the play said last; nothing else knows of the run."""

    def delete() -> None:
        for path in project.state.glob("state.db*"):
            path.unlink()

    after_act(project, "restart ctl2", delete)
    result = project.call(*RUN)

    assert result.code == 6, result.output
    assert "is gone" in result.err or "was deleted" in result.err
    assert "done and proved healthy: ctl1" in result.err
    assert "not touched in step 2: ctl3" in result.err
    assert "the last output of the play: ctl2" in result.err
    assert "restart ctl3" not in project.acts
    assert not list(project.state.glob("state.db*"))


class Killed(BaseException):
    """Ends the driver without any cleanup."""


def die() -> None:
    raise Killed


def test_watch_ends_when_the_driver_is_gone_and_shows_the_state_of_hosts(
    project: InMemoryProject,
) -> None:
    after_act(project, "drain ctl1", die)
    assert project.call(*RUN).code == 70
    result = project.call("watch")  # its clock runs until the lease of the dead driver expires
    assert result.code == 0, result.output
    assert "HELD" in result.out
    assert "ctl1: " in result.out
    assert "holdfast resume" in result.out
    assert "no driver" in project.call("status").out


def test_run_waits_for_an_approval_and_continues_with_it(project: InMemoryProject) -> None:
    project.write("approve: Really?", *BLOCKS[1:2])
    asked: list[CliResult] = []

    def answer() -> None:
        if not asked and project.fleet.clock.now.minute >= 5:
            asked.append(CliResult(0, "", ""))
            project.environ["SUDO_USER"] = "bob"
            asked.append(project.call("approve", "broker"))

    project.fleet.clock.on_tick.append(answer)
    result = project.call(*RUN)
    assert result.code == 0, result.output
    assert "waits for approval: Really?" in result.out
    assert "; next: holdfast approve 2" in result.out
    assert "approved by bob" in result.out
    assert asked[1].code == 0


def test_a_run_that_waits_is_shown_as_waiting_and_can_be_rejected(project: InMemoryProject) -> None:
    project.write("approve: Really?", *BLOCKS[1:2])
    answers: dict[str, CliResult] = {}

    def answer() -> None:
        if answers or project.fleet.clock.now.minute < 5:
            return
        answers["status"] = CliResult(0, "", "")
        for name, command in {
            "status": ("status", "broker"),
            "list": ("status",),
            "json": ("status", "broker", "--json"),
            "own": ("approve", "broker"),
        }.items():
            answers[name] = project.call(*command)
        project.environ["SUDO_USER"] = "zoe"
        answers["zoe"] = project.call("approve", "broker")
        project.environ["SUDO_USER"] = "bob"
        answers["no reason"] = project.call("reject", "broker")
        answers["bob"] = project.call("reject", "broker", "--reason", "not tonight")

    project.fleet.clock.on_tick.append(answer)
    result = project.call(*RUN)
    assert result.code == 3, result.output
    assert "rejected by bob (bob): not tonight" in result.out
    assert project.acts == []
    assert "waits for approval of step 1 (Really?): 1 of bob, eve, until " in answers["status"].out
    assert " waiting " in answers["list"].out
    told = json.loads(answers["json"].out)
    assert told["state"] == "waiting"
    assert told["waiting_for"]["may_approve"] == ["bob", "eve"]
    assert told["waiting_for"]["until"].startswith("2026-")
    assert (answers["own"].code, answers["zoe"].code) == (3, 3)
    assert (answers["no reason"].code, answers["bob"].code) == (2, 0)


def test_a_run_by_somebody_unknown_that_needs_an_approval_is_refused(
    project: InMemoryProject,
) -> None:
    (project.path / "people.yml").unlink()
    project.write("approve: Really?", *BLOCKS[1:2])
    result = project.call(*RUN)
    assert result.code == 3
    assert "add login:ada to its person in people.yml" in result.err


def test_only_root_is_believed_who_called_sudo() -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    given = {"SUDO_USER": "bob", "USER": "bob", "LOGNAME": "bob"}
    assert login_name(given, 0) == "bob"
    assert login_name(given, 1) == pwd.getpwuid(1).pw_name
    assert login_name({"USER": "bob", "LOGNAME": "bob"}) == name


def test_approval_of_a_run_that_needs_none_is_refused(project: InMemoryProject) -> None:
    project.call(*RUN)
    result = project.call("approve", "broker")
    assert result.code == 2
    assert "does not wait for an approval" in result.err


class FailingRunner(RunsAtOnce):
    """A runner with a bug."""

    def run(
        self,
        _: Play,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        raise RuntimeError("index \x1b[31mout of range")

    def end_strays(self, run: str) -> list[int]:
        return []


def test_bug_exits_with_70_and_says_where_its_details_are(project: InMemoryProject) -> None:
    project.runner = lambda _: FailingRunner()
    result = project.call(*RUN)
    assert result.code == 70
    assert "This is a bug of Holdfast: RuntimeError: index out of range" in result.err
    assert "Traceback" not in result.output
    details = next(project.state.glob("bug-*.txt"))
    assert str(details) in result.err.replace("\n", "")
    assert "Traceback" in details.read_text()
    assert oct(details.stat().st_mode & 0o777) == "0o600"
    assert "is journaled: holdfast status 2026" in result.err.replace("\n", "")
