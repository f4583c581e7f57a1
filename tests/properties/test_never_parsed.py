"""What never happens when a runbook is read: another error than its own, or one that names no line of it."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, InvalidInput
from holdfast.runbook.model import Runbook
from holdfast.runbook.parser import parse_runbook

RUNBOOKS = [path.read_text("utf-8") for path in sorted(Path("runbooks").glob("*.md"))]
LINES = st.sampled_from(
    ["---", "```step", "```", "## 1. Again", "## Last", "roll: x.yml", "hosts: [", "batch: -1", "\t- x",
     "inputs: {a: 1}", "# one", "since: 2026-13-45",
     "settle: {seconds: .inf}", "a: &a [*a]", "? !!python/object:os.system x"]
)  # fmt: skip


@st.composite
def changed_runbooks(draw: st.DrawFn) -> str:
    """Return a shipped runbook with lines taken out, repeated, exchanged or added."""
    lines = draw(st.sampled_from(RUNBOOKS)).splitlines()
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        lines[at : at + draw(st.integers(0, 3))] = draw(
            st.lists(LINES | st.just(lines[at]) | st.text(max_size=20), max_size=2)
        )
        lines = lines or [""]
    return "\n".join(lines)


def parsed(text: str) -> Runbook | HoldfastError:
    try:
        return parse_runbook("the.md", text)
    except InvalidInput as error:
        return error


@given(changed_runbooks() | st.text())
def test_a_wrong_runbook_is_never_another_error_than_invalid_input_with_file_and_line(
    text: str,
) -> None:
    result = parsed(text)
    if isinstance(result, HoldfastError):
        found = re.match(r"the\.md:(\d+)", result.message)
        assert found, result.message
        assert 1 <= int(found[1]) <= max(len(text.splitlines()), 1)


@given(changed_runbooks())
def test_a_runbook_that_is_accepted_never_lacks_a_step_or_what_to_do_if_it_holds(text: str) -> None:
    result = parsed(text)
    if isinstance(result, Runbook):
        assert [step.number for step in result.steps] == list(range(1, len(result.steps) + 1))
        assert result.steps
        assert result.if_it_holds
