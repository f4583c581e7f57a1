"""The blast preview of a change, and whether a run did what its preview had said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.judges.puppet_rollout import previewed, ran_as_previewed
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.puppet import Agent, HostReports, LastRun, PuppetReport
from tests.unit.judges.verdicts import cases, outcome_and_reason

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
SERVICE = "Service[nova-compute]"
LAST = LastRun(9_000, "17", 10, 0, 0, 0, "t2", 8_990, True, "not_used", False, "changed")
AGENT = Agent("cmp1", 10_000, "holdfast:r1: a change", None, LAST, disabled_at=8_000)
PREVIEW = PuppetReport(
    8_500,
    True,
    True,
    "not_used",
    "unchanged",
    "t1",
    {"Exec[x]": ("returns",)},
    frozenset({SERVICE}),
)
RAN = replace(PREVIEW, began=8_990, noop=False, status="changed", transaction="t2")
WELL = HostReports(AGENT, PREVIEW, None)
DONE = replace(WELL, run=RAN)
ALSO = replace(PREVIEW, changes={**PREVIEW.changes, "File[/etc/motd]": ("content",)})
OTHERS = replace(WELL, agent=replace(AGENT, disabled="disk, ask Eve"))
SILENT = Unanswered("cmp2: cmp2 is unreachable")


def preview(
    each: HostReports, run: str = "r1", services: tuple[str, ...] = ("nova-compute",)
) -> Verdict:
    return previewed("c", {"cmp1": each}, run, services)


@pytest.mark.parametrize(
    ("reports", "outcome", "reason"),
    cases(
        [
            ("well", WELL, PASS, "previewed"),
            ("none", replace(WELL, preview=None), FAIL, "older"),
            ("older than the freeze", replace(WELL, preview=replace(PREVIEW, began=7_999)), FAIL, "older"),
            ("no noop", replace(WELL, preview=replace(PREVIEW, noop=False)), FAIL, "older"),
            ("no catalog", replace(WELL, preview=replace(PREVIEW, completed=False)), FAIL, "run_failed"),
            ("cached", replace(WELL, preview=replace(PREVIEW, cached="on_failure")), FAIL, "run_failed"),
            ("failed", replace(WELL, preview=replace(PREVIEW, failed=("File[x]",))), FAIL, "run_failed"),
            ("failed as a whole", replace(WELL, preview=replace(PREVIEW, status="failed")), FAIL, "run_failed"),
            ("enabled", replace(WELL, agent=replace(AGENT, disabled=None)), FAIL, "not_ours"),
            ("another run's", replace(WELL, agent=replace(AGENT, disabled="holdfast:r2: x")), FAIL, "not_ours"),
            ("frozen, but when?", replace(WELL, agent=replace(AGENT, disabled_at=None)), FAIL, "not_ours"),
            ("somebody else's alone", OTHERS, UNKNOWN, "unanswered"),
        ]
    ),
)  # fmt: skip
def test_a_preview_is_believed_if_it_is_a_noop_of_this_freeze(
    reports: HostReports, outcome: Outcome, reason: str
) -> None:
    assert outcome_and_reason(preview(reports)) == (outcome, reason)


def test_a_service_that_was_not_named_stops_the_run_and_the_message_says_how_to_name_it() -> None:
    verdict = preview(WELL, services=("cron",))
    assert outcome_and_reason(verdict) == (FAIL, "not_named")
    assert verdict.message.startswith("restarts nova-compute on 1 of 1 hosts; changes ")
    assert verdict.message.endswith("--input restarts=cron,nova-compute")


def test_what_others_depend_on_has_its_place_in_the_roll_and_is_alone_in_hand() -> None:
    """A unit may be several services, as where a web server has the API and the metadata service."""
    layers = {
        "nova-conductor": ["conductor"],
        "httpd": ["api", "metadata"],
        "nova-compute": ["compute"],
    }

    def restarts(*units: str) -> HostReports:
        titles = frozenset(f"Service[{unit}]" for unit in units)
        return replace(WELL, preview=replace(PREVIEW, refreshes=titles), layers=layers)

    fleet = {
        "ctl1": restarts("nova-compute", "httpd"),
        "ctl2": restarts("httpd", "nova-conductor"),
        "cmp1": restarts("nova-compute"),
        "web1": replace(restarts("nova-conductor"), layers={}),
        "db1": replace(restarts("mariadb"), preview=replace(PREVIEW, refreshes=frozenset())),
    }
    named = ("nova-compute", "nova-conductor", "httpd")
    verdict = previewed("c", fleet, "r1", named)
    assert verdict.passed, verdict.message
    assert verdict.hosts == {
        "ctl1": {"turn": 2, "alone": True},
        "ctl2": {"turn": 0, "alone": True},
    }


def test_the_blast_preview_says_what_on_how_many_hosts_and_which_differ_and_how() -> None:
    fleet = {f"cmp{number}": WELL for number in range(1, 43)} | {
        "cmp43": replace(WELL, preview=ALSO),
        "cmp44": replace(WELL, preview=replace(PREVIEW, changes={}, refreshes=frozenset())),
        "cmp45": OTHERS,
    }
    verdict = previewed("c", fleet, "r1", ["nova-compute"])
    assert verdict.passed
    assert verdict.message == (
        "restarts nova-compute on 43 of 44 hosts; "
        "changes Exec[x] (returns) on 43, Service[nova-compute] (refreshed) on 43, File[/etc/motd] (content) on 1; "
        "cmp43 differs: also File[/etc/motd] (content); "
        "cmp44 differs: not Exec[x] (returns), not Service[nova-compute] (refreshed); "
        "cmp45 is left alone: disabled: disk, ask Eve"
    )  # fmt: skip
    assert verdict.evidence["units"]["cmp44"] == []
    assert previewed("c", {**fleet, "cmp2": SILENT}, "r1", ["nova-compute"]).outcome is UNKNOWN


def test_only_what_is_refreshed_is_said_to_be_restarted() -> None:
    """A service that is only enabled at boot has to be named all the same: its gates are asked."""
    changes = {
        "Service[cron]": ("ensure",),
        "Service[ntp]": ("enable",),
        "Service[nova-compute]": ("enable", "ensure"),
        "Package[nova-common]": ("ensure",),
    }
    each = replace(WELL, preview=replace(PREVIEW, changes=changes))
    verdict = preview(each, services=("cron", "nova-compute", "ntp"))
    assert verdict.passed
    assert verdict.message.startswith(
        "starts or stops cron on 1 of 1 hosts; restarts nova-compute on 1 of 1 hosts; "
        "scripts of packages may restart more: nova-common on 1; changes "
    )
    assert verdict.evidence["packages"] == {"cmp1": ["nova-common"]}
    assert preview(each, services=("nova-compute",)).message.endswith(
        "Not named: cron, ntp. To allow that, in a new run: --input restarts=nova-compute,cron,ntp"
    )


def test_no_password_in_the_title_of_a_resource_is_shown() -> None:
    title = "Exec[curl https://nova:hunter2@x/ --token hunter2 -d password=hunter2]"
    told = replace(PREVIEW, changes={title: ("returns",)})
    failed = replace(PREVIEW, failed=(title,))
    for verdict in (
        preview(replace(WELL, preview=told)),
        preview(replace(WELL, preview=failed)),
        ran_as_previewed("c", {"cmp1": replace(DONE, preview=told)}),
        ran_as_previewed("c", {"cmp1": replace(DONE, run=replace(RAN, failed=(title,)))}),
    ):
        assert "hunter2" not in f"{verdict.message} {verdict.evidence}"
        assert "Exec[curl https://nova:***@x/" in verdict.message
    other = replace(RAN, changes={title.replace("hunter2", "another"): ("returns",)})
    differs = ran_as_previewed("c", {"cmp1": replace(DONE, preview=told, run=other)})
    assert outcome_and_reason(differs) == (FAIL, "differs"), "it is compared with the password"


def test_a_change_that_changes_nothing_says_so() -> None:
    nothing = replace(WELL, preview=replace(PREVIEW, changes={}, refreshes=frozenset()))
    assert preview(nothing, services=()).message == "changes nothing on 1 hosts"


@pytest.mark.parametrize(
    ("reports", "outcome", "reason"),
    cases(
        [
            ("as previewed", DONE, PASS, "as_previewed"),
            ("no run", WELL, FAIL, "older"),
            ("no preview", replace(DONE, preview=None), FAIL, "older"),
            ("an older run", replace(DONE, run=replace(RAN, began=8_400)), FAIL, "older"),
            ("not the last run", replace(DONE, run=replace(RAN, transaction="t0")), FAIL, "older"),
            ("noop", replace(DONE, run=replace(RAN, noop=True)), FAIL, "run_failed"),
            ("failed", replace(DONE, run=replace(RAN, failed=("File[x]",))), FAIL, "run_failed"),
            ("no catalog", replace(DONE, run=replace(RAN, completed=False)), FAIL, "run_failed"),
            ("cached", replace(DONE, run=replace(RAN, cached="on_failure")), FAIL, "run_failed"),
            ("more", replace(DONE, run=replace(RAN, changes=ALSO.changes)), FAIL, "differs"),
            ("less", replace(DONE, run=replace(RAN, refreshes=frozenset())), FAIL, "differs"),
        ]
    ),
)
def test_a_run_did_what_its_preview_had_said(
    reports: HostReports, outcome: Outcome, reason: str
) -> None:
    verdict = ran_as_previewed("c", {"cmp1": reports})
    assert outcome_and_reason(verdict) == (outcome, reason)
    assert ran_as_previewed("c", {"cmp1": reports, "cmp2": SILENT}).outcome is not PASS


def test_the_difference_is_in_the_message() -> None:
    run = replace(RAN, changes={"File[/etc/motd]": ("content",)})
    assert ran_as_previewed("c", {"cmp1": replace(DONE, run=run)}).message == (
        "cmp1: its run did something else than its preview had said: "
        "also File[/etc/motd] (content), not Exec[x] (returns)"
    )  # fmt: skip
