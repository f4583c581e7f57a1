"""Draws a thread as a chat client shows it: one SVG, with no script, font or address from outside. Pure.

Code keeps its columns whatever font the reader has: what stands between two spaces or more is placed by its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from holdfast.report.svg import render_svg
from tests.lab.chatroom.transcript import TranscriptMessage

WIDTH, MARGIN, INDENT, FACE = 1000.0, 24.0, 52.0, 34.0  # as in picture.svg.j2
COLUMN = 6.95  # the width of a character of code
LONGEST_TEXT, MOST_LINES = 120, 16
COLOURS = {"holdfast": "#2f66b5", "ada": "#2e8b50", "bob": "#7a4fa3"}
_CHUNK = re.compile(r"\S+(?: \S+)*")


@dataclass(frozen=True)
class _Block:
    """A message's lines as they are drawn: before the code, the code, after it."""

    message: TranscriptMessage
    left: float
    before: Sequence[str]
    code: Sequence[str]
    after: Sequence[str]


def picture(thread: Sequence[TranscriptMessage]) -> str:
    """Return the thread as an SVG document."""
    return render_svg(
        Path(__file__).with_name("picture.svg.j2"),
        blocks=[_block(each) for each in thread],
        chunks=_CHUNK.finditer,
        COLOURS=COLOURS,
        COLUMN=COLUMN,
    )


def _block(message: TranscriptMessage) -> _Block:
    before, _, after = (
        message.text.partition(message.code) if message.code else (message.text, "", "")
    )
    left = MARGIN + INDENT * bool(message.thread)
    columns = int((WIDTH - MARGIN - left - FACE - 20) / COLUMN)
    code = list(_cut(message.code, columns))
    return _Block(message, left, list(_broken(before)), code, list(_broken(after)))


def _broken(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield from wrap(line, LONGEST_TEXT) or [""]


def _cut(code: str, columns: int) -> Iterator[str]:
    lines = code.splitlines()
    for line in lines[:MOST_LINES]:
        yield line if len(line) <= columns else f"{line[: columns - 2]} …"
    if len(lines) > MOST_LINES:
        yield f"… {len(lines) - MOST_LINES} more lines"
