"""Plants what is wrong before a run on the lab, and proves that the run is refused, says why, and touches nothing.

    make bad-input          (LAB_RELEASE, LAB_NAME, LAB_SUBNET as for `make lab-up`; ROWS=desynced,password for some)

The lab has the profile ``cloud``. Each row is planted, `holdfast run` is typed, and what was planted is taken back. A
row is good where the run was refused, its words name the cause, and no server of MariaDB, haproxy, nova-api or
placement-api was started or stopped meanwhile. Prints a line of JSON for each.
"""

from __future__ import annotations

import getpass
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.cloud import CONTROLS, LAB_DIR, SITE, holdfast, lab_up, on

STRANGER = LAB_DIR / "with-a-stranger"
REFUSED, HELD, WELL_SECONDS = 3, 4, 180
UNITS = ("mariadb", "haproxy", "nova-api", "placement-api")
pause = threading.Event().wait


@dataclass(frozen=True, slots=True)
class Row:
    """Programs of the shell that plant something on a host and take it back, and what the refusal has to say."""

    host: str
    plant: str
    repair: str
    says: str
    runbook: str = "galera-restart"
    site: Path = SITE
    code: int = REFUSED


ROWS = {
    "two-writers": Row(
        "ctl2",
        "cp haproxy.cfg kept.cfg; sed -i 's/ backup$//' haproxy.cfg; systemctl reload haproxy",
        "mv kept.cfg haproxy.cfg; systemctl reload haproxy",
        "gives new sessions to more than one server",
    ),
    "two-haproxies": Row(
        "ctl2",
        "tell set server galera/ctl1 state maint",
        "tell set server galera/ctl1 state ready",
        "new sessions go to",
    ),
    "stranger": Row(
        "cmp1",
        "systemctl unmask mariadb; systemctl start mariadb;"
        " sql \"GRANT PROCESS ON *.* TO holdfast@'%' IDENTIFIED BY '$password'\"",
        "systemctl stop mariadb; systemctl mask mariadb",
        "is no node of a Galera cluster: wsrep_on is OFF",
        site=STRANGER,
    ),
    "desynced": Row(
        "ctl3",
        "sql 'SET GLOBAL wsrep_desync = ON'",
        "sql 'SET GLOBAL wsrep_desync = OFF'",
        "was desynced on purpose",
    ),
    "password": Row(
        "ctl1",
        "sql \"ALTER USER holdfast IDENTIFIED BY 'another'\"",
        "sql \"ALTER USER holdfast IDENTIFIED BY '$password'\"",
        "the account or its password is wrong",
    ),
    "read-only": Row(
        "ctl1",
        "sql 'SET GLOBAL read_only = ON'",
        "sql 'SET GLOBAL read_only = OFF'",
        "is read-only",
    ),
    "max-connections": Row(
        "ctl3",
        "sql 'SET GLOBAL max_connections = 10'; for i in $(seq 12); do"
        " setsid mariadb --protocol=tcp -u haproxy -e 'SELECT SLEEP(300)' >/dev/null 2>&1 </dev/null & done; sleep 1",
        "sql \"SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE user = 'haproxy'\""
        " | mariadb -f;"
        " sql 'SET GLOBAL max_connections = 151'",
        "all connections are taken (max_connections)",
    ),
    "socket": Row(
        "ctl2",
        "mv /run/haproxy/admin.sock /run/haproxy/kept.sock",
        "mv /run/haproxy/kept.sock /run/haproxy/admin.sock",
        "haproxy cannot be asked: there is no socket",
    ),
    # The lab's placement has its own database from the beginning. Its first step has passed when that is asked.
    "rows": Row("ctl1", "true", "true", "has tables already", "placement-extraction", code=HELD),
}
_BEGIN = r"""
cd /etc/haproxy
sql() { mariadb -BNe "$1"; }
tell() { echo "$*" | socat - UNIX-CONNECT:/run/haproxy/admin.sock; }
read -r password
"""


def change(host: str, program: str) -> None:
    """Run a program of the shell on a host; it reads the password of the account."""
    on(host, _BEGIN + program, (LAB_DIR / "secrets/galera").read_text() + "\n")


def started() -> dict[str, str]:
    """Return which invocation of each unit runs on each control host."""
    read = f"systemctl show -p Id -p InvocationID -p ActiveState {' '.join(UNITS)}"
    return {host: on(host, read) for host in CONTROLS}


def said_by(*words: str) -> tuple[int, str]:
    """Return the exit status of a command of Holdfast and what it printed, without its line breaks."""
    done = holdfast(*words)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def wait_until_well() -> None:
    """Wait until the cluster and its haproxies are well; ends the program where they do not become so."""
    until = time.monotonic() + WELL_SECONDS
    while True:
        code, said = said_by(
            "check", "--site", str(SITE), "galera.nodes_synced", "haproxy.one_writer"
        )
        if code == 0:
            return
        if time.monotonic() > until:
            raise SystemExit(
                f"bad-input: the lab is not well after {WELL_SECONDS} s: {said[-2000:]}"
            )
        pause(2)


def add_stranger() -> None:
    """Write a site with one host more in the group galera."""
    STRANGER.mkdir(exist_ok=True)
    for name in ("hosts.py", "group_vars"):
        if not (STRANGER / name).exists():
            (STRANGER / name).symlink_to(SITE / name)
    (STRANGER / "stranger.yml").write_text("galera: {hosts: {cmp1: {}}}\n")


def add_people() -> None:
    """Name who runs this, and an approver beside: a runbook with approvals is refused without them."""
    file = LAB_DIR / "config/holdfast/people.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    starter = os.environ.get("SUDO_USER") or getpass.getuser()
    file.write_text(f"people: {{starter: ['login:{starter}'], approver: ['login:lab-approver']}}\n")


def tried(name: str, row: Row) -> dict[str, Any]:
    """Return what the run said, and what is wrong with that."""
    wait_until_well()
    before = started()
    change(row.host, row.plant)
    try:
        code, said = said_by(
            "run", row.runbook, "--site", str(row.site), "--reason", "to be refused", "--yes"
        )
    finally:
        change(row.host, row.repair)
    faults = [] if code == row.code else [f"exit status {code}"]
    faults += [] if row.says in said else ["the cause is not named"]
    faults += [] if started() == before else ["a service was started or stopped"]
    shown = {} if not faults else {"said": said[-3000:]}
    return {"row": name, "exit": code, "faults": faults, **shown}


def main() -> int:
    """Try each row, or those chosen, and return the exit status."""
    chosen = [each for each in os.environ.get("ROWS", "").split(",") if each] or [*ROWS]
    if unknown := set(chosen) - set(ROWS):
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    lab_up()
    add_stranger()
    add_people()
    bad = 0
    for name in chosen:
        result = tried(name, ROWS[name])
        bad += bool(result["faults"])
        print(json.dumps(result), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
