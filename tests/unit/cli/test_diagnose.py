"""``holdfast diagnose``: the cause first, dead runs from the journal, and nothing that is not known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
