"""The traffic: sends numbered messages and RPC calls, to count what a client loses; writes JSON lines, and a summary.

    python -m tests.lab.instruments.traffic [--out FILE]      until SIGTERM or Ctrl-C
    python -m tests.lab.instruments.traffic summary FILE

One producer and one consumer start at each broker, and connect to the next when they lose it; where nova runs, each of
its RPC servers is called once a second. At the end the producers stop first and the consumers take what is left in the
queue: a confirmed message is lost if it has not arrived after DRAIN_TIMEOUT without any delivery.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TextIO

from tests.lab.instruments.messages import (
    Brokers,
    Client,
    Consumer,
    DeliveryLog,
    Producer,
    quorum_queue,
)
from tests.lab.instruments.program import Instrument
from tests.lab.instruments.records import Recorder
from tests.lab.instruments.rpc_calls import CallOutcome, RpcClient, RpcServer, rpc_servers
from tests.lab.instruments.site import Site, read_site
from tests.lab.instruments.traffic_summary import summarise

CALL_INTERVAL = 1.0
CALL_TIMEOUT = 10.0  # seconds; nova itself waits six times as long
CALL_RECONNECTS = 3
DRAIN_TIMEOUT = 20.0  # seconds without a delivery, after which missing messages are lost


class RpcCallers:
    """Calls every nova RPC server in a thread of its own, so that one that does not answer delays no other."""

    def __init__(self, client: RpcClient, recorder: Recorder, stop: threading.Event) -> None:
        self._client = client
        self._recorder = recorder
        self._stop_requested = stop

    def threads(self, servers: Sequence[RpcServer]) -> list[threading.Thread]:
        """Return one thread per server."""
        return [
            threading.Thread(target=self._call_on, args=(server,), daemon=True)
            for server in servers
        ]

    def _call_on(self, server: RpcServer) -> None:
        while not self._stop_requested.is_set():
            asked = self._recorder.now()
            outcome, why = self._client.ping(server, CALL_TIMEOUT, CALL_RECONNECTS)
            self._recorder.event(
                what="call",
                ok=outcome is CallOutcome.ANSWERED,
                host=server.host,
                service=server.name,
                asked=asked,
                detail=why or None,
            )
            self._stop_requested.wait(CALL_INTERVAL - (self._recorder.now() - asked))


def run_traffic(site: Site, recorder: Recorder, rate: float, stop: threading.Event) -> None:
    """Send messages and calls until `stop` is set, then consume what is left in the queue."""
    queue = f"traffic-{secrets.token_hex(4)}"
    log, finished = DeliveryLog(recorder), threading.Event()
    with ExitStack() as stack:
        stack.enter_context(quorum_queue(site, queue))
        numbers = range(len(site.members("rabbitmq")))
        producers: list[Client] = [
            Producer(
                f"p{number + 1}", Brokers(site, number), log, stop, queue=queue, pause=1 / rate
            )
            for number in numbers
        ]
        consumers: list[Client] = [
            Consumer(f"c{number + 1}", Brokers(site, number), log, finished, queue=queue)
            for number in numbers
        ]
        calls: list[threading.Thread] = []
        if site.nova_transport is not None:
            client = RpcClient(site.nova_transport)
            stack.callback(client.close)
            calls = RpcCallers(client, recorder, stop).threads(list(rpc_servers(site)))
        for thread in (*consumers, *producers, *calls):
            thread.start()
        stop.wait()
        for thread in (*producers, *calls):
            thread.join()
        _drain(log)
        finished.set()
        for thread in consumers:
            thread.join()


def _drain(log: DeliveryLog) -> None:
    left, since, tick = log.outstanding(), time.monotonic(), threading.Event()
    while left and time.monotonic() - since < DRAIN_TIMEOUT:
        tick.wait(0.2)
        if (now := log.outstanding()) < left:
            left, since = now, time.monotonic()


def run(arguments: argparse.Namespace, stream: TextIO, stop: threading.Event) -> None:
    """Send until ``stop`` is set."""
    site = read_site(arguments.inventory)
    recorder = Recorder(stream, "traffic", {"rate": arguments.rate})
    run_traffic(site, recorder, arguments.rate, stop)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rate",
        type=float,
        default=10.0,
        help="messages a second at each broker (default: %(default)s)",
    )


TRAFFIC = Instrument(
    name="traffic",
    description="Send numbered messages and RPC calls through the lab until SIGTERM or Ctrl-C.",
    epilog="`traffic summary FILE` prints the lost messages and calls of a record.",
    summarise=summarise,
    measure=run,
    options=_options,
)


if __name__ == "__main__":
    sys.exit(TRAFFIC.main(sys.argv[1:]))
