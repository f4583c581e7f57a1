"""Runs the molecule scenarios on one lab: tests/molecule/run [--release bookworm|trixie] [SCENARIO…].

Brings the lab up, runs the scenarios one after the other, says how each ended and how long it took, and exits with 1 if
any failed. What molecule printed and what the instruments recorded is under the lab's directory, molecule/<scenario>/.
"""

# ruff: noqa: T201  # a program whose output is its result
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BIN = REPOSITORY / ".venv" / "bin"

# In order: what the others build on comes first.
SCENARIOS = (
    "rabbitmq-by-hand",
    "rabbitmq-second-fails",
    "nova-engine",
    "driver-killed",
    "host-unreachable-by-hand",
    "host-unreachable-engine",
    "late-failure",
    "two-operators",
)
# The second release shows that the same plays restart its services; the faults are the engine's and the same on both.
ON_EVERY_RELEASE = ("rabbitmq-by-hand", "nova-engine")
# Written and not yet seen green from end to end: run by name, and by default once they are.
UNPROVEN = ("rabbitmq-second-fails", "nova-engine", "host-unreachable-by-hand")
RELEASES = ("bookworm", "trixie")
LAST_LINES = 60


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/molecule/run",
        description="Bring a lab up and run scenarios on it, one after the other.",
        epilog="Which lab: LAB_NAME, LAB_SUBNET, … as for `make lab-up`. It is left up.",
    )
    parser.add_argument(
        "--release", choices=RELEASES, default=os.environ.get("LAB_RELEASE") or RELEASES[0]
    )
    parser.add_argument(
        "--list", action="store_true", help="list the scenarios that --release runs, and end"
    )
    parser.add_argument(
        "--no-lab-up", action="store_true", help="the lab is up and whole: do not look"
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="default: all that --list shows"
    )
    return parser.parse_args()


def wanted(arguments: argparse.Namespace) -> list[str]:
    """Return the scenarios to run, in order; refuses unknown ones and a directory that this file forgot."""
    there = {path.parent.name for path in HERE.glob("*/molecule.yml")}
    if there != set(SCENARIOS):
        sys.exit(
            f"tests/molecule/run and its directories disagree about: {', '.join(sorted(there ^ set(SCENARIOS)))}"
        )
    if unknown := set(arguments.scenarios) - there:
        sys.exit(f"no scenario {', '.join(sorted(unknown))}; there are: {', '.join(SCENARIOS)}")
    default = SCENARIOS if arguments.release == RELEASES[0] else ON_EVERY_RELEASE
    chosen = arguments.scenarios or [name for name in default if name not in UNPROVEN]
    return [name for name in SCENARIOS if name in chosen]


def environment(release: str) -> dict[str, str]:
    return os.environ | {
        "LAB_RELEASE": release,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "MOLECULE_GLOB": "tests/molecule/*/molecule.yml",
        "NO_COLOR": "1",
    }


def run_scenario(name: str, environ: Mapping[str, str], log: Path) -> bool:
    """Run one scenario, its output into `log`; molecule remembers nothing of earlier runs."""
    molecule = [str(BIN / "molecule"), "--base-config", str(HERE / "base.yml"), "test"]
    with log.open("w", encoding="utf-8") as out, TemporaryDirectory() as memory:
        done = subprocess.run(
            [*molecule, "--scenario-name", name],
            cwd=REPOSITORY,
            env={**environ, "MOLECULE_EPHEMERAL_DIRECTORY": memory},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode == 0


def evidence(environ: Mapping[str, str]) -> Path:
    """Return the lab's directory for what scenarios leave."""
    lab = environ.get("LAB_DIR") or REPOSITORY / ".lab" / (environ.get("LAB_NAME") or "holdfast")
    return Path(lab) / "molecule"


def why(log: Path) -> str:
    """Return what molecule printed of the first task that failed, or its last lines where it was none."""
    lines = log.read_text(encoding="utf-8").splitlines()
    fatal = next((at for at, line in enumerate(lines) if line.startswith("fatal: ")), None)
    if fatal is None:
        return "\n".join(lines[-LAST_LINES:])
    told = takewhile(lambda line: not line.startswith("PLAY RECAP"), lines[fatal - 3 :])
    return "\n".join(islice(told, LAST_LINES))


def run_all(names: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Run the scenarios in order, tell how each ended, and return those that failed."""
    failed, logs = [], evidence(environ)
    logs.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"==> {environ['LAB_RELEASE']}: {name}", flush=True)
        began, log = time.monotonic(), logs / f"{name}.log"
        passed = run_scenario(name, environ, log)
        if not passed:
            failed.append(name)
            print(why(log))
        took = f"{time.monotonic() - began:.0f} s"
        print(f"    {'passed' if passed else 'FAILED'} after {took}: {log}", flush=True)
    return failed


def main() -> int:
    """Run what was asked for; the exit code is 1 if any scenario failed."""
    arguments = parse()
    names = wanted(arguments)
    if arguments.list:
        print("\n".join(names))
        return 0
    environ = environment(arguments.release)
    if not arguments.no_lab_up:
        subprocess.run(["make", "lab-up"], cwd=REPOSITORY, env=environ, check=True)
    failed = run_all(names, environ)
    good = len(names) - len(failed)
    print(f"{arguments.release}: {good} passed, {len(failed)} failed {' '.join(failed)}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
