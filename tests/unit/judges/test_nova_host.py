"""The verdict on a nova unit's log and on its stop timeout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.judges.nova.host import no_messaging_timeouts, stop_timeout_covers
from holdfast.model import Outcome
from holdfast.observations.nova import UnitLog
from holdfast.observations.systemd import StopTimeout
from tests.unit.judges.verdicts import outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
QUIET = UnitLog(
    "cmp1", "nova-compute", "nova-compute.log", "00:30:00", lines=40, complaints={}, last=""
)


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (QUIET, (PASS, "quiet")),
        (replace(QUIET, complaints={"no_reply": 2}, last="00:31:00"), (FAIL, "messaging_timeout")),
        # Every nova service logs its start: a log without a line is not this unit's.
        (replace(QUIET, lines=0), (UNKNOWN, "silent_log")),
        (replace(QUIET, lines=0, undated=True), (UNKNOWN, "undated_log")),
        (replace(QUIET, lines=1000000, cut=True), (UNKNOWN, "long_log")),
    ],
)
def test_no_messaging_timeouts(observed: UnitLog, verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(no_messaging_timeouts("c", observed)) == verdict


def test_complaints_are_counted_and_the_last_is_dated() -> None:
    log = replace(QUIET, complaints={"no_reply": 2, "no_conductor": 1}, last="00:31:00")
    message = no_messaging_timeouts("c", log).message
    assert message.endswith("since 00:30:00: 1 no_conductor, 2 no_reply; the last at 00:31:00")


@pytest.mark.parametrize(
    ("seconds", "required", "verdict"),
    [
        (60.0, True, (PASS, "covered")),
        (90.0, True, (PASS, "covered")),
        (float("inf"), True, (PASS, "covered")),
        (15.0, True, (FAIL, "stop_timeout_too_short")),
        (15.0, False, (PASS, "stop_timeout_too_short")),
    ],
)
def test_stop_timeout_covers(seconds: float, required: bool, verdict: tuple[Outcome, str]) -> None:
    timeout = StopTimeout("cmp1", "nova-compute", seconds)
    assert outcome_and_reason(stop_timeout_covers("c", timeout, 60, required)) == verdict
