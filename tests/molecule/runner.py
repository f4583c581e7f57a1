"""Runs the molecule scenarios on one lab: tests/molecule/run [SCENARIO…].

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

# In order, and the profile of the lab that runs each by default. The full lab shows that brokers and nova are restarted
# while they use each other; the faults are the engine's, and a lab of brokers shows them sooner.
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
    if odd := there ^ SCENARIOS.keys():
        sys.exit(f"tests/molecule/run and its directories disagree about: {', '.join(sorted(odd))}")
    if unknown := set(arguments.scenarios) - there:
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


def lab_name(environ: Mapping[str, str]) -> str:
    return environ.get("LAB_NAME") or "holdfast"


def evidence(environ: Mapping[str, str]) -> Path:
    """Return the lab's directory for what scenarios leave."""
    lab = environ.get("LAB_DIR") or REPOSITORY / ".lab" / lab_name(environ)
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
        print(f"==> {lab_name(environ)}: {name}", flush=True)
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
    environ = environment()
    if not arguments.no_lab_up:
        subprocess.run(["make", "lab-up"], cwd=REPOSITORY, env=environ, check=True)
    failed = run_all(names, environ)
    good = len(names) - len(failed)
    print(f"{lab_name(environ)}: {good} passed, {len(failed)} failed {' '.join(failed)}".rstrip())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
