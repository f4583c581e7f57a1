"""Numbered messages through a quorum queue: producers that wait for each confirm, consumers that acknowledge.

Owns the AMQP side of the traffic. A client that loses its broker goes on at the next one, as a service would. A message
is published once: what was not confirmed is counted, never sent again, so that every number tells one story.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle, islice

import amqp

from tests.lab.instruments.lines import Recorder
from tests.lab.instruments.site import Host, Site

CONNECT_TIMEOUT = 3.0
CONFIRM_TIMEOUT = 5.0
RECONNECT_PAUSE = 0.5
HEARTBEAT = 10  # seconds; a broker that says nothing for two of them is given up
PREFETCH = 50
EXPIRES = 600_000  # milliseconds after which a queue that nobody uses any more deletes itself

TROUBLE = (amqp.AMQPError, OSError)


class Brokers:
    """The brokers in the order in which one client tries them, beginning with its own."""

    def __init__(self, site: Site, first: int) -> None:
        hosts = site.members("rabbitmq")
        self._site = site
        self._next: Iterator[Host] = islice(cycle(hosts), first % len(hosts), None)

    def connect(self) -> tuple[str, amqp.Connection]:
        """Return the next broker's name and an open connection to it.

        Raises:
            amqp.AMQPError, OSError: this broker does not take the connection; the next call tries the next.
        """
        host = next(self._next)
        connection = amqp.Connection(
            host=f"{host.address}:{self._site.amqp_port}",
            userid=self._site.amqp_user,
            password=self._site.amqp_password.value,
            virtual_host=self._site.amqp_vhost,
            connect_timeout=CONNECT_TIMEOUT,
            heartbeat=HEARTBEAT,
            confirm_publish=True,
        )
        try:
            connection.connect()
        except TROUBLE:
            connection.collect()
            raise
        return host.name, connection


@contextmanager
def quorum_queue(site: Site, name: str) -> Iterator[None]:
    """Keep a quorum queue for the length of the block; declared through the first broker that answers."""
    with _somewhere(site) as channel:
        channel.queue_declare(
            name,
            durable=True,
            auto_delete=False,
            arguments={"x-queue-type": "quorum", "x-expires": EXPIRES},
        )
    yield
    with suppress(*TROUBLE), _somewhere(site) as channel:  # where no broker answers it expires
        channel.queue_delete(name)


@contextmanager
def _somewhere(site: Site) -> Iterator[amqp.Channel]:
    brokers = Brokers(site, 0)
    refused: Exception | None = None
    for _ in site.members("rabbitmq"):
        try:
            _, connection = brokers.connect()
        except TROUBLE as error:
            refused = error
            continue
        with connection:
            yield connection.channel()
        return
    raise OSError(f"no broker takes a connection: {refused}")


class Ledger:
    """Writes down what became of every message, and knows which confirmed one is still to come."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._confirmed: set[str] = set()
        self._consumed: set[str] = set()

    def connection(self, client: str, broker: str, ok: bool, why: str | None = None) -> None:
        """Note that a client has a broker (`ok`), or has lost or not got it."""
        self._recorder.event(what="connect", ok=ok, host=broker, who=client, detail=why)

    def published(self, identity: str, broker: str, ok: bool, why: str | None = None) -> None:
        """Note that a message was confirmed (`ok`), or that nobody knows what became of it."""
        if ok:
            with self._lock:
                self._confirmed.add(identity)
        self._recorder.event(what="publish", ok=ok, host=broker, id=identity, detail=why)

    def consumed(self, identity: str, broker: str, again: bool) -> None:
        """Note that a message arrived; `again` is the broker's word that it was delivered before."""
        with self._lock:
            self._consumed.add(identity)
        self._recorder.event(
            what="consume", ok=True, host=broker, id=identity, detail={"redelivered": again}
        )

    def outstanding(self) -> int:
        """Return how many confirmed messages have not arrived yet."""
        with self._lock:
            return len(self._confirmed - self._consumed)


class Client(threading.Thread):
    """One producer or consumer, which keeps itself connected until it is told to stop."""

    def __init__(self, name: str, brokers: Brokers, ledger: Ledger, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._brokers = brokers
        self._ledger = ledger
        self._told = stop

    def run(self) -> None:
        """Work over one connection after the other."""
        while not self._told.is_set():
            broker = ""
            try:
                broker, connection = self._brokers.connect()
                self._ledger.connection(self.name, broker, ok=True)
                try:
                    self.work(broker, connection)
                finally:
                    connection.collect()
            except TROUBLE as error:
                self._ledger.connection(self.name, broker, ok=False, why=type(error).__name__)
                self._told.wait(RECONNECT_PAUSE)

    def work(self, broker: str, connection: amqp.Connection) -> None:
        """Use one connection until told to stop, or until it fails with one of TROUBLE."""
        raise NotImplementedError


class Producer(Client):
    """Publishes numbered messages, `pause` seconds apart, and waits for each one's confirm."""

    def __init__(
        self,
        name: str,
        brokers: Brokers,
        ledger: Ledger,
        stop: threading.Event,
        *,
        queue: str,
        pause: float,
    ) -> None:
        super().__init__(name, brokers, ledger, stop)
        self._queue = queue
        self._pause = pause
        self._numbers = count(1)

    def work(self, broker: str, connection: amqp.Connection) -> None:
        """Publish until told to stop; a message without a confirm ends the connection."""
        channel = connection.channel()
        while not self._told.wait(self._pause):
            self._publish(broker, channel)

    def _publish(self, broker: str, channel: amqp.Channel) -> None:
        identity = f"{self.name}-{next(self._numbers)}"
        try:
            channel.basic_publish(
                amqp.Message(identity, delivery_mode=2),
                routing_key=self._queue,
                mandatory=True,  # a message that no queue takes would be confirmed all the same
                timeout=CONFIRM_TIMEOUT,
                confirm_timeout=CONFIRM_TIMEOUT,
            )
        except TROUBLE as error:
            self._ledger.published(identity, broker, ok=False, why=type(error).__name__)
            raise
        self._ledger.published(identity, broker, ok=True)


class Consumer(Client):
    """Takes messages and acknowledges each after it is written down."""

    def __init__(
        self, name: str, brokers: Brokers, ledger: Ledger, stop: threading.Event, *, queue: str
    ) -> None:
        super().__init__(name, brokers, ledger, stop)
        self._queue = queue

    def work(self, broker: str, connection: amqp.Connection) -> None:
        """Consume until told to stop."""
        channel = connection.channel()

        def take(message: amqp.Message) -> None:
            body = message.body
            identity = body.decode() if isinstance(body, bytes) else body
            self._ledger.consumed(identity, broker, again=message.delivery_info["redelivered"])
            channel.basic_ack(message.delivery_tag)

        channel.basic_qos(prefetch_size=0, prefetch_count=PREFETCH, a_global=False)
        channel.basic_consume(self._queue, callback=take)
        while not self._told.is_set():
            with suppress(TimeoutError):
                connection.drain_events(timeout=1)
            connection.heartbeat_tick()
