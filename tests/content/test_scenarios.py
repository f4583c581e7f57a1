"""The molecule scenarios, which run only on a lab, name files, variables and messages that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.content.names import variables_in
from tests.content.repository import (
    ROOT,
    Yaml,
    assert_no_faults,
    each,
    files,
    text_of,
    walk,
    yaml_in,
    yaml_of,
)

PLAYS = files("tests/molecule/*.yml")
INCLUDES = {
    "ansible.builtin.include_tasks",
    "ansible.builtin.import_tasks",
    "ansible.builtin.import_playbook",
}
MAGIC = {"dict", "groups", "hostvars", "inventory_hostname", "item", "lookup", "omit"}
# The literal beginning of a pattern that a scenario searches in Holdfast's output
SEARCHED = re.compile(r"(?:search\(|select\('match', )'([A-Za-z][A-Za-z ]*[A-Za-z])")
NOT_OURS = {"host", "root", "since", "claim"}  # columns of tables, and names of users


def included(path: Path) -> Iterator[str]:
    """Yield the files that a play or task file includes, relative to the file or to its scenario."""
    for part in walk(yaml_of(path)):
        if isinstance(part, dict):
            yield from (part[key] for key in INCLUDES & part.keys())


def missing_includes(path: Path) -> list[str]:
    """Return the included files that do not exist; from a `tasks` directory, paths may start at its parent."""
    places = [path.parent, *([path.parent.parent] if path.parent.name == "tasks" else [])]
    return [
        f"no such file: {name}"
        for name in included(path)
        if not any((place / name).is_file() for place in places)
    ]


@cache
def set_variables() -> frozenset[str]:
    """Return the variables that scenarios and the lab's inventory set."""
    found: set[str] = set()
    for path in (*PLAYS, *files("inventories/lab/*.yml")):
        found |= keys_and_registers(yaml_of(path))
    script = text_of(ROOT / "inventories/lab/hosts.py")
    return frozenset(found | set(re.findall(r'"(lab_[a-z]+)":', script)))


def keys_and_registers(value: Yaml) -> set[str]:
    """Return all keys of YAML, and the names that tasks register and loops set."""
    found: set[str] = set()
    for part in walk(value):
        if isinstance(part, dict):
            found |= {str(key) for key in part}
            names = (part.get(key) for key in ("register", "loop_var", "index_var"))
            found |= {name for name in names if isinstance(name, str)}
    return found


def read_variables(value: Yaml) -> set[str]:
    """Return the variables that YAML reads, Ansible's own left out."""
    return variables_in(value, ("when", "until", "that", "changed_when", "failed_when")) - MAGIC


@cache
def product() -> str:
    """Return the text of all code that writes messages."""
    return "\n".join(text_of(path) for path in files("src/*.py", "plugins/*.py")).lower()


def unknown_messages(path: Path) -> list[str]:
    """Return the messages that a scenario searches for and that no code writes."""
    return [
        text
        for text in SEARCHED.findall(text_of(path))
        if text not in NOT_OURS and text.lower() not in product()
    ]


def test_every_file_that_a_scenario_includes_exists() -> None:
    assert_no_faults(PLAYS, missing_includes)


def test_every_variable_that_a_scenario_reads_is_set() -> None:
    assert_no_faults(
        PLAYS, lambda path: each("not set", read_variables(yaml_of(path)) - set_variables())
    )


def test_every_message_that_a_scenario_searches_for_is_in_the_code() -> None:
    assert_no_faults(PLAYS, lambda path: each("no such message", unknown_messages(path)))


def test_there_are_scenarios_to_check() -> None:
    assert {"converge.yml", "verify.yml", "start_job.yml"} <= {path.name for path in PLAYS}
    assert any(any(included(path)) for path in PLAYS)
    assert "host_out" in set_variables()
    assert any(SEARCHED.findall(text_of(path)) for path in PLAYS)


def test_a_missing_include_is_reported(tmp_path: Path) -> None:
    play = tmp_path / "verify.yml"
    play.write_text("- tasks: [{ansible.builtin.include_tasks: gone.yml}]\n")
    assert missing_includes(play) == ["no such file: gone.yml"]


@pytest.mark.parametrize("task", ["x: '{{ gone }}'", "when: gone | bool", "that: [gone == 1]"])
def test_a_variable_that_is_read_is_found(task: str) -> None:
    assert read_variables([yaml_in(task)]) == {"gone"}


def test_a_message_that_no_code_writes_is_reported(tmp_path: Path) -> None:
    play = tmp_path / "verify.yml"
    play.write_text("that: output is search('the broker left a note: ')\n")
    assert unknown_messages(play) == ["the broker left a note"]
