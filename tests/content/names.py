"""The claims, groups and variables that YAML names, and those that exist. The rules are in the test modules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, nodes

from holdfast.claims import SYSTEMS, bind_claim, find_claim
from holdfast.errors import InvalidInput
from tests.content.repository import ROOT, Yaml, files, strings, text_of, walk, yaml_of

# A variable with one of these prefixes is defined in this repository, or its name is a mistake.
OURS = re.compile(r"^(holdfast|rabbitmq|nova|galera|haproxy|systemd_unit|lab)_[a-z0-9_]+$")
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


def is_claim(text: str) -> bool:
    """Tell whether a text has the form of a claim's name, and is not that of a file or unit."""
    return bool(CLAIM.match(text)) and not NO_CLAIMS.search(text)


def claims_in(value: Yaml) -> Iterator[Yaml]:
    """Yield the claims that YAML names: mappings with `claim`, and any other text in the form of one."""
    if isinstance(value, str):
        if is_claim(value):
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
    """Return the names of a site's groups; one without hosts is listed as a child alone."""
    groups = inventory(site)
    return frozenset(groups) - {"_meta"} | {*groups["all"]["children"], "all", "localhost"}


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


def names_in(expression: str, *, template: bool) -> set[str]:
    """Return the variables that a Jinja template or a bare expression reads."""
    try:
        tree = Environment(autoescape=True).parse(
            expression if template else "{{ (" + expression + ") }}"
        )
    except TemplateSyntaxError:
        return set()  # not Jinja, but plain text in a key that may hold an expression
    return {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}


def variables_in(value: Yaml, keys: Iterable[str] = EXPRESSIONS) -> set[str]:
    """Return the variables that YAML reads, in templates and in `keys` that hold bare expressions."""
    found = {
        name
        for text in strings(value)
        if "{{" in text or "{%" in text
        for name in names_in(text, template=True)
    }
    for part in walk(value):
        if isinstance(part, dict):
            bare = [text for key in keys if key in part for text in strings(part[key])]
            plain = (text for text in bare if "{{" not in text)
            found |= {name for text in plain for name in names_in(text, template=False)}
    return found


def read_in(value: Yaml) -> set[str]:
    """Return the variables with a prefix of ours that YAML reads."""
    return set(filter(OURS.match, variables_in(value)))


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
