"""The script that reads a unit's log on its host, run here with a fake systemctl."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.nova.host import probe_unit_log, read_unit_log

STARTED = "Sat 2026-11-21 00:22:06.050000 UTC"
SYSTEMCTL = """#!/bin/sh
case "$*" in
  *InactiveExitTimestamp*) echo "{started}" ;;
esac
"""
BEFORE = "2026-11-21 00:22:06.049 1 ERROR x MessagingTimeout: Timed out waiting for a reply to message ID a\n"
START = "2026-11-21 00:22:06.100 2 INFO nova.service [-] Starting conductor node (version 26.2.2)\n"
NO_REPLY = (
    "2026-11-21 00:23:10.000 2 ERROR x [-] oslo_messaging.exceptions.MessagingTimeout: "
    "Timed out waiting for a reply to message ID b\n"
)
ABANDONED = (
    "2026-11-21 00:24:10.000 2 ERROR x The reply b failed to send after 60 seconds due to a "
    "missing queue ({queue}). Abandoning...\n"
)


@dataclass
class HostShell:
    """Runs commands on this machine, with the test's programs first in PATH, in a time zone."""

    programs: Path
    zone: str

    def run(self, argv: Sequence[str]) -> CommandResult:
        path = f"{self.programs}:{os.environ['PATH']}"
        environment = {"PATH": path, "TZ": self.zone, "LC_ALL": "C"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)


def context(tmp_path: Path, started: str = STARTED, zone: str = "UTC") -> ProbeContext:
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL.format(started=started), encoding="utf-8")
    program.chmod(0o755)
    return ProbeContext("cmp1", {}, {}, HostShell(tmp_path, zone))


def write(tmp_path: Path, *lines: str, name: str = "nova.log") -> str:
    path = tmp_path / name
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def test_only_lines_newer_than_the_start_count(tmp_path: Path) -> None:
    log = write(tmp_path, BEFORE, START, "a line of a traceback\n", NO_REPLY, START)
    found = probe_unit_log(context(tmp_path), "nova-compute", log)
    assert found.since == "2026-11-21 00:22:06.050"
    assert found.lines == 3
    assert found.complaints == {"no_reply": 1}
    assert found.last == "2026-11-21 00:23:10.000"


def test_a_log_without_complaints(tmp_path: Path) -> None:
    found = probe_unit_log(context(tmp_path), "u", write(tmp_path, BEFORE, BEFORE, START))
    assert (found.lines, found.complaints, found.last) == (1, {}, "")


def test_a_log_that_was_rotated_since_the_start_is_read_with_its_predecessor(
    tmp_path: Path,
) -> None:
    write(tmp_path, BEFORE, START, NO_REPLY, name="nova.log.1")
    found = probe_unit_log(context(tmp_path), "u", write(tmp_path, START))
    assert (found.lines, found.complaints) == (3, {"no_reply": 1})


def test_abandoned_replies_to_our_own_pings_are_no_complaint(tmp_path: Path) -> None:
    ours, novas = ABANDONED.format(queue="holdfast_1"), ABANDONED.format(queue="reply_1")
    found = probe_unit_log(context(tmp_path), "u", write(tmp_path, START, ours, novas))
    assert found.complaints == {"reply_abandoned": 1}


def test_a_timeout_waiting_for_the_conductor_is_a_complaint(tmp_path: Path) -> None:
    waits = START.replace("Starting", "Timed out waiting for nova-conductor. Is it running?")
    assert probe_unit_log(context(tmp_path), "u", write(tmp_path, waits)).complaints == {
        "no_conductor": 1
    }


def test_a_log_with_no_line_since_the_start(tmp_path: Path) -> None:
    assert probe_unit_log(context(tmp_path), "u", write(tmp_path, BEFORE)).lines == 0
    assert probe_unit_log(context(tmp_path), "u", write(tmp_path)).lines == 0


def test_the_log_of_a_unit_that_never_ran_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="cmp1: the log of u cannot be read: u has never been"):
        probe_unit_log(context(tmp_path, started=""), "u", write(tmp_path, START))


def test_the_log_is_read_in_the_hosts_time_zone(tmp_path: Path) -> None:
    found = probe_unit_log(context(tmp_path, zone="IST-5:30"), "u", write(tmp_path, START))
    assert (found.since, found.lines) == ("2026-11-21 05:52:06.050", 0)


def test_a_missing_log_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="is not there or cannot be read"):
        probe_unit_log(context(tmp_path), "u", str(tmp_path / "none.log"))


JSON_LINE = '{"message": "Starting compute node", "asctime": "2026-11-21 00:22:06"}\n'
SYSLOG_LINE = (
    "Nov 21 00:22:07 cmp1 nova-compute: 2026-11-21 00:22:07.100 2 INFO nova.service [-] x\n"
)


@pytest.mark.parametrize(
    ("lines", "undated"),
    [
        ([JSON_LINE], True),
        ([SYSLOG_LINE, SYSLOG_LINE], True),
        ([], False),
        ([BEFORE, "  a line of a traceback\n"], False),
        ([START, "  a line of a traceback\n"], False),
    ],
)
def test_a_log_without_times_that_can_be_read(
    tmp_path: Path, lines: Sequence[str], *, undated: bool
) -> None:
    assert probe_unit_log(context(tmp_path), "u", write(tmp_path, *lines)).undated is undated


@pytest.mark.parametrize(
    ("lines", "cut"), [([START] * 3, True), ([BEFORE, START, START], False), ([START], False)]
)
def test_of_a_long_log_only_the_newest_lines_are_read(
    tmp_path: Path, lines: Sequence[str], *, cut: bool
) -> None:
    log = write(tmp_path, NO_REPLY, *lines)
    found = read_unit_log(context(tmp_path), "u", log, limit=3)  # a million lines take seconds
    complaints = {"no_reply": 1} if len(lines) == 1 else {}
    assert (found.complaints, found.cut) == (complaints, cut)
