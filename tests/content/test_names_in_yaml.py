"""Every claim, group and variable that playbooks, roles and inventories name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.content.names import (
    OURS,
    claim_faults,
    claims_in,
    defined,
    groups_in,
    groups_of,
    names_in,
    read_in,
)
from tests.content.repository import (
    Yaml,
    assert_no_faults,
    each,
    files,
    name_of,
    text_of,
    yaml_in,
    yaml_of,
)

YAML_FILES = files("playbooks/*.yml", "roles/*.yml", "inventories/*.yml")
TEMPLATES = files("roles/*.j2")
LAB_ONLY = re.compile(r"^(playbooks/lab|roles/lab_|inventories/lab)")
SITE_FILES = [path for path in YAML_FILES if not LAB_ONLY.match(name_of(path))]


def test_there_are_names_to_check() -> None:
    assert len(SITE_FILES) > 20
    assert any(any(claims_in(yaml_of(path))) for path in SITE_FILES)
    assert groups_of("example") >= {"rabbitmq", "nova_compute"}


def test_every_claim_that_yaml_names_exists() -> None:
    assert_no_faults(YAML_FILES, lambda path: claim_faults(yaml_of(path)))


@pytest.mark.parametrize(
    "entry",
    [
        "nova.heartbeats_advance_daily",
        {"claim": "rabbitmq.bogus"},
        {"claim": "nova.bogus", "a": "{{ x }}"},
        {"claim": "systemd.active", "unti": "{{ x }}"},
        {"claim": "systemd.active", "unit": 3},
    ],
)
def test_an_unknown_claim_is_reported(entry: Yaml) -> None:
    assert len(claim_faults({"claims": [entry]})) == 1


def unknown_groups(path: Path) -> list[str]:
    """Return the groups that a YAML file names and its site's inventory does not have."""
    site = "lab" if LAB_ONLY.match(name_of(path)) else "example"
    return each("no such group", groups_in(yaml_of(path)) - groups_of(site))


def test_every_group_that_yaml_names_is_part_of_the_site_contract() -> None:
    assert_no_faults(YAML_FILES, unknown_groups)


@pytest.mark.parametrize(
    "text",
    [
        "x: \"{{ groups['gone'] }}\"",
        "x: groups.gone | length > 0",
        "when: \"'gone' in groups\"",
        "hosts: gone",
        "hosts: gone:!all",
        "hosts: \"{{ holdfast_batch | default('gone') }}\"",
        "holdfast_policy: {group: gone}",
    ],
)
def test_a_group_is_found_wherever_it_is_named(text: str) -> None:
    assert "gone" in groups_in(yaml_in(text))


def read_in_template(path: Path) -> set[str]:
    """Return the variables of ours that a template file reads."""
    return {name for name in names_in(text_of(path), template=True) if OURS.match(name)}


def test_every_variable_that_yaml_reads_is_defined() -> None:
    assert_no_faults(
        YAML_FILES, lambda path: each("not defined", read_in(yaml_of(path)) - defined())
    )


def test_every_variable_that_a_template_reads_is_defined() -> None:
    assert_no_faults(
        TEMPLATES, lambda path: each("not defined", read_in_template(path) - defined())
    )


@pytest.mark.parametrize(
    "text",
    [
        'x: "{{ nova_gone | default(3) }}"',
        "when: nova_gone | bool",
        "that: [nova_gone is defined]",
        "x: '{% if nova_gone %}y{% endif %}'",
    ],
)
def test_a_variable_is_found_wherever_it_is_read(text: str) -> None:
    assert read_in(yaml_in(text)) == {"nova_gone"}
