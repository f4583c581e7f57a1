"""Put small faults into the critical parts, one at a time, and list those that no test sees.

Called by ``make mutants``. It changes no file: a fault is put into the memory of a process that then runs
the tests that come by the line, the fastest first, until one fails.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.mutants.coverage import Coverage, Recorder, Selection
from tests.mutants.explained import Explained
from tests.mutants.mutations import Mutant, mutants
from tests.mutants.parts import ROOT, Part, chosen
from tests.mutants.worker import QUIET, collect, in_child, run_mutated

COVERAGE_SECONDS = 900
TESTS_SECONDS = 10.0
"""How many seconds of processor a mutant gets: the fastest of the tests that come by its line, at least one."""

PATIENCE = 5
"""A mutant may take as many times the processor of its tests, and as many seconds more: then it never ends."""

BUSY = 10
"""On a busy machine that takes as many times longer; this also ends one that only waits."""

KILLED, SURVIVED, TIMEOUT, UNCOVERED, EXPLAINED = (
    "killed",
    "survived",
    "timeout",
    "no test",
    "explained",
)


@dataclass
class Tally:
    """What became of the mutants so far; it is shown as it grows."""

    outcomes: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def add(self, module: Path, mutant: Mutant, outcome: str) -> None:
        """Count one, and list it where nothing saw it."""
        self.outcomes[outcome] += 1
        if outcome in {SURVIVED, UNCOVERED}:
            _say(describe(module, mutant, outcome))

    def __str__(self) -> str:
        counts = ", ".join(
            f"{self.outcomes[each]} {each}"
            for each in (KILLED, TIMEOUT, SURVIVED, UNCOVERED, EXPLAINED)
        )
        return f"{counts}; {round(time.monotonic() - self.began)} s"


def _say(*lines: object, end: str = "\n") -> None:
    sys.stdout.write("\n".join(map(str, lines)) + end)
    sys.stdout.flush()


def describe(module: Path, mutant: Mutant, outcome: str) -> str:
    """Return where the fault is and how the text changed, on one line each."""
    place = f"{module.relative_to(ROOT)}:{mutant.line}"
    return f"{place}: {outcome}\n  in {mutant.text}\n  -  {mutant.before}\n  +  {mutant.after}"


@cache
def measure(part: Part) -> Coverage:
    """Return what the tests of a part cover; they are imported then.

    Raises:
        RuntimeError: they fail without any fault.
    """

    _say(f"==> {part.path}: the tests without a fault")
    with redirect_stdout(io.StringIO()):
        collect(part.tests)

    def work() -> Coverage:
        import pytest  # noqa: PLC0415 # it is the child's

        recorder = Recorder({str(module) for module in part.modules()})
        pytest.main([*QUIET, *part.arguments], plugins=[recorder])
        return recorder.coverage

    coverage = in_child(work, COVERAGE_SECONDS, COVERAGE_SECONDS)
    if not isinstance(coverage, Coverage) or not coverage.seconds:
        raise RuntimeError(
            f"the tests of {part.path} did not end: run pytest {' '.join(part.tests)}"
        )
    if coverage.failed:
        raise RuntimeError(f"these tests fail without a fault: {', '.join(coverage.failed)}")
    return coverage


def tests_of(coverage: Coverage, module: Path, mutant: Mutant) -> list[str]:
    """Return the tests that come by the mutant's lines, the fastest first, as many as it gets.

    What is done at import no test comes by alone: it is for the module's own tests, by their file's name,
    and then for all tests that come by the module.
    """
    own: set[str] = set()
    if mutant.function is None:
        own = {test for test in coverage.seconds if f"/test_{module.stem}.py::" in test}
        lines = [tests for (file, _), tests in coverage.tests.items() if file == str(module)]
    else:
        lines = [coverage.tests.get((str(module), line), set()) for line in mutant.lines]
    kept: list[str] = []
    seconds = 0.0
    for test in sorted(
        own.union(*lines), key=lambda each: (each not in own, coverage.seconds[each])
    ):
        seconds += coverage.seconds[test]
        if kept and seconds > TESTS_SECONDS:
            break
        kept.append(test)
    return kept


def judge(coverage: Coverage, module: Path, mutant: Mutant) -> str:
    """Run the tests of one mutant; return what became of it."""
    tests = tests_of(coverage, module, mutant)
    if not tests:
        return UNCOVERED
    name = ".".join(module.relative_to(ROOT / "src").with_suffix("").parts)
    files = sorted({test.partition("::")[0] for test in tests})
    seconds = sum(coverage.seconds[test] for test in tests)
    code = in_child(
        lambda: run_mutated(module, name, mutant, files, Selection(tests)),
        PATIENCE * (1 + seconds) * BUSY,
        PATIENCE * (1 + seconds),
    )
    if code is None:
        return TIMEOUT
    return KILLED if code else SURVIVED  # also where the tests cannot be imported or found any more


def require_a_survivor(coverage: Coverage, module: Path) -> None:
    """Judge a module without a fault, in both ways of putting one in.

    Raises:
        RuntimeError: it counts as killed, so others would too, whatever the tests see.
    """
    source = module.read_text()
    known = {each.function for each in mutants(source)}
    for function in {None, min((each for each in known if each), default=None)}:
        lines = range(1, source.count("\n") + 1)
        same = Mutant(lines, function, 1, "", "no fault", "no fault", source)
        if (outcome := judge(coverage, module, same)) != SURVIVED:
            raise RuntimeError(f"{module}: {outcome} without a fault")


def run_modules(
    coverage: Coverage, modules: list[Path], line: int, explained: Explained, tally: Tally
) -> None:
    """Judge every mutant of the modules, or of one line."""
    for module in modules:
        file = str(module.relative_to(ROOT))
        _say(f"==> {file}")
        require_a_survivor(coverage, module)
        for mutant in mutants(module.read_text()):
            if line and mutant.line != line:
                continue
            outcome = judge(coverage, module, mutant)
            if outcome in {SURVIVED, UNCOVERED} and explained.has(file, mutant):
                outcome = EXPLAINED
            tally.add(module, mutant, outcome)
            if sys.stdout.isatty():
                _say(f"\r{tally} ", end="")
        _say(f"<== {file}: {tally}", *explained.not_met(file))


def main(paths: list[str]) -> int:
    """Run the chosen parts; return 1 where a mutant survived that nobody explained."""
    os.chdir(ROOT)
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    os.environ.pop("HOLDFAST_TEST_DATABASES", None)  # SQLite
    explained, tally = Explained.read(), Tally()
    try:
        for part, modules, line in chosen(paths):
            run_modules(measure(part), modules, line, explained, tally)
    except KeyboardInterrupt:
        _say("\nstopped")
    survivors = tally.outcomes[SURVIVED] + tally.outcomes[UNCOVERED]
    _say("", tally)
    if survivors:
        _say(f"Above is each of the {survivors} that no test saw.")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
