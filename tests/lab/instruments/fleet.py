"""The fleet's instrument: calls every compute over the broker all the time, and reads their heartbeats; JSON lines.

    python -m tests.lab.instruments.fleet [--inventory SITE] --out FILE      until SIGTERM or Ctrl-C

One client calls every compute once in `PERIOD`, evenly, over one broker, and goes to the next broker when that one
fails, as nova's own clients do. Each period is one line: how many calls were answered, how long that took, and who gave
no answer. It shares no code with Holdfast. `fleet_summary` says what a record means.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any, TextIO
from uuid import uuid4

import amqp

from tests.lab.instruments.fleet_summary import summarise
from tests.lab.instruments.program import Instrument
from tests.lab.instruments.records import Recorder
from tests.lab.instruments.site import Site, SiteError, read_site
from tests.lab.light_compute import calls
from tests.lab.light_compute.options import BrokerLogin, brokers_of

PERIOD = 5.0  # seconds in which each compute is called once
ANSWER = 10.0  # seconds after which a call has failed
CONNECT = 5.0
OLD = 60  # seconds; nova's service_down_time
HEARTBEATS = (
    "SELECT COUNT(*), COALESCE(SUM(last_seen_up IS NULL OR last_seen_up < UTC_TIMESTAMP() - INTERVAL {old} SECOND), 0)"
    " FROM nova.services WHERE `binary` = 'nova-compute' AND deleted = 0"
)


@dataclass(slots=True)
class Call:
    """A call that was sent, and when its answer arrived; seconds of the instrument's clock."""

    host: str
    sent: float
    answered: float | None = None


class Caller:
    """A connection to one broker, on which calls are sent and answers arrive.

    Raises:
        amqp.AMQPError, OSError: from every method, when the broker refuses or fails.
    """

    def __init__(self, login: BrokerLogin) -> None:
        self._connection = amqp.Connection(
            host=login.address,
            userid=login.user,
            password=login.password,
            virtual_host=login.vhost,
            connect_timeout=CONNECT,
            read_timeout=CONNECT,
            write_timeout=CONNECT,
            client_properties={"connection_name": "instrument"},
        )
        self._connection.connect()
        self._channel = self._connection.channel()
        self._replies = f"reply_{uuid4().hex}"
        self._channel.queue_declare(self._replies, auto_delete=True)
        self._arrived: list[Any] = []
        self._channel.basic_consume(self._replies, callback=self._arrived.append, no_ack=True)

    def send(self, host: str, call: str) -> None:
        """Send a ping to a host's own queue. A queue that nobody has declared takes no message."""
        body = calls.ping_of(call, self._replies)
        message = amqp.Message(
            body, content_type="application/json", content_encoding="utf-8", expiration="10000"
        )
        self._channel.basic_publish(message, exchange="nova", routing_key=f"compute.{host}")

    def answers(self, seconds: float) -> Iterator[str]:
        """Yield the calls that are answered within so long."""
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=seconds)
        while self._arrived:
            yield calls.read_reply(self._arrived.pop(0).body).call

    def close(self) -> None:
        """Close the socket."""
        self._connection.collect()


class Watch:
    """Calls the computes in turn until it is stopped, and records each period."""

    def __init__(
        self, hosts: Sequence[str], logins: Sequence[BrokerLogin], recorder: Recorder
    ) -> None:
        self._hosts, self._logins, self._recorder = hosts, cycle(logins), recorder
        self._calls: dict[str, Call] = {}
        self._caller: Caller | None = None
        self._lost: list[str] = []

    def run(self, stop: threading.Event) -> None:
        """Call until `stop` is set."""
        turn, due = cycle(self._hosts), self._recorder.now()
        period_ends = due + PERIOD
        while not stop.is_set():
            now = self._recorder.now()
            if now >= due:
                self._call(next(turn))
                due += PERIOD / len(self._hosts)
            self._read(max(0.0, min(due - self._recorder.now(), 0.2)))
            if self._recorder.now() >= period_ends:
                self._record_period()
                period_ends += PERIOD

    def _call(self, host: str) -> None:
        call = uuid4().hex
        self._calls[call] = Call(host, self._recorder.now())
        try:
            if self._caller is None:
                self._caller = Caller(next(self._logins))
            self._caller.send(host, call)
        except (amqp.AMQPError, OSError) as error:
            self._lose(error)

    def _read(self, seconds: float) -> None:
        if self._caller is None:
            threading.Event().wait(seconds)
            return
        try:
            for call in self._caller.answers(seconds):
                if call in self._calls:
                    self._calls[call].answered = self._recorder.now()
        except (amqp.AMQPError, OSError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Note that the broker failed; the next call goes to the next one."""
        self._lost.append(type(error).__name__)
        if self._caller is not None:
            self._caller.close()
            self._caller = None

    def _record_period(self) -> None:
        """Record the calls that have ended since the last period: answered, or too old to be."""
        now = self._recorder.now()
        ended = {
            name: call
            for name, call in self._calls.items()
            if call.answered is not None or now - call.sent >= ANSWER
        }
        for name in ended:
            del self._calls[name]
        took = sorted(
            call.answered - call.sent for call in ended.values() if call.answered is not None
        )
        silent = [
            [call.host, round(call.sent, 2)] for call in ended.values() if call.answered is None
        ]
        detail = {
            "calls": len(ended),
            "median": round(took[len(took) // 2], 3) if took else None,
            "p99": round(took[int(0.99 * (len(took) - 1))], 3) if took else None,
            "silent": silent,
            "lost": self._lost,
        }
        self._lost = []
        self._recorder.event(what="calls", ok=not silent, detail=detail)


def heartbeats(container: str) -> tuple[int, int]:
    """Return how many computes nova's database lists, and how many of them have not reported for a minute.

    Raises:
        OSError, ValueError: the database gives no answer.
    """
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    argv = [*sudo, "podman", "exec", container, "mysql", "-N", "-e", HEARTBEATS.format(old=OLD)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    listed, old = done.stdout.split()
    return int(listed), int(float(old))


def _watch_heartbeats(container: str, recorder: Recorder, stop: threading.Event) -> None:
    while not stop.wait(PERIOD):
        try:
            listed, old = heartbeats(container)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            recorder.event(what="heartbeats", ok=None, detail=type(error).__name__)
        else:
            recorder.event(what="heartbeats", ok=not old, detail={"listed": listed, "old": old})


def measure(arguments: argparse.Namespace, stream: TextIO, stop: threading.Event) -> None:
    """Watch the fleet of the inventory until `stop` is set."""
    site = read_site(arguments.inventory)
    hosts = [host.nova_host for host in site.members("nova_compute")]
    if not hosts or site.nova_transport is None:
        raise SiteError(f"{arguments.inventory}: it has no computes, or no nova_transport_url")
    recorder = Recorder(stream, "fleet", {"hosts": hosts, "period": PERIOD})
    beside = threading.Thread(
        target=_watch_heartbeats, args=(_database(site), recorder, stop), daemon=True
    )
    beside.start()
    Watch(hosts, brokers_of(site.nova_transport.value), recorder).run(stop)
    beside.join()


def _database(site: Site) -> str:
    """Return the container of the host with nova's database."""
    found = [host.container for host in site.members("lab_database")]
    if not found:
        raise SiteError("the inventory has no group lab_database")
    return found[0]


FLEET = Instrument(
    name="fleet",
    description="Call every compute over the broker all the time until SIGTERM or Ctrl-C.",
    epilog="`fleet summary FILE` prints what a record says.",
    summarise=summarise,
    measure=measure,
)


if __name__ == "__main__":
    sys.exit(FLEET.main(sys.argv[1:]))
