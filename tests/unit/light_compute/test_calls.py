"""What a light compute says to nova and answers it, in the shapes of oslo.messaging and nova."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.probes.nova.rpc_client import envelope
from tests.lab.light_compute import calls


def sent(body: str) -> dict[str, Any]:
    """Return the message in an envelope."""
    wrapped = json.loads(body)
    assert wrapped["oslo.version"] == "2.0"
    message: dict[str, Any] = json.loads(wrapped["oslo.message"])
    return message


def test_a_ping_of_the_gate_is_answered_with_its_own_argument() -> None:
    received = calls.read_call(envelope("ping", {"arg": "x"}, "call-1", "holdfast_1"))
    assert received.reply_queue == "holdfast_1"
    assert sent(calls.answer(received, "unique")) == {
        "result": {"service": "compute", "arg": "x"},
        "failure": None,
        "ending": True,
        "_msg_id": "call-1",
        "_unique_id": "unique",
    }


@pytest.mark.parametrize(("enabled", "result"), [(True, "enabled"), (False, "disabled")])
def test_being_enabled_or_disabled_is_answered(enabled: bool, result: str) -> None:
    received = calls.ReceivedCall("set_host_enabled", {"enabled": enabled}, "", "c", "r")
    assert sent(calls.answer(received, "u"))["result"] == result


def test_whatever_else_is_asked_is_an_error_of_the_caller() -> None:
    body = calls.answer(calls.ReceivedCall("reboot_instance", {}, "", "c", "r"), "u")
    assert calls.read_reply(body) == calls.ReceivedReply("c", None, "NoSuchMethod")


def test_a_cast_names_no_queue_for_a_reply() -> None:
    body = calls.wrap({"method": "update_service_capabilities", "args": {}, "version": "6.0"})
    assert calls.read_call(body) == calls.ReceivedCall("update_service_capabilities", {})


def test_a_call_of_the_conductor_is_made_as_an_administrator() -> None:
    asked = calls.asked_of_class("get_by_host_and_binary", ["cmp1", "nova-compute"])
    message = sent(calls.call_of("object_class_action_versions", asked, "id", "reply_1"))
    assert message["args"]["args"] == ["cmp1", "nova-compute"]
    assert (message["version"], message["_msg_id"], message["_reply_q"]) == ("3.0", "id", "reply_1")
    assert message["_context_is_admin"] is True


def test_a_report_changes_one_field_and_keeps_the_others() -> None:
    new = calls.new_record("cmp1", 68)
    assert new["nova_object.changes"] == ["host", "binary", "topic", "report_count", "version"]
    once = calls.reported({**new, "nova_object.data": {**new["nova_object.data"], "id": 7}})
    assert once["nova_object.changes"] == ["report_count"]
    assert once["nova_object.data"] == {
        "host": "cmp1",
        "binary": "nova-compute",
        "topic": "compute",
        "report_count": 1,
        "version": 68,
        "id": 7,
    }
    assert calls.reported(once)["nova_object.data"]["report_count"] == 2
