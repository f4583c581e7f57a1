"""Finds one section of a runbook by its name: a heading, or an entry of a list that begins in bold. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.errors import InvalidInput
from holdfast.text import did_you_mean

_HEADING = re.compile(r"(#{1,6}) (.+)")
_ENTRY = re.compile(r"- (?=\*\*)")
_BOLD = re.compile(r"\*\*(.+?):?\*\*")
_NAMES = re.compile(r"- (\*\*.+?\*\*(?:(?:,| and| or) )?)+")


def section_of(text: str, name: str, runbook: str) -> str:
    """Return a section of a runbook's text: to the next heading of its rank, or to the next entry of its list.

    ``name`` is as a link has it: ``if-it-holds``. An entry that begins with several names in bold goes by each.

    Raises:
        InvalidInput: there is none of that name; the message names the nearest.
    """
    lines = text.splitlines()
    known = {slug: lines[begin:end] for slug, begin, end in _sections(lines)}
    if name not in known:
        near = did_you_mean(name, known)
        raise InvalidInput(
            f"{runbook} has no section {name!r}: {near}", remedy=f"holdfast show {runbook}"
        )
    return "\n".join(known[name]).rstrip()


def section_names(text: str, within: str = "") -> list[str]:
    """Return the names of all sections, or of the entries in one of them."""
    found = list(_sections(text.splitlines()))
    if not within:
        return [slug for slug, _, _ in found]
    begin, end = next((b, e) for slug, b, e in found if slug == within)
    return [slug for slug, b, e in found if begin < b and e <= end]


def slug_of(title: str) -> str:
    """Return a title as a link has it: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _sections(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, first line and end of each section; what stands in a block of code is none."""
    fenced = False
    for number, line in enumerate(lines):
        fenced ^= line.startswith("```")
        if fenced:
            continue
        if heading := _HEADING.fullmatch(line):
            rank = len(heading[1])
            yield slug_of(heading[2]), number, _end(lines, number, rf"#{{1,{rank}}} ")
        elif _ENTRY.match(line):
            end = _end(lines, number, r"[^ \n]")
            names = _NAMES.match(" ".join(part.strip() for part in lines[number:end]))
            for bold in _BOLD.findall(names[0] if names else line):
                yield slug_of(bold), number, end


def _end(lines: list[str], begin: int, pattern: str) -> int:
    """Return the number of the first later line that begins so; blocks of code are passed over."""
    fenced = False
    for number, line in enumerate(lines[begin + 1 :], begin + 1):
        fenced ^= line.startswith("```")
        if not fenced and re.match(pattern, line):
            return number
    return len(lines)
