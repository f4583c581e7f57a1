"""Which contract stories can see a fault in a file of tasks, and what they say of it.

A play without a fault is recorded: which of its tasks began, and how they ended on each host. A story that does
not come by a task cannot see a fault in it, so it is not run for one.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.mutants.coverage import Selection
from tests.mutants.worker import QUIET, in_child
from tests.mutants.yaml_mutations import YamlMutant

RECORDER = '''\
"""Append what becomes of each task to a file beside this one."""
import os
from ansible.plugins.callback import CallbackBase

RECORD = os.path.join(os.path.dirname(__file__), "record")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "holdfast_recorder"

    def note(self, task, how):
        with open(RECORD, "a") as record:
            record.write(f"{task.get_path()}:{how}\\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.note(task, "began")

    def v2_playbook_on_include(self, included_file):
        self.note(included_file._task, "ran")

    def v2_runner_on_ok(self, result):
        self.note(result.task, "ran")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.note(result.task, "failed")

    def v2_runner_on_unreachable(self, result):
        self.note(result.task, "ran")

    def v2_runner_on_skipped(self, result):
        self.note(result.task, "skipped")
'''
"""A callback plugin; Ansible finds it beside the playbooks, whatever the settings."""

RULES = "tests/content/test_plays.py"
PLUGINS = Path("playbooks", "callback_plugins")
PATIENCE = 3
MEASURE_SECONDS = 1800

Tasks = dict[tuple[str, int], set[str]]
"""By file and first line of a task: how it ended (began, ran, failed, skipped)."""


@dataclass
class Stories:
    """The stories without a fault: their seconds, and the tasks that they come by.

    ``rules`` are tests without plays: they read the files, take milliseconds, and each mutant gets them.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, Tasks] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kills: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def able_to_see(self, file: Path, mutant: YamlMutant) -> list[str]:
        """Return the stories that come by the task as the fault needs it, those first that are fast and see much."""
        found = {test: self._hows(test, str(file), mutant) for test in self.tasks}
        able = [test for test, hows in found.items() if mutant.needs in hows]
        return sorted(able, key=lambda test: (mutant.prefers not in found[test], self._cost(test)))

    def _cost(self, test: str) -> float:
        return self.seconds[test] * (self.runs[test] + 2) / (self.kills[test] + 1)

    def _hows(self, test: str, file: str, mutant: YamlMutant) -> set[str]:
        tasks = self.tasks[test]
        if mutant.static:  # no task of its own: what it imports takes its place
            return {"began", "ran"} if any(name == file for name, _ in tasks) else set()
        return set[str]().union(*(tasks.get((file, line), ()) for line in mutant.lines))

    def judge(self, file: Path, mutant: YamlMutant) -> tuple[str, str]:
        """Run the stories until one fails; return what became of the mutant, and the story that saw it."""
        stories = self.able_to_see(file, mutant)
        tests = [*self.rules, *stories]
        seconds = PATIENCE * sum(self.seconds[test] for test in stories) + 60
        outcome = Outcome()
        answer = in_child(lambda: outcome.of(tests), seconds, seconds)
        if answer is None:
            return "timeout", ""
        ended, failed = answer
        for test in ended:
            self.runs[test] += 1
        if failed:
            self.kills[failed] += 1
            return "killed", failed
        if set(ended) != set(tests):
            return "killed", "their collection"
        return "survived" if stories else "no story", ""


class Outcome:
    """Notes which stories ended, and which failed."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.failed = ""

    def of(self, tests: Sequence[str]) -> tuple[list[str], str]:
        """Run them until one fails."""
        files = sorted({test.partition("::")[0] for test in tests})
        pytest.main([*QUIET, "-x", *files], plugins=[Selection(list(tests)), self])
        return self.ended, self.failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid
        if report.when == "teardown":
            self.ended.append(report.nodeid)


class Recorder:
    """Records ``stories`` while they run."""

    def __init__(self) -> None:
        self.stories = Stories()
        self._record = PLUGINS / "record"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Take the seconds of the story, and what its plays noted."""
        self._record.unlink(missing_ok=True)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            if item.nodeid.startswith(RULES):
                self.stories.rules.append(item.nodeid)
            elif self._record.exists():
                self.stories.seconds[item.nodeid] = time.monotonic() - began
                self.stories.tasks[item.nodeid] = parse(self._record.read_text(), Path.cwd())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember which story failed."""
        if report.failed:
            self.stories.failed.append(report.nodeid)


def parse(record: str, project: Path) -> Tasks:
    """Return the tasks of the project's files."""
    tasks: Tasks = defaultdict(set)
    for line in record.splitlines():
        path, number, how = line.rsplit(":", 2)
        file = Path(os.path.normpath(path))
        if file.is_relative_to(project):
            tasks[str(file.relative_to(project)), int(number)].add(how)
    return dict(tasks)


def measure(arguments: Sequence[str]) -> Stories:
    """Run the stories of a copy of the project, which is the current directory, without a fault.

    Raises:
        RuntimeError: one fails.
    """
    PLUGINS.mkdir(exist_ok=True)
    plugin = PLUGINS / "holdfast_recorder.py"
    plugin.write_text(RECORDER)

    def work() -> Stories:
        recorder = Recorder()
        pytest.main([*QUIET, *arguments], plugins=[recorder])
        return recorder.stories

    stories = in_child(work, MEASURE_SECONDS, MEASURE_SECONDS)
    plugin.unlink()
    if not isinstance(stories, Stories) or not stories.tasks:
        raise RuntimeError(f"the stories did not end: pytest {' '.join(arguments)}")
    if stories.failed:
        raise RuntimeError(f"these fail without a fault: {', '.join(stories.failed)}")
    return stories
