"""Alerts that stop progress, from Alertmanager's and Icinga's answers to verdicts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast.claims import bind_claim
from holdfast.errors import InvalidInput
from holdfast.model import Json, Verdict
from holdfast.probes.base import ProbeContext
from holdfast.silencing import Silencer
from tests.unit.claims.whole_site import reading
from tests.unit.probes.alerts.stand_ins import PASSWORD, FakeAlertmanager, FakeIcinga, serving
from tests.unit.probes.shells import NoShell

BROKER_DOWN = {"alertname": "BrokerDown", "instance": "ctl1:9419", "severity": "critical"}
CRITICAL = {"claim": "alerts.none_firing", "matchers": ['severity="critical"']}
WELL = {"claim": "alerts.no_problems", "objects": "true"}


def judged(service: FakeAlertmanager | FakeIcinga, entry: Json, **more: Json) -> Verdict:
    with serving(service):
        site = {**service.variables(), **more}
        found = reading(bind_claim(entry), ProbeContext("ctl1", {}, {"ctl1": site}, NoShell()))
    assert PASSWORD not in repr(found)
    return found


def test_no_alert_that_matches_passes() -> None:
    assert judged(FakeAlertmanager(), CRITICAL).reason == "none"


def test_an_alert_stops_progress_with_its_name_and_place() -> None:
    found = judged(FakeAlertmanager([BROKER_DOWN, {"alertname": "Watchdog"}]), CRITICAL)
    assert (found.outcome, found.reason) == ("FAIL", "firing")
    assert found.message == "1 alert fires: BrokerDown on ctl1:9419 (firing)"


def test_a_silenced_alert_stops_progress_too() -> None:
    """Our own silences hide alerts from people, never from a gate."""
    service = FakeAlertmanager([BROKER_DOWN])
    with serving(service):
        site = service.variables() | {"holdfast_alertmanager_silence": ['instance=~"ctl1(:.*)?"']}
        context = ProbeContext("ctl1", {}, {"ctl1": site}, NoShell())
        Silencer(context, "holdfast: run r1, ctl1").place(datetime.now(UTC))
        found = reading(bind_claim(CRITICAL), context)
    assert found.message == "1 alert fires: BrokerDown on ctl1:9419 (firing, silenced)"


def test_an_alertmanager_that_hears_nothing_is_unknown() -> None:
    """Its empty list looks like health; a site without a heartbeat says so."""
    found = judged(FakeAlertmanager([]), CRITICAL)
    assert (found.outcome, found.reason) == ("UNKNOWN", "no_heartbeat")
    found = judged(FakeAlertmanager([]), CRITICAL, holdfast_alertmanager_heartbeat="")
    assert found.message.endswith("whether it hears of any is not checked")


@pytest.mark.parametrize(
    "fails", [(503, "overloaded"), (200, {"a": 1}), (200, "<html>"), (200, [{"labels": 5}])]
)
def test_a_query_that_fails_stops_progress_too(fails: tuple[int, Json]) -> None:
    assert judged(FakeAlertmanager(fails=fails), CRITICAL).outcome == "UNKNOWN"
    wrong = judged(FakeAlertmanager(), CRITICAL, holdfast_alertmanager_user="nobody")
    assert "Alertmanager refused holdfast_alertmanager_user 'nobody' (401" in wrong.message


def test_a_matcher_that_is_none_is_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="is no matcher of Alertmanager"):
        judged(FakeAlertmanager(), {**CRITICAL, "matchers": ["severity=critical"]})


def test_objects_of_icinga_that_are_well_pass() -> None:
    assert judged(FakeIcinga(), WELL).message == "1 of 1 objects of Icinga are well"
    assert judged(FakeIcinga(), {**WELL, "kind": "Host"}).passed


def test_a_problem_in_downtime_stops_progress_too() -> None:
    service = FakeIcinga({"ctl1": 0, "ctl1!rabbitmq": 2})
    assert judged(service, WELL).message == "1 of 1: rabbitmq on ctl1 (critical)"
    service.downtimes["ctl1!rabbitmq!08dc4935-0"] = {}
    assert judged(service, WELL).message == "1 of 1: rabbitmq on ctl1 (critical, silenced)"


def test_what_icinga_has_not_checked_lately_is_unknown() -> None:
    found = judged(FakeIcinga(ages={"ctl1!rabbitmq": 200.0}), WELL)
    assert (found.outcome, found.message) == ("UNKNOWN", "not checked lately: ctl1!rabbitmq")


def test_a_filter_that_selects_nothing_is_unknown() -> None:
    found = judged(FakeIcinga(), {**WELL, "objects": "false"})
    assert (found.outcome, found.reason) == ("UNKNOWN", "no_objects")


def test_a_site_without_alerting_is_unknown() -> None:
    found = judged(FakeIcinga(), WELL, holdfast_icinga_url="")
    assert found.message == "Icinga is not known: holdfast_icinga_url is not set"
