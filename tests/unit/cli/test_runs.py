"""Whole runs through the command line, on a fleet in memory; acts by the fleet's own record."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.cli.read_commands import follow
from holdfast.journal.events import Finished, Recorded, StepFinished
from holdfast.model import Phase
from tests.fakes.fleet import Fault
from tests.unit.cli.cli_harness import HOSTS, CliResult, InMemoryProject

RUN = ("run", "broker-restart", "--reason", "openssl update")
RESTARTS = [f"restart {host}" for host in HOSTS]


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def restarts(project: InMemoryProject) -> list[str]:
    return [act for act in project.acts if act.startswith("restart")]


def held_run(project: InMemoryProject) -> CliResult:
    """A run in which the second host does not come back."""
    project.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))
    return project.call(*RUN, "--yes")


def test_run_restarts_every_host_once_and_prints_it(project: InMemoryProject) -> None:
    result = project.call(*RUN, "--yes")
    assert result.code == 0, result.output
    assert restarts(project) == RESTARTS
    assert "Finished: every step ended well" in result.out
    for host in HOSTS:
        assert f"{host} broker is done and proved healthy" in result.out


def test_run_without_a_terminal_needs_yes(project: InMemoryProject) -> None:
    result = project.call(*RUN)
    assert result.code == 2
    assert "repeat the command with --yes" in result.err
    assert project.acts == []
    assert project.call("status").out.startswith("There are no runs yet")


@pytest.mark.parametrize("typed", ["", "n\n", "\n", "maybe\n"])
def test_anything_but_yes_touches_nothing(project: InMemoryProject, typed: str) -> None:
    result = project.call(*RUN, typed=typed)
    assert result.code == 5
    assert "Nothing was touched" in result.err
    assert project.acts == []


def test_plan_is_shown_before_the_question(project: InMemoryProject) -> None:
    result = project.call(*RUN, typed="y\n")
    assert result.code == 0, result.output
    assert "3 restarts on 3 hosts" in result.err
    assert restarts(project) == RESTARTS


@pytest.mark.parametrize("reason", [[], ["--reason", ""], ["--reason", "  "]])
def test_run_needs_a_reason(project: InMemoryProject, reason: list[str]) -> None:
    result = project.call("run", "broker-restart", *reason, "--yes")
    assert result.code == 2
    assert "needs a reason" in result.err
    assert project.acts == []


def test_plan_touches_nothing(project: InMemoryProject) -> None:
    result = project.call("plan", "broker-restart", "--limit", "ctl1,ctl3")
    assert result.code == 0, result.output
    assert "ctl1 | ctl3" in result.out
    assert "Nothing was touched" in result.out
    assert project.acts == []


def test_plan_as_json_names_its_hash(project: InMemoryProject) -> None:
    plan = json.loads(project.call("plan", "broker-restart", "--json").out)
    assert plan["hash"]
    assert plan["steps"][1]["hosts"] == list(HOSTS)


def test_hold_prints_what_to_know_and_exits_with_4(project: InMemoryProject) -> None:
    result = held_run(project)
    assert result.code == 4
    assert restarts(project) == RESTARTS[:2]
    for words in ("HELD", "ctl2", "step", "2. Step 2", "evidence", "did not start", "state"):
        assert words in result.out
    assert "to continue" in result.out
    assert "holdfast resume" in result.out
    assert "to undo" in result.out
    assert "fake undrain ctl2" in result.out


def test_resume_finishes_and_repeats_nothing(project: InMemoryProject) -> None:
    held_run(project)
    project.fleet.repair()
    result = project.call("resume", "broker-restart", "--reason", "unit file repaired")
    assert result.code == 0, result.output
    assert restarts(project) == RESTARTS


def test_resume_needs_a_reason_and_a_run(project: InMemoryProject) -> None:
    held_run(project)
    assert project.call("resume", "broker-restart").code == 2
    result = project.call("resume", "nothing", "--reason", "x")
    assert result.code == 2
    assert "There is no run 'nothing'" in result.err


@pytest.mark.parametrize("command", ["status", "log", "watch", "report", "abort", "approve"])
def test_a_run_that_is_not_found_is_said_where(project: InMemoryProject, command: str) -> None:
    project.environ["HOME"] = str(project.path)
    result = project.call(command, "k3f9")
    assert result.code == 2
    assert f"There is no run 'k3f9' in {project.state}/state.db: " in result.err
    assert "HOLDFAST_STATE_DIR=" in result.err


def test_where_else_a_run_may_be_is_named(project: InMemoryProject, tmp_path: Path) -> None:
    """Also where the directory that has no such run was named: perhaps it was the wrong one."""
    other = tmp_path / ".local/state/holdfast"
    other.mkdir(parents=True)
    (other / "state.db").touch()
    project.environ["HOME"] = str(tmp_path)
    expected = f"elsewhere too: HOLDFAST_STATE_DIR={other} holdfast status k3f9"
    assert expected in " ".join(project.call("log", "k3f9").err.split())


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "log",
        "watch",
        "report",
        "status k3f9",
        "lease list",
        "prune --dry-run",
        "abort k3f9",
    ],
)
def test_a_command_that_only_reads_makes_no_state(project: InMemoryProject, command: str) -> None:
    """It would be of whoever looked, as of root, and keep others out."""
    project.call(*command.split())
    assert not project.state.exists()


def test_part_of_a_run_id_must_be_unique(project: InMemoryProject) -> None:
    runs = [project.call(*RUN, "--yes"), project.call(*RUN, "--yes")]
    assert [result.code for result in runs] == [0, 0]
    result = project.call("log", "broker")
    assert result.code == 2
    assert "is a part of several runs" in result.err
    assert project.call("log").code == 0  # the newest


def test_status_of_a_held_run_repeats_its_stop_message(project: InMemoryProject) -> None:
    result = held_run(project)
    again = project.call("status", "broker-restart").out
    message, _, diagnosis = result.out.partition("  diagnosis ")
    assert message[message.index("HELD, ") :] in again
    assert diagnosis  # two lines of this moment, which the journal does not have


def test_status_without_a_run_names_the_command_for_each_that_has_stopped(
    project: InMemoryProject,
) -> None:
    held_run(project)
    run = json.loads(project.call("status", "--json").out)["runs"][0]["run"]
    shown = project.call("status").out
    assert f"how to go on: holdfast status {run}" in shown
    assert project.call("abort", run).code == 0
    assert "Why it stopped" not in project.call("status").out


def test_abort_closes_a_held_run_and_lists_the_state_of_its_hosts(project: InMemoryProject) -> None:
    held_run(project)
    result = project.call("abort", "broker-restart")
    assert result.code == 0
    assert "ABORTED" in result.out
    assert "fake undrain ctl2" in result.out
    assert project.call("abort", "broker-restart").code == 2


def test_refusal_touches_nothing_and_exits_with_3(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl3"].healthy = False
    result = project.call(*RUN, "--yes")
    assert result.code == 3
    assert "REFUSED, nothing was touched" in result.out
    assert "ctl3 does not serve" in result.out
    assert project.acts == []


def test_unknown_survey_is_a_refusal(project: InMemoryProject) -> None:
    """As with a wrong password for the management API: UNKNOWN is never PASS."""
    project.fleet.answer_unknown.add("ctl3")
    result = project.call(*RUN, "--yes")
    assert result.code == 3
    assert "UNKNOWN" in result.out
    assert "no answer from ctl3" in result.out
    assert project.acts == []


def test_command_to_try_again_has_all_options(project: InMemoryProject) -> None:
    """Whoever copies it gets the same site, hosts and inputs, and is asked nothing."""
    block = "check: [{claim: fake.all_serve, unit: $unit}]"
    project.write(block, name="unit", inputs="{unit: {summary: the unit, pattern: '.+'}}")
    project.fleet.answer_unknown.add("ctl3")
    given = ("--limit", "ctl1,ctl3", "--input", "unit=a b")
    result = project.call("run", "unit", *given, "--reason", "x", "--yes", "--json")
    assert result.code == 3, result.output
    commands = json.loads(result.out.splitlines()[-1])["event"]["next_commands"]
    site = project.path / "inventories" / "lab"
    again = f"holdfast run unit --site {site} --limit ctl1,ctl3 --input 'unit=a b' --reason '…'"
    assert commands[0] == again


def test_long_reason_is_cut_in_the_table_of_runs(project: InMemoryProject) -> None:
    result = project.call("run", "broker-restart", "--reason", "why " * 5000, "--yes")
    assert result.code == 0
    table = project.call("status", width=80).out.splitlines()
    assert len(table) < 8, table
    assert "finished" in table[0]


def test_status_lists_other_runs_beside_a_damaged_one(project: InMemoryProject) -> None:
    """What stands and who holds what is asked when something is broken."""
    project.call(*RUN, "--yes")
    with closing(sqlite3.connect(project.state / "state.db")) as database:
        database.execute("UPDATE holdfast_events SET body = '{}' WHERE seq = 3")
        database.commit()
    project.call(*RUN, "--yes")
    result = project.call("status")
    assert result.code == 2
    assert "finished" in result.out
    assert "Nobody holds a lease" in result.out
    assert "event 3) holds unreadable data" in result.err
    assert project.call("status", "--json").code == 2


def test_status_names_every_run_that_cannot_be_read(project: InMemoryProject) -> None:
    project.call(*RUN, "--yes")
    project.call(*RUN, "--yes")
    with closing(sqlite3.connect(project.state / "state.db")) as database:
        # Without the event that begins its first step, a journal is damaged as well.
        database.execute(
            "UPDATE holdfast_events SET kind = 'finished', body = (SELECT body FROM holdfast_events"
            " WHERE kind = 'finished' LIMIT 1) WHERE kind = 'step_started'"
        )
        runs = [run for (run,) in database.execute("SELECT DISTINCT run FROM holdfast_events")]
        database.commit()
    result = project.call("status")
    assert result.code == 2
    assert len(runs) == 2
    assert all(f"the journal of run {run} is damaged" in result.err for run in runs)
    single = project.call("status", runs[0])
    assert (single.code, "is about step 1" in single.err) == (2, True)


def test_a_state_that_cannot_be_written_is_read(project: InMemoryProject) -> None:
    """As on a disk that became read-only, or in another user's directory."""
    project.call(*RUN, "--yes")
    project.writable = False
    for command in ("status", "log", "report", "watch"):
        result = project.call(command)
        assert result.code == 0, result.output
        assert "openssl update" in result.out or command == "watch"
        assert "It is only read" in result.err
    assert "only read" in project.call("lease", "list").err
    assert project.call(*RUN, "--yes").code == 2
    assert project.call("abort").code == 2


def test_plan_needs_no_state(project: InMemoryProject) -> None:
    """A plan is wanted most when something is broken, and it touches nothing."""
    result = project.call("plan", "broker-restart")
    assert result.code == 0, result.output
    assert not project.state.exists()
    project.state.write_text("no directory")
    assert project.call("plan", "broker-restart").code == 0


def test_next_command_is_never_wrapped(project: InMemoryProject) -> None:
    """It is copied from there, and a folded one is two commands."""
    held_run(project)
    result = project.call("status", "broker", width=40)
    resume = next(line for line in result.out.splitlines() if "holdfast resume" in line)
    assert resume.endswith("--reason '…'")


def test_json_run_is_one_event_a_line(project: InMemoryProject) -> None:
    result = project.call(*RUN, "--yes", "--json")
    kinds = [json.loads(line)["event"]["kind"] for line in result.out.splitlines()]
    assert kinds[0] == "run_opened"
    assert kinds[-1] == "finished"
    assert "Finished" in result.err


def test_log_has_every_line_of_run_and_the_passed_gates_of_sweeps(project: InMemoryProject) -> None:
    result = project.call(*RUN, "--yes")
    log = project.call("log").out.splitlines()
    shown = [line for line in log if "✓ PASS sweep" not in line]
    assert [line for line in result.out.splitlines() if line in log] == shown
    assert len(shown) < len(log), "the log has gates that the run did not print"
    events = project.call("log", "--json").out.splitlines()
    assert len(events) == len(log)


def test_report_of_the_newest_run(project: InMemoryProject, tmp_path: Path) -> None:
    project.call(*RUN, "--yes")
    svg = tmp_path / "run.svg"
    result = project.call("report", "--svg", str(svg))
    assert result.code == 0, result.output
    assert "broker-restart at lab: finished" in result.out
    assert svg.read_text().startswith("<svg")
    assert json.loads(project.call("report", "--json").out)["runs"][0]["ending"] == "finished"


def test_watch_of_a_stopped_run_prints_its_events_and_ends(project: InMemoryProject) -> None:
    held_run(project)
    result = project.call("watch")
    assert result.code == 0
    assert "ctl1 broker is done" in result.out
    assert "HELD" in result.out


def test_watch_prints_events_for_programs_and_how_it_ended_for_people(
    project: InMemoryProject,
) -> None:
    held_run(project)
    watched = project.call("watch", "--json")
    assert watched.code == 0
    assert watched.out == project.call("log", "--json").out
    assert json.loads(watched.out.splitlines()[-1])["event"]["kind"] == "held"
    assert "HELD" in watched.err


def test_who_follows_a_run_gets_what_its_driver_wrote_last() -> None:
    """A driver writes its last event, then gives its lease back; both may happen between two looks."""
    at = datetime(2026, 11, 26, tzinfo=UTC)
    written = [Recorded(run="R", seq=1, event=StepFinished(at=at, step=1))]
    looks = iter([True, True, False])

    def driven() -> bool:
        alive = next(looks)
        if not alive:
            written.append(Recorded(run="R", seq=2, event=Finished(at=at)))
        return alive

    followed = follow(0, lambda after: written[after:], driven, lambda: None)
    assert [each.seq for each in followed] == [1, 2]


def test_reason_stays_literal_everywhere(project: InMemoryProject) -> None:
    reason = "{{ lookup('pipe', 'id') }} [red]x[/] `id` $(id)"
    result = project.call("run", "broker-restart", "--reason", reason + "\x1b[2J", "--yes")
    assert result.code == 0, result.output
    assert reason in result.out
    for command in ("log", "status", "report"):
        printed = project.call(command, *(["broker"] if command != "report" else []))
        assert reason in printed.out, command
        assert "\x1b" not in printed.output
    assert json.loads(project.call("report", "--json").out)["runs"][0]["reason"].startswith(reason)


def test_refused_lease_names_its_holder_and_reason(project: InMemoryProject) -> None:
    refused: list[CliResult] = []

    def second_operator() -> None:
        if not refused and project.acts:
            refused.append(CliResult(-1, "", ""))
            project.environ["SUDO_USER"] = "bob"
            refused.append(project.call("run", "broker-restart", "--reason", "mine", "--yes"))

    project.fleet.clock.on_tick.append(second_operator)
    assert project.call(*RUN, "--yes").code == 0
    assert refused[1].code == 3
    for words in ("lab/broker", "ada", "openssl update"):
        assert words in refused[1].err
    assert restarts(project) == RESTARTS


PREVIEWED = "check: [{claim: puppet.previewed, services: none}]"
PREVIEW = ("plan", "broker-restart", "--preview")


def test_a_plan_shows_the_preview_that_the_hosts_keep(project: InMemoryProject) -> None:
    project.write(PREVIEWED, "roll: broker_restart.yml\nhosts: broker")
    result = project.call(*PREVIEW)
    assert result.code == 0, result.output
    assert "preview: all serve" in result.out
    assert "preview" not in project.call("plan", "broker-restart").out.partition("1. ")[0]
    assert json.loads(project.call(*PREVIEW, "--json").out)["preview"] == "all serve"
    assert (project.acts, project.call("status").out.partition(".")[0]) == (
        [],
        "There are no runs yet",
    )


def test_a_preview_that_is_no_good_says_so_and_the_order_is_decided_by_what_it_has_found(
    project: InMemoryProject,
) -> None:
    project.write(PREVIEWED, "roll: broker_restart.yml\nhosts: broker")
    project.fleet.hosts["ctl2"].healthy = False
    result = project.call(*PREVIEW)
    assert "preview: FAIL: ctl2 does not serve" in result.out
    assert "ctl2 | ctl1 | ctl3" in result.out


def test_a_runbook_without_a_preview_is_told_so(project: InMemoryProject) -> None:
    result = project.call(*PREVIEW)
    assert result.code == 2
    assert "broker-restart has no step that previews a change" in result.err
