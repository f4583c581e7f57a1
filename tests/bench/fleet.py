"""`make bench-fleet`: whole runs over the fleet lab's computes, and what each costs. Asserts nothing.

The floor is what the hosts need: how long each was stopped and starting, by its own journal, and how long it must have
reported and settled, five hosts at a time. Calls are counted in the logs of nova's API and of the brokers.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.table import Table

from holdfast.settings import Settings
from holdfast.store.database import open_store
from tests.bench.lab import BENCH, Lab, program, read_lab, timed
from tests.lab.instruments.unit_messages import STARTED, STOPPING

SIZES = (60, 120, 242)
AT_A_TIME = 5  # as bench-fleet.md has it
SETTLE_SECONDS = 10
FIRST_REPORT_SECONDS, REPORT_SECONDS = (
    5,
    10,
)  # of nova-compute: its first report, and from one to the next
PROVED_SECONDS = FIRST_REPORT_SECONDS + REPORT_SECONDS + SETTLE_SECONDS
"""From the end of a start to the end of its gate at the soonest: a heartbeat that has advanced twice, then settling."""

RESTARTS = (
    "sudo journalctl --unit nova-compute --since=@{since} --output=json"
    f" MESSAGE_ID={STOPPING} MESSAGE_ID={STARTED}"
)
API_CALLS = r"sudo grep -cE '\"(GET|PUT|POST) /' /var/log/nova/nova-api-wsgi.log || true"
BROKER_LOGINS = (
    "sudo cat /var/log/rabbitmq/rabbit@*.log | grep -c 'holdfast: .*authenticated' || true"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run cost. Seconds of the controller's processor are those of the engine and of every play."""

    hosts: int
    seconds: float
    floor_seconds: float
    ratio_to_floor: float
    controller_cpu_seconds: float
    controller_megabytes: float
    api_calls_per_host: float
    broker_logins_per_host: float
    journal_rows: int
    journal_megabytes: float
    load: float


def main() -> None:
    """Run over each number of computes and print and save the figures."""
    console, lab = Console(width=130), read_lab()
    computes = [host for host in lab.addresses if host.startswith("cmp")]
    wanted = [int(each) for each in os.environ.get("BENCH_HOSTS", "").split()] or SIZES
    sizes = [count for count in wanted if count <= len(computes)] or [len(computes)]
    runs = []
    for count in sizes:
        runs.append(measure(lab, computes[:count]))
        show(console, runs)
    report = lab.directory / "bench-fleet.json"
    report.write_text(json.dumps(summary(runs), indent=2) + "\n")
    console.print(f"Figures: {report}")


def summary(runs: Sequence[Figures]) -> dict[str, object]:
    """Return the figures of the largest run, how they grew from the smallest, and those of each."""
    first, last = runs[0], runs[-1]
    growth = {f"growth_{first.hosts}_to_{last.hosts}": last.seconds / first.seconds}
    return {
        **asdict(last),
        **(growth if len(runs) > 1 else {}),
        "runs": [asdict(each) for each in runs],
    }


def show(console: Console, runs: Sequence[Figures]) -> None:
    """Print a row for each run."""
    names = list(asdict(runs[0]))
    table = Table(*(name.replace("_", " ") for name in names))
    for each in runs:
        table.add_row(*(f"{value:.2f}".removesuffix(".00") for value in asdict(each).values()))
    console.print(table)


def measure(lab: Lab, hosts: Sequence[str]) -> Figures:
    """Restart the computes of these hosts and return what it cost."""
    controls = [host for host in lab.addresses if host not in hosts and not host.startswith("cmp")]
    before = {what: _count(lab, controls, what) for what in (API_CALLS, BROKER_LOGINS)}
    began, used = datetime.now(UTC), _processor_seconds()
    with tempfile.TemporaryDirectory() as directory, _PeakMemory() as memory:
        state = Path(directory)
        seconds = timed(_argv(hosts), {"HOLDFAST_STATE_DIR": directory})
        cpu = _processor_seconds() - used
        store = open_store(Settings(f"sqlite:///{state}/state.db", state))
        [run] = store.runs()
        rows, size = len(store.read(run)), (state / "state.db").stat().st_size
    calls = {what: _count(lab, controls, what) - known for what, known in before.items()}
    floor = _floor(lab, hosts, began)
    return Figures(
        hosts=len(hosts),
        seconds=seconds,
        floor_seconds=floor,
        ratio_to_floor=seconds / floor,
        controller_cpu_seconds=cpu,
        controller_megabytes=memory.megabytes,
        api_calls_per_host=calls[API_CALLS] / len(hosts),
        broker_logins_per_host=calls[BROKER_LOGINS] / len(hosts),
        journal_rows=rows,
        journal_megabytes=size / 1e6,
        load=os.getloadavg()[2],
    )


def _argv(hosts: Sequence[str]) -> list[str]:
    argv = [
        program("holdfast"),
        "run",
        str(BENCH / "bench-fleet.md"),
        "--yes",
        "--site",
        "inventories/lab",
    ]
    return [
        *argv,
        "--input",
        "hosts=nova_compute",
        "--limit",
        ":".join(hosts),
        "--reason",
        "benchmark",
    ]


def _floor(lab: Lab, hosts: Sequence[str], since: datetime) -> float:
    """Return what the hosts alone need, so many at a time: to stop, to start, to report twice and to settle."""
    with ThreadPoolExecutor(4) as pool:
        restarts = pool.map(lambda host: _restart_seconds(lab, host, since), hosts)
        return sum(seconds + PROVED_SECONDS for seconds in restarts) / AT_A_TIME


def _restart_seconds(lab: Lab, host: str, since: datetime) -> float:
    """Return how long the one restart took, from the host's own journal; end the benchmark where it was not one."""
    printed = lab.run(host, RESTARTS.format(since=int(since.timestamp())))
    entries = [json.loads(line) for line in printed.splitlines()]
    kinds = [each["MESSAGE_ID"] for each in entries]
    if kinds != [STOPPING, STARTED]:
        sys.exit(f"{host}: its journal has not one stop and one start of nova-compute, but {kinds}")
    stopped, started = (int(each["__REALTIME_TIMESTAMP"]) / 1e6 for each in entries)
    return started - stopped


def _count(lab: Lab, hosts: Sequence[str], command: str) -> int:
    return sum(int(lab.run(host, command).strip() or 0) for host in hosts)


def _processor_seconds() -> float:
    """Return what ended children, and theirs, have used; an SSH connection that stays open is none."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _PeakMemory:
    """Looks every two seconds at this process's descendants: what pages they have, shared ones divided among them."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(2):
            self.megabytes = max(self.megabytes, sum(map(_kilobytes, _descendants())) / 1024)


def _descendants() -> Iterator[int]:
    """Yield the processes that this one has begun, and theirs."""
    printed = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    parents = {int(pid): int(parent) for pid, parent in map(str.split, printed.stdout.splitlines())}
    yield from (pid for pid in parents if os.getpid() in _ancestors(pid, parents))


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while pid := parents.get(pid, 0):
        yield pid


def _kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it has ended
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
