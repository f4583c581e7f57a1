"""`make bench`: measures Holdfast's overhead and that of other tools, on the same hosts in one run. Asserts nothing.

Prints tables of seconds and ratios and writes the figures as JSON into the lab's directory.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.boundary import ACROSS, UNPREPARED, WITHIN, boundaries
from tests.bench.lab import BENCH, REPOSITORY, UNIT, Lab, program, read_lab, timed
from tests.bench.tools import TOOLS, install

ROUNDS = 3
FLEETS = (1000, 10000)
Figures = dict[str, float]


def main() -> None:
    """Run the benchmarks and print and save their figures."""
    console = Console(width=110)
    lab = read_lab()
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        figures: dict[str, object] = {
            "restart": restarts(lab, scratch, console),
            **boundary(lab, scratch, console),
            "gate": gates(scratch, console),
            "planning": {str(count): planning(count, console) for count in FLEETS},
        }
    report = lab.directory / "bench.json"
    report.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"Figures: {report}")


def restarts(lab: Lab, scratch: Path, console: Console) -> Figures:
    """Return the seconds per host of the same trivial restart by each tool: the median of several rounds."""
    console.print(f"[bold]Restarting {UNIT} on {len(lab.addresses)} hosts, one at a time[/]")
    install(present=True)
    try:
        bare = statistics.median(_bare(lab, address, scratch) for address in lab.addresses.values())
        seconds = {}
        for name, restart in TOOLS.items():
            restart(lab, scratch)
            rounds = [restart(lab, scratch) for _ in range(ROUNDS)]
            seconds[name] = statistics.median(rounds) / len(lab.addresses)
            console.print(f"  {name}: {', '.join(f'{total:.1f} s' for total in rounds)}")
    finally:
        install(present=False)
    table = Table(
        "tool", "s per host", "overhead, s per host", "ratio to the playbook", "proves health"
    )
    for name, value in seconds.items():
        ratio = value / seconds["plain serial playbook"]
        proves = "yes" if name == "holdfast run" else "no"
        table.add_row(name, f"{value:.2f}", f"{value - bare:.2f}", f"{ratio:.2f}", proves)
    console.print(f"The restart itself over a warm connection, by bare ssh: {bare:.2f} s a host.")
    console.print(table)
    return {**seconds, "bare ssh": bare}


def _bare(lab: Lab, address: str, scratch: Path) -> float:
    """Return the seconds of the restart alone, over an open SSH connection: the restart and one round trip."""
    warm = ("ControlMaster=auto", "ControlPersist=60s", f"ControlPath={scratch}/%C")
    options = [
        word
        for option in (f"UserKnownHostsFile={lab.known_hosts}", *warm)
        for word in ("-o", option)
    ]
    argv = ["ssh", "-i", str(lab.key), *options, f"ops@{address}"]
    timed([*argv, "true"])
    return timed([*argv, f"sudo systemctl restart {UNIT}"])


def boundary(lab: Lab, scratch: Path, console: Console) -> Figures:
    """Return the seconds from the last good reading of a host to the beginning of the next one's restart."""
    install(present=True)
    try:
        found = boundaries(lab, scratch)
    finally:
        install(present=False)
    table = Table("last good reading -> next restart begins", "boundaries", "median, s", "worst, s")
    for where, seconds in found.items():
        row = (statistics.median(seconds), max(seconds))
        table.add_row(where, str(len(seconds)), *(f"{value:.2f}" for value in row))
    console.print(table)
    every = [*found[WITHIN], *found[ACROSS]]
    return {
        "boundary_seconds_median": statistics.median(every),
        "boundary_seconds_worst": max(every),
        "boundary_seconds_unprepared": max(found[UNPREPARED]),
    }


def gates(scratch: Path, console: Console) -> Figures:
    """Return the seconds of one reading of all standing RabbitMQ claims, over HTTP and through the CLI."""
    listed = subprocess.run(
        [program("python"), str(BENCH / "standing_claims.py"), "rabbitmq"],
        check=True,
        capture_output=True,
        text=True,
    )
    result, variables = scratch / "gate.json", scratch / "gate_variables.json"
    variables.write_text(
        json.dumps({"bench_claims": json.loads(listed.stdout), "bench_result": str(result)})
    )
    seconds = {}
    for source, enabled in (("management API", "true"), ("CLI", "false")):
        argv = [
            program("ansible-playbook"),
            "-i",
            "inventories/lab",
            str(BENCH / "gate.yml"),
            "-e",
            f"@{variables}",
        ]
        timed([*argv, "-e", json.dumps({"rabbitmq_management_enabled": enabled == "true"})])
        seconds[source] = float(json.loads(result.read_text())["seconds"])
    table = Table("a full RabbitMQ gate, one reading", "s", "ratio to the CLI")
    for source, value in seconds.items():
        table.add_row(source, f"{value:.2f}", f"{value / seconds['CLI']:.3f}")
    console.print(table)
    return seconds


def planning(count: int, console: Console) -> Figures:
    """Return the figures of planning for `count` hosts and of a run on the fleet in memory, in a process of its own."""
    argv = [program("python"), "-m", "tests.bench.planning", str(count)]
    done = subprocess.run(argv, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(done.stdout)
    console.print(
        f"{count} hosts: planned in {figures['planning_seconds'] * 1000:.0f} ms, "
        f"a whole run in memory {figures['run_seconds']:.1f} s (batches of 5), "
        f"{figures['journal_rows']:.0f} journal rows, peak memory {figures['memory_megabytes']:.0f} MB"
    )
    return figures


if __name__ == "__main__":
    main()
