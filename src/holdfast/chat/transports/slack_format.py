"""Slack's messages: text from markup, blocks from messages, button presses and keys. Pure.

Text is written as ``rich_text``, whose elements Slack shows as they are.
"""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import PurePath

from holdfast.chat.transport import Button, ButtonPress, Location, Message, Person, Posted
from holdfast.model import Json

EVENT_TYPE = "holdfast_post"
ACTION = re.compile(r"^holdfast\.press\.\d+$")
_STYLES = {"good": "primary", "bad": "danger"}
_LINK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")


def message_text(text: str, bot: str) -> str:
    """Return what somebody typed, without the links, mentions and entities that Slack made of it.

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


def button_press(body: dict[str, Json]) -> ButtonPress:
    """Return the button press of a payload; it has no id of its own: one is made of what stays the same."""
    action, box, user = body["actions"][0], body["container"], body["user"]
    team = user.get("team_id") or (body.get("team") or {}).get("id")
    message = body.get("message") or {}
    thread = box.get("thread_ts") or message.get("thread_ts") or ""
    ident = f"{team}/{box['channel_id']}/{box['message_ts']}/{user['id']}/{action['action_ts']}"
    return ButtonPress(
        ident,
        Person(f"slack:{team}/{user['id']}", str(user.get("name") or user["id"])),
        Location(str(box["channel_id"]), str(thread)),
        str(action["value"]),
    )


def message_arguments(message: Message) -> dict[str, Json]:
    """Return a message as arguments of ``chat.postMessage`` and ``chat.update``."""
    elements: list[Json] = []
    people = [each.rpartition("/")[2] for each in message.mentions]
    if message.text:
        named = [{"type": "user", "user_id": each} for each in people]
        parts = [_literal(message.text), *([_literal("\n"), *named] if named else [])]
        elements.append({"type": "rich_text_section", "elements": parts})
    if message.code:
        elements.append({"type": "rich_text_preformatted", "elements": [_literal(message.code)]})
    blocks: list[Json] = [{"type": "rich_text", "elements": elements}] if elements else []
    if message.buttons:
        drawn = [_button(number, button) for number, button in enumerate(message.buttons)]
        blocks.append({"type": "actions", "elements": drawn})
    # For notifications and screen readers; Slack reads it as markup.
    plain = html.escape(message.text or message.code, quote=False)
    plain += "".join(f" <@{each}>" for each in people)
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


def posted_by_key(location: Location, message: dict[str, Json]) -> dict[str, Posted]:
    """Return a message of the bot by its key and by the names of its files."""
    found = {}
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") == EVENT_TYPE:
        key = str((metadata.get("event_payload") or {}).get("key"))
        found[key] = Posted(location, str(message["ts"]))
    for file in message.get("files") or []:
        found[str(file.get("name"))] = Posted(location, str(file.get("id")))
    return found


def filename(name: str, key: str) -> str:
    """Return a file name that contains a hash of its key."""
    path = PurePath(name)
    return f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:8]}{path.suffix}"
