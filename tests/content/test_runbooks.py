"""A runbook names only what exists, keeps to its playbooks' policy, and ends with what to do if it holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.content.names import claim_faults, defined, groups_of
from tests.content.repository import (
    ROOT,
    Yaml,
    assert_no_faults,
    fences,
    files,
    text_of,
    yaml_in,
    yaml_of,
)

RUNBOOKS = files("runbooks/*.md")


def front_matter(text: str) -> dict[str, Yaml]:
    """Return the YAML between the first two lines of dashes."""
    match = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    content: dict[str, Yaml] = yaml_in(match[1]) if match else {}
    return content


def steps(path: Path) -> list[tuple[str, dict[str, Yaml]]]:
    """Return a runbook's steps: the line on which each begins, and its content."""
    return [(f"line {line}", yaml_in(text)) for line, text in fences(path, "step")]


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


def frame_faults(path: Path) -> list[str]:
    """Return what a runbook lacks of its frame: name, summary, steps and a last section on what to do if it holds."""
    matter = front_matter(text_of(path))
    headings = re.findall(r"^## (.*)", text_of(path), re.MULTILINE)
    holds = {
        "its name must be that of its file": matter.get("name") == path.stem,
        "no summary": bool(matter.get("summary")),
        "no steps": bool(steps(path)),
        "the last section must be 'If it holds'": headings[-1:] == ["If it holds"],
    }
    return [fault for fault, kept in holds.items() if not kept]


def undeclared_inputs(path: Path) -> list[str]:
    """Return the inputs that a runbook's steps use and it does not declare, or the other way round."""
    used = {name for _, text in fences(path, "step") for name in re.findall(r"\$(\w+)", text)}
    return sorted(used ^ set(front_matter(text_of(path)).get("inputs", {})))


def rolls(path: Path) -> list[dict[str, Yaml]]:
    """Return the runbook's steps that roll a playbook through a group."""
    return [step for _, step in steps(path) if "roll" in step]


def roll_faults(step: dict[str, Yaml], leases: dict[str, str]) -> list[str]:
    """Return where a roll names what does not exist, or goes beyond its playbook's policy or the runbook's leases."""
    name, hosts = step["roll"], step["hosts"]
    if not (ROOT / "playbooks" / name).is_file():
        return [f"{name}: no such playbook"]
    policy = policy_of(name)
    if not policy:
        return [f"{name}: the playbook declares no holdfast_policy"]
    found = [f"{name}: no such variable: {v}" for v in set(step.get("vars", {})) - defined()]
    found += [f"{name}: no lease for {scope}" for scope in policy["shared"] if scope not in leases]
    if not is_input(hosts) and hosts not in groups_of("example"):
        found.append(f"{name}: {hosts} is not a group of the site contract")
    elif not is_input(hosts) and hosts != policy["group"]:
        found.append(f"{name}: its group is {policy['group']}, not {hosts}")
    if step.get("batch", 1) > policy["batch_max"]:
        found.append(f"{name}: a batch may have {policy['batch_max']} hosts")
    if "{{" not in policy["service"] and leases.get(policy["service"]) != "exclusive":
        found.append(f"{name}: no exclusive lease for {policy['service']}")
    return found


def test_every_runbook_has_its_frame() -> None:
    assert_no_faults(RUNBOOKS, frame_faults)


def test_every_claim_that_a_runbook_names_exists() -> None:
    assert_no_faults(
        RUNBOOKS,
        lambda path: [
            f"{where}: {fault}" for where, step in steps(path) for fault in claim_faults(step)
        ],
    )


def test_every_input_that_a_step_uses_is_declared() -> None:
    assert_no_faults(RUNBOOKS, undeclared_inputs)


def test_nobody_restarts_nova_beside_a_person_who_does() -> None:
    """In messaging-recovery a person restarts services: a run that changes one of them excludes it."""
    leases = front_matter(text_of(ROOT / "runbooks/messaging-recovery.md"))["leases"]
    assert leases == {"nova": "shared", "rabbitmq": "shared"}


def test_every_roll_keeps_to_its_playbooks_policy_and_its_runbooks_leases() -> None:
    def faults(path: Path) -> list[str]:
        leases = front_matter(text_of(path)).get("leases", {})
        return [fault for step in rolls(path) for fault in roll_faults(step, leases)]

    assert_no_faults(RUNBOOKS, faults)


def test_what_a_recovery_proves_is_what_the_restart_asks_first() -> None:
    """Else a run that held on an ill cluster would be refused again after the cluster was proved whole."""
    [(_, step)] = steps(ROOT / "runbooks/rabbitmq-recover.md")
    assert step["wait"]["gates"] == policy_of("rabbitmq_restart.yml")["survey"]
    text = text_of(ROOT / "runbooks/rabbitmq-restart.md").rpartition("## If it holds")[2]
    partition = next(entry for entry in text.split("\n- ") if entry.startswith("**a partition"))
    for needed in ("is smaller", "never one of the larger side", "holdfast run rabbitmq-recover"):
        assert needed in " ".join(partition.split())


def test_there_are_runbooks_to_check() -> None:
    assert {path.stem for path in RUNBOOKS} >= {"rabbitmq-restart", "nova-restart", "unit-restart"}
    assert sum(len(rolls(path)) for path in RUNBOOKS) >= 3


GOOD_ROLL = {"roll": "rabbitmq_restart.yml", "hosts": "rabbitmq"}
GOOD_LEASES = {"rabbitmq": "exclusive", "nova": "shared"}


def test_a_good_roll_has_no_fault() -> None:
    assert roll_faults(GOOD_ROLL, GOOD_LEASES) == []


@pytest.mark.parametrize(
    ("change", "leases"),
    [
        ({"roll": "gone.yml"}, GOOD_LEASES),
        ({"roll": "check.yml"}, GOOD_LEASES),
        ({"vars": {"rabbitmq_gone": 1}}, GOOD_LEASES),
        ({"hosts": "gone"}, GOOD_LEASES),
        ({"hosts": "nova_compute"}, GOOD_LEASES),
        ({"batch": 2}, GOOD_LEASES),
        ({}, {**GOOD_LEASES, "rabbitmq": "shared"}),
        ({"roll": "nova_api_restart.yml", "hosts": "nova_api"}, {"nova": "exclusive"}),
    ],
)
def test_a_roll_beyond_its_policy_or_leases_is_reported(
    change: dict[str, Yaml], leases: dict[str, str]
) -> None:
    assert len(roll_faults({**GOOD_ROLL, **change}, leases)) == 1


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("---\nname: page\nsummary: x\n---\n```step\nroll: $a\n```\n## If it holds\n", 0),
        ("---\nname: other\n---\n## Other\n", 4),
    ],
)
def test_a_runbook_without_its_frame_is_reported(tmp_path: Path, text: str, faults: int) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert len(frame_faults(page)) == faults


def test_an_input_that_is_used_or_declared_alone_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("---\ninputs: {b: {}}\n---\n```step\nroll: $a\n```\n")
    assert undeclared_inputs(page) == ["a", "b"]


def test_front_matter_is_read() -> None:
    assert front_matter("---\nname: x\n---\n# X\n") == {"name": "x"}
    assert front_matter("# X\n") == {}
