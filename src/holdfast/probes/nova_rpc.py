"""Call nova's services over the broker: does each take a call off its own queue and answer it?

Every nova RPC server answers ``ping`` in namespace ``baseapi``, version 1.0, from nova 26 and
before to 31 and after. The call is spoken with py-amqp in the envelope that every release of
oslo.messaging reads and writes, and not through oslo.messaging: that library waits without an end
while no broker answers, and leaves a reply queue behind for half an hour each time.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import amqp

from holdfast.errors import CannotTell, InvalidInput

EXCHANGE = "nova"
REPLIES = "holdfast_"  # our reply queues are told from nova's own, ``reply_…``, by their names
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
# A ping that nobody took is dropped by the broker before we stop listening: an answer that finds
# no reply queue makes the service retry it for a minute and complain in its log.
EXPIRY_SECONDS = ANSWER_SECONDS - 1
TLS_PORT, PORT = 5671, 5672


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One service's own queue: ``compute`` on the host that nova knows as ``cmp1``."""

    topic: str
    server: str

    @property
    def queue(self) -> str:
        """The routing key, which is the queue's name."""
        return f"{self.topic}.{self.server}"


@dataclass(slots=True)
class Echo:
    """What came back for one target: ``sent`` pings, ``answered`` ones, and what else was said.

    ``no_queue``: the broker has no such queue. ``error``: the service answered with a failure.
    """

    sent: int = 0
    answered: int = 0
    no_queue: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Broker:
    """One address of a transport URL; the password appears in no representation."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    vhost: str
    tls: bool

    @property
    def name(self) -> str:
        """For messages: host and port."""
        return f"{self.host}:{self.port}"


def brokers_of(url: str) -> Sequence[Broker]:
    """Read a transport URL as nova has it: ``rabbit://user:password@host:port,…/vhost?ssl=1``.

    Raises:
        InvalidInput: it is none; the message never holds the URL, which holds a password.
    """
    fault = "nova_transport_url: expected rabbit://user:password@host:port[,…]/[vhost]"
    try:
        parts = urlsplit(url)
        tls = parse_qs(parts.query).get("ssl", ["0"])[-1].lower() in {"1", "true", "yes", "on"}
        addresses = [urlsplit(f"//{address}") for address in parts.netloc.split(",")]
        brokers = [
            Broker(
                host=address.hostname or "",
                port=address.port or (TLS_PORT if tls else PORT),
                user=unquote(address.username or ""),
                password=unquote(address.password or ""),
                vhost=unquote(parts.path[1:]) or "/",
                tls=tls,
            )
            for address in addresses
        ]
    except ValueError:
        raise InvalidInput(fault) from None  # the original names the URL
    if parts.scheme != "rabbit" or not all(each.host and each.user for each in brokers):
        raise InvalidInput(fault)
    return brokers


def ping(
    brokers: Sequence[Broker], pings: Mapping[Target, int], ca_file: str = ""
) -> Mapping[Target, Echo]:
    """Send each target so many pings at once, through the first broker that serves, and listen.

    Takes 3 s at most for each broker that does not answer, and 5 s for the pings.

    Raises:
        CannotTell: no broker serves, or the one in use fails meanwhile; names brokers and causes.
    """
    connection, via = _first_that_serves(brokers, ca_file)
    try:
        echoes = Round(connection).ask(pings)
        connection.close()
    except (amqp.AMQPError, OSError) as error:
        raise CannotTell(f"broker {via.name} failed while pings were out: {_said(error)}") from None
    finally:
        connection.collect()
    return echoes


def _first_that_serves(brokers: Iterable[Broker], ca_file: str) -> tuple[amqp.Connection, Broker]:
    refusals = []
    for broker in brokers:
        connection = amqp.Connection(
            host=broker.name,
            userid=broker.user,
            password=broker.password,
            virtual_host=broker.vhost,
            ssl=_tls(broker, ca_file) if broker.tls else False,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=CONNECT_SECONDS,
            write_timeout=CONNECT_SECONDS,
            client_properties={"connection_name": "holdfast: nova gate"},
        )
        try:
            connection.connect()
        except (amqp.AMQPError, OSError) as error:
            refusals.append(f"{broker.name}: {_said(error)}")
        else:
            return connection, broker
    raise CannotTell(f"no broker of nova_transport_url serves: {'; '.join(refusals)}")


def _tls(broker: Broker, ca_file: str) -> dict[str, Any]:
    return {
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": ca_file or None,
        "server_hostname": broker.host,
    }


def _said(error: Exception) -> str:
    """The error in one line; py-amqp's own text names host and reason, never the password."""
    if isinstance(error, amqp.AccessRefused):
        return "login refused (403)"
    return str(error).partition("\n")[0].strip() or type(error).__name__


@dataclass(slots=True)
class Round:
    """One exchange of pings and answers on an open connection, with a reply queue of its own.

    ``wait``: seconds to listen for answers.
    """

    connection: Any
    wait: float = ANSWER_SECONDS
    echoes: dict[Target, Echo] = field(default_factory=dict)
    waiting: dict[str, Target] = field(default_factory=dict)
    blocked: str = ""

    def ask(self, pings: Mapping[Target, int]) -> Mapping[Target, Echo]:
        """Send every target its pings at once and listen until all is told or the time is over.

        Raises:
            CannotTell: the broker blocks who publishes.
        """
        self.connection.on_blocked = self._blocked
        channel = self.connection.channel()
        channel.events["basic_return"].add(self._returned)
        replies = channel.queue_declare(f"{REPLIES}{uuid4().hex}", exclusive=True).queue
        channel.basic_consume(replies, callback=self._answered, no_ack=True)
        for target, count in pings.items():
            self.echoes[target] = Echo(sent=count)
            for _ in range(count):
                self._send(channel, target, replies)
        self._listen()
        return self.echoes

    def _send(self, channel: Any, target: Target, replies: str) -> None:
        call = uuid4().hex
        self.waiting[call] = target
        message = amqp.Message(
            envelope("ping", {"arg": call}, call, replies),
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=call,
            expiration=str(int(EXPIRY_SECONDS * 1000)),
        )
        channel.basic_publish(message, exchange=EXCHANGE, routing_key=target.queue, mandatory=True)

    def _listen(self) -> None:
        deadline = monotonic() + self.wait
        while self.waiting and not self.blocked and (left := deadline - monotonic()) > 0:
            try:
                self.connection.drain_events(timeout=left)
            except TimeoutError:
                break
        if self.blocked:
            raise CannotTell(f"the broker takes no messages (alarm): {self.blocked}")

    def _answered(self, message: Any) -> None:
        reply = json.loads(json.loads(message.body)["oslo.message"])
        target = self.waiting.pop(reply.get("_msg_id", ""), None)
        if target is None:
            return
        echo = self.echoes[target]
        if reply.get("failure"):
            echo.error = json.loads(reply["failure"]).get("class", "unknown")
        else:
            echo.answered += 1

    def _returned(self, *words_and_message: Any) -> None:
        """The broker gives a message back that it could not put into any queue."""
        call = words_and_message[-1].properties["correlation_id"]
        target = self.waiting.pop(call, None)
        if target is not None:
            self.echoes[target].no_queue = True

    def _blocked(self, reason: str) -> None:
        self.blocked = reason


def envelope(method: str, arguments: Mapping[str, Any], call: str, replies: str) -> str:
    """An RPC call as oslo.messaging 2.0 envelopes it (``serialize_msg``, ``pack_context``)."""
    message = {
        "method": method,
        "args": arguments,
        "namespace": "baseapi",
        "version": "1.0",
        "_msg_id": call,
        "_reply_q": replies,
        "_timeout": None,
        "_unique_id": uuid4().hex,
        "_context_is_admin": True,
    }
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})
