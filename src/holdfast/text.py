"""Formats values for people: text from outside without control characters, durations, times, names.

The terminal, chat and the report share these; they know nothing of runs or fleets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches

# ECMA-48: CSI sequences, strings up to their terminator (OSC sets titles and links), other escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)|\x1b[ -/]*[0-~]", re.DOTALL
)

_PLURALS = {"batch": "batches", "person": "people"}


def strip_control(text: str) -> str:
    """Return text from outside without anything that a terminal interprets; line breaks stay.

    Every character of Unicode's categories "C" goes (controls, overrides of the writing
    direction, unassigned), so that a host name or a reason cannot move the cursor or hide its end.
    """
    plain = _ESCAPES.sub("", text).replace("\t", " ")
    return "".join(c for c in plain if c == "\n" or not unicodedata.category(c).startswith("C"))


def one_line(text: str) -> str:
    """Return the text in one line, without control characters, for tables and log lines."""
    return " ".join(strip_control(text).split())


def host_key_advice(text: str) -> str:
    """Return what to do where ``text`` is ssh's refusal of a host key; the empty string otherwise.

    ssh itself advises to remove the known key, which is right only once it is known what answers there.
    """
    if "HOST IDENTIFICATION HAS CHANGED" in text:
        return (
            "its SSH host key is not the one in known_hosts: the host was installed anew, or something else "
            "answers at its address. Compare the key at the host's console "
            "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) with what ssh shows before you replace it"
        )
    if "Host key verification failed" in text:
        return (
            "its SSH host key is not in known_hosts: compare it at the host's console "
            "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), connect once with ssh and accept it"
        )
    return ""


def format_duration(seconds: float) -> str:
    """Return a duration as text: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def parse_duration(text: str) -> int:
    """Return the seconds of a typed duration: ``90``, ``90s``, ``5m`` or ``2h``.

    Raises:
        ValueError: it is none.
    """
    units = {"s": 1, "m": 60, "h": 3600}
    number = text.removesuffix(text[-1:]) if text[-1:] in units else text
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"{text!r} is no duration: 90s, 5m and 2h are")
    return int(number) * units.get(text[-1:], 1)


def format_clock(then: datetime) -> str:
    """Return the time of day in the reader's own time zone, to the second."""
    return then.astimezone().strftime("%H:%M:%S")


def format_date_and_clock(then: datetime) -> str:
    """Return date and time in the reader's own time zone, with the zone."""
    return then.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def format_short(then: datetime) -> str:
    """Return date and time in the reader's own time zone, short, for tables."""
    return then.astimezone().strftime("%m-%d %H:%M")


def join_names(names: Iterable[str], limit: int = 8) -> str:
    """Join at most ``limit`` names for a sentence; the text ends with the number of the others."""
    known = list(names)
    shown = ", ".join(known[:limit])
    return f"{shown} and {len(known) - limit} more" if len(known) > limit else shown


def gives_reason(text: str) -> bool:
    """Return whether a reason says anything: not the ``…`` or ``WHY`` of a suggestion that was pasted as it is."""
    return any(character.isalnum() for character in text) and text.strip() != "WHY"


def count_of(number: int, noun: str) -> str:
    """Return ``1 host``, ``3 hosts``, ``2 batches``."""
    return f"{number} {noun if number == 1 else _PLURALS.get(noun, f'{noun}s')}"


def closest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return the known name that is nearest to ``name``, or the empty string."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean NAME?`` for the nearest known name; without one, ``known: A, B, C``."""
    names = list(known)
    near = closest(name, names)
    return f"did you mean {near}?" if near else f"known: {join_names(names) or 'none'}"
