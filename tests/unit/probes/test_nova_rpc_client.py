"""How services are pinged over a broker: addresses, envelope, and how each reply counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import amqp
import pytest

from holdfast.errors import CannotTell
from holdfast.observations.nova import ExpectedService, RpcReplies, RpcRound
from holdfast.probes.nova.rpc_client import REPLIES, PingRound, envelope, ping
from holdfast.probes.nova.transport_url import brokers_of
from holdfast.report.remedies import remedy_for
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.rabbitmq.scripted_broker import (
    OPEN,
    START_OK,
    Script,
    refuse,
    running_broker,
)

CONDUCTOR = ExpectedService("conductor", "ctl1", "ctl1")
COMPUTE = ExpectedService("compute", "cmp1", "cmp1")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ({START_OK: refuse(403, "ACCESS_REFUSED")}, 403),
        ({OPEN: refuse(530, "NOT_ALLOWED")}, 530),
    ],
)
def test_whose_login_a_broker_refused_is_named(script: Script, status: int) -> None:
    with running_broker(script) as broker, pytest.raises(CannotTell) as caught:
        ping(brokers_of(f"rabbit://nova:planted-secret@127.0.0.1:{broker.port}/cell"), {COMPUTE: 1})
    assert caught.value.login_refused == (status == 403)
    message = str(caught.value)
    assert (
        f"login of 'nova' (nova_transport_url) to virtual host 'cell' refused ({status})" in message
    )
    assert "planted" not in message
    assert "rabbitmqctl authenticate_user nova; then correct nova_transport_url" in remedy_for(
        message, "site"
    )


UNPACK_WITH_OSLO_MESSAGING = """
import json, sys
from oslo_messaging._drivers import amqp, common
received = common.deserialize_msg(json.load(sys.stdin))
context = amqp.unpack_context(received)
json.dump([context.msg_id, context.reply_q, context.to_dict()["is_admin"], received], sys.stdout)
"""


def test_oslo_messaging_reads_the_envelope() -> None:
    """The library of nova's services unpacks the envelope. In a process of its own: it loads eventlet."""
    done = subprocess.run(
        [sys.executable, "-c", UNPACK_WITH_OSLO_MESSAGING],
        input=envelope("ping", {"arg": "x"}, "id", "replies"),
        check=True,
        capture_output=True,
        text=True,
    )
    msg_id, reply_q, is_admin, received = json.loads(done.stdout)
    assert (msg_id, reply_q, is_admin) == ("id", "replies", True)
    assert {key: received[key] for key in ("method", "args", "namespace", "version")} == {
        "method": "ping",
        "args": {"arg": "x"},
        "namespace": "baseapi",
        "version": "1.0",
    }


@dataclass
class FakeBroker:
    """A connection to services that answer as ``behave`` returns; ``sent`` keeps the messages.

    ``behave`` gives for each message what comes back: ``reply``, ``failure``, ``no queue``,
    ``blocked``, or nothing.
    """

    behave: Callable[[str, int], str]
    on_blocked: Callable[[str], None] | None = None
    sent: list[tuple[str, Any]] = field(default_factory=list)
    _events: list[Callable[[], None]] = field(default_factory=list)
    _answer: Callable[[Any], None] | None = None

    def channel(self) -> Any:
        returned: set[Callable[..., None]] = set()
        self._returned = returned
        return SimpleNamespace(
            events={"basic_return": returned},
            queue_declare=lambda name, exclusive: SimpleNamespace(queue=name),
            basic_consume=self._consume,
            basic_publish=self._publish,
        )

    def drain_events(self, timeout: float) -> None:
        assert timeout > 0
        if not self._events:
            raise TimeoutError
        self._events.pop(0)()

    def _consume(self, queue: str, callback: Callable[[Any], None], no_ack: bool) -> None:
        assert queue.startswith(REPLIES)
        self._answer = callback

    def _publish(self, message: Any, exchange: str, routing_key: str, mandatory: bool) -> None:
        assert (exchange, mandatory) == ("nova", True)
        before = len([key for key, _ in self.sent if key == routing_key])
        self.sent.append((routing_key, message))
        what = self.behave(routing_key, before)
        if what:
            self._events.append(lambda: self._deliver(what, message))

    def _deliver(self, what: str, message: Any) -> None:
        if what == "blocked":
            assert self.on_blocked is not None
            return self.on_blocked("memory alarm")
        if what == "no queue":
            for handler in self._returned:
                handler("NO_ROUTE", "nova", "key", message)
            return None
        call = json.loads(json.loads(message.body)["oslo.message"])
        failure = json.dumps({"class": "UnsupportedVersion"}) if what == "failure" else None
        reply = {"_msg_id": call["_msg_id"], "result": {}, "failure": failure, "ending": True}
        assert self._answer is not None
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(reply)})
        return self._answer(SimpleNamespace(body=body))


def send(behave: Callable[[str, int], str], pings: Mapping[ExpectedService, int]) -> RpcRound:
    return PingRound(FakeBroker(behave), wait=0.2).ping(pings)


@pytest.mark.parametrize(
    ("behave", "conductor", "compute"),
    [
        (lambda *_: "reply", RpcReplies(3, 3), RpcReplies(1, 1)),
        # One worker hangs.
        (lambda _, number: "" if number == 1 else "reply", RpcReplies(3, 2), RpcReplies(1, 1)),
        # A silent service does not affect others.
        (
            lambda key, _: "reply" if key == "compute.cmp1" else "",
            RpcReplies(3, 0),
            RpcReplies(1, 1),
        ),
        (lambda *_: "no queue", RpcReplies(3, no_queue=True), RpcReplies(1, no_queue=True)),
        # An error is no answer.
        (
            lambda *_: "failure",
            RpcReplies(3, error="UnsupportedVersion"),
            RpcReplies(1, error="UnsupportedVersion"),
        ),
    ],
)
def test_replies_are_counted_for_each_service(
    behave: Callable[[str, int], str], conductor: RpcReplies, compute: RpcReplies
) -> None:
    found = send(behave, {CONDUCTOR: 3, COMPUTE: 1})
    assert found == {CONDUCTOR: conductor, COMPUTE: compute}
    assert all((each.quickest > 0) == (each.answered > 0) for each in found.values())


def test_no_more_calls_wait_at_a_time_than_a_broker_passes_on() -> None:
    """A silent service keeps its own calls waiting and nobody else's."""
    silent = {f"compute.cmp{number}" for number in range(0, 250, 10)}
    broker = FakeBroker(lambda key, _: "" if key in silent else "reply")
    waiting: list[int] = []
    services = [ExpectedService("compute", f"cmp{n}", f"cmp{n}") for n in range(250)]
    a_round = PingRound(broker, wait=0.05)
    drain = broker.drain_events

    def watched(timeout: float) -> None:
        waiting.append(len(a_round.waiting))
        drain(timeout)

    a_round.connection = SimpleNamespace(channel=broker.channel, drain_events=watched)
    found = a_round.ping(dict.fromkeys(services, 3))

    assert max(waiting) == 100
    assert {each.host for each, replies in found.items() if replies.answered != 3} == {
        key.removeprefix("compute.") for key in silent
    }


def test_a_broker_that_blocks_publishers_gives_no_answer() -> None:
    with pytest.raises(CannotTell, match="the broker takes no messages"):
        send(lambda *_: "blocked", {CONDUCTOR: 1})


def test_a_call_expires_before_we_stop_listening() -> None:
    """A service whose answer finds no reply queue would log complaints for a minute."""
    broker = FakeBroker(lambda *_: "reply")
    PingRound(broker, wait=5.0).ping({CONDUCTOR: 1})
    ((_, message),) = broker.sent
    assert isinstance(message, amqp.Message)
    assert 0 < int(message.properties["expiration"]) <= 4000


def test_brokers_that_do_not_serve_are_named_without_the_password() -> None:
    port = closed_port()
    brokers = brokers_of(
        f"rabbit://nova:planted-secret@127.0.0.1:{port},n:planted@127.0.0.1:{port}/"
    )
    with pytest.raises(CannotTell) as caught:
        ping(brokers, {CONDUCTOR: 1})
    assert str(caught.value).count(f"127.0.0.1:{port}: ") == 2
    assert "refused" in str(caught.value)
    assert not caught.value.login_refused
    assert "planted" not in str(caught.value)
