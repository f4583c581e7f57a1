"""The verdicts on Puppet's agents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.evidence import LEFT, UNSEEN
from holdfast.judges import puppet
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.puppet import Agent, Agents, LastRun, MassRun, RunLock
from tests.unit.judges.verdicts import cases, outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
RUN = LastRun(9_000, "17", 10, 0, 0, 0, "uuid", 8_990, True, "not_used", False, "changed")
WELL = Agent("cmp1", 10_000, None, None, RUN, ("puppet.service",))
SILENT = Unanswered("cmp2: cmp2 is unreachable")
OURS, OTHERS = "holdfast:r1: a change", "disk, ask Eve"


def fresh(last: LastRun | None, since: float = 0, **of_agent: object) -> Verdict:
    agent = replace(WELL, last=last, **of_agent)  # type: ignore[arg-type]
    return puppet.agents_fresh("c", {"cmp1": agent}, 5400, since)


@pytest.mark.parametrize(
    ("last", "outcome", "reason"),
    cases(
        [
            ("well", RUN, PASS, "fresh"),
            ("never", None, FAIL, "never_ran"),
            ("no catalog", replace(RUN, total=0), FAIL, "catalog_failed"),
            ("no resources", replace(RUN, total=None), FAIL, "catalog_failed"),
            ("a resource failed", replace(RUN, failed=1), FAIL, "run_failed"),
            ("a service was not restarted", replace(RUN, failed_to_restart=1), FAIL, "run_failed"),
            ("an event failed", replace(RUN, failures=1), FAIL, "run_failed"),
            ("the report says so", replace(RUN, status="failed"), FAIL, "run_failed"),
            ("not to its end", replace(RUN, completed=False), FAIL, "run_failed"),
            ("cached", replace(RUN, cached="on_failure"), FAIL, "cached_catalog"),
            ("cached on purpose", replace(RUN, cached="explicitly_requested"), FAIL, "cached_catalog"),
            ("noop", replace(RUN, noop=True), FAIL, "noop"),
            ("no report", replace(RUN, completed=None, noop=None, cached=""), UNKNOWN, "no_report"),
            ("no count", replace(RUN, failed=None), UNKNOWN, "no_report"),
            ("old", replace(RUN, at=4_599), FAIL, "stale"),
            ("in the future", replace(RUN, at=10_100), UNKNOWN, "age_unknown"),
        ]
    ),
)  # fmt: skip
def test_an_agent_is_fresh_by_a_successful_run_from_a_fresh_catalog(
    last: LastRun | None, outcome: Outcome, reason: str
) -> None:
    assert outcome_and_reason(fresh(last)) == (outcome, reason)


@pytest.mark.parametrize(("since", "outcome"), [(8_990, PASS), (8_991, FAIL)])
def test_a_run_that_began_before_the_change_proves_nothing(since: float, outcome: Outcome) -> None:
    assert fresh(RUN, since).outcome is outcome
    assert fresh(replace(RUN, began=None), since).outcome is FAIL


def test_why_an_agent_is_stale_is_told_where_it_is_seen() -> None:
    old = replace(RUN, at=1_000)
    assert "it is disabled: disk, ask Eve" in fresh(old, disabled=OTHERS).message
    assert "names process 952, which is no agent" in fresh(old, lock=RunLock(952, "")).message
    assert "no service, timer or cron job" in fresh(old, drivers=()).message
    assert fresh(old).message == "cmp1: its agent last ran 150 min ago, more than 90 min"


def test_one_that_a_run_of_ours_has_disabled_may_be_old_but_not_ill() -> None:
    assert fresh(replace(RUN, at=1_000), disabled=OURS).passed
    assert fresh(replace(RUN, at=1_000, failed=1), disabled=OURS).outcome is FAIL


def test_a_silent_host_is_a_doubt_and_one_that_is_ill_comes_first() -> None:
    ill = replace(WELL, host="cmp3", last=None)
    verdict = puppet.agents_fresh("c", {"cmp1": WELL, "cmp2": SILENT}, 5400, 0)
    assert outcome_and_reason(verdict) == (UNKNOWN, "unanswered")
    assert verdict.message == "cmp2: cmp2 is unreachable"
    assert verdict.hosts == {"cmp2": {"healthy": None}}
    verdict = puppet.agents_fresh("c", {"cmp2": SILENT, "cmp3": ill}, 5400, 0)
    assert outcome_and_reason(verdict) == (FAIL, "never_ran")
    assert verdict.message == "cmp3: its agent has never run; cmp2: cmp2 is unreachable"


LIVE = replace(WELL, lock=RunLock(17, "/usr/bin/ruby /usr/bin/puppet agent --onetime"))
DEAD = replace(WELL, lock=RunLock(952, ""))
REUSED = replace(WELL, lock=RunLock(952, "nginx: worker"))


@pytest.mark.parametrize(
    ("agents", "outcome", "message"),
    [
        ({"cmp1": WELL}, PASS, "no run of 1 agents is in flight"),
        ({"cmp1": WELL, "cmp2": LIVE}, FAIL, "cmp2: a run is in flight (process 17)"),
        ({"cmp1": DEAD}, PASS, "process 952, which is no agent: a run was killed there"),
        ({"cmp1": REUSED}, PASS, "process 952, which is no agent"),
        ({"cmp1": WELL, "cmp2": SILENT}, UNKNOWN, "cmp2: cmp2 is unreachable"),
        ({"cmp1": LIVE, "cmp2": SILENT}, FAIL, "unreachable"),
        ({}, UNKNOWN, "no agent"),
    ],
)
def test_no_run_in_flight(agents: Agents, outcome: Outcome, message: str) -> None:
    verdict = puppet.no_run_in_flight("c", agents)
    assert verdict.outcome is outcome
    assert message in verdict.message


@pytest.mark.parametrize(
    ("message", "others", "left"), [(None, PASS, PASS), (OURS, PASS, FAIL), (OTHERS, FAIL, PASS)]
)
def test_who_has_disabled_an_agent(message: str | None, others: Outcome, left: Outcome) -> None:
    agents: Agents = {"cmp1": replace(WELL, disabled=message)}
    assert puppet.none_disabled("c", agents).outcome is others
    assert puppet.none_left_disabled("c", agents).outcome is left
    beside: Agents = {"cmp1": WELL, "cmp2": SILENT}
    assert puppet.none_disabled("c", beside).outcome is UNKNOWN
    assert puppet.none_left_disabled("c", beside).outcome is UNKNOWN


def test_what_a_run_left_disabled_is_named_by_host_and_run() -> None:
    agents: Agents = {"cmp1": replace(WELL, disabled=OURS), "cmp2": SILENT}
    verdict = puppet.none_left_disabled("c", agents)
    assert verdict.evidence == {LEFT: {"cmp1": "r1"}, UNSEEN: ["cmp2: cmp2 is unreachable"]}
    assert "puppet on cmp1 is disabled by run r1" in verdict.message


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (OURS, PASS),
        ("holdfast:r1", PASS),
        (None, FAIL),
        (OTHERS, FAIL),
        ("", FAIL),
        ("holdfast:r10: a", FAIL),
    ],
)
def test_only_the_run_itself_has_disabled_them(message: str | None, outcome: Outcome) -> None:
    agents = {"cmp1": replace(WELL, disabled=message)}
    assert puppet.disabled_by_run("c", agents, "r1").outcome is outcome
    assert puppet.disabled_by_run("c", {**agents, "cmp2": SILENT}, "r1").outcome is not PASS


def test_a_mass_run_is_named_with_its_place_tool_and_process() -> None:
    salt = MassRun("cmp1", 901, "salt")
    verdict = puppet.no_mass_run("c", {"here": (), "cmp1": [salt]})
    assert outcome_and_reason(verdict) == (FAIL, "mass_run")
    assert verdict.message == "cmp1: salt runs agents (process 901)"
    assert puppet.no_mass_run("c", {"here": (), "cmp1": SILENT}).outcome is UNKNOWN
    assert puppet.no_mass_run("c", {"here": (), "cmp1": ()}).passed
    assert puppet.no_mass_run("c", {}).outcome is UNKNOWN
