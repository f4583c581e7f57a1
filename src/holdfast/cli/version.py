"""``holdfast --version``: the version, and the commit where it is known."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from holdfast import __version__
from holdfast.ansible.environment import CARRIED, checkout

_GIT = ("describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=-changed")


def version_line(noted: Path = CARRIED / "commit", tree: Path | None = None) -> str:
    """Return the program's name, version and commit: ``holdfast 1.2.3 (1a2b3c4d5e6f)``.

    A commit that is followed by ``-changed`` had changes that were not committed.

    Args:
        noted: the file in a wheel that says of which commit it was built.
        tree: the checkout that this program is run from, where it is; git is asked.
    """
    commit = _content(noted) or _asked_of_git(tree or checkout())
    return f"holdfast {__version__}" + (f" ({commit})" if commit else "")


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except OSError:
        return ""


def _asked_of_git(tree: Path) -> str:
    """Return the commit of a checkout; "" where it is none, or git cannot say."""
    git = shutil.which("git")
    if not git or not (tree / ".git").exists():
        return ""
    asked = subprocess.run(  # noqa: S603 - a fixed command
        [git, "-C", str(tree), *_GIT], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else ""
