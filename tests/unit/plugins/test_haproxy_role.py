"""roles/haproxy run by Ansible: a reload is journaled only where it was begun; what commands had changed is sent."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.journal.events import ActDone, ActIntended
from holdfast.model import Act, Json, LeaseMode
from holdfast.store.processes import holder_for
from tests.unit.plugins.fake_hosts import FakeHosts

RESTORE = ["set server galera/ctl3 state maint", "set server galera/ctl2 weight 10"]


@pytest.fixture
def run(hosts: FakeHosts) -> dict[str, Json]:
    """Return the variables of an engine's run that may act on the unit."""
    hosts.open_run("r1")
    grant = hosts.store().take(
        holder_for("r1", "ada", "why", os.getpid()),
        {"east/cron": LeaseMode.EXCLUSIVE},
        timedelta(minutes=1),
    )
    hosts.mark("r1")
    policy = {"service": "cron", "group": "web", "batch_max": 1, "batch_max_reason": "a test"}
    return {
        "holdfast_run": "r1",
        "holdfast_grant": dict(grant.tokens),
        "holdfast_marked": {"service": "cron", "renew_at": time.time() + 300},
        "holdfast_policy": policy,
        "haproxy_unit": "cron",
        "haproxy_start": "start0",
        "haproxy_before": {"restore": RESTORE},
    }


def role(entry: str, variables: dict[str, Json]) -> Json:
    return {
        "ansible.builtin.include_role": {"name": "haproxy", "tasks_from": entry},
        "vars": variables,
    }


def acts(hosts: FakeHosts) -> Sequence[tuple[type, Act]]:
    return [(type(e), e.act) for e in hosts.journal("r1") if isinstance(e, ActIntended | ActDone)]


def test_a_reload_is_done_once_and_journaled(hosts: FakeHosts, run: dict[str, Json]) -> None:
    played = hosts.run_tasks(role("reload", run))
    assert played.rc == 0, played.output
    assert (hosts.reloads, hosts.restarts) == (["cron"], [])
    assert acts(hosts) == [(ActIntended, Act.RESTART), (ActDone, Act.RESTART)]
    [done] = [event for event in hosts.journal("r1") if isinstance(event, ActDone)]
    assert done.invocation_id == "start0"


def test_a_reload_that_systemd_refuses_stops_the_play_with_its_outcome_open(
    hosts: FakeHosts, run: dict[str, Json]
) -> None:
    hosts.set_output(broken="")
    played = hosts.run_tasks(role("reload", run))
    assert played.rc == 2
    assert "Job for cron failed." in played.output
    assert acts(hosts) == [(ActIntended, Act.RESTART)]


@contextmanager
def stats_socket(path: Path, answer: str) -> Iterator[list[str]]:
    """Serve one connection as haproxy's socket does: a line in, the answer out."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536).decode())
                connection.sendall(answer.encode())

        server = threading.Thread(target=serve)
        server.start()
        yield heard
        server.join(5)


@pytest.mark.parametrize(("answer", "taken"), [("\n\n", True), ("No such server.\n\n", False)])
def test_what_commands_had_changed_is_sent_again(
    hosts: FakeHosts, run: dict[str, Json], answer: str, *, taken: bool
) -> None:
    path = hosts.directory / "s"
    with stats_socket(path, answer) as heard:
        played = hosts.run_tasks(role("restore", run | {"haproxy_socket": str(path)}))
    assert heard == [";".join(RESTORE) + "\n"]
    assert (played.rc == 0) == taken, played.output
    done = [(ActDone, Act.UNDRAIN)] if taken else []
    assert acts(hosts) == [(ActIntended, Act.UNDRAIN), *done]
    if not taken:
        assert "No such server." in played.output
        assert "on its socket: set server galera/ctl3 state maint; set server" in played.output


def test_a_socket_that_does_not_answer_is_a_failure(hosts: FakeHosts, run: dict[str, Json]) -> None:
    played = hosts.run_tasks(role("restore", run | {"haproxy_socket": "/nowhere/s"}))
    assert played.rc == 2
    assert acts(hosts) == [(ActIntended, Act.UNDRAIN)]
