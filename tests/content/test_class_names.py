"""A class name has one meaning in the package (docs/vocabulary.md)."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable

from tests.content.repository import files, name_of, text_of


def shared_names(sources: Iterable[tuple[str, str]]) -> list[str]:
    """Return the public class names that more than one module defines, with the modules."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module)
    return [f"{name}: {', '.join(modules)}" for name, modules in homes.items() if len(modules) > 1]


def test_no_two_modules_define_a_class_of_one_name() -> None:
    assert shared_names((name_of(path), text_of(path)) for path in files("src/*.py")) == []


def test_a_shared_name_is_seen() -> None:
    sources = [("a.py", "class Turn: ..."), ("b.py", "class Turn: ...\nclass _Part: ...")]
    assert shared_names([*sources, ("c.py", "class _Part: ...")]) == ["Turn: a.py, b.py"]
