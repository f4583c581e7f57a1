"""Writes the reference of the site from the source: claims, site variables, commands, events of the journal.

Owns how they are laid out; every name, default and sentence is that of the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import typer
import yaml
from pydantic import BaseModel

from deploy.man_page import ENVIRONMENT, commands, options_of, plain
from holdfast.claims import SYSTEMS, claims_of
from holdfast.claims.base import Claim
from holdfast.cli.app import app
from holdfast.journal import events
from holdfast.model import Json

ROOT = Path(__file__).parents[1]

OF_EVERY_SERVICE = {
    "holdfast_site": "The site's name. Leases are named after it; no default.",
    "holdfast_gate_deadline_seconds": "How many seconds a gate waits for its claims before the run holds; 300.",
    "holdfast_poll_seconds": "How many seconds to wait between two readings; 2.",
    "holdfast_settle_readings": "How many consecutive readings must pass; each role has a default.",
    "holdfast_settle_seconds": "How long those readings must span, in seconds; each role has a default.",
    "holdfast_pace": "Claims that must hold before further hosts are taken, as entries of a gate; none.",
    "holdfast_soak_seconds": "How long everything must stay healthy at a runbook's end; each runbook has a default.",
}
"""The variables that no role has for itself."""


@dataclass(frozen=True, slots=True)
class RoleVariable:
    """A role's argument as its specification has it, and the entry points (``rabbitmq: drain``) that take it."""

    name: str
    spec: Mapping[str, Json]
    entries: tuple[str, ...]


def claims_page() -> str:
    """Return every claim: what PASS says, its parameters and site variables, and what to do where it does not hold."""
    lines = [
        "# Claims",
        "",
        "What gates can prove. `holdfast check --list` prints them; `holdfast check --site SITE CLAIM` asks one.",
        "A standing claim is true of a healthy fleet at any time: a check without names asks all of these.",
    ]
    for system in SYSTEMS:
        lines += ["", f"## {system}"]
        lines += [line for claim in claims_of(system).values() for line in _claim(claim)]
    return _text(lines)


def variables_page() -> str:
    """Return every variable that a site may set: type, default, what it means, which entry points of roles take it."""
    lines = [
        "# Site variables",
        "",
        "What a site may set in its inventory, also for single hosts. Ansible checks the types first.",
        "[The example](../inventories/example/README.md) sets those that a site needs.",
        "What is required comes from the playbook or the runbook.",
        "",
        "## Of every service",
        "",
        *_table(
            ("variable", "meaning"),
            ([f"`{name}`", text] for name, text in OF_EVERY_SERVICE.items()),
        ),
    ]
    described: set[str] = set()
    for role, variables in role_variables().items():
        lines += ["", f"## Of the role {role}"]
        lines += [line for each in variables for line in _variable(each, described)]
    return _text(lines)


def commands_page() -> str:
    """Return every command of the program: what it does, its options, an example, its exit codes."""
    lines = [
        "# Commands",
        "",
        "As `--help` and the manual page have them. What `--json` prints: [JSON for programs](../docs/json.md).",
    ]
    for name, command in commands(typer.main.get_command(app)):
        lines += ["", f"## {name}", "", *_paragraphs(command.help), ""]
        lines += _table(
            ("option", "meaning"),
            ([f"`{typed}`", _prose(said)] for typed, said in options_of(command)),
        )
        lines += ["", *_paragraphs(command.epilog)]
    lines += ["", "## Environment", ""]
    lines += _table(
        ("variable", "meaning"), ([f"`{k}`", _prose(v)] for k, v in ENVIRONMENT.items())
    )
    return _text(lines)


def events_page() -> str:
    """Return every event of the journal with its fields."""
    lines = [
        "# Events of the journal",
        "",
        "What `holdfast log` and `holdfast watch` show, and print with `--json`:",
        "[JSON for programs](../docs/json.md). Every event also has `kind`, `schema` and `at`.",
    ]
    for event in get_args(get_args(events.Event)[0]):
        lines += [
            "",
            f"## {event.model_fields['kind'].default}",
            "",
            *_paragraphs(event.__doc__),
            "",
        ]
        fields = _fields(event, leave_out={"kind", "schema", "at"})
        if fields:
            lines += _table(("field", "type", "default"), fields)
    return _text(lines)


PAGES: Mapping[str, Callable[[], str]] = {
    "claims": claims_page,
    "variables": variables_page,
    "commands": commands_page,
    "events": events_page,
}
"""The pages by name, in their order."""


def role_variables(roles: Path = ROOT / "roles") -> dict[str, list[RoleVariable]]:
    """Return the variables of each role that sites use, in the order of its specification."""
    found = {}
    for file in sorted(roles.glob("*/meta/argument_specs.yml")):
        role = file.parts[-3]
        if role.startswith("lab_"):
            continue
        entries = yaml.safe_load(file.read_text("utf-8"))["argument_specs"]
        specs: dict[str, Mapping[str, Json]] = {}
        takers: dict[str, list[str]] = {}
        for entry, spec in entries.items():
            for name, option in spec["options"].items():
                specs.setdefault(name, option)
                takers.setdefault(name, []).append(entry)
        found[role] = [
            RoleVariable(name, spec, tuple(takers[name])) for name, spec in specs.items()
        ]
    return found


def parameter_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a claim's parameters say of each."""
    texts: dict[str, str] = {}
    for base in model.__mro__:
        said = re.findall(r"``(\w+)``: (.+?)(?=\s``\w+``: |\Z)", base.__doc__ or "", re.DOTALL)
        for name, text in said:
            texts.setdefault(name, _prose(text))
    return texts


def _claim(claim: Claim) -> Iterator[str]:
    yield from ("", f"### {claim.name}", "", f"PASS where {_prose(claim.summary)}.", "")
    yield f"- About: {f'the group `{claim.group}`' if claim.group else 'each host, or those that are named'}"
    if claim.also:
        yield f"- Also asks: {_codes(claim.also)}"
    yield f"- Standing: {'yes' if claim.standing else 'no'}"
    if claim.needs:
        yield f"- Site variables: {_codes(claim.needs)}"
    yield f"- Where it does not hold: {_prose(claim.remedy)}"
    rows = [
        [*row, parameter_texts(claim.parameters).get(row[0].strip("`"), "")]
        for row in _fields(claim.parameters)
    ]
    if rows:
        yield ""
        yield from _table(("parameter", "type", "default", "meaning"), rows)


def _variable(variable: RoleVariable, described: set[str]) -> Iterator[str]:
    """Yield the section of a variable; a role's that another has described too is named there once."""
    spec = variable.spec
    again = f" ({variable.entries[0]})" if variable.name in described else ""
    described.add(variable.name)
    description = spec["description"]
    sentences = description if isinstance(description, list) else [description]
    kind = f"list of {spec['elements']}" if spec.get("elements") else spec.get("type", "str")
    yield from ("", f"### {variable.name}{again}", "")
    yield " ".join(_prose(sentence) for sentence in sentences)
    yield ""
    yield f"- Type: {kind}{', required' if spec.get('required') else ''}"
    if spec.get("choices"):
        yield f"- One of: {_codes(spec['choices'])}"
    if "default" in spec:
        yield f"- Default: {_value(spec['default'])}"
    yield f"- Entry points: {_codes(variable.entries)}"


def _fields(model: type[BaseModel], leave_out: Iterable[str] = ()) -> list[list[str]]:
    """Return name, type and default of each field; what a default's factory makes is empty."""
    schema = model.model_json_schema()
    rows = []
    for name, shape in schema.get("properties", {}).items():
        if name in set(leave_out):
            continue
        default = (
            _value(shape.get("default", ""))
            if name not in schema.get("required", ())
            else "required"
        )
        rows.append([f"`{name}`", _type(shape, schema.get("$defs", {})), default])
    return rows


def _type(shape: Mapping[str, Json], shapes: Mapping[str, Json]) -> str:
    """Return a type of JSON in words, such as ``array of string``."""
    if "$ref" in shape:
        return _type(shapes[shape["$ref"].rpartition("/")[2]], shapes)
    if "anyOf" in shape:
        return " or ".join(dict.fromkeys(_type(each, shapes) for each in shape["anyOf"]))
    if "enum" in shape or "const" in shape:
        return " or ".join(f"`{value}`" for value in shape.get("enum", [shape.get("const")]))
    kind = str(shape.get("type", "any"))
    items = shape.get("items") or {}
    return f"array of {_type(items, shapes)}" if kind == "array" and items else kind


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in cells]


def _paragraphs(text: str | None) -> list[str]:
    parts = [_prose(part) for part in re.split(r"\n\s*\n", plain(text))]
    return [line for part in parts if part for line in (part, "")]


def _prose(text: str) -> str:
    """Return text as Markdown: spans of code of docstrings and of Ansible's documentation, nothing else marked."""
    line = re.sub(
        r"``(.+?)``|\b[CV]\((.+?)\)(?!\))|\b[MIO]\((.+?)\)", _span, " ".join(text.split())
    )
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>\[\]{}~$])", r"\\\1", part)
        for part in parts
    )


def _span(found: re.Match[str]) -> str:
    return f"`{next(filter(None, found.groups()))}`"


def _value(value: Json) -> str:
    """Return a default as it is written in YAML; a template stays what it is."""
    if value == "":
        return "empty"
    written = (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=10**6)
    )
    return f"`{written.removesuffix('...' + chr(10)).strip()}`"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(lines: Iterable[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"
