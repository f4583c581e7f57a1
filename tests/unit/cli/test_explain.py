"""``check --explain``: stage by stage, the first cause first, each with what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.ansible.site_reader import SiteAnswer, SiteQuestion
from holdfast.cli.check_result import CheckResult
from holdfast.cli.explain import STAGES, SiteFault, site_findings
from holdfast.cli.site_presets import GROUPS
from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.plan.model import SiteInventory
from tests.unit.cli.cli_harness import InMemoryProject

SITE = dict.fromkeys(GROUPS, ("ctl1", "ctl2"))


def verdict(claim: str, outcome: str, message: str) -> dict[str, Json]:
    return {"claim": claim, "outcome": outcome, "reason": "x", "message": message, "evidence": {}}


GOOD = CheckResult((verdict("systemd.machines_distinct", "PASS", "each is its own"),), (), 1.0)


@dataclass
class Fleet:
    """What the inventory and the hosts answer; ``asked`` are the claims that were asked of hosts."""

    path: Path
    groups: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(SITE))
    states: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hosts: CheckResult = GOOD
    claims: CheckResult = GOOD
    managed: bool = True
    unreadable: str = ""
    asked: list[Sequence[Json]] = field(default_factory=list)

    def read(self, site: Path, limit: str) -> SiteInventory:
        if self.unreadable:
            raise InvalidInput(self.unreadable, remedy="name a file with the vault's password")
        groups = {name: tuple(hosts) for name, hosts in self.groups.items()}
        return SiteInventory(f"lisbon{limit}", str(site), groups)

    def ask(self, question: SiteQuestion) -> SiteAnswer:
        return SiteAnswer(self.groups, {"managed": self.managed}, self.states)

    def check(self, claims: Sequence[Json], at: Sequence[str]) -> CheckResult:
        self.asked.append(claims)
        return self.hosts if at else self.claims

    def findings(self) -> tuple[list[SiteFault], dict[str, str]]:
        passed: dict[str, str] = {}
        return list(site_findings(self.path, self, self, self.check, passed)), passed


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def stages(fleet: Fleet) -> list[str]:
    return [each.stage for each in fleet.findings()[0]]


def test_where_everything_is_right_every_stage_has_passed(fleet: Fleet) -> None:
    found, passed = fleet.findings()
    assert found == []
    assert tuple(passed) == STAGES
    assert [len(claims) for claims in fleet.asked] == [1, 0]


def test_a_check_that_judged_nothing_proves_nothing(fleet: Fleet) -> None:
    nothing = CheckResult((), (), 1.0)
    fleet.hosts = nothing
    assert stages(fleet) == ["hosts"]
    fleet.hosts, fleet.claims = GOOD, nothing
    found, passed = fleet.findings()
    assert [(each.stage, each.text) for each in found] == [("claims", "no claim was judged")]
    assert tuple(passed) == STAGES[:4]


def test_an_inventory_that_cannot_be_read_hides_everything(fleet: Fleet) -> None:
    fleet.unreadable = "no vault secrets found"
    found, passed = fleet.findings()
    assert [(each.stage, each.fix) for each in found] == [
        ("inventory", "name a file with the vault's password")
    ]
    assert (passed, fleet.asked) == ({}, [])


def test_groups_under_another_name_are_named_with_the_lines_to_write(fleet: Fleet) -> None:
    fleet.groups = {"rabbitmq": ["a"], "nova-conductor": ["a"], "all": ["a"]}
    (found,), _ = fleet.findings()
    assert found.stage == "groups"
    assert "nova_conductor: {children: {nova-conductor: {}}}" in found.fix
    fleet.groups = {**SITE, "nova_api": (), "nova_api_os_compute": ["a"]}
    assert "nova_api: {children: {nova_api_os_compute: {}}}" in fleet.findings()[0][0].fix
    fleet.groups = {"web": ["a"]}
    assert stages(fleet) == ["groups"]


def test_claims_are_not_asked_while_hosts_or_variables_are_wrong(fleet: Fleet) -> None:
    silent = verdict("systemd.machines_distinct", "UNKNOWN", "ctl2: ctl2 is unreachable: no route")
    fleet.hosts = CheckResult((silent,), (), 1.0)
    fleet.states = {"ctl1": {"nova_auth_url": "not set"}}
    fleet.claims = CheckResult((verdict("nova.services_up", "FAIL", "ctl1 is down"),), (), 1.0)
    assert stages(fleet) == ["hosts", "variables"]
    assert len(fleet.asked) == 1


def test_variables_are_named_once_with_the_file_and_where_the_value_is(fleet: Fleet) -> None:
    every = fleet.path / "group_vars/all"
    every.mkdir(parents=True)
    (every / "10-preset.yml").write_text("# What clouds by kolla-ansible have in common\n")
    (every / "20-site.yml").touch()
    empty = {"vault_rabbitmq_password": "empty", "nova_metadata_instance": "not set"}
    fleet.states = {host: {**empty, "nova_auth_url": "not set"} for host in ("ctl1", "ctl2")}
    found, _ = fleet.findings()

    assert [each.text.partition(":")[0] for each in found] == [
        "nova_auth_url",
        "vault_rabbitmq_password",
    ]
    assert "/etc/kolla/admin-openrc.sh: set it in" in found[0].fix
    assert "(ctl1, ctl2)" in found[1].text
    assert found[1].fix.startswith("rabbitmq_password in passwords.yml: ansible-vault encrypt ")
    (every / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n")
    assert fleet.findings()[0][1].fix.startswith(
        "rabbitmq_password in passwords.yml: ansible-vault edit "
    )


@pytest.mark.parametrize(("managed", "count"), [(True, 1), (False, 0)])
def test_a_broker_without_the_plugin_needs_no_account_for_it(
    fleet: Fleet, *, managed: bool, count: int
) -> None:
    fleet.managed = managed
    fleet.states = {"ctl1": {"rabbitmq_management_user": "not set"}}
    assert len(fleet.findings()[0]) == count


@pytest.mark.parametrize(
    ("message", "stage"),
    [
        ("ctl1: the management API gave no answer: Connection refused", "endpoints"),
        ("401 from ctl1's management API: Login failed", "accounts"),
        ("ctl2 is no member in the view of ctl1", "claims"),
    ],
)
def test_the_cause_of_a_claim_tells_its_stage(fleet: Fleet, message: str, stage: str) -> None:
    bad = verdict("rabbitmq.members_agree", "UNKNOWN", message)
    fleet.claims = CheckResult((bad, bad), (), 1.0)
    assert stages(fleet) == [stage]


def test_it_is_printed_by_stage_and_exits_with_3(tmp_path: Path) -> None:
    project = InMemoryProject(tmp_path)
    found = project.call("check", "--site", "lab", "--explain")
    assert found.code == 3
    assert "1 thing to correct, from the top" in found.out
    assert "not known yet" in found.out


@pytest.mark.parametrize("further", [["fake.all_serve"], ["--nagios"], ["--wait", "5s"]])
def test_it_is_about_a_whole_site_and_for_people(tmp_path: Path, further: list[str]) -> None:
    assert InMemoryProject(tmp_path).call("check", "--explain", *further).code == 2
