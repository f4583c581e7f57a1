"""A play that was started early: what it may do before its word, and what happens at it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.journal.events import GateJudged, HostDone
from holdfast.model import Json, Outcome
from holdfast.word import word_file
from tests.unit.plugins.fake_hosts import ROOT, FakeHosts

ACTIVE = {"claim": "systemd.active", "unit": "cron"}
STAYS_UP = {"claim": "systemd.stays_up", "unit": "cron", "calm_seconds": 20}


@pytest.fixture
def park(tmp_path: Path, hosts: FakeHosts) -> Iterator[Path]:
    """The file that an engine holds locked."""
    hosts.open_run("r1")
    path = tmp_path / "park"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield path
    os.close(descriptor)


def ahead(park: Path, *tasks: Json) -> list[Json]:
    run = {"holdfast_run": "r1", "holdfast_grant": {}, "holdfast_park": str(park)}
    return [{**task, "vars": run, "ignore_errors": True} for task in tasks]


def gate(register: str, *, name: str = "Cron is healthy", **more: Json) -> Json:
    given = {"claims": [ACTIVE], "phase": "preflight", "deadline_seconds": 0, **more}
    return {"name": name, "holdfast_gate": given, "register": register}


WAIT = {"holdfast_park": {"file": "{{ holdfast_park }}"}, "register": "waited"}


def test_gates_are_a_rehearsal_before_the_word_and_asked_again_at_it(
    park: Path, hosts: FakeHosts
) -> None:
    """The unit fails between the rehearsal and the word."""
    say = {"ansible.builtin.copy": {"dest": str(word_file(park)), "content": "{}"}, "register": "s"}
    stop = {
        "ansible.builtin.shell": f"sed -i s/ActiveState=active/ActiveState=failed/ {hosts.directory}/bin/unit",
        "register": "stopped",
    }
    tasks = [gate("first", name="One"), gate("second", name="Two", phase="drain"), stop, say, WAIT]

    played = hosts.run_tasks(*ahead(park, *tasks))

    found = played.results
    assert not found["first"]["failed"] | found["second"]["failed"]
    assert found["waited"]["failed"]
    assert "cron.service on a is failed" in found["waited"]["msg"]
    judged = [event for event in hosts.journal("r1") if isinstance(event, GateJudged)]
    assert [(event.gate, event.phase, event.outcome) for event in judged] == [
        ("One", "preflight", Outcome.FAIL),
        ("Two", "drain", Outcome.FAIL),
    ]


def test_nothing_acts_before_the_word_and_a_gate_is_asked_until_it_comes(
    park: Path, hosts: FakeHosts
) -> None:
    """With the word given, a gate that does not pass is judged and journaled as in any play."""
    act = {"holdfast_act": {"act": "restart", "unit": "cron"}, "register": "act"}
    record = {
        "holdfast_record": {"event": "host_done", "unit": "cron", "invocation_id": "x"},
        "register": "record",
    }
    done = gate("done", claims=[STAYS_UP], phase="verify", done="cron")
    word_file(park).write_text(json.dumps({"holdfast_done": []}))
    hosts.set_unit(ActiveState="failed")

    played = hosts.run_tasks(*ahead(park, act, record, done, gate("judged")))

    for name in ("act", "record", "done"):
        assert "waits for the engine's word and may not act" in played.results[name]["msg"]
    assert hosts.restarts == []
    assert played.results["judged"]["failed"]
    (event,) = hosts.journal("r1")
    assert isinstance(event, GateJudged)


def test_a_host_done_earlier_that_is_ill_ends_the_wait_and_is_journaled(
    park: Path, hosts: FakeHosts
) -> None:
    """The unit runs, as another start than the one that this run proved. No word ever comes."""
    [task] = ahead(park, WAIT)
    task["vars"]["holdfast_sweep_meanwhile"] = {"a": {"cron": "another"}}

    played = hosts.run_tasks(task)

    assert played.results["waited"]["failed"]
    assert "a, sweep: the gate did not pass" in played.results["waited"]["msg"]
    [event] = hosts.journal("r1")
    assert isinstance(event, GateJudged)
    assert (event.host, event.phase, event.outcome) == ("a", "sweep", Outcome.FAIL)


def test_how_long_the_next_start_must_last_is_what_the_word_finds(
    park: Path, hosts: FakeHosts
) -> None:
    """Between the rehearsal and the word systemd itself starts the unit again, and it is calm by then."""
    task = gate("first", claims=[{**ACTIVE, "calm_seconds": 2000}])
    since = datetime.now(UTC) - timedelta(seconds=2500)
    shown = f"NRestarts=1\nActiveEnterTimestamp={since:%a %Y-%m-%d %H:%M:%S UTC}"
    unit = hosts.directory / "bin" / "unit"
    later = hosts.directory / "later"
    later.write_text(unit.read_text("utf-8").replace("NRestarts=0", shown))
    begin = {"ansible.builtin.shell": f"cp {later} {unit}; echo '{{}}' > {word_file(park)}"}
    role = {"ansible.builtin.include_vars": str(ROOT / "roles/systemd_unit/vars/main.yml")}
    tell = {
        "ansible.builtin.debug": {"msg": "{{ _systemd_unit_outlive | float }}"},
        "register": "told",
    }
    done = gate("done", claims=[STAYS_UP], phase="verify", done="cron")
    unproved = gate("unproved", done="cron")

    played = hosts.run_tasks(*ahead(park, task, begin, WAIT, role, tell, done, unproved))

    assert not played.results["waited"]["failed"], played.results["waited"]["msg"]
    assert 2500 <= float(played.results["told"]["msg"]) <= 4000
    assert played.results["done"]["holdfast_host_done"]
    assert "systemd.stays_up" in played.results["unproved"]["msg"]
    *_, verified, ended = hosts.journal("r1")
    assert isinstance(verified, GateJudged)
    assert isinstance(ended, HostDone)
    assert (ended.host, ended.unit, ended.invocation_id) == ("a", "cron", "start0")
