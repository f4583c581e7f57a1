"""The process behind the unit nova-compute of a light host.

    python3 -m tests.lab.light_compute --config-file=/etc/nova/nova.conf

It starts, reports and stops as nova-compute does: it is up for systemd once the conductor has answered all calls of its
start, reports for the first time 5 s later, and goes from broker to broker when one fails.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import sys
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import amqp

from tests.lab.light_compute import calls
from tests.lab.light_compute.broker import BrokerSession, NoReply, StopAsked
from tests.lab.light_compute.options import BrokerLogin, Options, read_options

FIRST_REPORT_SECONDS = 5  # nova's INITIAL_REPORTING_DELAY


class LightCompute:
    """One process; `wakeup` can be read once it is asked to stop."""

    def __init__(self, options: Options, wakeup: int) -> None:
        self.options, self.wakeup = options, wakeup
        self.record: calls.Record = {}
        self.ready = False
        self.conductor_silent = False

    def run(self) -> None:
        """Start, then serve until a signal arrives."""
        try:
            self.pause(self.options.start_seconds)
            self.log("INFO", "nova.service", "Starting compute node (light)")
            brokers = random.sample(self.options.brokers, len(self.options.brokers))
            for login in cycle(brokers):
                self.connect(login)
        except StopAsked:
            notify("STOPPING=1")
            self.log("INFO", "nova.service", "Caught SIGTERM, stopping")

    def connect(self, login: BrokerLogin) -> None:
        """Serve on one broker until it fails, then wait a little.

        Raises:
            StopAsked: a signal arrived.
        """
        try:
            session = BrokerSession(login, self.options, self.wakeup)
            try:
                self.serve(session)
            finally:
                session.close()
        except (amqp.AMQPError, OSError) as error:
            cause = f"{type(error).__name__}: {str(error).splitlines()[:1]}"
            text = f"AMQP server on {login.address} is unreachable: {cause}. Trying again"
            self.log("ERROR", "oslo.messaging._drivers.impl_rabbit", text)
            self.pause(self.options.retry)

    def serve(self, session: BrokerSession) -> None:
        """Register, tell systemd, and report at every interval."""
        while not self.ready:
            self.start(session)
        session.serve(FIRST_REPORT_SECONDS)
        while True:
            self.report(session)
            session.serve(self.options.report_interval)

    def start(self, session: BrokerSession) -> None:
        """Make the calls of a start, the first of which read or create the record of this service."""
        ask = "object_class_action_versions"
        try:
            wanted = calls.asked_of_class(
                "get_by_host_and_binary", [self.options.host, calls.BINARY]
            )
            found = session.call(ask, wanted)
            version = session.call(
                ask, calls.asked_of_class("get_minimum_version", ["nova-conductor"])
            )
            if not found:
                new = calls.new_record(self.options.host, version)
                session.call("object_action", calls.asked_of(new, "create"))
            for _ in range(self.options.start_calls):
                found = session.call(ask, wanted)
        except NoReply:
            text = "Timed out waiting for nova-conductor.  Is it running? Trying again"
            self.log("WARNING", "nova.conductor.api", text)
            return
        self.record, self.ready = found, True
        notify("READY=1")
        self.log("INFO", "nova.service", f"Started; {self.options.start_calls} calls answered")

    def report(self, session: BrokerSession) -> None:
        """Count one more report in the service's record."""
        record = calls.reported(self.record)
        driver = "nova.servicegroup.drivers.db"
        try:
            session.call("object_action", calls.asked_of(record, "save"))
        except NoReply as call:
            if not self.conductor_silent:
                text = f"MessagingTimeout: Timed out waiting for a reply to message ID {call}"
                self.log("ERROR", driver, f"{text}: lost connection to nova-conductor")
            self.conductor_silent = True
        except LookupError as failure:
            self.log("ERROR", driver, f"the report was refused: {failure}")
        else:
            self.record = record
            if self.conductor_silent:
                self.log("INFO", driver, "Recovered from being unable to report status.")
            self.conductor_silent = False

    def pause(self, seconds: float) -> None:
        """Wait without being called.

        Raises:
            StopAsked: a signal arrived.
        """
        if select.select([self.wakeup], [], [], seconds)[0]:
            raise StopAsked

    def log(self, level: str, logger: str, text: str) -> None:
        """Write a line in oslo.log's default format."""
        now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        with self.options.log_file.open("a") as log:
            log.write(f"{now} {os.getpid()} {level} {logger} [-] {text}\n")


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)), where it asks."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
            notifying.sendto(state.encode(), address.replace("@", "\0", 1))


def main(arguments: list[str]) -> None:
    """Run until SIGTERM, then take as long to stop as nova-compute takes."""
    files = [each.partition("=")[2] for each in arguments if each.startswith("--config-file=")]
    text = "\n".join(Path(each).read_text() for each in files)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGTERM, _ignore)
    options = read_options(text, socket.gethostname())
    if options.unusable:
        sys.exit("an option of its configuration has no usable value")
    LightCompute(options, reading).run()
    select.select([], [], [], options.stop_seconds)


def _ignore(*_: Any) -> None:
    """Leave the signal to the wakeup descriptor."""


if __name__ == "__main__":
    main(sys.argv[1:])
