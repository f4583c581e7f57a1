"""Plays take, share and lose leases; without one there is no intent and no act."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.journal.events import ActDone, ActIntended, Finished, HostDone, LeaseTaken, RunOpened
from holdfast.model import Act, LeaseMode
from holdfast.store import holder_for
from tests.unit.plugins.stage import Stage

POLICY = {
    "holdfast_policy": {
        "service": "cron",
        "shared": ["bus"],
        "group": "web",
        "batch_max": 1,
        "batch_max_reason": "a test",
    }
}
HOSTILE = "{{ lookup('pipe', 'touch /nonexistent/x') }} {% raw %} <b>"
HELD = {"holdfast_lease": None, "run_once": True, "register": "lease"}
KNOWN = {
    "ansible.builtin.set_fact": {
        "holdfast_run": "{{ lease.run }}",
        "holdfast_grant": "{{ lease.grant }}",
        "holdfast_by_hand": "{{ lease.by_hand }}",
    }
}
INTENT = {
    "holdfast_intent": {"act": "restart", "unit": "cron", "invocation_id": "start0"},
    "register": "intent",
}
DONE = {
    "holdfast_record": {
        "event": "act_done",
        "act": "restart",
        "unit": "cron",
        "invocation_id": "start1",
        "seconds": "2.5",
    }
}
HOST_DONE = {
    "holdfast_record": {"event": "host_done", "unit": "cron", "invocation_id": "start1"},
}
RELEASED = {
    "holdfast_lease": {"state": "released"},
    "run_once": True,
    "when": "ansible_play_hosts_all | last in ansible_play_batch",
}


def roll(*tasks: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "Restart cron",
        "hosts": "web",
        "gather_facts": False,
        "serial": 1,
        "vars": POLICY,
        "tasks": [HELD, KNOWN, *tasks],
        **more,
    }


def only_run(stage: Stage) -> str:
    (run,) = stage.store().runs()
    return run


def test_serial_batches_share_one_run_from_its_opening_to_its_end(stage: Stage) -> None:
    stage.set(holdfast_reason=HOSTILE, holdfast_by="ada")
    done = stage.run(stage.command([roll(INTENT, DONE, HOST_DONE, RELEASED)]))
    assert done.returncode == 0, done.stdout
    events = stage.journal(only_run(stage))
    kinds = [(type(event), getattr(event, "host", "")) for event in events]
    assert kinds == [
        (RunOpened, ""),
        (LeaseTaken, ""),
        *[(kind, host) for host in "ab" for kind in (ActIntended, ActDone, HostDone)],
        (Finished, ""),
    ]
    opened, intended, acted = events[0], events[2], events[3]
    assert isinstance(opened, RunOpened)
    assert (opened.by, opened.reason) == ("ada", HOSTILE), "a person's words stay what they typed"
    assert (opened.site, opened.playbook) == ("east", "Restart cron")
    assert isinstance(intended, ActIntended)
    assert (intended.act, intended.unit, intended.invocation_id) == (Act.RESTART, "cron", "start0")
    assert isinstance(acted, ActDone)
    assert (acted.invocation_id, acted.seconds) == ("start1", 2.5)
    for scope in ("east/cron", "east/bus"):
        assert stage.store().holders(scope, datetime.now(UTC)) == ()


def test_of_two_plays_one_runs_and_the_other_hears_who_and_why(stage: Stage) -> None:
    stage.set(holdfast_by="ada", holdfast_reason="a new library")
    waiting = {"ansible.builtin.command": "sleep 60"}
    with stage.start(stage.command([roll(INTENT, waiting)])) as first:
        for line in first.stdout or ():
            if "TASK [ansible.builtin.command]" in line:
                break
        second = stage.run(stage.command([roll(INTENT)], "-e", "holdfast_by=bob"))
        os.kill(first.pid, signal.SIGKILL)
    assert second.returncode == 2
    for said in ("east/cron is held", "ada", "a new library", "next: holdfast status"):
        assert said in second.stdout
    assert len(stage.journal(only_run(stage))) == 3, "the refused play left nothing behind"
    # Killed in mid-play, the first keeps nobody out.
    third = stage.run(stage.command([roll(INTENT, RELEASED)], "-e", "holdfast_by=bob"))
    assert third.returncode == 0, third.stdout
    assert f"of ada: its process {first.pid} died" in third.stdout


def test_without_a_valid_lease_there_is_no_intent(stage: Stage) -> None:
    lost = {"holdfast_run": "r1", "holdfast_grant": {"east/cron": 1}}
    task = {**INTENT, "ignore_errors": True}
    played = stage.play({**task, "vars": lost, "register": "lost"}, {**task, "register": "never"})
    for name in ("lost", "never"):
        assert played.results[name]["failed"]
        assert "a: may not restart cron, nothing was done" in played.results[name]["msg"]
    assert stage.store().runs() == []


def test_the_engine_s_grant_is_checked_and_left_to_the_engine(stage: Stage) -> None:
    now = datetime.now(UTC)
    holder = holder_for("r1", "ada", "why", os.getpid())
    ttl = timedelta(minutes=5)
    grant = stage.store().take(holder, {"east/cron": LeaseMode.EXCLUSIVE}, ttl, now)
    given = (
        f'{{"holdfast_run": "r1", "holdfast_grant": {{"east/cron": {grant.tokens["east/cron"]}}}}}'
    )
    done = stage.run(stage.command([roll(INTENT, RELEASED)], "-e", given))
    assert done.returncode == 0, done.stdout
    assert [type(event) for event in stage.journal("r1")] == [ActIntended, ActIntended]
    assert len(stage.store().holders("east/cron", now)) == 1
    stage.store().release(grant)
    late = stage.run(stage.command([roll()], "-e", given))
    assert late.returncode == 2, "before anything else is done"
    assert "no longer holds the lease on east/cron" in late.stdout
    assert len(stage.journal("r1")) == 2


def test_a_gate_that_fails_by_hand_says_how_to_go_on(stage: Stage) -> None:
    gate = {
        "phase": "preflight",
        "deadline_seconds": 0,
        "claims": [{"claim": "systemd.active", "unit": "cron"}],
    }
    failing = {"holdfast_gate": gate, "when": "inventory_hostname == 'b'"}
    stage.unit(ActiveState="failed")
    done = stage.run(stage.command([roll(failing)]))
    assert done.returncode == 2
    assert "next: repair it, then run the same command with --limit b" in done.stdout


def test_check_mode_takes_and_journals_nothing(stage: Stage) -> None:
    done = stage.run(stage.command([roll(INTENT, DONE, RELEASED)], "--check"))
    assert done.returncode == 0, done.stdout
    assert "would take the leases east/bus, east/cron" in done.stdout
    assert "a: would restart cron" in done.stdout
    assert stage.store().runs() == []
    assert stage.store().scopes() == []


def test_a_play_that_names_no_lease_is_refused(stage: Stage) -> None:
    without_policy = stage.run(stage.command([roll(INTENT, vars={})]))
    assert without_policy.returncode == 2
    assert "holdfast_policy is not set" in without_policy.stdout
    nameless = stage.run(stage.command([roll(INTENT)], "-e", "holdfast_site="))
    assert nameless.returncode == 2
    assert "holdfast_site is not set" in nameless.stdout


def test_a_policy_with_templates_is_checked_with_their_values(stage: Stage) -> None:
    policy = {
        **POLICY["holdfast_policy"],
        "service": "{{ 'cron.service'.removesuffix('.service') }}",
        "shared": ["{{ bus }}"],
        "batch_max": "{{ 0 + 2 }}",
        "survey": [{"claim": "systemd.active", "unit": "{{ bus }}"}],
    }
    done = stage.run(stage.command([roll(vars={"holdfast_policy": policy, "bus": "rabbitmq"})]))
    assert done.returncode == 0, done.stdout
    taken = [event for event in stage.journal(only_run(stage)) if isinstance(event, LeaseTaken)]
    assert [set(event.tokens) for event in taken] == [{"east/cron", "east/rabbitmq"}]


def test_a_policy_with_a_wrong_value_is_refused_before_the_lease(stage: Stage) -> None:
    policy = {**POLICY["holdfast_policy"], "batch_max": "{{ 0 }}"}
    done = stage.run(stage.command([roll(INTENT, vars={"holdfast_policy": policy})]))
    assert done.returncode == 2
    assert "holdfast_policy: batch_max: Input should be greater than" in done.stdout
    assert stage.store().runs() == []


def test_a_state_that_cannot_be_used_stops_the_play_before_the_act(stage: Stage) -> None:
    (stage.place / "state").write_text("not a directory")
    done = stage.run(stage.command([roll(INTENT)]))
    assert done.returncode == 2
    assert "state" in done.stdout
    assert "HOLDFAST_STATE_DIR" in done.stdout


def test_a_baseline_is_noted_once_in_a_run(stage: Stage) -> None:
    def noted(register: str, value: int) -> dict[str, Any]:
        values = {"connections": value}
        return {"holdfast_baseline": {"name": "bus", "values": values}, "register": register}

    run = {"holdfast_run": "r1", "holdfast_grant": {}}
    first, second = (
        {**noted(name, value), "vars": run} for name, value in (("one", 40), ("two", 3))
    )
    results = stage.play(first, second).results
    assert results["one"]["values"] == results["two"]["values"] == {"connections": 40}
    assert len(stage.journal("r1")) == 1
