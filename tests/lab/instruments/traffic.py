"""The traffic: what would a real client have lost? Numbered messages and RPC calls, JSON lines, and a summary of them.

    python -m tests.lab.instruments.traffic [--out FILE]      until SIGTERM or Ctrl-C
    python -m tests.lab.instruments.traffic summary FILE

One producer and one consumer begin at each broker and go on at the next when they lose it; where there is a nova, each
of its RPC servers is called once a second. When told to stop, the producers stop first and the consumers take what is
still to come: a message counts as lost only after nothing more arrived for a while.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from tests.lab.instruments.calls import Answer, Caller, Server, rpc_servers
from tests.lab.instruments.carried import summarise
from tests.lab.instruments.lines import Recorder, read_lines
from tests.lab.instruments.messages import Brokers, Client, Consumer, Ledger, Producer, quorum_queue
from tests.lab.instruments.site import Site, SiteError, read_site

CALL_INTERVAL = 1.0
CALL_TIMEOUT = 10.0  # a sixth of what nova itself waits
CALL_RECONNECTS = 3
DRAIN_PATIENCE = 20.0  # seconds without a further message after which what is missing is lost


class Callers:
    """Calls every nova RPC server in turn with itself, so that a silent one delays no other."""

    def __init__(self, caller: Caller, recorder: Recorder, stop: threading.Event) -> None:
        self._caller = caller
        self._recorder = recorder
        self._told = stop

    def threads(self, servers: Sequence[Server]) -> list[threading.Thread]:
        """Return one thread per server."""
        return [
            threading.Thread(target=self._call_on, args=(server,), daemon=True)
            for server in servers
        ]

    def _call_on(self, server: Server) -> None:
        while not self._told.is_set():
            asked = self._recorder.now()
            answer, why = self._caller.ping(server, CALL_TIMEOUT, CALL_RECONNECTS)
            self._recorder.event(
                what="call",
                ok=answer is Answer.ANSWERED,
                host=server.host,
                service=server.what,
                asked=asked,
                detail=why or None,
            )
            self._told.wait(CALL_INTERVAL - (self._recorder.now() - asked))


def carry(site: Site, recorder: Recorder, rate: float, stop: threading.Event) -> None:
    """Send messages and calls until `stop` is set, then take what is still to come."""
    queue, ledger, finished = f"traffic-{secrets.token_hex(4)}", Ledger(recorder), threading.Event()
    with ExitStack() as stack:
        stack.enter_context(quorum_queue(site, queue))
        numbers = range(len(site.members("rabbitmq")))
        producers: list[Client] = [
            Producer(
                f"p{number + 1}", Brokers(site, number), ledger, stop, queue=queue, pause=1 / rate
            )
            for number in numbers
        ]
        consumers: list[Client] = [
            Consumer(f"c{number + 1}", Brokers(site, number), ledger, finished, queue=queue)
            for number in numbers
        ]
        calls: list[threading.Thread] = []
        if site.nova_transport is not None:
            caller = Caller(site.nova_transport)
            stack.callback(caller.close)
            calls = Callers(caller, recorder, stop).threads(list(rpc_servers(site)))
        for thread in (*consumers, *producers, *calls):
            thread.start()
        stop.wait()
        for thread in (*producers, *calls):
            thread.join()
        _take_the_rest(ledger)
        finished.set()
        for thread in consumers:
            thread.join()


def _take_the_rest(ledger: Ledger) -> None:
    left, since, tick = ledger.outstanding(), time.monotonic(), threading.Event()
    while left and time.monotonic() - since < DRAIN_PATIENCE:
        tick.wait(0.2)
        if (now := ledger.outstanding()) < left:
            left, since = now, time.monotonic()


def run(arguments: argparse.Namespace) -> int:
    """Carry traffic until told to stop, then write the summary where it is wanted, or to stderr."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    site = read_site(arguments.inventory)
    with ExitStack() as stack:
        stream = sys.stdout
        if arguments.out:
            stream = stack.enter_context(Path(arguments.out).open("w", encoding="utf-8"))
        carry(site, Recorder(stream, "traffic", {"rate": arguments.rate}), arguments.rate, stop)
    if arguments.summary:
        with Path(arguments.summary).open("w", encoding="utf-8") as stream:
            print_summary(arguments.out, stream)
    elif arguments.out:
        print_summary(arguments.out, sys.stderr)
    return 0


def print_summary(path: str, stream: TextIO) -> None:
    """Write the summary of a record as JSON."""
    print(json.dumps(summarise(read_lines(path)), indent=2), file=stream)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; `summary FILE` is the other thing this program does."""
    if argv[:1] == ["summary"]:
        parser = argparse.ArgumentParser("traffic summary", description="Say what a record shows.")
        parser.add_argument("file", help="JSON lines written by the traffic")
        return parser.parse_args(argv[1:])
    parser = argparse.ArgumentParser(
        prog="traffic",
        description="Send numbered messages and RPC calls through the lab until SIGTERM or Ctrl-C.",
        epilog="`traffic summary FILE` prints what a record shows to be lost.",
    )
    parser.add_argument(
        "--inventory", "-i", default="inventories/lab", help="the site (default: %(default)s)"
    )
    parser.add_argument(
        "--out", help="write the JSON lines to this file (default: standard output)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=10.0,
        help="messages a second at each broker (default: %(default)s)",
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
        return run(arguments)
    except (SiteError, OSError, ValueError) as error:
        print(f"traffic: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
