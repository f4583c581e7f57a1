"""The program that reads an agent's state on its host, over files of a real agent; and mass runs among processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.model import Unanswered
from holdfast.observations.puppet import Agent, Agents, run_of
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.puppet import (
    CONTROLLER,
    agents_of,
    mass_runs,
    mass_runs_here,
    parse_agent,
    probe_mass_runs,
    reports_of,
)
from tests.fakes.puppet_host import DISABLED, LOCK, RECORDED, REPORT, SUMMARY, PuppetHost
from tests.unit.probes.shells import NoShell, ScriptedShell, UnreachableShell


@pytest.fixture
def host(tmp_path: Path) -> PuppetHost:
    return PuppetHost.at(tmp_path)


def context_of(*shells: object) -> ProbeContext:
    hosts = {f"cmp{number}": shell for number, shell in enumerate(shells, 1)}
    reach: Callable[[str], object] = hosts.__getitem__
    return ProbeContext("cmp1", {"puppet_agents": list(hosts)}, {}, NoShell(), reach=reach)  # type: ignore[arg-type]


def agent_of(host: PuppetHost) -> Agent:
    found = read(host)["cmp1"]
    assert isinstance(found, Agent), found
    return found


def read(*hosts: object) -> Agents:
    directory = next(each.bin for each in hosts if isinstance(each, PuppetHost)).parent
    return agents_of(context_of(*hosts), (), str(directory / "run"))


def test_a_run_that_has_changed_something(host: PuppetHost) -> None:
    agent = agent_of(host.recorded("changed"))
    assert agent.last
    assert (agent.last.total, agent.last.failed, agent.last.completed) == (10, 0, True)
    assert (agent.last.cached, agent.last.noop, agent.last.status) == ("not_used", False, "changed")
    assert agent.last.version == "1795767326"
    assert agent.last.transaction == "60ad127a-a037-49b6-8c1c-ce307f98ab45"
    assert agent.last.began
    assert agent.last.began < agent.last.at == 1795767358
    assert (agent.disabled, agent.lock) == (None, None)
    assert agent.drivers[:2] == ("puppet.service", "puppet-run.timer")


@pytest.mark.parametrize(
    ("what", "total", "cached", "noop"),
    [
        ("catalog_failed", 0, "not_used", False),
        ("cached", 10, "on_failure", False),
        ("noop", 10, "not_used", True),
        ("failed", 9, "not_used", False),
    ],
)
def test_the_runs_of_a_real_agent(
    host: PuppetHost, what: str, total: int, cached: str, noop: bool
) -> None:
    last = agent_of(host.recorded(what)).last
    assert last
    assert (last.total, last.cached, last.noop) == (total, cached, noop)


def test_the_report_of_another_run_is_no_report_of_the_last(host: PuppetHost) -> None:
    """A site that keeps no reports any more still has its last one."""
    host.recorded("noop")
    report = (host.state / REPORT).read_text()
    host.recorded("changed")
    (host.state / REPORT).write_text(report)
    last = agent_of(host).last
    assert last
    assert (last.completed, last.cached, last.transaction) == (None, "", "")


def test_an_agent_that_never_ran(host: PuppetHost) -> None:
    assert agent_of(host).last is None


@pytest.mark.parametrize(
    ("content", "message", "run"),
    [
        (None, "holdfast:20261127-0813-puppet-rollout-k3f9: a change", "20261127-0813-puppet-rollout-k3f9"),
        ('{"disabled_message":"disk, ask Eve"}', "disk, ask Eve", ""),
        ('{"disabled_message":""}', "(no message)", ""),
        ("", "(no message: its lock has '')", ""),
        ("[]", "(no message)", ""),
    ],
)  # fmt: skip
def test_a_disabled_agent(host: PuppetHost, content: str | None, message: str, run: str) -> None:
    host.recorded("disabled")
    if content is not None:
        (host.state / DISABLED).write_text(content)
    agent = agent_of(host)
    assert agent.disabled == message
    assert run_of(message) == run


def test_a_lock_whose_process_is_gone_is_no_run(host: PuppetHost) -> None:
    host.recorded("killed")
    (host.state / LOCK).write_text("4194305")  # more than any process has
    lock = agent_of(host).lock
    assert lock
    assert (lock.pid, lock.command, lock.in_flight) == (4194305, "", False)


def test_a_lock_whose_number_another_process_has_is_no_run(host: PuppetHost) -> None:
    (host.state / LOCK).write_text(str(os.getppid()))
    lock = agent_of(host).lock
    assert lock
    assert not lock.in_flight or "puppet" in lock.command


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda host: (host.bin / "puppet").unlink(), "the command puppet is not found"),
        (lambda host: host.install("puppet", "#!/bin/sh\necho gone >&2; exit 1"), "config print failed: gone"),
        (lambda host: host.install("puppet", "#!/bin/sh\ntrue"), "does not name the files"),
        (lambda host: (host.state / SUMMARY).write_text("[]"), "another shape"),
        (lambda host: (host.state / SUMMARY).write_text("a: {b: [1]}"), "another shape"),
        (lambda host: (host.state / SUMMARY).write_text("a: ["), "in no YAML"),
        (lambda host: (host.state / SUMMARY).write_text("time: {}"), "does not say when"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_unanswered(
    host: PuppetHost, spoil: Callable[[PuppetHost], None], message: str
) -> None:
    spoil(host)
    found = read(host)["cmp1"]
    assert isinstance(found, Unanswered)
    assert message in found.cause


def test_a_host_that_is_silent_leaves_the_others(host: PuppetHost) -> None:
    found = read(host.recorded("changed"), UnreachableShell())
    assert isinstance(found["cmp1"], Agent)
    assert found["cmp2"] == Unanswered("the host is unreachable")


def test_ruby_is_started_once_until_the_configuration_changes(host: PuppetHost) -> None:
    agent_of(host)
    asked = (host.bin / "puppet").read_text()
    key = (host.bin.parent / "run/puppet.paths").read_text()
    host.install("puppet", asked.replace("#!/bin/sh\n", "#!/bin/sh\n# a newer one\n"))
    host.recorded("disabled")
    assert agent_of(host).disabled
    assert (host.bin.parent / "run/puppet.paths").read_text() != key
    broken = (
        (host.bin.parent / "run/puppet.paths")
        .read_text()
        .replace("agent_disabled.lock", "gone.lock")
    )
    (host.bin.parent / "run/puppet.paths").write_text(broken)
    assert agent_of(host).disabled is None, "it was read from what was kept"


def test_what_a_real_noop_says_it_would_do_is_what_the_run_then_did(host: PuppetHost) -> None:
    directory = host.recorded("changed").bin.parent / "run"
    directory.mkdir()
    shutil.copy(RECORDED / "noop/last_run_report.recorded", directory / "puppet-preview.report")
    found = reports_of(context_of(host), (), str(directory))["cmp1"]
    assert not isinstance(found, Unanswered)
    assert found.preview
    assert found.run
    assert (found.preview.noop, found.run.noop) == (True, False)
    assert found.preview.services == found.run.services == ("nova-compute",)
    assert (
        found.preview.lines
        == found.run.lines
        == {
            "Exec[nova.conf: long_rpc_timeout] (returns)",
            "File[/etc/motd] (content)",
            "Service[nova-compute] (refreshed)",
        }
    )
    assert found.preview.began < found.run.began
    assert found.layers["nova-conductor"] == ["conductor"]


def test_a_hosts_own_names_of_units_say_which_service_is_restarted(host: PuppetHost) -> None:
    context = context_of(host.recorded("changed"))
    names = {"nova_api_unit": "httpd.service", "nova_metadata_unit": "httpd"}
    own = replace(context, variables={"cmp1": names})
    found = reports_of(own, (), str(host.bin.parent / "run"))["cmp1"]
    assert not isinstance(found, Unanswered)
    assert (found.layers["httpd"], "nova-api" in found.layers) == (["api", "metadata"], False)


def test_reports_of_a_run_that_failed_and_of_one_without_catalog(host: PuppetHost) -> None:
    directory = str(host.bin.parent / "run")
    found = reports_of(context_of(host.recorded("failed")), (), directory)["cmp1"]
    assert not isinstance(found, Unanswered)
    assert found.run
    assert (found.preview, found.run.failed) == (None, ("Exec[the package is installed]",))
    found = reports_of(context_of(host.recorded("catalog_failed")), (), directory)["cmp1"]
    assert not isinstance(found, Unanswered)
    assert found.run
    assert (found.run.completed, found.run.status, dict(found.run.changes)) == (False, "failed", {})


@pytest.mark.parametrize("text", ["[]", "a: [", "", "resource_statuses: {x: 1}"])
def test_a_report_of_another_shape_is_no_answer(host: PuppetHost, text: str) -> None:
    host.recorded("changed")
    (host.state / REPORT).write_text(text)
    found = reports_of(context_of(host), (), str(host.bin.parent / "run"))["cmp1"]
    assert isinstance(found, Unanswered)


def test_an_answer_that_was_cut_off_is_none() -> None:
    with pytest.raises(CannotTell, match="not read to its end"):
        parse_agent("cmp1", "now=17\nsummary> time:\n")


INIT = "  1   0 /sbin/init\n"
MINION = "5 1 /usr/bin/python3 /usr/bin/salt-minion\n6 5 sh -c puppet agent -t\n"
SALT_MASTER = "901 1 /usr/bin/python3 /usr/bin/salt labvirt* cmd.run puppet agent -tv"


@pytest.mark.parametrize(
    ("listed", "pids"),
    [
        (SALT_MASTER, [901]),
        ("7 1 cumin A:labvirt run-puppet-agent", [7]),
        ("7 1 /usr/bin/python3 /usr/bin/clush -a puppet agent -t", [7]),
        ("7 1 parallel-ssh -h hosts puppet agent -t", [7]),
        ("7 1 salt cmp* test.ping", []),
        ("7 1 vi salt puppet.sls", []),
        ("7 1 grep -r salt puppet", []),
        (f"{MINION}7 6 /usr/bin/ruby /usr/bin/puppet agent -t", [6, 7]),
        ("5 1 /usr/bin/ruby /usr/bin/puppet agent --no-daemonize\n6 5 puppet agent: applying configuration", []),
        ("5 6 puppet agent\n6 5 sh", []),
        ("nonsense", []),
    ],
)  # fmt: skip
def test_mass_runs_among_processes(listed: str, pids: list[int]) -> None:
    assert [each.pid for each in mass_runs("cmp1", listed)] == pids


def list_process(proc: Path, pid: int, command: bytes) -> Path:
    process = proc / str(pid)
    process.mkdir()
    process.joinpath("cmdline").write_bytes(command)
    process.joinpath("stat").write_text(f"{pid} (salt (x)) S 1 {pid}")
    return process


def test_processes_that_are_hidden_are_a_doubt(tmp_path: Path) -> None:
    """Proc(5): hidepid=2 lists none of other users, hidepid=1 lets none of theirs be read."""
    assert isinstance(mass_runs_here(tmp_path), Unanswered), "not even the first is listed"
    first = list_process(tmp_path, 1, b"/sbin/init\0")
    assert mass_runs_here(tmp_path) == ()
    first.joinpath("cmdline").unlink()
    first.joinpath("cmdline").mkdir()  # as unreadable to root as another's to a user
    assert isinstance(mass_runs_here(tmp_path), Unanswered)


@pytest.mark.parametrize(
    ("listed", "tool"),
    [
        (SALT_MASTER, "salt"),
        ("7 1 /usr/bin/python3 /usr/bin/clush -a puppet agent -t", "clush"),
        (f"{MINION}", "salt"),
    ],
)
def test_of_a_mass_run_only_the_tool_is_kept(listed: str, tool: str) -> None:
    """A command line may have passwords in it, and what a gate says is journaled."""
    assert [each.tool for each in mass_runs("cmp1", listed)] == [tool]


def test_mass_runs_are_looked_for_here_and_on_every_host(tmp_path: Path) -> None:
    list_process(tmp_path, 1, b"/sbin/init\0")
    list_process(tmp_path, 901, b"salt\0cmp*\0cmd.run\0puppet agent -t\0")
    tmp_path.joinpath("902").mkdir()  # it has ended meanwhile
    found = mass_runs_here(tmp_path)
    assert not isinstance(found, Unanswered)
    assert [(each.where, each.pid) for each in found] == [(CONTROLLER, 901)]
    assert isinstance(mass_runs_here(tmp_path / "none"), Unanswered)
    answers = (0, INIT + SALT_MASTER, ""), (1, "", "no ps"), (0, SALT_MASTER, "")
    shells = [ScriptedShell(CommandResult(*answer)) for answer in answers]
    seen = probe_mass_runs(context_of(*shells), ())
    assert list(seen) == [CONTROLLER, "cmp1", "cmp2", "cmp3"]
    assert not isinstance(seen["cmp1"], Unanswered)
    assert [each.pid for each in seen["cmp1"]] == [901]
    assert seen["cmp2"] == Unanswered("cmp2: its processes cannot be listed: no ps")
    assert isinstance(seen["cmp3"], Unanswered), "not all of its processes are listed"
