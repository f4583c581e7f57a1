"""Wording shared by terminal, report and chat."""

from __future__ import annotations

import pytest

from holdfast import text as formatting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never closed", ""),
        ("a\rb\x08c\x00d", "abcd"),
        ("two\nlines", "two\nlines"),
        ("tab\tstop", "tab stop"),
        ("\u202egnirts\u202c", "gnirts"),
        ("\x9b31mred", "31mred"),
        ("[red]not markup[/] {{ 7 * 7 }}", "[red]not markup[/] {{ 7 * 7 }}"),
        ("Zürich — 東京", "Zürich — 東京"),
    ],
)
def test_literal_text_cannot_move_the_cursor(text: str, expected: str) -> None:
    assert formatting.strip_control(text) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    assert formatting.format_duration(seconds) == expected


def test_long_lists_end_with_the_number_of_omitted_names() -> None:
    assert (
        formatting.join_names(f"h{n}" for n in range(10))
        == "h0, h1, h2, h3, h4, h5, h6, h7 and 2 more"
    )


def test_nearest_name() -> None:
    assert formatting.closest("rabitmq-restart", ["nova-restart", "rabbitmq-restart"]) == (
        "rabbitmq-restart"
    )
    assert formatting.closest("zzz", ["nova-restart"]) == ""


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all() -> None:
    known = ["nova-restart", "rabbitmq-restart"]
    assert formatting.did_you_mean("rabitmq-restart", known) == "did you mean rabbitmq-restart?"
    assert formatting.did_you_mean("zzz", known) == "known: nova-restart, rabbitmq-restart"
    assert formatting.did_you_mean("zzz", []) == "known: none"
