"""A host to play on: this machine over Ansible's local connection, with a systemctl of its own.

The fake systemctl keeps its unit in a file and counts restarts in another, so that what happened to
the host is read from the host and not from what a module says of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from holdfast.journal.events import Event
from holdfast.model import Json
from holdfast.settings import Settings
from holdfast.store import Store, open_store

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent

SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")"
case $1 in
  show) cat unit ;;
  restart)
    echo "$3" >> restarts
    sleep "$(cat duration)"
    if [ -e broken ]; then
      sed -i 's/^ActiveState=.*/ActiveState=failed/; s/^SubState=.*/SubState=failed/' unit
      sed -i 's/^Result=.*/Result=exit-code/' unit
      echo 'Job for cron.service failed because the control process exited with error code.' >&2
      exit 1
    fi
    sed -i "s/^InvocationID=.*/InvocationID=start$(wc -l < restarts)/; s/^ActiveState=.*/ActiveState=active/" unit ;;
esac
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


# As Ansible runs a module on a host, without the seconds that ansible-playbook takes to start.
MODULE = """
import runpy, sys
import ansible.module_utils.basic as basic
ours, module, arguments = sys.argv[1:]
sys.modules["ansible.module_utils"].__path__.append(ours)
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = arguments.encode(), "legacy"
runpy.run_path(module, run_name="__main__")
"""


class Sealed(str):
    """A value that stands in the inventory encrypted by ansible-vault."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """YAML with Ansible's tag for sealed values."""


_Dumper.add_representer(
    Sealed, lambda dumper, text: dumper.represent_scalar("!vault", str(text), style="|")
)


@dataclass(frozen=True, slots=True)
class Played:
    """How a play ended: exit status, everything it printed, the results of its tasks by register."""

    rc: int
    printed: str
    results: Mapping[str, Json]


@dataclass
class Stage:
    """Hosts ``a`` and ``b`` in the group ``web``, ``away`` in ``far``, nobody in ``none``."""

    place: Path
    variables: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.place / "bin").mkdir()
        for name, program in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            path = self.place / "bin" / name
            path.write_text(program)
            path.chmod(0o755)
        self.unit()
        self.say(duration="0", journal="")
        self._inventory()

    def set(self, **variables: Json) -> None:
        """Define variables of the site."""
        self.variables.update(variables)
        self._inventory()

    def unit(self, **changed: str) -> None:
        """Make the host's unit be as given, otherwise up."""
        shown = {**UP, **changed}
        self.say(unit="".join(f"{name}={value}\n" for name, value in shown.items()))

    def say(self, **files: str) -> None:
        """Write what the host's programs answer from."""
        for name, text in files.items():
            (self.place / "bin" / name).write_text(text)

    @property
    def restarts(self) -> list[str]:
        """The units the host was told to restart, once per time."""
        path = self.place / "bin" / "restarts"
        return path.read_text().split() if path.exists() else []

    @property
    def environment(self) -> dict[str, str]:
        """What ansible-playbook is started with."""
        return {
            "HOME": str(self.place),
            "LANG": "C.UTF-8",
            "PATH": f"{self.place / 'bin'}:{BIN}:{os.environ['PATH']}",
            "HOLDFAST_STATE_DIR": str(self.place / "state"),
        }

    def store(self) -> Store:
        """The state that the plays write."""
        return open_store(Settings(f"sqlite:///{self.place}/state/state.db", self.place / "state"))

    def journal(self, run: str) -> list[Event]:
        """A run's events."""
        return [recorded.event for recorded in self.store().read(run)]

    def command(self, plays: Sequence[Json], *arguments: str) -> list[str]:
        """The command that plays these plays."""
        number = len(list(self.place.glob("play*.yml")))
        book = self.place / f"play{number}.yml"
        book.write_text(yaml.safe_dump(list(plays), sort_keys=False, allow_unicode=True))
        inventory = str(self.place / "hosts.yml")
        return [str(BIN / "ansible-playbook"), "-i", inventory, str(book), *arguments]

    def play(self, *tasks: Json, hosts: str = "a", arguments: Sequence[str] = ()) -> Played:
        """Play the tasks on the hosts and keep what they registered."""
        kept = self.place / "kept.json"
        kept.unlink(missing_ok=True)
        names = [task["register"] for task in tasks if "register" in task]
        keep = "{" + ", ".join(f"'{name}': {name}" for name in names) + "}"
        dump = {
            "ansible.builtin.copy": {"dest": str(kept), "content": f"{{{{ {keep} | to_json }}}}"},
            "check_mode": False,
            "run_once": True,
            "delegate_to": "localhost",
        }
        play = {"hosts": hosts, "gather_facts": False, "tasks": [*tasks, dump]}
        done = self.run(self.command([play], *arguments))
        results = json.loads(kept.read_text()) if kept.exists() else {}
        return Played(done.returncode, done.stdout + done.stderr, results)

    def module(self, named: str, /, *, check_mode: bool = False, **arguments: Json) -> list[str]:
        """The command that runs a module of ours on the host; it prints its result as JSON."""
        given = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check_mode}}
        plugins = ROOT / "plugins"
        paths = [str(plugins / "module_utils"), str(plugins / "modules" / f"{named}.py")]
        return [sys.executable, "-c", MODULE, *paths, json.dumps(given)]

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of this stage to its end."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command of this stage; whoever starts it ends it."""
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _inventory(self) -> None:
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 1}
        children = {
            "web": {"hosts": {"a": here, "b": here}},
            "rabbitmq": {"hosts": {"a": {}}},
            "far": {"hosts": {"away": nowhere}},
            "none": {},
        }
        variables = {"holdfast_site": "east", **self.variables}
        content = {"all": {"children": children, "vars": variables}}
        (self.place / "hosts.yml").write_text(yaml.dump(content, Dumper=_Dumper))
