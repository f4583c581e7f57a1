"""The hosts of the lab and how to reach them, and a function that runs and times a command."""

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
    """The addresses of the lab's hosts by name, and the lab's directory."""

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

    def run(self, host: str, command: str) -> str:
        """Return what a command prints on a host; if it fails, end the benchmark."""
        argv = ["ssh", "-i", str(self.key), "-o", f"UserKnownHostsFile={self.known_hosts}"]
        done = subprocess.run(
            [*argv, f"ops@{self.addresses[host]}", command],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{host}: {command} ended with {done.returncode}: {done.stderr}")
        return done.stdout


def read_lab() -> Lab:
    """Return the lab of the inventory."""
    listed = subprocess.run(
        [program("ansible-inventory"), "-i", "inventories/lab", "--list"],
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


def program(name: str, environment: str = ".venv") -> str:
    """Return the path of a program in one of the two virtual environments."""
    return str(REPOSITORY / environment / "bin" / name)


def timed(argv: Sequence[str], extra: Mapping[str, str] | None = None) -> float:
    """Return the seconds that a command takes; if it fails, print its output and end the benchmark."""
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
