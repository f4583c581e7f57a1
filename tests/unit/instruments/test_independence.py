"""The instruments share no code with Holdfast, so that what they measure can contradict it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

INSTRUMENTS = Path(__file__).resolve().parents[3] / "tests" / "lab" / "instruments"
MODULES = sorted(INSTRUMENTS.rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_there_are_instruments_to_check() -> None:
    assert {"observer.py", "traffic.py"} <= {module.name for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_an_instrument_imports_nothing_of_holdfast(module: Path) -> None:
    names = list(imported(module.read_text(encoding="utf-8")))
    assert not [
        name
        for name in names
        if name.split(".")[0] in {"holdfast", "plugins"} or name.startswith(".")
    ]


@pytest.mark.parametrize(
    "source", ["import holdfast", "from holdfast.model import Act", "def f():\n import holdfast.x"]
)
def test_every_way_of_importing_is_reported(source: str) -> None:
    assert any(name.split(".")[0] == "holdfast" for name in imported(source))
