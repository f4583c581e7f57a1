"""Builds what is shipped, once for all tests of a process, with the commands that people type."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.content.repository import ROOT, files, name_of

BIN = Path(sys.executable).parent
PLANTED = "planted-in-the-checkout"
OF_THE_USER = (
    "inventories/atsite/hosts.yml",
    "inventories/atsite/group_vars/all/vault.yml",
    "inventories/example/group_vars/all/mine.yml",
    "people.yml",
    "playbooks/mine.yml",
    "plugins/modules/mine.py",
    "roles/mine/tasks/main.yml",
    "runbooks/mine.md",
    "src/holdfast/mine.py",
)
"""What a user may have in a checkout: in directories that are shipped, and beside them."""


def run(*argv: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment, without what this checkout would add to it; both outputs in one."""
    ours = ("ANSIBLE", "HOLDFAST_", "XDG_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    own = {"HOME": str(cwd), "HOLDFAST_STATE_DIR": str(cwd / "state")}  # nothing of the machine's
    return subprocess.run(
        [BIN / argv[0], *argv[1:]],
        cwd=cwd,
        env=clean | own | {"PATH": f"{BIN}:{os.environ['PATH']}"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of this checkout in which a user has a site with a vault, and other files that are not ours."""
    copy = tmp_path_factory.mktemp("work") / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, copy], check=True)
    for path in files("."):
        target = copy / name_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    for name in OF_THE_USER:
        planted = copy / name
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text(PLANTED)
    return copy


def make(target: str, checkout: Path, dist: Path) -> Path:
    """Build something into a directory with the Makefile's own command, and return the one file that was built."""
    made = subprocess.run(
        ["make", target, f"DIST={dist}", f"BIN={BIN}"],
        cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    (built,) = [*dist.glob("*.tar.gz"), *dist.glob("*.whl")]
    return built


@pytest.fixture(scope="session")
def tarball(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("collection", checkout, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("wheel", checkout, tmp_path_factory.mktemp("wheel"))
