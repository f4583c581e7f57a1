"""Which tests a mutant gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutants import __main__ as run
from tests.mutants.coverage import Coverage
from tests.mutants.mutations import Mutant

MODULE = Path("/src/plan/model.py")
SLOW, FAST, OWN, OTHER = "a.py::slow", "a.py::fast", "plan/test_model.py::own", "b.py::other"
COVERAGE = Coverage(
    seconds={
        SLOW: 0.9 * run.TESTS_SECONDS,
        FAST: 0.2 * run.TESTS_SECONDS,
        OWN: 0.3 * run.TESTS_SECONDS,
        OTHER: 0.1,
    },
    tests={(str(MODULE), 3): {SLOW, FAST}, ("/src/another.py", 3): {OTHER}},
)


@pytest.mark.parametrize(
    ("function", "line", "chosen"),
    [(2, 3, [FAST]), (2, 4, []), (None, 4, [OWN, FAST])],
)
def test_a_fault_gets_the_fastest_tests_of_its_line_and_one_at_import_first_those_of_its_module(
    function: int | None, line: int, chosen: Sequence[str]
) -> None:
    mutant = Mutant(range(line, line + 1), function, line, "", "", "", "")
    assert run.tests_of(COVERAGE, MODULE, mutant) == chosen
