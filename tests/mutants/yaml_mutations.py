"""The small faults that are put into a file of tasks, one at a time: pure, from text to texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import yaml

_LISTS = {"tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"}
_ACTS = (
    "holdfast_act",
    "holdfast_nova_service",
    "holdfast_haproxy",
    "holdfast_commands",
    "holdfast_record",
)
_ASSERTS = ("ansible.builtin.assert", "ansible.builtin.fail")
_IMPORTS = ("ansible.builtin.import_tasks", "ansible.builtin.import_role")
BEGAN, RAN, FAILED, SKIPPED = "began", "ran", "failed", "skipped"
_NOTHING = "- name: Nothing\n  ansible.builtin.meta: noop\n"


@dataclass(frozen=True, slots=True)
class YamlMutant:
    """A file with one fault: what was done to the task that begins in ``line``, or to two in ``lines``.

    A story can see it only where a task in the lines ended as ``needs``, and sees it more likely where
    one ended as ``prefers``. ``static``: the task imports others, which take its place.
    """

    line: int
    what: str
    text: str
    lines: range
    needs: str = BEGAN
    prefers: str = RAN
    static: bool = False


@dataclass(frozen=True, slots=True)
class _Task:
    node: yaml.MappingNode

    @property
    def name(self) -> str:
        named = [value.value for key, value in self.node.value if key.value == "name"]
        return str(named[0]) if named else "a task without a name"

    @property
    def begin(self) -> int:
        """Return the number of its first line, from 0."""
        return self.node.start_mark.line

    def has(self, modules: tuple[str, ...]) -> bool:
        """Return whether it runs one of the modules."""
        return any(key.value in modules for key, _ in self.node.value)


def mutants(text: str) -> Iterator[YamlMutant]:
    """Yield every mutant of a file of tasks or a playbook."""
    lines = text.splitlines(keepends=True)
    for tasks in _task_lists(yaml.compose(text), at_root=True):
        for task in tasks:
            yield from _of_task(lines, task)
        for first, second in pairwise(tasks):
            if first.has(_ACTS) or second.has(_ACTS):
                yield _swapped(lines, first, second)


def _task_lists(node: yaml.Node | None, *, at_root: bool = False) -> Iterator[list[_Task]]:
    """Yield the lists of tasks, also those in blocks; the list at the root unless it is one of plays."""
    if isinstance(node, yaml.SequenceNode):
        entries = [each for each in node.value if isinstance(each, yaml.MappingNode)]
        keys = {key.value for each in entries for key, _ in each.value}
        if at_root and not keys & {"hosts", "import_playbook"} and entries:
            yield [_Task(each) for each in entries]
        for each in entries:
            yield from _task_lists(each)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in _LISTS and isinstance(value, yaml.SequenceNode) and value.value:
                yield [_Task(each) for each in value.value]
                yield from _task_lists(value)


def _of_task(lines: list[str], task: _Task) -> Iterator[YamlMutant]:
    begin, end = task.begin, _end(lines, task.node)
    static = task.has(_IMPORTS)
    of_task = partial(YamlMutant, begin + 1, lines=range(begin + 1, end + 1), static=static)
    # An assert that passes changes nothing, and a condition that is true neither.
    kind, needs = ("assert dropped", FAILED) if task.has(_ASSERTS) else ("task dropped", BEGAN)
    nothing = _indented(_NOTHING, _indent(lines[begin]))
    yield of_task(f"{kind}: {task.name}", _with(lines, begin, end, nothing), needs=needs)
    for key, value in task.node.value:
        if key.value == "when":
            first, last = key.start_mark.line, _end(lines, value)
            conditions = value.value if isinstance(value, yaml.SequenceNode) else [value]
            shown = " and ".join(f"({each.value})" for each in conditions)
            # The first key of a task stands after its dash.
            head = lines[first][: key.start_mark.column]
            inverted = f"{head}when: {_quoted(f'not ({shown})')}\n"
            dropped = f"{head}when: true\n"
            where = f"{task.name}: {shown}"
            yield of_task(f"when inverted: {where}", _with(lines, first, last, inverted))
            text = _with(lines, first, last, dropped)
            yield of_task(f"when dropped: {where}", text, needs=SKIPPED)


def _swapped(lines: list[str], first: _Task, second: _Task) -> YamlMutant:
    middle, end = second.begin, _end(lines, second.node)
    ours, theirs = lines[first.begin : _end(lines, first.node)], lines[middle:end]
    what = f"swapped: {first.name} / {second.name}"
    text = _with(lines, first.begin, end, "".join([*theirs, *ours]))
    return YamlMutant(first.begin + 1, what, text, range(first.begin + 1, end + 1))


def _end(lines: list[str], node: yaml.Node) -> int:
    """Return the number of the line after the node, without the blank and comment lines that follow it."""
    end = node.end_mark.line + (1 if node.end_mark.column else 0)
    if isinstance(node, yaml.MappingNode | yaml.SequenceNode) and not node.flow_style:
        end = min(node.end_mark.line, len(lines))
    while end > node.start_mark.line + 1 and not lines[end - 1].split("#")[0].strip():
        end -= 1
    return end


def _with(lines: list[str], begin: int, end: int, text: str) -> str:
    return "".join([*lines[:begin], text, *lines[end:]])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _indented(text: str, indent: str) -> str:
    return "".join(indent + line for line in text.splitlines(keepends=True))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
