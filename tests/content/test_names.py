"""Everything that playbooks, roles, runbooks and documents name exists: files, groups, variables, claims, targets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from jinja2 import Environment, TemplateSyntaxError, nodes

from holdfast.claims import SYSTEMS, all_claims, bind_claim, find_claim
from holdfast.errors import InvalidInput
from tests.content.repository import (
    ROOT,
    Yaml,
    assert_no_faults,
    code_spans,
    fences,
    files,
    name_of,
    strings,
    text_of,
    walk,
    yaml_in,
    yaml_of,
)

PROSE = files("*.md")
YAML_FILES = files("playbooks/*.yml", "roles/*.yml", "inventories/*.yml")
TEMPLATES = files("roles/*.j2")
LAB_ONLY = re.compile(r"^(playbooks/lab|roles/lab_|inventories/lab)")
SITE_FILES = [path for path in YAML_FILES if not LAB_ONLY.match(name_of(path))]

# A variable with one of these prefixes is defined in this repository, or its name is a mistake.
OURS = re.compile(r"^(holdfast|rabbitmq|nova|systemd_unit|lab)_[a-z0-9_]+$")
CLAIM = re.compile(rf"^({'|'.join(SYSTEMS)})\.[a-z][a-z_]+$")
NO_CLAIMS = re.compile(r"\.(conf|service|socket|md|py|yml|log|target)$")
EXPRESSIONS = ("when", "until", "changed_when", "failed_when", "that", "loop")
GROUP_USES = (
    re.compile(r"groups\[\s*['\"](\w+)['\"]\s*\]"),
    re.compile(r"groups\.get\(\s*['\"](\w+)['\"]"),
    re.compile(r"groups\.(?!get\b|keys\b|items\b|values\b)(\w+)"),
    re.compile(r"['\"](\w+)['\"] in groups\b"),
    re.compile(r"holdfast_batch \| default\(\s*['\"](\w+)['\"]"),
)
TOP_LEVEL = {
    path.relative_to(ROOT).parts[0] for path in files() if len(path.relative_to(ROOT).parts) > 1
}


# --- claims


def claims_in(value: Yaml) -> Iterator[Yaml]:
    """Yield the claims that YAML names: mappings with `claim`, and any other text in the form of one."""
    if isinstance(value, str):
        if CLAIM.match(value) and not NO_CLAIMS.search(value):
            yield value
    elif isinstance(value, dict) and isinstance(value.get("claim"), str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from claims_in(part)


def claim_faults(value: Yaml) -> list[str]:
    """Return the claims and parameters that YAML names and the registry does not have."""
    found = []
    for entry in claims_in(value):
        try:
            if "{{" in json.dumps(entry):
                found += unknown_parameters(entry)
            else:
                bind_claim(entry)
        except InvalidInput as error:
            found.append(error.message)
    return found


def unknown_parameters(entry: dict[str, Yaml]) -> list[str]:
    """Return the parameters that a claim does not take; the values are templates, which Ansible fills in."""
    claim = find_claim(entry["claim"])
    return [
        f"{claim.name} takes no {name}"
        for name in entry.keys() - {"claim"} - claim.parameters.model_fields.keys()
    ]


def claims_in_prose(path: Path) -> set[str]:
    """Return the claims that a document names in its code spans."""
    return {span for span in code_spans(path) if CLAIM.match(span) and not NO_CLAIMS.search(span)}


def test_every_claim_that_yaml_names_exists() -> None:
    assert_no_faults(YAML_FILES, lambda path: claim_faults(yaml_of(path)))


def test_every_claim_that_prose_names_exists() -> None:
    assert_no_faults(PROSE, lambda path: sorted(claims_in_prose(path) - all_claims().keys()))


@pytest.mark.parametrize(
    "entry",
    [
        "nova.heartbeats_advance_daily",
        {"claim": "rabbitmq.bogus"},
        {"claim": "nova.bogus", "a": "{{ x }}"},
        {"claim": "systemd.unchanged_since", "unti": "{{ x }}"},
        {"claim": "systemd.unchanged_since", "unit": 3},
    ],
)
def test_an_unknown_claim_is_reported(entry: Yaml) -> None:
    assert len(claim_faults({"claims": [entry]})) == 1


# --- groups


def inventory(site: str) -> Mapping[str, Yaml]:
    """Return a site's inventory as Ansible reads it."""
    program = str(Path(sys.executable).with_name("ansible-inventory"))
    listed = subprocess.run(
        [program, "-i", f"inventories/{site}", "--list"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    content: Mapping[str, Yaml] = json.loads(listed.stdout)
    return content


@cache
def groups_of(site: str) -> frozenset[str]:
    """Return the names of a site's groups."""
    return frozenset(inventory(site)) - {"_meta"} | {"all", "localhost", "ungrouped"}


def groups_in(value: Yaml) -> set[str]:
    """Return the inventory groups that plays and expressions name."""
    found = {
        group
        for text in strings(value)
        for pattern in GROUP_USES
        for group in pattern.findall(text)
    }
    for part in walk(value):
        if isinstance(part, dict):
            hosts = part.get("hosts")
            if isinstance(hosts, str) and "{{" not in hosts:
                found |= set(re.split(r"[:,&!]+", hosts)) - {""}
            policy = part.get("holdfast_policy")
            if isinstance(policy, dict) and "{{" not in policy.get("group", "{{"):
                found.add(policy["group"])
    return found


def unknown_groups(path: Path) -> list[str]:
    """Return the groups that a YAML file names and its site's inventory does not have."""
    site = "lab" if LAB_ONLY.match(name_of(path)) else "example"
    return sorted(groups_in(yaml_of(path)) - groups_of(site))


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


# --- variables


def names_in(expression: str, *, template: bool) -> set[str]:
    """Return the variables that a Jinja template or a bare expression reads."""
    try:
        tree = Environment(autoescape=True).parse(
            expression if template else "{{ (" + expression + ") }}"
        )
    except TemplateSyntaxError:
        return set()  # not Jinja, but plain text in a key that may hold an expression
    return {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}


def read_in(value: Yaml) -> set[str]:
    """Return the variables that YAML reads, in templates and in keys that hold bare expressions."""
    found = {
        name
        for text in strings(value)
        if "{{" in text or "{%" in text
        for name in names_in(text, template=True)
    }
    for part in walk(value):
        if isinstance(part, dict):
            bare = [
                text
                for key in EXPRESSIONS
                if key in part
                for text in strings(part[key])
                if "{{" not in text
            ]
            found |= {name for text in bare for name in names_in(text, template=False)}
    return {name for name in found if OURS.match(name)}


@cache
def defined() -> frozenset[str]:
    """Return every variable that the repository sets or documents as an argument."""
    found: set[str] = set()
    for path in files("playbooks/*.yml", "roles/*.yml", "inventories/*.yml"):
        for part in walk(yaml_of(path)):
            if isinstance(part, dict):
                found |= part.keys()
                found |= {
                    part[key]
                    for key in ("register", "loop_var", "index_var")
                    if isinstance(part.get(key), str)
                }
    # A variable that only a person gives is documented by the example at the top of its playbook.
    for path in files("playbooks/*.yml"):
        comments = "\n".join(re.findall(r"^#.*", text_of(path), re.MULTILINE))
        found |= set(re.findall(r"-e (\w+)=", comments))
    # The engine, the plugins and the lab's inventory script name the variables that they pass to plays in strings.
    for path in files("src/*.py", "plugins/*.py", "inventories/*.py"):
        found |= set(re.findall(r"[\"']([a-z][a-z0-9]*(?:_[a-z0-9]+)+)[\"']", text_of(path)))
    return frozenset(found)


def read_in_template(path: Path) -> set[str]:
    """Return the variables of ours that a template file reads."""
    return {name for name in names_in(text_of(path), template=True) if OURS.match(name)}


def test_every_variable_that_yaml_reads_is_defined() -> None:
    assert_no_faults(YAML_FILES, lambda path: sorted(read_in(yaml_of(path)) - defined()))


def test_every_variable_that_a_template_reads_is_defined() -> None:
    assert_no_faults(TEMPLATES, lambda path: sorted(read_in_template(path) - defined()))


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


# --- what prose names


@cache
def words_outside_prose() -> frozenset[str]:
    """Return every word of the repository outside documents and these tests."""
    texts = [
        text_of(path)
        for path in files()
        if path.suffix != ".md" and "tests/content" not in name_of(path)
    ]
    return frozenset(word for text in texts for word in re.findall(r"[A-Za-z0-9_]+", text))


@cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile and of what it includes."""
    makefiles = "\n".join(text_of(path) for path in files("Makefile", "*.mk"))
    return frozenset(re.findall(r"^([a-z][a-z-]*):", makefiles, re.MULTILINE))


def paths_in(spans: list[str]) -> set[str]:
    """Return the repository paths that spans of code name, patterns and placeholders (SITE) left out."""
    return {
        span.rstrip("/")
        for span in spans
        if re.fullmatch(r"[\w.-]+/[\w./-]*", span)
        and span.split("/")[0] in TOP_LEVEL
        and not re.search(r"/[A-Z]+(/|$)", span)
    }


def functions_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the (file, function) that prose names together: a path in backticks, then `name()`."""
    for path, names in re.findall(r"`([\w./-]+\.py)`((?:,? `\w+\(\)`)+)", text):
        yield from ((path, name) for name in re.findall(r"`(\w+)\(\)`", names))


def exists(path: str) -> bool:
    """Tell whether a path is in the repository, as a file or a directory."""
    return any(name_of(file) == path or name_of(file).startswith(f"{path}/") for file in files())


def missing_functions(path: Path) -> list[str]:
    """Return the functions that a document names together with a file that does not define them."""
    return [
        f"{file} {name}()"
        for file, name in functions_in(text_of(path))
        if f"def {name}(" not in text_of(ROOT / file)
    ]


def dead_links(path: Path) -> list[str]:
    """Return a document's relative links to files that do not exist."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(path))
    relative = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    return [link for link in relative if not (path.parent / link).exists()]


def missing_playbooks(path: Path) -> list[str]:
    """Return the restart playbooks that a document names and that do not exist."""
    named = {
        word for span in code_spans(path) for word in re.findall(r"\b\w+_restart\.yml\b", span)
    }
    return sorted(named - {playbook.name for playbook in files("playbooks/*.yml")})


def missing_targets(path: Path) -> list[str]:
    """Return the make targets that a document names and no makefile has."""
    commands = code_spans(path) + [
        text for info in ("", "sh", "console", "bash") for _, text in fences(path, info)
    ]
    named = {
        target
        for text in commands
        for target in re.findall(r"(?:^|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    return sorted(named - targets())


def test_every_path_that_prose_names_exists() -> None:
    assert_no_faults(
        PROSE,
        lambda path: [named for named in sorted(paths_in(code_spans(path))) if not exists(named)],
    )


def test_every_function_that_prose_names_is_in_its_file() -> None:
    assert_no_faults(PROSE, missing_functions)


def test_the_document_follows_one_restart_through_every_kind_of_file() -> None:
    page = text_of(ROOT / "docs/architecture.md")
    section = page.partition("## One host's restart, followed")[2].partition("\n## ")[0]
    kinds = {path.split("/")[0] for path in re.findall(r"`([\w./-]+\.(?:py|yml|md))`", section)}
    assert kinds >= {"runbooks", "playbooks", "roles", "plugins", "src"}
    assert {"decide", "append_guarded", "swap"} <= {name for _, name in functions_in(section)}


def test_every_link_leads_to_a_file() -> None:
    assert_no_faults(PROSE, dead_links)


def test_every_variable_that_prose_names_exists() -> None:
    assert_no_faults(
        PROSE,
        lambda path: sorted(set(filter(OURS.match, code_spans(path))) - words_outside_prose()),
    )


def test_every_playbook_that_prose_names_exists() -> None:
    assert_no_faults(PROSE, missing_playbooks)


def test_every_make_target_that_prose_names_exists() -> None:
    assert_no_faults(PROSE, missing_targets)


def test_there_are_names_to_check() -> None:
    assert len(SITE_FILES) > 20
    assert len(PROSE) > 5
    assert any(claims_in(yaml_of(path)) for path in SITE_FILES)
    assert groups_of("example") >= {"rabbitmq", "nova_compute"}
    assert {"check", "test", "demo", "bench", "lab-up", "lab-down"} <= targets()


def test_a_name_in_prose_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`rabbitmq.gone` `gone_restart.yml` `make gone` [x](gone.md#y) [y](page.md) `src/gone.py` `go()`\n"
    )
    assert claims_in_prose(page) - all_claims().keys() == {"rabbitmq.gone"}
    assert missing_playbooks(page) == ["gone_restart.yml"]
    assert missing_targets(page) == ["gone"]
    assert dead_links(page) == ["gone.md"]


def test_a_path_in_prose_is_reported() -> None:
    assert paths_in(
        ["docs/gone.md", "roles/gone/", "a/b", "inventories/SITE", "roles/<verb>.yml"]
    ) == {
        "docs/gone.md",
        "roles/gone",
    }
    assert not exists("docs/gone.md")
    assert exists("docs/architecture.md")


def test_a_function_in_prose_is_reported() -> None:
    text = "`src/a.py` `go()`, `stop()` and `src/b.py`, where `here()` stands alone, not `src/c.py`"
    assert list(functions_in(text)) == [("src/a.py", "go"), ("src/a.py", "stop")]
