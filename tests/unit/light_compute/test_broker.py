"""A light compute answers every call that has arrived, also one that arrives while it answers another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from holdfast.probes.nova.rpc_client import envelope
from tests.lab.light_compute import calls
from tests.lab.light_compute.broker import Link, handle


@dataclass
class Delivery:
    body: str


@dataclass
class LinkThatReadsOn:
    """A connection on which, as with py-amqp, a publication can bring further deliveries."""

    arrived: list[Any] = field(default_factory=list)
    later: list[Any] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def taken(self) -> list[Any]:
        messages, self.arrived = self.arrived, []
        return messages

    def send(self, body: str, exchange: str, routing_key: str) -> None:
        self.sent.append((calls.read_reply(body).call, f"{exchange}{routing_key}"))
        self.arrived, self.later = [*self.arrived, *self.later], []


def test_no_call_waits_for_the_next_one() -> None:
    pings = [Delivery(envelope("ping", {"arg": name}, name, "replies")) for name in ("a", "b", "c")]
    server, caller = LinkThatReadsOn(pings[:1], pings[1:]), LinkThatReadsOn()
    handle(cast(Link, server), cast(Link, caller), {})
    assert server.sent == [(name, "replies") for name in ("a", "b", "c")]


def test_a_reply_is_kept_and_a_cast_is_not_answered() -> None:
    server = LinkThatReadsOn([Delivery(calls.wrap({"method": "reset", "args": {}}))])
    caller = LinkThatReadsOn(
        [Delivery(calls.answer(calls.ReceivedCall("ping", {}, "baseapi", "x", "r"), "u"))]
    )
    replies: dict[str, calls.ReceivedReply] = {}
    handle(cast(Link, server), cast(Link, caller), replies)
    assert server.sent == []
    assert replies["x"].result == {"service": "compute", "arg": None}


def test_one_that_is_deaf_takes_calls_and_answers_none() -> None:
    server = LinkThatReadsOn([Delivery(envelope("ping", {"arg": "a"}, "a", "replies"))])
    handle(cast(Link, server), cast(Link, LinkThatReadsOn()), {}, deaf=True)
    assert (server.sent, server.arrived) == ([], [])
