"""``holdfast diagnose``: the cause first, dead runs from the journal, and nothing that is not known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from holdfast.ansible.interfaces import Play, PlayResult, PlayRunner, Progress
from holdfast.cli.context import CommandContext
from holdfast.cli.diagnose_command import show_diagnosis
from tests.fakes.play_runner import RunsAtOnce
from tests.unit.cli.cli_harness import InMemoryProject
from tests.unit.cli.test_steering import after_act, die


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def test_a_healthy_site_is_said_to_be_well(project: InMemoryProject) -> None:
    result = project.call("diagnose")
    assert result.code == 0, result.output
    assert result.out.splitlines()[0] == "nothing is wrong: 1 claim passed"


def test_where_nothing_that_is_known_matches_it_says_so(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl2"].healthy = False
    result = project.call("diagnose", width=200)
    assert result.code == 3
    first = result.out.splitlines()[0]
    assert first == "no cause that is known matches: 1 of 1 claim did not pass"
    assert "ctl2 does not serve" in result.out
    printed = json.loads(project.call("diagnose", "--json").out)
    assert printed["causes"] == []
    assert [each["claim"] for each in printed["unexplained"]] == ["standing"]


def test_an_unreachable_host_is_a_cause(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl1"].reachable = False
    result = project.call("diagnose", width=200)
    assert result.code == 3
    assert result.out.startswith("ctl1: the host itself does not answer Holdfast")


def test_a_dead_run_with_a_host_in_hand_is_named_first(project: InMemoryProject) -> None:
    """All claims may hold while a host is in nobody's hand: the journal says so."""
    after_act(project, "drain ctl1", die)
    assert project.call("run", "broker-restart", "--yes", "--reason", "x").code == 70
    project.call("watch")  # its clock runs until the lease of the dead driver expires
    result = project.call("diagnose", width=200)
    assert result.code == 3
    assert "ctl1: in hand of a dead run" in result.out.splitlines()[0]
    assert "its driver is gone" in result.out
    assert "only if you abandon the run: holdfast abort" in result.out


def test_where_nothing_failed_and_something_is_silent_it_says_that(
    project: InMemoryProject,
) -> None:
    project.fleet.answer_unknown.add("ctl2")
    result = project.call("diagnose")
    assert result.code == 3
    assert result.out.startswith("not known: 1 of 1 claim got no answer, and nothing failed")


class _Check(RunsAtOnce):
    """A runner whose checks end as a test says, after what the fleet has said is judged."""

    def __init__(self, inner: PlayRunner, end: Callable[[PlayResult], PlayResult]) -> None:
        self.inner, self.end = inner, end

    def run(
        self,
        play: Play,
        on_progress: Callable[[Progress], None],
        interrupted: Callable[[], bool],
    ) -> PlayResult:
        started = self.inner.start(play, on_progress)
        while (result := started.result()) is None:
            self.inner.wait(1)
        return self.end(result)


def end_checks(project: InMemoryProject, end: Callable[[PlayResult], PlayResult]) -> None:
    """Let each check of a project end so; its runs end as ever."""

    class Runner:
        def __init__(self, inner: PlayRunner) -> None:
            self.inner, self.check = inner, _Check(inner, end)

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def start(
            self, play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
        ) -> object:
            runner = self.check if play.run.startswith("check-") else self.inner
            return runner.start(play, on_progress, parked=parked)

    project.runner = Runner  # type: ignore[assignment]  # what is not its own is the inner one's


def test_what_was_not_judged_is_never_well(project: InMemoryProject) -> None:
    """The check hit its limit, or a gate died: what was judged before passed, the rest is not known."""
    ends: list[Callable[[PlayResult], PlayResult]] = [
        lambda ended: replace(ended, status="interrupted"),
        lambda ended: replace(ended, status="failed", messages={"ctl1": "galera_user is missing"}),
    ]
    for end, said in zip(
        ends, ["the check was ended", "ctl1: galera_user is missing"], strict=True
    ):
        end_checks(project, end)
        result = project.call("diagnose", width=200)
        assert result.code == 3
        assert result.out.startswith(f"not known: {said}")
        assert "nothing is wrong" not in result.out
        printed = json.loads(project.call("diagnose", "--json").out)
        assert printed["line"].startswith(f"not known: {said}")
        assert said in printed["messages"][0]


def test_a_failure_is_named_before_what_was_not_judged(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl2"].healthy = False
    end_checks(project, lambda ended: replace(ended, messages={"ctl3": "died"}))
    result = project.call("diagnose", width=200)
    assert result.out.startswith("no cause that is known matches: 1 of 1 claim did not pass")
    assert "what was not judged" in result.out
    assert "ctl3: died" in result.out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "diagnosis  not made: ended with Ctrl-C"),
        (KeyError("alarms"), "diagnosis  not made, by a bug of Holdfast: KeyError: 'alarms'"),
        (OSError("no space"), "diagnosis  not made, by a bug of Holdfast: OSError: no space"),
    ],
    ids=["ctrl-c", "rule", "system"],
)
def test_a_hold_ends_as_it_does_whatever_its_diagnosis_does(
    project: InMemoryProject, error: BaseException, said: str
) -> None:
    def fail(_: PlayResult) -> PlayResult:
        raise error

    project.fleet.never_idle.add("ctl2")
    end_checks(project, fail)
    held = project.call("run", "broker-restart", "--yes", "--reason", "x", width=200)
    assert held.code == 4, held.output
    last = held.out.rstrip().splitlines()[-1]
    assert said in last
    assert held.err == ""


def test_a_plan_without_an_inventory_has_no_diagnosis() -> None:
    """An old journal: no other site is asked in its place."""
    out = Console(file=StringIO(), width=200)

    def nothing(_: object) -> object:
        raise AssertionError

    context = CommandContext(
        environ={},
        directory=Path("/"),
        out=out,
        err=out,
        stdin=StringIO(),
        now=lambda: datetime.now(UTC),
        adapters=nothing,  # type: ignore[arg-type]  # nothing outside is asked
    )
    show_diagnosis(context, "")
    assert isinstance(out.file, StringIO)
    assert "not made: the plan of this run names no inventory" in out.file.getvalue()


def test_a_hold_prints_the_diagnosis_in_two_lines(project: InMemoryProject) -> None:
    project.fleet.never_idle.add("ctl2")
    held = project.call("run", "broker-restart", "--yes", "--reason", "x", width=200)
    assert held.code == 4, held.output
    assert "for the cause" in held.out
    last = held.out.rstrip().splitlines()[-1]
    assert last.split() == ["diagnosis", "nothing", "is", "wrong:", "1", "claim", "passed"]


def test_a_program_that_reads_events_gets_no_diagnosis(project: InMemoryProject) -> None:
    project.fleet.never_idle.add("ctl2")
    held = project.call("run", "broker-restart", "--yes", "--reason", "x", "--json")
    assert held.code == 4
    assert "diagnosis" not in held.out + held.err
