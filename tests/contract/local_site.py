"""A site without a lab: local "hosts", each with a systemctl of its own, for the real playbooks.

Every host is a directory. Its Python and its shell put the ``systemctl`` of that directory first in
the path; it keeps units in files and records every restart, and tests check that record.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from holdfast.model import HOST_DIRECTORY

UNIT = "toy"

SYSTEMCTL = """\
#!/bin/sh
# {host}: `systemctl show … -- UNIT` and `systemctl restart -- UNIT`, with state in files.
for last; do :; done
here={place}/${{last%.service}}; mkdir -p "$here"
read -r starts < "$here/starts" || starts=1
state=active; [ ! -e "$here/down" ] || state=failed
case $1 in
  show)
    if [ -e {place}/late ]; then sed -i 's/"expires": [0-9.]*/"expires": 1/' {place}/run/*.mark; rm {place}/late; fi
    name=${{last%.service}}; [ ! -e "$here/alias" ] || read -r name < "$here/alias"
    printf 'Id=%s.service\\nActiveState=%s\\nSubState=%s\\n' "$name" $state $state
    printf 'LoadState=loaded\\nType=simple\\nResult=\\nInvocationID=%s\\nJob=\\n' "{host}-$starts"
    [ ! -e "$here/flaps" ] || TZ=UTC date -d "@$(cat "$here/flaps")" '+ActiveEnterTimestamp=%a %Y-%m-%d %H:%M:%S UTC'
    [ ! -e "$here/flaps" ] && echo NRestarts=0 || echo NRestarts=5 ;;
  restart)
    echo restart >> {place}/record; rm -f "$here/flaps"
    starts=$((starts + 1)); echo "$starts" > "$here/starts"
    [ ! -e {place}/log ] || echo "2026-11-21 01:00:00.000 2 INFO nova.service [-] Starting" >> {place}/log
    patience=600; while [ -e {place}/slow ] && [ $((patience -= 1)) -gt 0 ]; do sleep 0.1; done
    [ ! -e {place}/broken ] || {{ touch "$here/down"; echo "it did not start" >&2; exit 1; }} ;;
esac
"""

# `busctl … get-property …`: no unit is killed before a minute and a half.
BUSCTL = """\
#!/bin/sh
echo 't 90000000'
"""

# What the host says it is. It is asked with the unit's state: by the first batch, and twice before the host's own act.
UNAME = """\
#!/bin/sh
echo asked >> {place}/asked
cat {place}/hostname
"""

PYTHON = """\
#!/bin/sh
PATH={place}:$PATH exec {python} "$@"
"""

# It gives what is sent to the host a directory of its own for locks and marks.
SHELL = f"""\
#!/bin/bash
PATH={{place}}:$PATH exec /bin/sh "${{{{@//"{HOST_DIRECTORY}"/{{place}}/run}}}}"
"""


PROGRAMS = (
    ("systemctl", SYSTEMCTL),
    ("busctl", BUSCTL),
    ("uname", UNAME),
    ("python", PYTHON),
    ("sh", SHELL),
)


@dataclass(frozen=True)
class LocalSite:
    """An inventory, and the directories of its hosts."""

    path: Path
    hosts: tuple[str, ...]

    @classmethod
    def make(cls, path: Path, *hosts: str, unreachable: tuple[str, ...] = ()) -> LocalSite:
        """Return a new site of hosts that run UNIT; those of ``unreachable`` do not answer."""
        site = cls(path, hosts)
        for host in hosts:
            site._make_host(host)
        (path / "group_vars").mkdir(parents=True)
        (path / "group_vars" / "all.yml").write_text("holdfast_site: contract\n")
        site.make_unreachable(*unreachable)
        return site

    def make_unreachable(self, *unreachable: str) -> None:
        """Make these hosts, and no others, unreachable."""
        self._write(dict.fromkeys(unreachable, _NOWHERE))

    def make_unreachable_in_mid_turn(self, host: str) -> None:
        """Make the host unreachable just before the acts of the second batch."""
        asked = self.place(host) / "asked"
        lines = (
            f"(lookup('ansible.builtin.file', '{asked}') if '{asked}' is file else '').splitlines()"
        )
        connection = f"{{{{ 'ssh' if {lines} | length >= 3 else 'local' }}}}"
        self._write({host: self._variables(host) | _NOWHERE | {"ansible_connection": connection}})

    def _write(self, others: dict[str, dict[str, object]]) -> None:
        entries = {host: self._variables(host) for host in self.hosts} | others
        # Atomically, since a play may be reading it.
        fresh = self.path / ".hosts.new"
        fresh.write_text(json.dumps({"toys": {"hosts": entries}}))
        fresh.rename(self.path / "hosts.yml")

    def place(self, host: str) -> Path:
        """Return the directory of a host."""
        return self.path / ".hosts" / host

    def restarts(self, host: str) -> int:
        """Return how often the host's systemctl was called to restart the unit."""
        record = self.place(host) / "record"
        return len(record.read_text().splitlines()) if record.exists() else 0

    def break_restart(self, host: str) -> None:
        """Make every later restart of the unit fail."""
        (self.place(host) / "broken").touch()

    def make_slow(self, host: str) -> None:
        """Make every later restart take a minute."""
        (self.place(host) / "slow").touch()

    def lock(self, host: str) -> TextIO:
        """Hold the host's lock on the unit until the file is closed, as an act in progress does."""
        path = self.place(host) / "run" / f"{UNIT}.service.lock"
        path.parent.mkdir(exist_ok=True)
        file = path.open("a+")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def stop_unit(self, host: str) -> None:
        """Stop the unit."""
        (self.place(host) / UNIT).mkdir(exist_ok=True)
        (self.place(host) / UNIT / "down").touch()

    def flap(self, host: str, seconds: float = 0, unit: str = UNIT) -> None:
        """Let systemd have restarted the unit five times, for the last time so many seconds ago."""
        self._note(host, unit, "flaps", f"{time.time() - seconds:.0f}")

    def rename_unit(self, host: str, name: str) -> None:
        """Let the unit be another name of this one."""
        self._note(host, UNIT, "alias", name)

    def _note(self, host: str, unit: str, file: str, text: str) -> None:
        (self.place(host) / unit).mkdir(exist_ok=True)
        (self.place(host) / unit / file).write_text(f"{text}\n")

    def expire_marks(self, host: str) -> None:
        """Let the host's marks expire when its units are asked for the next time, as if that took half an hour."""
        (self.place(host) / "late").touch()

    def call_itself(self, host: str, name: str) -> None:
        """Let the host say that this is its hostname."""
        (self.place(host) / "hostname").write_text(f"{name}\n")

    def repair(self, host: str) -> None:
        """Undo the faults, and start a unit that is down."""
        for name in ("broken", "slow"):
            (self.place(host) / name).unlink(missing_ok=True)
        down = self.place(host) / UNIT / "down"
        if down.exists():
            down.unlink()
            starts = self.place(host) / UNIT / "starts"
            starts.write_text(f"{int(starts.read_text()) + 1}\n" if starts.exists() else "2\n")

    def _make_host(self, host: str) -> None:
        place = self.place(host)
        place.mkdir(parents=True)
        self.call_itself(host, host)
        for name, text in PROGRAMS:
            program = place / name
            program.write_text(
                text.format(host=host, place=place, unit=UNIT, python=sys.executable)
            )
            program.chmod(0o755)

    def _variables(self, host: str) -> dict[str, object]:
        place = self.place(host)
        return {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": str(place / "python"),
            "ansible_shell_executable": str(place / "sh"),
        }


# Nothing listens on this port: connections are refused at once.
_NOWHERE: dict[str, object] = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 9,
}
