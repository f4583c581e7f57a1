"""A runbook, a site and its playbooks, checked against each other before anything is touched."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.model import Json, LeaseMode
from holdfast.plan.model import Plan, PlannedCheck, PlannedRoll, PlannedWait
from holdfast.report.plan_view import plan_view
from holdfast.report.progress_text import plain
from holdfast.runbook.model import SettleSpec
from holdfast.text import format_duration
from tests.unit.engine.engine_harness import EngineHarness, make_policy, write_runbook

ROLL = "roll: broker_restart.yml\nhosts: broker"
HOSTS = ("h1", "h2", "h3")


@pytest.fixture
def harness(tmp_path: Path) -> EngineHarness:
    harness = EngineHarness.of(tmp_path, *HOSTS)
    harness.groups |= {"worker": ("h3", "h4"), "empty": ()}
    return harness


def planned(harness: EngineHarness, *blocks: str, limit: str = "", **given: Json) -> Plan:
    return harness.engine().planner.plan(
        write_runbook(harness.path, *blocks, **given), harness.path, {}, limit
    )


def test_a_runbook_says_how_old_an_answer_of_a_host_done_earlier_may_be(
    harness: EngineHarness,
) -> None:
    assert planned(harness, ROLL, inputs="{}\nsweep_seconds: 600").sweep_seconds == 600
    assert planned(harness, ROLL).sweep_seconds == 30


def test_a_plan_is_data_and_touches_nothing(harness: EngineHarness) -> None:
    plan = planned(harness, "check: [fake.all_serve]", ROLL)

    assert Plan.from_journal(plan.as_json(), "the plan") == plan
    assert plan.leases == {"lab/broker": LeaseMode.EXCLUSIVE}
    assert plan.survey() == ("fake.all_serve",)
    assert not harness.fleet.history
    assert not harness.store.runs()
    assert not harness.store.scopes()


def test_every_change_of_the_plan_changes_its_hash(harness: EngineHarness) -> None:
    hashes = {planned(harness, ROLL).hash, planned(harness, ROLL + "\nbatch: 2").hash}
    hashes.add(planned(harness, ROLL, limit="h1").hash)

    assert len(hashes) == 3
    assert planned(harness, ROLL).hash in hashes


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("roll: brokr_restart.yml\nhosts: broker", "no playbook 'brokr_restart.yml'"),
        ("roll: broker_restart.yml\nhosts: brokers", "acts on broker, not on brokers"),
        ("check: [fake.all_swerve]", "no claim 'fake.all_swerve'"),
        ("wait: {gates: [fake.all_swerve], seconds: 5}", "no claim"),
        (ROLL + "\nvars: {units: x}", "no variable 'units'; did you mean unit"),
        (ROLL + "\nvars: {holdfast_phases: [restart]}", "no variable 'holdfast_phases'"),
        (ROLL + "\ncanary_settle: {seconds: 60}", "canary_settle: .*add canary: true"),
        (ROLL + "\nbatch: 6", r"batch of 6 is larger than .* allows \(5\): the test sets it"),
        (ROLL + "\nbatch: 3", "the whole group broker: .*\n.*a smaller batch, or a canary"),
        (ROLL + "\ngrowth: [1, 6]", r"batch of 6 is larger than .* allows \(5\): the test sets it"),
        (ROLL + "\ngrowth: [3, 4]", "a batch of 3 is the whole group broker"),
        (
            ROLL + "\nsettle: {seconds: 60}\ndeadline_seconds: 60",
            "not longer than the settling time",
        ),
        (
            "check: [fake.all_serve]\nsettle: {seconds: 9}\ndeadline_seconds: 9",
            "not longer than the settling time",
        ),
    ],
)
def test_a_wrong_name_or_value_is_refused_before_a_run(
    harness: EngineHarness, block: str, complaint: str
) -> None:
    with pytest.raises(InvalidInput, match=complaint) as caught:
        planned(harness, block)

    assert caught.value.exit_code == 2
    assert "broker-restart.md:" in caught.value.message


@pytest.mark.parametrize(("more", "limit"), [("\ncanary: true", ""), ("", "h1,h2")])
def test_a_batch_that_leaves_a_host_of_the_group_is_planned(
    harness: EngineHarness, more: str, limit: str
) -> None:
    harness.policies["broker_restart.yml"] = make_policy(batch_max=3)
    assert planned(harness, f"{ROLL}\nbatch: 3{more}", limit=limit).steps


@pytest.mark.parametrize(("hosts", "whole"), [(("h1",), False), (("h1", "h2"), True)])
def test_a_batch_may_be_the_whole_group_only_where_that_is_one_host(
    harness: EngineHarness, hosts: tuple[str, ...], whole: bool
) -> None:
    harness.groups["broker"] = hosts
    with pytest.raises(InvalidInput, match="whole group") if whole else nullcontext():
        planned(harness, f"{ROLL}\nbatch: 2")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"group": "brokers"}, "has no group 'brokers'; did you mean broker"),
        ({"group": "zzz"}, "has no group 'zzz'; known: broker, empty, worker\n"),
        ({"group": "empty"}, "the group empty of .* has no hosts"),
        ({"survey": ("fake.nothing",)}, "no claim"),
    ],
)
def test_a_policy_is_checked_like_a_runbook(
    harness: EngineHarness, given: Json, complaint: str
) -> None:
    harness.policies["broker_restart.yml"] = make_policy(**given)
    group = given.get("group", "broker")

    with pytest.raises(InvalidInput, match=complaint):
        planned(harness, f"roll: broker_restart.yml\nhosts: {group}")


def test_a_claim_about_a_group_without_hosts_is_refused(harness: EngineHarness) -> None:
    harness.groups["broker"] = ()

    with pytest.raises(InvalidInput, match=r"the group broker of .* has no hosts"):
        planned(harness, "check: [fake.all_serve]")


@pytest.mark.parametrize("groups", [{}, {"broker": ()}])
def test_a_site_without_the_group_of_a_runbook_is_told_where_its_groups_are(
    harness: EngineHarness, groups: dict[str, tuple[str, ...]]
) -> None:
    harness.groups.clear()
    harness.groups.update(groups, other=("h9",))

    with pytest.raises(InvalidInput) as refused:
        planned(harness, ROLL)

    assert refused.value.remedy.startswith("see its groups: ansible-inventory -i ")
    assert refused.value.remedy.endswith(" --graph; other runbooks: holdfast runbooks")
    assert "next:" not in refused.value.message


def test_a_limit_keeps_the_inventorys_order(harness: EngineHarness) -> None:
    [roll] = planned(harness, ROLL, limit="h3,h1").rolls()

    assert roll.hosts == ("h1", "h3")


def test_a_limit_may_leave_a_step_without_hosts_but_not_all(harness: EngineHarness) -> None:
    harness.policies["worker_restart.yml"] = make_policy(service="worker", group="worker")
    worker = "roll: worker_restart.yml\nhosts: worker"

    plan = planned(harness, ROLL, worker, limit="h4")
    assert [roll.playbook for roll in plan.rolls()] == ["worker_restart.yml"]
    assert list(plan.leases) == ["lab/worker"]

    check = "check: [own.active]\nhosts: worker"
    harness.host_claims = frozenset({"own.active"})
    assert planned(harness, check, limit="h4").steps, "a check restarts nothing"
    with pytest.raises(InvalidInput, match="leaves no host of the groups"):
        planned(harness, check, ROLL, limit="h4")
    with pytest.raises(InvalidInput, match="matches no host"):
        planned(harness, ROLL, limit="nobody")


def test_the_stricter_lease_wins(harness: EngineHarness) -> None:
    harness.policies["worker_restart.yml"] = make_policy(
        service="worker", group="worker", shared=("broker", "database")
    )

    plan = planned(harness, "roll: worker_restart.yml\nhosts: worker", ROLL)

    assert plan.leases == {
        "lab/worker": LeaseMode.EXCLUSIVE,
        "lab/broker": LeaseMode.EXCLUSIVE,
        "lab/database": LeaseMode.SHARED,
    }


@pytest.mark.parametrize(("settle", "seconds"), [("", 120), ("\nsettle: {seconds: 9}", 138)])
def test_a_check_is_as_patient_as_a_survey(
    harness: EngineHarness, settle: str, seconds: int
) -> None:
    """Both ask the same claims: what a resume waits for does not refuse a fresh run."""
    [step] = planned(harness, f"check: [fake.all_serve]{settle}").steps
    assert isinstance(step, PlannedCheck)
    assert step.deadline_seconds == seconds


def test_a_soak_has_a_deadline_for_a_few_bad_readings(harness: EngineHarness) -> None:
    [step] = planned(harness, "wait: {gates: [fake.all_serve], seconds: 300, readings: 7}").steps

    assert isinstance(step, PlannedWait)
    assert step.deadline_seconds == 720
    assert step.settle == SettleSpec(seconds=300, readings=7)


@pytest.mark.parametrize(
    ("given", "deadline"),
    [
        ("", None),
        ("settle: {seconds: 90}", None),
        ("settle: {seconds: 91}", 302),
        ("settle: {seconds: 9}\ndeadline_seconds: 10", 10),
        ("deadline_seconds: 300", 300),
    ],
)
def test_a_roll_has_the_role_s_deadline_unless_it_is_given_one_or_settles_for_longer(
    harness: EngineHarness, given: str, deadline: int | None
) -> None:
    (roll,) = planned(harness, f"{ROLL}\n{given}").rolls()
    assert roll.deadline_seconds == deadline


SOAK = "wait: {gates: [fake.all_serve]}"


@pytest.mark.parametrize(
    ("lengths", "seconds", "why"),
    [
        ({}, 1800, "looked fine for 25 minutes, .* holdfast_soak_seconds of the site is not set$"),
        ({"holdfast_soak_seconds": 3600.0}, 3600, "^holdfast_soak_seconds of the site$"),
        ({"holdfast_soak_seconds": 1799.5}, 1800, "^holdfast_soak_seconds of the site$"),
        (
            {"holdfast_soak_seconds": 29.5},
            30,
            "of the site, shorter than the usual 30 min 00 s: what fails again",
        ),
    ],
)
def test_a_soak_is_as_long_as_the_site_says_and_the_plan_says_why(
    harness: EngineHarness, lengths: dict[str, float], seconds: int, why: str
) -> None:
    harness.lengths |= lengths
    (soak,) = planned(harness, SOAK).steps
    assert isinstance(soak, PlannedWait)
    assert (soak.settle.seconds, soak.deadline_seconds) == (seconds, 2 * seconds + 120)
    assert re.search(why, soak.why)
    assert soak.why in " ".join(plain(plan_view(planned(harness, SOAK))).split())


def test_a_soak_with_a_length_in_the_runbook_needs_no_reason(harness: EngineHarness) -> None:
    """What is empty is left out, so that plans from before it keep the hash that was approved."""
    plan = planned(harness, "wait: {gates: [fake.all_serve], seconds: 5}", ROLL)
    assert all({"why", "lasts_seconds"}.isdisjoint(step) for step in plan.as_json()["steps"])


@pytest.mark.parametrize(
    ("lengths", "given", "lasts"),
    [
        ({}, "", 62),
        ({"unit_timeout": 9.5}, "", 12),
        ({"unit_timeout": 90.0}, "\nvars: {unit_timeout: 0}", 0),
    ],
)
def test_a_host_is_verified_for_longer_than_what_its_policy_names(
    harness: EngineHarness, lengths: dict[str, float], given: str, lasts: int
) -> None:
    """The role's default, the site's value, the step's; the last that is given counts."""
    harness.policies["broker_restart.yml"] = make_policy(outlasts={"unit_timeout": "replies"})
    harness.lengths |= lengths
    plan = planned(harness, f"{ROLL}{given}")
    (roll,) = plan.rolls()
    assert roll.lasts_seconds == lasts
    assert plan.estimate_seconds == 3 * (60 + lasts)
    text = " ".join(plain(plan_view(plan)).split())
    assert (
        f"at least {format_duration(lasts)} after each restart: unit_timeout is" in text
    ) == bool(lasts)


def test_a_length_that_is_no_number_is_refused(harness: EngineHarness) -> None:
    harness.policies["broker_restart.yml"] = make_policy(outlasts={"unit_timeout": "replies"})
    with pytest.raises(InvalidInput, match="unit_timeout is 'long', which is no number of seconds"):
        planned(harness, f"{ROLL}\nvars: {{unit_timeout: long}}")


def test_what_a_step_tolerates_of_replicas_is_a_claim_of_it_and_a_pace_of_a_roll(
    harness: EngineHarness,
) -> None:
    harness.fleet_claims |= {"replica.caught_up"}
    tolerant = "\nlag_tolerant: $lag"
    inputs = "{lag: {type: int, summary: seconds, default: 20}}"
    steps = (
        "check: [fake.all_serve]" + tolerant,
        ROLL + tolerant,
        "wait: {gates: [fake.all_serve], seconds: 5}" + tolerant,
    )
    check, roll, wait = planned(harness, *steps, inputs=inputs).steps

    asked = {"claim": "replica.caught_up", "seconds": 20}
    assert isinstance(check, PlannedCheck)
    assert isinstance(wait, PlannedWait)
    assert check.claims == wait.claims == ("fake.all_serve", asked)
    assert isinstance(roll, PlannedRoll)
    assert roll.variables == {"holdfast_lag_tolerant": 20}


def test_a_site_without_replicas_is_told_where_a_step_is_about_them(harness: EngineHarness) -> None:
    """Nothing found where something was expected is no reason to go on."""
    with pytest.raises(InvalidInput, match=r"no claim 'replica\.caught_up'"):
        planned(harness, ROLL + "\nlag_tolerant: 20")


def test_a_step_is_planned_with_its_inputs(harness: EngineHarness) -> None:
    inputs = "{size: {type: int, summary: how many, default: 2}}"

    [roll] = planned(harness, ROLL + "\nbatch: $size", inputs=inputs).steps

    assert isinstance(roll, PlannedRoll)
    assert roll.batch == 2


def test_an_input_of_the_wrong_type_for_its_place_is_refused(harness: EngineHarness) -> None:
    inputs = "{size: {summary: how many, pattern: '.*', default: many}}"

    with pytest.raises(InvalidInput, match=r"batch.*: Input should be a valid integer$"):
        planned(harness, ROLL + "\nbatch: $size", inputs=inputs)


def test_a_runbook_that_cannot_be_read_is_an_error(harness: EngineHarness) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        harness.engine().planner.plan(harness.path / "gone.md", harness.path, {})
    (harness.path / "latin.md").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        harness.engine().planner.plan(harness.path / "latin.md", harness.path, {})


def test_a_claim_about_one_host_is_planned_for_the_hosts_of_its_step(
    harness: EngineHarness,
) -> None:
    harness.host_claims = frozenset({"own.active"})

    [step] = planned(harness, "check: [own.active]\nhosts: worker").steps
    assert isinstance(step, PlannedCheck)
    assert step.hosts == ("h3", "h4")

    with pytest.raises(InvalidInput, match="name its group, with hosts"):
        planned(harness, "wait: {gates: [own.active], seconds: 5}")
    with pytest.raises(InvalidInput, match="is about the group broker"):
        planned(harness, "check: [fake.all_serve]\nhosts: worker")
    with pytest.raises(InvalidInput, match="has no group 'workers'; did you mean worker"):
        planned(harness, "check: [own.active]\nhosts: workers")
