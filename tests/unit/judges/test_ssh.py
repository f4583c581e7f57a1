"""The pinned host key at every address behind a name, from what the host prints to the verdict."""

from __future__ import annotations

import pytest

from holdfast.claims import bind_claim
from holdfast.errors import InvalidInput
from holdfast.model import Verdict
from holdfast.probes.base import CommandResult, ProbeContext
from tests.unit.claims.whole_site import reading
from tests.unit.probes.shells import ScriptedShell

PINNED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPinned"
TWO = "address 192.0.2.1\naddress 2001:db8::1\n"
FIRST, SECOND = f"192.0.2.1 {PINNED}\n", f"[2001:db8::1]:2222 {PINNED}\n"
OTHER = "192.0.2.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOther\n"


def judged(printed: str, rc: int = 0) -> Verdict:
    shell = ScriptedShell(CommandResult(rc, printed, ""))
    entry = {"claim": "ssh.shows_pinned_key", "name": "bastion", "keys": [f"{PINNED} root@bastion"]}
    return reading(bind_claim(entry), ProbeContext("ctl1", {}, {}, shell))


def test_the_pinned_key_at_every_address_passes() -> None:
    found = judged(f"{TWO}# 192.0.2.1:22 SSH-2.0-OpenSSH_9.2\n{FIRST}{SECOND}")
    assert (found.outcome, found.reason) == ("PASS", "pinned")
    assert found.message == "bastion, seen from ctl1: the pinned key at 192.0.2.1, 2001:db8::1"


def test_another_key_at_one_address_fails() -> None:
    found = judged(f"{TWO}{SECOND}{OTHER}")
    assert (found.outcome, found.reason) == ("FAIL", "another_key")
    assert "192.0.2.1 shows another ssh-ed25519 key" in found.message
    for two_behind_one in (f"{FIRST}{OTHER}", f"{OTHER}{FIRST}"):
        assert judged(f"address 192.0.2.1\n{two_behind_one}").outcome == "FAIL"


@pytest.mark.parametrize(
    ("printed", "rc", "said"),
    [
        (f"{TWO}{FIRST}", 0, "2001:db8::1 shows no key of a pinned type"),
        (f"{TWO}{FIRST}2001:db8::1 ssh-rsa AAAAB3\n", 0, "2001:db8::1 shows no key"),
        ("", 3, "ctl1 knows no address of bastion"),
        ("", 4, "ctl1 has no ssh-keyscan"),
        ("", 124, "gave no answer"),
        ("", 0, "no address shows no key"),
    ],
)
def test_a_silent_address_is_unknown(printed: str, rc: int, said: str) -> None:
    found = judged(printed, rc)
    assert found.outcome == "UNKNOWN"
    assert said in found.message or rc == 124


@pytest.mark.parametrize("wrong", [{"keys": []}, {"keys": ["SHA256:abc"]}, {"name": "a; reboot"}])
def test_what_is_no_key_or_name_is_invalid_input(wrong: dict[str, object]) -> None:
    entry = {"claim": "ssh.shows_pinned_key", "name": "bastion", "keys": [PINNED], **wrong}
    with pytest.raises(InvalidInput, match=r"ssh\.shows_pinned_key"):
        bind_claim(entry)


LOGIN = {
    "claim": "ssh.lets_key_in",
    "login": "probe@bastion",
    "keys": [f"{PINNED} root@bastion"],
    "identity": "/etc/holdfast/probe",
}
DENIED = "login 192.0.2.1 255 probe@192.0.2.1: Permission denied (publickey).\n"
CHANGED = "login 192.0.2.1 255 Host key verification failed.\n"
TIMED_OUT = "login 192.0.2.1 255 ssh: connect to host 192.0.2.1 port 22: Connection timed out\n"
IN = "login 2001:db8::1 0 \n"


def logged_in(printed: str, rc: int = 0) -> Verdict:
    shell = ScriptedShell(CommandResult(rc, printed, ""))
    found = reading(bind_claim(LOGIN), ProbeContext("ctl1", {}, {}, shell))
    assert shell.commands[0][4:] == ["bastion", "22", "probe", "/etc/holdfast/probe", "5", PINNED]
    return found


@pytest.mark.parametrize(
    ("printed", "outcome", "said"),
    [
        (IN, "PASS", "probe@bastion, tried from ctl1: let in at 2001:db8::1"),
        ("login 192.0.2.1 1 the account's own command ends with 1\n", "PASS", "let in"),
        (IN + DENIED, "FAIL", "192.0.2.1 refuses the key (probe@192.0.2.1: Permission denied (publickey).)"),
        (IN + CHANGED, "FAIL", "192.0.2.1 shows another host key than the pinned"),
        (IN + TIMED_OUT, "UNKNOWN", "192.0.2.1: ssh: connect to host 192.0.2.1 port 22: Connection timed out"),
        (IN + "login 192.0.2.1 255 \n", "UNKNOWN", "192.0.2.1: no answer"),
        (IN + "login 192.0.2.1 143 \n", "UNKNOWN", "192.0.2.1: no answer"),  # ssh itself was killed
        (DENIED + TIMED_OUT.replace("2.1", "2.2"), "FAIL", "refuses the key"),
        ("", "UNKNOWN", "no address was tried"),
    ],
)  # fmt: skip
def test_a_test_key_is_let_in_at_every_address(printed: str, outcome: str, said: str) -> None:
    found = logged_in(printed)
    assert found.outcome == outcome
    assert said in found.message


@pytest.mark.parametrize(
    ("rc", "said"),
    [
        (3, "ctl1 knows no address of bastion"),
        (4, "ctl1 has no ssh"),
        (5, "ctl1 has no /etc/holdfast/probe to read"),
        (6, "ctl1 could not log in: exit status 6"),
    ],
)
def test_a_login_that_was_not_tried_is_unknown(rc: int, said: str) -> None:
    found = logged_in("", rc)
    assert (found.outcome, found.message) == ("UNKNOWN", said)


@pytest.mark.parametrize(
    "wrong", [{"login": "-oProxyCommand=x@bastion"}, {"login": "bastion"}, {"identity": "probe"}]
)
def test_what_is_no_user_or_file_is_invalid_input(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=r"ssh\.lets_key_in"):
        bind_claim({**LOGIN, **wrong})
