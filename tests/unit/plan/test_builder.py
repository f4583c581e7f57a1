"""A runbook, a site and its playbooks, checked against each other before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import InvalidInput
from holdfast.model import Json, LeaseMode
from holdfast.plan import Plan, PlannedCheck, PlannedRoll, PlannedWait
from tests.unit.engine.worlds import World, policy, runbook

ROLL = "roll: broker_restart.yml\nhosts: broker"
HOSTS = ("h1", "h2", "h3")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World.of(tmp_path, *HOSTS)
    world.groups |= {"empty": (), "worker": ("h3", "h4")}
    return world


def planned(world: World, *blocks: str, limit: str = "", **given: Json) -> Plan:
    return world.engine().planner.plan(runbook(world.path, *blocks, **given), world.path, {}, limit)


def test_a_plan_is_data_and_touches_nothing(world: World) -> None:
    plan = planned(world, "check: [fake.all_serve]", ROLL)

    assert Plan.model_validate(plan.as_json()) == plan
    assert plan.leases == {"lab/broker": LeaseMode.EXCLUSIVE}
    assert plan.survey() == ("fake.all_serve",)
    assert not world.fleet.history
    assert not world.store.runs()
    assert not world.store.scopes()


def test_the_hash_tells_every_change_of_the_plan(world: World) -> None:
    hashes = {planned(world, ROLL).hash, planned(world, ROLL + "\nbatch: 2").hash}
    hashes.add(planned(world, ROLL, limit="h1").hash)

    assert len(hashes) == 3
    assert planned(world, ROLL).hash in hashes


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("roll: brokr_restart.yml\nhosts: broker", "no playbook 'brokr_restart.yml'"),
        ("roll: broker_restart.yml\nhosts: brokers", "acts on broker, not on brokers"),
        ("check: [fake.all_swerve]", "no claim 'fake.all_swerve'"),
        ("wait: {gates: [fake.all_swerve], seconds: 5}", "no claim"),
        (ROLL + "\nvars: {units: x}", "no variable 'units'; did you mean unit"),
        (ROLL + "\nvars: {holdfast_phases: [restart]}", "no variable 'holdfast_phases'"),
        (ROLL + "\nbatch: 6", r"batch of 6 is larger than .* allows \(5\): tests say so"),
        (ROLL + "\nsettle: {seconds: 60}\ndeadline_seconds: 60", "no room to settle"),
        ("check: [fake.all_serve]\nsettle: {seconds: 9}\ndeadline_seconds: 9", "no room"),
    ],
)
def test_what_does_not_exist_is_found_before_a_run(
    world: World, block: str, complaint: str
) -> None:
    with pytest.raises(InvalidInput, match=complaint) as caught:
        planned(world, block)

    assert caught.value.exit_code == 2
    assert "broker-restart.md:" in caught.value.message


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"group": "brokers"}, "has no group 'brokers'; did you mean broker"),
        ({"group": "empty"}, "the group empty of .* has no hosts"),
        ({"survey": ("fake.nothing",)}, "no claim"),
    ],
)
def test_a_policy_is_checked_like_a_runbook(world: World, given: Json, complaint: str) -> None:
    world.policies["broker_restart.yml"] = policy(**given)
    group = given.get("group", "broker")

    with pytest.raises(InvalidInput, match=complaint):
        planned(world, f"roll: broker_restart.yml\nhosts: {group}")


def test_a_claim_about_a_group_without_hosts_names_nothing(world: World) -> None:
    world.groups["broker"] = ()

    with pytest.raises(InvalidInput, match=r"the group broker of .* has no hosts"):
        planned(world, "check: [fake.all_serve]")


def test_a_limit_keeps_the_inventorys_order(world: World) -> None:
    [roll] = planned(world, ROLL, limit="h3,h1").rolls()

    assert roll.hosts == ("h1", "h3")


def test_a_limit_may_leave_a_step_without_hosts_but_not_all(world: World) -> None:
    world.policies["worker_restart.yml"] = policy(service="worker", group="worker")
    worker = "roll: worker_restart.yml\nhosts: worker"

    plan = planned(world, ROLL, worker, limit="h4")
    assert [roll.playbook for roll in plan.rolls()] == ["worker_restart.yml"]
    assert list(plan.leases) == ["lab/worker"]

    with pytest.raises(InvalidInput, match="leaves no host of the groups"):
        planned(world, ROLL, limit="h4")
    with pytest.raises(InvalidInput, match="matches no host"):
        planned(world, ROLL, limit="nobody")


def test_the_stricter_lease_wins(world: World) -> None:
    world.policies["worker_restart.yml"] = policy(
        service="worker", group="worker", shared=("broker", "database")
    )

    plan = planned(world, "roll: worker_restart.yml\nhosts: worker", ROLL)

    assert plan.leases == {
        "lab/worker": LeaseMode.EXCLUSIVE,
        "lab/broker": LeaseMode.EXCLUSIVE,
        "lab/database": LeaseMode.SHARED,
    }


def test_a_soak_has_room_for_a_few_bad_readings(world: World) -> None:
    [step] = planned(world, "wait: {gates: [fake.all_serve], seconds: 300}").steps

    assert isinstance(step, PlannedWait)
    assert step.deadline_seconds == 720


def test_the_estimate_counts_batches_and_soaks(world: World) -> None:
    blocks = (
        ROLL + "\nbatch: 2\ncanary: true\nsettle: {seconds: 30}",
        "wait: {gates: [fake.all_serve], seconds: 300}",
    )

    assert planned(world, *blocks).estimate_seconds == 2 * (60 + 30) + 305


def test_a_step_fills_its_inputs_in(world: World) -> None:
    inputs = "{size: {type: int, summary: how many, default: 2}}"

    [roll] = planned(world, ROLL + "\nbatch: $size", inputs=inputs).steps

    assert isinstance(roll, PlannedRoll)
    assert roll.batch == 2


def test_an_input_of_the_wrong_kind_for_its_place_is_refused(world: World) -> None:
    inputs = "{size: {summary: how many, pattern: '.*', default: many}}"

    with pytest.raises(InvalidInput, match="batch"):
        planned(world, ROLL + "\nbatch: $size", inputs=inputs)


def test_a_runbook_that_cannot_be_read_is_an_error(world: World) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        world.engine().planner.plan(world.path / "gone.md", world.path, {})
    (world.path / "latin.md").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        world.engine().planner.plan(world.path / "latin.md", world.path, {})


def test_a_claim_about_one_host_is_asked_of_the_hosts_that_are_named(world: World) -> None:
    world.own_claims = frozenset({"own.active"})

    [step] = planned(world, "check: [own.active]\nhosts: worker").steps
    assert isinstance(step, PlannedCheck)
    assert step.hosts == ("h3", "h4")

    with pytest.raises(InvalidInput, match="say which, with hosts"):
        planned(world, "wait: {gates: [own.active], seconds: 5}")
    with pytest.raises(InvalidInput, match="speaks about the group broker"):
        planned(world, "check: [fake.all_serve]\nhosts: worker")
    with pytest.raises(InvalidInput, match="has no group 'workers'; did you mean worker"):
        planned(world, "check: [own.active]\nhosts: workers")
