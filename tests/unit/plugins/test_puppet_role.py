"""The role of Puppet: which gates a host has, as Ansible resolves its templates."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from holdfast.model import Json
from tests.content.repository import ROOT, yaml_of

ROLE = ROOT / "roles/puppet"
BEFORE = {"puppet.frozen", "puppet.no_run_in_flight", "puppet.no_mass_run", "puppet.previewed"}


def resolved(template: str, **given: Json) -> Json:
    """Return a template with the role's variables, on a host of nova's group of computes."""
    own = yaml_of(ROLE / "vars/main.yml") | yaml_of(ROLE / "defaults/main.yml")
    texts = {k: trust_as_template(v) if isinstance(v, str) else trusted(v) for k, v in own.items()}
    host = {"inventory_hostname": "c1", "group_names": ["nova_compute"], "holdfast_run": "r1"}
    templar = Templar(DataLoader(), variables={**texts, **host, **given})
    return templar.template(trust_as_template(template))


def trusted(value: Json) -> Json:
    """Return a value whose templates Ansible resolves."""
    if isinstance(value, dict):
        return {key: trusted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def told(task: Json, **given: Json) -> bool:
    """Return whether a task is run on a host."""
    return bool(resolved("{{ " + task["when"] + " }}", **given))


@pytest.mark.parametrize("units", [["nova-compute"], ["cron"], []])
def test_what_was_proved_of_the_agent_is_proved_again_when_the_drain_is_over(
    units: list[str],
) -> None:
    """The wait for operations in flight may take minutes, in which somebody may enable the agent."""
    host = {"_puppet_units": units, "puppet_agent": {"whose": "run"}}
    [task] = [each for each in yaml_of(ROLE / "tasks/drain.yml") if told(each, **host)]
    gate = task.get("holdfast_gate", {"phase": "drain"})
    claims = task["vars"]["nova_drain_claims"] if "vars" in task else gate["claims"]
    assert {each["claim"] for each in resolved(claims, **host)} == BEFORE
    assert gate["phase"] == "drain"


def test_an_agent_that_is_left_alone_has_no_gate_there() -> None:
    host = {"_puppet_units": [], "puppet_agent": {"whose": "others"}}
    assert not [each for each in yaml_of(ROLE / "tasks/drain.yml") if told(each, **host)]


def test_a_drain_asks_the_claims_of_the_role_that_includes_it_behind_its_wait() -> None:
    [whole] = yaml_of(ROOT / "roles/nova/tasks/drain.yml")
    asked = [each["holdfast_gate"]["claims"] for each in whole["block"][0]["block"][:3][1:]]
    assert ["nova_drain_claims" in str(claims) for claims in asked] == [False, True]


def test_the_units_are_put_there_before_a_preview_is_made() -> None:
    """A host that was booted since the freeze has them no more, and a resume does not freeze it again."""
    first, second = yaml_of(ROLE / "tasks/preview.yml")
    assert first["holdfast_puppet"]["state"] == "installed"
    assert second["ansible.builtin.include_role"]["tasks_from"] == "restart"
    assert first["when"] == second["when"]
