"""The site of `make docs`: its reference has all that the program has, its navigation every document."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import typer

from deploy.docs_source import INDEX, documents, index, navigation, page, toctree
from deploy.man_page import commands, options_of
from deploy.reference import PAGES, parameter_texts, role_variables
from holdfast.claims import SYSTEMS, all_claims
from holdfast.cli.app import app
from holdfast.journal import events
from tests.content.repository import ROOT, files, text_of


@cache
def reference(name: str) -> str:
    return PAGES[name]()


def headings(name: str) -> set[str]:
    """Return what a page's sections are about, without a role behind a name that is there twice."""
    return set(re.findall(r"^##+ (.+?)(?: \(\w+\))?$", reference(name), re.MULTILINE))


def test_every_claim_is_in_the_reference_with_a_meaning_for_each_parameter() -> None:
    assert headings("claims") == {*SYSTEMS, *all_claims()}
    said = reference("claims").replace("\\", "")
    for name, claim in all_claims().items():
        assert f"PASS where {claim.summary}.".replace("``", "`") in said, name
        assert claim.remedy.replace("``", "`") in said, name
        explained = parameter_texts(claim.parameters).keys()
        assert claim.parameters.model_fields.keys() <= explained, name


def test_every_variable_is_in_the_reference() -> None:
    of_roles = {each.name for variables in role_variables().values() for each in variables}
    assert {"rabbitmq_unit", "nova_transport_url", "systemd_unit_name"} <= of_roles
    assert headings("variables") >= of_roles
    needed = {name for claim in all_claims().values() for name in claim.needs}
    of_example = {
        name
        for path in files("inventories/example/group_vars/*")
        for name in re.findall(
            r"^(?:# )?((?:holdfast|nova|rabbitmq)_\w+):", text_of(path), re.MULTILINE
        )
    }
    shown = set(re.findall(r"^(?:### |\| `)(\w+)", reference("variables"), re.MULTILINE))
    assert {name for name in needed | of_example if not name.startswith("ansible_")} <= shown


def test_every_command_and_event_is_in_the_reference() -> None:
    listed = dict(commands(typer.main.get_command(app)))
    assert headings("commands") >= listed.keys()
    for command in listed.values():
        assert all(f"| `{typed}` |" in reference("commands") for typed, _ in options_of(command))
    kinds = {event.model_fields["kind"].default for event in get_args(get_args(events.Event)[0])}
    assert headings("events") == kinds


def test_every_document_is_in_one_list_of_the_first_page() -> None:
    lists = [path for _, pages in navigation(index(ROOT, set())) for path in pages]
    decisions = {path for path in documents() if path.startswith("docs/adr/0")}
    generated = {f"reference/{name}.md" for name in PAGES}
    assert set(lists) == {*documents(), *generated} - decisions - {INDEX}
    assert set(Counter(lists).values()) == {1}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[a](../README.md#x)", "[a](../README.md#x)"),
        ("[a](#x) [b](https://example.org/)", "[a](#x) [b](https://example.org/)"),
        ("[a](adr)", "[a](adr/README.md)"),
        ("[`a`](../roles)", "`a`"),
        ("![a](run.svg)", "![a](run.svg)"),
        ("[a](index.md)", "[a](../index.md)"),
    ],
)
def test_a_link_leads_to_what_the_site_has(tmp_path: Path, written: str, read: str) -> None:
    for name in ("docs/adr/README.md", "docs/run.svg", "README.md", "roles/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "docs/a.md").write_text(written)
    linked: set[str] = set()
    assert page("docs/a.md", tmp_path, linked) == read
    assert linked <= {"README.md", "docs/adr/README.md", "docs/run.svg", "index.md"}


def test_links_of_the_first_page_are_those_of_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("## A\n\n- [a](a.md)\n- [b](../b.md), not [c](c.md)\n")
    found = index(tmp_path, set())
    assert "- [a](docs/a.md)\n- [b](b.md), not" in found
    reference = [f"reference/{name}.md" for name in PAGES]
    assert found.endswith(toctree("A", ["docs/a.md", "b.md", *reference]))


def test_a_runbooks_step_is_coloured_as_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x\n\n```step\ncheck: []\n```\n")
    assert "```yaml\ncheck" in page("a.md", tmp_path, set())
