"""The verdict on nova's units, their logs and stop timeouts, and on its name on a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from holdfast.judges.nova.host import (
    logs_can_be_told,
    no_messaging_timeouts,
    service_host_is_local,
    stop_timeout_covers,
    units_stay_up,
)
from holdfast.model import Outcome, Unanswered
from holdfast.observations.nova import (
    ExpectedService,
    FleetLogs,
    FleetUnits,
    ListedService,
    LogSpan,
    ServiceHost,
    ServiceList,
    UnitLog,
)
from holdfast.observations.systemd import StopTimeout, UnitState
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
        # What uwsgi writes, beside which nova has a log of its own.
        (replace(QUIET, levels=0), (UNKNOWN, "other_log")),
        (replace(QUIET, span="running", lines=0, unnamed=True, levels=0), (UNKNOWN, "other_log")),
        (replace(QUIET, span="running", lines=0, levels=0), (UNKNOWN, "silent_log")),
        (replace(QUIET, unnamed=True), (PASS, "quiet")),
        (replace(QUIET, span="start", missing=True), (PASS, "quiet")),
        # The site says that it logs to the journal, where a level is no part of the line.
        (replace(QUIET, span="start", levels=0), (PASS, "quiet")),
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
    ("seconds", "required", "verdict", "said"),
    [
        (60.0, True, (PASS, "covered"), "systemd waits 60 s for nova-compute on cmp1 to stop"),
        (90.0, True, (PASS, "covered"), "waits 90 s"),
        (float("inf"), True, (PASS, "covered"), "waits forever"),
        (15.0, True, (FAIL, "stop_timeout_too_short"), "set TimeoutStopSec=60 or more"),
        (15.0, False, (PASS, "stop_timeout_too_short"), "waits 15 s"),
    ],
)
def test_stop_timeout_covers(
    seconds: float, required: bool, verdict: tuple[Outcome, str], said: str
) -> None:
    timeout = StopTimeout("cmp1", "nova-compute", seconds)
    judged = stop_timeout_covers("c", timeout, 60, required)
    assert outcome_and_reason(judged) == verdict
    assert said in judged.message


@pytest.mark.parametrize(
    ("name", "from_variable", "verdict", "said"),
    [
        ("cmp1", False, (PASS, "local"), "nova on h1 goes by cmp1 (nova.conf)"),
        ("", False, (UNKNOWN, "not_known"), "is not known: nova.conf is ''"),
        ("$my_ip", False, (UNKNOWN, "not_known"), "is not known: nova.conf is '$my_ip'"),
        ("cmp2", False, (FAIL, "elsewhere"), "the inventory calls it cmp1 (its name there)"),
        ("cmp2", True, (FAIL, "elsewhere"), "the inventory calls it cmp1 (nova_service_host)"),
    ],
)
def test_service_host_is_local(
    name: str, from_variable: bool, verdict: tuple[Outcome, str], said: str
) -> None:
    place = ServiceHost("h1", "cmp1", from_variable, name, "nova.conf")
    judged = service_host_is_local("c", place)
    assert outcome_and_reason(judged) == verdict
    assert said in judged.message


COMPUTE, CONDUCTOR = "nova-compute on cmp1", "nova-conductor on ctl1"
TAKEN_OUT = ServiceList(
    [ExpectedService("compute", "cmp1", "cmp1")],
    [ListedService("nova-compute", "cmp1", "disabled", "down", "", "DIMM", forced_down=True)],
)
NO_ROUTE = Unanswered("no route")
SILENT = replace(QUIET, lines=0)
OTHER_LOG = replace(QUIET, span="start", missing=True, levels=0)
OF_UWSGI = replace(QUIET, span="running", lines=0, unnamed=True, levels=0)


@pytest.mark.parametrize(
    ("logs", "listed", "outcome", "message"),
    [
        ({COMPUTE: QUIET, CONDUCTOR: QUIET}, None, PASS, "the logs of 2 units can be read"),
        # A complaint can be told, and what a restart changes by itself is no doubt.
        ({COMPUTE: BAD}, None, PASS, "the logs of 1 units can be read"),
        ({COMPUTE: SILENT, CONDUCTOR: QUIET}, None, PASS, "the logs of 2 units can be read"),
        ({COMPUTE: replace(QUIET, cut=True)}, None, PASS, "the logs of 1 units can be read"),
        ({COMPUTE: OTHER_LOG}, None, UNKNOWN, "the log file of nova-compute is not there, and"),
        ({COMPUTE: OF_UWSGI}, None, UNKNOWN, "no line of nova-compute.log on cmp1 has a level"),
        ({COMPUTE: NO_ROUTE, CONDUCTOR: QUIET}, None, UNKNOWN, f"{COMPUTE}: no route"),
        ({COMPUTE: NO_ROUTE}, NO_ROUTE, UNKNOWN, f"{COMPUTE}: no route"),
        ({COMPUTE: NO_ROUTE, CONDUCTOR: QUIET}, TAKEN_OUT, PASS, "the logs of 1 units can be read"),
        ({COMPUTE: NO_ROUTE}, TAKEN_OUT, UNKNOWN, "the inventory has no unit of nova"),
        ({}, None, UNKNOWN, "the inventory has no unit of nova"),
    ],
)
def test_logs_can_be_told(
    logs: Mapping[str, UnitLog | Unanswered],
    listed: ServiceList | Unanswered | None,
    outcome: Outcome,
    message: str,
) -> None:
    verdict = logs_can_be_told("c", FleetLogs(logs, listed))
    reason = "can_be_told" if outcome is PASS else "cannot_be_told"
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert verdict.message.startswith(message)


def test_of_many_logs_that_cannot_be_told_ten_are_in_the_evidence() -> None:
    logs = FleetLogs({f"nova-compute on cmp{number}": NO_ROUTE for number in range(12)})
    assert len(logs_can_be_told("c", logs).evidence["untold"]) == 10


RUNS = UnitState(
    "ctl1", "nova-conductor", "loaded", "active", "running", "simple", "success", "a", 0
)


@pytest.mark.parametrize(
    ("history", "outcome", "message"),
    [
        ([FleetUnits({CONDUCTOR: RUNS})], PASS, "1 units are active"),
        ([FleetUnits({COMPUTE: NO_ROUTE})], UNKNOWN, f"{COMPUTE}: no route"),
        ([FleetUnits({COMPUTE: NO_ROUTE}, NO_ROUTE)], UNKNOWN, f"{COMPUTE}: no route"),
        ([FleetUnits({})], UNKNOWN, "the inventory has no such unit"),
        # The newest list counts.
        (
            [FleetUnits({}), FleetUnits({CONDUCTOR: RUNS, COMPUTE: NO_ROUTE}, TAKEN_OUT)],
            PASS,
            f"1 units are active; left out: {COMPUTE}: disabled (DIMM), forced down",
        ),
        (
            [FleetUnits({}, TAKEN_OUT), FleetUnits({COMPUTE: NO_ROUTE})],
            UNKNOWN,
            f"{COMPUTE}: no route",
        ),
    ],
)
def test_units_stay_up(history: Sequence[FleetUnits], outcome: Outcome, message: str) -> None:
    verdict = units_stay_up("c", history, 120)
    assert (verdict.outcome, verdict.message) == (outcome, message)
