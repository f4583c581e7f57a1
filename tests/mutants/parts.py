"""The parts whose modules are mutated, the most critical first, and the tests that must see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Part:
    """Modules of one directory (or one module), and the tests of it: unit tests and properties.

    Those that begin with one of ``without`` are left out.
    """

    path: str
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Return the arguments of pytest."""
        return [*self.tests, *(f"--deselect={each}" for each in self.without)]

    def modules(self) -> Iterator[Path]:
        """Yield its modules by name; ``__init__`` has nothing to mutate."""
        path = ROOT / self.path
        files = [path] if path.is_file() else path.rglob("*.py")
        yield from sorted(file for file in files if file.name != "__init__.py")


PARTS = (
    Part(
        "src/holdfast/store",
        ("tests/unit/store", "tests/properties/test_never_two_leases.py"),
        # They start interpreters, which are without the fault.
        tuple(
            f"tests/unit/store/test_races.py::{test}"
            for test in (
                "test_one_of_many_takes_the_lease",
                "test_events_of_many_writers_are_numbered_without_gap",
                "test_after_a_stolen_lease_its_former_owner_appends_nothing",
            )
        ),
    ),
    Part(
        "src/holdfast/journal",
        (
            "tests/unit/journal",
            "tests/unit/plan",
            "tests/unit/engine",
            "tests/properties/test_never_decided.py",
        ),
    ),
    Part(
        "src/holdfast/plan",
        (
            "tests/unit/plan",
            "tests/unit/journal",
            "tests/unit/engine",
            "tests/properties/test_never_decided.py",
        ),
    ),
    Part("src/holdfast/judges", ("tests/unit/judges",)),
    Part("src/holdfast/gate_loop.py", ("tests/unit/gate_loop",)),
)


def chosen(paths: Iterable[str]) -> Iterator[tuple[Part, list[Path], int]]:
    """Yield a part, those of its modules that are (below) a path, and the line, 0 for all; all parts without a path.

    A path may end with ``:LINE``.

    Raises:
        ValueError: a path has nothing to mutate.
    """
    for path in paths or [part.path for part in PARTS]:
        place, _, line = path.partition(":")
        whole = (ROOT / place).resolve()
        found = [
            (part, modules, int(line or 0))
            for part in PARTS
            if (modules := [each for each in part.modules() if each.is_relative_to(whole)])
        ]
        if not found:
            parts = ", ".join(part.path for part in PARTS)
            raise ValueError(f"nothing to mutate: {path}; the parts are {parts}")
        yield from found
