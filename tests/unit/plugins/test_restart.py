"""A unit is restarted once, if its InvocationID is the intended one; the restarts are counted on the host."""

from __future__ import annotations

import fcntl
import json
from typing import Any

import pytest

from tests.unit.plugins.fake_hosts import FakeHosts


def command(hosts: FakeHosts, expect: str = "start0", **more: Any) -> list[str]:
    locks = str(hosts.directory / "locks")
    given = {"name": "cron", "expect_invocation_id": expect, "lock_directory": locks}
    return hosts.module_command("holdfast_restart", **{**given, **more})


def restart(hosts: FakeHosts, expect: str = "start0", **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(hosts.run(command(hosts, expect, **more)).stdout)
    return result


def test_a_unit_with_the_intended_invocation_id_is_restarted(hosts: FakeHosts) -> None:
    it = restart(hosts)
    assert hosts.restarts == ["cron.service"]
    assert (it["changed"], it["before"], it["after"]) == (True, "start0", "start1")
    assert not it["already_restarted"]
    assert it["unit"]["active_state"] == "active"


def test_a_unit_with_another_invocation_id_is_not_restarted(hosts: FakeHosts) -> None:
    it = restart(hosts, expect="older")
    assert hosts.restarts == []
    assert (it["changed"], it["already_restarted"], it["after"]) == (False, True, "start0")
    assert "restarted since the intent" in it["msg"]


def test_a_unit_that_never_ran_is_started(hosts: FakeHosts) -> None:
    hosts.set_unit(ActiveState="inactive", SubState="dead", InvocationID="")
    it = restart(hosts, expect="")
    assert (hosts.restarts, it["before"], it["after"]) == (["cron.service"], "", "start1")


def test_check_mode_reports_what_it_would_do(hosts: FakeHosts) -> None:
    it = restart(hosts, check_mode=True)
    assert hosts.restarts == []
    assert it["changed"]
    assert it["msg"] == "would restart: cron.service is active (running)"
    assert it["before"] == it["after"] == "start0"


def test_a_unit_with_a_job_in_progress_is_not_restarted(hosts: FakeHosts) -> None:
    hosts.set_unit(Job="4711", ActiveState="deactivating", SubState="stop-sigterm")
    it = restart(hosts)
    assert hosts.restarts == []
    assert it["failed"]
    assert "a job in progress" in it["msg"]
    assert "nothing was touched" in it["msg"]


@pytest.mark.parametrize("state", ["not-found", "masked", "bad-setting"])
def test_a_unit_that_cannot_run_is_not_restarted(hosts: FakeHosts, state: str) -> None:
    hosts.set_unit(LoadState=state, ActiveState="inactive", InvocationID="")
    it = restart(hosts, expect="")
    assert hosts.restarts == []
    assert it["failed"]
    assert f"its load state is {state}" in it["msg"]


def test_a_restart_that_fails_is_reported_and_not_repeated(hosts: FakeHosts) -> None:
    hosts.set_output(
        broken="", journal="connecting to rabbit://nova:hunter2@ctl1:5672/\nno route to host\n"
    )
    it = restart(hosts)
    assert hosts.restarts == ["cron.service"], "a restart is never tried again"
    assert it["failed"]
    for part in (
        "cron.service is failed (failed), result exit-code",
        "control process exited",
        "no route to host",
        "rabbit://nova:***@ctl1",
    ):
        assert part in it["msg"]
    assert "hunter2" not in str(it)


def test_the_wait_for_systemd_is_limited(hosts: FakeHosts) -> None:
    hosts.set_output(duration="30")
    it = restart(hosts, timeout_seconds=1)
    assert it["failed"]
    assert "systemctl had not finished after 1 s" in it["msg"]


def test_the_wait_for_the_lock_is_limited(hosts: FakeHosts) -> None:
    locks = hosts.directory / "locks"
    locks.mkdir()
    with (locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = restart(hosts, timeout_seconds=1)
    assert hosts.restarts == []
    assert it["failed"]
    assert "another restart still held" in it["msg"]


def test_two_processes_with_the_same_intent_restart_the_unit_once(hosts: FakeHosts) -> None:
    hosts.set_output(duration="1")
    both = [hosts.start(command(hosts)) for _ in range(2)]
    results = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert hosts.restarts == ["cron.service"]
    assert sorted(each["already_restarted"] for each in results) == [False, True]
    assert {each["after"] for each in results} == {"start1"}


def test_holdfast_unit_reads_the_state_and_changes_nothing(hosts: FakeHosts) -> None:
    hosts.set_unit(ActiveState="failed", SubState="failed", Result="signal")
    it = json.loads(hosts.run(hosts.module_command("holdfast_unit", name="cron")).stdout)
    assert hosts.restarts == []
    assert not it["changed"]
    assert it["msg"] == "cron.service is failed (failed), result signal"
    assert it["unit"]["invocation_id"] == "start0"
