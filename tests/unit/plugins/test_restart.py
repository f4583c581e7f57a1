"""A restart happens once, if the start that was intended still runs; the host counts, not the module."""

from __future__ import annotations

import fcntl
import json
from typing import Any

import pytest

from tests.unit.plugins.stage import Stage


def command(stage: Stage, expect: str = "start0", **more: Any) -> list[str]:
    locks = str(stage.place / "locks")
    given = {"name": "cron", "expect_invocation_id": expect, "lock_directory": locks}
    return stage.module("holdfast_restart", **{**given, **more})


def restart(stage: Stage, expect: str = "start0", **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(stage.run(command(stage, expect, **more)).stdout)
    return result


def test_the_intended_start_is_restarted(stage: Stage) -> None:
    it = restart(stage)
    assert stage.restarts == ["cron.service"]
    assert (it["changed"], it["before"], it["after"]) == (True, "start0", "start1")
    assert not it["already_restarted"]
    assert it["unit"]["active_state"] == "active"


def test_another_start_is_left_alone(stage: Stage) -> None:
    it = restart(stage, expect="older")
    assert stage.restarts == []
    assert (it["changed"], it["already_restarted"], it["after"]) == (False, True, "start0")
    assert "restarted since the intent" in it["msg"]


def test_a_unit_that_never_ran_is_started(stage: Stage) -> None:
    stage.unit(ActiveState="inactive", SubState="dead", InvocationID="")
    it = restart(stage, expect="")
    assert (stage.restarts, it["before"], it["after"]) == (["cron.service"], "", "start1")


def test_check_mode_says_what_it_would_do(stage: Stage) -> None:
    it = restart(stage, check_mode=True)
    assert stage.restarts == []
    assert it["changed"]
    assert it["msg"] == "would restart: cron.service is active (running)"
    assert it["before"] == it["after"] == "start0"


def test_a_job_that_somebody_left_behind_is_not_added_to(stage: Stage) -> None:
    stage.unit(Job="4711", ActiveState="deactivating", SubState="stop-sigterm")
    it = restart(stage)
    assert stage.restarts == []
    assert it["failed"]
    assert "a job in progress" in it["msg"]
    assert "nothing was touched" in it["msg"]


@pytest.mark.parametrize("state", ["not-found", "masked", "bad-setting"])
def test_what_cannot_run_is_not_restarted(stage: Stage, state: str) -> None:
    stage.unit(LoadState=state, ActiveState="inactive", InvocationID="")
    it = restart(stage, expect="")
    assert stage.restarts == []
    assert it["failed"]
    assert f"its load state is {state}" in it["msg"]


def test_a_failed_restart_fails_once_with_what_is_known(stage: Stage) -> None:
    stage.say(
        broken="", journal="connecting to rabbit://nova:hunter2@ctl1:5672/\nno route to host\n"
    )
    it = restart(stage)
    assert stage.restarts == ["cron.service"], "a restart is never tried again"
    assert it["failed"]
    for said in (
        "cron.service is failed (failed), result exit-code",
        "control process exited",
        "no route to host",
        "rabbit://nova:***@ctl1",
    ):
        assert said in it["msg"]
    assert "hunter2" not in str(it)


def test_systemd_is_not_waited_for_longer_than_said(stage: Stage) -> None:
    stage.say(duration="30")
    it = restart(stage, timeout_seconds=1)
    assert it["failed"]
    assert "systemctl had not finished after 1 s" in it["msg"]


def test_a_lock_that_somebody_keeps_is_not_waited_for_longer_than_said(stage: Stage) -> None:
    locks = stage.place / "locks"
    locks.mkdir()
    with (locks / "cron.service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        it = restart(stage, timeout_seconds=1)
    assert stage.restarts == []
    assert it["failed"]
    assert "another restart still held" in it["msg"]


def test_two_drivers_with_one_intent_restart_once(stage: Stage) -> None:
    stage.say(duration="1")
    both = [stage.start(command(stage)) for _ in range(2)]
    said = [json.loads(driver.communicate(timeout=60)[0]) for driver in both]
    assert stage.restarts == ["cron.service"]
    assert sorted(each["already_restarted"] for each in said) == [False, True]
    assert {each["after"] for each in said} == {"start1"}


def test_a_unit_s_state_is_read_and_nothing_is_done(stage: Stage) -> None:
    stage.unit(ActiveState="failed", SubState="failed", Result="signal")
    it = json.loads(stage.run(stage.module("holdfast_unit", name="cron")).stdout)
    assert stage.restarts == []
    assert not it["changed"]
    assert it["msg"] == "cron.service is failed (failed), result signal"
    assert it["unit"]["invocation_id"] == "start0"
