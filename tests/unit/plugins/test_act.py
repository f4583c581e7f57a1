"""An act as a task: intent, act and outcome in one; what its results and messages say."""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta

import pytest

from holdfast.journal.events import ActDone, ActIntended, Observed
from holdfast.model import Json, LeaseMode
from holdfast.store.processes import holder_for
from tests.unit.plugins.fake_hosts import FakeHosts

RESTART = {"act": "restart", "unit": "cron"}
DRAIN = {"act": "drain", "unit": "cron", "undo": "revive", "argv": ["sh", "-c", "echo no; exit 69"]}

MINUTE = timedelta(minutes=1)
BUSY = "Id=busy.service\nLoadState=loaded\nActiveState=active\nJob=4711\n"


@pytest.fixture
def run(hosts: FakeHosts) -> dict[str, Json]:
    """Return the variables of an engine's run that holds two leases, one of them for a minute."""
    hosts.open_run("r1")
    store, holder = hosts.store(), holder_for("r1", "ada", "why", os.getpid())
    tokens = {
        scope: store.take(holder, {scope: LeaseMode.EXCLUSIVE}, ttl).tokens[scope]
        for scope, ttl in (("east/cron", MINUTE), ("east/bus", 9 * MINUTE))
    }
    hosts.mark("r1")
    marked = {"service": "cron", "renew_at": time.time() + 300}
    policy = {"service": "cron", "group": "web", "batch_max": 1, "batch_max_reason": "a test"}
    return {
        "holdfast_run": "r1",
        "holdfast_grant": tokens,
        "holdfast_marked": marked,
        "holdfast_policy": policy,
    }


def in_run(run: dict[str, Json], given: Json, name: str, *, action: str = "act") -> Json:
    return {f"holdfast_{action}": given, "vars": run, "register": name, "ignore_errors": True}


def test_acts_are_intended_done_and_journaled(hosts: FakeHosts, run: dict[str, Json]) -> None:
    spy, sent = hosts.directory / "bin" / "spy", hosts.directory / "sent"
    hosts.set_output(spy=f'#!/bin/sh\necho "$2" >> {sent}\nexec {hosts.shell} "$@"\n')
    spy.chmod(0o755)
    hosts.set_variables(ansible_shell_executable=str(spy))
    hosts.mark("r1", seconds=-1)
    run |= {"holdfast_marked": {"service": "cron", "renew_at": 0}}
    played = hosts.run_tasks(in_run(run, RESTART, "restart"), in_run(run, DRAIN, "drain"))
    restart, drain = played.results["restart"], played.results["drain"]
    assert hosts.restarts == ["cron.service"]
    assert (restart["changed"], restart["before"], restart["after"]) == (True, "start0", "start1")
    assert (drain["failed"], drain["changed"], drain["rc"], drain["output"]) == (
        False,
        True,
        69,
        ["no"],
    )
    limits = re.search(r"restart cron.service 900 \S+ (\d+) (\d+) cron r1 start0", sent.read_text())
    assert limits is not None
    left = (int(limits[2]) - int(limits[1])) / 100
    assert 0 < left <= MINUTE.total_seconds(), "the first lease to expire counts"
    intended, done, drained = hosts.journal("r1")
    assert isinstance(intended, ActIntended)
    assert (intended.host, intended.invocation_id) == ("a", "start0")
    assert isinstance(done, ActDone)
    assert (done.invocation_id, done.changed, done.seconds) == ("start1", True, restart["seconds"])
    assert isinstance(drained, ActIntended)
    assert (drained.act, drained.undo, drained.invocation_id) == ("drain", "revive", "")


def test_check_mode_reports_what_it_would_do(hosts: FakeHosts, run: dict[str, Json]) -> None:
    tasks = in_run(run, RESTART, "restart"), in_run(run, DRAIN, "drain")
    results = hosts.run_tasks(*tasks, arguments=["--check"]).results
    restart, drain = results["restart"], results["drain"]
    assert restart["msg"] == "a: would restart: cron.service is active (running)"
    assert (restart["changed"], restart["before"], restart["after"]) == (True, "start0", "start0")
    assert (drain["changed"], drain["rc"], drain["timed_out"]) == (True, 0, False)
    assert drain["msg"].startswith("a: would run `sh -c ")
    assert (hosts.restarts, hosts.journal("r1")) == ([], [])


def test_without_a_lease_or_an_outcome_there_is_no_entry(
    hosts: FakeHosts, run: dict[str, Json]
) -> None:
    """A restart that failed is an intent without an outcome: a resume observes what really happened."""
    hosts.set_output(broken="", journal="rabbit://nova:hunter2@ctl1:5672/\nno route to host\n")
    lost = {"expired": {**run, "holdfast_grant": {"east/cron": 99}}, "by_hand": {}}
    lost["empty"] = {**run, "holdfast_grant": {}}
    hosts.mark("r9")
    (hosts.locks / "cron.mark").rename(hosts.locks / "bus.mark")
    hosts.mark("r1")
    of_another = {"holdfast_policy": {**run["holdfast_policy"], "service": "bus"}}
    lost["marked"] = {**run, "holdfast_marked": {"service": "cron", "renew_at": 0}, **of_another}
    tasks = [in_run(variables, RESTART, name) for name, variables in lost.items()]
    endless = in_run(run, {**RESTART, "timeout_seconds": 0}, "endless")
    played = hosts.run_tasks(endless, *tasks, in_run(run, RESTART, "failed"))
    assert "nothing was touched: timeout_seconds must be more" in played.results["endless"]["msg"]
    for name in lost:
        assert played.results[name]["failed"]
        assert "a: may not restart cron, nothing was touched: " in played.results[name]["msg"]
    assert hosts.restarts == ["cron.service"]
    assert played.results["failed"]["failed"]
    assert "a: the restart failed, cron.service is failed" in played.results["failed"]["msg"]
    assert "hunter2" not in played.output + str(played.results)
    assert [type(event) for event in hosts.journal("r1")] == [ActIntended]


def test_an_observation_is_journaled_in_a_run_alone_and_once_there_is_no_job(
    hosts: FakeHosts, run: dict[str, Json]
) -> None:
    by_hand = {"holdfast_observe": {"units": ["cron"]}, "register": "by_hand"}
    it = hosts.run_tasks(by_hand).results["by_hand"]
    assert it["msg"] == "a: cron.service is active (running)"
    assert not (hosts.locks / "cron.service.lock").exists(), "no intent ends by hand"
    busy = {"units": ["busy"], "deadline_seconds": 0.1}
    hosts.set_output(**{"show_busy.service": BUSY, "show_busy": BUSY})
    tasks = [
        in_run(run, each, name, action="observe")
        for name, each in (("it", {"units": ["cron"]}), ("busy", busy))
    ]
    results = hosts.run_tasks(*tasks).results
    assert "a is not observed: systemd still has a job in progress" in results["busy"]["msg"]
    (seen,) = hosts.journal("r1")
    assert isinstance(seen, Observed)
    assert (seen.unit, seen.invocation_id, seen.active) == ("cron", "start0", True)


def test_an_act_whose_connection_breaks_is_not_sent_again(
    hosts: FakeHosts, run: dict[str, Json]
) -> None:
    """Whatever the site has ssh retry: what was sent may have been done."""
    ssh, record = hosts.directory / "bin" / "ssh", hosts.directory / "record"
    hosts.set_output(
        ssh='#!/bin/sh\nfor last; do :; done\nsh -c "$last"\n'
        'case $last in *"holdfast /run/holdfast 30 command"*) exit 255 ;; esac\n'
    )
    ssh.chmod(0o755)
    broken = {
        "ansible_connection": "ssh",
        "ansible_ssh_executable": str(ssh),
        "ansible_ssh_retries": 1,
    }
    drain = DRAIN | {"argv": ["sh", "-c", f"echo run >> {record}"]}
    played = hosts.run_tasks(in_run(run | broken, drain, "drain"))
    assert "UNREACHABLE" in played.output
    assert record.read_text() == "run\n"
    assert [type(each) for each in hosts.journal("r1")] == [ActIntended]
