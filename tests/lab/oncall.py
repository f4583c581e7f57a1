"""Plants faults on the lab's hosts one after another, and compares the first line of `holdfast diagnose`.

The cases in memory are tests/unit/diagnosis/cases.py; here the hosts are real, so that those are not kinder than a real
fault. Names of faults as arguments choose some. What the diagnosis prints is typed, then, where that only shows the
fault, the repair of the case, as a person would think of it; commands are counted until nothing is wrong.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAB = os.environ.get("LAB_NAME", "holdfast")
HOLDFAST = (sys.executable, "-m", "holdfast.cli")
SITE = ("--site", "lab")
WELL_SECONDS = 420
HERE = ""
"""In place of a host: a command of this machine."""
pause = threading.Event().wait

Commands = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fault:
    """A fault: what plants and what repairs it, per host; when it shows (seconds); the line expected.

    ``dies``: a run that is begun and killed instead, with its plays, as soon as it has a host in hand.
    """

    name: str
    plant: Commands
    repair: Commands
    line: str
    seconds: float = 5.0
    dies: tuple[str, ...] = ()


_TABLE = "table inet oncall"
_CHAIN = (
    "nft add chain inet oncall {0} '{{ type filter hook {0} priority 0; }}';"
    " nft add rule inet oncall {0} tcp dport {1} drop;"
    " nft add rule inet oncall {0} tcp sport {1} drop"
)
_FILTER = f"nft add {_TABLE}; {_CHAIN}"
_CUT = f"{_FILTER.format('output', 25672)}; {_FILTER.format('input', 25672)}"
_ON_PARTITION = "rabbitmqctl eval 'application:set_env(rabbit, cluster_partition_handling, {}).'"
_LISTENERS = "{{conns_sup, {acceptor, _, 5672}, _}, P} <- ets:tab2list(ranch_server)"
SUSPEND = f"rabbitmqctl eval '[sys:suspend(P) || {_LISTENERS}].'"
"""A broker runs, keeps its connections, and answers nobody who connects anew."""
_DROP_IN = "/run/systemd/system/nova-scheduler.service.d"
_FLAP = r"[Service]\nRuntimeMaxSec=12\nRestart=always\nRestartSec=1\n"

FAULTS = (
    Fault(
        "masked",
        (("cmp3", "systemctl stop nova-compute; systemctl mask nova-compute"),),
        (("cmp3", "systemctl unmask nova-compute; systemctl start nova-compute"),),
        r"cmp3: nova-compute is masked and not running",
    ),
    Fault(
        "stopped-and-frozen",
        (("ctl1", "systemctl stop nova-conductor"), ("ctl2", "systemctl kill -s STOP nova-scheduler")),
        (("ctl1", "systemctl start nova-conductor"), ("ctl2", "systemctl kill -s CONT nova-scheduler")),
        r"2 causes: ctl2: nova-scheduler is frozen .*; ctl1: nova-conductor is not running",
    ),
    Fault(
        "drained",
        (("ctl3", "rabbitmq-upgrade drain"),),
        (("ctl3", "rabbitmq-upgrade revive"),),
        r"ctl3: its broker is left drained",
    ),
    Fault(
        "watermark",
        (("ctl1", "rabbitmqctl set_vm_memory_high_watermark absolute 2500000"),),
        (("ctl1", "rabbitmqctl set_vm_memory_high_watermark 0.4"),),
        r"ctl1: memory alarm \(used .* GB of a limit of 0\.0025 GB; ctl2's limit is .* GB\)",
        15,
    ),
    Fault(
        "wrong-password",
        (
            ("cmp2", "cp -p /etc/nova/nova.conf /var/tmp/oncall.conf"),
            ("cmp2", r"sed -Ei '/^transport_url/s|([/,][^:/,@]*:)[^@]*@|\1wrong@|g' /etc/nova/nova.conf"),
            ("cmp2", "systemctl restart --no-block nova-compute"),
        ),
        (
            ("cmp2", "cp -p /var/tmp/oncall.conf /etc/nova/nova.conf; systemctl restart nova-compute"),
        ),
        r"cmp2: nova-compute (is|has ended,) refused by the brokers .*: the password in its nova\.conf",
        30,
    ),
    Fault(
        "packet-filter",
        (("cmp2", _FILTER.format("output", 5672)),),
        (("cmp2", f"nft delete {_TABLE}"),),
        r"cmp2: nova-compute runs and (is cut off|has no connection to a broker).*a packet filter",
        60,
    ),
    Fault(
        "flapping",
        (
            ("ctl3", f"mkdir -p {_DROP_IN}; printf '{_FLAP}' > {_DROP_IN}/oncall.conf"),
            ("ctl3", "systemctl daemon-reload; systemctl restart nova-scheduler"),
        ),
        (
            ("ctl3", f"rm -r {_DROP_IN}; systemctl daemon-reload; systemctl restart nova-scheduler"),
        ),
        r"ctl3: nova-scheduler is flapping: systemd has restarted it \d+ times",
        60,
    ),
    Fault(
        "broker-stopped",
        (("ctl2", "systemctl stop rabbitmq-server"),),
        (("ctl2", "systemctl start rabbitmq-server"),),
        r"ctl2: rabbitmq-server is not running",
    ),
    Fault(
        "database",
        (("ctl1", "systemctl stop mariadb"),),
        (("ctl1", "systemctl start mariadb"),),
        r"ctl1.*: nova gets no connection to its database",
        30,
    ),
    Fault(
        "frozen-broker",
        (("ctl2", "pkill -STOP beam.smp"),),
        (("ctl2", "systemctl restart rabbitmq-server"),),
        r"ctl2: rabbitmq-server is frozen .*; ctl1 and ctl3 wait for it",
        10,
    ),
    Fault(
        "healed-partition",
        (
            *((host, _ON_PARTITION.format("ignore")) for host in ("ctl1", "ctl2", "ctl3")),
            ("ctl3", f"{_CUT}; sleep 150; nft delete {_TABLE}"),
        ),
        (
            *((host, _ON_PARTITION.format("pause_minority")) for host in ("ctl1", "ctl2")),
            ("ctl3", "systemctl restart rabbitmq-server"),
        ),
        r"ctl3: partition: ctl3 went on without ctl1 and ctl2; restart ctl3: it is the smaller side",
        20,
    ),
    Fault(
        "dead-run",
        (),
        (),
        r"cmp1: in hand of a dead run, \S+-nova-restart-\w+ \(nova-restart\): its driver is gone",
        dies=("nova-restart", "--limit", "cmp1"),
    ),
    Fault(
        "silent-broker",
        (("ctl2", SUSPEND),),
        (("ctl2", "systemctl restart rabbitmq-server"),),
        r"ctl2: rabbitmq-server runs and accepts a connection and gives no answer to login",
    ),
    Fault(
        "disk-alarm",
        (("ctl3", "rabbitmqctl set_disk_free_limit 9000GB"),),
        (("ctl3", "rabbitmqctl set_disk_free_limit 50MB"),),
        r"ctl3: disk space alarm \(free .* GB, the limit is .* GB\)",
        15,
    ),
    Fault(
        "lost-queue",
        (("ctl1", "rabbitmqctl delete_queue scheduler.ctl2"),),
        (("ctl2", "systemctl restart nova-scheduler"),),
        r"ctl2: nova-scheduler has lost its queue",
    ),
    Fault(
        "full",
        (
            ("cmp1", "mount -t tmpfs -o size=64k none /var/log/nova; chown nova /var/log/nova"),
            ("cmp1", "systemctl restart nova-compute; head -c 1M /dev/zero > /var/log/nova/fill; true"),
        ),
        (("cmp1", "umount -l /var/log/nova; systemctl restart nova-compute"),),
        r"cmp1: nova-compute has no space left: the file system of /var/log/nova is full",
        15,
    ),
    Fault(
        "no-ssh",
        (("cmp3", "systemctl stop ssh.socket ssh.service; pkill sshd; true"),),  # Ansible's connection too
        (("cmp3", "systemctl start ssh.service"),),
        r"cmp3: the host itself does not answer Holdfast: .*Connection refused",
    ),
)  # fmt: skip


def on(host: str, command: str) -> str:
    """Run a command on a host of the lab and return what it prints; an error is shown."""
    argv = ["podman", "exec", f"{LAB}-{host}", "sh", "-c", command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  on {host}: {command}: {done.returncode} {done.stderr.strip()}", flush=True)
    return done.stdout


def diagnosed() -> dict[str, Any]:
    """Return what `holdfast diagnose --json` says."""
    argv = [*HOLDFAST, "diagnose", *SITE, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(f"holdfast diagnose printed nothing: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def printed(cause: dict[str, Any]) -> Commands:
    """Return the commands that a cause prints, each with its host; without what is only for a run that is abandoned."""
    found = []
    for step in cause["next"]:
        if there := re.fullmatch(r"on (\S+): (.+)", step):
            found.append((there[1], there[2]))
        elif step.startswith("holdfast "):
            found.append((HERE, step.replace("'…'", "'its driver died'")))
    return tuple(found)


def type_command(host: str, command: str) -> str:
    """Type a command on a host, or on this machine, and return what it prints."""
    print(f"  {f'on {host}' if host else 'here'}: {command}", flush=True)
    if host != HERE:
        return on(host, command)
    argv = [*HOLDFAST, *shlex.split(command.removeprefix("holdfast "))]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def begin_and_kill(arguments: tuple[str, ...]) -> None:
    """Begin a run, and kill it with all processes of its plays at its first intent: a host is in its hand then."""
    argv = [*HOLDFAST, "run", *arguments, *SITE, "--reason", "oncall", "--yes", "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("{") and json.loads(line)["event"]["kind"] == "act_intended":
                process.kill()
                _kill_plays(json.loads(line)["run"])
                return
    raise SystemExit(f"the run that was to die has ended: {' '.join(argv)}")


def _kill_plays(run: str) -> None:
    """Kill the processes that carry the run's name (docs/adr/0012): those of its plays."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"HOLDFAST_RUN={run}".encode() in environ.read_bytes().split(b"\0"):
                os.kill(int(environ.parent.name), signal.SIGKILL)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # it has ended, or is another user's or the system's


@dataclass(frozen=True, slots=True)
class Handled:
    """How a fault was handled: whether its line named it, and how many commands were typed until it was repaired."""

    name: str
    named: bool
    commands: int


def handled(fault: Fault) -> Handled:
    """Plant a fault, ask, type what is printed, and ask again; where it is still there, type the case's repair."""
    for host, command in fault.plant:
        on(host, command)
    if fault.dies:
        begin_and_kill(fault.dies)
    pause(fault.seconds)
    found = diagnosed()
    named, commands = re.match(fault.line, found["line"]) is not None, 1
    print(
        f"{fault.name}: {'named' if named else 'NOT NAMED'} in {found['seconds']:.0f} s: {found['line']}",
        flush=True,
    )
    if not named:
        print(json.dumps(found, indent=1), flush=True)
    for cause in found["causes"]:
        for host, command in printed(cause)[:1]:
            type_command(host, command)
            commands += 1
    again = {each["name"] for each in diagnosed()["causes"]}
    if again & {each["name"] for each in found["causes"]} or not named:
        for host, command in fault.repair:
            type_command(host, command)
            commands += 1
    print(f"  {commands + 1} commands, with the last diagnosis", flush=True)
    return Handled(fault.name, named, commands + 1)


def wait_until_well() -> None:
    """Wait until the lab is well again; ends the program where it does not become so."""
    until, line = time.monotonic() + WELL_SECONDS, ""
    while time.monotonic() < until:
        line = diagnosed()["line"]
        if line.startswith("nothing is wrong"):
            return
        pause(5)
    raise SystemExit(f"the lab is not well after {WELL_SECONDS} s: {line}")


def main(chosen: list[str]) -> int:
    """Plant each fault, or those chosen, and return the exit status."""
    if unknown := set(chosen) - {fault.name for fault in FAULTS}:
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}")
    done = []
    for fault in FAULTS:
        if not chosen or fault.name in chosen:
            wait_until_well()
            done.append(handled(fault))
    wait_until_well()
    named, counts = sum(each.named for each in done), [each.commands for each in done]
    print(f"{named} of {len(done)} faults were named by the first line")
    print(f"commands until repaired: median {statistics.median(counts):g}, at most {max(counts)}")
    return 0 if named == len(done) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
