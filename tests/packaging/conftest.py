"""Builds what is shipped, once for all tests of a process, with the commands that people type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.content.repository import ROOT

BIN = Path(sys.executable).parent


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


def make(target: str, dist: Path) -> None:
    """Build something into a directory with the Makefile's own command."""
    made = subprocess.run(
        ["make", target, f"DIST={dist}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    make("collection", dist)
    (built,) = dist.glob("*.tar.gz")
    return built
