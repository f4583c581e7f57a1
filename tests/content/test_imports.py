"""Imports point down only, and the parts that promise to be pure are (docs/architecture.md, "Layers")."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.content.repository import ROOT, files, name_of, text_of

VALUES = {"model", "errors", "evidence", "text"}
PURE = {"plan", "journal", "runbook"}
CLAIMS = {"claims", "judges", "probes", "gate_loop"}
BELOW_ENGINE = VALUES | PURE | {"ansible", "store", "settings"}

# The table of docs/architecture.md. A part may always import itself.
MAY_IMPORT: Mapping[str, set[str]] = {
    "model": set(),
    "errors": set(),
    "evidence": set(),
    "text": set(),
    "settings": {"errors"},
    "judges": {"model", "evidence"},
    "probes": {"model", "errors"},
    "claims": {"judges", "probes", "model", "errors", "evidence", "text"},
    "gate_loop": CLAIMS | {"model", "errors"},
    "journal": VALUES,
    "runbook": VALUES,
    "plan": VALUES | PURE,
    "store": VALUES | {"settings", "journal"},
    "play_context": VALUES | {"store", "settings", "journal"},
    "ansible": VALUES | PURE,
    "engine": BELOW_ENGINE,
    "report": BELOW_ENGINE | {"engine"},
    "chat": BELOW_ENGINE | {"engine", "report"},
    "cli": BELOW_ENGINE | CLAIMS | {"engine", "report", "chat"},
}
PLUGINS_MAY_IMPORT = VALUES | CLAIMS | {"play_context", "store", "journal", "settings"}

# Untyped or heavy libraries have one home, behind a typed adapter.
HOMES: Mapping[str, set[str]] = {
    "ansible": {"ansible"},
    "ansible_runner": {"ansible"},
    "sqlalchemy": {"store", "settings"},  # settings: the grammar of a database URL
    "httpx": {"probes"},
    "amqp": {"probes"},
    "kombu": {"probes"},
    "openstack": {"probes"},
    "keystoneauth1": {"probes"},
    "oslo_config": {"probes"},
    "oslo_messaging": {"probes"},
    "pymysql": {"probes"},
    "markdown_it": {"runbook"},
    "typer": {"cli"},
    "rich": {"cli", "report"},
    "aiohttp": {"chat"},
    "irc": {"chat"},
    "nio": {"chat"},
    "slack_bolt": {"chat"},
    "slack_sdk": {"chat"},
}

# What a module without I/O and clock can be made of. `datetime` is there for values; its clock is not (CLOCKS_AND_IO).
PURE_PARTS = {*VALUES, "judges", *PURE}
PURE_LIBRARIES = {
    "__future__", "abc", "bisect", "collections", "dataclasses", "datetime", "difflib", "enum", "fractions",
    "functools", "graphlib", "hashlib", "hmac", "itertools", "json", "markdown_it", "math", "operator",
    "pathlib.PurePath", "pathlib.PurePosixPath", "pydantic", "re", "shlex", "statistics",
    "string", "textwrap", "types", "typing", "unicodedata", "urllib.parse", "yaml",
}  # fmt: skip
CLOCKS_AND_IO = {
    "eval", "exec", "input", "monotonic", "now", "open", "perf_counter", "print", "read_bytes", "read_text", "sleep",
    "today", "urandom", "utcnow", "write_bytes", "write_text",
}  # fmt: skip


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names of the modules that a module of `package` imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            anchor = package.split(".")[: -(node.level - 1) or None] if node.level else []
            module = ".".join([*anchor, *([node.module] if node.module else [])])
            # `from holdfast.journal import events` imports a module, `from holdfast.journal.events import Event`
            # a name: `known_as` tells which.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def known_as(name: str, modules: Container[str]) -> str:
    """Return the module that an imported name is or comes from."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def called(tree: ast.AST) -> Iterator[str]:
    """Yield the last name of everything that is called: `now` for `datetime.now(UTC)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


def part_of(module: str) -> str:
    """Return the part of Holdfast a module belongs to: `gates` for `holdfast.judges.rabbitmq`."""
    return module.split(".")[1] if "." in module else ""


def complaints(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return what a module of Holdfast imports or calls against the rules."""
    tree = ast.parse(source)
    part = part_of(module)
    if part not in MAY_IMPORT:
        return [
            f"{module}: no layer is known for {part!r}; give it one here and in docs/architecture.md"
        ]
    found = []
    for name in set(imported(tree, module if is_package else module.rpartition(".")[0])):
        library = name.split(".")[0]
        if library == "holdfast":
            other = part_of(name)
            if other and other != part and other not in MAY_IMPORT[part] and other != "__version__":
                found.append(
                    f"{module} imports {name}: {part} may import {sorted(MAY_IMPORT[part])}"
                )
        elif part not in HOMES.get(library, {part}):
            found.append(f"{module} imports {name}: only {sorted(HOMES[library])} may")
        elif part in PURE_PARTS and not known_as(name, PURE_LIBRARIES):
            found.append(f"{module} imports {name}: {part} does no I/O and reads no clock")
    if part in PURE_PARTS:
        found += [
            f"{module} calls {name}()" for name in sorted(CLOCKS_AND_IO.intersection(called(tree)))
        ]
    return found


def plugin_complaints(name: str, source: str) -> list[str]:
    """Return what an action plugin imports beyond its skin's layers, or a module beyond what its host has."""
    on_host = name.startswith("plugins/mod")
    ours = {
        part_of(module)
        for module in imported(ast.parse(source), "")
        if module.split(".")[0] == "holdfast"
    }
    allowed = set() if on_host else PLUGINS_MAY_IMPORT | {""}
    return [f"{name} imports holdfast.{part}" for part in sorted(ours - allowed)]


def module_name(path: Path) -> str:
    """Return the dotted name of a file under src."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = [path for path in files("src/*.py") if module_name(path) != "holdfast"]
PLUGINS = files("plugins/*.py")


def test_there_is_something_to_look_at() -> None:
    assert len({part_of(module_name(path)) for path in SOURCES}) > 5
    assert PLUGINS


def test_the_layers_are_those_of_the_document() -> None:
    """Every part is in the table of docs/architecture.md, and nothing else is."""
    section = text_of(ROOT / "docs/architecture.md").split("## Layers")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)/?`", row)} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_down_only(path: Path) -> None:
    assert complaints(module_name(path), text_of(path), is_package=path.stem == "__init__") == []


@pytest.mark.parametrize("path", PLUGINS, ids=name_of)
def test_plugins_are_skins(path: Path) -> None:
    assert plugin_complaints(name_of(path), text_of(path)) == []


def test_no_module_imports_itself_through_others() -> None:
    known = {module_name(path): path for path in SOURCES}
    graph = {}
    for module, path in known.items():
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        graph[module] = {
            known_as(name, known) for name in imported(ast.parse(text_of(path)), package)
        } - {module, ""}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("holdfast.judges.nova", "from holdfast.probes.nova import look"),
        ("holdfast.judges.nova", "from holdfast import store"),
        ("holdfast.judges.nova", "from ..errors import CannotTell"),
        ("holdfast.judges.nova", "import time"),
        ("holdfast.judges.nova", "def judge():\n    import subprocess"),
        ("holdfast.judges.nova", "from urllib.request import urlopen"),
        ("holdfast.runbook.parser", "from pathlib import Path"),
        ("holdfast.plan", "from datetime import UTC, datetime\nNOW = datetime.now(UTC)"),
        ("holdfast.journal", "text = open('journal').read()"),
        ("holdfast.journal", "from holdfast.plan import decide"),
        ("holdfast.runbook", "def load(path): return path.read_text()"),
        ("holdfast.engine", "import ansible_runner"),
        ("holdfast.engine", "from holdfast.claims import CLAIMS"),
        ("holdfast.claims.nova", "import ansible_runner"),
        ("holdfast.store.leases", "from holdfast.engine import run"),
        ("holdfast.ansible.play_runner", "from sqlalchemy import text"),
        ("holdfast.shortcut", "x = 1"),
    ],
)
def test_an_import_upwards_is_seen(module: str, source: str) -> None:
    assert len(complaints(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "holdfast.judges.nova",
            "from datetime import timedelta\nfrom holdfast.judges.base import Unanswered",
        ),
        ("holdfast.runbook.parser", "from pathlib import PurePath"),
        ("holdfast.judges.nova", "from collections.abc import Iterator\nimport collections.abc"),
        ("holdfast.ansible.play_runner", "import ansible_runner"),
        ("holdfast.cli", "from holdfast import engine, __version__"),
    ],
)
def test_an_import_downwards_is_not(module: str, source: str) -> None:
    assert complaints(module, source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("plugins/action/holdfast_gate.py", "from holdfast.engine import run"),
        ("plugins/modules/holdfast_restart.py", "from holdfast.model import Act"),
    ],
)
def test_a_plugin_that_is_more_than_a_skin_is_seen(name: str, source: str) -> None:
    assert len(plugin_complaints(name, source)) == 1
