"""The role of Puppet: which gates a host has, as Ansible resolves its templates."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from holdfast.model import Json
from tests.content.repository import ROOT, yaml_of

ROLE = ROOT / "roles/puppet"
BEFORE = {
    "puppet.disabled_by_run",
    "puppet.no_run_in_flight",
    "puppet.no_mass_run",
    "puppet.previewed",
}


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


def test_one_unit_that_is_two_layers_has_the_gates_of_both() -> None:
    """A web server may have the API and the metadata service."""
    host = {
        "group_names": ["nova_api", "nova_metadata", "nova_conductor"],
        "nova_api_unit": "apache2.service",
        "nova_metadata_unit": "apache2",
        "_puppet_units": ["apache2", "cron"],
    }
    assert sorted(resolved("{{ _puppet_layers }}", **host)) == ["api", "metadata"]
    assert resolved("{{ _puppet_others }}", **host) == ["cron"]


@pytest.mark.parametrize(
    ("given", "batch", "alone"),
    [
        ({}, ["c1"], True),
        ({}, ["c1", "c2"], False),
        ({"holdfast_in_hand": ["c2"]}, ["c1"], False),
        ({"holdfast_in_hand": ["c2"], "word": []}, ["c1"], True),
        ({"holdfast_in_hand": [], "word": ["c2"]}, ["c1"], False),
    ],
)
def test_a_controller_is_alone_in_hand_by_the_word_of_the_engine(
    given: dict[str, Json], batch: list[str], *, alone: bool
) -> None:
    """What a parked play was started with is older: the host before it is in hand then."""
    _, task = yaml_of(ROLE / "tasks/at_word.yml")
    host: dict[str, Json] = {"_puppet_units": ["nova-api"], "group_names": ["nova_api"]}
    host["ansible_play_batch"] = batch
    if "word" in given:
        word = {"holdfast_word": {"holdfast_in_hand": given["word"]}}
        host |= {"ansible_facts": word, "holdfast_park": "park"}
    asked = {**host, **{k: v for k, v in given.items() if k != "word"}}
    condition = task["ansible.builtin.assert"]["that"]
    assert resolved("{{ " + condition + " }}", **asked) is alone
    assert told(task, puppet_agent={"whose": "run"}, **asked)


@pytest.mark.parametrize(
    ("units", "packages", "groups", "refused"),
    [
        (["rabbitmq-server"], [], ["rabbitmq"], True),
        ([], ["rabbitmq-server"], ["rabbitmq"], True),
        ([], ["rabbitmq-server"], ["nova_compute"], False),
        ([], ["nova-common"], ["rabbitmq"], False),
    ],
)
def test_a_broker_whose_package_changes_is_refused_as_one_that_is_restarted(
    units: list[str], packages: list[str], groups: list[str], *, refused: bool
) -> None:
    """The scripts of the package restart it, undrained."""
    [task] = [
        each
        for each in yaml_of(ROLE / "tasks/preflight_asked.yml")
        if each["name"] == "Puppet restarts no broker"
    ]
    host = {"_puppet_units": units, "_puppet_packages": packages, "group_names": groups}
    asserted = task["ansible.builtin.assert"]
    assert resolved("{{ " + asserted["that"] + " }}", **host) is not refused
    if refused:
        said = (
            "changes rabbitmq-server, whose scripts may restart its" if packages else "restarts its"
        )
        assert f"The preview of c1 {said} broker" in resolved(asserted["fail_msg"], **host)


@pytest.mark.parametrize(("name", "act"), [("rollout", "Drain"), ("preview", "Preview")])
def test_who_has_disabled_an_agent_that_is_left_alone_is_seen_again_behind_the_word(
    name: str, act: str
) -> None:
    [play] = [each for each in yaml_of(ROOT / f"playbooks/puppet_{name}.yml") if "hosts" in each]
    order = [each["name"] for each in play["tasks"]]
    assert order.index("Park") + 1 == order.index("At the word") < order.index(act)
    first, _ = yaml_of(ROLE / "tasks/at_word.yml")
    others, run = {"puppet_agent": {"whose": "others"}}, {"puppet_agent": {"whose": "run"}}
    assert (told(first, **others), told(first, **run)) == (True, False)
    seen, asserted = yaml_of(ROLE / "tasks/left_alone.yml")
    assert seen["holdfast_puppet"]["state"] == "shown"
    condition = "{{ " + asserted["ansible.builtin.assert"]["that"] + " }}"
    found = [resolved(condition, puppet_agent_now={"whose": each}) for each in ("others", "nobody")]
    assert found == [True, False]


def test_who_has_disabled_an_agent_is_seen_behind_the_word_before_a_freeze() -> None:
    first, act, *_ = yaml_of(ROLE / "tasks/freeze.yml")
    assert first["ansible.builtin.import_tasks"] == "agent.yml"
    assert act["holdfast_puppet"]["state"] == "disabled"
    assert "agent.yml" not in str(yaml_of(ROLE / "tasks/freeze_preflight.yml"))
