"""A unit is restarted once, if its InvocationID is the intended one; the restarts are counted on the host."""

from __future__ import annotations

import fcntl
import json
import shutil
from typing import Any

import pytest

from tests.unit.plugins.fake_hosts import FakeHosts, in_time


def command(hosts: FakeHosts, expect: str = "start0", **more: Any) -> list[str]:
    given = {
        "name": "cron",
        "expect_invocation_id": expect,
        "not_after": in_time(),
    }
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
    with (hosts.locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = restart(hosts, timeout_seconds=1)
    assert hosts.restarts == []
    assert it["failed"]
    assert "another act on cron.service still held" in it["msg"]


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


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"LoadState": "bad-setting"}, "its load state is bad-setting"),
        ({"LoadState": "masked", "ActiveState": "failed"}, "its load state is masked"),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_unit_that_cannot_be_read_after_its_restart_was_restarted(
    hosts: FakeHosts, after: dict[str, str], why: str, fails: bool
) -> None:
    hosts.set_unit_after_restart(**after)
    if fails:
        hosts.set_output(broken="")
    it = restart(hosts)
    assert hosts.restarts == ["cron.service"]
    assert (it["failed"], it["changed"], it["before"], it["after"]) == (True, True, "start0", "")
    assert "nothing was touched" not in it["msg"]
    ended = "which failed: Job for" if fails else "which reported success"
    for part in ("`systemctl restart cron.service` was run", ended, "is not known", why):
        assert part in it["msg"]


def test_a_systemd_that_does_not_answer_after_the_restart_is_named(hosts: FakeHosts) -> None:
    hosts.set_output(slow_show_after_restart="")
    it = restart(hosts, answer_seconds=0.2)
    assert hosts.restarts == ["cron.service"]
    assert it["failed"]
    assert "was run, which reported success" in it["msg"]
    assert "`systemctl show cron.service` gave no answer" in it["msg"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "has no mark of run R1 any more"),
        ("broken", "cannot be read"),
        ("another", "marked by another run, R2 of ada"),
        ("expired", "the mark of run R1 on this host has expired"),
    ],
)
def test_a_host_without_the_mark_of_the_run_is_not_touched(
    hosts: FakeHosts, text: str | None, why: str
) -> None:
    """Another run, with a state database of its own, may act."""
    hosts.mark("R2" if text == "another" else "R1", 0 if text == "expired" else 60)
    if text is None:
        (hosts.locks / "cron.mark").unlink()
    elif text == "broken":
        (hosts.locks / "cron.mark").write_text(text)
    it = restart(hosts)
    assert hosts.restarts == []
    assert why in it["msg"]
    assert "nothing was touched" in it["msg"]


def test_an_intent_that_names_no_mark_counts_for_nothing(hosts: FakeHosts) -> None:
    not_after = in_time()
    del not_after["marked"]
    assert "does not say which mark" in restart(hosts, not_after=not_after)["msg"]
    assert hosts.restarts == []


@pytest.mark.parametrize(
    ("not_after", "why"),
    [
        (in_time(-1), "too late by "),
        ({**in_time(), "boot_id": "another"}, "booted since the intent"),
        ({}, "does not say until when"),
    ],
)
def test_after_the_lease_a_unit_is_not_restarted(
    hosts: FakeHosts, not_after: dict[str, Any], why: str
) -> None:
    it = restart(hosts, not_after=not_after)
    assert hosts.restarts == []
    assert (it["failed"], it.get("changed", False)) == (True, False)
    assert why in it["msg"]
    assert it["msg"].endswith("nothing was touched")


def test_time_that_passes_before_the_lock_is_had_counts(hosts: FakeHosts) -> None:
    """Two modules with the same intent; the first is still at work when the second is too late."""
    hosts.set_output(duration="0.8")
    first = hosts.start(command(hosts))
    while not hosts.restarts:
        assert first.poll() is None
    late = restart(hosts, expect="start1", not_after=in_time(0.3))
    first.communicate(timeout=60)
    assert hosts.restarts == ["cron.service"]
    assert "too late" in late["msg"]


def observation(hosts: FakeHosts, seconds: int = 5) -> list[str]:
    return hosts.module_command("holdfast_unit", name="cron", observe_seconds=seconds)


def test_an_observation_waits_for_a_restart_in_progress(hosts: FakeHosts) -> None:
    hosts.set_output(duration="0.5")
    first = hosts.start(command(hosts))
    while not hosts.restarts:
        assert first.poll() is None
    seen = json.loads(hosts.run(observation(hosts)).stdout)
    first.communicate(timeout=60)
    assert seen["unit"]["invocation_id"] == "start1"


def test_an_observation_that_waits_in_vain_has_no_result(hosts: FakeHosts) -> None:
    with (hosts.locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = json.loads(hosts.run(observation(hosts, 1)).stdout)
    assert it["failed"]
    assert "another act on cron.service still held" in it["msg"]
    assert "unit" not in it


def test_after_an_observation_an_act_that_was_intended_before_it_is_not_begun(
    hosts: FakeHosts,
) -> None:
    """A module that outlived its play comes after "not restarted" was journaled."""
    before = in_time()
    hosts.run(observation(hosts))
    orphan = restart(hosts, not_after=before)
    assert hosts.restarts == []
    assert "since the intent the host was observed" in orphan["msg"]
    assert not restart(hosts, not_after=in_time(read=5)).get("failed")
    assert hosts.restarts == ["cron.service"]


def test_an_observation_in_another_boot_does_not_count(hosts: FakeHosts) -> None:
    old = {"boot_id": "another", "seconds": 1e9}
    (hosts.locks / "cron.service.lock").write_text(json.dumps(old))
    assert not restart(hosts).get("failed")
    assert hosts.restarts == ["cron.service"]


def test_a_damaged_lock_is_named_and_nothing_is_done(hosts: FakeHosts) -> None:
    (hosts.locks / "cron.service.lock").write_text("{")
    it = restart(hosts)
    assert hosts.restarts == []
    assert "cron.service.lock cannot be read" in it["msg"]


def test_a_lock_directory_that_cannot_be_made_is_named(hosts: FakeHosts) -> None:
    shutil.rmtree(hosts.locks)
    hosts.locks.write_text("a file")
    it = restart(hosts)
    assert hosts.restarts == []
    assert "cannot be used" in it["msg"]
    assert it["msg"].endswith("nothing was touched")
