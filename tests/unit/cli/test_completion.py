"""What the shell completes, and that pressing Tab never fails and never waits long."""

from __future__ import annotations

import threading
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from holdfast.cli.completion import soon
from holdfast.cli.context import CommandContext
from holdfast.cli.options import (
    LimitOption,
    NamedRunArgument,
    RunArgument,
    RunbookArgument,
    SiteOption,
)
from holdfast.errors import StateUnusable
from tests.unit.cli.cli_harness import InMemoryProject

HOSTS_YML = "all: {children: {broker: {hosts: {ctl1: , ctl2: , 'ctl[3:9]': }}}, hosts: {bastion: }}"
HOSTS_INI = "[compute]\ncmp1 ansible_host=10.0.0.1\n# note\n[compute:vars]\nsecret_thing=1\n[all:children]\ncompute\n"


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    made = InMemoryProject(tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    (tmp_path / "inventories/lab/hosts.yml").write_text(HOSTS_YML)
    (tmp_path / "inventories/lab/more.ini").write_text(HOSTS_INI)
    program = tmp_path / "inventories/lab/dynamic"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    program.chmod(0o755)
    return made


def completed(project: InMemoryProject, option: Any, typed: str, site: str = "") -> list[str]:
    """Return what the shell offers for an argument or option of which this was typed."""
    nowhere = Console(file=StringIO())
    context = CommandContext(
        environ=project.environ, directory=project.path, out=nowhere, err=nowhere, stdin=StringIO(),
        now=project.fleet.clock, adapters=project.adapters, machine_config=project.path / "none",
    )  # fmt: skip
    parsed: Any = SimpleNamespace(find_object=lambda _: context, params={"site": site})
    found: list[str] = option.__metadata__[0].autocompletion(parsed, typed)
    return found


def test_a_runbook_and_a_site_are_completed(project: InMemoryProject) -> None:
    assert completed(project, RunbookArgument, "bro") == ["broker-restart"]
    assert completed(project, SiteOption, "") == ["lab"]


def test_a_run_is_completed_newest_first(project: InMemoryProject) -> None:
    assert completed(project, RunArgument, "") == []
    assert not project.state.exists()
    for _ in range(2):
        project.call("run", "broker-restart", "--reason", "test", "--yes")
        project.fleet.clock.wait(60)
    runs = completed(project, RunArgument, "")
    assert len(runs) == 2
    assert runs == sorted(
        runs, reverse=True
    )  # a run's name begins with the minute in which it began
    assert completed(project, NamedRunArgument, runs[0][:-1]) == [runs[0]]


def test_groups_and_hosts_are_completed_and_no_program_is_run(project: InMemoryProject) -> None:
    assert completed(project, LimitOption, "", "lab") == [
        "all",
        "bastion",
        "broker",
        "cmp1",
        "compute",
        "ctl1",
        "ctl2",
    ]
    assert completed(project, LimitOption, "broker,!ctl") == ["broker,!ctl1", "broker,!ctl2"]
    assert not (project.path / "was-run").exists()


@pytest.mark.parametrize(
    "broken", ["inventories/lab/hosts.yml", "state/state.db", "config/holdfast/config.yml"]
)
def test_what_cannot_be_read_completes_nothing_and_says_nothing(
    project: InMemoryProject, broken: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = project.path / broken
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff: [")
    assert completed(project, RunArgument, "") == []
    assert completed(project, LimitOption, "ctl") in ([], ["ctl1", "ctl2"])
    assert completed(project, LimitOption, "", "nowhere") == []
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_is_late_is_not_waited_for() -> None:
    never = threading.Event()
    assert soon(lambda: ["late"] * never.wait(60), seconds=0.01) == []
    never.set()


def test_an_error_is_no_answer() -> None:
    def fails() -> list[str]:
        raise StateUnusable("no", remedy="none")

    assert soon(fails) == []
