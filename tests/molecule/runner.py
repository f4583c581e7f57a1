"""Runs the molecule scenarios on one lab: tests/molecule/run [SCENARIO…].

Brings the lab up, runs the scenarios one after the other, prints the outcome and duration of each, and exits with 1 if
any failed. Molecule's output and the instruments' records are in the lab's directory, under molecule/.
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

# In order, each with the profile of the lab that runs it by default. Brokers and nova are restarted on the full lab,
# where they use each other; scenarios about faults need the brokers alone, whose lab is faster.
SCENARIOS = {
    "rabbitmq-by-hand": "full",
    "nova-engine": "full",
    "rabbitmq-second-fails": "rabbitmq",
    "driver-killed": "rabbitmq",
    "host-unreachable-by-hand": "rabbitmq",
    "host-unreachable-engine": "rabbitmq",
    "late-failure": "rabbitmq",
    "two-operators": "rabbitmq",
    "chat": "rabbitmq",
}
LAST_LINES = 60


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/molecule/run",
        description="Bring a lab up and run scenarios on it, one after the other.",
        epilog="Which lab: LAB_NAME, LAB_RELEASE, LAB_PROFILE, … as for `make lab-up`. It is left up.",
    )
    parser.add_argument(
        "--list", action="store_true", help="list the scenarios that this lab runs, and end"
    )
    parser.add_argument("--no-lab-up", action="store_true", help="do not run `make lab-up` first")
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="default: all that --list shows"
    )
    return parser.parse_args()


def chosen_scenarios(arguments: argparse.Namespace) -> list[str]:
    """Return the scenarios to run, in order; exit if one is unknown or a directory is missing in SCENARIOS."""
    existing = {path.parent.name for path in HERE.glob("*/molecule.yml")}
    if odd := existing ^ SCENARIOS.keys():
        sys.exit(f"tests/molecule/run and its directories disagree about: {', '.join(sorted(odd))}")
    if unknown := set(arguments.scenarios) - existing:
        sys.exit(f"no scenario {', '.join(sorted(unknown))}; there are: {', '.join(SCENARIOS)}")
    profile = os.environ.get("LAB_PROFILE") or "full"
    default = [name for name, lab in SCENARIOS.items() if lab == profile]
    chosen = arguments.scenarios or default
    return [name for name in SCENARIOS if name in chosen]


def environment() -> dict[str, str]:
    return os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "MOLECULE_GLOB": "tests/molecule/*/molecule.yml",
        "NO_COLOR": "1",
    }


def run_scenario(name: str, environ: Mapping[str, str], log: Path) -> bool:
    """Run one scenario with its output in `log`, without molecule's state of earlier runs; return whether it passed."""
    molecule = [str(BIN / "molecule"), "--base-config", str(HERE / "base.yml"), "test"]
    with log.open("w", encoding="utf-8") as out, TemporaryDirectory() as state:
        done = subprocess.run(
            [*molecule, "--scenario-name", name],
            cwd=REPOSITORY,
            env={**environ, "MOLECULE_EPHEMERAL_DIRECTORY": state},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode == 0


def lab_name(environ: Mapping[str, str]) -> str:
    return environ.get("LAB_NAME") or "holdfast"


def evidence(environ: Mapping[str, str]) -> Path:
    """Return the directory of the lab for logs and evidence of scenarios."""
    lab = environ.get("LAB_DIR") or REPOSITORY / ".lab" / lab_name(environ)
    return Path(lab) / "molecule"


def failure_of(log: Path) -> str:
    """Return molecule's output about the first task that failed, or its last lines if none did."""
    lines = log.read_text(encoding="utf-8").splitlines()
    fatal = next((at for at, line in enumerate(lines) if line.startswith("fatal: ")), None)
    if fatal is None:
        return "\n".join(lines[-LAST_LINES:])
    shown = takewhile(lambda line: not line.startswith("PLAY RECAP"), lines[fatal - 3 :])
    return "\n".join(islice(shown, LAST_LINES))


def run_all(names: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Run the scenarios in order, print how each ended, and return those that failed."""
    failed, logs = [], evidence(environ)
    logs.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"==> {lab_name(environ)}: {name}", flush=True)
        began, log = time.monotonic(), logs / f"{name}.log"
        passed = run_scenario(name, environ, log)
        if not passed:
            failed.append(name)
            print(failure_of(log))
        took = f"{time.monotonic() - began:.0f} s"
        print(f"    {'passed' if passed else 'FAILED'} after {took}: {log}", flush=True)
    return failed


def main() -> int:
    """Run the chosen scenarios and return the exit code: 1 if any failed."""
    arguments = parse()
    names = chosen_scenarios(arguments)
    if arguments.list:
        print("\n".join(names))
        return 0
    environ = environment()
    if not arguments.no_lab_up:
        subprocess.run(["make", "lab-up"], cwd=REPOSITORY, env=environ, check=True)
    failed = run_all(names, environ)
    good = len(names) - len(failed)
    print(f"{lab_name(environ)}: {good} passed, {len(failed)} failed {' '.join(failed)}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
