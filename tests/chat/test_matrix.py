"""The Matrix transport against a real homeserver (matrix-synapse) on loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.exceptions import HTTPError

from holdfast.chat.transport import (
    Button,
    Location,
    Message,
    Posted,
    ReceivedMessage,
    Unreachable,
)
from holdfast.chat.transports.matrix import Matrix, MatrixSettings
from holdfast.chat.transports.matrix_format import (
    BUTTONS,
    edit_content,
    message_content,
    message_text,
    thread_of,
    tokens,
)
from tests.chat.servers.synapse import Person, SynapseServer
from tests.chat.transport_harness import (
    fast_backoff,
    listening,
    post_until_accepted,
    run_scenario,
    until,
)
from tests.unit.chat import chat_harness
from tests.unit.chat.chat_harness import CONFIG, WITH_SERVERS
from tests.unit.cli.cli_harness import HOSTS

ASK = Message(
    "Approve step 2? [run-1]",
    "host <b>  state & more",
    (Button("Approve", "approve run-1 abc", "good"), Button("Abort", "abort run-1", "bad")),
)


@dataclass
class RoomFixture:
    server: SynapseServer
    bot: Person
    ada: Person
    id: str

    @property
    def location(self) -> Location:
        return Location(self.id)

    def client(self, token: str = "") -> Matrix:
        settings = MatrixSettings(
            homeserver=self.server.url,
            user=self.bot.id,
            access_token=token or self.bot.token,
            rooms=(self.id,),
            timeout_seconds=10,
        )
        return Matrix(settings, fast_backoff())

    def texts(self) -> list[str]:
        """What the bot wrote, without edits."""
        return [
            event["content"]["body"]
            for event in self.ada.events(self.id)
            if event["sender"] == self.bot.id and "m.new_content" not in event["content"]
        ]


NUMBERS = iter(range(1000))


@pytest.fixture
def room(server: SynapseServer) -> RoomFixture:
    number = next(NUMBERS)
    bot, ada = server.person(f"holdfast{number}"), server.person(f"ada{number}")
    return RoomFixture(server, bot, ada, ada.new_room(bot))


async def joined(room: RoomFixture) -> None:
    """Wait until the bot has joined."""
    await until(
        lambda: room.bot.id in room.ada.call("GET", f"v3/rooms/{room.id}/joined_members")["joined"]
    )


def _objects(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    names = st.sampled_from(("rel_type", "event_id", "m.in_reply_to", "m.replace", "content", "x"))
    return st.dictionaries(names, inner | st.sampled_from(("m.thread", "m.replace")), max_size=4)


def test_messages_are_posted_to_a_thread_and_edited(room: RoomFixture) -> None:
    async def scenario() -> None:
        matrix = room.client()
        async with listening(matrix):
            await joined(room)
            root = await matrix.post(room.location, Message("Run run-1"), "run-1/1")
            thread = Location(room.id, root.message_id)
            progress = await matrix.post(thread, Message("[run-1]", "host1 …"), "run-1/progress")
            await matrix.edit(progress, Message("[run-1]", "host1 <done>"))
            assert room.texts() == ["Run run-1", "[run-1]\nhost1 …"]
            path = f"v1/rooms/{room.id}/relations/{root.message_id}/m.thread"
            [shown] = room.ada.call("GET", path)["chunk"]
            assert shown["event_id"] == progress.message_id
            edit = shown["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]
            assert edit["body"] == "[run-1]\nhost1 <done>"
            assert edit["formatted_body"] == "[run-1]<pre><code>host1 &lt;done&gt;</code></pre>"

    run_scenario(scenario())


def test_a_message_is_delivered_with_person_and_location(room: RoomFixture) -> None:
    async def scenario() -> None:
        matrix = room.client()
        async with listening(matrix) as receiver:
            await joined(room)
            first = room.ada.say(room.id, f"{room.bot.id}: help")
            relation = {"rel_type": "m.thread", "event_id": first}
            room.ada.say(room.id, "holdfast status", **{"m.relates_to": relation})
            room.ada.send(room.id, {"msgtype": "m.notice", "body": "holdfast a bot"})
            replaced = {"rel_type": "m.replace", "event_id": first}
            room.ada.say(room.id, "* holdfast x", **{"m.relates_to": replaced, "m.new_content": {}})
            room.ada.say(room.id, "end")
            await until(lambda: "end" in receiver.texts)
            assert receiver.texts == ["holdfast help", "holdfast status", "end"]
            message = receiver.received[0]
            assert isinstance(message, ReceivedMessage)
            assert (message.event_id, message.person.id) == (first, f"matrix:{room.ada.id}")
            assert [received.location.thread for received in receiver.received] == ["", first, ""]

    run_scenario(scenario())


def test_a_reaction_presses_a_button_also_after_a_restart(room: RoomFixture) -> None:
    async def scenario() -> None:
        first = room.client()
        async with listening(first):
            await joined(room)
            root = await first.post(room.location, Message("run"), "r")
            asked = await first.post(Location(room.id, root.message_id), ASK, "q")
            same = await first.post(Location(room.id, root.message_id), ASK, "q")
            assert same == asked
        offered = [
            e["content"]["m.relates_to"]["key"] for e in room.ada.events(room.id, "m.reaction")
        ]
        assert offered == ["\u2705", "\u274c"]
        second = room.client()
        async with listening(second) as receiver:
            room.ada.react(room.id, asked.message_id, "\U0001f389")  # stands for nothing
            ident = room.ada.react(room.id, asked.message_id, "\u2705\ufe0f")
            await until(lambda: receiver.pressed)
            [pressed] = receiver.pressed
            assert (pressed.event_id, pressed.token) == (ident, "approve run-1 abc")
            assert pressed.person.id == f"matrix:{room.ada.id}"
            assert pressed.location == Location(room.id, root.message_id)
            await second.edit(asked, Message("Approved by ada"))
            room.ada.react(room.id, asked.message_id, "\u274c")
            room.ada.say(room.id, "end")
            await until(lambda: "end" in receiver.texts)
            assert len(receiver.pressed) == 1

    run_scenario(scenario())


def test_nobody_else_can_offer_a_button(room: RoomFixture) -> None:
    async def scenario() -> None:
        matrix = room.client()
        async with listening(matrix) as receiver:
            await joined(room)
            evil = Message("x", "", (Button("Approve", "approve other", "good"),))
            forged = room.ada.send(room.id, message_content(evil))
            room.ada.react(room.id, forged, "\u2705")
            await matrix.post(room.location, ASK, "q")
            [question] = [e for e in room.ada.events(room.id) if e["sender"] == room.bot.id]
            replaced = {"rel_type": "m.replace", "event_id": question["event_id"]}
            room.ada.send(
                room.id,
                {
                    **message_content(evil),
                    "m.new_content": message_content(evil),
                    "m.relates_to": replaced,
                },
            )
            room.ada.react(room.id, question["event_id"], "\u2705")
            room.ada.say(room.id, "end")
            await until(lambda: "end" in receiver.texts)
            assert [each.token for each in receiver.pressed] == ["approve run-1 abc"]

    run_scenario(scenario())


def test_a_file_is_uploaded_to_the_thread_once(room: RoomFixture) -> None:
    async def scenario() -> None:
        matrix = room.client()
        async with listening(matrix):
            await joined(room)
            root = await matrix.post(room.location, Message("run"), "r")
            for _ in range(2):
                await matrix.upload(
                    Location(room.id, root.message_id), "run-1.png", b"\x89PNG", "pic"
                )
            [file] = [e["content"] for e in room.ada.events(room.id) if "url" in e["content"]]
            assert file["m.relates_to"]["event_id"] == root.message_id
            assert (file["msgtype"], file["info"]["mimetype"]) == ("m.image", "image/png")
            assert room.ada.file(file["url"]) == b"\x89PNG"

    run_scenario(scenario())


def test_an_event_keeps_its_id_after_a_restart(room: RoomFixture) -> None:
    async def scenario() -> None:
        first = room.client()
        async with listening(first) as receiver:
            await joined(room)
            ident = room.ada.say(room.id, "holdfast help")
            await until(lambda: receiver.received)
        async with listening(room.client()) as receiver:
            await until(lambda: receiver.received)
            assert [received.event_id for received in receiver.received] == [ident]

    run_scenario(scenario())


def test_a_restarted_bot_receives_the_same_events_and_executes_nothing_twice(
    room: RoomFixture, tmp_path: Path
) -> None:
    """The command and the reaction both, from the beginning of the room."""
    who = {"people": ["ada"], "sites": ["lab"]}
    config = CONFIG | {
        "transports": {"matrix": {}},
        "people": {"ada": [f"matrix:{room.ada.id}"]},
        "sites": {"lab": {}},
        "roles": [{"role": "operator"} | who, {"role": "approver"} | who],
        "approvals": [{"sites": ["lab"], "by_others": False, "deadline_seconds": 36_000}],
        "log": None,
    }
    harness = chat_harness.ChatHarness(tmp_path / "project", config=config, speed=WITH_SERVERS)

    def times(part: str) -> int:
        return sum(part in text for text in room.texts())

    async def scenario() -> None:
        harness.transport = room.client()
        async with harness.serving():
            await joined(room)
            room.ada.say(room.id, chat_harness.RUN)
            await until(lambda: times("Approval needed"), "the question")
            (question,) = [
                event["event_id"]
                for event in room.ada.events(room.id)
                if "Approval needed" in event["content"]["body"]
            ]
            room.ada.react(room.id, question, "\u2705")
            await until(lambda: times("FINISHED: "), "FINISHED")
        for number in range(2):
            harness.transport = room.client()
            async with harness.serving():
                room.ada.say(room.id, "holdfast help run")
                await until(lambda: times("Run a runbook") == number + 1, "it heard all of them")  # noqa: B023 - within the loop
        await asyncio.to_thread(harness.launcher.join)

    run_scenario(scenario())
    assert len(harness.launcher.launched) == 1
    assert harness.restarts == list(HOSTS)
    for part in ("Starting [", "Approved by ada: ", "Approval needed", "FINISHED: "):
        assert times(part) == 1, part


def test_after_a_reconnection_nothing_is_posted_twice(room: RoomFixture) -> None:
    async def scenario() -> None:
        matrix = room.client()
        async with listening(matrix) as receiver:
            await joined(room)
            root = await matrix.post(room.location, Message("run"), "r")
            thread = Location(room.id, root.message_id)
            taken = await matrix.post(thread, Message("taken"), "run-1/6")
            room.ada.say(room.id, "before")
            await until(lambda: receiver.texts == ["before"])
            await asyncio.to_thread(room.server.kill)
            with pytest.raises(Unreachable):
                await matrix.post(thread, Message("held"), "run-1/7")
            run_scenario = asyncio.ensure_future(
                post_until_accepted(matrix, thread, Message("held"), "run-1/7")
            )
            await asyncio.to_thread(room.server.start)
            held = await run_scenario
            assert await matrix.post(thread, Message("taken"), "run-1/6") == taken
            other = room.client()  # the same bot, restarted
            async with listening(other):
                assert await other.post(thread, Message("held"), "run-1/7") == held
            room.ada.say(room.id, "after")
            await until(lambda: "after" in receiver.texts)
            assert receiver.texts == ["before", "after"]
            assert receiver.repeated == []
            assert room.texts() == ["run", "taken", "held"]

    run_scenario(scenario())


def test_a_refusal_says_what_to_do_and_no_token_is_logged(
    room: RoomFixture, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        wrong = room.client("syt_planted_wrong")
        async with listening(wrong):
            with pytest.raises(Unreachable, match="M_UNKNOWN_TOKEN") as refused:
                await wrong.post(room.location, Message("x"), "k")
            assert "log in again" in refused.value.remedy
        right = room.client()
        async with listening(right) as receiver:
            await joined(room)
            with pytest.raises(Unreachable, match="M_FORBIDDEN"):
                await right.post(Location("!nowhere:holdfast.test"), Message("x"), "k")
            room.ada.say(room.id, "hi")
            await until(lambda: receiver.received)

    caplog.set_level(logging.DEBUG)
    run_scenario(scenario())
    assert "planted" not in caplog.text
    assert room.bot.token not in caplog.text


def test_a_room_that_is_not_configured_is_neither_joined_nor_read(room: RoomFixture) -> None:
    async def scenario() -> None:
        other, third = room.ada.new_room(room.bot), room.ada.new_room(room.bot)
        room.bot.join(third)  # by somebody who has the account
        async with listening(room.client()) as receiver:
            await joined(room)
            room.ada.say(third, "holdfast help")
            room.ada.say(room.id, "end")
            await until(lambda: receiver.received)
            assert receiver.texts == ["end"]
            members = room.ada.call("GET", f"v3/rooms/{other}/joined_members")["joined"]
            assert room.bot.id not in members

    run_scenario(scenario())


HOSTILE: list[dict[str, Any]] = [
    {},
    {"msgtype": "m.text"},
    {"msgtype": "m.text", "body": ["holdfast help"]},
    {"msgtype": ["m.text"], "body": "holdfast help"},
    {"msgtype": "m.text", "body": "holdfast x", "m.relates_to": "a string"},
    {"msgtype": "m.text", "body": "holdfast x", "m.relates_to": ["a list"]},
    {"msgtype": "m.text", "body": "holdfast x", "m.relates_to": {"rel_type": "m.thread"}},
    {"msgtype": "m.text", "body": "holdfast x", "m.relates_to": {"rel_type": {}, "event_id": []}},
    {"msgtype": "m.text", "body": "> holdfast x", "m.relates_to": {"m.in_reply_to": 7}},
]


def start_in_terminal(room: RoomFixture, body: dict[str, Any]) -> Iterator[str]:
    """Send the content as a message and as a reaction, as far as the server accepts it."""
    for kind in ("m.room.message", "m.reaction"):
        with suppress(HTTPError):
            yield room.ada.send(room.id, body, kind)


def test_no_event_stops_the_receiving(room: RoomFixture) -> None:
    """Malformed events, and reactions to what the bot may not read."""

    async def scenario() -> None:
        old = room.ada.say(room.id, "said before the bot was here")
        path = f"v3/rooms/{room.id}/state/m.room.history_visibility"
        room.ada.call("PUT", path, {"history_visibility": "joined"})
        hidden = room.ada.say(room.id, "said before, and not for its eyes")
        async with listening(room.client()) as receiver:
            await joined(room)
            taken = [sent for body in HOSTILE for sent in start_in_terminal(room, body)]
            assert taken, "the server keeps some of these out, and not all"
            for event in (old, hidden):
                room.ada.react(room.id, event, "\u2705")
            room.ada.say(room.id, "end")
            await until(lambda: "end" in receiver.texts)
            assert receiver.pressed == []
            assert receiver.repeated == []
        async with listening(room.client()) as again:  # reads them all once more
            await until(lambda: "end" in again.texts)

    run_scenario(scenario())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | _objects(inner),
        max_leaves=12,
    )
)
def test_any_content_can_be_read(value: object) -> None:
    body = {"msgtype": "m.text", "body": "holdfast x", "m.relates_to": value}
    for content_ in (body, {"m.new_content": value}, {BUTTONS: value}):
        message_text(content_, "@roll:x", "Rolling Bot")
        thread_of(content_)
        tokens({"content": content_, "unsigned": {"m.relations": value}})


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"msgtype": "m.text", "body": "Rolling Bot: run x"}, "holdfast run x"),
        ({"msgtype": "m.text", "body": "roll run x"}, "holdfast run x"),
        ({"msgtype": "m.text", "body": "rolling on"}, "rolling on"),
        ({"msgtype": "m.image", "body": "holdfast"}, None),
        ({"msgtype": "m.text"}, None),
        (
            {
                "msgtype": "m.text",
                "body": "> <@a:x> holdfast abort\n> more\n\nholdfast help",
                "m.relates_to": {"m.in_reply_to": {"event_id": "$1"}},
            },
            "holdfast help",
        ),
    ],
)
def test_the_typed_text_is_extracted_from_an_event(
    body: dict[str, object], meant: str | None
) -> None:
    assert message_text(body, "@roll:x", "Rolling Bot") == meant


def test_every_button_has_an_emoji_of_its_own() -> None:
    buttons = tuple(Button(f"b{n}", f"t{n}", "good") for n in range(8))
    assert list(tokens({"content": message_content(Message("x", "", buttons))}).values()) == [
        f"t{n}" for n in range(8)
    ]


def test_people_who_are_needed_are_mentioned_once_and_not_by_an_edit() -> None:
    content = message_content(Message("Approve?", mentions=("matrix:@bob:example.org",)))
    assert content["m.mentions"] == {"user_ids": ["@bob:example.org"]}
    assert content["body"] == "Approve?\n@bob:example.org"
    assert '<a href="https://matrix.to/#/%40bob%3Aexample.org">' in content["formatted_body"]
    edit = edit_content(content, Posted(Location("!r"), "$1"))
    assert edit["m.mentions"] == {}
    assert edit["m.new_content"]["m.mentions"] == content["m.mentions"]
    assert message_content(Message("Approve?"))["m.mentions"] == {}
