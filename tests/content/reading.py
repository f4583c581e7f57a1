"""Reads the repository for the content tests: which files there are, and what YAML and Markdown say.

Owns no rule: rules are in the test modules. Everything is read from the working tree as git sees it (tracked, or new
and not ignored), so a file is under test before it is committed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
Yaml = Any  # whatever a YAML file holds


class _Loader(yaml.SafeLoader):
    """Ansible's YAML: tags such as !vault and !unsafe stand for the text they mark."""


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
    """Return a file's name as people write it: relative to the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def text_of(path: Path) -> str:
    """Return a text file's content; a binary file has none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def yaml_of(path: Path) -> Yaml:
    """Return what a YAML file holds, with Ansible's tags read as plain text."""
    return yaml.load(text_of(path), Loader=_Loader)  # noqa: S506  # a SafeLoader with two more tags


def yaml_in(text: str) -> Yaml:
    """Return what a piece of YAML holds."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader with two more tags


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
    """Return everything a Markdown file sets in backticks within its prose and tables."""
    markdown = MarkdownIt().enable("table")
    return [
        child.content
        for token in markdown.parse(text_of(path))
        for child in token.children or ()
        if child.type == "code_inline"
    ]
