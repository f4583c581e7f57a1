"""A boot test in lines for people: by hand, and below the table of the command line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.boots.model import BootTest
from holdfast.boots.summary import (
    Ending,
    conflicts_since,
    count,
    end_of,
    kinds,
    times,
)
from holdfast.text import count_of, format_duration, join_names

HEADLINES = {
    Ending.WITHIN: "within its limits",
    Ending.EXCEEDED: "NOT within its limits",
    Ending.STOPPED: "stopped",
    Ending.UNKNOWN: "outcome not known",
}


def headline(test: BootTest) -> str:
    """Return the first line: ``3 of 726 servers failed: 3 deadlock``, and what that means."""
    failed, asked = count(test, "failed"), len(test.boots)
    said = f"{failed} of {count_of(asked, 'server')} failed"
    found = ", ".join(f"{len(boots)} {kind}" for kind, boots in kinds(test).items())
    said += f" ({found})" if found else ""
    unknown = count(test, "unknown")
    said += f", of {unknown} the end is not known" if unknown else ""
    return f"{said}; {test.options.failures} may fail: {HEADLINES[end_of(test)]}"


def summary_lines(test: BootTest, last: BootTest | None) -> Iterator[str]:
    """Yield a test's lines; ``last`` is the one before it at the site."""
    yield f"{test.id}: {headline(test)}"
    if found := times(test):
        spans = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in found.items())
        yield f"until ACTIVE: {spans}"
    yield from _conflicts(test)
    for host, why in test.left_out.items():
        yield f"left out: {host} ({why})"
    yield _compared(last)
    if test.stopped:
        yield f"stopped: {test.stopped}; {count(test, 'not_asked')} not asked for"
    if test.left or test.ended is None:
        left = join_names(test.left) or "not known, it did not end"
        yield f"left: {left}"


def _conflicts(test: BootTest) -> Iterator[str]:
    for host, since in conflicts_since(test.conflicts).items() if test.conflicts else ():
        if isinstance(since, str):
            yield f"{host}: conflicts not known: {since}"
        else:
            parts = (
                f"{since['failures']} certification failures",
                f"{since['aborts']} aborts by replication",
                f"{since['deadlocks']} deadlocks of InnoDB",
            )
            yield f"{host}: {', '.join(parts)} meanwhile"


def _compared(last: BootTest | None) -> str:
    if last is None:
        return "the first test of this site here"
    before = f"{count(last, 'failed')} of {len(last.boots)} failed"
    found = times(last)
    median = f", median {format_duration(found['median'])}" if found else ""
    return f"the last, {last.id}: {before}{median}"
