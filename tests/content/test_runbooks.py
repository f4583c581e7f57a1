"""A runbook names only what is there, agrees with its playbooks' policy, and ends by saying what to do if it holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.content.reading import ROOT, Yaml, fences, files, name_of, text_of, yaml_in, yaml_of
from tests.content.test_names import claim_complaints, defined, groups_of

RUNBOOKS = files("runbooks/*.md")


def front_matter(text: str) -> dict[str, Yaml]:
    """Return the YAML between the first two lines of dashes."""
    match = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    content: dict[str, Yaml] = yaml_in(match[1]) if match else {}
    return content


def steps(path: Path) -> list[tuple[str, dict[str, Yaml]]]:
    """Return a runbook's steps: where each stands, and what it holds."""
    return [(f"{name_of(path)}:{line}", yaml_in(text)) for line, text in fences(path, "step")]


ROLLS = [(path, where, step) for path in RUNBOOKS for where, step in steps(path) if "roll" in step]


def policy_of(playbook: str) -> dict[str, Yaml]:
    """Return the policy that a restart playbook declares."""
    policies = [
        play.get("vars", {}).get("holdfast_policy")
        for play in yaml_of(ROOT / "playbooks" / playbook)
    ]
    return next((policy for policy in policies if policy), {})


def is_input(value: Yaml) -> bool:
    """Tell whether a value is one of the runbook's inputs, known only when it runs."""
    return isinstance(value, str) and value.startswith("$")


@pytest.mark.parametrize("path", RUNBOOKS, ids=name_of)
def test_a_runbook_says_what_it_is_and_what_to_do_if_it_holds(path: Path) -> None:
    matter = front_matter(text_of(path))
    assert matter.get("name") == path.stem
    assert matter.get("summary")
    assert steps(path)
    assert re.findall(r"^## (.*)", text_of(path), re.MULTILINE)[-1] == "If it holds"


@pytest.mark.parametrize("path", RUNBOOKS, ids=name_of)
def test_a_runbook_names_only_gates_that_exist(path: Path) -> None:
    assert [
        f"{where}: {said}" for where, step in steps(path) for said in claim_complaints(step)
    ] == []


@pytest.mark.parametrize("path", RUNBOOKS, ids=name_of)
def test_every_input_that_a_step_uses_is_declared(path: Path) -> None:
    used = {name for _, text in fences(path, "step") for name in re.findall(r"\$(\w+)", text)}
    assert used == set(front_matter(text_of(path)).get("inputs", {}))


@pytest.mark.parametrize(("path", "where", "step"), ROLLS, ids=[where for _, where, _ in ROLLS])
class TestARoll:
    def test_its_playbook_exists(self, path: Path, where: str, step: dict[str, Yaml]) -> None:
        assert (ROOT / "playbooks" / step["roll"]).is_file()

    def test_its_group_is_part_of_the_site_contract(
        self, path: Path, where: str, step: dict[str, Yaml]
    ) -> None:
        assert is_input(step["hosts"]) or step["hosts"] in groups_of("example")

    def test_its_variables_exist(self, path: Path, where: str, step: dict[str, Yaml]) -> None:
        assert set(step.get("vars", {})) - defined() == set()

    def test_it_keeps_to_its_playbook_s_policy(
        self, path: Path, where: str, step: dict[str, Yaml]
    ) -> None:
        policy = policy_of(step["roll"])
        assert policy, "the playbook declares no holdfast_policy"
        assert step.get("batch", 1) <= policy["batch_max"]
        assert is_input(step["hosts"]) or step["hosts"] == policy["group"]

    def test_its_leases_cover_its_playbook(
        self, path: Path, where: str, step: dict[str, Yaml]
    ) -> None:
        policy, leases = policy_of(step["roll"]), front_matter(text_of(path)).get("leases", {})
        if "{{" not in policy["service"]:
            assert leases.get(policy["service"]) == "exclusive"
        assert {scope for scope in policy["shared"] if scope not in leases} == set()


def test_there_is_something_to_look_at() -> None:
    assert {path.stem for path in RUNBOOKS} >= {"rabbitmq-restart", "nova-restart", "unit-restart"}
    assert len(ROLLS) >= 3


def test_front_matter_is_read() -> None:
    assert front_matter("---\nname: x\n---\n# X\n") == {"name": "x"}
    assert front_matter("# X\n") == {}
