"""One message through a broker that follows a script: how far it came, how it ended, what is left."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from holdfast.claims import bind_claim
from holdfast.errors import InvalidInput
from holdfast.probes.base import ProbeContext
from holdfast.probes.rabbitmq.round_trip import look_at_trips
from tests.unit.probes.rabbitmq import scripted_amqp as amqp
from tests.unit.probes.rabbitmq.scripted_amqp import broker
from tests.unit.probes.rabbitmq.stand_in import Shell

PASSWORD = "planted-probe-password"  # noqa: S105 - planted, to be looked for


def look(port: int, **changed: object) -> ProbeContext:
    variables = {
        "ansible_host": "127.0.0.1",
        "rabbitmq_amqp_port": port,
        "rabbitmq_probe_user": "probe",
        "rabbitmq_probe_password": PASSWORD,
        "rabbitmq_answer_seconds": 0.3,
        **changed,
    }
    return ProbeContext("ctl1", {"rabbitmq": ("ctl1",)}, {"ctl1": variables}, Shell({}))


def trip(port: int, **changed: object) -> dict[str, Any]:
    found: dict[str, Any] = look_at_trips(look(port, **changed))["trips"]["ctl1"]
    assert PASSWORD not in repr(found)
    return found


def test_a_message_goes_through_and_its_queue_goes_away() -> None:
    with broker() as serving:
        assert trip(serving.port)["ok"]
        assert serving.asked[-4:] == [amqp.CONSUME, amqp.CANCEL, amqp.DELETE, amqp.CLOSE]
        assert serving.published.startswith(b"holdfast.round-trip.ctl1.")


ENDS = [
    ("the login is denied", {amqp.START_OK: amqp.refuse(403, "ACCESS_REFUSED")}, "login", "denied"),
    ("no such virtual host", {amqp.OPEN: amqp.refuse(530, "NOT_ALLOWED")}, "login", "denied"),
    ("may not declare", {amqp.DECLARE: amqp.refuse(403, "ACCESS_REFUSED")}, "declare", "denied"),
    ("the virtual host is down", {amqp.OPEN: amqp.refuse(541, "INTERNAL_ERROR")}, "login", "broken"),
    ("hung up on", {amqp.DECLARE: amqp.hang_up}, "declare", "broken"),
    ("no answer to the login", {amqp.START_OK: amqp.nothing}, "login", "silent"),
    ("no answer to the queue", {amqp.DECLARE: amqp.nothing}, "declare", "silent"),
    ("never confirmed", {amqp.PUBLISH: amqp.nothing}, "publish", "silent"),
    ("never delivered", {amqp.CONSUME: lambda _: amqp.method(1, (60, 21), "s", "tag")}, "consume", "silent"),
    ("another's message", {amqp.CONSUME: amqp.deliver("not ours")}, "consume", "broken"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "stage", "how"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS]
)
def test_how_far_it_came_and_how_it_ended(script: amqp.Script, stage: str, how: str) -> None:
    with broker(script) as serving:
        found = trip(serving.port)
    assert (found["ok"], found["stage"], found["how"]) == (False, stage, how)


def test_a_broker_that_takes_connections_and_never_speaks() -> None:
    """ "Broker up, replies never arrive": the incident of 2015-08-12."""
    with broker(greeting=False) as serving:
        found = trip(serving.port)
    assert (found["stage"], found["how"]) == ("login", "silent")


def test_an_alarm_that_blocks_publishers_is_the_cause() -> None:
    with broker({amqp.PUBLISH: amqp.block_publishers}) as serving:
        found = trip(serving.port)
    assert (found["stage"], found["how"]) == ("publish", "silent")
    assert "alarm" in found["cause"]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = trip(port)
    assert (found["stage"], found["how"]) == ("connect", "refused")


def test_no_way_there_is_no_word_about_the_broker() -> None:
    found = trip(5672, ansible_host="nowhere.invalid")
    assert (found["stage"], found["how"]) == ("connect", "unreachable")


def test_a_connection_that_is_never_taken_is_silence_before_the_broker() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found = trip(port)
    assert (found["stage"], found["how"]) == ("connect", "silent")


def test_tls_is_not_spoken_to_a_plain_listener() -> None:
    with broker() as serving:
        found = trip(serving.port, rabbitmq_amqp_tls=True)
    assert (found["stage"], found["ok"]) == ("login", False)


def test_a_stranger_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput, match=r"ctl9"):
        look_at_trips(look(1), ("ctl9",))


def test_silence_fails_the_claim_and_denial_does_not() -> None:
    asked = bind_claim("rabbitmq.amqp_round_trip")
    for script, outcome in (
        ({amqp.PUBLISH: amqp.nothing}, "FAIL"),
        ({amqp.START_OK: amqp.refuse(403, "ACCESS_REFUSED")}, "UNKNOWN"),
    ):
        with broker(script) as serving:
            seen = asked.claim.probe(look(serving.port), asked.of_probe)
        assert asked.claim.judge([seen], asked.parameters).outcome == outcome
