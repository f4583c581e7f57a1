"""The version: one in all files, and one command that changes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast import __version__
from tests.content.repository import ROOT

PLACES = {
    "src/holdfast/__init__.py": '__version__ = "{}"',
    "plugins/action/__init__.py": 'VERSION = "{}"  #',
    "pyproject.toml": 'version = "{}"\ndescription',
    "galaxy.yml": "version: {} #",
    "meta/ee-requirements.txt": "holdfast=={}\n",
    "execution-environment.yml": "holdfast-holdfast-{}.tar.gz",
}


def begin_release(place: Path, version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", "version", f"VERSION={version}"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("CHANGELOG.md", *PLACES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_place_has_the_version_of_the_package() -> None:
    for name, line in PLACES.items():
        assert line.format(__version__) in (ROOT / name).read_text(), name


def test_one_command_changes_it_in_every_place_and_nothing_else(place: Path) -> None:
    done = begin_release(place, "12.3.45")
    assert done.returncode == 0, done.stderr
    for name, line in PLACES.items():
        was = (ROOT / name).read_text()
        changed = was.replace(line.format(__version__), line.format("12.3.45"))
        assert (place / name).read_text() == changed != was
    was = (ROOT / "CHANGELOG.md").read_text()
    became = re.sub(
        r"\n\n## \[12\.3\.45\] - \d{4}-\d\d-\d\d", "", place.joinpath("CHANGELOG.md").read_text()
    )
    assert became == was


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3; echo"])
def test_what_is_no_version_is_refused(place: Path, version: str) -> None:
    assert begin_release(place, version).returncode == 2
    assert all((place / name).read_text() == (ROOT / name).read_text() for name in PLACES)
