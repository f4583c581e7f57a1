"""``holdfast lease``: who holds what; a dead holder's lease can be freed, a living one's not."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.journal.events import LeaseTaken, RunOpened
from holdfast.marks import HostMarks
from holdfast.model import RUN_VARIABLE, Grant, Holder, LeaseMode
from holdfast.settings import Settings, load_settings
from holdfast.store.database import Store
from holdfast.store.processes import holder_for
from tests.unit.cli.cli_harness import InMemoryProject


@pytest.fixture
def project(tmp_path: Path) -> InMemoryProject:
    return InMemoryProject(tmp_path / "project")


def take_lease(project: InMemoryProject, holder: Holder) -> Grant:
    store = project.open_store(load_settings(project.environ))
    scopes = {"lab/broker": LeaseMode.EXCLUSIVE}
    return store.take(holder, scopes, timedelta(hours=1))


def holder_elsewhere() -> Holder:
    return Holder("R1", "bob", "kernel [b]update[/b]", "other-controller", "boot", 7, 7)


def test_list_shows_holder_and_reason(project: InMemoryProject) -> None:
    take_lease(project, holder_elsewhere())
    result = project.call("lease", "list")
    for words in ("lab/broker", "exclusive", "R1", "bob", "kernel [b]update[/b]"):
        assert words in result.out
    listed = json.loads(project.call("lease", "list", "--json").out)
    assert (listed[0]["scope"], listed[0]["controller"]) == ("lab/broker", "other-controller")


def test_list_and_status_name_a_difference_of_the_clocks(project: InMemoryProject) -> None:
    project.open_store(Settings(f"sqlite:///{project.state}/state.db", project.state))
    project.clock_ahead = timedelta(seconds=61)
    for command in (["lease", "list"], ["lease", "list", "--json"], ["status"]):
        result = project.call(*command)
        assert result.code == 0
        assert "61 s ahead of that of the state database" in result.err
    project.clock_ahead = timedelta(0)
    assert not project.call("lease", "list").err


def test_list_without_leases_says_so(project: InMemoryProject) -> None:
    assert "Nobody holds a lease" in project.call("lease", "list").out


def test_other_directories_with_state_are_named(project: InMemoryProject) -> None:
    """A run that was held where state was kept before an upgrade does not vanish."""
    project.machine_state = project.path / "machine"
    home = project.path / "home"
    before = home / ".local/state/holdfast"
    project.environ |= {"HOME": str(home), "XDG_STATE_HOME": str(project.path / "new")}
    del project.environ["HOLDFAST_STATE_DIR"]
    assert "elsewhere" not in project.call("status").err
    before.mkdir(parents=True)
    (before / "state.db").touch()
    for command in (["status"], ["lease", "list"], ["lease", "list", "--json"]):
        assert f"HOLDFAST_STATE_DIR={before} holdfast {command[0]}" in project.call(*command).err
    missed = project.call("status", "k3f9")
    assert missed.code == 2
    assert f"HOLDFAST_STATE_DIR={before} holdfast status k3f9" in " ".join(missed.err.split())
    planned = project.call("run", "broker-restart", "--reason", "x", typed="n\n")
    assert "other users of this machine do not share" in " ".join(planned.err.split())


def test_lease_of_a_dead_holder_elsewhere_is_released_after_confirmation(
    project: InMemoryProject,
) -> None:
    take_lease(project, holder_elsewhere())
    assert project.call("lease", "release", "lab/broker").code == 2
    assert project.call("lease", "release", "lab/broker", typed="n\n").code == 5
    assert "R1" in project.call("lease", "list").out
    released = project.call("lease", "release", "lab/broker", "--yes")
    assert released.code == 0
    assert "holdfast resume R1 --reason '\u2026'" in released.out
    assert "Nobody holds a lease" in project.call("lease", "list").out


def test_lease_of_a_living_holder_is_not_released(project: InMemoryProject) -> None:
    take_lease(project, holder_for("R2", "ada", "mine", os.getpid()))
    result = project.call("lease", "release", "lab/broker", "--yes")
    assert result.code == 3
    assert "which is alive" in result.err
    assert "next: holdfast abort R2" in result.err
    assert "R2" in project.call("lease", "list").out


def test_leases_are_whole_on_a_terminal_of_80_columns(project: InMemoryProject) -> None:
    holder = holder_for("20261121-2304-broker-restart-spcz", "ada", "why " * 50, os.getpid())
    take_lease(project, holder)
    lease, held_by, why = project.call("lease", "list", width=80).out.splitlines()
    assert lease.split()[:3] == ["lab/broker", "exclusive", "until"]
    assert held_by.split() == ["held", "by", holder.run]
    assert why.startswith("  ada, since 11-21 23:04: why why")


def test_lease_of_a_holder_from_before_a_reboot_is_free(project: InMemoryProject) -> None:
    """The state is a file of this machine, so no other machine can have this name."""
    holder = holder_for("R2", "ada", "mine", os.getpid())
    take_lease(project, replace(holder, boot_id="before the reboot"))
    assert "Nobody holds a lease" in project.call("lease", "list").out


def test_lease_of_a_holder_in_another_container_is_released_after_confirmation(
    project: InMemoryProject,
) -> None:
    holder = holder_for("R2", "ada", "mine", os.getpid())
    boot = holder.boot_id.split(" ")[0]
    take_lease(project, replace(holder, boot_id=f"{boot} pid:[1]"))
    asked = project.call("lease", "release", "lab/broker", typed="n\n")
    assert asked.code == 5
    assert "from before its last boot or from another container" in asked.err
    assert project.call("lease", "release", "lab/broker", "--yes").code == 0
    assert "Nobody holds a lease" in project.call("lease", "list").out


def test_lease_of_a_play_that_outlived_its_driver_is_not_released(
    project: InMemoryProject,
) -> None:
    holder = replace(holder_for("R2", "ada", "mine", os.getpid()), process_started=1)
    take_lease(project, holder)
    environ = os.environ | {RUN_VARIABLE: "R2"}
    with subprocess.Popen(["/bin/cat"], env=environ, stdin=subprocess.PIPE) as play:
        result = project.call("lease", "release", "lab/broker", "--yes")
        play.kill()
    assert result.code == 3
    assert (
        f"a play of run R2, which still runs on this controller: process {play.pid}" in result.err
    )


def test_unknown_lease_names_the_nearest(project: InMemoryProject) -> None:
    take_lease(project, holder_elsewhere())
    result = project.call("lease", "release", "lab/brocker", "--yes")
    assert result.code == 2
    assert "did you mean lab/broker?" in result.err


def append_play_by_hand(project: InMemoryProject, run: str, holder: Holder, token: int) -> Store:
    now = project.fleet.clock()
    opened = RunOpened(
        at=now, runbook="", runbook_hash="", playbook="Restart the broker", site="lab", by=holder.by,
        reason=holder.reason, controller=holder.controller, process=holder.process,
    )  # fmt: skip
    store = project.open_store(load_settings(project.environ))
    store.append(run, opened)
    store.append(run, LeaseTaken(at=now, tokens={"lab/broker": token}))
    return store


def test_status_of_a_dead_play_by_hand_does_not_suggest_resume(project: InMemoryProject) -> None:
    append_play_by_hand(project, "20261121-2304-broker-by-hand-k3f9", holder_elsewhere(), 1)
    result = project.call("status", "k3f9")
    assert "holdfast resume" not in result.out
    assert "to try again  the same ansible-playbook command as before" in result.out


def test_abort_of_a_play_by_hand_is_refused(project: InMemoryProject) -> None:
    """It reads no requests, so nobody is told that it stops."""
    holder = holder_for("R3", "bob", "mine", os.getpid())
    grant = take_lease(project, holder)
    store = append_play_by_hand(project, "R3", holder, grant.tokens["lab/broker"])
    under_way = project.call("status", "R3").out
    assert "to stop    Ctrl-C in the terminal where it was started" in under_way
    assert "holdfast abort" not in under_way
    result = project.call("abort", "R3")
    assert result.code == 3
    assert "bob started by hand" in result.err
    assert [entry.event.kind for entry in store.read("R3")] == ["run_opened", "lease_taken"]


# --- marks on hosts, of runs with another state database


def mark_hosts(project: InMemoryProject, holder: Holder, *hosts: str) -> None:
    now = project.fleet.clock()
    found = HostMarks("boot", now.timestamp())
    for host in hosts:
        project.fleet.hosts[host].marks["broker"] = found.new_mark(holder, now).as_text()


def test_list_with_a_site_shows_who_marked_its_hosts(project: InMemoryProject) -> None:
    mark_hosts(project, holder_elsewhere(), "ctl1", "ctl3")
    assert "R1" not in project.call("lease", "list").out
    listed = project.call("lease", "list", "--site", "lab")
    assert listed.code == 0
    for words in ("lab/broker, marked on ctl1, ctl3", "R1", "bob", "kernel [b]update[/b]"):
        assert words in listed.out
    (mark,) = json.loads(project.call("lease", "list", "--site", "lab", "--json").out)
    assert (mark["scope"], mark["hosts"], mark["by"]) == ("lab/broker", ["ctl1", "ctl3"], "bob")
    assert "No host is marked" not in listed.out


def test_list_with_a_site_says_which_hosts_do_not_answer(project: InMemoryProject) -> None:
    project.fleet.hosts["ctl2"].reachable = False
    project.fleet.hosts["ctl3"].marks["broker"] = "broken"
    listed = project.call("lease", "list", "--site", "lab")
    assert "No host is marked" in listed.out
    assert "ctl2: whether it has marks is not known: the host is unreachable" in listed.err
    assert "ctl3: whether it has marks is not known: /run/holdfast/broker.mark" in listed.err


def test_marks_of_a_dead_holder_elsewhere_are_removed_after_confirmation(
    project: InMemoryProject,
) -> None:
    mark_hosts(project, holder_elsewhere(), "ctl1", "ctl3")
    command = ("lease", "release", "lab/broker", "--site", "lab")
    assert project.call(*command).code == 2
    asked = project.call(*command, typed="n\n")
    assert asked.code == 5
    assert "Is process 7 of run R1 on other-controller known to be dead?" in asked.err
    assert project.fleet.marks() == {"broker": ["ctl1", "ctl3"]}
    released = project.call(*command, "--yes")
    assert (released.code, project.fleet.marks()) == (0, {})
    assert "No host that answers is marked for lab/broker any more" in released.out
    missed = project.call("lease", "release", "lab/brocker", "--site", "lab", "--yes")
    assert (missed.code, "No host is marked for" in missed.err) == (2, True)


def test_marks_of_a_living_holder_are_not_removed(project: InMemoryProject) -> None:
    mark_hosts(project, holder_for("R2", "ada", "mine", os.getpid()), "ctl1")
    refused = project.call("lease", "release", "lab/broker", "--site", "lab", "--yes")
    assert refused.code == 3
    assert "which is alive" in refused.err
    holder = holder_elsewhere()
    take_lease(project, holder)
    mark_hosts(project, holder, "ctl1")
    leased = project.call("lease", "release", "lab/broker", "--site", "lab", "--yes")
    assert (leased.code, "run R1 holds its lease" in leased.err) == (3, True)
    assert project.fleet.marks() == {"broker": ["ctl1"]}


def test_a_run_tells_who_has_marked_the_hosts_and_what_to_type(project: InMemoryProject) -> None:
    mark_hosts(project, holder_elsewhere(), "ctl1")
    refused = project.call("run", "broker-restart", "--reason", "x", "--yes", width=400)
    assert refused.code == 3
    assert "broker is being changed by run R1: bob on other-controller" in refused.output
    assert "holdfast lease release lab/broker --site lab" in refused.output
    assert project.acts == []
