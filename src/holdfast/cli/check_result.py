"""What a check has found: the verdicts with what to do about each, as a table, JSON and one line for monitoring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from holdfast.claims import find_claim
from holdfast.errors import InvalidInput
from holdfast.model import Json as Value
from holdfast.model import Outcome
from holdfast.report.event_text import MARKS, TONES, deciding_verdict
from holdfast.report.progress_text import STYLES
from holdfast.report.remedies import fill
from holdfast.report.table import columns
from holdfast.text import count_of, format_duration, one_line

ASK_AGAIN = "holdfast check --wait 1m"
NEXT = "next: "


@dataclass(frozen=True)
class CheckResult:
    """The verdicts of every gate, and messages of the play where it failed otherwise.

    ``hosts`` are all of the site, ``site`` is the site's own name.
    """

    verdicts: tuple[dict[str, Value], ...]
    messages: tuple[str, ...]
    seconds: float
    hosts: tuple[str, ...] = ()
    site: str = ""

    @property
    def outcome(self) -> Outcome:
        """PASS only if something was judged, all of it passed and the play did not fail."""
        outcomes = {Outcome(verdict["outcome"]) for verdict in self.verdicts}
        if Outcome.FAIL in outcomes:
            return Outcome.FAIL
        return Outcome.PASS if outcomes == {Outcome.PASS} and not self.messages else Outcome.UNKNOWN

    def count(self, outcome: Outcome) -> int:
        """Return how many verdicts have this outcome."""
        return sum(verdict["outcome"] == outcome for verdict in self.verdicts)

    def as_json(self) -> Value:
        """Return what ``--json`` prints."""
        verdicts = [
            {**verdict, "next": next_of(verdict)} if _is_bad(verdict) else verdict
            for verdict in self.verdicts
        ]
        printed = {"outcome": self.outcome, "verdicts": verdicts, "messages": self.messages}
        return printed | {"seconds": self.seconds}

    def headline(self) -> str:
        """Return the verdict that decided, in one line, with what to do about it."""
        if decided := deciding_verdict(self.verdicts):
            others = self.count(Outcome(decided["outcome"])) - 1
            more = f" and {others} more" if others else ""
            return f"{decided['claim']}: {decided['message']}{more}; {NEXT}{next_of(decided)}"
        if self.messages:
            return with_next(self.messages[0])
        passed = f"{count_of(len(self.verdicts), 'claim')} passed"
        return passed if self.verdicts else "nothing was judged"


def next_of(verdict: Mapping[str, Value]) -> str:
    """Return what to type or read about a verdict that is no PASS: its own, else its claim's."""
    if found := verdict.get("next"):
        return str(found)
    # A gate that passed and did not settle says so under a name that is no claim's.
    with suppress(InvalidInput):
        remedy = find_claim(verdict["claim"]).remedy
        return fill(remedy, verdict.get("evidence", {}))
    return ASK_AGAIN


def with_next(message: str) -> str:
    """Return a message of the play that ends with what to type, as errors of ours do already."""
    return message if NEXT in message else f"{message}; {NEXT}{ASK_AGAIN}"


def print_result(show: Callable[[RenderableType], object], found: CheckResult) -> None:
    """Print the verdicts for a person; each that is no PASS ends with what to type or read."""
    table = columns("", "claim", "")
    for verdict, more in _by_cause(found.verdicts):
        outcome = Outcome(verdict["outcome"])
        marked = Text(f"{MARKS[outcome]} {outcome}", STYLES[TONES[outcome]])
        claim = Text(one_line(str(verdict["claim"])), "bold")
        message = Text(one_line(str(verdict["message"])))
        if more:
            message.append(f"\nthe same: {', '.join(one_line(each) for each in more)}", "dim")
        if _is_bad(verdict):
            message.append(f"\n{NEXT}{one_line(next_of(verdict))}", "bold")
        table.add_row(marked, claim, message)
    if found.verdicts:
        show(table)
    for text in found.messages:
        said, _, following = with_next(text).partition(NEXT)
        show(Text(said.rstrip("; "), "red").append(f"\n{NEXT}{following}", "bold"))
    passed = f"{found.count(Outcome.PASS)} of {count_of(len(found.verdicts), 'claim')} passed"
    if not found.verdicts:
        passed = "no claim was judged" + "; correct what is named above" * bool(found.messages)
    total = f"\n{found.outcome}: {passed} ({format_duration(found.seconds)})"
    show(Text(total, STYLES[TONES[found.outcome]]))


def _by_cause(verdicts: Iterable[dict[str, Value]]) -> Iterator[tuple[dict[str, Value], list[str]]]:
    """Yield each verdict that says something new, and the names of the other claims that say the same.

    One wrong password is one cause, whatever the number of claims that need it.
    """
    causes: dict[object, list[dict[str, Value]]] = {}
    for number, verdict in enumerate(verdicts):
        cause = (verdict["outcome"], verdict["message"]) if _is_bad(verdict) else number
        causes.setdefault(cause, []).append(verdict)
    for first, *others in causes.values():
        yield first, [str(each["claim"]) for each in others]


def _is_bad(verdict: Mapping[str, Value]) -> bool:
    return Outcome(verdict["outcome"]) is not Outcome.PASS
