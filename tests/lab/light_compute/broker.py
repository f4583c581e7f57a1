"""The connections of a light compute to one broker: one on which it is called, and one on which it calls the conductor.

Both are read in one thread. py-amqp gives up neither `drain_events` after a mere heartbeat frame nor a callback that
publishes, so frames are read one by one when `select` says so, and callbacks only keep what arrived.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from uuid import uuid4

import amqp

from tests.lab.light_compute import calls
from tests.lab.light_compute.options import BrokerLogin, Options

EXCHANGE = "nova"
CONNECT_SECONDS = 5
UNUSED_MILLISECONDS = 1_800_000  # so long do the reply and fanout queues outlive their consumer
STARTED = monotonic()  # this process, nearly
HEARTBEATS = 4  # looked at so many times in one interval


class StopAsked(Exception):
    """SIGTERM has arrived."""


class NoReply(Exception):
    """The conductor did not answer in time."""


class Link:
    """A connection with one channel, and the messages that have arrived there."""

    def __init__(self, login: BrokerLogin, name: str, heartbeat: int) -> None:
        self.arrived: list[Any] = []
        self.connection = amqp.Connection(
            host=login.address,
            userid=login.user,
            password=login.password,
            virtual_host=login.vhost,
            heartbeat=heartbeat,
            connect_timeout=CONNECT_SECONDS,
            client_properties={"connection_name": name},
        )
        self.connection.connect()
        self.channel = self.connection.channel()

    def queue(self, name: str, *, durable: bool, quorum: bool, expires: bool) -> None:
        """Declare a queue as oslo.messaging does."""
        arguments: dict[str, Any] = {"x-queue-type": "quorum"} if quorum else {}
        if expires:
            arguments["x-expires"] = UNUSED_MILLISECONDS
        self.channel.queue_declare(name, durable=durable, auto_delete=False, arguments=arguments)

    def consume(self, queue: str) -> None:
        """Keep what arrives in a queue."""
        self.channel.basic_consume(queue, callback=self.arrived.append)

    def send(self, body: str, exchange: str, routing_key: str) -> None:
        """Publish one message."""
        message = amqp.Message(
            body, content_type="application/json", content_encoding="utf-8", delivery_mode=2
        )
        self.channel.basic_publish(message, exchange=exchange, routing_key=routing_key)

    def taken(self) -> list[Any]:
        """Return what has arrived, and acknowledge it."""
        messages, self.arrived[:] = list(self.arrived), []
        for message in messages:
            self.channel.basic_ack(message.delivery_tag)
        return messages


class BrokerSession:
    """Both connections. `wakeup`: the descriptor that can be read once a signal has arrived.

    Raises:
        amqp.AMQPError, OSError: from every method, when the broker refuses or fails.
        StopAsked: from every method that waits.
    """

    def __init__(self, login: BrokerLogin, options: Options, wakeup: int) -> None:
        self.options, self.wakeup = options, wakeup
        self.links: list[Link] = []
        self.reply_queue = f"reply_{uuid4().hex}"
        self.replies: dict[str, calls.ReceivedReply] = {}
        try:
            self.server = self._open(login, "server")
            self.caller = self._open(login, "caller")
            self._serve()
            self._listen()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the sockets; the broker notices."""
        for link in self.links:
            link.connection.collect()

    def call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Call nova-conductor, and serve meanwhile; return its result.

        Raises:
            NoReply: none in time; the text names the call.
            LookupError: it raised an exception; the text is that exception's name.
        """
        call = uuid4().hex
        self.caller.send(
            calls.call_of(method, arguments, call, self.reply_queue), EXCHANGE, "conductor"
        )
        self.serve(self.options.reply_timeout, lambda: call in self.replies)
        if call not in self.replies:
            raise NoReply(call)
        reply = self.replies.pop(call)
        if reply.failure:
            raise LookupError(reply.failure)
        return reply.result

    def serve(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        """Answer calls for so long, or until `done`."""
        deadline = monotonic() + seconds
        self._handle()
        while not done() and (left := deadline - monotonic()) > 0:
            self._read(min(left, self.options.heartbeat / HEARTBEATS))
            self._handle()
            for link in self.links:
                link.connection.heartbeat_tick()

    def _open(self, login: BrokerLogin, purpose: str) -> Link:
        link = Link(login, f"nova-compute:{self.options.host}:{purpose}", self.options.heartbeat)
        self.links.append(link)
        return link

    def _serve(self) -> None:
        """Declare and consume the queues on which nova-compute is called."""
        link, quorum, host = self.server, self.options.quorum_queues, self.options.host
        transient, fanout = self.options.transient_quorum_queues, f"{calls.TOPIC}_fanout"
        link.channel.exchange_declare(EXCHANGE, "topic", durable=quorum, auto_delete=False)
        for queue in (calls.TOPIC, f"{calls.TOPIC}.{host}"):
            link.queue(queue, durable=quorum, quorum=quorum, expires=False)
            link.channel.queue_bind(queue, EXCHANGE, queue)
            link.consume(queue)
        link.channel.exchange_declare(fanout, "fanout", durable=transient, auto_delete=True)
        queue = f"{fanout}_{uuid4().hex}"
        link.queue(queue, durable=transient, quorum=transient, expires=True)
        link.channel.queue_bind(queue, fanout, calls.TOPIC)
        link.consume(queue)

    def _listen(self) -> None:
        """Declare and consume the queue to which the conductor replies."""
        transient = self.options.transient_quorum_queues
        self.caller.queue(self.reply_queue, durable=transient, quorum=transient, expires=True)
        self.caller.consume(self.reply_queue)

    def _read(self, seconds: float) -> None:
        """Read one frame of each connection that has one; wait so long for the first."""
        sockets = {link.connection.sock: link for link in self.links}
        ready, _, _ = select.select([*sockets, self.wakeup], [], [], seconds)
        if self.wakeup in ready:
            raise StopAsked
        for sock in ready:
            sockets[sock].connection.blocking_read(CONNECT_SECONDS)

    def _handle(self) -> None:
        deaf = 0 < self.options.deaf_after < monotonic() - STARTED
        handle(self.server, self.caller, self.replies, deaf=deaf)


def handle(
    server: Link, caller: Link, replies: dict[str, calls.ReceivedReply], *, deaf: bool = False
) -> None:
    """Answer what has arrived and keep replies, until nothing is left: py-amqp reads on while it publishes.

    One that is `deaf` takes calls and answers none.
    """
    while server.arrived or caller.arrived:
        for message in server.taken():
            received = calls.read_call(message.body)
            if received.reply_queue and not deaf:
                server.send(calls.answer(received, uuid4().hex), "", received.reply_queue)
        for message in caller.taken():
            reply = calls.read_reply(message.body)
            replies[reply.call] = reply
