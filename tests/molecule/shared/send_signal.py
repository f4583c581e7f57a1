"""Sends a signal to a job of an operator, now or when the journal has a certain event.

    send_signal DIRECTORY JOB SIGNAL                          to the job's process, now
    send_signal DIRECTORY JOB SIGNAL --tree                   and to all its descendants
    send_signal DIRECTORY JOB SIGNAL --at act_intended ctl2   when the newest run's journal has this event of this host
    send_signal … --at act_intended ctl2 --new-run            of a run that was opened after the job had started

It polls the journal's database often enough to hit the time between two events a fraction of a second apart.
"""

# ruff: noqa: T201  # a program whose output is its result
from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

TIMEOUT = 300.0  # seconds
POLL = 0.01

NEWEST = """
SELECT body FROM holdfast_events
WHERE run = (SELECT run FROM holdfast_events WHERE kind = 'run_opened' AND at >= ? ORDER BY at DESC LIMIT 1)
  AND kind = ?
"""


def has_event(database: Path, since: int, kind: str, host: str) -> bool:
    """Tell whether the newest run has an event of this kind for this host.

    Runs that were opened before ``since``, in microseconds since 1970, do not count.
    """
    if not database.exists():
        return False
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
    try:
        events = [json.loads(body) for (body,) in connection.execute(NEWEST, (since, kind))]
    except sqlite3.OperationalError:  # the tables do not exist yet
        return False
    finally:
        connection.close()
    return any(event.get("host") == host or host in event.get("hosts", ()) for event in events)


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    """Wait until it has happened; exit with a message if it does not within TIMEOUT."""
    tick, until = threading.Event(), time.monotonic() + TIMEOUT
    while not happened():
        if time.monotonic() > until:
            sys.exit(f"no {what} within {TIMEOUT:g} s")
        tick.wait(POLL)


def children(process: int) -> Iterator[int]:
    """Yield the descendants of a process."""
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            for child in map(int, task.read_text(encoding="ascii").split()):
                yield child
                yield from children(child)


def send(process: int, name: str, *, tree: bool) -> list[int]:
    """Signal a process and, if asked, its descendants; return their pids.

    To continue, the descendants come first: a parent that runs again may end its children at once. Of
    the descendants some may have ended by themselves; the job's process must be there.
    """
    targets = [process, *(children(process) if tree else ())]
    for target in reversed(targets) if name == "CONT" else targets:
        with suppress(ProcessLookupError) if target != process else nullcontext():
            os.kill(target, signal.Signals[f"SIG{name}"])
    return targets


def main() -> None:
    parser = argparse.ArgumentParser(prog="send_signal")
    parser.add_argument("directory", type=Path)
    parser.add_argument("job")
    parser.add_argument("signal", choices=["KILL", "STOP", "CONT"])
    parser.add_argument("--tree", action="store_true")
    parser.add_argument("--at", nargs=2, metavar=("EVENT", "HOST"))
    parser.add_argument("--new-run", action="store_true")
    arguments = parser.parse_args()
    pid_file = arguments.directory / f"{arguments.job}.pid"
    wait_for(
        f"process of {arguments.job}", lambda: pid_file.exists() and pid_file.stat().st_size > 0
    )
    if arguments.at:
        kind, host = arguments.at
        since = pid_file.stat().st_mtime_ns // 1000 if arguments.new_run else 0
        database = arguments.directory / "state" / "state.db"
        wait_for(f"{kind} of {host}", lambda: has_event(database, since, kind, host))
    process = int(pid_file.read_text(encoding="ascii"))
    targets = send(process, arguments.signal, tree=arguments.tree)
    print(f"SIG{arguments.signal} to {targets}")


if __name__ == "__main__":
    main()
