from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.ansible.playbooks import AnsiblePlaybooks
from holdfast.errors import InvalidInput
from holdfast.model import Json

ROLL = """\
- name: Refuse
  hosts: localhost
- name: Roll
  hosts: "{{ holdfast_batch | default('toys') }}"
  vars:
    phases: []
    holdfast_policy:
      service: "{{ toy_name }}"
      group: toys
      batch_max: 2
      batch_max_reason: because
  pre_tasks:
    - ansible.builtin.import_tasks: tasks/turn.yml
"""

IMPORT = """\
- ansible.builtin.import_playbook: parts/roll.yml
  vars:
    holdfast_policy: {service: toys, group: toys, batch_max: 1, batch_max_reason: because}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "playbooks/toy_restart.yml": ROLL,
        "playbooks/tasks/turn.yml": "- block:\n    - ansible.builtin.include_role: {name: toy}\n",
        "playbooks/all.yml": "- ansible.builtin.import_playbook: toy_restart.yml\n",
        "playbooks/short_restart.yml": IMPORT,
        "playbooks/parts/roll.yml": "- pre_tasks:\n    - import_tasks: ../tasks/turn.yml\n",
        "roles/toy/defaults/main.yml": "toy_secret: !vault |\n  $ANSIBLE_VAULT\nholdfast_x: 1\n",
        "roles/toy/meta/argument_specs.yml": "argument_specs: {main: {options: {toy_name: {}}}}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_templates_in_a_policy_use_the_variables_of_the_step(project: Path) -> None:
    playbook = AnsiblePlaybooks(project).read("toy_restart.yml", {"toy_name": "train"})

    assert (playbook.policy.service, playbook.policy.group) == ("train", "toys")
    assert playbook.policy.batch_max == 2


def test_a_step_may_set_the_variables_of_roles_but_not_those_of_the_engine(project: Path) -> None:
    playbook = AnsiblePlaybooks(project).read("toy_restart.yml", {"toy_name": "train"})

    assert set(playbook.variables) == {"toy_name", "toy_secret"}


def test_a_playbook_may_declare_its_policy_where_it_imports_its_plays(project: Path) -> None:
    playbook = AnsiblePlaybooks(project).read("short_restart.yml", {})

    assert playbook.policy.service == "toys"
    assert set(playbook.variables) == {"toy_name", "toy_secret"}


def test_a_variable_of_the_step_is_not_rendered_as_a_template(project: Path) -> None:
    playbook = AnsiblePlaybooks(project)

    with pytest.raises(InvalidInput, match="service"):
        playbook.read("toy_restart.yml", {"toy_name": "{{ 6 * 7 }}"})


def test_a_missing_variable_of_a_policy_is_named(project: Path) -> None:
    with pytest.raises(InvalidInput, match="'toy_name' is undefined") as caught:
        AnsiblePlaybooks(project).read("toy_restart.yml", {})
    assert "vars:" in caught.value.remedy


@pytest.mark.parametrize("name", ["toys_restart.yml", "../x.yml", "tasks/turn.yml", ""])
def test_an_unknown_playbook_is_refused(project: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="there is no playbook"):
        AnsiblePlaybooks(project).read(name, {})


def test_a_mistyped_playbook_gets_a_suggestion(project: Path) -> None:
    with pytest.raises(InvalidInput, match=r"did you mean toy_restart\.yml"):
        AnsiblePlaybooks(project).read("toys_restart.yml", {})


def test_a_playbook_that_imports_other_playbooks_has_no_policy(project: Path) -> None:
    with pytest.raises(InvalidInput, match="declares 0 policies"):
        AnsiblePlaybooks(project).read("all.yml", {})


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("batch_max: 2", "batch_max: 0", "batch_max"),
        ("batch_max: 2", "batch_maximum: 2", "batch_max"),
        ("      batch_max_reason: because\n", "", "batch_max_reason"),
        ("group: toys", "group: toys\n      order: [alphabetical]", "order"),
        ('"{{ toy_name }}"', '"a b/c"', "service"),
    ],
)
def test_a_wrong_policy_is_refused_and_its_key_is_named(
    project: Path, old: str, new: str, key: str
) -> None:
    path = project / "playbooks" / "toy_restart.yml"
    path.write_text(ROLL.replace(old, new))

    with pytest.raises(InvalidInput, match=f"holdfast_policy: {key}"):
        AnsiblePlaybooks(project).read("toy_restart.yml", {"toy_name": "train"})


def test_a_playbook_with_invalid_yaml_is_named(project: Path) -> None:
    (project / "playbooks" / "bad.yml").write_text("- [")

    with pytest.raises(InvalidInput, match=r"bad\.yml: not YAML"):
        AnsiblePlaybooks(project).read("bad.yml", {})


def test_the_restart_playbooks_of_this_project_can_be_read() -> None:
    here = AnsiblePlaybooks(Path(__file__).parents[3])
    variables: Json = {"systemd_unit_name": "cron", "systemd_unit_group": "all"}
    names = sorted(path.name for path in (here.project / "playbooks").glob("*_restart.yml"))

    services = {
        name: here.read(name, variables).policy.service for name in names if _rolls(here, name)
    }

    assert services["unit_restart.yml"] == "cron"
    assert len(services) >= 7


def test_every_nova_playbook_takes_the_variables_of_the_role_nova() -> None:
    here = AnsiblePlaybooks(Path(__file__).parents[3])

    for layer in ("conductor", "scheduler", "api", "metadata", "compute"):
        assert "nova_rpc_pings" in here.read(f"nova_{layer}_restart.yml", {}).variables


def _rolls(here: AnsiblePlaybooks, name: str) -> bool:
    return "holdfast_policy" in (here.project / "playbooks" / name).read_text()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("playbooks/toy_restart.yml", "batch_max: 2", "batch_max: 1"),
        ("roles/toy/meta/argument_specs.yml", "toy_name: {}", "toy_name: {}, toy_size: {}"),
        ("playbooks/tasks/turn.yml", "name: toy", "name: other"),
    ],
)
def test_an_update_of_the_project_is_seen_by_a_process_that_has_read_it_before(
    project: Path, file: str, old: str, new: str
) -> None:
    """Chat's process reads playbooks for weeks."""
    playbooks = AnsiblePlaybooks(project)
    before = playbooks.read("toy_restart.yml", {"toy_name": "train"})
    path = project / file
    path.write_text(path.read_text().replace(old, new))

    after = playbooks.read("toy_restart.yml", {"toy_name": "train"})

    assert after != before
    assert after == AnsiblePlaybooks(project).read("toy_restart.yml", {"toy_name": "train"})


def test_a_playbook_that_asks_for_input_is_refused(project: Path) -> None:
    path = project / "playbooks" / "toy_restart.yml"
    path.write_text(ROLL.replace("  vars:\n", "  vars_prompt: [{name: x}]\n  vars:\n"))

    with pytest.raises(InvalidInput, match="asks for input"):
        AnsiblePlaybooks(project).read("toy_restart.yml", {"toy_name": "train"})
