"""Fake hosts for real plays: this machine over Ansible's local connection, with a fake systemctl.

The fake systemctl keeps its unit in one file and counts restarts in another, so tests read what
happened on the host from the host, and not from a module's result.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from holdfast.journal.events import Event
from holdfast.marks import RunMark
from holdfast.model import HOST_DIRECTORY, Holder, Json
from holdfast.puppet_programs import UNIT_DIRECTORY
from holdfast.settings import Settings
from holdfast.store.database import Store, open_store
from tests.fakes.journal import opened

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent

SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")"
case $1 in
  show) [ ! -e slow_show_after_restart ] || [ ! -e restarts ] || exec sleep 30
    [ ! -e asked ] || . ./asked
    for last; do :; done
    if [ -e "show_$last" ]; then cat "show_$last"; else cat unit; fi ;;
  reload) echo "$3" >> reloads; [ ! -e broken ] || { echo "Job for $3 failed." >&2; exit 1; } ;;
  restart)
    echo "$3" >> restarts
    sleep "$(cat duration)"
    [ ! -e unit_after ] || cp unit_after unit
    if [ -e broken ]; then
      sed -i 's/^ActiveState=.*/ActiveState=failed/; s/^SubState=.*/SubState=failed/' unit
      sed -i 's/^Result=.*/Result=exit-code/' unit
      echo 'Job for cron.service failed because the control process exited with error code.' >&2
      exit 1
    fi
    sed -i "s/^InvocationID=.*/InvocationID=start$(wc -l < restarts)/; s/^ActiveState=.*/ActiveState=active/" unit ;;
esac
"""
SHELL = """#!/bin/bash
set -- "${{@//"{real}"/{here}}}"
exec /bin/sh "${{@//"{units}"/{here}/units}}"
"""
JOURNALCTL = """#!/bin/sh
cat "$(dirname "$0")/journal"
"""
UP = {
    "Id": "cron.service",
    "Type": "simple",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "InvocationID": "start0",
    "NRestarts": "0",
}


class VaultedText(str):
    """A value that ansible-vault has encrypted, for the inventory."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes YAML with Ansible's tag for encrypted values."""


_Dumper.add_representer(
    VaultedText, lambda dumper, text: dumper.represent_scalar("!vault", str(text), style="|")
)


@dataclass(frozen=True, slots=True)
class PlayOutput:
    """A finished play: its exit status, its output, and its tasks' results by the name they are registered as."""

    rc: int
    output: str
    results: Mapping[str, Json]


@dataclass
class FakeHosts:
    """Hosts ``a`` and ``b`` in the group ``web``, the unreachable ``away`` in ``far``, none in ``none``."""

    directory: Path
    variables: dict[str, Json] = field(default_factory=dict)
    answer_seconds: str = "30"

    def __post_init__(self) -> None:
        (self.directory / "bin").mkdir()
        shell = SHELL.format(real=HOST_DIRECTORY, units=UNIT_DIRECTORY, here=self.locks)
        for name, program in {
            "systemctl": SYSTEMCTL,
            "journalctl": JOURNALCTL,
            self.shell.name: shell,
        }.items():
            path = self.directory / "bin" / name
            path.write_text(program)
            path.chmod(0o755)
        self.set_unit()
        self.set_output(duration="0", journal="")
        self.mark("R1")
        self._inventory()

    def mark(
        self, run: str, seconds: float = 60.0, *, by: str = "ada", reason: str = "why"
    ) -> None:
        """Mark the host for the run, as ``holdfast_mark`` does."""
        uptime = float(Path("/proc/uptime").read_text("ascii").split()[0])
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        holder = Holder(run, by, reason, "ctl9", "boot", 7, 7)
        self.locks.mkdir(exist_ok=True)
        mark = RunMark(holder, datetime.now(UTC), boot, uptime + seconds)
        (self.locks / "cron.mark").write_text(mark.as_text())

    def set_variables(self, **variables: Json) -> None:
        """Define site variables."""
        self.variables.update(variables)
        self._inventory()

    def set_unit(self, **changed: str) -> None:
        """Set the properties of the unit; those that are not given are those of a unit that is up."""
        shown = {**UP, **changed}
        self.set_output(unit="".join(f"{name}={value}\n" for name, value in shown.items()))

    def set_unit_after_restart(self, **changed: str) -> None:
        """Set the properties that the unit has after its next restart."""
        shown = {**UP, **changed}
        self.set_output(unit_after="".join(f"{name}={value}\n" for name, value in shown.items()))

    def set_output(self, **files: str) -> None:
        """Write the files that the host's programs print or read."""
        for name, text in files.items():
            (self.directory / "bin" / name).write_text(text)

    @property
    def locks(self) -> Path:
        """The directory of the hosts' locks."""
        return self.directory / "locks"

    @property
    def restarts(self) -> list[str]:
        """The units that systemctl was told to restart, in order."""
        path = self.directory / "bin" / "restarts"
        return path.read_text().split() if path.exists() else []

    @property
    def reloads(self) -> list[str]:
        """The units that systemctl was told to reload, in order."""
        path = self.directory / "bin" / "reloads"
        return path.read_text().split() if path.exists() else []

    @property
    def environment(self) -> dict[str, str]:
        """The environment of ansible-playbook."""
        return {
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "PATH": f"{self.directory / 'bin'}:{BIN}:{os.environ['PATH']}",
            "HOLDFAST_STATE_DIR": str(self.directory / "state"),
            "HOLDFAST_HOST_DIRECTORY": "/nowhere",  # a login's environment has no effect
            "HOLDFAST_ANSWER_SECONDS": "none",
        }

    def store(self) -> Store:
        """Open the state that the plays write."""
        return open_store(
            Settings(f"sqlite:///{self.directory}/state/state.db", self.directory / "state")
        )

    def open_run(self, run: str) -> None:
        """Open the journal of a run, as an engine does before its plays."""
        self.store().append(run, opened())

    def journal(self, run: str) -> list[Event]:
        """Return what plays wrote into a run's journal."""
        events = [recorded.event for recorded in self.store().read(run)]
        return [event for event in events if event != opened()]

    def playbook_command(self, plays: Sequence[Json], *arguments: str) -> list[str]:
        """Return the command that runs these plays."""
        number = len(list(self.directory.glob("play*.yml")))
        book = self.directory / f"play{number}.yml"
        book.write_text(yaml.safe_dump(list(plays), sort_keys=False, allow_unicode=True))
        inventory = str(self.directory / "hosts.yml")
        return [str(BIN / "ansible-playbook"), "-i", inventory, str(book), *arguments]

    def run_tasks(
        self, *tasks: Json, pattern: str = "a", arguments: Sequence[str] = ()
    ) -> PlayOutput:
        """Run the tasks on the hosts of the pattern, and return what they registered."""
        kept = self.directory / "kept.json"
        kept.unlink(missing_ok=True)
        names = [task["register"] for task in tasks if "register" in task]
        keep = "{" + ", ".join(f"'{name}': {name}" for name in names) + "}"
        dump = {
            "ansible.builtin.copy": {"dest": str(kept), "content": f"{{{{ {keep} | to_json }}}}"},
            "check_mode": False,
            "run_once": True,
            "delegate_to": "localhost",
        }
        play = {"hosts": pattern, "gather_facts": False, "tasks": [*tasks, dump]}
        done = self.run(self.playbook_command([play], *arguments))
        results = json.loads(kept.read_text()) if kept.exists() else {}
        return PlayOutput(done.returncode, done.stdout + done.stderr, results)

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the hosts' environment and wait for it."""
        return subprocess.run(
            self.on_host(command),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command in the hosts' environment; the caller must end it."""
        return subprocess.Popen(
            self.on_host(command),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def on_host(self, command: Sequence[str]) -> list[str]:
        """Return a command that is for a host, with the directory and the limit of these hosts."""
        argv = list(command)
        if HOST_DIRECTORY in argv:
            at = argv.index(HOST_DIRECTORY)
            argv[at : at + 2] = [str(self.locks), self.answer_seconds]
        return argv

    @property
    def shell(self) -> Path:
        """The hosts' shell: it gives what is sent to them the directory of these hosts."""
        return self.directory / "bin" / "host-shell"

    def _inventory(self) -> None:
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 1}
        children = {
            "web": {"hosts": {"a": here, "b": here}},
            "rabbitmq": {"hosts": {"a": {}}},
            "galera": {"hosts": {"a": {}}},
            "haproxy": {"hosts": {"away": {}}},
            "far": {"hosts": {"away": nowhere}},
            "none": {},
        }
        shell = {"ansible_shell_executable": str(self.shell)}
        variables = {"holdfast_site": "east", **shell, **self.variables}
        content = {"all": {"children": children, "vars": variables}}
        (self.directory / "hosts.yml").write_text(yaml.dump(content, Dumper=_Dumper))
