"""A broker on loopback with nova's services behind it: each takes calls from its queue and answers, or has no queue."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.unit.probes.rabbitmq.scripted_broker import (
    BODY,
    CONSUME,
    HEADER,
    PUBLISH,
    ScriptedBroker,
    frame,
    method,
    running_broker,
)

NO_PROPERTIES = struct.pack(">H", 0)


@contextmanager
def running_services(is_deaf: Callable[[str], bool]) -> Iterator[int]:
    """Yield the port; ``is_deaf`` tells of a queue, such as ``compute.a``, whether its service has lost it."""

    def answer(broker: ScriptedBroker) -> bytes:
        queue = _routing_key(broker.arguments[PUBLISH])
        if is_deaf(queue):
            returned = method(1, (60, 50), "Bsss", 312, "NO_ROUTE", "nova", queue)
            return returned + _content(broker.properties, broker.published)
        call = json.loads(json.loads(broker.published)["oslo.message"])
        reply = {"_msg_id": call["_msg_id"], "result": {}, "failure": None, "ending": True}
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(reply)})
        delivered = method(1, (60, 60), "sLbss", "tag", 1, False, "", "queue")
        return delivered + _content(NO_PROPERTIES, body.encode())

    begin = method(1, (60, 21), "s", "tag")
    with running_broker({PUBLISH: answer, CONSUME: lambda _: begin}) as broker:
        yield broker.port


def _routing_key(arguments: bytes) -> str:
    """Return the second short string of the arguments of basic.publish, after a reserved short."""
    exchange = arguments[2]
    key = arguments[3 + exchange :]
    return key[1 : 1 + key[0]].decode()


def _content(properties: bytes, body: bytes) -> bytes:
    header = struct.pack(">HHQ", 60, 0, len(body)) + properties
    return frame(HEADER, 1, header) + frame(BODY, 1, body)
