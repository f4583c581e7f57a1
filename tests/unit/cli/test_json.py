"""What commands print with ``--json`` has the keys that docs/json.md names, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
import typer
from pydantic import BaseModel

from deploy.man_page import commands
from holdfast.cli.app import app
from holdfast.cli.site_marks import SiteMark
from holdfast.cli.status_commands import _approval_json, _lease_json, _mark_json
from holdfast.journal import events
from holdfast.model import Holder, LeaseMode, Outcome, Phase, Verdict
from holdfast.plan.approval import OpenApproval
from holdfast.plan.model import PlannedStep
from holdfast.policy import PlaybookPolicy
from holdfast.report.model import Bar, HumanDecision, Lane, Report, RunSummary, TimeShares
from holdfast.store.leases import LeaseRow
from tests.fakes.fleet import Fault
from tests.unit.cli.cli_harness import InMemoryProject

PAGE = (Path(__file__).parents[3] / "docs" / "json.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n([^#]*)", PAGE, re.MULTILINE))


def named(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def commands_of_the_page() -> set[str]:
    """Return the commands in the page's first table, without what stands in capitals."""
    rows = re.findall(r"^\| (`holdfast .+?) \|", PAGE, re.MULTILINE)
    typed = (command for row in rows for command in re.findall(r"`holdfast ([^`]+)`", row))
    return {" ".join(re.findall(r"(?<![-\w])[a-z]+(?!\w)", command)) for command in typed}


def test_every_command_with_json_is_on_the_page() -> None:
    listed = [
        name.removeprefix("holdfast ")
        for name, command in commands(typer.main.get_command(app))
        if any("--json" in parameter.opts for parameter in command.params)
    ]
    assert len(listed) > 8
    assert commands_of_the_page() == set(listed)


def keys(section: str) -> set[str]:
    """Return the keys in the first column of a section's table."""
    return named("".join(re.findall(r"^\|([^|]+)\|", SECTIONS[section], re.MULTILINE)))


def printed_by(command: str) -> set[str]:
    """Return the keys that the row of a command names in the page's first table."""
    return named(re.findall(rf"^\| `{command}` \|(.+)$", PAGE, re.MULTILINE)[0])


def meaning(section: str, key: str) -> set[str]:
    return named(re.findall(rf"^\| `{key}` \|(.+)$", SECTIONS[section], re.MULTILINE)[0])


def fields(*models: type[BaseModel]) -> set[str]:
    """Return the names by which the models' fields are printed."""
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("section", "models"),
    [
        ("A step of a plan", get_args(get_args(PlannedStep)[0])),
        ("A report", [Report]),
        ("A summary of a run", [RunSummary]),
        ("A lane", [Lane]),
        ("A bar", [Bar]),
    ],
)
def test_the_keys_of_a_model_are_those_of_the_page(
    section: str, models: Iterable[type[BaseModel]]
) -> None:
    assert keys(section) == fields(*models)


def test_the_parts_that_are_named_within_a_line_are_whole() -> None:
    policy = {name for name, each in PlaybookPolicy.model_fields.items() if not each.exclude}
    assert meaning("A step of a plan", "policy") == policy
    assert meaning("A summary of a run", "shares") == fields(TimeShares)
    assert meaning("A summary of a run", "decisions") == fields(HumanDecision)
    assert keys("A verdict") == set(Verdict("c", Outcome.PASS, "r", "m").as_json())


def test_every_event_is_on_the_page_with_its_keys() -> None:
    common = {"kind", "schema", "at"}
    printed = {
        str(each.model_fields["kind"].default): fields(each) - common
        for each in get_args(get_args(events.Event)[0])
    }
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", SECTIONS["An event"], re.MULTILINE)
    assert {kind: named(cell) for kind, cell in rows} == printed


def test_a_lease_a_mark_and_an_approval_have_the_keys_of_the_page() -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    row = LeaseRow(Holder("r", "b", "w", "c", "boot", 1, 2), LeaseMode.SHARED, 1, now, now)
    assert set(_lease_json("lab/nova", row)) == keys("A lease")
    mark = _mark_json(SiteMark("lab/nova", ("ctl1",), row))
    assert set(mark) == keys("A lease") - {"token"} | {"hosts"} == keys("A mark")
    asked = OpenApproval("r", 1, "q", "h", 1, by_others=True, until=now, given=(), may=())
    assert set(_approval_json(asked) or {}) == keys("An approval that is asked for")


def test_what_commands_print_has_the_keys_of_the_page(tmp_path: Path) -> None:
    project = InMemoryProject(tmp_path / "project")

    def ask(*command: str) -> object:
        result = project.call(*command, "--json")
        return json.loads(result.out)

    def assert_like(section: str, printed: object) -> None:
        assert isinstance(printed, dict)
        assert set(printed) == keys(section), section

    planned = ask("plan", "broker-restart")
    assert isinstance(planned, dict)
    assert "sweep_seconds" not in planned
    assert_like("A plan", planned | {"sweep_seconds": 60})
    assert_like("A check", ask("check"))
    for section, *command in (("A runbook", "runbooks"), ("A claim", "check", "--list")):
        listed = ask(*command)
        assert isinstance(listed, list)
        assert_like(section, listed[0])
    project.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))
    lines = project.call("run", "broker-restart", "--reason", "x", "--yes", "--json").out
    assert {frozenset(json.loads(line)) for line in lines.splitlines()} == {
        frozenset(("run", "seq", "event"))
    }
    for verb in ("log", "watch"):
        assert project.call(verb, "--json").out == lines, verb
    assert_like("A run", ask("status", "broker"))
    assert_like("A report", ask("report"))


def test_what_has_other_keys_beside_or_within_a_table_is_in_the_row_of_its_command(
    tmp_path: Path,
) -> None:
    project = InMemoryProject(tmp_path / "project")
    project.call("run", "broker-restart", "--reason", "x", "--yes")
    shown = json.loads(project.call("show", "broker-restart", "--json").out)
    assert set(shown) == keys("A runbook") | printed_by("holdfast show RUNBOOK --json")
    status = json.loads(project.call("status", "--json").out)
    assert set(status) == printed_by("holdfast status --json")
    assert set(status["runs"][0]) == keys("A run")
    assert json.loads(project.call("lease", "list", "--json").out) == status["leases"] == []
    (verdict, *_) = json.loads(project.call("check", "--json").out)["verdicts"]
    assert set(verdict) == keys("A verdict")
