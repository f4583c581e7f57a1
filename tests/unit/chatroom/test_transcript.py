"""A room's events as messages: edits replace what they edit, threads are kept apart."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from tests.lab.chatroom.picture import picture
from tests.lab.chatroom.transcript import Event, messages, newest_thread, since_asked

Json = Any


def event(ident: str, body: str, by: str = "holdfast", **more: Json) -> Event:
    content: dict[str, Json] = {"body": body, **more}
    sender = f"@{by}:holdfast.test"
    return {"event_id": ident, "sender": sender, "origin_server_ts": 1_000_500, "content": content}


def related(ident: str, kind: str) -> dict[str, Json]:
    return {"m.relates_to": {"rel_type": kind, "event_id": ident}}


EDIT: dict[str, Json] = {"m.new_content": {"body": "done"}}
EVENTS = [
    event("$ask", "holdfast run", "ada"),
    event("$root", "the plan\na  b", formatted_body="the plan<pre><code>a  b</code></pre>"),
    event("$progress", "running", **related("$root", "m.thread")),
    event("$edit1", "* half", **related("$progress", "m.replace"), **EDIT),
    event("$edit2", "* done", **related("$progress", "m.replace"), **EDIT),
    {**event("$gone", ""), "content": {}},
]


def test_a_message_appears_once_as_it_was_last_edited() -> None:
    said = messages(EVENTS)
    assert [(each.event_id, each.text, each.edits) for each in said] == [
        ("$ask", "holdfast run", 0),
        ("$root", "the plan\na  b", 0),
        ("$progress", "done", 2),
    ]
    assert [each.by for each in said] == ["ada", "holdfast", "holdfast"]
    assert said[1].code == "a  b"
    assert said[0].at == 1000.5


def test_the_newest_thread_is_the_one_that_was_started_last() -> None:
    later = [event("$other", "plan 2"), event("$in", "x", **related("$other", "m.thread"))]
    late = event("$late", "still", **related("$root", "m.thread"))
    said = messages([*EVENTS, *later, late])
    assert [each.event_id for each in newest_thread(said)] == ["$other", "$in"]
    assert [each.event_id for each in newest_thread(messages(EVENTS))] == ["$root", "$progress"]
    assert newest_thread(messages(EVENTS[:1])) == []


def test_the_answer_is_what_the_bot_wrote_after_a_person() -> None:
    said = messages([*EVENTS, event("$more", "holdfast abort", "ada"), event("$ok", "Asked")])
    assert [each.text for each in since_asked(said, "holdfast")] == ["Asked"]
    assert list(since_asked(said[:1], "holdfast")) == []


def test_the_picture_has_every_line_and_is_well_formed() -> None:
    said = messages([*EVENTS, event("$odd", "<b> & ]]>", **related("$root", "m.thread"))])
    drawn = ET.fromstring(picture(newest_thread(said)))  # noqa: S314 - drawn by us
    texts = {each.text for each in drawn.iter()}
    assert {"the plan", "a", "b", "done", "<b> & ]]>"} <= texts
