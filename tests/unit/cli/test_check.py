"""``holdfast check``: verdicts for people, programs and monitoring; no journal is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Play, PlayResult
from holdfast.cli.check_command import CheckTiming
from holdfast.cli.check_result import CheckResult, next_of, print_result
from holdfast.model import Act
from holdfast.report.progress_text import plain
from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.fakes.play_runner import FakeRunner, FakeStartedPlay, Tasks
from tests.unit.cli.cli_harness import HOSTS, CliResult, InMemoryProject
from tests.unit.cli.test_steering import FailingRunner


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def test_healthy_fleet_passes(project: InMemoryProject) -> None:
    result = project.call("check", "fake.all_serve")
    assert result.code == 0, result.output
    assert "✓ PASS  fake.all_serve  all serve" in result.out
    assert "PASS: 1 of 1 claim passed" in result.out


def test_unhealthy_fleet_exits_with_3_and_names_the_host(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl2"].healthy = False
    result = project.call("check")
    assert result.code == 3
    assert "✗ FAIL" in result.out
    assert "ctl2 does not serve" in result.out


def test_messages_are_wrapped_on_a_narrow_terminal(project: InMemoryProject) -> None:
    project.fleet.answer_unknown |= set(HOSTS)
    result = project.call("check", width=40)
    assert "? UNKNOWN" in result.out
    assert "no answer from ctl1, ctl2, ctl3" in " ".join(result.out.split())


def test_unknown_is_never_pass(project: InMemoryProject) -> None:
    project.fleet.answer_unknown.add("ctl2")
    result = project.call("check", "--json")
    assert result.code == 3
    assert json.loads(result.out)["outcome"] == "UNKNOWN"


def test_one_cause_is_one_line(project: InMemoryProject) -> None:
    """A wrong password fails every claim that needs it; 40 lines of that hide what else is wrong."""
    cause = "401 from ctl1's management API to /api/nodes (rabbitmq_management_user 'holdfast')"
    names = ["rabbitmq.no_alarms", "rabbitmq.no_partitions", "rabbitmq.mirrors_in_sync"]
    bad = [{"claim": name, "outcome": "UNKNOWN", "message": cause} for name in names]
    well = [{"claim": "systemd.active", "outcome": "PASS", "message": "is active"}] * 2
    shown: list[str] = []
    print_result(lambda part: shown.append(plain(part)), CheckResult((*bad, *well), (), 1.0))
    text = " ".join("".join(shown).split())
    assert text.count("401 from") == text.count("next: ") == 1
    assert "the same: rabbitmq.no_partitions, rabbitmq.mirrors_in_sync" in text
    assert text.count("systemd.active is active") == 2
    assert "2 of 5 claims passed" in text


def test_the_cause_decides_what_to_do_where_it_is_known(project: InMemoryProject) -> None:
    """The claim's own remedy is about its fault, not about a host that SSH does not reach."""
    project.fleet.doubt = "ctl2 is unreachable: Connection timed out:"
    project.fleet.answer_unknown.add("ctl2")
    (verdict,) = json.loads(project.call("check", "--json").out)["verdicts"]
    site = project.path / "inventories" / "lab"
    assert verdict["next"] == f"ansible -i {site} ctl2 -m ansible.builtin.ping"
    assert f"next: {verdict['next']}" in project.call("check", "--nagios").out


def test_the_hosts_that_were_left_out_are_in_the_command() -> None:
    left = {"claim": "nova.none_left_disabled", "evidence": {"left": {"cmp1": "", "cmp2": ""}}}
    assert next_of(left) == (
        "if no run is under way (holdfast status): "
        "openstack compute service set --enable cmp1 nova-compute; "
        "openstack compute service set --enable cmp2 nova-compute"
    )


def verdicts(result: CliResult) -> list[str]:
    return [verdict["message"] for verdict in json.loads(result.out)["verdicts"]]


def test_every_line_that_is_no_pass_ends_with_what_to_do(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl2"].healthy = False
    assert "next: holdfast check --wait 1m" in project.call("check", "fake.all_serve").out
    (verdict,) = json.loads(project.call("check", "--json").out)["verdicts"]
    assert verdict["next"] == "holdfast check --wait 1m"
    assert "next: holdfast check" in project.call("check", "--nagios").out
    project.fleet.hosts["ctl1"].reachable = False
    lines = project.call("check", "fake.all_serve").out.splitlines()
    assert lines[:2] == ["ctl1: ctl1 is unreachable", "next: holdfast check --wait 1m"]


@pytest.mark.parametrize("brokers", [True, False], ids=["broker", "compute"])
def test_what_a_run_left_out_of_service_is_found_with_the_run_and_its_state(
    project: InMemoryProject, *, brokers: bool
) -> None:
    """A broker does not record who drained it: its run is found in the journal."""
    project.fleet.brokers = brokers
    project.fleet.never_idle.add("ctl1")
    project.fleet.act_fails.add(("ctl1", Act.UNDRAIN))
    assert project.call("check", "fake.none_left").code == 0
    assert project.call("run", "broker-restart", "--yes", "--reason", "x").code == 4

    result = project.call("check", "fake.none_left", width=200)

    assert project.acts == ["drain ctl1"]
    assert result.code == 3
    run = json.loads(project.call("status", "--json").out)["runs"][0]["run"]
    assert f"ctl1 left; run {run}: it is held" in result.out
    assert f"next: holdfast status {run}" in result.out


def test_claim_about_single_hosts_is_asked_at_every_host(project: InMemoryProject) -> None:
    """Asked at a group's first host alone, PASS would say nothing of the others."""
    project.fleet.hosts["ctl3"].healthy = False
    result = project.call("check", "fake.serves", "--json")
    assert result.code == 3
    assert verdicts(result) == ["all serve", "all serve", "ctl3 does not serve"]


def test_limit_selects_hosts(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl3"].healthy = False
    result = project.call("check", "fake.serves", "--limit", "ctl1,ctl2", "--json")
    assert result.code == 0, result.output
    assert verdicts(result) == ["all serve", "all serve"]


def test_limit_without_a_host_is_invalid_input(project: InMemoryProject) -> None:
    result = project.call("check", "fake.serves", "--limit", "nobody")
    assert result.code == 2
    assert "matches no host" in result.err


@pytest.mark.parametrize("claims", [[], ["fake.all_serve"], ["fake.serves", "fake.all_serve"]])
def test_a_claim_about_a_group_cannot_be_limited(
    project: InMemoryProject, claims: list[str]
) -> None:
    """It is about all of its group's hosts or means nothing."""
    result = project.call("check", *claims, "--limit", "ctl1")
    assert result.code == 2
    assert "--limit" in result.err


def test_check_is_not_listed_as_a_run(project: InMemoryProject) -> None:
    project.call("check")
    assert "There are no runs yet" in project.call("status").out
    assert project.acts == []


LINE = re.compile(r"HOLDFAST (\w+) - [^|\n]+(\| pass=\d+ fail=\d+ unknown=\d+ time=[\d.]+s)?\n")


@pytest.mark.parametrize(("trouble", "code"), [("none", 0), ("unhealthy", 2), ("unknown", 3)])
def test_nagios_prints_one_line_and_exits_with_its_codes(
    project: InMemoryProject, trouble: str, code: int
) -> None:
    if trouble == "unhealthy":
        project.fleet.hosts["ctl2"].healthy = False
    if trouble == "unknown":
        project.fleet.answer_unknown.add("ctl2")
    result = project.call("check", "--nagios")
    assert result.code == code, result.output
    assert LINE.fullmatch(result.out), result.out
    assert result.err == ""


def test_nagios_reports_invalid_input_as_unknown(project: InMemoryProject) -> None:
    result = project.call("check", "--nagios", "fake.no_such|claim")
    assert result.code == 3
    assert LINE.fullmatch(result.out), result.out
    assert "there is no claim 'fake.no_such/claim'" in result.out


def test_nagios_reports_a_bug_as_unknown(project: InMemoryProject) -> None:
    project.runner = lambda _: FailingRunner()
    assert project.call("check", "--nagios").code == 3


class NothingAskedRunner(FailingRunner):
    """A runner whose gates ask nothing, since the site lacks something."""

    def run(self, *_: object) -> PlayResult:
        lacks = (
            "ctl1: site variables are missing or invalid: nova_ca_file\n  next: set them for ctl1"
        )
        texts = {host: f"gate {host}, Every claim holds: {lacks}" for host in ("ctl1", "cmp1")}
        return PlayResult("failed", {}, messages=texts)


def test_a_site_that_lacks_something_is_told_what_and_no_more(project: InMemoryProject) -> None:
    project.runner = lambda _: NothingAskedRunner()
    result = project.call("check")
    assert result.code == 3
    assert result.out.splitlines()[:4] == [
        "ctl1: site variables are missing or invalid: nova_ca_file",
        "next: set them for ctl1",
        "",
        "UNKNOWN: no claim was judged; correct what is named above (0.0 s)",
    ]
    lacks = "ctl1: site variables are missing or invalid: nova_ca_file; next: set them for ctl1"
    assert lacks in project.call("check", "--nagios").out


class SlowRunner(FakeRunner):
    """A runner whose play ends only when it is ended; ``plays`` has it."""

    def tasks(self, play: Play, started: FakeStartedPlay) -> Tasks[PlayResult]:
        self.plays.append(play)
        while not started.interrupted:
            yield
        return PlayResult("interrupted", {})


@pytest.mark.parametrize(
    ("options", "wait", "hold", "limit"),
    [
        # A check is one reading, whatever the site's deadline for gates is.
        ([], 0, 0, 40),
        (["--wait", "30s"], 30, 0, 70),
        (["--for", "1m"], 70, 60, 110),
        (["--for", "60", "--wait", "20"], 90, 60, 130),
    ],
)
def test_a_check_waits_only_where_it_is_asked_to_and_is_bounded(
    project: InMemoryProject, options: list[str], wait: int, hold: int, limit: int
) -> None:
    slow = SlowRunner(project.fleet, open_store(Settings("sqlite://", project.path)))
    project.runner = lambda _: slow
    began = project.fleet.clock()
    result = project.call("check", "--nagios", *options)
    [play] = slow.plays
    assert play.variables["holdfast_check_wait_seconds"] == wait
    assert play.variables["holdfast_check_answer_seconds"] == 10
    assert play.variables["holdfast_settle_seconds"] == hold
    assert limit < (project.fleet.clock() - began).total_seconds() < limit + 5
    assert result.code == 3
    assert f"the check was ended; it may take {limit} s" in result.out


@pytest.mark.parametrize(("hosts", "seconds"), [(6, 10), (100, 10), (245, 25), (1000, 100)])
def test_one_reading_of_hundreds_of_hosts_may_take_longer(hosts: int, seconds: int) -> None:
    """It opens a connection to each."""
    timing = CheckTiming().for_hosts(hosts)
    assert timing.variables()["holdfast_check_answer_seconds"] == seconds
    assert timing.limit.total_seconds() == 30 + seconds


@pytest.mark.parametrize("duration", ["", "-1", "1.5", "60 s", "1d", "s", "٣"])
def test_a_wrong_duration_is_invalid_input(project: InMemoryProject, duration: str) -> None:
    result = project.call("check", "--wait", duration)
    assert result.code == 2
    assert "is no duration" in " ".join(result.err.split())


@pytest.mark.parametrize("claim", ["fake.all_serve:", "fake.all_serve:x", "fake.all_serve:claim=y"])
def test_parameter_without_a_value_is_invalid_input(project: InMemoryProject, claim: str) -> None:
    result = project.call("check", claim)
    assert result.code == 2
    assert "expected CLAIM:name=value" in result.err


def test_all_claims_are_listed(project: InMemoryProject) -> None:
    result = project.call("check", "--list")
    assert result.code == 0
    assert "systemd.active" in result.out
    assert {"name", "summary", "group", "standing"} == set(
        json.loads(project.call("check", "--list", "--json").out)[0]
    )
