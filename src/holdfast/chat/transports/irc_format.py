"""What goes over IRC: messages as lines that fit, and our own name undone.

Pure. Source: RFC 2812, 2.3: a line is 512 bytes, of which the server takes some for who says it where.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.chat.transport import Message
from holdfast.text import strip_control

LINE_BYTES = 380


def lines(message: Message) -> list[str]:
    """Return the lines of a message; a long one is continued, between words where it has any."""
    text = "\n".join(filter(None, (message.text, message.code)))
    return [
        part for line in strip_control(text).split("\n") if line.strip() for part in _fitting(line)
    ]


def mentioned(text: str, nick: str) -> str:
    """Return what somebody said, the bot's own nickname at its start as ``holdfast``."""
    rest = text[len(nick) :]
    if text.casefold().startswith(nick.casefold()) and rest[:1] in {"", ":", ",", " "}:
        return f"holdfast {rest.lstrip(':, ')}"
    return text


def _fitting(line: str) -> Iterator[str]:
    while len(line.encode()) > LINE_BYTES:
        most = line.encode()[:LINE_BYTES].decode(errors="ignore")
        kept, space, _ = most.rpartition(" ")
        part = kept if space and kept.strip() else most
        yield part
        line = line[len(part) :].lstrip(" ")
    yield line
