"""The same trivial restart on the same hosts, one host at a time, by four tools.

Each tool keeps SSH connections open as its own defaults, or the project's ansible.cfg, say. Each is run once without
measuring it first, so that none pays for starting cold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench.lab import BENCH, UNIT, Lab, program, timed

Tool = Callable[[Lab, Path], float]


def plain(lab: Lab, scratch: Path) -> float:
    """Restart with a `serial: 1` playbook without any gate, and return the seconds."""
    return _playbook("plain.yml")


def holdfast(lab: Lab, scratch: Path) -> float:
    """Restart with `holdfast run` (lease, journal, gates before and after, sweep), and return the seconds."""
    argv = [
        program("holdfast"),
        "run",
        str(BENCH / "bench-restart.md"),
        "--site",
        "inventories/lab",
        "--yes",
    ]
    inputs = ["--input", f"unit={UNIT}", "--input", "group=lab_hosts", "--reason", "benchmark"]
    return timed([*argv, *inputs], {"HOLDFAST_STATE_DIR": str(scratch / "state")})


def cumin(lab: Lab, scratch: Path) -> float:
    """Restart with Wikimedia's cumin, with batches of one host, and return the seconds."""
    options = (
        f"-l ops -i {lab.key} -o UserKnownHostsFile={lab.known_hosts} -o StrictHostKeyChecking=yes "
        f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={scratch}/%C"
    )
    config = scratch / "cumin.yaml"
    config.write_text(
        f"transport: clustershell\nlog_file: {scratch}/cumin.log\ndefault_backend: direct\n"
        f'clustershell:\n  ssh_options:\n    - "{options}"\n'
    )
    hosts = ",".join(lab.addresses.values())
    argv = [
        program("cumin", ".venv-bench"),
        "-c",
        str(config),
        "--force",
        "--no-progress",
        "-b",
        "1",
    ]
    return timed([*argv, f"D{{{hosts}}}", f"sudo systemctl restart {UNIT}"])


def pyinfra(lab: Lab, scratch: Path) -> float:
    """Restart with `pyinfra --serial`, and return the seconds."""
    login = {
        "ssh_user": "ops",
        "ssh_key": str(lab.key),
        "ssh_known_hosts_file": str(lab.known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    inventory = scratch / "inventory.py"
    inventory.write_text(f"hosts = {[(address, login) for address in lab.addresses.values()]!r}\n")
    argv = [program("pyinfra", ".venv-bench"), "-y", "--serial", "--sudo", str(inventory)]
    return timed([*argv, "systemd.service", UNIT, "running=true", "restarted=true"])


TOOLS: Mapping[str, Tool] = {
    "plain serial playbook": plain,
    "holdfast run": holdfast,
    "cumin": cumin,
    "pyinfra": pyinfra,
}


def install(*, present: bool) -> None:
    """Install the benchmark's unit on every host, or remove it."""
    _playbook("unit.yml", f"bench_unit_present={str(present).lower()}")


def _playbook(name: str, *variables: str) -> float:
    argv = [program("ansible-playbook"), "-i", "inventories/lab", str(BENCH / name)]
    extra = [word for value in (f"bench_unit={UNIT}", *variables) for word in ("-e", value)]
    return timed([*argv, *extra])
