"""Marks on hosts, with the real scripts: each host is a directory."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import CannotTell, LeaseHeld
from holdfast.marking import SWAP, Marker, list_marks, read_marks, remove_marks
from holdfast.marks import FRESH, TTL, HostMarks, RunMark, has_shell, meeting_hosts
from holdfast.model import HOST_DIRECTORY, Holder, Json
from holdfast.probes.base import CommandResult

ADA = Holder("R1", "ada", "kernel 'update'\n{{ x }} \u2028\x1b[1m", "ctl9", "boot", 7, 7)
BOB = Holder("R2", "bob", "certificates", "ctl8", "boot", 8, 8)
NOW = datetime(2026, 11, 21, 23, 4, tzinfo=UTC)


@dataclass
class LocalShell:
    """A shell on a host whose /run/holdfast is ``directory``; ``before`` happens before its nth command."""

    directory: Path
    reachable: bool = True
    commands: list[Sequence[str]] = field(default_factory=list)

    def run(self, argv: Sequence[str]) -> CommandResult:
        if not self.reachable:
            raise CannotTell("the host is unreachable")
        self.commands.append(argv)
        here = [str(self.directory) if each == HOST_DIRECTORY else each for each in argv]
        elsewhere = os.environ | {"HOLDFAST_HOST_DIRECTORY": "/nowhere"}  # has no effect
        done = subprocess.run(here, env=elsewhere, capture_output=True, text=True, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)


class Repeating(LocalShell):
    """A shell that runs each command twice, and answers with what the second printed."""

    def run(self, argv: Sequence[str]) -> CommandResult:
        super().run(argv)
        return super().run(argv)


@dataclass
class Hosts:
    """Hosts a, b, c and d, of which the first three are where runs meet."""

    path: Path
    shells: dict[str, LocalShell] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shells = {name: LocalShell(self.path / name) for name in "abcd"}

    def place(self, holder: Holder, *own: str) -> list[str]:
        return self.marker(holder).place(["a", "b", "c"], own, NOW)

    def marker(self, holder: Holder) -> Marker:
        def counts(mark: RunMark) -> bool:
            return mark.holder.run not in self.ended

        return Marker(
            self.shells.__getitem__, "nova", holder, counts, "holdfast lease release lab/nova"
        )

    def file(self, host: str) -> Path:
        return self.path / host / "nova.mark"

    def runs(self) -> dict[str, str]:
        found = (host for host in self.shells if self.file(host).exists())
        return {h: json.loads(self.file(h).read_text())["holder"]["run"] for h in found}

    def age(self, host: str, seconds: float) -> None:
        """Let the mark be older."""
        mark = RunMark.from_text(self.file(host).read_text())
        self.file(host).write_text(replace(mark, expires=mark.expires - seconds).as_text())


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


def test_the_batch_and_the_meeting_hosts_are_marked(hosts: Hosts) -> None:
    assert hosts.place(ADA, "d") == ["a", "b", "c", "d"]
    assert hosts.runs() == dict.fromkeys("abcd", "R1")
    answer = read_marks(hosts.shells.__getitem__, "a")["a"]
    assert isinstance(answer, HostMarks)
    mark = answer.mark("nova")
    assert mark
    assert (mark.holder, mark.since) == (ADA, NOW), "text is kept as it was typed"
    assert TTL.total_seconds() - 5 < answer.left(mark).total_seconds() <= TTL.total_seconds()


def test_another_run_is_refused_and_told_who_and_nothing_is_written(hosts: Hosts) -> None:
    hosts.place(ADA)
    with pytest.raises(LeaseHeld) as refused:
        hosts.place(BOB, "d")
    for part in ("run R1: ada on ctl9", "kernel 'update'", "since 2026-11-21 23:04", "a has its"):
        assert part in refused.value.message
    assert "on ctl9: holdfast status R1" in refused.value.remedy
    assert "holdfast lease release lab/nova" in refused.value.remedy
    assert hosts.runs() == dict.fromkeys("abc", "R1")


@pytest.mark.parametrize("host", ["c", "d"])
def test_one_mark_is_enough_wherever_it_is(hosts: Hosts, host: str) -> None:
    hosts.marker(ADA).place([host], [host], NOW)
    with pytest.raises(LeaseHeld, match=f"{host} has its mark"):
        hosts.place(BOB, "d")
    assert hosts.runs() == {host: "R1"}


def test_a_mark_that_does_not_count_is_replaced(hosts: Hosts) -> None:
    """Its run has ended, it has expired, or the host has booted since."""
    hosts.place(ADA, "d")
    hosts.ended.add("R1")
    assert hosts.place(BOB, "d")
    hosts.ended.clear()
    for host in "abc":
        hosts.age(host, TTL.total_seconds())
    mark = RunMark.from_text(hosts.file("d").read_text())
    hosts.file("d").write_text(replace(mark, boot_id="before the last boot").as_text())
    assert hosts.place(ADA, "d")
    assert hosts.runs() == dict.fromkeys("abcd", "R1")


def test_a_fresh_mark_is_not_written_again_and_an_older_one_is(hosts: Hosts) -> None:
    hosts.place(ADA, "d")
    hosts.age("b", FRESH.total_seconds())
    before = {host: hosts.file(host).read_text() for host in "abcd"}
    hosts.shells["a"].commands.clear()
    hosts.place(ADA, "d")
    changed = [host for host in "abcd" if hosts.file(host).read_text() != before[host]]
    assert (changed, len(hosts.shells["a"].commands)) == (["b"], 1)


def test_another_process_of_the_same_run_writes_its_own(hosts: Hosts) -> None:
    """A run that is resumed, also on another controller, is not refused by its own marks."""
    hosts.place(ADA, "d")
    hosts.place(replace(ADA, controller="ctl7", by="eve"), "d")
    marks = [RunMark.from_text(hosts.file(host).read_text()) for host in "abcd"]
    assert {(mark.holder.controller, mark.holder.by) for mark in marks} == {("ctl7", "eve")}


def test_a_file_that_is_no_mark_is_a_doubt(hosts: Hosts) -> None:
    for text in ("", "{", '{"holder": {}}', "two\nlines", "\x00\t"):
        hosts.file("b").parent.mkdir(exist_ok=True)
        hosts.file("b").write_text(text)
        with pytest.raises(CannotTell, match=r"b: /run/holdfast/nova.mark is no mark") as doubt:
            hosts.place(ADA, "d")
        assert "remove /run/holdfast/nova.mark there" in doubt.value.remedy
        assert hosts.file("b").read_text() == text
        assert not hosts.file("a").exists()


def test_a_silent_meeting_host_is_left_out_and_never_all(hosts: Hosts) -> None:
    hosts.shells["a"].reachable = hosts.shells["b"].reachable = False
    assert hosts.place(ADA, "d") == ["c", "d"]
    hosts.shells["c"].reachable = False
    with pytest.raises(CannotTell, match="none of a, b, c answers, so no other run would learn"):
        hosts.place(ADA, "d")


def test_a_silent_host_of_the_batch_stops_it(hosts: Hosts) -> None:
    hosts.shells["d"].reachable = False
    with pytest.raises(CannotTell, match="d: the host is unreachable"):
        hosts.place(ADA, "d")
    assert hosts.runs() == {}


def test_a_host_that_cannot_be_written_stops_it_and_the_others_are_cleared(hosts: Hosts) -> None:
    (hosts.path / "c").write_text("in place of the directory")
    with pytest.raises(CannotTell, match="c could not be marked"):
        hosts.place(ADA, "d")
    assert hosts.runs() == {}


@pytest.mark.parametrize("host", ["a", "d"])
def test_of_two_that_mark_at_the_same_time_one_is_refused(hosts: Hosts, host: str) -> None:
    """The other marks between this one's look and its writing; what this one wrote it removes again."""
    marker, run = hosts.marker(BOB), hosts.shells[host].run

    def run_after_the_other(argv: Sequence[str]) -> CommandResult:
        if argv[2] == SWAP and not hosts.file(host).exists():
            hosts.file(host).parent.mkdir(exist_ok=True)
            other = HostMarks("boot", 1.0).new_mark(ADA, NOW)
            hosts.file(host).write_text(other.as_text())
        return run(argv)

    hosts.shells[host].run = run_after_the_other  # type: ignore[method-assign]
    with pytest.raises(LeaseHeld, match=f"{host} is being marked by another run"):
        marker.place(["a", "b", "c"], ["d"], NOW)
    assert hosts.runs() == {host: "R1"}


def test_a_host_that_another_task_of_the_run_marks_meanwhile_is_marked(hosts: Hosts) -> None:
    """Acts on the hosts of a batch renew the same marks at the same time."""
    marker, run = hosts.marker(ADA), hosts.shells["b"].run

    def run_after_the_other(argv: Sequence[str]) -> CommandResult:
        if argv[2] == SWAP:
            hosts.shells["b"].run = run  # type: ignore[method-assign]
            hosts.marker(ADA).place(["b"], [], NOW)
        return run(argv)

    hosts.shells["b"].run = run_after_the_other  # type: ignore[method-assign]
    assert marker.place(["a", "b", "c"], [], NOW) == ["a", "b", "c"]
    assert hosts.runs() == dict.fromkeys("abc", "R1")


def test_a_run_removes_its_own_marks_alone(hosts: Hosts) -> None:
    hosts.place(ADA, "d")
    hosts.ended.add("R1")
    hosts.marker(BOB).place(["b"], [], NOW)
    hosts.file("c").write_text("broken")
    hosts.shells["d"].reachable = False
    left = remove_marks(hosts.shells.__getitem__, "abcd", "R1")
    assert left == {"d": "the host is unreachable"}
    assert not hosts.file("a").exists()
    assert json.loads(hosts.file("b").read_text())["holder"]["run"] == "R2"


def test_all_marks_are_listed_with_what_is_not_known(hosts: Hosts) -> None:
    hosts.place(ADA, "d")
    hosts.file("b").write_text("broken")
    hosts.shells["c"].reachable = False
    hosts.age("d", TTL.total_seconds())
    found: dict[str, Json] = list_marks(hosts.shells.__getitem__, "abcd")
    assert {host: list(each["marks"]) for host, each in found.items()} == {
        "a": ["nova"],
        "b": [],
        "c": [],
        "d": [],
    }
    assert "is no mark that can be read" in found["b"]["error"]
    assert (found["c"]["error"], found["d"]["error"]) == ("the host is unreachable", "")


def test_runs_meet_at_the_first_three_hosts_of_each_group_by_name() -> None:
    groups = {"x": ["d", "c", "b", "a"], "y": ["z", "a"]}
    assert meeting_hosts(groups, ["x", "y", "none"]) == ["a", "b", "c", "z"]


def test_nobody_else_on_a_host_can_hold_the_lock_of_a_mark(hosts: Hosts) -> None:
    """Who may read a file may lock it."""
    hosts.place(ADA, "d")
    modes = {each.name: each.stat().st_mode & 0o777 for each in (hosts.path / "a").iterdir()}
    assert modes == {"nova.mark": 0o644, "nova.mark.lock": 0o600}
    assert (hosts.path / "a").stat().st_mode & 0o777 == 0o755


def test_a_mark_that_is_removed_while_it_is_read_is_none(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another service's run ends at this moment."""
    hosts.place(ADA)
    gone = hosts.path / "head"
    gone.write_text(f'#!/bin/sh\nrm -f {hosts.file("a")}\nexec /usr/bin/head "$@"\n')
    gone.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hosts.path}:{os.environ['PATH']}")
    found = read_marks(hosts.shells.__getitem__, ["a"])["a"]
    assert isinstance(found, HostMarks)
    assert found.texts == {}


def test_a_mark_that_is_sent_twice_is_written_once(hosts: Hosts) -> None:
    """A site may have ssh repeat a command whose connection broke after it was done."""
    twice = {name: Repeating(shell.directory) for name, shell in hosts.shells.items()}
    hosts.shells.update(twice)
    assert hosts.place(ADA, "d") == ["a", "b", "c", "d"]
    assert hosts.runs() == dict.fromkeys("abcd", "R1")
    assert remove_marks(hosts.shells.__getitem__, "abcd", "R1") == {}
    assert hosts.runs() == {}
    hosts.place(BOB, "d")
    with pytest.raises(LeaseHeld):
        hosts.place(ADA, "d")


@pytest.mark.parametrize(
    ("connection", "shell_type", "may"),
    [
        ("", "", True),
        ("ssh", "sh", True),
        ("openstack.osa.ssh", "", True),
        ("local", "", True),
        ("ansible.netcommon.network_cli", "", False),
        ("network_cli", "", False),
        ("winrm", "", False),
        ("ssh", "powershell", False),
    ],
)
def test_a_host_without_a_shell_of_ours_has_no_marks(
    connection: str, shell_type: str, *, may: bool
) -> None:
    assert has_shell(connection, shell_type) is may
