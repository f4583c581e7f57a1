"""A room's events as messages in order, each as it was last edited. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Event = Mapping[str, Any]
_CODE = re.compile(r"<pre><code>(.*?)</code></pre>", re.DOTALL)


@dataclass(frozen=True)
class TranscriptMessage:
    """One message. ``thread`` is the id of its thread's first message, or empty; ``code`` a part of ``text``."""

    event_id: str
    at: float
    by: str
    text: str
    code: str
    thread: str
    edits: int

    @property
    def moment(self) -> datetime:
        """When it was written."""
        return datetime.fromtimestamp(self.at, UTC)


def messages(events: Sequence[Event]) -> list[TranscriptMessage]:
    """Return a room's messages, oldest first."""
    edits: dict[str, list[Event]] = {}
    for event in events:
        if (edited := _relation(event, "m.replace")) and "m.new_content" in event["content"]:
            edits.setdefault(edited, []).append(event)
    return [
        _message(event, edits.get(event["event_id"], ()))
        for event in events
        if "body" in event["content"] and not _relation(event, "m.replace")
    ]


def newest_thread(transcript: Sequence[TranscriptMessage]) -> list[TranscriptMessage]:
    """Return the newest thread, with its first message; empty if there is none."""
    begun = {each.thread for each in transcript} - {""}
    roots = [each for each in transcript if each.event_id in begun]
    return [
        each for each in transcript if roots and roots[-1].event_id in {each.event_id, each.thread}
    ]


def since_asked(transcript: Sequence[TranscriptMessage], bot: str) -> Iterator[TranscriptMessage]:
    """Yield what the bot wrote after a person last did."""
    asked = max((number for number, each in enumerate(transcript) if each.by != bot), default=-1)
    yield from transcript[asked + 1 :]


def _message(event: Event, edits: Sequence[Event]) -> TranscriptMessage:
    content = edits[-1]["content"]["m.new_content"] if edits else event["content"]
    code = _CODE.search(content.get("formatted_body") or "")
    return TranscriptMessage(
        event_id=event["event_id"],
        at=event["origin_server_ts"] / 1000,
        by=event["sender"].partition(":")[0].removeprefix("@"),
        text=content["body"],
        code=html.unescape(code[1]) if code else "",
        thread=_relation(event, "m.thread"),
        edits=len(edits),
    )


def _relation(event: Event, kind: str) -> str:
    relation = event["content"].get("m.relates_to") or {}
    return str(relation["event_id"]) if relation.get("rel_type") == kind else ""
