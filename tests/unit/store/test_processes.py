"""Real processes: who lives, who is gone, whose plays are left."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from holdfast.model import RUN_VARIABLE
from holdfast.store.processes import (
    driver_is_gone,
    holder_for,
    is_gone,
    is_gone_on_one_machine,
    lives_here,
    processes_of,
    sees_others,
    start_time,
    strays_beside,
    strays_of,
)

RUN = f"test-{uuid4().hex}"
NOBODY = 2**22 + 1
"""No process: the kernel gives no larger pid than 2**22."""
SLEEP = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]


@pytest.fixture
def sleeper(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    environ = os.environ | getattr(request, "param", {})
    pipe = subprocess.PIPE
    with subprocess.Popen(SLEEP, env=environ, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_a_living_process_is_not_gone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not is_gone(holder_for(RUN, "ada", "", sleeper.pid))


def test_a_process_that_ended_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    holder = holder_for(RUN, "ada", "", sleeper.pid)
    sleeper.kill()
    sleeper.wait()

    assert is_gone(holder)


@pytest.mark.parametrize("sleeper", [{RUN_VARIABLE: RUN}], indirect=True)
def test_a_zombie_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    holder = holder_for(RUN, "ada", "", sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

    assert is_gone(holder)


def test_a_reused_pid_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    holder = holder_for(RUN, "ada", "", sleeper.pid)

    assert is_gone(dataclasses.replace(holder, process_started=holder.process_started - 1))


def test_a_holder_on_another_controller_is_not_known_to_be_gone() -> None:
    ended = dataclasses.replace(holder_for(RUN, "ada", "", os.getpid()), process_started=1)

    assert is_gone(ended)
    assert not is_gone(dataclasses.replace(ended, controller="another"))
    assert not is_gone(dataclasses.replace(ended, boot_id="before the reboot"))


def test_a_holder_from_before_a_reboot_is_gone_where_the_state_is_on_this_machine_alone() -> None:
    holder = holder_for(RUN, "ada", "", os.getpid())
    boot, namespace = holder.boot_id.split(" ")
    before = dataclasses.replace(holder, boot_id=f"before-the-reboot {namespace}")

    assert is_gone_on_one_machine(before)
    assert not is_gone(before), "with a database server it may be another machine of this name"
    assert not is_gone_on_one_machine(dataclasses.replace(before, controller="another"))
    other_container = dataclasses.replace(holder, boot_id=f"{boot} pid:[1]", process_started=1)
    assert not is_gone_on_one_machine(other_container), "its processes are not seen here"
    assert not is_gone_on_one_machine(holder)


def test_a_process_that_is_hidden_from_this_user_is_not_known_to_be_gone(tmp_path: Path) -> None:
    """With hidepid, /proc has only one's own processes: those of others look like ended ones."""
    ended = dataclasses.replace(holder_for(RUN, "ada", "", os.getpid()), process_started=1)

    assert driver_is_gone(ended)
    assert not driver_is_gone(ended, seen=lambda: False)
    assert sees_others()
    assert not sees_others(tmp_path)


def test_only_a_process_that_is_seen_lives_here() -> None:
    holder = holder_for(RUN, "ada", "", os.getpid())

    assert lives_here(holder)
    assert not lives_here(dataclasses.replace(holder, process_started=1))
    assert not lives_here(dataclasses.replace(holder, boot_id="before the reboot"))
    assert not lives_here(dataclasses.replace(holder, controller="another"))


@pytest.mark.parametrize("sleeper", [{RUN_VARIABLE: RUN}], indirect=True)
def test_a_play_that_outlives_its_driver_keeps_the_lease(
    sleeper: subprocess.Popen[bytes],
) -> None:
    dead = dataclasses.replace(holder_for(RUN, "ada", "", os.getpid()), process_started=1)

    before_a_reboot = dataclasses.replace(dead, boot_id="before-the-reboot pid:[1]")

    assert list(processes_of(RUN)) == [sleeper.pid]
    assert driver_is_gone(dead)
    assert not is_gone(dead)
    assert not is_gone_on_one_machine(dead)
    assert not is_gone_on_one_machine(before_a_reboot)

    sleeper.kill()
    sleeper.wait()
    assert is_gone(dead)
    assert is_gone_on_one_machine(dead)
    assert is_gone_on_one_machine(before_a_reboot)


def test_a_process_and_those_it_came_from_are_no_strays() -> None:
    """As where somebody resumes a run in a shell that has the mark in its environment."""
    shell = ["/bin/sh", "-c", "cat; true"]
    environ, pipe = os.environ | {RUN_VARIABLE: RUN}, subprocess.PIPE
    with subprocess.Popen(shell, env=environ, stdin=pipe, stdout=pipe) as marked:
        assert marked.stdin is not None
        assert marked.stdout is not None
        marked.stdin.write(b"\n")
        marked.stdin.flush()
        marked.stdout.readline()
        [cat] = set(processes_of(RUN)) - {marked.pid}
        assert set(strays_of(RUN)) == {marked.pid, cat}
        assert list(strays_beside(RUN, marked.pid)) == [cat], "its child may be a play"
        assert list(strays_beside(RUN, cat)) == []
        assert set(strays_beside(RUN, NOBODY)) == {marked.pid, cat}
        marked.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_play_of_another_user_keeps_the_lease_of_its_dead_driver() -> None:
    """Two users of one controller share its state; what one's play does, the other must not overlook."""
    dead = dataclasses.replace(holder_for(RUN, "ada", "", os.getpid()), process_started=1)
    ours, other = (f"@/state/runs/{run}/0001-roll/variables.json" for run in (RUN, "another"))
    # Until each says so, its command line may still be empty: the kernel sets it late in `execve`.
    shell, pipe = ["/bin/sh", "-c", "echo up; read end"], subprocess.PIPE
    commands = [
        ["/x/bin/ansible-playbook", "-e", ours],
        ["/x/bin/ansible-playbook", other],
        ["less", ours],
    ]
    with ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen([*shell, *each], stdin=pipe, stdout=pipe))
            for each in commands
        ]
        for each in started:
            assert each.stdout is not None
            assert each.stdout.readline() == b"up\n"
        os.seteuid(65534)
        try:
            assert list(processes_of(RUN)) == [started[0].pid], "whoever reads its files is no play"
            assert not is_gone(dead)
        finally:
            os.seteuid(0)
            for each in started:
                each.kill()


def test_a_shared_ssh_connection_belongs_to_no_play() -> None:
    """Its process carries the environment of the play that happened to open it."""
    program = ["/bin/sh", "-c", 'exec -a "ssh: /x/cp/1234 [mux]" cat']
    environ = os.environ | {RUN_VARIABLE: RUN}
    bash = ["/bin/bash", *program[1:]]
    with subprocess.Popen(bash, env=environ, stdin=subprocess.PIPE) as process:
        while not _cmdline(process.pid).startswith(b"ssh: "):  # the shell's own line names it too
            assert process.poll() is None
        assert not list(processes_of(RUN))
        process.kill()


def _cmdline(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  # read once, no path to keep
        return file.read()


def test_there_is_no_holder_without_a_process() -> None:
    with pytest.raises(ProcessLookupError):
        holder_for(RUN, "ada", "", NOBODY)


def test_a_process_began_when_it_did_whatever_its_name_is() -> None:
    """Its name is in the middle of what the kernel tells."""
    named = ["/bin/sh", "-c", r"printf '\377) R 1 (' > /proc/$$/comm; echo up; read end"]
    with subprocess.Popen(named, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = start_time(process.pid)
        uptime = float(Path("/proc/uptime").read_text("ascii").split()[0])
        process.kill()
    assert started is not None
    assert 0 <= uptime - started / os.sysconf("SC_CLK_TCK") < 600
