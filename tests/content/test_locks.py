"""The locks hold everything pyproject.toml requires, with hashes, and name no package index."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.content.repository import ROOT, Yaml, assert_no_faults, text_of

DEV = ROOT / "requirements/dev.txt"
BUILD = ROOT / "requirements/build.txt"
BENCH = ROOT / "requirements/bench.txt"
SALT = ROOT / "requirements/salt.txt"
DOCS = ROOT / "requirements/docs.txt"
SYNAPSE = ROOT / "requirements/synapse.txt"
RUN = ROOT / "requirements/run.txt"
PROJECT: Yaml = tomllib.loads(text_of(ROOT / "pyproject.toml"))
GROUPS = PROJECT["dependency-groups"]
EXTRAS = [
    requirement
    for extra in PROJECT["project"]["optional-dependencies"].values()
    for requirement in extra
]
REQUIRED: Mapping[Path, Sequence[str]] = {
    DEV: [
        *PROJECT["project"]["dependencies"],
        *EXTRAS,
        *PROJECT["build-system"]["requires"],
        *GROUPS["dev"],
        *GROUPS["lab"],
        *GROUPS["build"],
    ],
    RUN: [
        *PROJECT["project"]["dependencies"],
        *EXTRAS,
    ],
    BENCH: GROUPS["bench"],
    DOCS: GROUPS["docs"],
    SALT: GROUPS["salt"],
    SYNAPSE: GROUPS["synapse"],
}
PYTHONS = ("3.11", "3.13")  # of Debian 12 and 13


def pins(lock: str) -> list[Requirement]:
    """Return a lock's pinned requirements with their markers."""
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


def unsatisfied(lock: str, required: Iterable[str]) -> list[str]:
    """Return the requirements that a lock does not meet, on any supported Python."""
    found = []
    for text, python in product(required, PYTHONS):
        requirement = Requirement(text)
        versions = pinned(lock, requirement.name, python)
        if len(versions) != 1 or not requirement.specifier.contains(versions[0]):
            found.append(f"{text} is locked at {versions} for Python {python}: run `make lock`")
    return found


def lock_faults(text: str) -> list[str]:
    """Return a lock's entries without a hash, and its lines that say where to download from."""
    places = re.findall(r"^-.*|.*://.*|.* @ .*", text, re.MULTILINE)
    if places:
        return [f"names a place to download from: {line}" for line in places]
    entries = re.findall(r"^[a-z0-9](?:.*\\\n)*.*", text, re.MULTILINE)
    assert len(entries) == len(pins(text))
    return [f"has no hash: {entry}" for entry in entries if "--hash=sha256:" not in entry]


def test_every_lock_satisfies_pyproject() -> None:
    assert_no_faults(list(REQUIRED), lambda lock: unsatisfied(text_of(lock), REQUIRED[lock]))


def test_every_lock_has_hashes_and_names_no_index() -> None:
    assert_no_faults([*REQUIRED, BUILD], lambda lock: lock_faults(text_of(lock)))


@pytest.mark.parametrize("requirement", ["a>=2", "b"])
def test_a_requirement_that_a_lock_does_not_meet_is_reported(requirement: str) -> None:
    lock = "a==1 \\\n    --hash=sha256:00\n"
    assert len(unsatisfied(lock, [requirement, "a>=1"])) == len(PYTHONS)


@pytest.mark.parametrize(
    "lock",
    ["a==1\n", "--index-url x\na==1 \\\n    --hash=sha256:00\n", "a==1 --hash=sha256:00 # x://y\n"],
)
def test_a_lock_without_hashes_or_with_an_index_is_reported(lock: str) -> None:
    assert len(lock_faults(lock)) == 1


def test_a_pin_is_read_with_its_marker() -> None:
    entry = "a-b=={} ; python_full_version {} '3.12' \\\n    --hash=sha256:00\n"
    lock = entry.format(1, "<") + entry.format(2, ">=")
    assert pinned(lock, "A_b", "3.11") == ["1"]
    assert pinned(lock, "a.b", "3.13") == ["2"]
    assert pinned(lock, "c", "3.13") == []
