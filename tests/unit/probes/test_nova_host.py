"""The script that reads a unit's log on its host, run here with a fake systemctl and journalctl."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast import unit_program
from holdfast.errors import CannotTell
from holdfast.observations.nova import DIGESTED, LogPosition, UnitLog
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.nova.host import LogSource, read_unit_log

OLD, NEW = 4711, 4800
GROUP = "/system.slice/nova-compute.service"
SYSTEMCTL = """#!/bin/sh
case "$*" in
  *LoadState*) printf 'Id=nova-compute.service\\nLoadState=loaded\\nActiveState=active\\n'
    echo "ControlGroup={group}" ;;
  *--value*|*--timestamp*) echo "systemctl: unrecognized option" >&2; exit 1 ;;
  *InvocationID*) echo "InvocationID={start}" ;;
  *ControlGroup*) echo "ControlGroup=/system.slice/nova-compute.service" ;;
esac
"""
JOURNALCTL = """#!/bin/sh
case "$*" in *_SYSTEMD_INVOCATION_ID=start1*) cat "$(dirname "$0")/journal" ;; esac
"""


def line(text: str, process: int = NEW, hour: int = 0) -> str:
    return f"2026-11-21 {hour:02d}:22:06.100 {process} INFO nova.service [-] {text}\n"


NO_REPLY = (
    "oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply to message ID b"
)
ABANDONED = "The reply b failed to send after 60 seconds due to a missing queue ({}). Abandoning..."
START = line("Starting conductor node (version 26.2.2)")
# oslo.log's JSONFormatter, without the fields that say where in the code
JSON_LINE = (
    '{{"message": "Error during x", "asctime": "2026-11-21 00:22:06", "name": "nova.compute.manager",'
    ' "msg": "Error during x", "args": [], "levelname": "ERROR", "levelno": 40, "created": 1795708622.0382817,'
    ' "process_name": "MainProcess", "process": {}, "traceback": ["Traceback (most recent call last):", "{}"],'
    ' "hostname": "cmp1", "error_summary": "{}", "context": {{}}}}\n'
)
JOURNAL_LINE = "2026-11-21T00:22:06+0000 cmp1 nova-compute[4800]: "


@dataclass
class HostShell:
    """Runs commands on this machine, with the test's programs first in PATH, far from the log's time zone."""

    programs: Path

    def run(self, argv: Sequence[str]) -> CommandResult:
        path = f"{self.programs}:{os.environ['PATH']}"
        environment = {"PATH": path, "TZ": "America/New_York", "LC_ALL": "C"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)


class Host:
    """One host: its log, its journal and its processes. ``position`` is noted as the module on the host does it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "nova.log"
        self.proc = directory / "proc"
        self.position = LogPosition()
        self.prefix: Sequence[str] = ()
        self.journal("")
        self.set_start("start1")
        self.runs(NEW)

    def program(self, name: str, text: str) -> None:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def set_start(self, start: str, group: str = GROUP) -> None:
        self.program("systemctl", SYSTEMCTL.format(start=start, group=group))

    def journal(self, text: str) -> None:
        self.program("journalctl", JOURNALCTL)
        (self.directory / "journal").write_text(text, encoding="utf-8")

    def process(self, number: int, group: str) -> None:
        path = self.proc / str(number)
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup").write_text(f"0::{group}\n", encoding="ascii")

    def runs(self, process: int) -> None:
        """Let this be the unit's process, and none of the others."""
        for each in (OLD, NEW, 17):
            self.process(each, GROUP if each == process else "/system.slice/cron.service")

    def write(self, *lines: str) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.writelines(lines)

    def note(self) -> None:
        """Note where the log ends, while the old process runs; then the new one runs."""
        self.runs(OLD)
        self.position = self.end_of()
        self.runs(NEW)

    def end_of(self, log: str = "") -> LogPosition:
        """Return where a log ends, as it is noted before an act."""
        command = unit_program.read("nova-compute", log or str(self.log), str(self.proc))
        printed = HostShell(self.directory).run(command).stdout
        return unit_program.parse(printed).log

    def read(self, log: str = "", limit: int = 1000) -> UnitLog:
        context = ProbeContext("cmp1", {}, {}, HostShell(self.directory))
        source = LogSource(
            "nova-compute", log or str(self.log), self.position, self.prefix, str(self.proc)
        )
        return read_unit_log(context, source, limit)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def noted(host: Host) -> Host:
    """A host whose log had complaints, dated after and before all that follows, when its end was noted."""
    host.write(line(NO_REPLY, OLD, hour=23), line(NO_REPLY, OLD, hour=1))
    host.note()
    return host


def found(log: UnitLog) -> tuple[str, int, dict[str, int]]:
    return log.span, log.lines, dict(log.complaints)


def test_only_lines_after_the_position_count_whatever_their_time(noted: Host) -> None:
    noted.write(START, "a line of a traceback\n", line(NO_REPLY), START)
    assert found(noted.read()) == ("act", 4, {"no_reply": 1})
    assert noted.read().last == "2026-11-21 00:22:06.100"


def test_what_the_old_processes_log_until_they_end_is_not_the_new_starts(noted: Host) -> None:
    noted.write(line(NO_REPLY, OLD), "  a line of its traceback\n", START)
    assert found(noted.read()) == ("act", 1, {})


def test_an_hour_that_occurs_twice_hides_nothing(noted: Host) -> None:
    noted.write(line("Starting", hour=2), line(NO_REPLY, hour=1))
    assert found(noted.read()) == ("act", 2, {"no_reply": 1})


def test_a_log_without_a_line_since_the_act(noted: Host) -> None:
    assert found(noted.read()) == ("act", 0, {})


def test_a_log_that_was_renamed_is_read_to_its_end_with_the_new_one(noted: Host) -> None:
    noted.write(line(NO_REPLY))
    noted.log.rename(noted.directory / "nova.log-20261121")
    noted.write(START)
    assert found(noted.read()) == ("act", 2, {"no_reply": 1})


def test_a_log_that_was_copied_and_truncated_is_found_by_its_digest(noted: Host) -> None:
    noted.write(line(NO_REPLY))
    (noted.directory / "nova.log.1").write_bytes(noted.log.read_bytes())
    noted.log.write_text(START)
    os.utime(noted.log, (2e9, 2e9))
    assert found(noted.read()) == ("act", 2, {"no_reply": 1})


def test_a_log_whose_rest_is_gone_tells_what_the_running_processes_wrote(noted: Host) -> None:
    """Another file may have the old one's inode."""
    noted.log.write_text(line(NO_REPLY, OLD) * 5 + START)
    assert found(noted.read()) == ("running", 1, {})


def test_a_log_that_was_empty_when_its_end_was_noted(host: Host) -> None:
    host.write()
    host.note()
    host.write(START)
    assert found(host.read()) == ("act", 1, {})


def test_without_an_act_the_lines_of_the_running_processes_count(host: Host) -> None:
    host.write(line(NO_REPLY, OLD), START, line(NO_REPLY, 17), line(NO_REPLY))
    assert found(host.read()) == ("running", 2, {"no_reply": 1})


def test_a_unit_in_a_container_is_told_by_the_processes_in_there(host: Host) -> None:
    """The host's processes of the unit are those of the container's engine, which log nothing."""
    host.write(line(NO_REPLY, NEW), line("Starting", 7), line(NO_REPLY, 7), line(NO_REPLY, 77))
    host.program("engine", '#!/bin/sh\n[ "$1 $2 $3" = "exec nova sh" ] || exit 9\necho 1 7 acpi\n')
    host.prefix = [str(host.directory / "engine"), "exec", "nova"]
    assert found(host.read()) == ("running", 2, {"no_reply": 1})
    host.prefix = [str(host.directory / "engine"), "exec", "gone"]
    with pytest.raises(CannotTell, match="its container cannot be asked"):
        host.read()


def test_no_process_of_a_host_is_taken_for_one_in_a_container(host: Host) -> None:
    """Both have the same number here: what the new start logs in the container would be left out."""
    host.write(START)
    host.position = host.end_of().model_copy(update={"processes": (OLD,)})
    host.write(line(NO_REPLY, OLD))
    host.prefix = ["engine"]
    assert found(host.read()) == ("act", 1, {"no_reply": 1})


def test_without_an_act_the_file_that_was_moved_aside_is_read_as_well(host: Host) -> None:
    host.write(line(NO_REPLY, OLD), line(NO_REPLY))
    host.log.rename(host.directory / "nova.log.1")
    host.write(START)
    assert found(host.read()) == ("running", 2, {"no_reply": 1})


def test_a_log_that_names_no_process(host: Host) -> None:
    host.write("2026-11-21 00:22:06 INFO Starting\n")
    assert (host.read().unnamed, host.read().lines) == (True, 0)
    host.note()
    host.write(f"2026-11-21 00:22:06 ERROR {NO_REPLY}\n")
    assert found(host.read()) == ("act", 1, {"no_reply": 1})


def test_what_uwsgi_writes_has_no_level(host: Host) -> None:
    """A request in the log of uwsgi, beside which nova has its own."""
    request = "[pid: 9|app: 0|req: 2/4] 192.0.2.1 () {{28 vars}} [Fri Nov 27 23:43:56 2026] GET / => 200\n"
    host.write(request)
    assert (host.read().unnamed, host.read().levels) == (True, 0)
    host.write(line("Starting", OLD))
    assert (host.read().lines, host.read().levels) == (0, 1)
    host.note()
    host.write(request)
    assert (host.read().lines, host.read().levels) == (1, 0)


def test_json_lines(noted: Host) -> None:
    noted.write(
        JSON_LINE.format(OLD, NO_REPLY, NO_REPLY), JSON_LINE.format(NEW, NO_REPLY, NO_REPLY)
    )
    assert found(noted.read()) == ("act", 1, {"no_reply": 1})
    assert (noted.read().last, noted.read().levels) == ("2026-11-21 00:22:06", 2)
    noted.position = LogPosition()
    assert found(noted.read()) == ("running", 1, {"no_reply": 1})


def test_the_journal_of_the_present_start(host: Host) -> None:
    host.journal(JOURNAL_LINE + START + JOURNAL_LINE + line(NO_REPLY))
    read = host.read("journal")
    assert found(read) == ("start", 2, {"no_reply": 1})
    assert (read.log, read.last, read.missing) == ("journal", "2026-11-21T00:22:06+0000", False)


def test_the_journal_is_read_where_there_is_no_file(host: Host) -> None:
    host.journal(JOURNAL_LINE + START)
    read = host.read()
    assert (read.log, read.span, read.lines, read.levels, read.missing) == (
        "journal", "start", 1, 1, True,
    )  # fmt: skip
    host.journal(JOURNAL_LINE + "a warning of some library\n")
    assert (host.read().lines, host.read().levels) == (1, 0)
    host.journal("")
    with pytest.raises(CannotTell, match=r"there is no .*nova.log, and the journal has no line"):
        host.read()


def test_a_unit_that_never_ran_has_no_journal(host: Host) -> None:
    host.set_start("")
    with pytest.raises(
        CannotTell, match="cmp1: the log of nova-compute cannot be read: systemd reports"
    ):
        host.read("journal")


def test_abandoned_replies_to_our_own_pings_are_no_complaint(noted: Host) -> None:
    noted.write(line(ABANDONED.format("holdfast_1")), line(ABANDONED.format("reply_1")))
    assert found(noted.read()) == ("act", 2, {"reply_abandoned": 1})


def test_a_timeout_waiting_for_the_conductor_is_a_complaint(noted: Host) -> None:
    noted.write(line("Timed out waiting for nova-conductor. Is it running?"))
    assert noted.read().complaints == {"no_conductor": 1}


@pytest.mark.parametrize(("lines", "cut"), [(4, True), (2, False)])
def test_of_a_long_log_not_all_lines_are_read(noted: Host, lines: int, *, cut: bool) -> None:
    noted.write(*[START] * lines)
    assert noted.read(limit=3).cut is cut


@pytest.mark.parametrize(("oldest", "cut"), [(NEW, True), (OLD, False)])
def test_lines_of_older_processes_show_that_the_start_was_read(
    host: Host, oldest: int, *, cut: bool
) -> None:
    host.write(line("x", OLD), line("x", oldest), START, START)
    assert host.read(limit=3).cut is cut


def test_the_processes_of_a_unit_are_those_of_its_control_group(host: Host) -> None:
    host.process(4801, f"{GROUP}/privsep")
    host.write(START)
    assert host.end_of().processes == (NEW, 4801)


def test_what_is_no_file_has_no_position(host: Host) -> None:
    for log in ("journal", str(host.directory), str(host.log)):
        assert host.end_of(log) == LogPosition()


def test_without_its_control_group_the_processes_of_a_unit_are_not_known(host: Host) -> None:
    host.write(START)
    host.set_start("start1", group="")
    assert host.end_of().processes == ()


def test_both_sides_digest_as_many_bytes() -> None:
    assert f"last {DIGESTED:,} bytes" in unit_program.PROGRAM
