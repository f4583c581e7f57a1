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
from holdfast.model import Holder, Json, LeaseMode, Outcome
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


# --- a reading that was taken before the word


def says_at(hosts: FakeHosts, ask: int, park: Path, word: Json, then: str = "") -> None:
    """Let the word come when the host's unit was read so many times; ``then`` is a line of shell after it."""
    new = park.with_suffix(".new")
    say = f"printf %s '{json.dumps(word)}' > {new}; mv {new} {word_file(park)}; {then}"
    come = f'[ "$(wc -l < asks)" -lt {ask} ] || [ -e {word_file(park)} ]'
    hosts.set_output(asked=f"echo ask >> asks; {come} || {{ {say}\n}}\n")


def asks(hosts: FakeHosts) -> int:
    return len((hosts.directory / "bin" / "asks").read_text().split())


def waits(park: Path, *tasks: Json, **variables: Json) -> list[Json]:
    """The tasks in a play that is told what its sweep will be, as the engine tells it outside windows."""
    found = ahead(park, *tasks)
    for task in found:
        task["vars"] = {**task["vars"], "holdfast_sweep_expected": {}, **variables}
    return found


def gates_of(hosts: FakeHosts) -> list[tuple[str, str, Outcome]]:
    found = [event for event in hosts.journal("r1") if isinstance(event, GateJudged)]
    return [(event.gate, event.phase, event.outcome) for event in found]


def test_a_reading_just_before_the_word_stands_for_the_one_at_it(
    park: Path, hosts: FakeHosts
) -> None:
    """The second ask is the reading; the unit fails right after it, which nobody looks at again."""
    fails = "cp unit before; (sed s/ActiveState=active/ActiveState=failed/ before > unit)"
    says_at(hosts, 2, park, {"holdfast_last_act": 0}, f"cat unit; {fails}; exit")

    played = hosts.run_tasks(*waits(park, gate("first"), WAIT))

    assert not played.results["waited"]["failed"], played.results["waited"]["msg"]
    assert "s before the word; nothing was acted on since" in played.results["waited"]["msg"]
    assert asks(hosts) == 2
    assert gates_of(hosts) == [("Cron is healthy", "preflight", Outcome.PASS)]


@pytest.mark.parametrize(
    "word",
    [
        {"holdfast_last_act": 2},
        {},
        {"holdfast_last_act": 0, "holdfast_in_hand": ["b"]},
        {"holdfast_last_act": 0, "holdfast_sweep": {"a": {"cron": "start0"}}},
    ],
    ids=["an act since", "beside others", "another host in hand", "another sweep"],
)
def test_else_everything_is_asked_again_at_the_word(
    park: Path, hosts: FakeHosts, word: Json
) -> None:
    fails = "cp unit before; (sed s/ActiveState=active/ActiveState=failed/ before > unit)"
    says_at(hosts, 2, park, word, f"cat unit; {fails}; exit")

    policy = {"group": "web"}
    tasks = waits(park, gate("first"), WAIT, holdfast_policy=policy, holdfast_done=["a"])
    played = hosts.run_tasks(*tasks)

    assert played.results["waited"]["failed"]
    assert "is failed" in played.results["waited"]["msg"]
    assert asks(hosts) > 2
    assert ("Cron is healthy", "preflight", Outcome.FAIL) in gates_of(hosts)


def test_the_expected_sweep_is_in_the_reading_and_is_journaled_as_it(
    park: Path, hosts: FakeHosts
) -> None:
    starts = {"a": {"cron": "start0"}}
    says_at(hosts, 1, park, {"holdfast_last_act": 1, "holdfast_sweep": starts})

    played = hosts.run_tasks(*waits(park, WAIT, holdfast_sweep_expected=starts))

    assert not played.results["waited"]["failed"], played.results["waited"]["msg"]
    assert asks(hosts) == 1
    assert [(phase, outcome) for _, phase, outcome in gates_of(hosts)] == [("sweep", Outcome.PASS)]


# --- an act that waits for the word itself

HOLDER = Holder("r1", "ada", "why", "ctl9", "boot", 7, 7)
ACT = {"holdfast_act": {"act": "restart", "unit": "cron", "waits": True}, "register": "act"}


def leased(park: Path, hosts: FakeHosts, *tasks: Json, **variables: Json) -> list[Json]:
    """The tasks in a play whose run holds its lease and has marked the host."""
    grant = hosts.store().take(HOLDER, {"web/cron": LeaseMode.EXCLUSIVE}, timedelta(hours=1))
    hosts.mark("r1")
    run = {
        "holdfast_grant": dict(grant.tokens),
        "holdfast_marked": {"service": "cron"},
        "holdfast_policy": {"service": "cron", "group": "web"},
    }
    return waits(park, *tasks, **{**run, **variables})


def test_an_act_waits_for_the_word_and_acts_once_every_gate_has_passed(
    park: Path, hosts: FakeHosts
) -> None:
    says_at(hosts, 2, park, {"holdfast_last_act": 0})

    played = hosts.run_tasks(*leased(park, hosts, gate("first"), ACT, gate("after")))

    assert not played.results["act"]["failed"], played.results["act"]["msg"]
    assert hosts.restarts == ["cron.service"]
    assert [event.kind for event in hosts.journal("r1")] == [
        "gate_judged",
        "act_intended",
        "act_done",
        "gate_judged",
    ]


def test_an_act_that_waits_does_not_act_where_a_gate_fails_at_the_word(
    park: Path, hosts: FakeHosts
) -> None:
    fails = "sed -i s/ActiveState=active/ActiveState=failed/ unit"
    says_at(hosts, 2, park, {"holdfast_last_act": 99}, fails)

    played = hosts.run_tasks(*leased(park, hosts, gate("first"), ACT))

    assert played.results["act"]["failed"]
    assert "the gate did not pass" in played.results["act"]["msg"]
    assert hosts.restarts == []
    assert [event.kind for event in hosts.journal("r1")] == ["gate_judged"]


def test_an_act_that_waits_ends_untouched_with_its_engine(park: Path, hosts: FakeHosts) -> None:
    """The engine removes the file where it needs the play no more."""
    end = {"ansible.builtin.file": {"path": str(park), "state": "absent"}}

    played = hosts.run_tasks(*leased(park, hosts, gate("first"), end, ACT))

    assert "nothing was touched" in played.results["act"]["msg"]
    assert hosts.restarts == []


def test_the_hosts_of_a_batch_do_not_wait_in_their_acts(park: Path, hosts: FakeHosts) -> None:
    played = hosts.run_tasks(*leased(park, hosts, ACT), pattern="a:b")

    assert "in a task of its own" in played.results["act"]["msg"]
    assert hosts.restarts == []
