"""Pure parts do no I/O and read no clock; plugins are thin; the document has the layers that import-linter checks.

That imports point down only, that no module imports itself through others and that a library has one home are
contracts of import-linter in pyproject.toml (`make check-imports`).
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

from tests.content.repository import ROOT, assert_no_faults, files, name_of, text_of

# What a module without I/O and clock can be made of. `datetime` is there for values; its clock is not (CLOCKS_AND_IO).
PURE_PARTS = {
    "model",
    "errors",
    "evidence",
    "diagnosis",
    "text",
    "verbs",
    "judges",
    "nova_services",
    "observations",
    "plan",
    "journal",
    "runbook",
}
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

PLUGINS_MAY_IMPORT = {
    "action_plugin", "boots", "claims", "errors", "gate_action", "gate_ahead", "gate_loop", "journal", "judges",
    "mark_action", "marking", "marks", "model", "observations", "play_context", "policy", "prepared_read",
    "probes", "puppet_programs", "settings", "silencing", "store", "text",
    "unit_program", "waiting_action", "word", "writer_move", "writer_undo",
}  # fmt: skip


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names that a module imports from other packages, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, modules: Container[str]) -> bool:
    """Tell whether an imported name is one of these modules, or comes from one."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return bool(name)


def called(tree: ast.AST) -> Iterator[str]:
    """Yield the last name of everything that is called: `now` for `datetime.now(UTC)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node.func.id


def part_of(path: Path) -> str:
    """Return the part of Holdfast that a file belongs to: `judges` for src/holdfast/judges/nova.py."""
    return path.relative_to(ROOT / "src/holdfast").parts[0].removesuffix(".py")


def impurities(source: str) -> list[str]:
    """Return the imports and calls of a module that do I/O or read a clock, or may."""
    tree = ast.parse(source)
    libraries = {name for name in imported(tree) if name.split(".")[0] != "holdfast"}
    found = [f"imports {name}" for name in sorted(libraries) if not is_in(name, PURE_LIBRARIES)]
    return found + [f"calls {name}()" for name in sorted(CLOCKS_AND_IO.intersection(called(tree)))]


def plugin_faults(name: str, source: str) -> list[str]:
    """Return the parts of Holdfast that a plugin may not import; a module may import none, as it runs on a host."""
    allowed = set() if name.startswith("plugins/mod") else PLUGINS_MAY_IMPORT
    ours = [name for name in imported(ast.parse(source)) if name.split(".")[0] == "holdfast"]
    return sorted(
        f"imports {name}" for name in ours if name.partition(".")[2].split(".")[0] not in allowed
    )


PURE = [path for path in files("src/holdfast/*.py") if part_of(path) in PURE_PARTS]
PLUGINS = files("plugins/*/holdfast_*.py")


def test_every_pure_part_has_files_to_check() -> None:
    assert {part_of(path) for path in PURE} == PURE_PARTS


def test_pure_parts_do_no_io_and_read_no_clock() -> None:
    assert_no_faults(PURE, lambda path: impurities(text_of(path)))


def test_plugins_import_only_what_a_plugin_may() -> None:
    assert_no_faults(PLUGINS, lambda path: plugin_faults(name_of(path), text_of(path)))


def test_the_document_and_the_contracts_have_the_same_layers() -> None:
    section = text_of(ROOT / "docs/architecture.md").split("## Layers")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    tools = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]
    layers = next(
        contract["layers"]
        for contract in tools["importlinter"]["contracts"]
        if contract["id"] == "layers"
    )
    documented = {name for row in rows for name in re.findall(r"`(\w+)/?`", row)}
    assert documented == {name.strip() for layer in layers for name in layer.split("|")}


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "def judge():\n    import subprocess",
        "from urllib.request import urlopen",
        "from pathlib import Path",
        "from datetime import UTC, datetime\nNOW = datetime.now(UTC)",
        "text = open('journal').read()",
        "def load(path): return path.read_text()",
    ],
)
def test_io_and_clocks_are_reported(source: str) -> None:
    assert len(impurities(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import timedelta\nfrom holdfast.judges.base import Unanswered",
        "from pathlib import PurePath",
        "from collections.abc import Iterator\nimport collections.abc",
    ],
)
def test_values_are_pure(source: str) -> None:
    assert impurities(source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("plugins/action/holdfast_gate.py", "from holdfast.engine import run"),
        ("plugins/action/holdfast_gate.py", "def run():\n    from holdfast import cli"),
        ("plugins/modules/holdfast_act.py", "from holdfast.model import Act"),
    ],
)
def test_a_plugin_that_imports_more_is_reported(name: str, source: str) -> None:
    assert len(plugin_faults(name, source)) == 1
