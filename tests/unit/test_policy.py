"""A playbook's policy, checked the same way for the plan and for the play."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from holdfast.errors import InvalidInput
from holdfast.model import Json, LeaseMode
from holdfast.policy import PlaybookPolicy

DECLARED = {
    "service": "nova",
    "shared": ["rabbitmq"],
    "group": "nova_api",
    "batch_max": 1,
    "batch_max_reason": "users see it",
    "order": ["unhealthy_first"],
    "survey": ["nova.services_up", {"claim": "nova.rpc_answers", "pings": 3}],
}


def test_a_declared_policy_is_read() -> None:
    policy = PlaybookPolicy.parse(DECLARED)

    assert (policy.service, policy.group, policy.batch_max) == ("nova", "nova_api", 1)
    assert policy.survey == ("nova.services_up", {"claim": "nova.rpc_answers", "pings": 3})


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"service": ""}, "service"),
        ({"service": "a b/c"}, "service"),
        ({"shared": 3}, "shared"),
        ({"batch_max": 0}, "batch_max"),
        ({"batch_max": "1"}, "batch_max"),
        ({"batch_max_reason": ""}, "batch_max_reason"),
        ({"order": ["alphabetical"]}, "order.0"),
        ({"survey": [3]}, "survey.0"),
        ({"batch_maximum": 1}, "batch_maximum"),
    ],
)
def test_a_wrong_value_is_refused_and_its_key_is_named(changed: dict[str, Json], key: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^holdfast_policy: {key}"):
        PlaybookPolicy.parse({**DECLARED, **changed})


@pytest.mark.parametrize("missing", ["service", "group", "batch_max", "batch_max_reason"])
def test_a_missing_key_is_named(missing: str) -> None:
    declared = {key: value for key, value in DECLARED.items() if key != missing}

    with pytest.raises(InvalidInput, match=f"^holdfast_policy: {missing}: Field required"):
        PlaybookPolicy.parse(declared)


def test_a_policy_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^holdfast_policy: Input should be"):
        PlaybookPolicy.parse("nova")


def test_the_own_service_is_leased_exclusively_even_if_it_is_listed_as_shared() -> None:
    policy = PlaybookPolicy.parse({**DECLARED, "shared": ["rabbitmq", "nova"]})

    assert policy.leases() == {"rabbitmq": LeaseMode.SHARED, "nova": LeaseMode.EXCLUSIVE}


PATTERNS = {"broker": "rabbitmq(-server)?(@.+)?"}


@pytest.mark.parametrize("service", ["rabbitmq", "rabbitmq-server", "rabbitmq-server@a"])
def test_a_service_that_has_a_runbook_of_its_own_is_refused(service: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{service} has a runbook .*, broker;") as caught:
        PlaybookPolicy.parse({**DECLARED, "service": service, "not_for": PATTERNS})
    assert caught.value.remedy == "holdfast show broker"


@pytest.mark.parametrize("service", ["rabbitmq-exporter", "my-rabbitmq-server"])
def test_another_service_is_not_and_its_plan_is_the_same(service: str) -> None:
    plain = PlaybookPolicy.parse({**DECLARED, "service": service})
    policy = PlaybookPolicy.parse({**DECLARED, "service": service, "not_for": PATTERNS})

    assert policy.model_dump() == plain.model_dump()


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(
        InvalidInput, match=r"^holdfast_policy: not_for.broker: .* regular expression"
    ):
        PlaybookPolicy.parse({**DECLARED, "not_for": {"broker": "("}})


@pytest.mark.parametrize(
    ("unit", "runbook"),
    [
        ("rabbitmq-server@a", "rabbitmq-restart"),
        ("kolla-rabbitmq-container", "rabbitmq-restart"),
        ("kolla-outward_rabbitmq-container", "rabbitmq-restart"),
        ("nova-api-metadata", "nova-restart"),
        ("openstack-nova-compute", "nova-restart"),
        ("openstack-nova-metadata-api", "nova-restart"),
        ("openstack-nova-os-compute-api", "nova-restart"),
        ("kolla-nova_compute-container", "nova-restart"),
        ("kolla-mariadb-container", "galera-restart"),
        ("tripleo_mysql", "galera-restart"),
        ("kolla-nova_super_conductor-container", "nova-restart"),
        ("kolla-nova_compute_ironic-container", "nova-restart"),
        ("tripleo_nova_api", "nova-restart"),
        ("edpm_nova_compute", "nova-restart"),
        ("nova-network", ""),
        ("kolla-nova_libvirt-container", ""),
        ("kolla-nova_novncproxy-container", ""),
        ("kolla-cron-container", ""),
        ("openstack-nova-novncproxy", ""),
    ],
)
def test_unit_restart_knows_the_units_of_every_way_to_deploy(unit: str, runbook: str) -> None:
    path = Path(__file__).parents[2] / "playbooks/unit_restart.yml"
    plays = yaml.safe_load(path.read_text("utf-8"))
    declared = next(play["vars"]["holdfast_policy"] for play in plays if play.get("pre_tasks"))
    declared = {**declared, "service": unit, "group": "web"}
    if not runbook:
        assert PlaybookPolicy.parse(declared).service == unit
        return
    with pytest.raises(InvalidInput, match=f"^{unit} has a runbook .*, {runbook};"):
        PlaybookPolicy.parse(declared)
