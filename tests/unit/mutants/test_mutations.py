"""Which faults are put in, and that each leaves a module or a file of tasks."""

from __future__ import annotations

import ast

import pytest
import yaml

from tests.mutants import mutations, yaml_mutations
from tests.mutants.parts import ROOT, chosen


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("fence(row)", {"pass"}),
        ("if a <= b: f = 1", {"a < b", "a > b", "2"}),
        ("x = a and b", {"(a)", "(b)"}),
        ("x = a if not b else c", {"(c) if (not b) else (a)", "b"}),
        ("x = [a for a in b if (c)]", {"for a in b", "for a in b if not ((c))"}),
        ("x = a not in (b, c)", {"a in (b, c)", "a not in (c,)", "a not in (b,)"}),
        ("x: int | None = f(a, wait=b)", {"f(a)"}),
        ("for x in y: z = 1", {"()", "2"}),
        ("with a, b as c: x = d", {'__import__("contextlib").nullcontext()'}),
        ("try: x = a\nexcept E: raise", {"()", "pass"}),
        ("x = rows[1:]", {"2", ":"}),
        ('"""A text."""\nx = "a text"', set()),
        ("@decorated(seconds=1)\ndef f(a: A = True) -> B | None: x = a", {"False"}),
    ],
)
def test_the_faults_of_a_statement(source: str, changed: set[str]) -> None:
    found = list(mutations.mutants(source))
    assert {each.after for each in found} == changed
    for each in found:
        assert ast.dump(ast.parse(each.source)) != ast.dump(ast.parse(source))


def test_a_fault_has_the_lines_of_its_statement_and_the_first_of_its_outermost_function() -> None:
    source = "class A:\n    @b\n    def c(self):\n        if d > e:\n            def f():\n                g()\n"
    found = {each.after: (each.lines, each.function) for each in mutations.mutants(source)}
    assert found["d >= e"] == (range(4, 5), 2)
    assert found["pass"] == (range(6, 7), 2)


TASKS = """\
- name: One
  holdfast_act: {act: drain}
  when: # why
    - a is defined
    - b == 'c'

# about the second
- name: Two
  block:
    - name: Three
      ansible.builtin.assert:
        that: d
"""


def test_the_faults_of_a_file_of_tasks() -> None:
    found = {each.what: yaml.safe_load(each.text) for each in yaml_mutations.mutants(TASKS)}
    one, two = yaml.safe_load(TASKS)
    nothing = {"name": "Nothing", "ansible.builtin.meta": "noop"}
    condition = "(a is defined) and (b == 'c')"
    assert found == {
        "task dropped: One": [nothing, two],
        f"when inverted: One: {condition}": [one | {"when": f"not ({condition})"}, two],
        f"when dropped: One: {condition}": [one | {"when": True}, two],
        "task dropped: Two": [one, nothing],
        "swapped: One / Two": [two, one],
        "assert dropped: Three": [one, two | {"block": [nothing]}],
    }


def test_a_path_may_have_a_line_and_one_without_anything_to_mutate_is_an_error() -> None:
    [(part, modules, line)] = chosen(["src/holdfast/store/leases.py:58"])
    assert (modules, line) == ([ROOT / part.path / "leases.py"], 58)
    with pytest.raises(ValueError, match="nothing to mutate: src/holdfast/cli; the parts are src"):
        list(chosen(["src/holdfast/cli"]))
