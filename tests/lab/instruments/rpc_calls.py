"""RPC pings to nova's servers through oslo.messaging, the library that nova's own services call each other with.

Every nova RPC server answers `ping` in namespace `baseapi`, without any configuration. The transport URL contains a
password: it is never printed, and the library's own log, which may contain it, is switched off.
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
    # One of its dependencies imports eventlet, which warns on import that it is deprecated.
    warnings.simplefilter("ignore")
    import oslo_messaging

TOPICS = {"nova_conductor": "conductor", "nova_scheduler": "scheduler", "nova_compute": "compute"}

_CONFIGURATION = Path(__file__).with_name("rpc.conf")


class CallOutcome(StrEnum):
    """How one call ended."""

    ANSWERED = "answered"
    NO_ANSWER = "no answer"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class RpcServer:
    """One nova RPC server: one service on one host."""

    host: str
    nova_host: str
    topic: str

    @property
    def name(self) -> str:
        """Return the service's name in the records, such as `rpc:nova-compute`."""
        return f"rpc:nova-{self.topic}"


def rpc_servers(site: Site) -> Iterator[RpcServer]:
    """Yield every nova RPC server that the inventory expects."""
    for group, topic in TOPICS.items():
        for host in site.members(group):
            yield RpcServer(host.name, host.nova_host, topic)


class RpcClient:
    """Calls nova's servers over one transport to all brokers; safe to use from several threads."""

    def __init__(self, transport_url: Secret) -> None:
        for library in ("oslo", "oslo_messaging", "amqp", "kombu"):
            logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        conf = cfg.CONF  # the library itself reads this global object
        conf([], project="instruments", default_config_files=[str(_CONFIGURATION)])
        self._transport = oslo_messaging.get_rpc_transport(conf, url=transport_url.value)
        target = oslo_messaging.Target(exchange="nova", namespace="baseapi", version="1.0")
        self._client = oslo_messaging.get_rpc_client(self._transport, target)

    def ping(
        self, server: RpcServer, timeout: float, reconnects: int = 0
    ) -> tuple[CallOutcome, str]:
        """Call one server once, wait `timeout` seconds, and return the outcome and, unless answered, the reason.

        `reconnects` is the number of further brokers to try if the call cannot be sent.
        """
        call = self._client.prepare(
            topic=server.topic, server=server.nova_host, timeout=timeout, retry=reconnects
        )
        try:
            call.call({"is_admin": True}, "ping", arg="instrument")
        except oslo_messaging.MessagingTimeout:
            return CallOutcome.NO_ANSWER, f"no answer within {timeout:g} s"
        except (oslo_messaging.MessageDeliveryFailure, OSError) as error:
            return CallOutcome.NOT_SENT, type(error).__name__
        return CallOutcome.ANSWERED, ""

    def close(self) -> None:
        """Close the connections."""
        self._transport.cleanup()
