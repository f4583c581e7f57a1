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
