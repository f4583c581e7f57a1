"""What Slack writes and what we mean by it: links undone, blocks made, clicks and keys read.

Pure. Text goes out as ``rich_text``, whose elements Slack shows as they are.
"""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import PurePath

from holdfast.chat.transport import Button, Message, Person, Place, Posted, Pressed
from holdfast.model import Json

EVENT_TYPE = "holdfast_post"
ACTION = re.compile(r"^holdfast\.press\.\d+$")
_STYLES = {"good": "primary", "bad": "danger"}
_LINK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")


def spoken(text: str, bot: str) -> str:
    """Return what somebody typed, from what Slack made of it: links, mentions and entities undone.

    Slack writes a host name as a link to itself (``<http://db1.example.org|db1.example.org>``).
    Source: Slack's documentation, "Formatting text for app surfaces", "Retrieving messages".
    """

    def typed(match: re.Match[str]) -> str:
        target, label = match[1], match[2]
        if target in {f"@{bot}", "@"} and bot:
            return "holdfast"
        if target.startswith("!"):
            return "@" + target[1:].split("^")[0]
        if target.startswith(("@", "#")):
            return target[0] + (label or target[1:])
        return label or target.removeprefix("mailto:")

    return html.unescape(_LINK.sub(typed, text))


def pressed(body: dict[str, Json]) -> Pressed:
    """Return what a click means; it has no id of its own, so one is made of what stays the same."""
    action, box, user = body["actions"][0], body["container"], body["user"]
    team = user.get("team_id") or (body.get("team") or {}).get("id")
    message = body.get("message") or {}
    thread = box.get("thread_ts") or message.get("thread_ts") or ""
    ident = f"{team}/{box['channel_id']}/{box['message_ts']}/{user['id']}/{action['action_ts']}"
    return Pressed(
        ident,
        Person(f"slack:{team}/{user['id']}", str(user.get("name") or user["id"])),
        Place(str(box["channel_id"]), str(thread)),
        str(action["value"]),
    )


def content(message: Message) -> dict[str, Json]:
    """Return the arguments that write a message."""
    elements: list[Json] = []
    if message.text:
        elements.append({"type": "rich_text_section", "elements": [_literal(message.text)]})
    if message.code:
        elements.append({"type": "rich_text_preformatted", "elements": [_literal(message.code)]})
    blocks: list[Json] = [{"type": "rich_text", "elements": elements}] if elements else []
    if message.buttons:
        drawn = [_button(number, button) for number, button in enumerate(message.buttons)]
        blocks.append({"type": "actions", "elements": drawn})
    # What notifications and screen readers take; it is markup, so what would be one is escaped.
    plain = html.escape(message.text or message.code, quote=False)
    return {"text": plain, "blocks": blocks, "parse": "none", "link_names": False}


def _literal(text: str) -> Json:
    return {"type": "text", "text": text}


def _button(number: int, button: Button) -> Json:
    style = _STYLES.get(button.style)
    return {
        "type": "button",
        "action_id": f"holdfast.press.{number}",
        "text": {"type": "plain_text", "text": button.label[:75], "emoji": False},
        "value": button.token,
        **({"style": style} if style else {}),
    }


def keys(place: Place, message: dict[str, Json]) -> dict[str, Posted]:
    """Return what a message of ours is known by: its key, and the names of its files."""
    found = {}
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") == EVENT_TYPE:
        key = str((metadata.get("event_payload") or {}).get("key"))
        found[key] = Posted(place, str(message["ts"]))
    for file in message.get("files") or []:
        found[str(file.get("name"))] = Posted(place, str(file.get("id")))
    return found


def filename(name: str, key: str) -> str:
    """Return a file name that says which key it was put there for."""
    path = PurePath(name)
    return f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:8]}{path.suffix}"
