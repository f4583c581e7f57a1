"""Reads the repository's files for the content tests (names, text, YAML, Markdown) and reports the faults they find.

The rules are in the test modules. Files are those of the working tree that git tracks or would add (new and not
ignored), so a file is checked before it is committed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
Yaml = Any  # any value that YAML can express


class _Loader(yaml.SafeLoader):
    """Reads Ansible's YAML: a value tagged !vault or !unsafe is read as its text."""


def _tagged(loader: _Loader, _suffix: str, node: yaml.Node) -> Yaml:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the third kind of node


_Loader.add_multi_constructor("!", _tagged)


@cache
def files(*patterns: str) -> tuple[Path, ...]:
    """Return the repository's files that match git pathspecs, such as `playbooks/*.yml`, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    paths = {ROOT / name for name in listed.stdout.split("\0") if name}
    return tuple(sorted(path for path in paths if path.is_file()))


def name_of(path: Path) -> str:
    """Return a file's path relative to the repository."""
    return path.relative_to(ROOT).as_posix()


def assert_no_faults(paths: Sequence[Path], check: Callable[[Path], Iterable[str]]) -> None:
    """Fail with every fault that `check` finds in these files, one a line, each after its file's name.

    No files at all is a failure too: the rule would hold for nothing.
    """
    assert paths, "no files to check"
    faults = [f"{name_of(path)}: {fault}" for path in paths for fault in check(path)]
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@cache
def text_of(path: Path) -> str:
    """Return a text file's content, an empty string for a binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def yaml_of(path: Path) -> Yaml:
    """Return a YAML file's content, with Ansible's tags read as plain text."""
    return yaml.load(text_of(path), Loader=_Loader)  # noqa: S506  # a SafeLoader with two more tags


def yaml_in(text: str) -> Yaml:
    """Return the content of YAML given as text, with Ansible's tags read as plain text."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader with two more tags


def each(problem: str, names: Iterable[str]) -> list[str]:
    """Return one fault for each name, in order: `no such group: gone`."""
    return [f"{problem}: {name}" for name in sorted(names)]


def walk(value: Yaml) -> Iterator[Yaml]:
    """Yield a YAML value and every value inside it, mappings before what they hold."""
    yield value
    children = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for child in children:
        yield from walk(child)


def strings(value: Yaml) -> Iterator[str]:
    """Yield every string in a YAML value, keys of mappings included."""
    for part in walk(value):
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from (key for key in part if isinstance(key, str))


def fences(path: Path, info: str) -> list[tuple[int, str]]:
    """Return the fenced blocks of a Markdown file that carry `info`: first line's number and text."""
    return [
        (token.map[0] + 1 if token.map else 0, token.content)
        for token in MarkdownIt().parse(text_of(path))
        if token.type == "fence" and token.info.strip() == info
    ]


def code_spans(path: Path) -> list[str]:
    """Return the code spans (text in backticks) of a Markdown file's prose and tables."""
    markdown = MarkdownIt().enable("table")
    return [
        child.content
        for token in markdown.parse(text_of(path))
        for child in token.children or ()
        if child.type == "code_inline"
    ]
