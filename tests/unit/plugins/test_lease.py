"""Plays take, share and lose leases."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from holdfast.journal.events import ActDone, Finished, HostDone, LeaseTaken, RunOpened
from holdfast.model import Act, LeaseMode
from holdfast.store.processes import holder_for
from tests.unit.plugins.fake_hosts import FakeHosts

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


def only_run(hosts: FakeHosts) -> str:
    (run,) = hosts.store().runs()
    return run


def test_serial_batches_share_one_run_from_its_opening_to_its_end(hosts: FakeHosts) -> None:
    hosts.set_variables(holdfast_reason=HOSTILE, holdfast_by="ada")
    done = hosts.run(hosts.playbook_command([roll(DONE, HOST_DONE, RELEASED)]))
    assert done.returncode == 0, done.stdout
    events = hosts.journal(only_run(hosts))
    kinds = [(type(event), getattr(event, "host", "")) for event in events]
    assert kinds == [
        (RunOpened, ""),
        (LeaseTaken, ""),
        *[(kind, host) for host in "ab" for kind in (ActDone, HostDone)],
        (Finished, ""),
    ]
    opened, acted = events[0], events[2]
    assert isinstance(opened, RunOpened)
    assert (opened.by, opened.reason) == ("ada", HOSTILE), (
        "a template that a person typed is not evaluated"
    )
    assert (opened.site, opened.playbook) == ("east", "Restart cron")
    assert isinstance(acted, ActDone)
    assert (acted.act, acted.invocation_id, acted.seconds) == (Act.RESTART, "start1", 2.5)
    for scope in ("east/cron", "east/bus"):
        assert hosts.store().holders(scope) == ()


def test_the_second_of_two_plays_is_refused_and_told_who_holds_the_lease_and_why(
    hosts: FakeHosts,
) -> None:
    hosts.set_variables(holdfast_by="ada", holdfast_reason="a new library")
    waiting = {"ansible.builtin.command": "sleep 60"}
    with hosts.start(hosts.playbook_command([roll(DONE, waiting)])) as first:
        for line in first.stdout or ():
            if "TASK [ansible.builtin.command]" in line:
                break
        second = hosts.run(hosts.playbook_command([roll(DONE)], "-e", "holdfast_by=bob"))
        os.kill(first.pid, signal.SIGKILL)
    assert second.returncode == 2
    for part in ("east/cron is held", "ada", "a new library", "next: holdfast status"):
        assert part in second.stdout
    assert len(hosts.journal(only_run(hosts))) == 3, "the refused play left nothing behind"
    # The first was killed in the middle of its play, so its lease can be taken.
    third = hosts.run(hosts.playbook_command([roll(DONE, RELEASED)], "-e", "holdfast_by=bob"))
    assert third.returncode == 0, third.stdout
    assert f"of ada: its process {first.pid} died" in third.stdout


def test_a_play_whose_database_was_deleted_acts_no_more_and_makes_no_other(
    hosts: FakeHosts,
) -> None:
    state = hosts.directory / "state"
    delete = {"ansible.builtin.command": f"rm -r {state}", "run_once": True}
    done = hosts.run(hosts.playbook_command([roll(delete, DONE)]))
    assert done.returncode == 2
    assert "a: act_done of cron could not be journaled: the journal of run" in done.stdout
    assert "is gone" in done.stdout
    assert not state.exists()


def test_after_a_lost_lease_nothing_more_is_journaled(hosts: FakeHosts) -> None:
    """Another run may have acted since: what was really done is observed by the resume."""
    hosts.open_run("r1")
    holder = holder_for("r1", "ada", "why", os.getpid())
    scopes = {"east/cron": LeaseMode.EXCLUSIVE}
    grant = hosts.store().take(holder, scopes, timedelta(minutes=1))
    hosts.store().release(grant)
    lost = {"holdfast_run": "r1", "holdfast_grant": dict(grant.tokens)}
    tasks = [
        {**task, "vars": lost, "ignore_errors": True, "register": name}
        for name, task in (
            ("done", DONE),
            ("host_done", HOST_DONE),
            ("observed", {"holdfast_observe": {"units": ["cron"]}}),
        )
    ]
    played = hosts.run_tasks(*tasks)
    for name in ("done", "host_done", "observed"):
        assert "run r1 no longer holds" in played.results[name]["msg"]
    assert hosts.journal("r1") == []


def test_a_grant_of_the_engine_is_checked_and_not_released(hosts: FakeHosts) -> None:
    hosts.open_run("r1")
    holder = holder_for("r1", "ada", "why", os.getpid())
    ttl = timedelta(minutes=5)
    grant = hosts.store().take(holder, {"east/cron": LeaseMode.EXCLUSIVE}, ttl)
    given = (
        f'{{"holdfast_run": "r1", "holdfast_grant": {{"east/cron": {grant.tokens["east/cron"]}}}}}'
    )
    done = hosts.run(hosts.playbook_command([roll(DONE, RELEASED)], "-e", given))
    assert done.returncode == 0, done.stdout
    assert [type(event) for event in hosts.journal("r1")] == [ActDone, ActDone]
    assert len(hosts.store().holders("east/cron")) == 1
    hosts.store().release(grant)
    late = hosts.run(hosts.playbook_command([roll()], "-e", given))
    assert late.returncode == 2, "the lease is checked first"
    assert "no longer holds the lease on east/cron" in late.stdout
    assert len(hosts.journal("r1")) == 2


def test_a_gate_that_fails_in_a_run_by_hand_shows_the_next_command(hosts: FakeHosts) -> None:
    gate = {
        "phase": "preflight",
        "deadline_seconds": 0,
        "claims": [{"claim": "systemd.active", "unit": "cron"}],
    }
    failing = {"holdfast_gate": gate, "when": "inventory_hostname == 'b'"}
    hosts.set_unit(ActiveState="failed")
    done = hosts.run(hosts.playbook_command([roll(failing)]))
    assert done.returncode == 2
    assert "next: repair it, then run the same command with --limit b" in done.stdout


def test_check_mode_takes_and_journals_nothing(hosts: FakeHosts) -> None:
    done = hosts.run(hosts.playbook_command([roll(DONE, RELEASED)], "--check"))
    assert done.returncode == 0, done.stdout
    assert "would take the leases east/bus, east/cron" in done.stdout
    assert "TASK [holdfast_record]" in done.stdout
    assert hosts.store().runs() == []
    assert hosts.store().scopes() == []


def test_a_play_without_a_site_or_a_policy_is_refused(hosts: FakeHosts) -> None:
    without_policy = hosts.run(hosts.playbook_command([roll(DONE, vars={})]))
    assert without_policy.returncode == 2
    assert "holdfast_policy is not set" in without_policy.stdout
    nameless = hosts.run(hosts.playbook_command([roll(DONE)], "-e", "holdfast_site="))
    assert nameless.returncode == 2
    assert "holdfast_site is not set" in nameless.stdout


def test_a_policy_with_templates_is_checked_with_their_values(hosts: FakeHosts) -> None:
    policy = {
        **POLICY["holdfast_policy"],
        "service": "{{ 'cron.service'.removesuffix('.service') }}",
        "shared": ["{{ bus }}"],
        "batch_max": "{{ 0 + 2 }}",
        "survey": [{"claim": "systemd.active", "unit": "{{ bus }}"}],
    }
    done = hosts.run(
        hosts.playbook_command([roll(vars={"holdfast_policy": policy, "bus": "rabbitmq"})])
    )
    assert done.returncode == 0, done.stdout
    taken = [event for event in hosts.journal(only_run(hosts)) if isinstance(event, LeaseTaken)]
    assert [set(event.tokens) for event in taken] == [{"east/cron", "east/rabbitmq"}]


def test_a_policy_with_a_wrong_value_is_refused_before_the_lease(hosts: FakeHosts) -> None:
    policy = {**POLICY["holdfast_policy"], "batch_max": "{{ 0 }}"}
    done = hosts.run(hosts.playbook_command([roll(DONE, vars={"holdfast_policy": policy})]))
    assert done.returncode == 2
    assert "holdfast_policy: batch_max: Input should be greater than" in done.stdout
    assert hosts.store().runs() == []


def test_an_unusable_state_directory_stops_the_play_before_the_act(hosts: FakeHosts) -> None:
    (hosts.directory / "state").write_text("not a directory")
    done = hosts.run(hosts.playbook_command([roll(DONE)]))
    assert done.returncode == 2
    assert "state" in done.stdout
    assert "HOLDFAST_STATE_DIR" in done.stdout


def test_a_baseline_is_taken_once_in_a_run(hosts: FakeHosts) -> None:
    def baseline(register: str, value: int) -> dict[str, Any]:
        values = {"connections": value}
        return {"holdfast_baseline": {"name": "bus", "values": values}, "register": register}

    hosts.open_run("r1")
    run = {"holdfast_run": "r1", "holdfast_grant": {}}
    first, second = (
        {**baseline(name, value), "vars": run} for name, value in (("one", 40), ("two", 3))
    )
    results = hosts.run_tasks(first, second).results
    assert results["one"]["values"] == results["two"]["values"] == {"connections": 40}
    assert len(hosts.journal("r1")) == 1


def test_a_play_over_hosts_of_two_sites_is_refused(hosts: FakeHosts) -> None:
    """The engine would take other leases for the same hosts than a play by hand."""
    (hosts.directory / "host_vars").mkdir()
    (hosts.directory / "host_vars" / "b.yml").write_text("holdfast_site: west\n")
    both = hosts.run(hosts.playbook_command([roll(DONE)]))
    assert both.returncode == 2
    assert "several names of a site (holdfast_site): east (a), west (b)" in both.stdout
    assert hosts.store().scopes() == []
    one = hosts.run(hosts.playbook_command([roll(DONE)], "--limit", "b"))
    assert one.returncode == 0, one.stdout
    assert sorted(hosts.store().scopes()) == ["west/bus", "west/cron"]
