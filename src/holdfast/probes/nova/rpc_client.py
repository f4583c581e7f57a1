"""A client that calls nova's services over the broker, each through the service's own queue.

Every nova RPC server answers ``ping`` in namespace ``baseapi``, version 1.0: nova 26 to 31, and releases
before and after. Calls are made with py-amqp, in the envelope that every release of oslo.messaging reads and writes.
oslo.messaging itself is not used: it waits without an end while no broker answers, and leaves a
reply queue behind for half an hour each time.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any
from uuid import uuid4

import amqp
from pydantic import BaseModel, Field, Json, ValidationError

from holdfast.errors import CannotTell
from holdfast.observations.nova import ExpectedService, RpcReplies, RpcRound
from holdfast.probes.clients import AmqpConnection
from holdfast.probes.connections import Connect, Target, directly, tls_mismatch
from holdfast.probes.nova.transport_url import ENCODED, BrokerAddress

EXCHANGE = "nova"
REPLIES = "holdfast_"  # the name of our reply queues begins so; nova's own are ``reply_…``
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
# The broker drops a ping that no worker took before we stop listening: a service whose answer finds
# no reply queue retries for a minute and logs a complaint.
EXPIRY_SECONDS = ANSWER_SECONDS - 1
UNANSWERED_CALLS = 100
"""So many calls wait for their answers at a time. Of 744 that were sent at once (3.10.8) the broker passed on 200."""


@dataclass(frozen=True, slots=True)
class Way:
    """How brokers are connected to; who vouches for their certificates, by default the system, and the name on them."""

    ca_file: str = ""
    tls_name: str = ""
    connect: Connect = directly


def ping(
    brokers: Sequence[BrokerAddress], pings: Mapping[ExpectedService, int], way: Way = Way()
) -> RpcRound:
    """Send each service so many pings, through the first broker that serves, and count replies.

    Takes 3 s at most for each broker that does not answer, and 5 s for each hundred pings without an answer.

    Raises:
        CannotTell: no broker serves, or the one in use fails meanwhile; the message names brokers and causes.
    """
    connection, via = _first_that_serves(brokers, way)
    try:
        replies = PingRound(connection).ping(pings)
        connection.close()
    except (amqp.AMQPError, OSError) as error:
        raise CannotTell(
            f"broker {via.name} failed before all pings were answered: {_cause_of(error)}"
        ) from None
    finally:
        connection.collect()
    return replies


def _first_that_serves(
    brokers: Iterable[BrokerAddress], way: Way
) -> tuple[AmqpConnection, BrokerAddress]:
    refusals, refused = [], []
    for broker in brokers:
        tls = {
            "cert_reqs": ssl.CERT_REQUIRED,
            "ca_certs": way.ca_file or None,
            "server_hostname": way.tls_name or broker.host,
        }
        target = Target(way.connect, broker.host, broker.port, CONNECT_SECONDS)
        connection = AmqpConnection(
            target,
            userid=broker.user,
            password=broker.password,
            virtual_host=broker.vhost,
            ssl=broker.tls and tls,
            read_timeout=CONNECT_SECONDS,
            write_timeout=CONNECT_SECONDS,
            client_properties={"connection_name": "holdfast: nova gate"},
        )
        try:
            connection.connect()
        except (amqp.AMQPError, OSError) as error:
            refusals.append(f"{_name_of(broker, error)}: {_refusal_of(broker, error, target)}")
            refused.append(isinstance(error, amqp.AccessRefused))
        else:
            return connection, broker
    message = f"no broker of nova_transport_url serves: {'; '.join(refusals)}"
    raise CannotTell(message, login_refused=bool(refused) and all(refused))


def _name_of(broker: BrokerAddress, error: Exception) -> str:
    return "one of them" if isinstance(error, socket.gaierror) else broker.name


def _refusal_of(broker: BrokerAddress, error: Exception, target: Target) -> str:
    """Return why a broker gave no connection; of a refusal whose login it was, without the password."""
    if isinstance(error, amqp.AccessRefused | amqp.NotAllowed):
        login = f"login of {broker.user!r} (nova_transport_url) to virtual host {broker.vhost!r}"
        return f"{login} refused ({error.code})"
    if isinstance(error, socket.gaierror):  # a name that nobody knows may be a piece of a password
        return f"no such host name (not shown here). Is the password URL-encoded ({ENCODED})?"
    if mismatch := tls_mismatch(error, target, tls=broker.tls):
        wanted = "nova_transport_tls or ?ssl= of nova_transport_url says TLS"
        return f"{mismatch}: {wanted if broker.tls else 'add ?ssl=1 to nova_transport_url, or set nova_transport_tls'}"
    return _cause_of(error)


def _cause_of(error: Exception) -> str:
    """Return the error in one line; py-amqp's text has host and reason, never the password."""
    return str(error).partition("\n")[0].strip() or type(error).__name__


class _Failure(BaseModel):
    kind: str = Field("unknown", alias="class")


class _Reply(BaseModel):
    call: str = Field("", alias="_msg_id")
    failure: Json[_Failure] | None = None


class _Envelope(BaseModel):
    """A reply as oslo.messaging 2.0 wraps it: JSON in JSON (``deserialize_msg``)."""

    message: Json[_Reply] = Field(alias="oslo.message")


@dataclass(slots=True)
class PingRound:
    """One exchange of pings and replies on an open connection, with a reply queue of its own.

    ``wait``: seconds to listen for the reply to each ping. ``waiting``: per call its service and when it was sent,
    the oldest first.
    """

    connection: Any
    wait: float = ANSWER_SECONDS
    replies: dict[ExpectedService, RpcReplies] = field(default_factory=dict)
    waiting: dict[str, tuple[ExpectedService, float]] = field(default_factory=dict)
    blocked: str = ""

    def ping(self, pings: Mapping[ExpectedService, int]) -> RpcRound:
        """Send every service its pings, UNANSWERED_CALLS at a time, and listen until each is answered or too old.

        Raises:
            CannotTell: the broker blocks publishers, or a reply has another shape than oslo.messaging's.
        """
        self.connection.on_blocked = self._on_blocked
        channel = self.connection.channel()
        channel.events["basic_return"].add(self._on_returned)
        reply_queue = channel.queue_declare(f"{REPLIES}{uuid4().hex}", exclusive=True).queue
        channel.basic_consume(reply_queue, callback=self._on_reply, no_ack=True)
        self.replies = {service: RpcReplies(sent=count) for service, count in pings.items()}
        unsent = deque(service for service, count in pings.items() for _ in range(count))
        while unsent or self.waiting:
            while unsent and len(self.waiting) < UNANSWERED_CALLS:
                self._send(channel, unsent.popleft(), reply_queue)
            self._listen()
        return self.replies

    def _send(self, channel: Any, service: ExpectedService, reply_queue: str) -> None:
        call = uuid4().hex
        self.waiting[call] = service, monotonic()
        message = amqp.Message(
            envelope("ping", {"arg": call}, call, reply_queue),
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=call,
            expiration=str(int(EXPIRY_SECONDS * 1000)),
        )
        channel.basic_publish(message, exchange=EXCHANGE, routing_key=service.queue, mandatory=True)

    def _listen(self) -> None:
        """Take one answer, or let go of the oldest call, which has waited for long enough."""
        oldest, (_, sent) = next(iter(self.waiting.items()))
        left = sent + self.wait - monotonic()
        try:
            self.connection.drain_events(timeout=max(left, 0.001))  # 0 would mean without an end
        except TimeoutError:
            self.waiting.pop(oldest, None)
        if self.blocked:
            raise CannotTell(f"the broker takes no messages (alarm): {self.blocked}")

    def _on_reply(self, message: Any) -> None:
        try:
            reply = _Envelope.model_validate_json(message.body).message
        except ValidationError as error:
            cause = error.errors()[0]["msg"]
            raise CannotTell(
                f"a reply to a ping has another shape than expected: {cause}"
            ) from None
        service, sent = self.waiting.pop(reply.call, (None, 0.0))
        if service is None:
            return
        so_far = self.replies[service]
        if reply.failure:
            self.replies[service] = replace(so_far, error=reply.failure.kind)
        else:
            seconds = monotonic() - sent
            quickest = min(so_far.quickest or seconds, seconds)
            self.replies[service] = replace(so_far, answered=so_far.answered + 1, quickest=quickest)

    def _on_returned(self, *reason_and_message: Any) -> None:
        """Note that the broker returned a message that it could not route to any queue."""
        call = reason_and_message[-1].properties["correlation_id"]
        service, _ = self.waiting.pop(call, (None, 0))
        if service is not None:
            self.replies[service] = replace(self.replies[service], no_queue=True)

    def _on_blocked(self, reason: str) -> None:
        self.blocked = reason


def envelope(method: str, arguments: Mapping[str, Any], call: str, replies: str) -> str:
    """Return an RPC call in the envelope of oslo.messaging 2.0 (``serialize_msg``, ``pack_context``)."""
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
