"""A command on several hosts as one act: what it journals, and what it says where one host's failed."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from holdfast.journal.events import ActDone, ActIntended
from holdfast.model import Json, LeaseMode
from holdfast.store.processes import holder_for
from tests.unit.plugins.fake_hosts import FakeHosts

POLICY = {"service": "cron", "group": "web", "batch_max": 1, "batch_max_reason": "a test"}
STOP = {
    "act": "drain",
    "hosts": ["a", "b"],
    "unit": "cron",
    "turn_unit": "placement-api",
    "undo": "go back",
}


@pytest.fixture
def run(hosts: FakeHosts) -> dict[str, Json]:
    """Return the variables of a run that holds its lease."""
    hosts.open_run("r1")
    holder = holder_for("r1", "ada", "why", os.getpid())
    grant = hosts.store().take(holder, {"east/cron": LeaseMode.EXCLUSIVE}, timedelta(minutes=5))
    hosts.mark("r1")
    return {
        "holdfast_run": "r1",
        "holdfast_grant": dict(grant.tokens),
        "holdfast_policy": POLICY,
    }


def task(run: dict[str, Json], name: str, **given: Json) -> Json:
    return {
        "holdfast_commands": {**STOP, **given},
        "vars": run,
        "register": name,
        "ignore_errors": True,
    }


def test_it_is_one_act_of_the_tasks_host(hosts: FakeHosts, run: dict[str, Json]) -> None:
    fails_once = f"mkdir {hosts.directory}/first 2> /dev/null || {{ echo no room; exit 5; }}"
    played = hosts.run_tasks(
        task(run, "went", argv=["sh", "-c", "echo stopped"]),
        task(run, "failed", argv=["sh", "-c", fails_once]),
    )
    went, failed = played.results["went"], played.results["failed"]
    assert (went["changed"], went["failed"], went["msg"]) == (True, False, "cron on a, b: done")
    assert [went["hosts"][host]["output"] for host in ("a", "b")] == [["stopped"], ["stopped"]]
    assert failed["failed"]
    assert "ended with 5: no room" in failed["msg"]
    assert sorted(each["rc"] for each in failed["hosts"].values()) == [0, 5], "each was tried once"
    intended, done, again = hosts.journal("r1")
    assert isinstance(intended, ActIntended)
    assert (intended.host, intended.unit, intended.undo) == ("a", "placement-api", "go back")
    assert isinstance(done, ActDone)
    assert isinstance(again, ActIntended), "what failed has no outcome"


def test_nothing_is_touched_without_a_lease_a_host_or_an_answer(
    hosts: FakeHosts, run: dict[str, Json]
) -> None:
    touch = ["touch", str(hosts.directory / "touched")]
    lost = {**run, "holdfast_grant": {"east/cron": 99}}
    played = hosts.run_tasks(
        task(lost, "lost", argv=touch),
        task({**run, "holdfast_grant": {}}, "empty", argv=touch),
        task(run, "strange", argv=touch, hosts=["a", "z"]),
        task(run, "nobody", argv=touch, hosts=[]),
        task(run, "away", argv=touch, hosts=["a", "away"]),
        task(run, "missing", argv=["no-such-program"]),
    )
    for name in ("lost", "empty", "strange", "nobody", "away", "missing"):
        assert played.results[name]["failed"], name
        assert "nothing was touched" in played.results[name]["msg"], name
    assert not (hosts.directory / "touched").exists()
    assert [event.kind for event in hosts.journal("r1")] == ["act_intended"], "of the last alone"


def test_another_runs_mark_on_one_host_refuses_all(hosts: FakeHosts, run: dict[str, Json]) -> None:
    hosts.mark("r9")
    touch = ["touch", str(hosts.directory / "touched")]
    refused = hosts.run_tasks(task(run, "refused", argv=touch)).results["refused"]
    assert refused["failed"]
    assert "r9" in refused["msg"]
    assert not (hosts.directory / "touched").exists()


def test_check_mode_touches_nothing(hosts: FakeHosts, run: dict[str, Json]) -> None:
    touch = ["touch", str(hosts.directory / "touched")]
    told = hosts.run_tasks(task(run, "told", argv=touch), arguments=["--check"]).results["told"]
    assert (told["changed"], told["msg"]) == (True, "would act on cron on a, b")
    assert not (hosts.directory / "touched").exists()
