"""The IRC transport against a real ngircd, and against a server with services accounts."""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from holdfast.chat.transport import Location, Message, ReceivedMessage, Unreachable
from holdfast.chat.transports.base import replace_mention
from holdfast.chat.transports.irc import LINE_BYTES, Irc, IrcSettings, Keepalive, split_lines
from tests.chat.servers.irc import ACCOUNT, PASSWORD, AccountServer, IrcUser, Ngircd
from tests.chat.transport_harness import (
    fast_backoff,
    listening,
    post_until_accepted,
    run_scenario,
    until,
)
from tests.unit.probes.test_nova_rpc_client_tls import certificate_for

OPS = Location("#ops")
HELD = Message("HELD [run-1]\nnext: holdfast resume run-1", "host1  done\nhost2  in hand")
HELD_LINES = ["HELD [run-1]", "next: holdfast resume run-1", "host1  done", "host2  in hand"]


def client(port: int, keepalive: Keepalive | None = None, **more: object) -> Irc:
    asked = {"server": "127.0.0.1", "port": port, "tls": False, "channels": ["#ops"]} | more
    settings = IrcSettings.model_validate({"timeout_seconds": 10, **asked})
    return Irc(settings, fast_backoff(), keepalive)


def port_of(server: AccountServer) -> int:
    return int(server.server_address[1])


def on(server: Ngircd, **more: object) -> Irc:
    return client(server.port, None, server_password=server.password, **more)


def irc_user(server: Ngircd, nick: str) -> IrcUser:
    return IrcUser(server.port, nick, password=server.password)


def test_a_message_is_sent_line_by_line(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd)
        with closing(irc_user(ngircd, "ada")) as ada:
            async with listening(irc):
                await post_until_accepted(irc, OPS, HELD, "run-1/7")
                await irc.post(OPS, Message("end"), "run-1/8")
                await until(lambda: "end" in ada.received())
                assert ada.received() == [*HELD_LINES, "end"]

    run_scenario(scenario())


def test_a_message_is_sent_also_without_ngircd(account_server: AccountServer) -> None:
    async def scenario() -> None:
        irc = client(port_of(account_server))
        with closing(IrcUser(port_of(account_server), "ada")) as ada:
            async with listening(irc):
                await post_until_accepted(irc, OPS, HELD, "run-1/7")
                await until(lambda: len(ada.received()) == 4)
                assert ada.received() == HELD_LINES

    run_scenario(scenario())


def test_a_long_message_is_sent_whole_and_below_flood_limits(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd)
        text = " ".join(f"héllo{n}" for n in range(400))
        with closing(irc_user(ngircd, "ada")) as ada:
            async with listening(irc):
                await post_until_accepted(irc, OPS, Message(text), "k")
                await irc.post(OPS, Message("end"), "e")
                await until(lambda: "end" in ada.received())
                assert " ".join(ada.received()[:-1]) == text

    run_scenario(scenario())


def test_a_nickname_proves_nothing(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd, trust_accounts=True)
        with closing(irc_user(ngircd, "ada")) as ada:
            async with listening(irc) as receiver:
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                ada.say("holdfast: run x")
                ada.say("holdfast run x")
                await until(lambda: len(receiver.received) == 2)
                assert receiver.texts == ["holdfast run x", "holdfast run x"]
                assert {received.person.id for received in receiver.received} == {""}
                assert {received.person.name for received in receiver.received} == {"ada"}

    run_scenario(scenario())


def test_after_a_reconnection_a_message_is_sent_whole(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        irc = on(ngircd)
        ada = irc_user(ngircd, "ada")
        async with listening(irc) as receiver:
            await post_until_accepted(irc, OPS, Message("before"), "k")
            await until(lambda: ada.received() == ["before"])
            ngircd.kill()
            with pytest.raises(Unreachable):
                await irc.post(OPS, HELD, "run-1/7")
            ada.close()
            await asyncio.to_thread(ngircd.start)
            with closing(irc_user(ngircd, "ada")) as back:
                await post_until_accepted(irc, OPS, HELD, "run-1/7")
                await irc.post(OPS, Message("end"), "e")
                await until(lambda: "end" in back.received())
                assert back.received() == [*HELD_LINES, "end"]
                back.say("after")
                await until(lambda: receiver.texts == ["after"])

    run_scenario(scenario())


def test_a_post_fails_where_the_server_does_not_answer(account_server: AccountServer) -> None:
    """An unanswered line may be lost: the message is sent again, to its last line."""

    async def scenario() -> None:
        irc = client(port_of(account_server), timeout_seconds=1)
        with closing(IrcUser(port_of(account_server), "ada")) as ada:
            async with listening(irc):
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                account_server.silent = True
                with pytest.raises(Unreachable, match=r"127\.0\.0\.1 does not answer"):
                    await irc.post(OPS, HELD, "run-1/7")
                account_server.silent = False
                await post_until_accepted(irc, OPS, HELD, "run-1/7")
                await until(lambda: ada.received()[-4:] == HELD_LINES)

    run_scenario(scenario())


def test_a_connection_on_which_the_server_is_silent_is_replaced(
    account_server: AccountServer, caplog: pytest.LogCaptureFixture
) -> None:
    silent = "irc: not connected: 127.0.0.1 does not answer"

    async def scenario() -> None:
        irc = client(port_of(account_server), keepalive=Keepalive(0.1, 1.0))
        async with listening(irc):
            await post_until_accepted(irc, OPS, Message("hello"), "k")
            await asyncio.sleep(2)  # noqa: TID251  # longer than silence may last
            assert silent not in caplog.text
            account_server.silent = True
            await until(lambda: silent in caplog.text)
            account_server.silent = False
            await post_until_accepted(irc, OPS, Message("hello"), "k")

    run_scenario(scenario())


@pytest.mark.parametrize("trusted", [False, True])
def test_tls_needs_a_certificate_from_a_trusted_issuer(
    trusted: bool,
    account_server: AccountServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pem, key = certificate_for([x509.IPAddress(ip_address("127.0.0.1"))], tmp_path)
    account_server.use_tls(pem, key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", pem)

    async def scenario() -> None:
        irc = client(port_of(account_server), tls=True)
        async with listening(irc):
            if trusted:
                await post_until_accepted(irc, OPS, HELD, "k")
            else:
                await until(lambda: "irc: not connected: SSLCertVerificationError" in caplog.text)
            assert ("holdfast" in account_server.clients) is trusted

    run_scenario(scenario())


def test_a_taken_nick_and_a_kick_are_recovered_from(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        with closing(irc_user(ngircd, "holdfast")) as first:
            irc = on(ngircd)
            async with listening(irc):
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                await until(first.received)
                line = next(line for line in first.lines if "PRIVMSG" in line)
                nick = line[1:].partition("!")[0]
                assert nick != "holdfast"
                first.send(f"KICK #ops {nick}")
                first.wait_for(f"KICK #ops {nick}")
                await post_until_accepted(irc, OPS, Message("again"), "k2")
                await until(lambda: first.received() == ["hello", "again"])

    run_scenario(scenario())


def test_a_refusal_says_why(ngircd: Ngircd) -> None:
    async def scenario() -> None:
        with closing(irc_user(ngircd, "ada")) as ada:
            irc = on(ngircd)
            async with listening(irc):
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                ada.send("MODE #ops +m")
                ada.wait_for("MODE #ops +m")
                with pytest.raises(Unreachable, match="#ops did not take a line"):
                    await irc.post(OPS, Message("x"), "k2")
                with pytest.raises(Unreachable, match=r"not in transports\.irc\.channels"):
                    await irc.post(Location("#a\r\nQUIT"), Message("x"), "k3")

    run_scenario(scenario())


def test_a_services_account_is_a_persons_id(account_server: AccountServer) -> None:
    async def scenario() -> None:
        irc = client(
            port_of(account_server), account=ACCOUNT, password=PASSWORD, trust_accounts=True
        )
        assert irc.capabilities.authenticates
        ada = IrcUser(port_of(account_server), "root", "#ops", "ACCOUNT Ada")
        eve = IrcUser(port_of(account_server), "ada")
        with closing(ada), closing(eve):
            async with listening(irc) as receiver:
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                ada.say("holdfast status")
                await until(lambda: len(receiver.received) == 1)
                eve.say("holdfast abort run-1")
                await until(lambda: len(receiver.received) == 2)
                assert [received.person.id for received in receiver.received] == [
                    "irc:account/ada",
                    "",
                ]
                assert [received.event_id for received in receiver.received] == [
                    "m2",
                    "m3",
                ]  # m1 was the bot's

    run_scenario(scenario())


@pytest.mark.parametrize("lacking", ["trust", "account-tag"])
def test_an_account_needs_trust_and_account_tag(
    account_server: AccountServer, lacking: str
) -> None:
    async def scenario() -> None:
        irc = client(port_of(account_server), trust_accounts=lacking != "trust")
        if lacking == "account-tag":
            account_server.offered.remove("account-tag")
        with closing(IrcUser(port_of(account_server), "ada", "#ops", "ACCOUNT ada")) as ada:
            async with listening(irc) as receiver:
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                ada.say("holdfast run x")
                await until(lambda: receiver.received)
                assert receiver.received[0].person.id == ""

    run_scenario(scenario())


@pytest.mark.parametrize("history", ["batch=1", "time=2020-01-01T00:00:00.000Z"])
def test_replayed_history_and_own_lines_are_not_delivered(
    account_server: AccountServer, history: str
) -> None:
    async def scenario() -> None:
        irc = client(port_of(account_server), trust_accounts=True)
        with closing(IrcUser(port_of(account_server), "ada", "#ops", "ACCOUNT ada")) as ada:
            async with listening(irc) as receiver:
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                account_server.more_tags = lambda: history
                ada.say("holdfast run x")
                ada.send("PING done")
                ada.wait_for("done")
                account_server.more_tags = lambda: ""
                bot = account_server.clients["holdfast"]
                bot.request.sendall(b":holdfast!b@h PRIVMSG #ops :holdfast run x\r\n")
                ada.say("end")
                await until(lambda: receiver.texts == ["end"])

    run_scenario(scenario())


def test_what_is_not_utf8_does_not_end_the_connection(account_server: AccountServer) -> None:
    async def scenario() -> None:
        irc = client(port_of(account_server))
        with closing(IrcUser(port_of(account_server), "ada")) as ada:
            async with listening(irc) as receiver:
                await post_until_accepted(irc, OPS, Message("hello"), "k")
                bot = next(c for n, c in account_server.clients.items() if n == "holdfast")
                bot.request.sendall(b":bob!b@h PRIVMSG #ops :caf\xe9\r\n")
                ada.say("end")
                await until(lambda: "end" in receiver.texts)
                assert isinstance(receiver.received[0], ReceivedMessage)
                assert receiver.received[0].text == "caf\ufffd"

    run_scenario(scenario())


def test_without_sasl_the_bot_does_not_join_without_its_account(
    account_server: AccountServer, caplog: pytest.LogCaptureFixture
) -> None:
    account_server.offered.remove("sasl")

    async def scenario() -> None:
        irc = client(port_of(account_server), account=ACCOUNT, password=PASSWORD)
        async with listening(irc):
            await until(lambda: "it has no SASL" in caplog.text)
            assert "#ops" not in account_server.channels

    run_scenario(scenario())


def test_a_wrong_password_is_reported_and_no_password_is_logged(
    account_server: AccountServer, ngircd: Ngircd, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        wrong = client(port_of(account_server), account=ACCOUNT, password="planted-wrong")  # noqa: S106 - of nobody
        async with listening(wrong):
            await until(lambda: "SASL" in caplog.text)
        right = client(port_of(account_server), account=ACCOUNT, password=PASSWORD)
        async with listening(right):
            await post_until_accepted(right, OPS, Message("hello"), "k")
        real = on(ngircd)
        async with listening(real):
            await post_until_accepted(real, OPS, Message("hello"), "k")

    caplog.set_level(logging.DEBUG)
    run_scenario(scenario())
    lines_of_ours = [each for each in caplog.text.splitlines() if "irc.server" not in each]
    assert "planted" not in "\n".join(lines_of_ours)
    assert "RAW: AUTHENTICATE" not in caplog.text


def test_lines_fit_and_have_no_control_characters() -> None:
    message = Message("a\r\nQUIT :x\n\x01VERSION\x01\x03red\n" + "é" * 500)
    found = split_lines(message)
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
def test_the_bots_own_name_is_a_mention(text: str, meant: str) -> None:
    assert replace_mention(text, ["bot"]) == meant
