"""A host with a Puppet agent whose files were recorded from a real one (Puppet 7.23)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.probes.base import CommandResult

RECORDED = Path(__file__).parents[1] / "unit/probes/recorded/puppet_7"
SUMMARY, REPORT = "last_run_summary.yaml", "last_run_report.yaml"
DISABLED, LOCK = "agent_disabled.lock", "agent_catalog_run.lock"

_PUPPET = """#!/bin/sh
[ "$1 $2" = "config print" ] || exit 64
printf '%s\\n' "agent_catalog_run_lockfile = {state}/agent_catalog_run.lock" \\
  "agent_disabled_lockfile = {state}/agent_disabled.lock" \\
  "lastrunfile = {state}/last_run_summary.yaml" "lastrunreport = {state}/last_run_report.yaml"
"""
_SYSTEMCTL = """#!/bin/sh
case $1 in
    is-active) [ "$2" = puppet.service ] && echo active || {{ echo inactive; exit 3; }} ;;
    list-timers) echo 'Fri 2026-11-27 09:00:00 UTC 30min left - - puppet-run.timer puppet-run.service' ;;
esac
"""


@dataclass(frozen=True, slots=True)
class PuppetHost:
    """Its commands are in ``bin``, the agent's files in ``state``; it runs programs as a shell of a host does."""

    bin: Path
    state: Path

    @classmethod
    def at(cls, directory: Path) -> PuppetHost:
        """Make one with an agent that has never run."""
        host = cls(directory / "bin", directory / "state")
        for each in (host.bin, host.state):
            each.mkdir()
        host.install("puppet", _PUPPET.format(state=host.state))
        host.install("systemctl", _SYSTEMCTL.format())
        return host

    @property
    def command(self) -> str:
        """Its ``puppet``, for another directory of commands."""
        return (self.bin / "puppet").read_text()

    def install(self, name: str, script: str) -> None:
        """Put a command on its path."""
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    def recorded(self, what: str) -> PuppetHost:
        """Give the agent the files of a recording."""
        for path in (RECORDED / what).iterdir():
            # Puppet's own YAML is not in the style of this repository, so its files have another ending here.
            shutil.copy(path, self.state / path.name.replace(".recorded", ".yaml"))
        return self

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run one command there."""
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
        return CommandResult(ended.returncode, ended.stdout, ended.stderr)
