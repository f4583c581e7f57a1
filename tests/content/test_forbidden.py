"""What no file may hold: handlers that swallow errors, sleeps in place of gates, this or that machine's addresses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.content.reading import files, name_of, text_of

CODE = files("src/*.py", "plugins/*.py")
TEXTS = [path for path in files() if text_of(path)]

# A file that names a registry or a mirror works in one place only; pip, apt and podman know theirs from the machine.
REGISTRIES = re.compile(
    r"\b((docker|quay|ghcr|gcr)\.io|pypi\.org|pythonhosted\.org|(deb|security|ftp\.\w+)\.debian\.org|galaxy\.ansible\.com"
    r"|registry\.[\w-]+\.\w+|npmjs\.(org|com)|crates\.io|rubygems\.org)\b"
)
MACHINE_PATHS = re.compile(r"(?<![\w.$}~*-])/(work|root|tmp|home/\w+)/")
CATCH_ALL = re.compile(r"\b(Base)?Exception\b")
ISSUES = re.compile(r"\b[Ii]ssue #?\d+\b")


def swallowed(source: str) -> list[str]:
    """Return the lines that catch everything: a bug must end a run, not be warned about."""
    handlers = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler)]
    caught = [
        (node.lineno, ast.unparse(node.type) if node.type else "Exception") for node in handlers
    ]
    return [f"line {line}: except {what}" for line, what in caught if CATCH_ALL.search(what)]


def sleeps(source: str) -> list[str]:
    """Return the lines that sleep, or import what would: waiting is an argument of whoever waits."""
    return [
        f"line {node.lineno}"
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and "sleep" in [name.name for name in node.names])
    ]


def strangers(text: str) -> list[str]:
    """Return what a text says of one machine, one network or one planning tool."""
    return [
        f"line {number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (REGISTRIES, MACHINE_PATHS, ISSUES)
        for match in pattern.finditer(line)
    ]


def test_there_is_something_to_look_at() -> None:
    assert len(CODE) > 20
    assert len(TEXTS) > 50


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_no_error_is_swallowed(path: Path) -> None:
    assert swallowed(text_of(path)) == []


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_no_sleep_stands_in_for_a_gate(path: Path) -> None:
    assert sleeps(text_of(path)) == []


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_a_file_works_anywhere(path: Path) -> None:
    assert strangers(text_of(path)) == []


@pytest.mark.parametrize(
    "handler",
    [
        "except Exception:",
        "except:",
        "except BaseException as e:",
        "except (ValueError, Exception):",
    ],
)
def test_a_catch_all_is_seen(handler: str) -> None:
    assert len(swallowed(f"try:\n    pass\n{handler}\n    pass")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "from time import sleep",
        "wait = asyncio.sleep",
        "from time import sleep as nap",
    ],
)
def test_a_sleep_is_seen(source: str) -> None:
    assert len(sleeps(source)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "image: " + "docker" + ".io/debian",
        "https://" + "pypi" + ".org/simple",
        "deb http://" + "deb.debian" + ".org/debian bookworm main",
        "see /" + "work/main",
        "'/" + "root/.ssh/id'",
        "cache: /" + "tmp/x",
        "# as issue" + " 7 says",
    ],
)
def test_a_stranger_is_seen(text: str) -> None:
    assert len(strangers(text)) == 1


@pytest.mark.parametrize(
    "text",
    ["~/tmp/x", "{{ lab_dir }}/work/x", "docs/work/x", "$HOME/tmp/x", "https://docs.ansible.com"],
)
def test_what_is_no_stranger_is_not(text: str) -> None:
    assert strangers(text) == []
