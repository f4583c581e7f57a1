"""What can be typed, and that nothing else is accepted: every parameter has its pattern, a reason is data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.chat.command_parser import (
    CHAT_VERBS,
    LONGEST,
    LONGEST_REASON,
    Command,
    addressed,
    mistyped,
    parse,
)
from holdfast.errors import InvalidInput

PAYLOADS = {
    "jinja": "{{lookup('pipe','id')}}",
    "jinja_statement": "{%for_x_in_y%}",
    "shell": "$(id)",
    "backticks": "`id`",
    "pipe": "a|id",
    "semicolon": "a;id",
    "newline": "a\nb;id",
    "ansi": "a\x1b[2J",
    "nul": "a\x00b",
    "confusable": "r\u0430bbitmq-restart",  # CYRILLIC SMALL LETTER A
    "fullwidth": "\uff41\uff42\uff43",
    "override": "a\u202egnp.exe",
    "zero_width": "ct\u200bl1",
    "at_file": "@/etc/passwd",
    "path": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "tilde": "~.*",
    "extra_vars": "-e@x",
    "oversized": "a" * 5000,
}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("holdfast status", "status"),
        ("  !holdfast: status", "status"),
        ("@Holdfast status", "status"),
        ("holdfast", ""),
        ("holdfastly yours", None),
        ("we could use holdfast here", None),
        ("status", None),
    ],
)
def test_a_command_begins_with_the_bots_name(text: str, rest: str | None) -> None:
    assert addressed(text) == rest


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("holdfats abort k3f9", "holdfast abort k3f9"),
        ("Holdfst: status", "holdfast status"),
        ("!holfdast run r-1 reason x", "holdfast run r-1 reason x"),
        ("holdfastly yours", ""),
        ("holdfats", ""),
        ("manifest status", ""),
        ("hold that run", ""),
    ],
)
def test_a_name_that_is_almost_the_bots_is_noticed_before_a_command(text: str, meant: str) -> None:
    assert addressed(text) is None
    assert mistyped(text) == meant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runbooks", Command("runbooks")),
        ("", Command("help")),
        ("HELP run", Command("help", {"command": "run"})),
        ("plan nova-restart eqiad", Command("plan", {"runbook": "nova-restart", "site": "eqiad"})),
        (
            "plan nova-restart --site eqiad --limit ctl*,cmp1 --input wait=30",
            Command(
                "plan",
                {"runbook": "nova-restart", "site": "eqiad", "limit": "ctl*,cmp1"},
                inputs={"wait": "30"},
            ),
        ),
        (
            "run r-1 lab ctl1 unit=nova-compute reason because: site=9 is 'odd'",
            None,
        ),
        (
            "run r-1 lab ctl1 unit=nova-compute reason because it is 'odd', really",
            Command(
                "run",
                {"runbook": "r-1", "site": "lab", "limit": "ctl1"},
                inputs={"unit": "nova-compute"},
                reason="because it is 'odd', really",
            ),
        ),
        (
            "run r-1 --reason 'openssl update' --limit ctl1",
            Command("run", {"runbook": "r-1", "limit": "ctl1"}, reason="openssl update"),
        ),
        (
            "run r-1 --site lab --limit 'ctl*' --input 'unit=nova-compute' --reason 'x'",
            Command(
                "run",
                {"runbook": "r-1", "site": "lab", "limit": "ctl*"},
                inputs={"unit": "nova-compute"},
                reason="x",
            ),
        ),
        (
            "resume k3f9 \u2014reason \u201cdisk replaced\u201d",
            Command("resume", {"run": "k3f9"}, reason="disk replaced"),
        ),
        ("abort k3f9 --hard", Command("abort", {"run": "k3f9"}, hard=True)),
        ("check lab a.b c.d", Command("check", {"site": "lab"}, claims=["a.b", "c.d"])),
        ("check --list", Command("check", listed=True)),
        ("plan r-1 ctl1,ctl2", Command("plan", {"runbook": "r-1", "limit": "ctl1,ctl2"})),
        ("plan r-1 ctl* lab", Command("plan", {"runbook": "r-1", "limit": "ctl*", "site": "lab"})),
        ("reject k3f9 reason no", Command("reject", {"run": "k3f9"}, reason="no")),
    ],
)
def test_commands_are_parsed_as_people_type_them(text: str, expected: Command | None) -> None:
    if expected is None:
        with pytest.raises(InvalidInput, match="part of the reason or an option"):
            parse(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rnu x reason y", "did you mean run?"),
        ("stauts", "did you mean status?"),
        ("frobnicate", "known: runbooks"),
        ("run r-1", "needs a reason"),
        ("run r-1 reason   ", "needs a reason"),
        ("resume k3f9", "needs a reason"),
        ("plan r-1 lab ctl1 more", "one too many"),
        ("status --limt x", "has no --limt"),
        ("plan r-1 --limt x", "did you mean --limit?"),
        ("plan r-1 lab --site lab", "given twice"),
        ("plan r-1 a=1 a=2", "given twice"),
        ("status\nholdfast run r-1 reason x", "in one line; this one has 2 lines"),
        ("run r-1 reason x\nholdfast abort r-1", "in one line; this one has 2 lines"),
        ("run r-1 lab\rctl1 reason x", "in one line; this one has 2 lines"),
        ("resume k3f9 --reason '\u2026'", "needs a reason, in place of '\u2026'"),
        ("resume k3f9 reason WHY", "needs a reason, in place of 'WHY'"),
        ("reject k3f9", "needs a reason"),
        ("run r-1 reason update --limit ctl1", "part of the reason or an option"),
        ("run r-1 reason update limit=ctl1", "part of the reason or an option"),
        ("approve " + "a" * LONGEST, f"at most {LONGEST}"),
        ("run r-1 reason " + "a" * (LONGEST_REASON + 1), f"at most {LONGEST_REASON}"),
    ],
)
def test_an_error_says_what_to_type(text: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(text)
    assert expected in error.value.message


def positions() -> Iterator[str]:
    """Yield every position of every command where something can be typed."""
    for verb in CHAT_VERBS.values():
        end = " reason x" if "reason" in verb.parameters else ""
        single = [
            each for each in verb.parameters if each not in {"claim", "input", "hard", "reason"}
        ]
        yield from (f"{verb.name} --{name} PAYLOAD{end}" for name in single)
        if "claim" in verb.parameters:
            yield f"{verb.name}{' a' * len(single)} PAYLOAD{end}"
        if "input" in verb.parameters:
            yield f"{verb.name} a x=PAYLOAD{end}"
            yield f"{verb.name} a PAYLOAD=x{end}"


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("position", [*positions()])
def test_no_payload_is_accepted_as_a_parameter(position: str, payload: str) -> None:
    with pytest.raises(InvalidInput):
        parse(position.replace("PAYLOAD", payload))


@pytest.mark.parametrize("position", [*positions()])
def test_a_plain_value_is_accepted_wherever_the_payloads_were_put(position: str) -> None:
    parse(position.replace("PAYLOAD", "status" if "command" in position else "ab"))


def test_a_character_that_is_not_ascii_is_named() -> None:
    with pytest.raises(InvalidInput, match="CYRILLIC SMALL LETTER A is not ASCII"):
        parse(f"show {PAYLOADS['confusable']}")


@pytest.mark.parametrize("name", ["jinja", "shell", "backticks", "at_file", "path", "pipe"])
def test_a_reason_is_not_changed(name: str) -> None:
    assert parse(f"run r-1 reason so: {PAYLOADS[name]}").reason == f"so: {PAYLOADS[name]}"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("a\x1b[2Jb", "ab"), ("a\u202eb\u200bc", "abc"), ("a\x00b", "ab")],
)
def test_a_reason_becomes_one_line_without_control_characters(typed: str, kept: str) -> None:
    assert parse(f"run r-1 reason {typed}").reason == kept


@pytest.mark.parametrize("dash", ["--", "\u2014", "\u2013", "\u2013\u2013", "\u2015", "\u2212"])
def test_every_kind_of_dash_begins_an_option(dash: str) -> None:
    asked = parse(f"run r-1 {dash}limit ctl1 {dash}reason 'x'")
    assert (asked.get("limit"), asked.reason) == ("ctl1", "x")
    assert parse(f"abort k3f9 {dash}hard").hard
    with pytest.raises(InvalidInput, match="part of the reason or an option"):
        parse(f"run r-1 reason openssl update {dash}limit ctl1")


@pytest.mark.parametrize("tail", ["-limit ctl1", "-limit=ctl1", "limit=ctl1"])
def test_a_reason_that_seems_to_have_an_option_is_refused(tail: str) -> None:
    with pytest.raises(InvalidInput, match="part of the reason or an option"):
        parse(f"run r-1 reason openssl update {tail}")
