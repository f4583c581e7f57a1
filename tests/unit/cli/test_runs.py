"""Whole runs through the command line, on a fleet in memory; acts by the fleet's own record."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.ansible.fake_fleet import Fault
from holdfast.model import Phase
from tests.unit.cli.desks import HOSTS, Office, Said

RUN = ("run", "broker-restart", "--reason", "openssl update")
RESTARTS = [f"restart {host}" for host in HOSTS]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "project")


def restarts(office: Office) -> list[str]:
    return [act for act in office.acts if act.startswith("restart")]


def held(office: Office) -> Said:
    """A run in which the second host does not come back."""
    office.fleet.faults.append(Fault("ctl2", "restart_fails", ("ctl2", Phase.RESTART)))
    return office.call(*RUN, "--yes")


def test_run_restarts_every_host_once_and_says_so(office: Office) -> None:
    said = office.call(*RUN, "--yes")
    assert said.code == 0, said.everything
    assert restarts(office) == RESTARTS
    assert "Finished: every step ended well" in said.out
    for host in HOSTS:
        assert f"{host} broker is done and proved healthy" in said.out


def test_run_without_a_terminal_wants_yes(office: Office) -> None:
    said = office.call(*RUN)
    assert said.code == 2
    assert "repeat the command with --yes" in said.err
    assert office.acts == []
    assert office.call("status").out.startswith("There are no runs yet")


@pytest.mark.parametrize("typed", ["", "n\n", "\n", "maybe\n"])
def test_anything_but_yes_touches_nothing(office: Office, typed: str) -> None:
    said = office.call(*RUN, typed=typed)
    assert said.code == 5
    assert "Nothing was touched" in said.err
    assert office.acts == []


def test_plan_is_shown_before_the_question(office: Office) -> None:
    said = office.call(*RUN, typed="y\n")
    assert said.code == 0, said.everything
    assert "3 restarts on 3 hosts" in said.err
    assert restarts(office) == RESTARTS


@pytest.mark.parametrize("reason", [[], ["--reason", ""], ["--reason", "  "]])
def test_run_needs_a_reason(office: Office, reason: list[str]) -> None:
    said = office.call("run", "broker-restart", *reason, "--yes")
    assert said.code == 2
    assert "needs a reason" in said.err
    assert office.acts == []


def test_plan_touches_nothing(office: Office) -> None:
    said = office.call("plan", "broker-restart", "--limit", "ctl1,ctl3")
    assert said.code == 0, said.everything
    assert "ctl1 | ctl3" in said.out
    assert "Nothing was touched" in said.out
    assert office.acts == []


def test_plan_as_json_names_its_hash(office: Office) -> None:
    plan = json.loads(office.call("plan", "broker-restart", "--json").out)
    assert plan["hash"]
    assert plan["steps"][1]["hosts"] == list(HOSTS)


def test_hold_answers_and_exits_with_4(office: Office) -> None:
    said = held(office)
    assert said.code == 4
    assert restarts(office) == RESTARTS[:2]
    for words in ("HELD", "ctl2", "step", "2. Step 2", "evidence", "did not start", "left"):
        assert words in said.out
    assert "to go on" in said.out
    assert "holdfast resume" in said.out
    assert "to give it back" in said.out
    assert "fake undrain ctl2" in said.out


def test_resume_finishes_and_repeats_nothing(office: Office) -> None:
    held(office)
    office.fleet.repair()
    said = office.call("resume", "broker-restart", "--reason", "unit file repaired")
    assert said.code == 0, said.everything
    assert restarts(office) == RESTARTS


def test_resume_needs_a_reason_and_a_run(office: Office) -> None:
    held(office)
    assert office.call("resume", "broker-restart").code == 2
    said = office.call("resume", "nothing", "--reason", "x")
    assert said.code == 2
    assert "There is no run 'nothing'" in said.err


def test_part_of_a_name_must_mean_one_run(office: Office) -> None:
    runs = [office.call(*RUN, "--yes"), office.call(*RUN, "--yes")]
    assert [said.code for said in runs] == [0, 0]
    said = office.call("log", "broker")
    assert said.code == 2
    assert "is a part of several runs" in said.err
    assert office.call("log").code == 0  # the newest


def test_status_of_a_held_run_repeats_its_last_words(office: Office) -> None:
    said = held(office)
    again = office.call("status", "broker-restart").out
    assert said.out[said.out.index("HELD, ") :] in again


def test_abort_closes_a_held_run_and_says_what_it_left(office: Office) -> None:
    held(office)
    said = office.call("abort", "broker-restart")
    assert said.code == 0
    assert "ABORTED" in said.out
    assert "fake undrain ctl2" in said.out
    assert office.call("abort", "broker-restart").code == 2


def test_refusal_touches_nothing_and_exits_with_3(office: Office) -> None:
    office.fleet.hosts["ctl3"].healthy = False
    said = office.call(*RUN, "--yes")
    assert said.code == 3
    assert "REFUSED, nothing was touched" in said.out
    assert "ctl3 does not serve" in said.out
    assert office.acts == []


def test_survey_that_cannot_tell_is_a_refusal_too(office: Office) -> None:
    """As with a wrong password for the management API: UNKNOWN is never PASS."""
    office.fleet.answer_unknown.add("ctl3")
    said = office.call(*RUN, "--yes")
    assert said.code == 3
    assert "UNKNOWN" in said.out
    assert "no answer from ctl3" in said.out
    assert office.acts == []


def test_the_command_to_try_again_is_whole(office: Office) -> None:
    """Whoever copies it gets the same site, hosts and inputs, and is asked nothing."""
    block = "check: [{claim: fake.all_serve, unit: $unit}]"
    office.write(block, name="unit", inputs="{unit: {summary: the unit, pattern: '.+'}}")
    office.fleet.answer_unknown.add("ctl3")
    given = ("--limit", "ctl1,ctl3", "--input", "unit=a b")
    said = office.call("run", "unit", *given, "--reason", "x", "--yes", "--json")
    assert said.code == 3, said.everything
    commands = json.loads(said.out.splitlines()[-1])["event"]["next_commands"]
    site = office.path / "inventories" / "lab"
    again = f"holdfast run unit --site {site} --limit ctl1,ctl3 --input 'unit=a b' --reason '…'"
    assert commands[0] == again


def test_a_long_reason_leaves_the_table_of_runs_readable(office: Office) -> None:
    said = office.call("run", "broker-restart", "--reason", "why " * 5000, "--yes")
    assert said.code == 0
    table = office.call("status", width=80).out.splitlines()
    assert len(table) < 8, table
    assert "finished" in table[1]


def test_a_damaged_run_hides_no_other(office: Office) -> None:
    """What stands and who holds what is asked when something is broken."""
    office.call(*RUN, "--yes")
    with closing(sqlite3.connect(office.state / "state.db")) as database:
        database.execute("UPDATE holdfast_events SET body = '{}' WHERE seq = 3")
        database.commit()
    office.call(*RUN, "--yes")
    said = office.call("status")
    assert said.code == 2
    assert "finished" in said.out
    assert "Nobody holds a lease" in said.out
    assert "event 3) holds something unreadable" in said.err
    assert office.call("status", "--json").code == 2


def test_plan_needs_no_state(office: Office) -> None:
    """A plan is wanted most when something is broken, and it touches nothing."""
    said = office.call("plan", "broker-restart")
    assert said.code == 0, said.everything
    assert not office.state.exists()
    office.state.write_text("no directory")
    assert office.call("plan", "broker-restart").code == 0


def test_the_next_command_is_one_line_however_narrow_the_terminal(office: Office) -> None:
    """It is copied from there, and a folded one is two commands."""
    held(office)
    said = office.call("status", "broker", width=40)
    resume = next(line for line in said.out.splitlines() if "holdfast resume" in line)
    assert resume.endswith("--reason '…'")


def test_json_run_is_one_event_a_line(office: Office) -> None:
    said = office.call(*RUN, "--yes", "--json")
    kinds = [json.loads(line)["event"]["kind"] for line in said.out.splitlines()]
    assert kinds[0] == "run_opened"
    assert kinds[-1] == "finished"
    assert "Finished" in said.err


def test_log_tells_what_run_told(office: Office) -> None:
    said = office.call(*RUN, "--yes")
    log = office.call("log").out.splitlines()
    told = [line for line in log if "✓ PASS sweep" not in line]
    assert [line for line in said.out.splitlines() if line in log] == told
    assert len(told) < len(log), "the log has what the run left unsaid"
    events = office.call("log", "--json").out.splitlines()
    assert len(events) == len(log)


def test_report_of_the_newest_run(office: Office, tmp_path: Path) -> None:
    office.call(*RUN, "--yes")
    svg = tmp_path / "run.svg"
    said = office.call("report", "--svg", str(svg))
    assert said.code == 0, said.everything
    assert "broker-restart at lab: finished" in said.out
    assert svg.read_text().startswith("<svg")
    assert json.loads(office.call("report", "--json").out)["runs"][0]["ending"] == "finished"


def test_watch_of_an_ended_run_tells_it_and_ends(office: Office) -> None:
    held(office)
    said = office.call("watch")
    assert said.code == 0
    assert "ctl1 broker is done" in said.out
    assert "HELD" in said.out


def test_reason_stays_literal_everywhere(office: Office) -> None:
    reason = "{{ lookup('pipe', 'id') }} [red]x[/] `id` $(id)"
    said = office.call("run", "broker-restart", "--reason", reason + "\x1b[2J", "--yes")
    assert said.code == 0, said.everything
    assert reason in said.out
    for command in ("log", "status", "report"):
        told = office.call(command, *(["broker"] if command != "report" else []))
        assert reason in told.out, command
        assert "\x1b" not in told.everything
    assert json.loads(office.call("report", "--json").out)["runs"][0]["reason"].startswith(reason)


def test_second_operator_is_told_who_holds_the_lease_and_why(office: Office) -> None:
    said: list[Said] = []

    def second_operator() -> None:
        if not said and office.acts:
            said.append(Said(-1, "", ""))
            office.environ["SUDO_USER"] = "bob"
            said.append(office.call("run", "broker-restart", "--reason", "mine", "--yes"))

    office.fleet.clock.on_tick.append(second_operator)
    assert office.call(*RUN, "--yes").code == 0
    assert said[1].code == 3
    for words in ("lab/broker", "ada", "openssl update"):
        assert words in said[1].err
    assert restarts(office) == RESTARTS
