"""RPC pings to nova's servers, the way nova's own services call each other.

Owns the oslo.messaging transport. Every nova RPC server answers `ping` in namespace `baseapi`, configured or not
(facts: nova.md, "RPC ping without configuration"). The transport URL holds a password: it is never printed, and the
library's own log, which may name it, is switched off.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from oslo_config import cfg

from tests.lab.instruments.site import Secret, Site

with warnings.catch_warnings():
    # One of its dependencies still imports eventlet, which warns everybody that it is deprecated.
    warnings.simplefilter("ignore")
    import oslo_messaging

TOPICS = {"nova_conductor": "conductor", "nova_scheduler": "scheduler", "nova_compute": "compute"}

_CONFIGURATION = Path(__file__).with_name("rpc.conf")


class Answer(StrEnum):
    """What became of one call."""

    ANSWERED = "answered"
    SILENT = "silent"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Server:
    """One nova RPC server: the service of one host. `what` is its name in the records."""

    host: str
    nova_host: str
    topic: str

    @property
    def what(self) -> str:
        """Return the name used in the records, e.g. `rpc:nova-compute`."""
        return f"rpc:nova-{self.topic}"


def rpc_servers(site: Site) -> Iterator[Server]:
    """Yield every nova RPC server that the inventory expects."""
    for group, topic in TOPICS.items():
        for host in site.members(group):
            yield Server(host.name, host.nova_host, topic)


class Caller:
    """Calls nova's servers over one transport to all brokers; safe to use from several threads."""

    def __init__(self, transport_url: Secret) -> None:
        for library in ("oslo", "oslo_messaging", "amqp", "kombu"):
            logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        conf = cfg.CONF  # the library itself reads the global one
        conf([], project="instruments", default_config_files=[str(_CONFIGURATION)])
        self._transport = oslo_messaging.get_rpc_transport(conf, url=transport_url.value)
        target = oslo_messaging.Target(exchange="nova", namespace="baseapi", version="1.0")
        self._client = oslo_messaging.get_rpc_client(self._transport, target)

    def ping(self, server: Server, timeout: float, reconnects: int = 0) -> tuple[Answer, str]:
        """Ask one server once and wait `timeout` seconds; the text says why there is no answer.

        `reconnects` is how many further brokers are tried where the call itself cannot be sent.
        """
        call = self._client.prepare(
            topic=server.topic, server=server.nova_host, timeout=timeout, retry=reconnects
        )
        try:
            call.call({"is_admin": True}, "ping", arg="instrument")
        except oslo_messaging.MessagingTimeout:
            return Answer.SILENT, f"no answer within {timeout:g} s"
        except (oslo_messaging.MessageDeliveryFailure, OSError) as error:
            return Answer.NOT_ASKED, type(error).__name__
        return Answer.ANSWERED, ""

    def close(self) -> None:
        """Give the connections back."""
        self._transport.cleanup()
