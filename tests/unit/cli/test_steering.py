"""Signals, aborts, approvals and bugs while a run is under way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.ansible.interfaces import Play, PlayResult, Progress
from tests.unit.cli.desks import BLOCKS, HOSTS, Office, Said

RUN = ("run", "broker-restart", "--reason", "openssl update", "--yes")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "project")


def once(office: Office, act: str, then: Callable[[], object]) -> None:
    """Let something happen right after an act was really done."""
    pending = [then]

    def look() -> None:
        if pending and act in office.acts:
            pending.pop()()

    office.fleet.clock.on_tick.append(look)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def twice() -> None:
    interrupt()
    interrupt()


def test_ctrl_c_finishes_the_host_in_hand_and_touches_no_other(office: Office) -> None:
    once(office, "restart ctl1", interrupt)
    said = office.call(*RUN)
    assert said.code == 5, said.everything
    assert office.acts == ["drain ctl1", "restart ctl1", "undrain ctl1"]
    assert "Stopping at the next boundary" in said.out
    assert "ABORTED" in said.out
    assert "not touched in step 2: ctl2, ctl3" in said.out


def test_second_ctrl_c_is_the_hard_stop_and_the_host_is_asked(office: Office) -> None:
    once(office, "drain ctl1", twice)
    said = office.call(*RUN)
    assert said.code == 5, said.everything
    assert "HARD STOP" in said.out
    assert "restart ctl2" not in office.acts
    assert "left drained by this run" in said.out
    assert "fake undrain ctl1" in said.out


def test_aborted_run_resumes_where_it_stopped(office: Office) -> None:
    once(office, "restart ctl1", interrupt)
    office.call(*RUN)
    said = office.call("resume", "broker", "--reason", "go on")
    assert said.code == 0, said.everything
    assert [act for act in office.acts if act.startswith("restart")] == [
        f"restart {host}" for host in HOSTS
    ]


def test_abort_from_another_terminal(office: Office) -> None:
    other: list[Said] = []
    once(office, "restart ctl1", lambda: other.append(office.call("abort", "broker")))
    said = office.call(*RUN)
    assert said.code == 5
    assert other[0].code == 0
    assert "to stop at the next boundary" in other[0].out
    assert office.acts == ["drain ctl1", "restart ctl1", "undrain ctl1"]


def test_status_of_a_run_under_way_says_how_to_watch_it(office: Office) -> None:
    seen: list[Said] = []
    once(office, "undrain ctl3", lambda: seen.append(office.call("status", "broker")))
    assert office.call(*RUN).code == 0
    assert "running: holdfast watch" in seen[0].out


class Killed(BaseException):
    """The driver ends here without a word."""


def die() -> None:
    raise Killed


def test_watch_ends_when_the_driver_is_gone_and_says_what_is_left(office: Office) -> None:
    once(office, "drain ctl1", die)
    assert office.call(*RUN).code == 70
    said = office.call("watch")  # its clock runs until the lease of the dead driver expires
    assert said.code == 0, said.everything
    assert "HELD" in said.out
    assert "ctl1: " in said.out
    assert "holdfast resume" in said.out
    assert "no driver" in office.call("status").out


def test_run_waits_for_a_word_and_goes_on_with_it(office: Office) -> None:
    office.write("approve: Really?", *BLOCKS[1:2])
    asked: list[Said] = []

    def answer() -> None:
        if not asked and office.fleet.clock.now.minute >= 5:
            asked.append(Said(0, "", ""))
            office.environ["SUDO_USER"] = "bob"
            asked.append(office.call("approve", "broker"))

    office.fleet.clock.on_tick.append(answer)
    said = office.call(*RUN)
    assert said.code == 0, said.everything
    assert "waits for approval: Really?" in said.out
    assert "approved by bob" in said.out
    assert asked[1].code == 0


def test_approval_that_nobody_wants_is_refused(office: Office) -> None:
    office.call(*RUN)
    said = office.call("approve", "broker")
    assert said.code == 2
    assert "does not wait for an approval" in said.err


class Broken:
    """A runner with a bug."""

    def run(
        self, _: Play, on_progress: Callable[[Progress], None], interrupted: Callable[[], bool]
    ) -> PlayResult:
        raise RuntimeError("index \x1b[31mout of range")

    def end_strays(self, run: str) -> list[int]:
        return []


def test_bug_exits_with_70_and_says_where_its_details_are(office: Office) -> None:
    office.runner = lambda _: Broken()
    said = office.call(*RUN)
    assert said.code == 70
    assert "This is a bug of Holdfast: RuntimeError: index out of range" in said.err
    assert "Traceback" not in said.everything
    details = next(office.state.glob("bug-*.txt"))
    assert str(details) in said.err.replace("\n", "")
    assert "Traceback" in details.read_text()
    assert oct(details.stat().st_mode & 0o777) == "0o600"
    assert "is journaled: holdfast status 2026" in said.err.replace("\n", "")
