"""Plants faults in the middle of a rolling restart of the lab's Galera cluster, and resumes it when they are repaired.

Each run begins on a lab that is well, under the writes of ``tests.lab.instruments.writes``. At a moment of the first
host's turn a host is powered off, or cut off from the other nodes, or the driver is killed, or the asynchronous replica
falls behind for a minute, for which the roll must wait. The run may end well, or stop without harm; after
the repair `holdfast resume` (or, where nothing had been touched, the run again) must end well. Fails where an
acknowledged write is lost, two nodes wrote at a time, nodes or replica differ, or the run did not end well in the end.
Names of faults as arguments choose some; `all` is all.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAB = os.environ.get("LAB_NAME", "holdfast-data")
REPORT = Path(os.environ.get("LAB_DIR", f".lab/{LAB}")) / "report"
HOLDFAST = (sys.executable, "-m", "holdfast.cli")
SITE = ("--site", "inventories/lab")
NODES, REPLICA = ("ctl1", "ctl2", "ctl3"), "rep1"
RUN = (*HOLDFAST, "run", "galera-restart", *SITE, "--reason", "a fault in its middle", "--yes")
WELL_SECONDS, REFUSED, STOPPED = 420, 3, (4, 6, -signal.SIGKILL)
WANTED = {
    "lost": 0,
    "two_at_a_time": 0,
    "nodes_differ": False,
    "counter_differs": False,
    "replicas_differ": [],
}
pause = threading.Event().wait

# What a run prints when a moment of a host's turn has come.
MOMENTS = {
    "preflight": re.compile(r"batch started: (ctl\d)"),
    "drain": re.compile(r"(ctl\d) drain of mariadb begins"),
    "restart": re.compile(r"(ctl\d) restart of mariadb begins"),
    "verify": re.compile(r"(ctl\d) restart of mariadb (?:took|is done)"),
    "undrain": re.compile(r"(ctl\d) undrain of mariadb begins"),
}
_PORTS = "{ 4567, 4568, 4444 }"  # of the cluster; clients and SSH reach the node all the same
_CUT = (
    "nft 'add table inet fault; add chain inet fault in { type filter hook input priority 0; };"
    " add chain inet fault out { type filter hook output priority 0; };"
    f" add rule inet fault in tcp dport {_PORTS} drop; add rule inet fault in tcp sport {_PORTS} drop;"
    f" add rule inet fault out tcp dport {_PORTS} drop; add rule inet fault out tcp sport {_PORTS} drop'"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens (``off``, ``cut``, ``behind``, ``killed``), when, and to whom.

    To the host in hand (``own``), to another that is not the writer (``other``), to the replica, or to the driver.
    """

    what: str
    whose: str
    moment: str

    @property
    def name(self) -> str:
        """Its name as an argument."""
        return f"{self.what}-{self.whose}-{self.moment}"

    def victim(self, in_hand: str) -> str:
        """Return the host that it happens to, or ``driver``."""
        if self.whose == "driver":
            return self.whose
        if self.whose == "replica":
            return REPLICA
        return in_hand if self.whose == "own" else next(n for n in NODES[::-1] if n != in_hand)


FAULTS = (
    *(Fault("off", "own", moment) for moment in MOMENTS),
    Fault("off", "other", "drain"),
    Fault("off", "other", "verify"),
    Fault("cut", "own", "drain"),
    Fault("cut", "own", "verify"),
    Fault("cut", "other", "drain"),
    Fault("cut", "other", "verify"),
    Fault("behind", "replica", "verify"),
    Fault("killed", "driver", "drain"),
    Fault("killed", "driver", "restart"),
)


def podman(*argv: str) -> None:
    """Run podman; raises CalledProcessError where it fails."""
    subprocess.run(["podman", *argv], check=True, capture_output=True, text=True)


def plant(what: str, host: str) -> None:
    """Power a host off, cut it off from the other nodes, or let it apply nothing for a minute."""
    if what == "off":
        podman("kill", f"{LAB}-{host}")
    elif what == "behind":
        locked = "FLUSH TABLES WITH READ LOCK; SELECT SLEEP(60)"
        podman("exec", "--detach", f"{LAB}-{host}", "mariadb", "--execute", locked)
    else:
        podman("exec", f"{LAB}-{host}", "sh", "-c", _CUT)


def repair(what: str, host: str) -> None:
    """Undo that; a replica that is behind gets on by itself, and what a killed driver has left is for the resume."""
    if what == "off":
        podman("start", f"{LAB}-{host}")
    elif what == "cut":
        podman("exec", f"{LAB}-{host}", "nft", "delete", "table", "inet", "fault")
        # A server that was started while it was cut off has given up; who repairs the network starts it.
        podman("exec", f"{LAB}-{host}", "systemctl", "start", "mariadb")


def wait_until_well(claims: Sequence[str]) -> None:
    """Wait until the claims hold; ends the program where they do not."""
    until, said = time.monotonic() + WELL_SECONDS, ""
    while time.monotonic() < until:
        command = [*HOLDFAST, "check", *SITE, *claims]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said = done.stdout[-2000:]
        pause(3)
    raise SystemExit(f"the lab is not well after {WELL_SECONDS} s:\n{said}")


@contextmanager
def writes(name: str) -> Iterator[Path]:
    """Write through every load balancer meanwhile; yields the file of the summary, which is there at the end."""
    record, summary = REPORT / f"{name}.jsonl", REPORT / f"{name}.json"
    record.unlink(missing_ok=True)
    program = [sys.executable, "-m", "tests.lab.instruments.writes"]
    with (REPORT / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*program, "--out", str(record), "--summary", str(summary)],
            stderr=log,
            start_new_session=True,
        )
        try:
            while not record.exists() or len(record.read_text().splitlines()) < 10:
                if process.poll() is not None:
                    raise SystemExit(f"the writes have ended: {log.name}")
                pause(0.5)
            yield summary
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def run_with(fault: Fault) -> tuple[int, str, str]:
    """Run, and plant the fault when its moment has come; return exit status, output and the victim."""
    victim, lines = "", []
    with subprocess.Popen(RUN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            lines.append(line)
            if not victim and (found := MOMENTS[fault.moment].search(line)):
                victim = fault.victim(found[1])
                if fault.what == "killed":
                    run.kill()
                else:
                    plant(fault.what, victim)
    return run.returncode, "".join(lines), victim


def stopped_by(output: str) -> str:
    """Return the claim that a run has stopped at, "" where it ended well."""
    found = re.findall(r"^ *claim +(\S+)", output, re.MULTILINE)
    return found[-1] if found else ""


def newest_run() -> str:
    """Return the id of the last run that began."""
    runs = Path(os.environ["HOLDFAST_STATE_DIR"]) / "runs"
    return max(runs.glob("*-galera-restart-*"), key=lambda each: each.stat().st_mtime).name


def tried(fault: Fault) -> dict[str, Any]:
    """Return what became of a run with this fault, and what the instrument saw."""
    wait_until_well([])
    with writes(fault.name) as summary:
        code, output, victim = run_with(fault)
        if not victim:
            raise SystemExit(f"{fault.name}: its moment did not come:\n{output}")
        (REPORT / f"{fault.name}.out").write_text(output)
        repair(fault.what, victim)
        wait_until_well(["galera.nodes_synced", "galera.members_agree"])
        again = code
        if code in STOPPED:
            command = [*HOLDFAST, "resume", newest_run(), "--reason", "the host is back"]
            again = subprocess.run(command, capture_output=True, check=False).returncode
        elif code == REFUSED:
            again = subprocess.run(RUN, capture_output=True, check=False).returncode
        pause(2)
    seen = json.loads(summary.read_text())
    faults = [f"{name}: {seen[name]}" for name, wanted in WANTED.items() if seen[name] != wanted]
    faults += [f"exit status in the end: {again}"] if again else []
    if fault.what == "behind" and (code or "replica.caught_up" not in output):
        faults.append("the roll did not wait for the replica")
    return {
        "fault": fault.name,
        "victim": victim,
        "run": code,
        "stopped_by": stopped_by(output),
        "resumed": again,
        "acknowledged": seen["acknowledged"],
        "lost": seen["lost"],
        "writers": seen["writers"],
        "longest_gap": seen["longest_gap"]["seconds"],
        "faults": faults,
    }


def main(chosen: Sequence[str]) -> int:
    """Try each fault, or those chosen, and return the exit status."""
    names = {fault.name for fault in FAULTS} | {"all"}
    if unknown := set(chosen) - names:
        raise SystemExit(
            f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}"
        )
    bad = 0
    for fault in FAULTS:
        if fault.name in chosen or "all" in chosen:
            result = tried(fault)
            bad += bool(result["faults"])
            print(json.dumps(result), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
