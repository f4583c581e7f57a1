#!/usr/bin/env python3
"""Plants faults on the lab's hosts one after another, and compares the first line of `holdfast diagnose`.

The cases in memory are tests/unit/diagnosis/cases.py; here the hosts are real, so that those are not kinder than a real
fault. Names of faults as arguments choose some. Each fault is repaired again, also where its line was another.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

LAB = os.environ.get("LAB_NAME", "holdfast")
HOLDFAST = (sys.executable, "-m", "holdfast.cli")
SITE = ("--site", "lab")
WELL_SECONDS = 420
pause = threading.Event().wait

Commands = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fault:
    """A fault: what plants and what repairs it, per host; when it shows (seconds); the line expected."""

    name: str
    plant: Commands
    repair: Commands
    line: str
    seconds: float = 5.0


_TABLE = "table inet oncall"
_CHAIN = (
    "nft add chain inet oncall {0} '{{ type filter hook {0} priority 0; }}';"
    " nft add rule inet oncall {0} tcp dport {1} drop;"
    " nft add rule inet oncall {0} tcp sport {1} drop"
)
_FILTER = f"nft add {_TABLE}; {_CHAIN}"
_CUT = f"{_FILTER.format('output', 25672)}; {_FILTER.format('input', 25672)}"
_ON_PARTITION = "rabbitmqctl eval 'application:set_env(rabbit, cluster_partition_handling, {}).'"
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
)  # fmt: skip


def on(host: str, command: str) -> None:
    """Run a command on a host of the lab; what it prints is shown where it fails."""
    argv = ["podman", "exec", f"{LAB}-{host}", "sh", "-c", command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  on {host}: {command}: {done.returncode} {done.stderr.strip()}", flush=True)


def diagnosis() -> list[str]:
    """Return the lines of `holdfast diagnose`."""
    done = subprocess.run([*HOLDFAST, "diagnose", *SITE], capture_output=True, text=True, check=False)  # fmt: skip
    return (done.stdout or done.stderr).splitlines() or [""]


def is_named(fault: Fault) -> bool:
    """Plant a fault, ask, repair it again, and return whether the first line named it."""
    for host, command in fault.plant:
        on(host, command)
    pause(fault.seconds)
    began = time.monotonic()
    lines = diagnosis()
    named = re.match(fault.line, lines[0]) is not None
    verdict = "named" if named else "NOT NAMED"
    print(f"{fault.name}: {verdict} in {time.monotonic() - began:.0f} s: {lines[0]}", flush=True)
    if not named:
        print("\n".join(f"  {line}" for line in lines[1:]), flush=True)
    for host, command in fault.repair:
        on(host, command)
    return named


def wait_until_well() -> None:
    """Wait until the lab is well again; ends the program where it does not become so."""
    until, line = time.monotonic() + WELL_SECONDS, ""
    while time.monotonic() < until:
        [line, *_] = diagnosis()
        if line.startswith("nothing is wrong"):
            return
        pause(5)
    raise SystemExit(f"the lab is not well after {WELL_SECONDS} s: {line}")


def main(chosen: list[str]) -> int:
    """Plant each fault, or those chosen, and return the exit status."""
    if unknown := set(chosen) - {fault.name for fault in FAULTS}:
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}")
    faults = [fault for fault in FAULTS if not chosen or fault.name in chosen]
    missed = []
    for fault in faults:
        wait_until_well()
        if not is_named(fault):
            missed.append(fault.name)
    wait_until_well()
    print(f"{len(faults) - len(missed)} of {len(faults)} faults were named by the first line")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
