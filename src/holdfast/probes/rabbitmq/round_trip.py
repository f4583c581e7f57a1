"""Send one message of our own through each node and receive it. Owns AMQP; leaves nothing behind."""

from __future__ import annotations

import errno
import math
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any, Literal
from uuid import uuid4

import amqp
from amqp.exceptions import AccessRefused, AMQPError, NotAllowed

from holdfast.errors import InvalidInput
from holdfast.observations.rabbitmq import RoundTrip, RoundTrips
from holdfast.probes.base import ProbeContext, ask_all
from holdfast.probes.clients import AmqpConnection
from holdfast.probes.connections import tls_mismatch
from holdfast.probes.rabbitmq.site import GROUP, OWN_CONNECTIONS, Broker, brokers_of

PREFIX = "holdfast.round-trip."

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


def probe_round_trips(context: ProbeContext, through: Sequence[str] = ()) -> RoundTrips:
    """Make one round trip through the node of each host, all of them by default, at the same time.

    Raises:
        InvalidInput: a host is no broker of the inventory.
    """
    brokers = brokers_of(context)
    if unknown := [host for host in through if host not in brokers]:
        raise InvalidInput(
            f"no broker of this inventory: {', '.join(unknown)}",
            remedy=f"name hosts of the group {GROUP}: {', '.join(brokers)}",
        )
    chosen = {host: brokers[host] for host in through or brokers}
    return ask_all(chosen, lambda broker: _Trip(broker).result())


class _Trip:
    """One message's way through one node; ``_stage`` is how far it came."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._site = broker, broker.site
        # For each answer; a whole trip takes 0.01 to 0.05 s.
        self._timeout = broker.site.rabbitmq_answer_seconds
        self._target = broker.target(broker.site.rabbitmq_amqp_port)
        self._name = f"{PREFIX}{broker.host}.{uuid4()}"
        self._stage = "connect"
        self._blocked = ""

    def result(self) -> RoundTrip:
        """Make the trip and return how it ended; raises nothing for a broker or network that fails."""
        began = time.monotonic()
        try:
            self._go()
        except (OSError, AMQPError) as error:
            cause, how = self._blocked or _cause_of(error), _how(error)
            if self._stage == "login" and how == "broken" and (other := self._mismatch(error)):
                cause, how = other, "unreachable"  # nothing was learnt of the node
            if how == "denied":
                site = self._site
                who = f"rabbitmq_probe_user {site.rabbitmq_probe_user!r}"
                cause = f"{cause} ({who} in virtual host {site.rabbitmq_probe_vhost!r})"
            refused = isinstance(
                error, AccessRefused
            )  # NotAllowed: also while its virtual host starts
            return RoundTrip(
                ok=False, stage=self._stage, how=how, cause=cause, login_refused=refused
            )
        return RoundTrip(ok=True, seconds=time.monotonic() - began)

    def _go(self) -> None:
        # Only connect: no answer here may be the network's fault, no answer later is the broker's.
        self._target.open().close()
        self._stage = "login"
        connection = self._connection()
        try:
            connection.connect()
            connection.transport.sock.settimeout(self._timeout)  # for every answer from here on
            self._round(connection)
            connection.close()
        finally:
            connection.collect()

    def _round(self, connection: Any) -> None:
        got: list[Any] = []
        self._stage = "declare"
        channel = connection.channel()
        # Exclusive: the broker deletes it with the connection, even if this process dies. Such a queue is
        # placed on the node that is asked, so the trip proves that node.
        channel.queue_declare(self._name, exclusive=True, auto_delete=True, durable=False)
        self._stage = "publish"
        message = amqp.Message(self._name)
        channel.basic_publish_confirm(message, routing_key=self._name, timeout=self._timeout)
        self._stage = "consume"
        consumer = channel.basic_consume(self._name, no_ack=True, callback=got.append)
        connection.drain_events(timeout=self._timeout)
        if [message.body for message in got] != [self._name]:
            raise AMQPError("the message that came back is not the one that was sent")
        self._stage = "delete"
        channel.basic_cancel(
            consumer
        )  # else the broker notifies the consumer that its queue is gone
        channel.queue_delete(self._name)

    def _connection(self) -> Any:
        """Return the connection, not yet open.

        While an alarm is in effect the broker reads nothing more from a connection that has published, so it does not
        notice that we close it. Only its own heartbeat, which it cannot send any more, ends such a connection (seen on
        3.10.8). The heartbeat is so long that none comes while an answer is awaited: it would count as one.
        """
        site = self._site
        tls = {
            "server_hostname": site.rabbitmq_tls_name or self._broker.address,
            "ca_certs": site.rabbitmq_amqp_ca_file or None,
            "cert_reqs": ssl.CERT_REQUIRED,
        }
        return AmqpConnection(
            self._target,
            userid=site.rabbitmq_probe_user,
            password=site.rabbitmq_probe_password.get_secret_value(),
            virtual_host=site.rabbitmq_probe_vhost,
            ssl=site.rabbitmq_amqp_tls and tls,
            read_timeout=self._timeout,
            write_timeout=self._timeout,
            on_blocked=self._on_blocked,
            client_properties={"connection_name": f"{OWN_CONNECTIONS}round trip"},
            heartbeat=2 * math.ceil(self._timeout) + 2,
        )

    def _mismatch(self, error: Exception) -> str:
        """Return what to set where the listener speaks TLS and the site does not say so, or the other way round."""
        port, tls = self._site.rabbitmq_amqp_port, self._site.rabbitmq_amqp_tls
        found = tls_mismatch(error, self._target, tls=tls)
        return found and f"port {port} {found}: set rabbitmq_amqp_tls: {'false' if tls else 'true'}"

    def _on_blocked(self, _: str) -> None:
        self._blocked = "the broker blocks publishers: a memory or disk alarm is in effect"


def _cause_of(error: OSError | AMQPError) -> str:
    """Return the broker's own text where it closed with an error, else the system's."""
    return getattr(error, "message", None) or str(error) or type(error).__name__


def _how(error: Exception) -> Literal["refused", "unreachable", "denied", "silent", "broken"]:
    """Return how the trip ended, in the terms of ``RoundTrip.how``."""
    if isinstance(error, AccessRefused | NotAllowed):
        return "denied"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "silent"
    local = isinstance(error, socket.gaierror | ssl.SSLCertVerificationError | FileNotFoundError)
    if local or (isinstance(error, OSError) and error.errno in _UNREACHABLE):
        return "unreachable"
    return "broken"
