"""The script that reads a unit's log on its host, run here with a systemctl of our own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.nova_host import logged_since_start, stop_timeout_seconds

STARTED = "Sat 2026-11-21 00:22:06.050000 UTC"
SYSTEMCTL = """#!/bin/sh
case "$*" in
  *InactiveExitTimestamp*) echo "{started}" ;;
  *TimeoutStopUSec*) echo "TimeoutStopUSec={stop}"; echo "LoadState={load}" ;;
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
    """This machine, with programs of the test's in front of its own, in a time zone."""

    programs: Path
    zone: str

    def run(self, argv: Sequence[str]) -> CommandResult:
        path = f"{self.programs}:{os.environ['PATH']}"
        environment = {"PATH": path, "TZ": self.zone, "LC_ALL": "C"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)


def look(
    tmp_path: Path,
    started: str = STARTED,
    stop: str = "15s",
    load: str = "loaded",
    zone: str = "UTC",
) -> ProbeContext:
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL.format(started=started, stop=stop, load=load), encoding="utf-8")
    program.chmod(0o755)
    return ProbeContext("cmp1", {}, {}, HostShell(tmp_path, zone))


def write(tmp_path: Path, *lines: str, name: str = "nova.log") -> str:
    path = tmp_path / name
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def test_only_what_is_newer_than_the_start_counts(tmp_path: Path) -> None:
    log = write(tmp_path, BEFORE, START, "a line of a traceback\n", NO_REPLY, START)
    seen = logged_since_start(look(tmp_path), "nova-compute", log)
    assert seen.since == "2026-11-21 00:22:06.050"
    assert seen.lines == 3
    assert seen.complaints == {"no_reply": 1}
    assert seen.last == "2026-11-21 00:23:10.000"


def test_a_quiet_start(tmp_path: Path) -> None:
    seen = logged_since_start(look(tmp_path), "u", write(tmp_path, BEFORE, BEFORE, START))
    assert (seen.lines, seen.complaints, seen.last) == (1, {}, "")


def test_a_log_that_was_rotated_since_the_start_is_read_with_its_predecessor(
    tmp_path: Path,
) -> None:
    write(tmp_path, BEFORE, START, NO_REPLY, name="nova.log.1")
    seen = logged_since_start(look(tmp_path), "u", write(tmp_path, START))
    assert (seen.lines, seen.complaints) == (3, {"no_reply": 1})


def test_answers_to_our_own_calls_are_no_complaint(tmp_path: Path) -> None:
    ours, novas = ABANDONED.format(queue="holdfast_1"), ABANDONED.format(queue="reply_1")
    seen = logged_since_start(look(tmp_path), "u", write(tmp_path, START, ours, novas))
    assert seen.complaints == {"reply_abandoned": 1}


def test_a_unit_that_waits_for_the_conductor(tmp_path: Path) -> None:
    waits = START.replace("Starting", "Timed out waiting for nova-conductor. Is it running?")
    assert logged_since_start(look(tmp_path), "u", write(tmp_path, waits)).complaints == {
        "no_conductor": 1
    }


def test_a_log_with_no_line_since_the_start(tmp_path: Path) -> None:
    assert logged_since_start(look(tmp_path), "u", write(tmp_path, BEFORE)).lines == 0
    assert logged_since_start(look(tmp_path), "u", write(tmp_path)).lines == 0


def test_a_unit_that_never_ran_has_no_log_to_tell(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="cmp1: the log of u cannot be told: u has never been"):
        logged_since_start(look(tmp_path, started=""), "u", write(tmp_path, START))


def test_the_log_is_in_the_hosts_time_zone(tmp_path: Path) -> None:
    seen = logged_since_start(look(tmp_path, zone="IST-5:30"), "u", write(tmp_path, START))
    assert (seen.since, seen.lines) == ("2026-11-21 05:52:06.050", 0)


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="is not there or cannot be read"):
        logged_since_start(look(tmp_path), "u", str(tmp_path / "none.log"))


@pytest.mark.parametrize(
    ("shown", "seconds"),
    [
        ("15s", 15.0),
        ("1min 30s", 90.0),
        ("1h 5min", 3900.0),
        ("200ms", 0.2),
        ("1.500000s", 1.5),
        ("0", 0.0),
        ("infinity", float("inf")),
    ],
)
def test_a_stop_timeout(tmp_path: Path, shown: str, seconds: float) -> None:
    assert stop_timeout_seconds(look(tmp_path, stop=shown), "u") == seconds


def test_a_unit_that_systemd_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(CannotTell, match="cmp1: systemd says nothing about u: not-found"):
        stop_timeout_seconds(look(tmp_path, load="not-found"), "u")
