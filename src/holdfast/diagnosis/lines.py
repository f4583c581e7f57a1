"""A diagnosis in few words: its first line, and the two lines that a hold prints."""

from __future__ import annotations

from holdfast.diagnosis import Diagnoses
from holdfast.diagnosis.model import Diagnosis
from holdfast.model import Outcome
from holdfast.text import count_of, join_names, one_line


def headline(found: Diagnoses, judged: int) -> str:
    """Return the first line: the cause, or all causes where there are several."""
    causes = found.causes
    if len(causes) == 1:
        return one_line(causes[0].line)
    if causes:
        return one_line(f"{len(causes)} causes: {'; '.join(each.line for each in causes)}")
    return _without_cause(found, judged)


def _without_cause(found: Diagnoses, judged: int) -> str:
    number, of = len(found.unexplained), count_of(judged, "claim")
    failed = any(each["outcome"] == Outcome.FAIL for each in found.unexplained)
    if found.unsaid and not failed:
        more = f" and {len(found.unsaid) - 1} more" if found.unsaid[1:] else ""
        return f"not known: {one_line(found.unsaid[0])}{more}"
    if not judged:
        return "nothing was judged, so nothing is known"
    if number and not failed:
        return f"not known: {number} of {of} got no answer, and nothing failed; ask again"
    if number:
        return f"no cause that is known matches: {number} of {of} did not pass"
    if found.left_out:
        return f"nothing is wrong, without what people took out: {join_names(found.left_out)}"
    return f"nothing is wrong: {of} passed"


def two_lines(found: Diagnoses, judged: int) -> list[tuple[str, str]]:
    """Return what a hold prints, by a label: the cause, and the section about it."""
    lines = [("diagnosis", headline(found, judged))]
    return [*lines, *(("see also", show_command(each)) for each in found.causes[:1])]


def show_command(cause: Diagnosis) -> str:
    """Return the command that shows the section about a cause."""
    return f"holdfast show {cause.kind.section}"
