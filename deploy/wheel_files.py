"""Adds two files to the wheel that its builder cannot map: ansible.cfg, and which commit it was built of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROJECT = "holdfast/project"


class FilesHook(BuildHookInterface[Any]):
    """Adds both to ``PROJECT``; to an editable install neither, because the checkout has them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to the wheel's builder."""
        if version == "editable":
            return
        included: dict[str, str] = build_data["force_include"]
        included[str(Path(self.root, "ansible.cfg"))] = f"{PROJECT}/ansible.cfg"
        if commit := self._commit():
            written = Path(self.directory, "commit")
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(commit, "utf-8")
            included[str(written)] = f"{PROJECT}/commit"  # read by src/holdfast/cli/version.py

    def _commit(self) -> str:
        """Return the commit of the tree; "" where it is no checkout of git."""
        git = shutil.which("git")
        if not git or not Path(self.root, ".git").exists():
            return ""
        named = subprocess.run(  # noqa: S603 - a fixed command
            [git, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=-changed"],
            cwd=self.root, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return named.stdout
