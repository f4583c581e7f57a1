"""What is read on a host about a service's processes: the real script, over a made-up /proc and systemctl."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.model import Json, Unanswered
from holdfast.observations.processes import Complaint, Peer, ServiceProcess
from holdfast.probes.base import CommandResult, ProbeContext
from holdfast.probes.processes import Brokers, ProcessSource, read_processes
from tests.unit.probes.shells import ScriptedShell, UnreachableShell

CGROUP = "/system.slice/nova-compute.service"
SHOWN = {
    "Id": "nova-compute.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Type": "notify",
    "Result": "success",
    "InvocationID": "a" * 32,
    "NRestarts": "0",
    "UnitFileState": "enabled",
    "FreezerState": "running",
    "ExecMainStatus": "0",
    "ActiveEnterTimestamp": "Sat 2026-11-21 00:00:00 UTC",
    "InactiveEnterTimestamp": "",
}
SECRET = "s3cret/@x"  # noqa: S105  # of no account
BROKERS = Brokers({"10.0.0.1": "ctl1"}, frozenset({5672}))


@dataclass
class Host:
    """A host's directory: ``proc`` with processes, ``bin`` with a systemctl, a log, a nova.conf."""

    root: Path
    shown: dict[str, str] = field(default_factory=lambda: dict(SHOWN))
    printed: list[str] = field(default_factory=list)

    @property
    def proc(self) -> Path:
        return self.root / "proc"

    def process(
        self,
        pid: int,
        state: str,
        sockets: Sequence[int] = (),
        cgroup: str = CGROUP,
        arguments: str = "nova-compute",
    ) -> None:
        """Add a process of the unit."""
        own = self.proc / str(pid)
        (own / "fd").mkdir(parents=True)
        (own / "net").mkdir()
        (own / "stat").write_text(f"{pid} (nova (x) compute) {state} 1 1 1 0 -1\n")
        (own / "cgroup").write_text(f"0::{cgroup}\n")
        (own / "cmdline").write_text(arguments.replace(" ", "\0") + "\0")
        for number, inode in enumerate(sockets):
            (own / "fd" / str(number)).symlink_to(f"socket:[{inode}]")

    def connections(self, pid: int, *rows: str) -> None:
        """Write the kernel's table; a row has the remote address, the state, how often it was sent again, the inode."""
        lines = [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
        ]
        for number, row in enumerate(rows):
            remote, state, again, inode = row.split()
            lines.append(
                f"{number}: 0300000A:8000 {remote} {state} 00000000:00000000 00:00000000 {again} 0 0 {inode} 1 0"
            )
        (self.proc / str(pid) / "net" / "tcp").write_text("\n".join(lines) + "\n")

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run a command as a host's shell does, with this host's systemctl."""
        tools = self.root / "bin"
        tools.mkdir(exist_ok=True)
        lines = "".join(f"{name}={value}\n" for name, value in self.shown.items())
        (self.root / "shown").write_text(lines)
        program = tools / "systemctl"
        program.write_text(
            f'#!/bin/sh\ncase $3 in ControlGroup) echo "ControlGroup={CGROUP}" ;; *) cat {self.root}/shown ;; esac\n'
        )
        program.chmod(0o755)
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        done = subprocess.run(
            argv, capture_output=True, text=True, env=environment, check=False
        )  # the script under test
        self.printed.append(done.stdout + done.stderr)
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def read(self, *, clock: float = 0.0, log: str = "", files: str = "") -> ServiceProcess:
        """Return what is read of the unit."""
        found = self.ask(clock=clock, log=log, files=files)
        assert isinstance(found, ServiceProcess), found
        return found

    def ask(
        self, *, clock: float = 0.0, log: str = "", files: str = "", prefix: tuple[str, ...] = ()
    ) -> ServiceProcess | Unanswered:
        """Return what is read of the unit, or why it cannot be told."""
        source = ProcessSource("nova-compute", "cmp1", "nova-compute", log, files, prefix)
        shells = {"cmp1": self}
        context = ProbeContext("ctl1", {}, {}, self, reach=lambda host: shells[host])
        offset = clock or datetime.now().timestamp()  # noqa: DTZ005  # a moment
        [found] = read_processes(
            context, [source], BROKERS, lambda: offset, str(self.proc)
        ).values()
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.proc.mkdir()
    return made


def test_a_healthy_service_is_read(host: Host) -> None:
    host.process(7, "S", [501, 502])
    host.process(8, "S", [601], cgroup="/system.slice/nova-compute.service.more")
    host.connections(
        7,
        "0100000A:1628 01 00000000 501",  # 10.0.0.1:5672
        "0100000A:1628 01 00000000 601",  # of another unit
        "0900000A:0CEA 01 00000000 502",  # a database
        "00000000:0000 0A 00000000 502",  # listens
    )
    found = host.read()
    assert (found.unit.active_state, found.states, found.frozen) == ("active", ("S",), False)
    assert found.peers == (Peer("ctl1:5672", established=True),)
    assert found.unit.age is not None
    assert found.unit.age > 0
    assert (found.skew, found.full, found.complaints) == (0.0, "", {})


def test_a_stopped_process_and_attempts_to_connect_are_seen(host: Host) -> None:
    host.process(7, "T", [501, 502])
    host.connections(7, "0100000A:1628 02 00000003 501", "0200000A:1628 01 00000006 502")
    found = host.read()
    assert found.states == ("T",)
    assert set(found.peers) == {
        Peer("ctl1:5672", established=False, attempted=True, unacknowledged=3),
        Peer("10.0.0.2:5672", established=True, unacknowledged=6),
    }


def test_clients_that_the_service_has_not_taken_are_counted(host: Host) -> None:
    """A wedged broker listens and takes nobody: the kernel connects clients until the listener's queue is full."""
    host.process(7, "S", [501, 502, 503])
    host.connections(7, "0100000A:1628 01 00000000 503")
    rows = [
        "0: 0300000A:1628 00000000:0000 0A 00000000:00000080 00:00000000 00000000 0 0 501 1 0",
        "1: 0400000A:1628 00000000:0000 0A 00000000:00000001 00:00000000 00000000 0 0 502 1 0",
        "2: 0300000A:3D38 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 503 1 0",
        "3: 0300000A:0016 00000000:0000 0A 00000000:00000007 00:00000000 00000000 0 0 999 1 0",
    ]
    (host.proc / "7/net/tcp6").write_text("\n".join(rows) + "\n")
    found = host.read()
    assert found.waiting == {5672: 129}
    assert found.peers == (Peer("ctl1:5672", established=True),)


def test_a_unit_that_does_not_run_is_read(host: Host) -> None:
    host.shown |= {
        "LoadState": "masked",
        "ActiveState": "inactive",
        "UnitFileState": "masked",
        "InactiveEnterTimestamp": f"{datetime.now(UTC) - timedelta(seconds=90):%a %Y-%m-%d %H:%M:%S UTC}",
    }
    found = host.read()
    assert (found.unit.load_state, found.unit_file, found.states) == ("masked", "masked", ())
    assert found.stopped_for is not None
    assert 89 <= found.stopped_for <= 100


def test_only_what_the_present_processes_log_counts(host: Host) -> None:
    """What a process that has ended wrote is history, however young."""
    host.process(7, "S")
    now = datetime.now()  # noqa: DTZ005  # logs are in the host's own zone
    stamps = [f"{now - timedelta(seconds=age):%Y-%m-%d %H:%M:%S}.120" for age in (400, 30, 3)]
    log = host.root / "nova-compute.log"
    log.write_text(
        f"{stamps[0]} 6 ERROR oslo [-] ACCESS_REFUSED - Login was refused\n"
        f"{stamps[1]} 7 ERROR oslo [-] ACCESS_REFUSED - Login was refused\n"
        f"{stamps[2]} 7 ERROR oslo [-] AMQP server on ctl1:5672 is unreachable: timed out\n"
    )
    found = host.read(log=str(log))
    assert found.earlier["refused"].count == 1
    assert {kind: each.count for kind, each in found.complaints.items()} == {
        "refused": 1,
        "unreachable": 1,
    }
    age = found.complaints["refused"].age
    assert age is not None
    assert 29 <= age <= 40


def test_no_secret_leaves_the_host_and_a_difference_does(host: Host) -> None:
    host.process(7, "S", arguments=f"python3 nova-compute --config-file {host.root}/nova.conf")

    def login_with(password: str) -> tuple[str, str]:
        (host.root / "nova.conf").write_text(
            f"[DEFAULT]\ntransport_url = rabbit://nova:{password}@10.0.0.1:5672,nova:{password}@10.0.0.2:5672/v\n"
        )
        login = host.read().login
        assert login
        return login.user, login.password

    first, second = login_with(SECRET), login_with("other")
    assert first != second
    assert first[0] != "nova"
    for text in ("nova:", SECRET, "s3cret", "10.0.0.2"):
        assert text not in "".join(host.printed).replace("nova-compute", "")


def test_a_clock_outside_of_the_time_in_which_it_was_asked_is_off(host: Host) -> None:
    host.process(7, "S")
    ahead = datetime.now().timestamp() - 94  # noqa: DTZ005  # a moment
    assert 93 <= host.read(clock=ahead).skew <= 99


@pytest.mark.parametrize(
    ("shell", "cause"),
    [
        (UnreachableShell(), "unreachable"),
        (ScriptedShell(CommandResult(0, "", "")), "cannot be told"),
        (
            ScriptedShell(CommandResult(0, "unit LoadState=loaded\nunit ActiveState=active\n", "")),
            "cannot be told",
        ),
        (ScriptedShell(CommandResult(3, "end\n", "no systemd")), "no systemd"),
    ],
    ids=["unreachable", "nothing", "cut", "no-systemd"],
)
def test_a_host_that_says_nothing_whole_is_not_told(shell: Json, cause: str) -> None:
    context = ProbeContext("ctl1", {}, {}, shell, reach=lambda _: shell)
    found: Mapping[str, Json] = read_processes(context, [ProcessSource("s", "h", "s")], Brokers())
    [answer] = found.values()
    assert isinstance(answer, Unanswered)
    assert cause in answer.cause


def test_a_unit_that_runs_without_a_process_that_is_seen_is_not_told(host: Host) -> None:
    """Its control group may have another name than the kernel shows: nothing was looked at, so nothing is known."""
    host.process(7, "S", cgroup="/lxc/other.service")
    answer = host.ask()
    assert isinstance(answer, Unanswered)
    assert "systemd shows nova-compute as active, and no process of it was seen" in answer.cause


@pytest.mark.parametrize(
    "lead",
    ["echo 'no such container' >&2; exit 1", 'sh "$@" | head -n 1; echo "no such container" >&2'],
    ids=["no-container", "cut"],
)
def test_processes_in_a_container_that_gives_no_whole_answer_are_not_told(
    host: Host, lead: str
) -> None:
    (host.root / "exec").write_text(lead.replace('sh "$@"', '"$@"'))
    answer = host.ask(prefix=("sh", f"{host.root}/exec"))
    assert isinstance(answer, Unanswered)
    assert "its processes could not be looked at: no such container" in answer.cause


def test_of_a_stopped_unit_no_container_answers_and_that_is_whole(host: Host) -> None:
    host.shown |= {"ActiveState": "inactive"}
    (host.root / "exec").write_text("exit 1")
    answer = host.ask(prefix=("sh", f"{host.root}/exec"))
    assert isinstance(answer, ServiceProcess)


def test_the_age_of_a_start_is_told_by_the_wall_clock(host: Host) -> None:
    """In a container the uptime may be its own: a unit that started days ago is not young for that."""
    host.process(7, "S")
    moment = datetime.now(UTC) - timedelta(days=2)
    host.shown |= {"ActiveEnterTimestamp": f"{moment:%a %Y-%m-%d %H:%M:%S UTC}"}
    age = host.read().unit.age
    assert age is not None
    assert 172_799 <= age <= 172_820


def test_a_complaint_without_a_time_has_no_age(host: Host) -> None:
    host.process(7, "S")
    log = host.root / "nova-compute.log"
    log.write_text("? ? 7 ERROR oslo [-] No space left on device\n")
    assert host.read(log=str(log)).complaints == {"full": Complaint(1, None)}


def test_of_a_service_that_has_ended_its_last_process_counts(host: Host) -> None:
    """nova-compute that the broker refuses at its start ends, and systemd calls that a success."""
    host.shown |= {"ActiveState": "inactive"}
    log = host.root / "nova-compute.log"
    log.write_text(
        "2026-11-21 00:00:01.000 6 ERROR oslo [-] ACCESS_REFUSED - Login was refused\n"
        "2026-11-21 00:01:01.000 7 INFO nova [-] Starting\n"
        "2026-11-21 00:01:02.000 7 ERROR oslo [-] amqp.exceptions.AccessRefused: (403) ACCESS_REFUSED\n"
    )
    found = host.read(log=str(log))
    assert (found.earlier["refused"].count, found.complaints["refused"].count) == (1, 1)
