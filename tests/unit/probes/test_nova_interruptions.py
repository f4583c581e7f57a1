"""Losses of heartbeats and connections, read by the real program from logs as nova's services write them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import CannotTell
from holdfast.judges.nova.interruptions import connections_steady, heartbeats_steady
from holdfast.model import Outcome, Unanswered
from holdfast.observations.nova import ExpectedService, FleetInterruptions, Interruptions
from holdfast.probes.base import CommandResult
from holdfast.probes.nova.interruptions import read_interruptions
from tests.unit.probes.shells import ScriptedShell

SERVICE = ExpectedService("compute", "cmp1", "cmp1")
RABBIT, DB = "oslo.messaging._drivers.impl_rabbit", "nova.servicegroup.drivers.db"
LOST = f"ERROR {RABBIT} [-] [{{}}] AMQP server on 192.0.2.1:5672 is unreachable: timed out. Trying again in 1 seconds."
BACK = f"INFO {RABBIT} [-] [{{}}] Reconnected to AMQP server on 192.0.2.2:5672 via [amqp] client with port 1."
SILENT = f"WARNING {DB} [-] Lost connection to nova-conductor for reporting service status."
REPORTS = f"INFO {DB} [-] Recovered from being unable to report status."
LATE = (
    "WARNING oslo.service.loopingcall [-] Function 'nova.servicegroup.drivers.db.DbDriver._report_state'"
    " run outlasted interval by {} sec"
)
START = "INFO nova.service [-] Starting compute node (version 26.2.2)"
ONE, OTHER = "5f0c8f6a-1d5c-4d0e-9a43-0c1d2e3f4a5b", "9a43f4a5-1d5c-4d0e-9a43-5f0c8f6a2e3f"


class Here:
    """A host that is this machine."""

    def run(self, argv: Sequence[str]) -> CommandResult:
        done = subprocess.run(list(argv), capture_output=True, text=True, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)


def write(
    path: Path, *lines: tuple[float, str] | tuple[float, str, int], zone: float = 0.0
) -> Path:
    """Write lines with their ages in seconds, and the process of some; the newest is the file's last change."""
    now = time.time()
    text = [
        f"{datetime.fromtimestamp(now - age + zone, UTC):%Y-%m-%d %H:%M:%S}.123 {(*more, 4711)[0]} {line}"
        for age, line, *more in lines
    ]
    path.write_text("".join(f"{line}\n" for line in text))
    os.utime(path, (now - lines[-1][0], now - lines[-1][0]))
    return path


def read(log: Path, window: float = 1800) -> Interruptions:
    return read_interruptions(Here(), SERVICE, "nova-compute", str(log), window)


def counted(log: Path) -> tuple[int, int]:
    found = read(log)
    return found.heartbeats, found.connections


def test_what_went_down_and_up_before_anybody_looked_is_counted(tmp_path: Path) -> None:
    lines = [(4000.0, START)]
    for age in (1500.0, 1000.0, 400.0):
        lines += [
            (age, LOST.format(ONE)),
            (age - 2, LOST.format(ONE)),
            (age - 4, BACK.format(ONE)),
        ]
        lines += [(age - 10, SILENT), (age - 60, REPORTS)]
    found = read(write(tmp_path / "nova.log", *lines))
    assert (found.heartbeats, found.connections) == (3, 3)
    assert found.last == pytest.approx(390, abs=5)


def test_a_restarted_broker_costs_each_of_four_connections_one_loss(tmp_path: Path) -> None:
    ids = [ONE, OTHER, ONE.replace("5f", "6f"), OTHER.replace("9a", "8a")]
    lost = [(100.0 - n, LOST.format(each)) for n, each in enumerate(ids)]
    back = [(90.0 - n, BACK.format(each)) for n, each in enumerate(ids)]
    assert counted(write(tmp_path / "nova.log", (900, START), *lost, *back)) == (0, 1)


def test_a_service_that_is_restarted_after_each_loss_flaps_whatever_its_process(
    tmp_path: Path,
) -> None:
    """In 2015 they were restarted by hand, came up, and failed again some minutes later."""
    lines = [(age, SILENT, pid) for pid, age in enumerate((1500.0, 1000, 500), 1)]
    assert counted(write(tmp_path / "nova.log", *lines)) == (3, 0)


def test_the_workers_of_a_conductor_lose_their_heartbeats_together(tmp_path: Path) -> None:
    lost = [(500.0 - pid, SILENT, pid) for pid in range(8)]
    back = [(400.0 - pid, REPORTS, pid) for pid in range(8)]
    assert counted(write(tmp_path / "nova.log", *lost, *back)) == (1, 0)


def test_losses_older_than_the_window_do_not_count(tmp_path: Path) -> None:
    old = [(2000.0 + n, SILENT if n % 2 else REPORTS) for n in range(9, 0, -1)]
    assert counted(write(tmp_path / "nova.log", *old, (10, SILENT))) == (1, 0)


def test_a_loss_is_counted_by_its_end_where_only_that_is_logged(tmp_path: Path) -> None:
    lines = [(400.0, BACK.format(ONE)), (200, BACK.format(ONE)), (100, LOST.format(ONE))]
    assert counted(write(tmp_path / "nova.log", *lines)) == (0, 3)


def test_where_the_end_is_not_logged_a_loss_after_two_minutes_is_another_one(
    tmp_path: Path,
) -> None:
    lines = [(700.0, LOST.format(ONE)), (690, LOST.format(ONE)), (300, LOST.format(ONE))]
    assert counted(write(tmp_path / "nova.log", *lines)) == (0, 2)


def test_a_heartbeat_that_took_so_long_that_nova_called_the_service_down_counts(
    tmp_path: Path,
) -> None:
    late = [(900.0, LATE.format("0.53")), (600, LATE.format("50.02")), (300, LATE.format("55.10"))]
    assert counted(write(tmp_path / "nova.log", *late)) == (2, 0)


@pytest.mark.parametrize("zone", [-5 * 3600.0, 0.0, 9.5 * 3600])
def test_a_log_in_another_time_zone_than_its_host_is_counted_alike(
    tmp_path: Path, zone: float
) -> None:
    lines = [(5000.0, SILENT), (4900, REPORTS), (900, SILENT), (800, REPORTS), (600, START)]
    assert counted(write(tmp_path / "nova.log", *lines, zone=zone)) == (1, 0)


def test_lines_of_the_log_before_its_rotation_count(tmp_path: Path) -> None:
    write(tmp_path / "nova.log.1", (900, SILENT), (800, REPORTS))
    assert counted(write(tmp_path / "nova.log", (600, SILENT), (500, REPORTS))) == (2, 0)
    (tmp_path / "nova.log").write_text("")
    assert counted(tmp_path / "nova.log") == (1, 0)


def test_lines_in_json_are_read(tmp_path: Path) -> None:
    at = f"{datetime.fromtimestamp(time.time() - 60, UTC):%Y-%m-%d %H:%M:%S},123"
    line = f'{{"message": "{SILENT}", "asctime": "{at}", "levelname": "WARNING", "process": 7}}\n'
    (tmp_path / "nova.log").write_text(line)
    assert counted(tmp_path / "nova.log") == (1, 0)


@pytest.mark.parametrize("older", ["nova.log.2.gz", "nova.log.2", "nova.log-20261128"])
def test_a_log_that_does_not_reach_back_is_not_told(tmp_path: Path, older: str) -> None:
    """What logrotate has packed, or names by its date, is not read: its lines may be of the window."""
    packed = tmp_path / older
    packed.write_bytes(b"x")
    log = write(tmp_path / "nova.log", (600, START))
    with pytest.raises(CannotTell, match=r"nova\.log does not reach back 30 min"):
        read(log)
    os.utime(packed, (0, 0))
    assert counted(log) == (0, 0)


def test_a_log_without_a_line_of_nova_or_without_a_time_is_not_told(tmp_path: Path) -> None:
    log = tmp_path / "nova.log"
    log.write_text("hello\n")
    with pytest.raises(CannotTell, match=r"cmp1: how often .* has no line with a level"):
        read(log)
    log.write_text("INFO no time\n")
    with pytest.raises(CannotTell, match="'INFOTno' is no time"):
        read(log)


def test_a_program_that_did_not_come_to_its_end_has_told_nothing() -> None:
    cut = ScriptedShell(CommandResult(0, "now 5\nlevels 3\n", ""))
    with pytest.raises(CannotTell, match="exit status 0"):
        read_interruptions(cut, SERVICE, "nova-compute", "journal", 60)


def test_the_journal_has_the_hosts_own_time() -> None:
    printed = "now 2000\njournal yes\nlevels 3\nfirst 5.0\nnewest 1990.5\ncut \n"
    events = "event silent 7 - 1000.5\nevent reports 7 - 1100.0\nevent silent 7 - 1900.0\nend\n"
    shell = ScriptedShell(CommandResult(0, printed + events, ""))
    found = read_interruptions(shell, SERVICE, "nova-compute", "journal", 500)
    assert (found.log, found.heartbeats, found.last) == ("the journal", 1, 100.0)


STEADY = Interruptions("cmp1", "log", 2, 3)
NAME = "nova-compute on cmp1"


def test_each_kind_is_judged_by_its_own_count() -> None:
    flapping = FleetInterruptions({NAME: replace(STEADY, heartbeats=3), "b": STEADY})
    verdict = heartbeats_steady("c", flapping, 1800, 3)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, "flapping")
    assert verdict.message == "nova-compute on cmp1 lost its heartbeat 3 times in 30 min"
    assert verdict.hosts == {"cmp1": {"healthy": False}}
    assert connections_steady("c", flapping, 1800, 4).outcome is Outcome.PASS
    dropped = FleetInterruptions({NAME: replace(STEADY, connections=4)})
    verdict = connections_steady("c", dropped, 600, 4)
    assert verdict.message == "nova-compute on cmp1 lost a connection to a broker 4 times in 10 min"


def test_a_flapping_one_counts_beside_a_silent_one_and_a_silent_one_alone_is_unknown() -> None:
    silent = {"nova-compute on cmp2": Unanswered("cmp2 is unreachable")}
    fleet = FleetInterruptions({NAME: replace(STEADY, heartbeats=5), **silent})
    assert heartbeats_steady("c", fleet, 1800, 3).outcome is Outcome.FAIL
    verdict = heartbeats_steady("c", FleetInterruptions({NAME: STEADY, **silent}), 1800, 3)
    assert (verdict.outcome, verdict.message) == (Outcome.UNKNOWN, "cmp2 is unreachable")
