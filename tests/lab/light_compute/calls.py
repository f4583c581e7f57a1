"""Calls between nova's services, as data: oslo.messaging's envelope and nova's record of a service. No I/O.

The shapes are those of oslo.messaging 2.0 (``serialize_msg``, ``pack_context``, ``_send_reply``) and of nova's object
`Service` 1.22, which nova 26 and nova 31 share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BINARY, TOPIC = "nova-compute", "compute"
SERVICE_OBJECT_VERSION = "1.22"
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """What another service asks; without `reply_queue` it waits for no answer."""

    method: str
    arguments: Mapping[str, Any]
    namespace: str = ""
    call: str = ""
    reply_queue: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedReply:
    """The answer to our call; `failure` names the exception that was raised there, "" for none."""

    call: str
    result: Any
    failure: str = ""


def read_call(body: str | bytes) -> ReceivedCall:
    """Return the call in a message."""
    message = json.loads(json.loads(body)["oslo.message"])
    return ReceivedCall(
        message["method"],
        message.get("args", {}),
        message.get("namespace") or "",
        message.get("_msg_id") or "",
        message.get("_reply_q") or "",
    )


def read_reply(body: str | bytes) -> ReceivedReply:
    """Return the reply in a message."""
    message = json.loads(json.loads(body)["oslo.message"])
    failure = json.loads(message["failure"])["class"] if message.get("failure") else ""
    return ReceivedReply(message.get("_msg_id") or "", message.get("result"), failure)


def wrap(message: Mapping[str, Any]) -> str:
    """Return a message in its envelope: JSON in JSON."""
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})


def call_of(method: str, arguments: Mapping[str, Any], call: str, reply_queue: str) -> str:
    """Return a call of nova-conductor's own interface (3.0), made as an administrator."""
    return wrap(
        {
            "method": method,
            "args": arguments,
            "version": "3.0",
            "_msg_id": call,
            "_reply_q": reply_queue,
            "_timeout": None,
            "_unique_id": call,
            "_context_is_admin": True,
        }
    )


def ping_of(call: str, reply_queue: str) -> str:
    """Return a call of the ping that every server of oslo.messaging answers (namespace `baseapi`)."""
    return wrap(
        {
            "method": "ping",
            "args": {"arg": call},
            "namespace": "baseapi",
            "version": "1.0",
            "_msg_id": call,
            "_reply_q": reply_queue,
            "_timeout": None,
            "_unique_id": call,
            "_context_is_admin": True,
        }
    )


def answer(received: ReceivedCall, unique_id: str) -> str:
    """Return the reply that nova-compute gives: to a ping, and to being disabled or enabled; to all else an error."""
    result: Any = None
    failure = None
    if (received.namespace, received.method) == ("baseapi", "ping"):
        result = {"service": TOPIC, "arg": received.arguments.get("arg")}
    elif received.method == "set_host_enabled":
        result = "enabled" if received.arguments.get("enabled") else "disabled"
    else:
        failure = json.dumps(
            {
                "class": "NoSuchMethod",
                "module": "oslo_messaging.rpc.dispatcher",
                "message": f"a light compute has no {received.method}",
                "tb": [],
                "args": [],
                "kwargs": {},
            }
        )
    return wrap(
        {
            "result": result,
            "failure": failure,
            "ending": True,
            "_msg_id": received.call,
            "_unique_id": unique_id,
        }
    )


def asked_of_class(method: str, arguments: Sequence[Any]) -> Mapping[str, Any]:
    """Return the arguments of `object_class_action_versions` for a method of the class `Service`."""
    return {
        "objname": "Service",
        "objmethod": method,
        "object_versions": {"Service": SERVICE_OBJECT_VERSION},
        "args": arguments,
        "kwargs": {},
    }


def asked_of(record: Record, method: str) -> Mapping[str, Any]:
    """Return the arguments of `object_action` for a method of one service."""
    return {"objinst": record, "objmethod": method, "args": [], "kwargs": {}}


def new_record(host: str, version: int) -> Record:
    """Return the record that a compute registers with, as nova's `_create_service_ref` makes it."""
    fields = {"host": host, "binary": BINARY, "topic": TOPIC, "report_count": 0, "version": version}
    return _record(fields, fields)


def reported(record: Record) -> Record:
    """Return the record with one more report, as nova's `_report_state` changes it."""
    fields = record["nova_object.data"]
    return _record({**fields, "report_count": fields["report_count"] + 1}, ["report_count"])


def _record(fields: Mapping[str, Any], changes: Sequence[str] | Mapping[str, Any]) -> Record:
    return {
        "nova_object.name": "Service",
        "nova_object.namespace": "nova",
        "nova_object.version": SERVICE_OBJECT_VERSION,
        "nova_object.data": dict(fields),
        "nova_object.changes": list(changes),
    }
