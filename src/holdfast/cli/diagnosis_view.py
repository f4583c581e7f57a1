"""What ``holdfast diagnose`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from holdfast.diagnosis import Diagnoses
from holdfast.diagnosis.lines import headline, show_command
from holdfast.diagnosis.model import Diagnosis, VerdictJson
from holdfast.report.table import labelled_rows
from holdfast.text import count_of, join_names, one_line

_MOST = 5
"""So many lines of evidence, and of what nothing explains, are shown."""


def full_view(
    found: Diagnoses, judged: int, seconds: str, next_of: Callable[[VerdictJson], str]
) -> RenderableType:
    """Return what ``holdfast diagnose`` prints; ``next_of`` says what to do about a verdict that nothing explains."""
    head = _command(headline(found, judged))
    head.stylize("green" if found.all_is_well(judged) else "red")
    parts: list[RenderableType] = [head]
    if found.causes:
        first = found.causes[0]
        shown = ("next", *first.next[:1]), ("read", show_command(first))
        parts += [_command(f"{': '.join(words)}") for words in shown if words[1:]]
    for cause in found.causes:
        parts += [Text(), Text(cause.kind.name, "bold"), labelled_rows(_rows(cause))]
    if found.unexplained:
        title = "not explained by that" if found.causes else "what is not well"
        parts += [Text(), Text(title, "bold"), labelled_rows(_rest(found.unexplained, next_of))]
    if found.unsaid:
        parts += [Text(), Text("what was not judged", "bold"), labelled_rows(_unsaid(found))]
    parts.append(
        Text(
            f"\n{count_of(judged, 'claim')} judged ({seconds}); after the repair: holdfast diagnose",
            "dim",
        )
    )
    return Group(*parts)


def _command(text: str) -> Text:
    """Return a line that is not broken, to be copied."""
    return Text(one_line(text), "bold", no_wrap=True, overflow="ignore")


def _rows(cause: Diagnosis) -> Iterator[tuple[str, Text]]:
    yield "cause", Text(one_line(cause.line), "red")
    for number, each in enumerate(cause.evidence[:_MOST]):
        yield "" if number else "evidence", Text(one_line(each))
    if len(cause.evidence) > _MOST:
        yield "", Text(f"and {len(cause.evidence) - _MOST} more", "dim")
    if cause.explains:
        names = join_names(dict.fromkeys(map(one_line, cause.explains)))
        yield "explains", Text(f"{len(cause.explains)} more: {names}")
    for number, each in enumerate(cause.rules_out):
        yield "" if number else "rules out", Text(one_line(each))
    for number, each in enumerate(cause.next):
        yield "" if number else "next", Text(one_line(each), "bold")
    yield "read", Text(show_command(cause), "bold")


def _unsaid(found: Diagnoses) -> Iterator[tuple[str, Text]]:
    for each in found.unsaid[:_MOST]:
        yield "message", Text(one_line(each), "red")
    if len(found.unsaid) > _MOST:
        yield "", Text(f"and {len(found.unsaid) - _MOST} more: holdfast check", "dim")


def _rest(
    verdicts: Sequence[VerdictJson], next_of: Callable[[VerdictJson], str]
) -> Iterator[tuple[str, Text]]:
    for each in verdicts[:_MOST]:
        text = Text(f"{each['outcome']} {one_line(str(each['message']))}")
        yield str(each["claim"]), text.append(f"\nnext: {one_line(next_of(each))}", "bold")
    if len(verdicts) > _MOST:
        yield "", Text(f"and {len(verdicts) - _MOST} more: holdfast check", "dim")
