"""The observer: checks every service of the lab once a second; writes JSON lines, and a summary of them.

    python -m tests.lab.instruments.observer [--out FILE] [--unit NAME@GROUP]…    until SIGTERM or Ctrl-C
    python -m tests.lab.instruments.observer summary FILE

In each sample it opens an authenticated AMQP connection to each broker, calls each nova RPC server, requests each nova
API and reads each host's units with their InvocationIDs, all at the same time and with less than a second each. `ok` is
true (up), false (out) or null (unknown: the request could not be sent).
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

from tests.lab.instruments.observer_summary import summarise
from tests.lab.instruments.records import CheckResult, Recorder, read_records
from tests.lab.instruments.service_checks import ServiceCheck, service_checks
from tests.lab.instruments.site import SiteError, read_site
from tests.lab.instruments.units import unit_and_group

INTERVAL = 1.0
DEADLINE = 0.9  # of all checks of one sample, in seconds


class Observer:
    """Runs all checks each second. A check that is late is recorded as late, and run again once it has ended."""

    def __init__(self, checks: Sequence[ServiceCheck], recorder: Recorder) -> None:
        self._checks = checks
        self._recorder = recorder
        self._pool = ThreadPoolExecutor(max_workers=len(checks))
        self._pending: dict[int, Future[dict[str, CheckResult]]] = {}

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
        for index, check in enumerate(self._checks):
            earlier = self._pending.get(index)
            if earlier is None or earlier.done():
                self._pending[index] = self._pool.submit(check.run, number)
                fresh.add(index)
        wait([self._pending[index] for index in fresh], timeout=DEADLINE)
        for index, check in enumerate(self._checks):
            pending = self._pending[index]
            answered = index in fresh and pending.done()
            results = (
                pending.result() if answered else dict.fromkeys(check.services, check.late_result())
            )
            self._write(number, at, check.host, results)

    def _write(self, number: int, at: float, host: str, results: dict[str, CheckResult]) -> None:
        self._recorder.write(
            *(
                {
                    "n": number,
                    "t": at,
                    "host": host,
                    "what": what,
                    "ok": result.ok,
                    "detail": result.detail,
                }
                for what, result in results.items()
            )
        )


def observe(arguments: argparse.Namespace) -> int:
    """Sample until SIGINT or SIGTERM, then write the summary to the file of --summary, or to standard error."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    site = read_site(arguments.inventory)
    with ExitStack() as stack:
        checks = service_checks(site, [unit_and_group(text) for text in arguments.unit], stack)
        stream = sys.stdout
        if arguments.out:
            stream = stack.enter_context(Path(arguments.out).open("w", encoding="utf-8"))
        recorder = Recorder(stream, "observer", {"interval": INTERVAL, "groups": site.groups()})
        Observer(checks, recorder).run(stop)
    if arguments.summary:
        with Path(arguments.summary).open("w", encoding="utf-8") as stream:
            print_summary(arguments.out, stream)
    elif arguments.out:
        print_summary(arguments.out, sys.stderr)
    return 0


def print_summary(path: str, stream: TextIO) -> None:
    """Write the summary of a record as JSON."""
    lines: Iterable[dict[str, Any]] = read_records(path)
    print(json.dumps(summarise(lines), indent=2), file=stream)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments, of `summary FILE` or of the program without a subcommand."""
    if argv[:1] == ["summary"]:
        parser = argparse.ArgumentParser(
            "observer summary", description="Print the summary of a record."
        )
        parser.add_argument("file", help="JSON lines written by the observer")
        return parser.parse_args(argv[1:])
    parser = argparse.ArgumentParser(
        prog="observer",
        description="Sample every service of the lab once a second until SIGTERM or Ctrl-C.",
        epilog="`observer summary FILE` prints the outages and restarts of a record.",
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
        "--summary", metavar="FILE", help="at the end, write the summary of --out to this file"
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
