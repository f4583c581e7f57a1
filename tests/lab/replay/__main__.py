"""`make replay`: one change, put into effect on the fleet lab on all hosts at once, and by Holdfast. Asserts nothing.

An instrument of its own calls every compute all the time (tests/lab/instruments/fleet.py); when units were restarted,
each host's own journal says. The brokers may use only a part of a core, or a mass restart would only be slow.

    REPLAY_CPU=40       percent of a core for each broker, 0 for no limit
    REPLAY_ROLL=60      Holdfast rolls over so many computes, not over all
    REPLAY_ONLY=…       some of: change, unusable, deaf
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.lab.instruments.fleet_summary import FleetFigures
from tests.lab.replay.acts import CHANGES, WAYS, Act, Replayed, replay
from tests.lab.replay.fleet_lab import FleetLab
from tests.lab.replay.picture import picture

DEFAULT_CPU = "40"
COLUMNS = {
    "failed": "calls failed",
    "failed_elsewhere": "of hosts not in hand",
    "slowest_median": "slowest median, s",
    "most_silent": "silent at once",
    "old_heartbeats": "heartbeats over 60 s old",
    "connections": "connections opened",
    "restarted": "hosts restarted",
    "after_trouble": "after the first trouble",
    "harmed": "hosts harmed",
    "stable_after": "stable after, s",
    "seconds": "took, s",
}


def main() -> None:
    """Replay each change in each way, and print and save the figures."""
    if os.geteuid():
        sys.exit(
            "the replay limits the processor time of brokers, which only root can: sudo make replay"
        )
    # Ended in any way, it gives the brokers their processor time back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab, console = FleetLab.of_environment(), Console(width=150, highlight=False)
    out = lab.directory / "replay"
    out.mkdir(exist_ok=True)
    percent = float(os.environ.get("REPLAY_CPU", DEFAULT_CPU))
    most = int(os.environ.get("REPLAY_ROLL", "0"))
    chosen = os.environ.get("REPLAY_ONLY", "").split() or list(CHANGES)
    done: list[Replayed] = []
    with instrument(out / "fleet.jsonl") as record:
        for change in chosen:
            for way in WAYS:
                act = Act(lab, record, change, way, percent, most, console.print)
                done.append(replay(act))
                show(console, done)
                save(out, done, percent)
    (out / "replay.svg").write_text(picture(done), encoding="utf-8")
    console.print(f"Figures: {out / 'replay.json'}; picture: {out / 'replay.svg'}")


@contextmanager
def instrument(record: Path) -> Iterator[Path]:
    """Run the fleet's instrument beside; yield its record once it has begun.

    Raises:
        RuntimeError: it did not begin.
    """
    record.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "tests.lab.instruments.fleet", "--out", str(record)]
    process = subprocess.Popen(argv, start_new_session=True)
    tick = threading.Event()
    try:
        for _ in range(240):
            if record.exists() and record.read_text().count("\n") > 1:
                break
            if process.poll() is not None:
                raise RuntimeError("the fleet's instrument has ended")
            tick.wait(0.5)
        yield record
    finally:
        process.terminate()
        process.wait()


def show(console: Console, done: list[Replayed]) -> None:
    """Print a row for each way of each change."""
    table = Table("change", "way", *COLUMNS.values())
    for each in done:
        table.add_row(each.change, each.way, *(_cell(each, name) for name in COLUMNS))
    console.print(table)


def _cell(each: Replayed, name: str) -> str:
    value = getattr(each.figures if name in FleetFigures.__slots__ else each, name)
    return str(len(value) if isinstance(value, tuple) else value)


def save(out: Path, done: list[Replayed], percent: float) -> None:
    """Write all figures as JSON."""
    figures = {"cpu_percent": percent, "replayed": [each.as_json() for each in done]}
    (out / "replay.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
