"""A site without a lab: local "hosts" with a systemctl of their own, driven by the real playbooks.

Every host is a directory. Its Python and its shell put that directory's ``systemctl`` first in the
path, which keeps units in files and writes down what it was asked to do: the record that tests believe.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

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
    printf 'Id=%s.service\\nActiveState=%s\\nSubState=%s\\n' {unit} $state $state
    printf 'LoadState=loaded\\nType=simple\\nResult=\\nInvocationID=%s\\nNRestarts=0\\nJob=\\n' "{host}-$starts" ;;
  restart)
    echo restart >> {place}/record
    starts=$((starts + 1)); echo "$starts" > "$here/starts"
    patience=600; while [ -e {place}/slow ] && [ $((patience -= 1)) -gt 0 ]; do sleep 0.1; done
    [ ! -e {place}/broken ] || {{ touch "$here/down"; echo "it did not start" >&2; exit 1; }} ;;
esac
"""

PYTHON = """\
#!/bin/sh
PATH={place}:$PATH exec {python} "$@"
"""

SHELL = """\
#!/bin/sh
PATH={place}:$PATH exec /bin/sh "$@"
"""


@dataclass(frozen=True)
class LocalSite:
    """The inventory and its hosts' directories."""

    path: Path
    hosts: tuple[str, ...]

    @classmethod
    def make(cls, path: Path, *hosts: str, unreachable: tuple[str, ...] = ()) -> LocalSite:
        """Make hosts that run UNIT; the unreachable ones answer nothing."""
        site = cls(path, hosts)
        for host in hosts:
            site._make_host(host)
        (path / "group_vars").mkdir(parents=True)
        (path / "group_vars" / "all.yml").write_text("holdfast_site: contract\n")
        site.make_unreachable(*unreachable)
        return site

    def make_unreachable(self, *unreachable: str) -> None:
        """From now on plays reach every host but these."""
        self._write(dict.fromkeys(unreachable, _NOWHERE))

    def make_unreachable_in_mid_turn(self, host: str) -> None:
        """A play reaches the host until its systemd has been asked something."""
        asked = self.place(host) / UNIT
        connection = f"{{{{ 'ssh' if '{asked}' is directory else 'local' }}}}"
        self._write({host: self._variables(host) | _NOWHERE | {"ansible_connection": connection}})

    def _write(self, others: dict[str, dict[str, object]]) -> None:
        entries = {host: self._variables(host) for host in self.hosts} | others
        # At once, for a play may be reading it.
        fresh = self.path / ".hosts.new"
        fresh.write_text(json.dumps({"toys": {"hosts": entries}}))
        fresh.rename(self.path / "hosts.yml")

    def place(self, host: str) -> Path:
        """The directory of a host."""
        return self.path / ".hosts" / host

    def restarts(self, host: str) -> int:
        """How often the host's systemd was asked to restart the unit."""
        record = self.place(host) / "record"
        return len(record.read_text().splitlines()) if record.exists() else 0

    def break_restart(self, host: str) -> None:
        """From now on a restart of the unit does not come back."""
        (self.place(host) / "broken").touch()

    def make_slow(self, host: str) -> None:
        """From now on a restart takes half a minute."""
        (self.place(host) / "slow").touch()

    def stop_unit(self, host: str) -> None:
        """The unit dies."""
        (self.place(host) / UNIT).mkdir(exist_ok=True)
        (self.place(host) / UNIT / "down").touch()

    def repair(self, host: str) -> None:
        """Whatever was broken is mended, and a unit that is down is started."""
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
        for name, text in (("systemctl", SYSTEMCTL), ("python", PYTHON), ("sh", SHELL)):
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


# Nothing listens there, and it is refused at once.
_NOWHERE: dict[str, object] = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 9,
}
