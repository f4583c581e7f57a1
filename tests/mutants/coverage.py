"""Which tests run which lines: a plugin of pytest that traces the modules that are mutated."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the tests do without a fault: their seconds of processor, and by file and line the tests that run it.

    A test that fails without a fault would count as one that sees every fault: none may be in ``failed``.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: list[str] = field(default_factory=list)


class Recorder:
    """Record ``coverage`` of the files while the tests run."""

    def __init__(self, files: Collection[str]) -> None:
        self.coverage = Coverage()
        self._files = files
        self._lines: set[tuple[str, int]] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Trace the test with its fixtures."""
        self._lines.clear()
        began = time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self.coverage.seconds[item.nodeid] = time.process_time() - began
            for line in self._lines:
                self.coverage.tests[line].add(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember which test failed."""
        if report.failed:
            self.coverage.failed.append(report.nodeid)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if file not in self._files:
            return None
        self._lines.add((file, frame.f_lineno))
        return self._trace


class Selection:
    """Run the given tests alone, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep and sort the chosen tests."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )
