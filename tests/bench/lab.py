"""The lab as the benchmark sees it: hosts, key, known hosts; and one way to run and time a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BENCH = REPOSITORY / "tests/bench"
UNIT = "holdfast-bench"


@dataclass(frozen=True, slots=True)
class Lab:
    """The lab's hosts by name and address, and how to reach them."""

    addresses: Mapping[str, str]
    directory: Path

    @property
    def key(self) -> Path:
        """The private key of the lab's operator."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The pinned host keys."""
        return self.directory / "known_hosts"


def read_lab() -> Lab:
    """Ask the inventory, as everybody else does."""
    listed = subprocess.run(
        [tool("ansible-inventory"), "-i", "inventories/lab", "--list"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    inventory = json.loads(listed.stdout)
    variables = inventory["_meta"]["hostvars"]
    hosts = inventory["lab_hosts"]["hosts"]
    addresses = {host: variables[host]["ansible_host"] for host in hosts}
    return Lab(addresses, Path(variables[hosts[0]]["lab_dir"]))


def tool(name: str, environment: str = ".venv") -> str:
    """The path of a program in one of the two virtual environments."""
    return str(REPOSITORY / environment / "bin" / name)


def timed(argv: Sequence[str], extra: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes; its output is shown only if it fails, and then ends the benchmark."""
    began = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=REPOSITORY,
        env={**os.environ, **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(argv)} ended with {done.returncode}")
    return time.monotonic() - began
