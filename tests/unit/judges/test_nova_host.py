"""The verdict on a nova unit's log and on its stop timeout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.judges.nova.host import no_messaging_timeouts, stop_timeout_covers
from holdfast.model import Outcome
from holdfast.observations.nova import LogSpan, UnitLog
from holdfast.observations.systemd import StopTimeout
from tests.unit.judges.verdicts import outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
QUIET = UnitLog(
    "cmp1", "nova-compute", "nova-compute.log", "act", lines=40, complaints={}, levels=40
)
BAD = replace(QUIET, complaints={"no_reply": 2, "no_conductor": 1}, last="00:31:00")


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (QUIET, (PASS, "quiet")),
        (BAD, (FAIL, "messaging_timeout")),
        (replace(BAD, cut=True, missing=True, levels=0), (FAIL, "messaging_timeout")),
        # Every nova service logs its start: a log without a line is not this unit's.
        (replace(QUIET, lines=0), (UNKNOWN, "silent_log")),
        (replace(QUIET, lines=1000000, cut=True), (UNKNOWN, "long_log")),
        (replace(QUIET, span="running", lines=0, unnamed=True), (UNKNOWN, "no_process_in_log")),
        (replace(QUIET, unnamed=True), (PASS, "quiet")),
        (replace(QUIET, span="start", missing=True), (PASS, "quiet")),
        # The unit's warnings are in the journal, and its log is elsewhere.
        (replace(QUIET, span="start", missing=True, levels=0), (UNKNOWN, "other_log")),
    ],
)
def test_no_messaging_timeouts(observed: UnitLog, verdict: tuple[Outcome, str]) -> None:
    assert outcome_and_reason(no_messaging_timeouts("c", observed)) == verdict


def test_complaints_are_counted_and_the_last_is_dated() -> None:
    message = no_messaging_timeouts("c", BAD).message
    assert message == (
        "nova-compute.log on cmp1 has messaging timeouts in the lines of nova-compute since its restart:"
        " 1 no_conductor, 2 no_reply; the last at 00:31:00"
    )


@pytest.mark.parametrize(
    ("span", "text"),
    [("running", "of the processes that run now"), ("start", "of its present start")],
)
def test_the_message_says_which_part_was_read(span: LogSpan, text: str) -> None:
    message = no_messaging_timeouts("c", replace(QUIET, span=span)).message
    assert message.endswith(f"no messaging timeout in 40 lines of nova-compute {text}")


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
