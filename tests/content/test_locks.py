"""The locks hold everything pyproject.toml asks for, with hashes, and say nothing of where it was downloaded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.content.reading import ROOT, Yaml, name_of, text_of

DEV = ROOT / "requirements/dev.txt"
BUILD = ROOT / "requirements/build.txt"
BENCH = ROOT / "requirements/bench.txt"
SYNAPSE = ROOT / "requirements/synapse.txt"
PROJECT: Yaml = tomllib.loads(text_of(ROOT / "pyproject.toml"))
GROUPS = PROJECT["dependency-groups"]
ASKED = [
    (DEV, text) for text in [*PROJECT["project"]["dependencies"], *GROUPS["dev"], *GROUPS["build"]]
]
ASKED += [(DEV, text) for text in PROJECT["project"]["optional-dependencies"]["chat"]]
ASKED += [(DEV, text) for text in PROJECT["build-system"]["requires"]]
ASKED += [(BENCH, text) for text in GROUPS["bench"]]
ASKED += [(SYNAPSE, text) for text in GROUPS["synapse"]]
PYTHONS = ("3.11", "3.13")  # of Debian 12 and 13


def pins(lock: str) -> list[Requirement]:
    """Return a lock's pinned requirements, markers included."""
    joined = lock.replace("\\\n", "")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [Requirement(line.split(" --hash=")[0].strip()) for line in lines]


def pinned(lock: str, name: str, python: str) -> list[str]:
    """Return the versions of a package that a lock installs on Linux with one Python."""
    linux = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
    }
    return [
        next(iter(pin.specifier)).version
        for pin in pins(lock)
        if canonicalize_name(pin.name) == canonicalize_name(name) and applies(pin.marker, linux)
    ]


def applies(marker: Marker | None, environment: dict[str, str]) -> bool:
    """Tell whether a pin is installed in an environment."""
    return marker is None or marker.evaluate(dict(environment))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("lock", "asked"), ASKED, ids=[f"{lock.stem}-{text}" for lock, text in ASKED]
)
def test_a_lock_satisfies_what_is_asked(lock: Path, asked: str, python: str) -> None:
    requirement = Requirement(asked)
    versions = pinned(text_of(lock), requirement.name, python)
    assert len(versions) == 1, f"{asked}: run `make lock`"
    assert requirement.specifier.contains(versions[0]), (
        f"{asked}: locked at {versions[0]}; run `make lock`"
    )


@pytest.mark.parametrize("lock", [BUILD, DEV, BENCH, SYNAPSE], ids=name_of)
def test_a_lock_is_whole_and_names_no_place(lock: Path) -> None:
    text = text_of(lock)
    entries = re.findall(r"^[a-z0-9](?:.*\\\n)*.*", text, re.MULTILINE)
    assert len(entries) == len(pins(text))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"^-.*|.*://.*|.* @ .*", text, re.MULTILINE) == []


def test_a_pin_is_read_with_its_marker() -> None:
    entry = "a-b=={} ; python_full_version {} '3.12' \\\n    --hash=sha256:00\n"
    lock = entry.format(1, "<") + entry.format(2, ">=")
    assert pinned(lock, "A_b", "3.11") == ["1"]
    assert pinned(lock, "a.b", "3.13") == ["2"]
    assert pinned(lock, "c", "3.13") == []
