"""One message through a scripted broker: at which stage it ended, how, and what is left."""

from __future__ import annotations

import socket
import struct

import pytest

from holdfast.claims import bind_claim
from holdfast.errors import InvalidInput
from holdfast.observations.rabbitmq import RoundTrip
from holdfast.probes.base import ProbeContext
from holdfast.probes.rabbitmq.round_trip import probe_round_trips
from holdfast.report.remedies import remedy_for
from tests.unit.judges.verdicts import cases
from tests.unit.probes.http_server import closed_port
from tests.unit.probes.rabbitmq import scripted_broker as amqp
from tests.unit.probes.rabbitmq.scripted_broker import running_broker
from tests.unit.probes.shells import NoShell

PASSWORD = "planted-probe-password"  # noqa: S105 - planted, to be looked for


def context(port: int, **changed: object) -> ProbeContext:
    variables = {
        "ansible_host": "127.0.0.1",
        "rabbitmq_amqp_port": port,
        "rabbitmq_probe_user": "probe",
        "rabbitmq_probe_password": PASSWORD,
        "rabbitmq_answer_seconds": 0.3,
        **changed,
    }
    return ProbeContext("ctl1", {"rabbitmq": ("ctl1",)}, {"ctl1": variables}, NoShell())


def trip(port: int, **changed: object) -> RoundTrip:
    found = probe_round_trips(context(port, **changed))["ctl1"]
    assert PASSWORD not in repr(found)
    return found


def test_a_message_goes_through_and_its_queue_is_deleted() -> None:
    with running_broker() as broker:
        assert trip(broker.port).ok
        assert broker.methods[-4:] == [amqp.CONSUME, amqp.CANCEL, amqp.DELETE, amqp.CLOSE]
        assert broker.published.startswith(b"holdfast.round-trip.ctl1.")


def test_a_connection_that_an_alarm_keeps_has_our_name_and_a_heartbeat_that_ends_it() -> None:
    with running_broker({amqp.PUBLISH: amqp.block_publishers}) as broker:
        trip(broker.port, rabbitmq_answer_seconds=0.3)
        assert (
            b"connection_nameS\x00\x00\x00\x14holdfast: round trip"
            in broker.arguments[amqp.START_OK]
        )
        *_, heartbeat = struct.unpack(">HIH", broker.arguments[amqp.TUNE_OK])
    assert heartbeat / 2 > 0.3  # how often a broker sends one: never while an answer is awaited


REFUSED = amqp.refuse(403, "ACCESS_REFUSED")
ENDS = [
    ("the login is denied", {amqp.START_OK: REFUSED}, "login", "denied"),
    ("no such virtual host", {amqp.OPEN: amqp.refuse(530, "NOT_ALLOWED")}, "login", "denied"),
    ("may not declare", {amqp.DECLARE: REFUSED}, "declare", "denied"),
    ("the virtual host is down", {amqp.OPEN: amqp.refuse(541, "INTERNAL_ERROR")}, "login", "broken"),
    ("disconnected", {amqp.DECLARE: amqp.disconnect}, "declare", "broken"),
    ("no answer to the login", {amqp.START_OK: amqp.no_answer}, "login", "silent"),
    ("no answer to the queue", {amqp.DECLARE: amqp.no_answer}, "declare", "silent"),
    ("never confirmed", {amqp.PUBLISH: amqp.no_answer}, "publish", "silent"),
    ("never delivered", {amqp.CONSUME: lambda _: amqp.method(1, (60, 21), "s", "tag")}, "consume", "silent"),
    ("another's message", {amqp.CONSUME: amqp.deliver("not ours")}, "consume", "broken"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "stage", "how"), cases(ENDS))
def test_a_trip_ends_at_its_stage(script: amqp.Script, stage: str, how: str) -> None:
    with running_broker(script) as broker:
        found = trip(broker.port)
    assert (found.ok, found.stage, found.how) == (False, stage, how)
    assert found.login_refused == any(each is REFUSED for each in script.values())


DENIALS = [
    ({amqp.START_OK: amqp.refuse(403, "ACCESS_REFUSED")}, "authenticate_user probe; then correct "),
    ({amqp.OPEN: amqp.refuse(530, "NOT_ALLOWED")}, "list_user_permissions probe"),
    ({amqp.DECLARE: amqp.refuse(403, "ACCESS_REFUSED")}, "list_user_permissions probe"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "remedy"), DENIALS)
def test_whose_login_was_denied_is_named_with_what_to_do(script: amqp.Script, remedy: str) -> None:
    bound = bind_claim("rabbitmq.amqp_round_trip")
    with running_broker(script) as broker:
        verdict = bound.judge([bound.probe(context(broker.port))])
    assert "(rabbitmq_probe_user 'probe' in virtual host '/')" in verdict.message
    assert remedy in remedy_for(verdict.message, "site")
    assert PASSWORD not in verdict.message


def test_a_broker_that_accepts_connections_and_never_answers_is_silent() -> None:
    """The incident of 2015-08-12: the broker was up, and replies never arrived."""
    with running_broker(greeting=False) as broker:
        found = trip(broker.port)
    assert (found.stage, found.how) == ("login", "silent")


def test_an_alarm_that_blocks_publishers_is_the_cause() -> None:
    with running_broker({amqp.PUBLISH: amqp.block_publishers}) as broker:
        found = trip(broker.port)
    assert (found.stage, found.how) == ("publish", "silent")
    assert "alarm" in found.cause


@pytest.mark.parametrize(
    ("address", "how"), [("127.0.0.1", "refused"), ("nowhere.invalid", "unreachable")]
)
def test_without_a_listener_or_an_address_the_trip_ends_at_connect(address: str, how: str) -> None:
    found = trip(closed_port(), ansible_host=address)
    assert (found.stage, found.how) == ("connect", how)


def test_a_connection_that_is_never_accepted_is_silent_at_connect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            found = trip(port)
    assert (found.stage, found.how) == ("connect", "silent")


def test_tls_fails_with_a_plain_listener() -> None:
    with running_broker() as broker:
        found = trip(broker.port, rabbitmq_amqp_tls=True)
    assert (found.stage, found.ok) == ("login", False)


def test_a_host_that_is_no_broker_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"ctl9"):
        probe_round_trips(context(1), ("ctl9",))


def test_silence_fails_the_claim_and_denial_does_not() -> None:
    bound = bind_claim("rabbitmq.amqp_round_trip")
    for script, outcome in (
        ({amqp.PUBLISH: amqp.no_answer}, "FAIL"),
        ({amqp.START_OK: amqp.refuse(403, "ACCESS_REFUSED")}, "UNKNOWN"),
    ):
        with running_broker(script) as broker:
            observed = bound.probe(context(broker.port))
        assert bound.judge([observed]).outcome == outcome


@pytest.mark.parametrize("address", ["::FFFF:127.0.0.1", "[::FFFF:127.0.0.1]"])
def test_an_ipv6_address_may_be_written_in_upper_case_and_in_brackets(address: str) -> None:
    """py-amqp takes only lower case in brackets, and looks for a host of the name ``[…]``."""
    with running_broker() as broker:
        assert trip(broker.port, rabbitmq_address=address).ok
