"""Draws a thread as a chat client shows it: one SVG, with no script, font or address from outside. Pure.

Code keeps its columns whatever font the reader has: what stands between two spaces or more is placed by its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from holdfast.report.svg import INK, Pen
from holdfast.report.timeline_svg import BAND, SOFT
from tests.lab.chatroom.transcript import TranscriptMessage

WIDTH, MARGIN, INDENT, FACE = 1000.0, 24.0, 52.0, 34.0
LINE, GAP = 18.0, 14.0
CODE_SIZE, COLUMN = 11.5, 6.95
MONOSPACED = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
LONGEST_TEXT, MOST_LINES = 120, 16
COLOURS = {"holdfast": "#2f66b5", "ada": "#2e8b50", "bob": "#7a4fa3"}
_CHUNK = re.compile(r"\S+(?: \S+)*")


@dataclass(frozen=True)
class _Block:
    """A message's lines as they are drawn: before the code, the code, after it."""

    message: TranscriptMessage
    before: Sequence[str]
    code: Sequence[str]
    after: Sequence[str]

    @property
    def height(self) -> float:
        band = LINE * len(self.code) + GAP if self.code else 0
        return LINE * (1 + len(self.before) + len(self.after)) + band + GAP


def picture(thread: Sequence[TranscriptMessage]) -> str:
    """Return the thread as an SVG document."""
    blocks = [_block(each) for each in thread]
    height = 2 * MARGIN + sum(block.height for block in blocks)
    pen = Pen.document(WIDTH, height, "A run as it looks in chat")
    top = MARGIN
    for block in blocks:
        _message(pen, block, top)
        top += block.height
    if len(blocks) > 1:
        side = (MARGIN + INDENT / 3, MARGIN + blocks[0].height)
        pen.line(side, (side[0], height - MARGIN - GAP), stroke="#d5dbe1", stroke_width="2")
    return pen.to_string()


def _block(message: TranscriptMessage) -> _Block:
    before, _, after = (
        message.text.partition(message.code) if message.code else (message.text, "", "")
    )
    columns = int((WIDTH - MARGIN - _left(message) - FACE - 20) / COLUMN)
    code = list(_cut(message.code, columns))
    return _Block(message, list(_broken(before)), code, list(_broken(after)))


def _left(message: TranscriptMessage) -> float:
    return MARGIN + INDENT * bool(message.thread)


def _message(pen: Pen, block: _Block, top: float) -> None:
    message, x, y = block.message, _left(block.message), top + LINE
    pen.circle((x + 12, y - 4), 12, fill=COLOURS.get(message.by, SOFT))
    pen.text((x + 12, y), message.by[:1].upper(), 12, fill="#ffffff", anchor="middle")
    edited = "  (edited)" * bool(message.edits)
    pen.text((x + FACE, y), message.by, 13, font_weight="650")
    pen.text((x + FACE + 70, y), f"{message.moment:%H:%M:%S}{edited}", 11, fill=SOFT)
    x += FACE
    y = _texts(pen, block.before, x, y)
    if block.code:
        size = (WIDTH - MARGIN - x, LINE * len(block.code) + GAP - 6)
        pen.box((x, y + 6), size, fill=BAND, radius=6)
        y = _code(pen, block.code, x + 10, y + 3) + GAP - 3
    _texts(pen, block.after, x, y)


def _texts(pen: Pen, lines: Sequence[str], x: float, y: float) -> float:
    for line in lines:
        y += LINE
        pen.text((x, y), line, 13)
    return y


def _code(pen: Pen, lines: Sequence[str], x: float, y: float) -> float:
    for line in lines:
        y += LINE
        for chunk in _CHUNK.finditer(line):
            at = (x + chunk.start() * COLUMN, y)
            long = f"{len(chunk[0]) * COLUMN:.1f}"
            style = {
                "font_family": MONOSPACED,
                "textLength": long,
                "lengthAdjust": "spacingAndGlyphs",
            }
            pen.text(at, chunk[0], CODE_SIZE, fill=INK, **style)
    return y


def _broken(text: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield from wrap(line, LONGEST_TEXT) or [""]


def _cut(code: str, columns: int) -> Iterator[str]:
    lines = code.splitlines()
    for line in lines[:MOST_LINES]:
        yield line if len(line) <= columns else f"{line[: columns - 2]} …"
    if len(lines) > MOST_LINES:
        yield f"… {len(lines) - MOST_LINES} more lines"
