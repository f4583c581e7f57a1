"""Values that YAML or prose repeats from Python, where neither can read the other, are the same."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest

from holdfast.ansible.playbooks import AnsiblePlaybooks
from holdfast.errors import InvalidInput
from holdfast.gate_action import POLL_SECONDS
from holdfast.model import GATE_DEADLINE_SECONDS, Phase
from holdfast.nova_services import RPC_SERVICES, SERVICES, binary_of, groups_of
from holdfast.plan.builder import SHOWN_SECONDS, SOAK_SECONDS
from holdfast.plan.model import LENGTHS, SOAK
from tests.content.repository import ROOT, Yaml, files, strings, text_of, yaml_in, yaml_of

ACTION_PLUGINS = [path.stem for path in files("plugins/action/holdfast_*.py")]
# How YAML and prose write the default of a gate's deadline and of its pause between readings.
DEADLINES = {
    "plugins/modules/holdfast_gate.py": r"C\(holdfast_gate_deadline_seconds\), else (\d+)",
    "playbooks/observe.yml": r"holdfast_gate_deadline_seconds \| default\((\d+)\)",
    "inventories/example/group_vars/all/site.yml": r"holdfast_gate_deadline_seconds: (\d+)",
    "docs/writing-runbooks.md": r"the site's, else (\d+)",
}
POLLS = {
    "plugins/modules/holdfast_gate.py": r"C\(holdfast_poll_seconds\), else (\d+)",
    "inventories/example/group_vars/all/site.yml": r"holdfast_poll_seconds: (\d+)",
}


@pytest.mark.parametrize(("file", "pattern"), DEADLINES.items())
def test_the_default_deadline_of_gates_is_the_same_everywhere(file: str, pattern: str) -> None:
    assert re.findall(pattern, text_of(ROOT / file)) == [str(GATE_DEADLINE_SECONDS)]


@pytest.mark.parametrize(("file", "pattern"), POLLS.items())
def test_the_default_pause_between_readings_is_the_same_everywhere(file: str, pattern: str) -> None:
    assert re.findall(pattern, text_of(ROOT / file)) == [str(POLL_SECONDS)]


@pytest.mark.parametrize("playbook", ["rabbitmq_restart.yml", "parts/nova_layer.yml"])
def test_a_playbook_runs_all_phases_by_default(playbook: str) -> None:
    texts = strings(yaml_of(ROOT / "playbooks" / playbook))
    (default,) = [text for text in texts if "holdfast_phases | default" in text]
    assert re.findall(r"'(\w+)'", default) == list(Phase)


def test_the_role_knows_the_groups_whose_services_have_queues() -> None:
    assert yaml_of(ROOT / "roles/rabbitmq/vars/main.yml")["_rabbitmq_nova_groups"] == [
        *groups_of(RPC_SERVICES)
    ]


def test_unit_restart_refuses_every_unit_that_has_a_runbook_of_its_own() -> None:
    broker = yaml_of(ROOT / "roles/rabbitmq/defaults/main.yml")
    nova = yaml_of(ROOT / "roles/nova/defaults/main.yml")
    units = {broker["rabbitmq_unit"]: "rabbitmq-restart"}
    units |= {nova[f"nova_{service}_unit"]: "nova-restart" for service in SERVICES}
    for unit, runbook in units.items():
        given = {"systemd_unit_name": f"{unit}.service", "systemd_unit_group": "all"}
        with pytest.raises(InvalidInput, match=f"{unit} has a runbook .* of its own, {runbook};"):
            AnsiblePlaybooks(ROOT).read("unit_restart.yml", given)
        assert (ROOT / f"runbooks/{runbook}.md").is_file()


def test_a_nova_layer_is_verified_for_as_long_as_its_plan_says() -> None:
    """The role has the sum that the plan shows; the site's variables are those that are read for a plan."""
    known = yaml_of(ROOT / "roles/nova/defaults/main.yml")
    for group in groups_of(SERVICES):
        policy = AnsiblePlaybooks(ROOT).read(f"{group}_restart.yml", {}).policy
        assert set(policy.outlasts) == {"nova_rpc_response_timeout"} <= set(LENGTHS) & set(known)
    watch = yaml_of(ROOT / "roles/nova/vars/main.yml")["_nova_watch"]
    assert f"nova_rpc_response_timeout | float + {SHOWN_SECONDS} - nova_settle_seconds" in watch


SOAKS = {
    "inventories/example/group_vars/all/site.yml": rf"{SOAK}: (\d+)",
    "docs/writing-runbooks.md": r"the site's `holdfast_soak_seconds`, else (\d+)",
}


@pytest.mark.parametrize(("file", "pattern"), SOAKS.items())
def test_the_default_length_of_a_soak_is_the_same_everywhere(file: str, pattern: str) -> None:
    assert re.findall(pattern, text_of(ROOT / file)) == [str(SOAK_SECONDS)]


def test_the_role_nova_has_every_service_and_no_other() -> None:
    specs = yaml_of(ROOT / "roles/nova/meta/argument_specs.yml")["argument_specs"]
    layers = specs["preflight"]["options"]["nova_layer"]["choices"]
    variables = yaml_of(ROOT / "roles/nova/vars/main.yml")
    assert set(layers) == set(SERVICES)
    assert set(variables["_nova_units"]) == set(variables["_nova_logs"]) == set(SERVICES)
    assert {path.stem for path in files("playbooks/nova_*_restart.yml")} == {
        f"{group}_restart" for group in groups_of(SERVICES)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_nova_unit_is_called_like_its_binary_by_default(service: str) -> None:
    defaults = yaml_of(ROOT / "roles/nova/defaults/main.yml")
    binary = (
        "nova-api-metadata" if service == "metadata" else binary_of(service)
    )  # Debian's package
    assert defaults[f"nova_{service}_unit"] == binary


def documented(module: ModuleType) -> dict[str, Yaml]:
    """Return the options that a module's documentation lists, as an action plugin declares them."""
    options = yaml_in(module.DOCUMENTATION)["options"]
    return {
        name: {key: value for key, value in option.items() if key != "description"}
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", ACTION_PLUGINS)
def test_the_documented_options_of_an_action_plugin_are_those_it_takes(name: str) -> None:
    plugin = importlib.import_module(f"plugins.action.{name}")
    module = importlib.import_module(f"plugins.modules.{name}")
    assert documented(module) == plugin.ActionModule.ARGUMENTS


def test_the_example_says_how_the_accounts_that_it_names_are_made() -> None:
    """Somebody new has nothing else to read: what is missing there is a 401 without a cause."""
    file = ROOT / "inventories/example/group_vars/rabbitmq.yml"
    text, values = text_of(file), yaml_of(file)
    reader, prober = values["rabbitmq_management_user"], values["rabbitmq_probe_user"]
    for needed in (
        *(f"rabbitmqctl add_user {user}" for user in {reader, prober}),
        f"rabbitmqctl set_user_tags {reader} monitoring",
        f"rabbitmqctl set_permissions -p VHOST {reader}",
        f"rabbitmqctl add_vhost {values['rabbitmq_probe_vhost']}",
        f"rabbitmqctl set_permissions -p {values['rabbitmq_probe_vhost']} {prober} '.*' '.*' '.*'",
    ):
        assert needed in text
