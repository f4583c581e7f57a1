"""The lab's inventory: which hosts a profile has, at which addresses, and what it refuses."""

from __future__ import annotations

import importlib.util
from ipaddress import IPv4Address
from types import ModuleType
from typing import Any

import pytest

from tests.content.repository import ROOT


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the inventory script, in an environment that selects no lab."""
    for name in ("NAME", "PROFILE", "SUBNET", "COMPUTES", "RELEASE", "WRITERS", "DIR"):
        monkeypatch.delenv(f"LAB_{name}", raising=False)
    spec = importlib.util.spec_from_file_location("lab_hosts", ROOT / "inventories/lab/hosts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(script: ModuleType) -> dict[str, Any]:
    inventory: dict[str, Any] = script.inventory()
    return inventory


def with_hosts(script: ModuleType) -> set[str]:
    return {group for group, found in made(script).items() if found.get("hosts")}


def addresses(inventory: dict[str, Any]) -> dict[str, str]:
    hosts = inventory["_meta"]["hostvars"]
    return {host: variables["ansible_host"] for host, variables in hosts.items()}


def test_without_settings_three_real_computes_follow_the_controls(script: ModuleType) -> None:
    inventory = made(script)
    assert addresses(inventory) == {
        "ctl1": "10.97.0.11",
        "ctl2": "10.97.0.12",
        "ctl3": "10.97.0.13",
        "cmp1": "10.97.0.21",
        "cmp2": "10.97.0.22",
        "cmp3": "10.97.0.23",
    }
    assert inventory["lab_light"] == {"hosts": []}
    assert inventory["all"]["vars"]["lab_name"] == "holdfast"


def test_a_fleet_has_242_light_computes_with_an_address_each(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PROFILE", "fleet")
    inventory = made(script)
    computes = [f"cmp{number}" for number in range(1, 243)]
    assert inventory["nova_compute"] == inventory["lab_light"] == {"hosts": computes}
    assert inventory["lab_hosts"]["hosts"][:3] == ["ctl1", "ctl2", "ctl3"]
    found = addresses(inventory)
    assert len(set(found.values())) == 245
    assert found["cmp242"] == "10.97.5.6"  # beyond the first /24
    assert inventory["all"]["vars"]["lab_name"] == "holdfast-fleet"


def test_brokers_alone_have_no_group_of_nova(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PROFILE", "rabbitmq")
    assert with_hosts(script) == {"lab_hosts", "rabbitmq"}


def test_databases_alone_have_two_load_balancers_a_replica_and_no_broker(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PROFILE", "data")
    inventory = made(script)
    assert with_hosts(script) == {"lab_hosts", "galera", "haproxy", "galera_replicas"}
    assert inventory["galera"]["hosts"] == ["ctl1", "ctl2", "ctl3"]
    assert inventory["haproxy"]["hosts"] == ["ctl1", "ctl2"]
    assert inventory["galera_replicas"]["hosts"] == ["rep1"]


def test_the_database_of_nova_is_no_galera_cluster(script: ModuleType) -> None:
    """A check of the whole lab asks about every group of the site contract."""
    assert "galera" not in with_hosts(script)
    assert made(script)["lab_database"] == {"hosts": ["ctl1"]}


def test_a_cloud_has_all_of_nova_over_a_cluster_of_databases(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = with_hosts(script)
    monkeypatch.setenv("LAB_PROFILE", "cloud")
    assert with_hosts(script) == full | {"galera", "haproxy"}
    inventory = made(script)
    assert inventory["galera"]["hosts"][:1] == inventory["lab_database"]["hosts"] == ["ctl1"]
    assert inventory["all"]["vars"]["lab_writers"] == "one"


@pytest.mark.parametrize(
    ("subnet", "most"), [("10.97.0.0/24", 234), ("10.97.4.0/22", 1002), ("10.97.0.0/27", 10)]
)
def test_there_are_as_many_computes_as_the_network_has_addresses_for(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, subnet: str, most: int
) -> None:
    monkeypatch.setenv("LAB_SUBNET", subnet)
    monkeypatch.setenv("LAB_COMPUTES", str(most))
    last = IPv4Address(addresses(made(script))[f"cmp{most}"])
    assert last + 1 == script.subnet("full").broadcast_address
    monkeypatch.setenv("LAB_COMPUTES", str(most + 1))
    with pytest.raises(SystemExit, match=f"from 1 to {most}, which is what LAB_SUBNET={subnet}"):
        made(script)


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("LAB_COMPUTES", "0", "expected a number from 1 to 234"),
        ("LAB_COMPUTES", "many", "expected a number from 1 to 234"),
        ("LAB_COMPUTES", "³", "expected a number from 1 to 234"),
        ("LAB_SUBNET", "10.97.0.0/28", "too small for a lab"),
        ("LAB_SUBNET", "10.97.0.1/24", "has host bits set"),
        ("LAB_SUBNET", "8.8.0.0/16", "expected a private IPv4 network"),
        ("LAB_WRITERS", "two", "expected one of one, all"),
        ("LAB_PROFILE", "flet", "expected one of full, rabbitmq, data, cloud, fleet"),
    ],
)
def test_what_no_lab_can_be_made_of_is_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=fault):
        made(script)
