"""What the replay does to the lab: write a change, limit the brokers, and read what its hosts did."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.lab.instruments.unit_messages import STARTED, STOPPING

CPU = Path("/sys/fs/cgroup/cpu")
PERIOD_MICROSECONDS = 100_000
AT_ONCE = 4  # commands in containers
ACCEPTED = "accepting AMQP connection"


@dataclass(frozen=True, slots=True)
class FleetLab:
    """The lab of `make fleet-up`: its name and directory."""

    name: str
    directory: Path

    @classmethod
    def of_environment(cls) -> FleetLab:
        """Return the lab that LAB_NAME and LAB_DIR name."""
        name = os.environ.get("LAB_NAME", "holdfast-fleet")
        return cls(name, Path(os.environ.get("LAB_DIR", f".lab/{name}")).resolve())

    def run(self, host: str, *argv: str) -> str:
        """Return what a command prints on a host.

        Raises:
            RuntimeError: it failed; the text is the command's.
        """
        conf = f"CONTAINERS_CONF={self.directory}/containers.conf"
        command = ["env", conf, "podman", "exec", f"{self.name}-{host}", *argv]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{host}: {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def on_each(self, hosts: Iterable[str], *argv: str) -> dict[str, str]:
        """Return what a command prints on each host."""
        listed = list(hosts)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(
                zip(listed, pool.map(lambda host: self.run(host, *argv), listed), strict=True)
            )

    def change(self, text: str) -> None:
        """Write the change: it lies on every host, and takes effect when its unit starts."""
        (self.directory / "light" / "change.conf").write_text(f"{text}\n")

    @contextmanager
    def brokers_limited(self, brokers: Sequence[str], percent: float) -> Iterator[None]:
        """Let each broker have only so many percent of a core; 0 for no limit."""
        if not percent:
            yield
            return
        groups = [self._limit(broker, percent) for broker in brokers]
        try:
            yield
        finally:
            for group in groups:
                _write(group / "cpu.cfs_quota_us", "-1")
                for pid in (group / "cgroup.procs").read_text().split():
                    _write(group.parent / "cgroup.procs", pid)
                group.rmdir()

    def _limit(self, broker: str, percent: float) -> Path:
        """Put the broker's process into a cgroup of its own, in its container's, and return that."""
        printed = subprocess.run(
            ["podman", "inspect", "--format", "{{.State.Pid}}", f"{self.name}-{broker}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        of = dict(
            line.split(":", 2)[1:]
            for line in Path(f"/proc/{printed.stdout.strip()}/cgroup").read_text().splitlines()
        )
        if "cpu" not in of:
            raise RuntimeError(
                "this machine has no cgroup hierarchy `cpu` (version 1) to limit the brokers in"
            )
        parent = CPU / of["cpu"].strip("/")
        group = parent / "broker"
        group.mkdir(exist_ok=True)
        _write(group / "cpu.cfs_period_us", str(PERIOD_MICROSECONDS))
        _write(group / "cpu.cfs_quota_us", str(int(PERIOD_MICROSECONDS * percent / 100)))
        for pid in (parent / "cgroup.procs").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "beam.smp":
                _write(group / "cgroup.procs", pid)
        if not (group / "cgroup.procs").read_text().strip():
            raise RuntimeError(f"{broker}: no broker runs there")
        return group

    def accepted(self, brokers: Sequence[str]) -> int:
        """Return how many connections the brokers have accepted since their logs began."""
        count = f"cat /var/log/rabbitmq/rabbit@*.log | grep -c '{ACCEPTED}' || true"
        return sum(int(text) for text in self.on_each(brokers, "sh", "-c", count).values())

    def restarts(
        self, hosts: Sequence[str], since: datetime
    ) -> dict[str, list[tuple[datetime, str]]]:
        """Return, per host, when nova-compute began to stop and when it had started, by the host's own journal."""
        read = self.on_each(
            hosts, "journalctl", "--unit", "nova-compute", f"--since=@{since.timestamp():.0f}", "--output=json",
            f"MESSAGE_ID={STOPPING}", f"MESSAGE_ID={STARTED}",
        )  # fmt: skip
        return {host: list(events(text)) for host, text in read.items()}


def events(text: str) -> Iterator[tuple[datetime, str]]:
    """Yield when a unit stopped or had started, from what journalctl prints as JSON."""
    for line in text.splitlines():
        entry = json.loads(line)
        at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6).astimezone()
        yield at, "stopped" if entry["MESSAGE_ID"] == STOPPING else "started"


def _write(path: Path, text: str) -> None:
    path.write_text(text)
