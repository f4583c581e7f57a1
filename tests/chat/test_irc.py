"""The IRC transport against a real ngircd, and against a server that vouches for accounts."""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing

import pytest

from holdfast.chat.transport import Heard, Message, Place, Unreachable
from holdfast.chat.transports.irc import Irc, IrcSettings
from holdfast.chat.transports.irc_format import LINE_BYTES, lines, mentioned
from tests.chat.hearing import listening, play, posted, quick, until
from tests.chat.servers.irc import ACCOUNT, PASSWORD, Human, Ngircd, VouchingServer

OPS = Place("#ops")
HELD = Message("HELD [run-1]\nnext: holdfast resume run-1", "host1  done\nhost2  in hand")
HELD_LINES = ["HELD [run-1]", "next: holdfast resume run-1", "host1  done", "host2  in hand"]


def client(port: int, **more: object) -> Irc:
    asked = {"server": "127.0.0.1", "port": port, "tls": False, "channels": ["#ops"]} | more
    return Irc(IrcSettings.model_validate({"timeout_seconds": 10, **asked}), quick())


def port_of(server: VouchingServer) -> int:
    return int(server.server_address[1])


def on(server: Ngircd, **more: object) -> Irc:
    return client(server.port, server_password=server.password, **more)


def human(server: Ngircd, nick: str) -> Human:
    return Human(server.port, nick, password=server.password)


def test_a_run_is_told_line_by_line(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd)
        with closing(human(ngircd, "ada")) as ada:
            async with listening(irc):
                await posted(irc, OPS, HELD, "run-1/7")
                await irc.post(OPS, HELD, "run-1/7")
                await irc.post(OPS, Message("end"), "run-1/8")
                await until(lambda: "end" in ada.heard())
                assert ada.heard() == [*HELD_LINES, "end"]

    play(scenario())


def test_a_run_is_told_where_there_is_no_ngircd(vouching: VouchingServer) -> None:
    async def scenario() -> None:
        irc = client(port_of(vouching))
        with closing(Human(port_of(vouching), "ada")) as ada:
            async with listening(irc):
                await posted(irc, OPS, HELD, "run-1/7")
                await irc.post(OPS, HELD, "run-1/7")
                await until(lambda: len(ada.heard()) == 4)
                assert ada.heard() == HELD_LINES

    play(scenario())


def test_a_long_message_is_neither_cut_nor_a_flood(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd)
        words = " ".join(f"héllo{n}" for n in range(400))
        with closing(human(ngircd, "ada")) as ada:
            async with listening(irc):
                await posted(irc, OPS, Message(words), "k")
                await irc.post(OPS, Message("end"), "e")
                await until(lambda: "end" in ada.heard())
                assert " ".join(ada.heard()[:-1]) == words

    play(scenario())


def test_a_nickname_proves_nothing(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd, trust_accounts=True)
        with closing(human(ngircd, "ada")) as ada:
            async with listening(irc) as ear:
                await posted(irc, OPS, Message("hello"), "k")
                ada.say("holdfast: run x")
                ada.say("holdfast run x")
                await until(lambda: len(ear.said) == 2)
                assert ear.texts == ["holdfast run x", "holdfast run x"]
                assert {said.person.id for said in ear.said} == {""}
                assert {said.person.name for said in ear.said} == {"ada"}

    play(scenario())


def test_a_server_that_comes_back_finds_us_and_the_message_goes_on(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd)
        ada = human(ngircd, "ada")
        async with listening(irc) as ear:
            await posted(irc, OPS, Message("before"), "k")
            await until(lambda: ada.heard() == ["before"])
            ngircd.kill()
            with pytest.raises(Unreachable):
                await irc.post(OPS, HELD, "run-1/7")
            ada.close()
            await asyncio.to_thread(ngircd.start)
            with closing(human(ngircd, "ada")) as back:
                await posted(irc, OPS, HELD, "run-1/7")
                await posted(irc, OPS, Message("before"), "k")
                await irc.post(OPS, Message("end"), "e")
                await until(lambda: "end" in back.heard())
                assert back.heard() == [*HELD_LINES, "end"]
                back.say("after")
                await until(lambda: ear.texts == ["after"])

    play(scenario())


def test_a_taken_nick_and_a_kick_are_no_end(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        with closing(human(ngircd, "holdfast")) as first:
            irc = on(ngircd)
            async with listening(irc):
                await posted(irc, OPS, Message("hello"), "k")
                await until(first.heard)
                line = next(line for line in first.lines if "PRIVMSG" in line)
                nick = line[1:].partition("!")[0]
                assert nick != "holdfast"
                first.send(f"KICK #ops {nick}")
                first.wait_for(f"KICK #ops {nick}")
                await posted(irc, OPS, Message("again"), "k2")
                await until(lambda: first.heard() == ["hello", "again"])

    play(scenario())


def test_a_refusal_says_why(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        with closing(human(ngircd, "ada")) as ada:
            irc = on(ngircd)
            async with listening(irc):
                await posted(irc, OPS, Message("hello"), "k")
                ada.send("MODE #ops +m")
                ada.wait_for("MODE #ops +m")
                with pytest.raises(Unreachable, match="#ops did not take a line"):
                    await irc.post(OPS, Message("x"), "k2")
                with pytest.raises(Unreachable, match=r"not in transports\.irc\.channels"):
                    await irc.post(Place("#a\r\nQUIT"), Message("x"), "k3")

    play(scenario())


def test_an_account_that_the_network_vouches_for_is_a_person(vouching: VouchingServer) -> None:
    async def scenario() -> None:
        irc = client(port_of(vouching), account=ACCOUNT, password=PASSWORD, trust_accounts=True)
        assert irc.abilities.vouches
        ada = Human(port_of(vouching), "root", "#ops", "ACCOUNT Ada")
        eve = Human(port_of(vouching), "ada")
        with closing(ada), closing(eve):
            async with listening(irc) as ear:
                await posted(irc, OPS, Message("hello"), "k")
                ada.say("holdfast status")
                await until(lambda: len(ear.said) == 1)
                eve.say("holdfast abort run-1")
                await until(lambda: len(ear.said) == 2)
                assert [said.person.id for said in ear.said] == ["irc:account/ada", ""]
                assert [said.ident for said in ear.said] == ["m2", "m3"]  # m1 was ours

    play(scenario())


@pytest.mark.parametrize("lacking", ["trust", "account-tag"])
def test_an_account_is_not_believed_without_both(vouching: VouchingServer, lacking: str) -> None:
    async def scenario() -> None:
        irc = client(port_of(vouching), trust_accounts=lacking != "trust")
        if lacking == "account-tag":
            vouching.offered[0] = "message-tags"
        with closing(Human(port_of(vouching), "ada", "#ops", "ACCOUNT ada")) as ada:
            async with listening(irc) as ear:
                await posted(irc, OPS, Message("hello"), "k")
                ada.say("holdfast run x")
                await until(lambda: ear.said)
                assert ear.said[0].person.id == ""

    play(scenario())


@pytest.mark.parametrize("history", ["batch=1", "time=2020-01-01T00:00:00.000Z"])
def test_history_that_is_played_back_is_not_heard(vouching: VouchingServer, history: str) -> None:
    async def scenario() -> None:
        irc = client(port_of(vouching), trust_accounts=True)
        with closing(Human(port_of(vouching), "ada", "#ops", "ACCOUNT ada")) as ada:
            async with listening(irc) as ear:
                await posted(irc, OPS, Message("hello"), "k")
                vouching.more_tags = lambda: history
                ada.say("holdfast run x")
                ada.send("PING done")
                ada.wait_for("done")
                vouching.more_tags = lambda: ""
                ada.say("end")
                await until(lambda: ear.texts == ["end"])

    play(scenario())


def test_what_is_not_utf8_does_not_end_the_connection(vouching: VouchingServer) -> None:
    async def scenario() -> None:
        irc = client(port_of(vouching))
        with closing(Human(port_of(vouching), "ada")) as ada:
            async with listening(irc) as ear:
                await posted(irc, OPS, Message("hello"), "k")
                bot = next(c for n, c in vouching.clients.items() if n == "holdfast")
                bot.request.sendall(b":bob!b@h PRIVMSG #ops :caf\xe9\r\n")
                ada.say("end")
                await until(lambda: "end" in ear.texts)
                assert isinstance(ear.said[0], Heard)
                assert ear.said[0].text == "caf\ufffd"

    play(scenario())


def test_a_wrong_password_is_said_and_no_password_is_logged(
    vouching: VouchingServer, ngircd: Ngircd, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        wrong = client(port_of(vouching), account=ACCOUNT, password="planted-wrong")  # noqa: S106 - of nobody
        async with listening(wrong):
            await until(lambda: "SASL" in caplog.text)
        right = client(port_of(vouching), account=ACCOUNT, password=PASSWORD)
        async with listening(right):
            await posted(right, OPS, Message("hello"), "k")
        real = on(ngircd)
        async with listening(real):
            await posted(real, OPS, Message("hello"), "k")

    caplog.set_level(logging.DEBUG)
    play(scenario())
    lines_of_ours = [each for each in caplog.text.splitlines() if "irc.server" not in each]
    assert "planted" not in "\n".join(lines_of_ours)
    assert "RAW: AUTHENTICATE" not in caplog.text


def test_a_line_fits_and_holds_nothing_that_irc_obeys() -> None:
    message = Message("a\r\nQUIT :x\n\x01VERSION\x01\x03red\n" + "é" * 500)
    found = lines(message)
    assert found[:3] == ["a", "QUIT :x", "VERSIONred"]
    assert all(len(line.encode()) <= LINE_BYTES for line in found)
    assert "".join(found[3:]) == "é" * 500


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("bot: run x", "holdfast run x"),
        ("BOT, run x", "holdfast run x"),
        ("bottle: run x", "bottle: run x"),
        ("holdfast run x", "holdfast run x"),
    ],
)
def test_our_own_name_is_a_mention(text: str, meant: str) -> None:
    assert mentioned(text, "bot") == meant
