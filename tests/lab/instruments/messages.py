"""Sends numbered messages through a quorum queue: producers wait for each confirm, consumers acknowledge.

A client that loses its broker connects to the next one, as a service would. Each message is published once: one without
a confirm is counted and not sent again, so that each number stands for one attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle, islice

import amqp

from tests.lab.instruments.records import Recorder
from tests.lab.instruments.site import Host, Site

CONNECT_TIMEOUT = 3.0
CONFIRM_TIMEOUT = 5.0
RECONNECT_PAUSE = 0.5
HEARTBEAT = 10  # seconds; a connection without traffic for two of them is closed
PREFETCH = 50
EXPIRES = 600_000  # milliseconds after which RabbitMQ deletes the unused queue

CONNECTION_ERRORS = (amqp.AMQPError, OSError)


class Brokers:
    """The brokers in the order in which one client tries them, beginning with its own."""

    def __init__(self, site: Site, first: int) -> None:
        hosts = site.members("rabbitmq")
        self._site = site
        self._next: Iterator[Host] = islice(cycle(hosts), first % len(hosts), None)

    def connect(self) -> tuple[str, amqp.Connection]:
        """Return the next broker's name and an open connection to it.

        Raises:
            amqp.AMQPError, OSError: this broker did not accept the connection; the next call tries the next broker.
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
        except CONNECTION_ERRORS:
            connection.collect()
            raise
        return host.name, connection


@contextmanager
def quorum_queue(site: Site, name: str) -> Iterator[None]:
    """Declare a quorum queue through the first broker that answers, and delete it after the block."""
    with _channel_of_any_broker(site) as channel:
        channel.queue_declare(
            name,
            durable=True,
            auto_delete=False,
            arguments={"x-queue-type": "quorum", "x-expires": EXPIRES},
        )
    yield
    with (
        suppress(*CONNECTION_ERRORS),
        _channel_of_any_broker(site) as channel,
    ):  # if no broker answers, it expires
        channel.queue_delete(name)


@contextmanager
def _channel_of_any_broker(site: Site) -> Iterator[amqp.Channel]:
    brokers = Brokers(site, 0)
    refused: Exception | None = None
    for _ in site.members("rabbitmq"):
        try:
            _, connection = brokers.connect()
        except CONNECTION_ERRORS as error:
            refused = error
            continue
        with connection:
            yield connection.channel()
        return
    raise OSError(f"no broker accepts a connection: {refused}")


class DeliveryLog:
    """Records the confirm and the delivery of each message, and counts confirmed ones not yet delivered."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._confirmed: set[str] = set()
        self._consumed: set[str] = set()

    def connection(self, client: str, broker: str, ok: bool, why: str | None = None) -> None:
        """Record that a client connected to a broker (`ok`), or could not or lost the connection."""
        self._recorder.event(what="connect", ok=ok, host=broker, who=client, detail=why)

    def published(self, identity: str, broker: str, ok: bool, why: str | None = None) -> None:
        """Record that a message was confirmed (`ok`), or that its outcome is unknown."""
        if ok:
            with self._lock:
                self._confirmed.add(identity)
        self._recorder.event(what="publish", ok=ok, host=broker, id=identity, detail=why)

    def consumed(self, identity: str, broker: str, redelivered: bool) -> None:
        """Record a delivery; `redelivered` is the broker's flag that the message may have been delivered before."""
        with self._lock:
            self._consumed.add(identity)
        self._recorder.event(
            what="consume", ok=True, host=broker, id=identity, detail={"redelivered": redelivered}
        )

    def outstanding(self) -> int:
        """Return the number of confirmed messages that have not been delivered yet."""
        with self._lock:
            return len(self._confirmed - self._consumed)


class Client(threading.Thread):
    """One producer or consumer, which reconnects until `stop` is set."""

    def __init__(
        self, name: str, brokers: Brokers, log: DeliveryLog, stop: threading.Event
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._brokers = brokers
        self._log = log
        self._stop_requested = stop

    def run(self) -> None:
        """Connect and work, again after each lost connection, until `stop` is set."""
        while not self._stop_requested.is_set():
            broker = ""
            try:
                broker, connection = self._brokers.connect()
                self._log.connection(self.name, broker, ok=True)
                try:
                    self.work(broker, connection)
                finally:
                    connection.collect()
            except CONNECTION_ERRORS as error:
                self._log.connection(self.name, broker, ok=False, why=type(error).__name__)
                self._stop_requested.wait(RECONNECT_PAUSE)

    def work(self, broker: str, connection: amqp.Connection) -> None:
        """Use one connection until `stop` is set.

        Raises:
            amqp.AMQPError, OSError: the connection failed.
        """
        raise NotImplementedError


class Producer(Client):
    """Publishes numbered messages, `pause` seconds apart, and waits for each one's confirm."""

    def __init__(
        self,
        name: str,
        brokers: Brokers,
        log: DeliveryLog,
        stop: threading.Event,
        *,
        queue: str,
        pause: float,
    ) -> None:
        super().__init__(name, brokers, log, stop)
        self._queue = queue
        self._pause = pause
        self._numbers = count(1)

    def work(self, broker: str, connection: amqp.Connection) -> None:
        """Publish until `stop` is set; a message without a confirm ends the connection."""
        channel = connection.channel()
        while not self._stop_requested.wait(self._pause):
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
        except CONNECTION_ERRORS as error:
            self._log.published(identity, broker, ok=False, why=type(error).__name__)
            raise
        self._log.published(identity, broker, ok=True)


class Consumer(Client):
    """Consumes messages and acknowledges each after it is recorded."""

    def __init__(
        self, name: str, brokers: Brokers, log: DeliveryLog, stop: threading.Event, *, queue: str
    ) -> None:
        super().__init__(name, brokers, log, stop)
        self._queue = queue

    def work(self, broker: str, connection: amqp.Connection) -> None:
        """Consume until `stop` is set."""
        channel = connection.channel()

        def take(message: amqp.Message) -> None:
            body = message.body
            identity = body.decode() if isinstance(body, bytes) else body
            self._log.consumed(identity, broker, redelivered=message.delivery_info["redelivered"])
            channel.basic_ack(message.delivery_tag)

        channel.basic_qos(prefetch_size=0, prefetch_count=PREFETCH, a_global=False)
        channel.basic_consume(self._queue, callback=take)
        while not self._stop_requested.is_set():
            with suppress(TimeoutError):
                connection.drain_events(timeout=1)
            connection.heartbeat_tick()
