"""Put small faults into the acting YAML, one at a time, and list those that no contract story sees.

Called by ``make mutants ROLE=rabbitmq``. It works on a copy of the project: plays read files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.mutants.parts import ROOT
from tests.mutants.yaml_mutations import YamlMutant, mutants

FILE = Path(__file__).with_name("explained_yaml.yml")
BROKERS = ("tests/contract/test_brokers.py", "-k", "real or given_back or exchanged")
NOVA = ("tests/contract/test_nova.py", "-k", "real or people")
UNITS = ("tests/contract/test_runners.py", "tests/contract/test_by_hand.py", "-k", "not fake")
ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rabbitmq": (("roles/rabbitmq/tasks", "playbooks/rabbitmq_restart.yml"), BROKERS),
    "nova": (("roles/nova/tasks", "playbooks/parts/nova_layer.yml"), NOVA),
    "systemd_unit": (("roles/systemd_unit/tasks", "playbooks/unit_restart.yml"), UNITS),
    "holdfast_run": (("roles/holdfast_run/tasks", "playbooks/tasks", "playbooks/parts"), UNITS),
}
"""The files of a role, with the playbook that runs it, and the stories that do so for real."""

PATIENCE = 3
"""A mutant gets as many times the seconds that the stories take without a fault, and 30 more."""


def main() -> int:
    """Run the mutants of a role; return 1 where one survived that nobody explained."""
    parser = argparse.ArgumentParser(prog="make mutants ROLE=")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument(
        "--every", type=int, default=1, help="take each n-th mutant alone, from the first"
    )
    parser.add_argument("--only", default="", help="a part of a file's path")
    given = parser.parse_args()
    paths, stories = ROLES[given.role]
    found = [each for each in _found(paths) if given.only in str(each[0])][:: given.every]
    with tempfile.TemporaryDirectory(prefix="holdfast-mutants-") as directory:
        copy = Path(directory)
        _copy(copy)
        began = time.monotonic()
        if _run(copy, stories, 900) != 0:
            sys.exit(f"the stories fail without a fault: pytest {' '.join(stories)}")
        seconds = time.monotonic() - began
        _say(f"{len(found)} mutants; the stories take {seconds:.0f} s without a fault")
        return _judge_all(copy, found, stories, PATIENCE * seconds + 30)


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _judge_all(
    copy: Path, found: list[tuple[Path, YamlMutant]], stories: tuple[str, ...], patience: float
) -> int:
    explained = {(each["file"], each["what"]) for each in yaml.safe_load(FILE.read_text()) or []}
    outcomes, listed, began = Counter[str](), [], time.monotonic()
    for number, (file, mutant) in enumerate(found, start=1):
        (copy / file).write_text(mutant.text)
        code = _run(copy, stories, patience)
        shutil.copy(ROOT / file, copy / file)
        outcome = "timeout" if code is None else "killed" if code else "survived"
        if outcome == "survived" and (str(file), mutant.what) in explained:
            outcome = "explained"
        outcomes[outcome] += 1
        _say(f"{number}/{len(found)} {outcome}: {file}:{mutant.line} {mutant.what}")
        if outcome == "survived":
            listed.append(f"{file}:{mutant.line} {mutant.what}")
    _say("", *listed, "")
    counts = ", ".join(f"{count} {each}" for each, count in outcomes.items())
    _say(f"{counts}; {time.monotonic() - began:.0f} s")
    return 1 if listed else 0


def _found(paths: tuple[str, ...]) -> Iterator[tuple[Path, YamlMutant]]:
    """Yield every mutant with its file, relative to the project."""
    for path in paths:
        place = ROOT / path
        for file in sorted(place.glob("*.yml")) if place.is_dir() else [place]:
            for mutant in mutants(file.read_text()):
                yield file.relative_to(ROOT), mutant


def _copy(to: Path) -> None:
    """Copy the project's files, with what is not committed yet."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)


def _run(copy: Path, stories: tuple[str, ...], seconds: float) -> int | None:
    """Return how the stories ended, stopped at the first failure; None if they took longer."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *stories]
    with subprocess.Popen(
        command,
        cwd=copy,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"CI": "1"},
    ) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
