"""The wheel, installed into a fresh virtual environment and used in an empty directory."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from holdfast import __version__
from tests.content.repository import ROOT, files, name_of
from tests.packaging.conftest import BIN, run

SITE = """
web: {hosts: {web1: , web2: }}
all: {vars: {holdfast_site: here}}
"""


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment with the wheel, whose dependencies are those of this one: nothing is fetched."""
    place = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    installer = (
        BIN / "uv",
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        place / "bin/python",
    )
    subprocess.run([*installer, wheel], check=True)
    (library,) = place.glob("lib/python*/site-packages")
    # The paths of a .pth file that is itself reached by one are not added, so this checkout is not either.
    library.joinpath("dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return a home and working directory with nothing but a site."""
    site = tmp_path / ".config/holdfast/inventories/here/hosts.yml"
    site.parent.mkdir(parents=True)
    site.write_text(SITE)
    return tmp_path


def holdfast(installed: Path, empty: Path, *arguments: str) -> str:
    done = run(installed / "bin/holdfast", *arguments, cwd=empty)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_it_carries_what_a_checkout_has_for_operators(wheel: Path) -> None:
    tracked = files(
        "ansible.cfg",
        "inventories/example",
        "inventories/presets",
        "playbooks",
        "plugins",
        "roles",
        "runbooks",
    )
    names = {name_of(path) for path in tracked}
    ours = {name for name in names if not name.startswith(("roles/lab_", "playbooks/lab/"))}
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name.removeprefix("holdfast/project/")
            for name in archive.namelist()
            if "/project/" in name
        }
    assert held - {"commit"} == ours


def test_it_says_which_commit_it_was_built_of(installed: Path, empty: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout[:12]
    shown = holdfast(installed, empty, "--version")
    assert (
        shown.strip().removesuffix(")").removesuffix("-changed")
        == f"holdfast {__version__} ({commit}"
    )


def test_runbooks_are_listed_and_shown_anywhere(installed: Path, empty: Path) -> None:
    listed = holdfast(installed, empty, "runbooks")
    assert str(installed) in listed
    assert "unit-restart" in listed
    assert holdfast(installed, empty, "show", "unit-restart").startswith("---")


def test_a_shell_completes_the_name_of_a_runbook(installed: Path, empty: Path) -> None:
    asked = {
        "_HOLDFAST_COMPLETE": "complete_bash",
        "COMP_WORDS": "holdfast show uni",
        "COMP_CWORD": "2",
    }
    done = run(installed / "bin/holdfast", cwd=empty, **asked)
    assert done.stdout.split() == ["unit-restart"]


def test_a_run_is_planned_for_a_site_of_the_users_own(installed: Path, empty: Path) -> None:
    shown = holdfast(
        installed, empty, "plan", "unit-restart", "--input", "unit=cron", "--input", "group=web"
    )
    assert "web1" in shown, shown
    assert str(ROOT) not in shown
