"""The observer: checks every service of the lab once a second; writes JSON lines, and a summary of them.

    python -m tests.lab.instruments.observer [--out FILE] [--unit NAME@GROUP]…    until SIGTERM or Ctrl-C
    python -m tests.lab.instruments.observer summary FILE

In each sample it opens an authenticated AMQP connection to each broker, calls each nova RPC server, requests each nova
API and reads each host's units with their InvocationIDs, all at the same time and with less than a second each. `ok` is
true (up), false (out) or null (unknown: the request could not be sent).
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TextIO

from tests.lab.instruments.observer_summary import summarise
from tests.lab.instruments.program import Instrument
from tests.lab.instruments.records import CheckResult, Recorder
from tests.lab.instruments.service_checks import ServiceCheck, service_checks
from tests.lab.instruments.site import read_site
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


def observe(arguments: argparse.Namespace, stream: TextIO, stop: threading.Event) -> None:
    """Sample until ``stop`` is set."""
    site = read_site(arguments.inventory)
    with ExitStack() as stack:
        checks = service_checks(site, [unit_and_group(text) for text in arguments.unit], stack)
        recorder = Recorder(stream, "observer", {"interval": INTERVAL, "groups": site.groups()})
        Observer(checks, recorder).run(stop)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unit", action="append", default=[], metavar="NAME@GROUP", help="watch this unit too"
    )


OBSERVER = Instrument(
    name="observer",
    description="Sample every service of the lab once a second until SIGTERM or Ctrl-C.",
    epilog="`observer summary FILE` prints the outages and restarts of a record.",
    summarise=summarise,
    measure=observe,
    options=_options,
)


if __name__ == "__main__":
    sys.exit(OBSERVER.main(sys.argv[1:]))
