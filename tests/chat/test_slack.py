"""The Slack transport against a local server that speaks Slack's Web API and Socket Mode."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from holdfast.chat.transport import Button, Location, Message, ReceivedMessage, Unreachable
from holdfast.chat.transports.slack import Slack, SlackSettings
from holdfast.chat.transports.slack_format import message_text
from tests.chat.servers.slack import APP_TOKEN, BOT, BOT_TOKEN, SlackServer
from tests.chat.transport_harness import (
    fast_backoff,
    listening,
    post_until_accepted,
    run_scenario,
    until,
)

CHANNEL = Location("C1")
ASK = Message(
    "Approve step 2? [run-1]",
    "host  state",
    (Button("Approve", "approve run-1 abc", "good"), Button("Abort", "abort run-1", "bad")),
)
HOSTILE = "*bold* _it_ <!channel> <@U1> ```x``` & <https://e|e> :boom:"


def client(server: SlackServer, bot_token: str = BOT_TOKEN) -> Slack:
    settings = SlackSettings(
        bot_token=bot_token,
        app_token=APP_TOKEN,
        base_url=server.base_url,
        timeout_seconds=5,
        ping_seconds=0.3,
    )
    return Slack(settings, fast_backoff())


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[SlackServer, Slack]]:
    server = SlackServer()
    await server.start()
    try:
        yield server, client(server)
    finally:
        await server.stop()


def posted_messages(server: SlackServer) -> list[dict[str, Any]]:
    return [m for m in server.messages.get("C1", []) if m["user"] == BOT]


def shown(message: dict[str, Any]) -> list[str]:
    return [
        part["text"]
        for block in message["blocks"]
        if block["type"] == "rich_text"
        for element in block["elements"]
        for part in element["elements"]
    ]


def test_messages_are_posted_to_a_thread_and_edited() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            root = await slack.post(CHANNEL, Message("Run run-1"), "run-1/1")
            thread = Location("C1", root.message_id)
            progress = await slack.post(thread, Message("[run-1]", "host1 …"), "run-1/progress")
            await slack.edit(progress, Message("[run-1]", "host1 done"))
            first, second = posted_messages(server)
            assert second["thread_ts"] == first["ts"] == root.message_id
            assert shown(second) == ["[run-1]", "host1 done"]
            assert len(posted_messages(server)) == 2

    run_scenario(scenario())


def test_posted_text_is_literal() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            await slack.post(CHANNEL, Message(HOSTILE, HOSTILE), "k")
            [message] = posted_messages(server)
            assert shown(message) == [HOSTILE, HOSTILE]
            assert {b["type"] for b in message["blocks"]} == {"rich_text"}
            assert "<" not in message["text"]

    run_scenario(scenario())


def test_a_message_is_delivered_with_person_and_location() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            ts = server.say(
                "U2", f"<@{BOT}> plan on <http://db1.example.org|db1.example.org> &amp;"
            )
            server.say("U2", "in the thread", thread=ts)
            await until(lambda: len(receiver.received) == 2)
            first, second = sorted(receiver.received, key=lambda received: received.event_id)
            assert isinstance(first, ReceivedMessage)
            assert first.text == "holdfast plan on db1.example.org &"
            assert (first.person.id, first.location) == ("slack:T1/U2", CHANNEL)
            assert second.location == Location("C1", ts)

    run_scenario(scenario())


def test_bots_edits_and_old_messages_are_not_delivered() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            server.say("U9", "a bot", bot_id="B9")
            server.say("U2", "edited", subtype="message_changed")
            server.deliver_event(
                {
                    "type": "message",
                    "user": "U2",
                    "channel": "C1",
                    "ts": "1000.1",
                    "text": "holdfast old",
                }
            )
            server.say("U2", "holdfast help")
            await until(lambda: len(server.acked) == 4)
            await until(lambda: receiver.texts == ["holdfast help"])

    run_scenario(scenario())


def test_a_message_delivered_again_keeps_its_id() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            ts = server.say("U2", "holdfast help")
            await until(lambda: receiver.received)
            event = {"type": "message", "user": "U2", "channel": "C1", "ts": ts, "text": "x"}
            server.deliver_event(event)
            await until(lambda: receiver.repeated)
            assert len(receiver.received) == 1

    run_scenario(scenario())


def test_a_repeated_button_press_keeps_its_id() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            root = await slack.post(CHANNEL, Message("run"), "r")
            asked = await slack.post(Location("C1", root.message_id), ASK, "q")
            await server.connected.wait()
            payload = server.press("U3", asked.message_id, "Approve")
            await until(lambda: receiver.pressed)
            server.deliver_press(payload)
            await until(lambda: receiver.repeated)
            [pressed] = receiver.pressed
            assert pressed.token == ASK.buttons[0].token
            assert pressed.person.id == "slack:T1/U3"
            assert pressed.location == Location("C1", root.message_id)
            await slack.edit(asked, Message("Approved"))
            assert [b["type"] for b in posted_messages(server)[1]["blocks"]] == ["rich_text"]

    run_scenario(scenario())


def test_a_file_is_uploaded_to_the_thread_once() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            root = await slack.post(CHANNEL, Message("run"), "r")
            thread = Location("C1", root.message_id)
            await slack.upload(thread, "run-1.svg", b"<svg/>", "run-1/9/picture")
            await slack.upload(thread, "run-1.svg", b"<svg/>", "run-1/9/picture")
            await client(server).upload(thread, "run-1.svg", b"<svg/>", "run-1/9/picture")
            [message] = [m for m in posted_messages(server) if m.get("files")]
            assert message["thread_ts"] == root.message_id
            assert message["files"][0]["title"] == "run-1.svg"
            assert list(server.files.values()) == [b"<svg/>"]

    run_scenario(scenario())


@pytest.mark.parametrize("thread", [False, True])
def test_a_post_whose_answer_is_lost_is_posted_once(*, thread: bool) -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            root = await slack.post(CHANNEL, Message("run"), "r")
            location = Location("C1", root.message_id if thread else "")
            for number in range(3):  # more than a page of the server's
                await slack.post(location, Message("before"), f"before-{number}")
            server.lose_answers = 1
            with pytest.raises(Unreachable):
                await slack.post(location, Message("held"), "run-1/7")
            again = await post_until_accepted(slack, location, Message("held"), "run-1/7")
            found = [m for m in posted_messages(server) if shown(m) == ["held"]]
            assert [m["ts"] for m in found] == [again.message_id]

    run_scenario(scenario())


def test_a_bot_that_died_after_posting_does_not_post_again() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            first = await slack.post(CHANNEL, Message("Run run-1"), "run-1/1")
            second = await client(server).post(CHANNEL, Message("Run run-1"), "run-1/1")
            assert first == second
            assert len(posted_messages(server)) == 1

    run_scenario(scenario())


def test_after_a_reconnection_nothing_is_posted_twice() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            root = await post_until_accepted(slack, CHANNEL, Message("run"), "r")
            thread = Location("C1", root.message_id)
            server.say("U2", "before")
            await until(lambda: receiver.texts == ["before"])
            await server.stop()
            with pytest.raises(Unreachable):
                await slack.post(thread, Message("held"), "run-1/7")
            run_scenario = asyncio.ensure_future(
                post_until_accepted(slack, thread, Message("held"), "run-1/7")
            )
            await server.start()
            await run_scenario
            server.say("U2", "after")
            await until(lambda: receiver.texts == ["before", "after"])
            assert [shown(m) for m in posted_messages(server)] == [["run"], ["held"]]

    run_scenario(scenario())


@pytest.mark.parametrize("how", ["ask_to_reconnect", "drop_sockets"])
def test_a_closed_connection_is_replaced(how: str) -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            await server.connected.wait()
            await getattr(server, how)()
            opened = server.calls.count("apps.connections.open")
            await until(lambda: server.calls.count("apps.connections.open") > opened)
            server.say("U2", "after")
            await until(lambda: receiver.texts == ["after"])

    run_scenario(scenario())


def test_a_refusal_says_what_to_do() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            with pytest.raises(Unreachable, match="channel_not_found") as refused:
                await slack.post(Location("nova"), Message("x"), "k")
            assert "invite" in refused.value.remedy
            server.rate_limit = 1
            with pytest.raises(Unreachable, match="ratelimited"):
                await slack.post(CHANNEL, Message("x"), "k")
            await slack.post(CHANNEL, Message("x"), "k")

    run_scenario(scenario())


def test_editing_a_deleted_message_is_no_error() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            progress = await slack.post(CHANNEL, Message("x"), "k")
            server.messages["C1"].clear()
            await slack.edit(progress, Message("y"))

    run_scenario(scenario())


def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with serving() as (server, slack), listening(slack) as receiver:
            server.say("U2", "hi")
            await until(lambda: receiver.received)
            await server.stop()
            with pytest.raises(Unreachable):
                await slack.post(CHANNEL, Message("x"), "k")
            await server.start()
            wrong = client(server, bot_token="xoxb-planted-wrong")  # noqa: S106 - of no server
            with pytest.raises(Unreachable, match="invalid_auth"):
                await wrong.post(CHANNEL, Message("x"), "k")
            server.refuse_sockets = 1
            await server.drop_sockets()
            await until(lambda: server.refuse_sockets == 0)
            server.say("U2", "ho")
            await until(lambda: len(receiver.received) == 2)

    caplog.set_level(logging.DEBUG)
    run_scenario(scenario())
    assert "planted" not in caplog.text
    assert "planted" not in repr(SlackSettings(bot_token=BOT_TOKEN, app_token=APP_TOKEN))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("<@U0BOT> run x", "holdfast run x"),
        ("<@U0BOT|holdfast> run x", "holdfast run x"),
        ("ask <@U2|ada> in <#C2|ops>", "ask @ada in #ops"),
        ("<!here> <!subteam^S1>", "@here @subteam"),
        ("<https://wiki/x>", "https://wiki/x"),
        ("<mailto:a@b.org|a@b.org>", "a@b.org"),
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
    ],
)
def test_the_typed_text_is_extracted_from_slacks_markup(text: str, meant: str) -> None:
    assert message_text(text, BOT) == meant


@pytest.mark.parametrize("passes", range(5))
def test_the_server_closes_a_connection_that_is_made_while_it_stops(passes: int) -> None:
    async def scenario() -> None:
        server = SlackServer()
        await server.start()
        with socket.create_connection(("127.0.0.1", server.port)):
            for _ in range(passes):
                await asyncio.sleep(0)  # noqa: TID251  # passes of the loop, no time
            await server.stop()

    run_scenario(scenario())


def test_people_who_are_needed_are_mentioned() -> None:
    async def scenario() -> None:
        async with serving() as (server, slack):
            await slack.post(
                CHANNEL, Message("Approve?", mentions=("slack:T1/U2", "slack:T1/U3")), "k"
            )
            [message] = posted_messages(server)
            (section,) = message["blocks"][0]["elements"]
            named = [each["user_id"] for each in section["elements"] if each["type"] == "user"]
            assert named == ["U2", "U3"]
            assert message["text"] == "Approve? <@U2> <@U3>"

    run_scenario(scenario())
