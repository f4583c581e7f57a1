"""A role's entry points are documented in its argument specs, with the defaults that apply."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.content.repository import (
    ROOT,
    Yaml,
    assert_no_faults,
    files,
    name_of,
    walk,
    yaml_in,
    yaml_of,
)

# The verbs of docs/vocabulary.md: always entry points. Another task file is one if a play or another role names it.
VERBS = {"preflight", "drain", "restart", "verify", "undrain"}
ROLE_TASKS = {"ansible.builtin.include_role", "ansible.builtin.import_role"}

FOLDERS = {
    "ansible.builtin.include_tasks": "tasks",
    "ansible.builtin.import_tasks": "tasks",
    "ansible.builtin.template": "templates",
}

ROLES = sorted(
    {ROOT / "roles" / path.relative_to(ROOT / "roles").parts[0] for path in files("roles/*")}
)


def content_of(path: Path) -> Yaml:
    """Return what a YAML file holds, nothing where there is no such file."""
    return (yaml_of(path) if path.is_file() else None) or {}


def tasks_of(role: Path) -> set[str]:
    """Return the names of a role's task files."""
    return {path.stem for path in files("roles/*/tasks/*.yml") if path.parents[1] == role}


def named_from_outside() -> set[tuple[str, str]]:
    """Return every (role, entry point) that a play or another role's task names."""
    found = set()
    for path in files("playbooks/*.yml", "roles/*/tasks/*.yml", "tests/molecule/*.yml"):
        for part in walk(yaml_of(path)):
            if not isinstance(part, dict):
                continue
            for key in ROLE_TASKS & part.keys():
                found.add((part[key]["name"], Path(part[key].get("tasks_from", "main")).stem))
            for role in part.get("roles", []) if "hosts" in part else []:
                named = role if isinstance(role, dict) else {"role": role}
                found.add((named.get("role", named.get("name")), named.get("tasks_from", "main")))
    return found


def missing_files(role: Path) -> list[str]:
    """Return the task files and templates that a role's tasks name and that it does not have."""
    found = []
    for path in files("roles/*/tasks/*.yml"):
        for part in walk(yaml_of(path)) if path.parents[1] == role else ():
            for module, folder in FOLDERS.items():
                named = part.get(module) if isinstance(part, dict) else None
                name = named.get("src", named.get("file")) if isinstance(named, dict) else named
                if (
                    isinstance(name, str)
                    and "{{" not in name
                    and not (role / folder / name).is_file()
                ):
                    found.append(f"{name_of(path)}: {folder}/{name}")
    return found


def entry_point_faults(specs: Mapping[str, Yaml], tasks: set[str], used: set[str]) -> list[str]:
    """Return where argument specs and entry points differ: verbs, and what is used from outside."""
    found = [
        f"{entry}: specified, and there is no tasks/{entry}.yml"
        for entry in sorted(specs.keys() - tasks)
    ]
    found += [
        f"{entry}: no argument_specs" for entry in sorted(((VERBS | used) & tasks) - specs.keys())
    ]
    found += [f"{entry}: used, and there is no tasks/{entry}.yml" for entry in sorted(used - tasks)]
    found += [
        f"{entry}: no short_description"
        for entry, spec in specs.items()
        if not spec.get("short_description")
    ]
    return found


def default_faults(specs: Mapping[str, Yaml], defaults: Mapping[str, Yaml]) -> list[str]:
    """Return where an argument's documented default is not the one that applies."""
    found = []
    options = [
        (entry, name, option)
        for entry, spec in specs.items()
        for name, option in spec.get("options", {}).items()
    ]
    for entry, name, option in options:
        if name in defaults and option.get("required"):
            found.append(f"{entry}: {name} is required and has a default")
        elif "default" not in option and computed(defaults.get(name)):
            continue  # its description explains what the template computes
        elif ("default" in option) != (name in defaults):
            found.append(f"{entry}: {name} has a default in one of the two places")
        elif option.get("default") != defaults.get(name):
            found.append(
                f"{entry}: {name} is {option.get('default')!r} in the specs and {defaults.get(name)!r} in fact"
            )
        if not option.get("description"):
            found.append(f"{entry}: {name} has no description")
    documented = {name for _, name, _ in options}
    found += [
        f"{name} has a default and no entry point takes it"
        for name in sorted(public(defaults) - documented)
    ]
    return found


def computed(default: Yaml) -> bool:
    """Tell whether a default is a template rather than a value."""
    return isinstance(default, str) and ("{{" in default or "{%" in default)


def public(defaults: Mapping[str, Yaml]) -> set[str]:
    """Return the names that a site may set; a leading underscore marks a private one."""
    return {name for name in defaults if not name.startswith("_")}


def specs_of(role: Path) -> dict[str, Yaml]:
    """Return a role's argument specs by entry point, nothing where it has none."""
    specs: dict[str, Yaml] = content_of(role / "meta/argument_specs.yml").get("argument_specs", {})
    return specs


def spec_faults(role: Path) -> list[str]:
    """Return where a role's argument specs and its entry points differ."""
    used = {entry for name, entry in named_from_outside() if name == role.name}
    specs = specs_of(role)
    return entry_point_faults(specs, tasks_of(role), used) if specs else ["no argument_specs"]


def test_every_role_specifies_its_entry_points() -> None:
    assert_no_faults(ROLES, spec_faults)


def templated_words(role: Path) -> list[str]:
    """Return the options whose description has a template: Ansible resolves it with the specs, and fails."""
    return [
        f"the description of {name} is a template"
        for spec in specs_of(role).values()
        for name, option in spec.get("options", {}).items()
        if computed(str(option.get("description", "")))
    ]


def test_no_description_of_an_option_is_a_template() -> None:
    assert_no_faults(ROLES, templated_words)


def test_documented_defaults_are_the_defaults() -> None:
    assert_no_faults(
        ROLES,
        lambda role: default_faults(specs_of(role), content_of(role / "defaults/main.yml")),
    )


def test_every_file_that_a_role_names_is_in_it() -> None:
    assert_no_faults(ROLES, missing_files)


def test_every_role_that_is_named_exists() -> None:
    named = {name for name, _ in named_from_outside() if "{{" not in name}
    assert named, "no playbook uses a role"
    assert named - {role.name for role in ROLES} == set()


def test_every_role_is_used() -> None:
    named = {name for name, _ in named_from_outside()}
    assert {role.name for role in ROLES} - named == set()


SPECS = """
restart:
  short_description: x
  options:
    a_seconds: {description: y, default: 3}
    b: {description: z, required: true}
"""


def test_a_good_role_has_no_fault() -> None:
    specs = yaml_in(SPECS)
    assert entry_point_faults(specs, {"restart", "helper"}, {"restart"}) == []
    assert default_faults(specs, {"a_seconds": 3, "_private": 1}) == []


def test_a_computed_default_may_be_described_in_words() -> None:
    specs = yaml_in("main: {short_description: x, options: {a: {description: y}}}")
    assert default_faults(specs, {"a": "{{ b }}"}) == []
    assert len(default_faults(specs, {"a": "b"})) == 1


@pytest.mark.parametrize(
    ("tasks", "used"),
    [
        ({"helper"}, set()),
        ({"restart", "drain"}, set()),
        ({"restart", "main"}, {"main"}),
        ({"restart"}, {"main"}),
    ],
)
def test_an_undocumented_entry_point_is_reported(tasks: set[str], used: set[str]) -> None:
    assert len(entry_point_faults(yaml_in(SPECS), tasks, used)) == 1


@pytest.mark.parametrize(
    "defaults",
    [{}, {"a_seconds": 4}, {"a_seconds": "3"}, {"a_seconds": 3, "b": 1}, {"a_seconds": 3, "c": 1}],
)
def test_a_default_that_differs_is_reported(defaults: dict[str, Yaml]) -> None:
    assert len(default_faults(yaml_in(SPECS), defaults)) == 1
