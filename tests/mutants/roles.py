"""Put small faults into the acting YAML, one at a time, and list those that no contract story sees.

Called by ``make mutants ROLE=rabbitmq``. It works in a copy of the project: plays read files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import yaml

from tests.mutants.parts import ROOT
from tests.mutants.stories import RULES, Stories, measure
from tests.mutants.worker import collect
from tests.mutants.yaml_mutations import YamlMutant, mutants

FILE = Path(__file__).with_name("explained_yaml.yml")
UNITS = tuple(f"tests/contract/test_{name}.py" for name in ("runners", "by_hand", "engine"))
REFUSALS = tuple(f"playbooks/parts/refuse_{name}.yml" for name in ("nobody", "nothing"))
ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rabbitmq": (
        ("roles/rabbitmq/tasks", "playbooks/rabbitmq_restart.yml"),
        ("tests/contract/test_brokers.py",),
    ),
    "nova": (
        ("roles/nova/tasks", "playbooks/parts/nova_layer.yml"),
        ("tests/contract/test_nova.py",),
    ),
    "systemd_unit": (("roles/systemd_unit/tasks", "playbooks/unit_restart.yml"), UNITS),
    "holdfast_run": (("roles/holdfast_run/tasks", "playbooks/tasks", *REFUSALS), UNITS),
}
"""The files of a role, with the playbook that runs it, and the stories that do so for real."""

SURVIVED = ("survived", "no story")


def main() -> int:
    """Judge the mutants of a role in a copy of the project; return 1 where one survived that nobody explained."""
    parser = argparse.ArgumentParser(prog="make mutants ROLE=")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument(
        "--every", type=int, default=1, help="take each n-th mutant alone, from the first"
    )
    parser.add_argument("--only", default="", help="FILE or FILE:LINE, or the end of it")
    parser.add_argument("--in-copy", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_copy:
        return _judge_in_copy(given.role, given.only, given.every)
    with tempfile.TemporaryDirectory(prefix="holdfast-mutants-") as directory:
        _copy(Path(directory))
        again = [sys.executable, "-m", "tests.mutants.roles", *sys.argv[1:], "--in-copy"]
        return subprocess.run(again, cwd=directory, check=False).returncode


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _judge_in_copy(role: str, only: str, every: int) -> int:
    paths, stories_of_role = ROLES[role]
    arguments = (RULES, *stories_of_role)
    found = [each for each in _found(paths) if _is_meant(*each, only)][::every]
    os.environ |= {"CI": "1"}
    with redirect_stdout(StringIO()):
        collect(arguments)
    began = time.monotonic()
    stories = measure(arguments)
    seconds = time.monotonic() - began
    _say(f"{len(found)} mutants; the stories take {seconds:.0f} s without a fault")
    return _judge_all(found, stories)


def _is_meant(file: Path, mutant: YamlMutant, only: str) -> bool:
    return not only or str(file).endswith(only) or f"{file}:{mutant.line}".endswith(only)


def _judge_all(found: list[tuple[Path, YamlMutant]], stories: Stories) -> int:
    explained = {(each["file"], each["what"]) for each in yaml.safe_load(FILE.read_text()) or []}
    outcomes, listed, began = Counter[str](), [], time.monotonic()
    for number, (file, mutant) in enumerate(found, start=1):
        healthy = file.read_text()
        file.write_text(mutant.text)
        outcome, story = stories.judge(file, mutant)
        file.write_text(healthy)
        if outcome in SURVIVED and (str(file), mutant.what) in explained:
            outcome = "explained"
        outcomes[outcome] += 1
        seen = f" by {story.partition('::')[2]}" if story else ""
        _say(f"{number}/{len(found)} {outcome}{seen}: {file}:{mutant.line} {mutant.what}")
        if outcome in SURVIVED:
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
    """Copy the project's files, with what is not committed yet; the rules ask git which files there are."""
    subprocess.run(["git", "init", "--quiet", str(to)], check=True)
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)


if __name__ == "__main__":
    sys.exit(main())
