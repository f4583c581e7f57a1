"""Matrix events: message contents, threads, edits, and emojis for buttons. Pure.

Sources: the Matrix specification, "Instant messaging", "Threading", "Event replacements", "Event
annotations and reactions".
"""

from __future__ import annotations

import html
import mimetypes
import re
from collections.abc import Mapping
from urllib.parse import quote

from holdfast.chat.transport import Button, Location, Message, Posted
from holdfast.chat.transports.base import replace_mention
from holdfast.model import Json

BUTTONS = "org.holdfast.buttons"
"""The key of a message's content that maps its emojis to buttons' tokens."""

_PLAIN = ("\U0001f535", "\U0001f7e1", "\U0001f7e3", "\U0001f7e0", "\U0001f7e4")  # coloured circles
_GOOD = ("\u2705", "\U0001f44d", "\U0001f7e2")
_BAD = ("\u274c", "\U0001f44e", "\U0001f534")
_EMOJIS = {"plain": _PLAIN, "good": _GOOD, "bad": _BAD}
_VARIANTS = re.compile("[\ufe0e\ufe0f]")
_QUOTE = re.compile(r"^> .*\n?", re.MULTILINE)


def plain_emoji(emoji: str) -> str:
    """Return an emoji without its variation selectors: clients differ in them."""
    return _VARIANTS.sub("", emoji)


def message_content(message: Message) -> dict[str, Json]:
    """Return the content of a message; nothing in it is markup, and it mentions nobody but ``mentions``."""
    offered = _offered(message.buttons)
    labels = [f"{emoji} {button.label}" for emoji, button in offered]
    text, below = (
        "<br>".join(map(html.escape, lines)) for lines in (message.text.split("\n"), labels)
    )
    code = f"<pre><code>{html.escape(message.code)}</code></pre>" if message.code else ""
    gap = "<br>" if text and below and not code else ""
    people = [each.removeprefix("matrix:") for each in message.mentions]
    pills = " ".join(
        f'<a href="https://matrix.to/#/{quote(each)}">{html.escape(each)}</a>' for each in people
    )
    return {
        "msgtype": "m.text",
        "body": "\n".join(filter(None, (message.text, message.code, *labels, " ".join(people)))),
        "format": "org.matrix.custom.html",
        "formatted_body": f"{text}{code}{gap}{below}{'<br>' * bool(pills)}{pills}",
        "m.mentions": {"user_ids": people} if people else {},
        **({BUTTONS: {emoji: button.token for emoji, button in offered}} if offered else {}),
    }


def file_content(name: str, size: int, uri: str) -> dict[str, Json]:
    """Return the content of a file's message."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {
        "msgtype": "m.image" if kind.startswith("image/") else "m.file",
        "body": name,
        "filename": name,
        "url": uri,
        "info": {"mimetype": kind, "size": size},
    }


def in_thread(content: dict[str, Json], location: Location) -> dict[str, Json]:
    """Return the content as a message of its location's thread."""
    if not location.thread:
        return content
    # Clients without threads show it as an answer to the first message.
    relation = {
        "rel_type": "m.thread",
        "event_id": location.thread,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": location.thread},
    }
    return {**content, "m.relates_to": relation}


def edit_content(content: dict[str, Json], posted: Posted) -> dict[str, Json]:
    """Return the content of the event that replaces a message; clients without edits show a star."""
    return {
        **{key: value for key, value in content.items() if key != BUTTONS},
        "m.mentions": {},
        "body": f"* {content['body']}",
        "m.new_content": content,
        "m.relates_to": {"rel_type": "m.replace", "event_id": posted.message_id},
    }


def tokens(event: Mapping[str, Json]) -> dict[str, str]:
    """Return the buttons' tokens by emoji, as the message was last edited."""
    content = nested(event, "content")
    replaced = nested(nested(nested(event, "unsigned"), "m.relations"), "m.replace")
    latest = nested(replaced, "content") or content
    offered = nested(nested(latest, "m.new_content") or latest, BUTTONS)
    return {plain_emoji(str(emoji)): str(token) for emoji, token in offered.items()}


def thread_of(content: Mapping[str, Json]) -> str:
    """Return the first message of the thread that a message is in, or ""."""
    relation = nested(content, "m.relates_to")
    return str(relation.get("event_id") or "") if relation.get("rel_type") == "m.thread" else ""


def nested(event: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    """Return the object under a key; an empty one where people sent anything else."""
    value = event.get(key)
    return value if isinstance(value, Mapping) else {}


def message_text(content: Mapping[str, Json], user: str, display_name: str) -> str | None:
    """Return what somebody typed, a mention of the bot as ``holdfast``; None for edits and pictures."""
    relation = nested(content, "m.relates_to")
    text = content.get("body")
    if (
        content.get("msgtype") != "m.text"
        or relation.get("rel_type") == "m.replace"
        or not isinstance(text, str)
    ):
        return None
    if "m.in_reply_to" in relation and text.startswith("> "):
        text = _QUOTE.sub("", text).lstrip("\n")
    return replace_mention(text, (user, display_name, user[1:].partition(":")[0]))


def _offered(buttons: tuple[Button, ...]) -> list[tuple[str, Button]]:
    offered: dict[str, Button] = {}
    for button in buttons:
        emojis = (*_EMOJIS[button.style], *_PLAIN)
        if free := next((emoji for emoji in emojis if emoji not in offered), ""):
            offered[free] = button
    return list(offered.items())
