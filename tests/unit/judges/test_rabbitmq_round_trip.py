"""The verdict on messages sent through nodes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.judges.rabbitmq.round_trip import amqp_round_trip
from holdfast.observations.rabbitmq import RoundTrip
from tests.unit.judges.verdicts import cases, outcome_and_reason

WENT = RoundTrip(ok=True, seconds=0.02)


def ended(how: str, stage: str = "publish") -> RoundTrip:
    return RoundTrip.model_validate({"ok": False, "stage": stage, "how": how, "cause": "the cause"})


TRIPS = [
    ("through both", {"ctl1": WENT, "ctl2": WENT}, "PASS", "went_through"),
    ("nothing listens", {"ctl1": WENT, "ctl2": ended("refused", "connect")}, "FAIL", "no_round_trip"),
    ("the confirm never comes", {"ctl1": ended("silent")}, "FAIL", "no_round_trip"),
    ("a greeting never comes", {"ctl1": ended("silent", "login")}, "FAIL", "no_round_trip"),
    ("cut off in between", {"ctl1": ended("broken")}, "FAIL", "no_round_trip"),
    ("no way to connect", {"ctl1": WENT, "ctl2": ended("silent", "connect")}, "UNKNOWN", "unanswered"),
    ("no route", {"ctl1": ended("unreachable", "connect")}, "UNKNOWN", "unanswered"),
    ("denied", {"ctl1": ended("denied", "login")}, "UNKNOWN", "unanswered"),
    ("denied here, broken there", {"ctl1": ended("denied"), "ctl2": ended("broken")}, "FAIL", "no_round_trip"),
    ("no broker", {}, "UNKNOWN", "unanswered"),
]  # fmt: skip


@pytest.mark.parametrize(("trips", "outcome", "reason"), cases(TRIPS))
def test_amqp_round_trip(trips: Mapping[str, RoundTrip], outcome: str, reason: str) -> None:
    verdict = amqp_round_trip("c", trips)
    assert outcome_and_reason(verdict) == (outcome, reason)


def test_only_a_node_that_fails_is_unhealthy() -> None:
    trips = {"ctl1": ended("broken"), "ctl2": ended("denied")}
    verdict = amqp_round_trip("c", trips)
    assert verdict.hosts == {"ctl1": {"healthy": False}}
    assert verdict.message == "ctl1: publish: the cause; ctl2: publish: the cause"


def test_an_unanswered_trip_is_told_with_its_cause_and_one_that_went_through_with_its_time() -> (
    None
):
    assert amqp_round_trip("c", {}).message == "the inventory has no broker"
    denied = amqp_round_trip("c", {"ctl1": WENT, "ctl2": ended("denied", "login")})
    assert denied.message == "ctl2: login: the cause"
    trips = {"ctl1": WENT, "ctl2": RoundTrip(ok=True, seconds=1.23456)}
    through = amqp_round_trip("c", trips)
    assert through.message == "a message went through ctl1, ctl2 in 1.23 s at most"
    assert through.evidence["ctl2"] == {"ok": True, "seconds": 1.235}
    cause = {"ok": False, "stage": "login", "how": "denied", "cause": "the cause"}
    assert denied.evidence["ctl2"] == cause
