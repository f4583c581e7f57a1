"""``holdfast check``: verdicts for people, programs and monitoring; nothing is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.cli.desks import HOSTS, Office, Said
from tests.unit.cli.test_steering import Broken


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "project")


def test_healthy_fleet_passes(office: Office) -> None:
    said = office.call("check", "fake.all_serve")
    assert said.code == 0, said.everything
    assert "✓ PASS  fake.all_serve  all serve" in said.out
    assert "PASS: 1 of 1 claim hold" in said.out


def test_sick_fleet_exits_with_3_and_says_who(office: Office) -> None:
    office.fleet.hosts["ctl2"].healthy = False
    said = office.call("check")
    assert said.code == 3
    assert "✗ FAIL" in said.out
    assert "ctl2 does not serve" in said.out


def test_a_narrow_terminal_gets_all_words(office: Office) -> None:
    office.fleet.answer_unknown |= set(HOSTS)
    said = office.call("check", width=40)
    assert "? UNKNOWN" in said.out
    assert "no answer from ctl1, ctl2, ctl3" in " ".join(said.out.split())


def test_unknown_is_never_pass(office: Office) -> None:
    office.fleet.answer_unknown.add("ctl2")
    said = office.call("check", "--json")
    assert said.code == 3
    assert json.loads(said.out)["outcome"] == "UNKNOWN"


def verdicts(said: Said) -> list[str]:
    return [verdict["message"] for verdict in json.loads(said.out)["verdicts"]]


def test_a_claim_about_a_host_of_its_own_is_asked_at_every_host(office: Office) -> None:
    """Asked at a group's first host alone, PASS would say nothing of the others."""
    office.fleet.hosts["ctl3"].healthy = False
    said = office.call("check", "fake.serves", "--json")
    assert said.code == 3
    assert verdicts(said) == ["all serve", "all serve", "ctl3 does not serve"]


def test_a_limit_says_at_which_hosts(office: Office) -> None:
    office.fleet.hosts["ctl3"].healthy = False
    said = office.call("check", "fake.serves", "--limit", "ctl1,ctl2", "--json")
    assert said.code == 0, said.everything
    assert verdicts(said) == ["all serve", "all serve"]


def test_a_limit_of_nobody_is_invalid_input(office: Office) -> None:
    said = office.call("check", "fake.serves", "--limit", "nobody")
    assert said.code == 2
    assert "matches no host" in said.err


@pytest.mark.parametrize("claims", [[], ["fake.all_serve"], ["fake.serves", "fake.all_serve"]])
def test_a_claim_about_a_group_cannot_be_limited(office: Office, claims: list[str]) -> None:
    """It is about all of its group's hosts or means nothing."""
    said = office.call("check", *claims, "--limit", "ctl1")
    assert said.code == 2
    assert "--limit" in said.err


def test_check_leaves_no_run_behind(office: Office) -> None:
    office.call("check")
    assert "There are no runs yet" in office.call("status").out
    assert office.acts == []


LINE = re.compile(r"HOLDFAST (\w+) - [^|\n]+(\| pass=\d+ fail=\d+ unknown=\d+ time=[\d.]+s)?\n")


@pytest.mark.parametrize(("trouble", "code"), [("none", 0), ("unhealthy", 2), ("unknown", 3)])
def test_monitoring_gets_one_line_and_its_exit_codes(
    office: Office, trouble: str, code: int
) -> None:
    if trouble == "unhealthy":
        office.fleet.hosts["ctl2"].healthy = False
    if trouble == "unknown":
        office.fleet.answer_unknown.add("ctl2")
    said = office.call("check", "--nagios")
    assert said.code == code, said.everything
    assert LINE.fullmatch(said.out), said.out
    assert said.err == ""


def test_monitoring_learns_of_bad_input_as_unknown(office: Office) -> None:
    said = office.call("check", "--nagios", "fake.no_such|claim")
    assert said.code == 3
    assert LINE.fullmatch(said.out), said.out
    assert "there is no claim 'fake.no_such/claim'" in said.out


def test_monitoring_learns_of_a_bug_as_unknown(office: Office) -> None:
    office.runner = lambda _: Broken()
    assert office.call("check", "--nagios").code == 3


def test_unknown_claim_names_the_nearest(office: Office) -> None:
    said = office.call("check", "fake.al_serve")
    assert said.code == 2
    assert "did you mean fake.all_serve?" in said.err


@pytest.mark.parametrize("claim", ["fake.all_serve:", "fake.all_serve:x", "fake.all_serve:claim=y"])
def test_parameters_are_pairs(office: Office, claim: str) -> None:
    said = office.call("check", claim)
    assert said.code == 2
    assert "expected CLAIM:name=value" in said.err


def test_all_claims_are_listed(office: Office) -> None:
    said = office.call("check", "--list")
    assert said.code == 0
    assert "systemd.active" in said.out
    assert {"name", "summary", "group", "standing"} == set(
        json.loads(office.call("check", "--list", "--json").out)[0]
    )
