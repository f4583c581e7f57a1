"""The observer: once a second, is every service of the lab really there? JSON lines, and a summary of them.

    python -m tests.lab.instruments.observer [--out FILE] [--unit NAME@GROUP]…    until SIGTERM or Ctrl-C
    python -m tests.lab.instruments.observer summary FILE

Asks each broker for an authenticated AMQP connection, each nova RPC server for an answer, each nova API for a page and
each host for its units' InvocationIDs, all at the same time and with less than a second each. `ok` is true (there),
false (out) or null (could not be asked: unknown, which is neither).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from tests.lab.instruments.lines import Recorder, read_lines
from tests.lab.instruments.looks import Look, Reading, looks_of
from tests.lab.instruments.observed import summarise
from tests.lab.instruments.site import SiteError, read_site

INTERVAL = 1.0
PATIENCE = 0.9


class Observer:
    """Takes one sample of everything each second. A look that is late is recorded as such and asked again when done."""

    def __init__(self, looks: Sequence[Look], recorder: Recorder) -> None:
        self._looks = looks
        self._recorder = recorder
        self._pool = ThreadPoolExecutor(max_workers=len(looks))
        self._asked: dict[int, Future[dict[str, Reading]]] = {}

    def run(self, stop: threading.Event) -> None:
        """Sample until `stop` is set; a sample never delays the next."""
        number, due = 1, time.monotonic()
        while not stop.is_set():
            self._sample(number)
            number, due = number + 1, max(due + INTERVAL, time.monotonic())
            stop.wait(due - time.monotonic())
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _sample(self, number: int) -> None:
        at = self._recorder.now()
        fresh: set[int] = set()
        for index, look in enumerate(self._looks):
            earlier = self._asked.get(index)
            if earlier is None or earlier.done():
                self._asked[index] = self._pool.submit(look.take, number)
                fresh.add(index)
        wait([self._asked[index] for index in fresh], timeout=PATIENCE)
        for index, look in enumerate(self._looks):
            asked = self._asked[index]
            answered = index in fresh and asked.done()
            readings = asked.result() if answered else dict.fromkeys(look.whats, look.late())
            self._write(number, at, look.host, readings)

    def _write(self, number: int, at: float, host: str, readings: dict[str, Reading]) -> None:
        self._recorder.write(
            *(
                {
                    "n": number,
                    "t": at,
                    "host": host,
                    "what": what,
                    "ok": reading.ok,
                    "detail": reading.detail,
                }
                for what, reading in readings.items()
            )
        )


def observe(arguments: argparse.Namespace) -> int:
    """Sample until told to stop, then write the summary where it is wanted, or to stderr."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    site = read_site(arguments.inventory)
    with ExitStack() as stack:
        looks = looks_of(site, [unit_and_group(text) for text in arguments.unit], stack)
        stream = sys.stdout
        if arguments.out:
            stream = stack.enter_context(Path(arguments.out).open("w", encoding="utf-8"))
        recorder = Recorder(stream, "observer", {"interval": INTERVAL, "groups": site.groups()})
        Observer(looks, recorder).run(stop)
    if arguments.summary:
        with Path(arguments.summary).open("w", encoding="utf-8") as stream:
            print_summary(arguments.out, stream)
    elif arguments.out:
        print_summary(arguments.out, sys.stderr)
    return 0


def unit_and_group(text: str) -> tuple[str, str]:
    """Return `NAME@GROUP` parted at the last `@`: a template's instance has one in its name."""
    unit, at, group = text.rpartition("@")
    if not at or not unit or not group:
        raise SystemExit(f"--unit {text}: expected NAME@GROUP, for example cron@nova_compute")
    return unit, group


def print_summary(path: str, stream: TextIO) -> None:
    """Write the summary of a record as JSON."""
    lines: Iterable[dict[str, Any]] = read_lines(path)
    print(json.dumps(summarise(lines), indent=2), file=stream)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; `summary FILE` is the other thing this program does."""
    if argv[:1] == ["summary"]:
        parser = argparse.ArgumentParser("observer summary", description="Say what a record shows.")
        parser.add_argument("file", help="JSON lines written by the observer")
        return parser.parse_args(argv[1:])
    parser = argparse.ArgumentParser(
        prog="observer",
        description="Sample every service of the lab once a second until SIGTERM or Ctrl-C.",
        epilog="`observer summary FILE` prints the outages and restarts that a record shows.",
    )
    parser.add_argument(
        "--inventory", "-i", default="inventories/lab", help="the site (default: %(default)s)"
    )
    parser.add_argument(
        "--out", help="write the JSON lines to this file (default: standard output)"
    )
    parser.add_argument(
        "--unit", action="append", default=[], metavar="NAME@GROUP", help="watch this unit too"
    )
    parser.add_argument(
        "--summary", metavar="FILE", help="write what --out shows in the end to this file"
    )
    arguments = parser.parse_args(argv)
    if arguments.summary and not arguments.out:
        parser.error("--summary needs --out: a summary is made from the record")
    return arguments


def main(argv: Sequence[str]) -> int:
    """Run the program and return its exit code."""
    arguments = parse(argv)
    try:
        if "file" in arguments:
            print_summary(arguments.file, sys.stdout)
            return 0
        return observe(arguments)
    except (SiteError, OSError, ValueError) as error:
        print(f"observer: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
