"""A command that acts is run once and in time; how it ends is evidence, and the host says what was run."""

from __future__ import annotations

import fcntl
import json
from typing import Any

import pytest

from tests.unit.plugins.fake_hosts import FakeHosts, in_time


def command(hosts: FakeHosts, script: str, **more: Any) -> list[str]:
    """Return the module's command; what it runs writes ``script`` to the host's record, then runs it."""
    record = hosts.directory / "record"
    given = {
        "argv": ["sh", "-c", f"echo run >> {record}; {script}"],
        "unit": "cron",
        "timeout_seconds": 20,
        "not_after": in_time(),
    }
    return hosts.module_command("holdfast_command", **{**given, **more})


def run(hosts: FakeHosts, script: str = "true", **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(hosts.run(command(hosts, script, **more)).stdout)
    return result


def times(hosts: FakeHosts) -> int:
    record = hosts.directory / "record"
    return len(record.read_text().splitlines()) if record.exists() else 0


@pytest.mark.parametrize("status", [0, 69])
def test_how_a_command_ends_is_evidence_and_no_failure(hosts: FakeHosts, status: int) -> None:
    it = run(hosts, f"echo out; echo 'quorum: no' >&2; exit {status}")
    assert times(hosts) == 1
    assert (it["failed"], it["changed"], it["rc"], it["timed_out"]) == (False, True, status, False)
    assert (it["stdout"], it["stderr"]) == ("out", "quorum: no")
    assert f"ended with {status} after" in it["msg"]
    assert it["msg"].endswith(": quorum: no")


def test_a_command_that_takes_too_long_is_ended_with_its_children(hosts: FakeHosts) -> None:
    late = hosts.directory / "late"
    it = run(hosts, f"echo begun; (sleep 0.9; touch {late}) & sleep 30", timeout_seconds=0.3)
    assert (it["failed"], it["rc"], it["timed_out"]) == (False, None, True)
    assert it["stdout"] == "begun"
    assert "was ended after 0." in it["msg"]
    hosts.run(["sleep", "0.8"])  # by now its child would have written
    assert not late.exists()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"not_after": in_time(-1)}, "too late"),
        ({"not_after": {**in_time(), "boot_id": "another"}}, "booted since the intent"),
        ({"not_after": {**in_time(), "marked": {}}}, "does not say which mark"),
        (
            {"not_after": {**in_time(), "marked": {"service": "cron", "run": "R2"}}},
            "marked by another run, R1 of ada",
        ),
        ({"not_after": {}}, "does not say until when"),
        ({"argv": ["no-such-program"]}, "No such file"),
    ],
)
def test_a_command_that_may_not_begin_is_not_run(
    hosts: FakeHosts, more: dict[str, Any], why: str
) -> None:
    it = run(hosts, **more)
    assert times(hosts) == 0
    assert it["failed"]
    assert why in it["msg"]
    assert "was not run" in it["msg"]
    assert it["msg"].endswith("nothing was touched")


def test_a_command_waits_for_another_act_on_the_unit_for_a_limited_time(hosts: FakeHosts) -> None:
    with (hosts.locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = run(hosts, timeout_seconds=0.1)
    assert times(hosts) == 0
    assert "another act on cron.service still held" in it["msg"]


def test_check_mode_runs_nothing(hosts: FakeHosts) -> None:
    it = run(hosts, check_mode=True, not_after={})
    assert times(hosts) == 0
    assert (it["changed"], it["rc"], it["timed_out"]) == (True, 0, False)
    assert it["msg"].startswith("would run `sh -c ")


def test_secrets_in_its_output_are_masked_and_long_output_is_cut(hosts: FakeHosts) -> None:
    it = run(hosts, "seq 9999; echo rabbit://nova:hunter2@ctl1/; echo password=hunter2 >&2")
    assert "hunter2" not in it["stdout"] + it["stderr"] + it["msg"].rpartition(": ")[2]
    assert it["stdout"].endswith("rabbit://nova:***@ctl1/")
    assert len(it["stdout"]) == 8000


def test_ansible_does_not_fail_the_task_by_the_exit_status(hosts: FakeHosts) -> None:
    given = {
        "argv": ["sh", "-c", "exit 69"],
        "unit": "cron",
        "timeout_seconds": 5,
        "not_after": in_time(),
    }
    played = hosts.run_tasks({"holdfast_command": given, "register": "ended"})
    assert played.rc == 0, played.output
    assert (played.results["ended"]["rc"], played.results["ended"]["failed"]) == (69, False)
