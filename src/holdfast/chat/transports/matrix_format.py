"""What Matrix events say and what we mean by it: texts, threads, edits, and emojis for buttons.

Pure. Sources: the Matrix specification, "Instant messaging", "Threading", "Event replacements",
"Event annotations and reactions".
"""

from __future__ import annotations

import html
import mimetypes
import re
from collections.abc import Mapping

from holdfast.chat.transport import Button, Message, Place, Posted
from holdfast.model import Json

BUTTONS = "org.holdfast.buttons"
"""The key of a message's content that says what each emoji stands for."""

_PLAIN = ("\U0001f535", "\U0001f7e1", "\U0001f7e3", "\U0001f7e0", "\U0001f7e4")  # coloured circles
_GOOD = ("\u2705", "\U0001f44d", "\U0001f7e2")
_BAD = ("\u274c", "\U0001f44e", "\U0001f534")
_EMOJIS = {"plain": _PLAIN, "good": _GOOD, "bad": _BAD}
_VARIANTS = re.compile("[\ufe0e\ufe0f]")
_QUOTE = re.compile(r"^> .*\n?", re.MULTILINE)


def bare(emoji: str) -> str:
    """Return an emoji without what says whether it is drawn in colour: clients differ in that."""
    return _VARIANTS.sub("", emoji)


def content(message: Message) -> dict[str, Json]:
    """Return what a message is in Matrix; nothing in it is markup, and nobody is mentioned by it."""
    offered = _offered(message.buttons)
    labels = [f"{emoji} {button.label}" for emoji, button in offered]
    parts = [message.text, "\n".join(labels)]
    plain = "\n".join(filter(None, (message.text, message.code, parts[1])))
    said = "<br>".join(html.escape(message.text).split("\n"))
    code = f"<pre><code>{html.escape(message.code)}</code></pre>" if message.code else ""
    below = "<br>".join(html.escape(label) for label in labels)
    gap = "<br>" if said and below and not code else ""
    return {
        "msgtype": "m.text",
        "body": plain,
        "format": "org.matrix.custom.html",
        "formatted_body": f"{said}{code}{gap}{below}",
        "m.mentions": {},
        **({BUTTONS: {emoji: button.token for emoji, button in offered}} if offered else {}),
    }


def file_content(name: str, size: int, uri: str) -> dict[str, Json]:
    """Return what a file is in Matrix. Clients draw no SVG from others, so it is a file to them."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    drawn = kind.startswith("image/") and kind != "image/svg+xml"
    return {
        "msgtype": "m.image" if drawn else "m.file",
        "body": name,
        "filename": name,
        "url": uri,
        "info": {"mimetype": kind, "size": size},
    }


def in_thread(body: dict[str, Json], place: Place) -> dict[str, Json]:
    """Put a message into the thread of its place."""
    if not place.thread:
        return body
    # Clients without threads show it as an answer to the first message.
    relation = {
        "rel_type": "m.thread",
        "event_id": place.thread,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": place.thread},
    }
    return {**body, "m.relates_to": relation}


def edited(body: dict[str, Json], posted: Posted) -> dict[str, Json]:
    """Return the event that replaces a message; clients without edits show it with a star."""
    relation = {"rel_type": "m.replace", "event_id": posted.ident}
    return {
        **{key: value for key, value in body.items() if key != BUTTONS},
        "body": f"* {body['body']}",
        "m.new_content": body,
        "m.relates_to": relation,
    }


def tokens(event: Mapping[str, Json]) -> dict[str, str]:
    """Return what the emojis of a message stand for, as it was last edited."""
    body = inside(event, "content")
    replaced = inside(inside(inside(event, "unsigned"), "m.relations"), "m.replace")
    latest = inside(replaced, "content") or body
    offered = inside(inside(latest, "m.new_content") or latest, BUTTONS)
    return {bare(str(emoji)): str(token) for emoji, token in offered.items()}


def thread_of(body: Mapping[str, Json]) -> str:
    """Return the first message of the thread a message is in."""
    relation = inside(body, "m.relates_to")
    return str(relation.get("event_id") or "") if relation.get("rel_type") == "m.thread" else ""


def inside(event: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    """Return the object that stands there; an empty one where people sent anything else."""
    value = event.get(key)
    return value if isinstance(value, Mapping) else {}


def spoken(body: Mapping[str, Json], user: str, display_name: str) -> str | None:
    """Return what somebody typed; None for edits, pictures and what bots say."""
    relation = inside(body, "m.relates_to")
    text = body.get("body")
    if (
        body.get("msgtype") != "m.text"
        or relation.get("rel_type") == "m.replace"
        or not isinstance(text, str)
    ):
        return None
    if "m.in_reply_to" in relation and text.startswith("> "):
        text = _QUOTE.sub("", text).lstrip("\n")
    for name in filter(None, (user, display_name, user[1:].partition(":")[0])):
        if text.casefold().startswith(name.casefold()) and not text[len(name) :][:1].isalnum():
            return f"holdfast {text[len(name) :].lstrip(':, ')}"
    return text


def _offered(buttons: tuple[Button, ...]) -> list[tuple[str, Button]]:
    used: set[str] = set()
    offered = []
    for button in buttons:
        free = [each for each in (*_EMOJIS[button.style], *_PLAIN) if each not in used]
        if free:
            used.add(free[0])
            offered.append((free[0], button))
    return offered
