"""The one command language: a message becomes a typed command, or an error that says what to type.

The commands are those of the command line (``holdfast.verbs``). Everything in a message has to match one
of the patterns below: a name is matched against what exists, a limit against host names. Only a reason is
free text; it is carried as data and never becomes a template, an argument or a pattern.

    holdfast run RUNBOOK [SITE] [LIMIT] [NAME=VALUE …] reason WHY, TO THE END OF THE LINE

The command line's suggestions can be typed as they are: ``--site``, ``--limit``, ``--input``,
``--reason 'quoted'``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import InvalidInput
from holdfast.text import closest, did_you_mean, gives_reason, one_line
from holdfast.verbs import VERBS, Verb

NAME: Final = "holdfast"
LONGEST: Final = 2000
LONGEST_REASON: Final = 500

CHAT_VERBS: Final[Mapping[str, Verb]] = {
    **VERBS,
    "help": Verb("help", "Show what can be typed.", ("command",)),
}
_USAGE = {
    "runbook": "RUNBOOK",
    "claim": "[CLAIM …]",
    "input": "[NAME=VALUE …]",
    "hard": "[--hard]",
    "list": "[--list]",
    "reason": "reason WHY",
}
_NOT_SINGLE_WORDS = {"claim", "input", "hard", "list", "reason"}

_ADDRESSED = re.compile(rf"^[!@/]?{NAME}[:,]?(?=\s|$)", re.IGNORECASE)
_QUOTES = {"'": "'", '"': '"', "\u2018": "\u2019", "\u201c": "\u201d", "`": "`"}
# Phones and clients make one long dash, of whichever length, of two hyphens.
_DASH = r"(?:--|[\u2010-\u2015\u2212]{1,2})"
_OPTION = re.compile(_DASH)
_REASON = re.compile(rf"(?:^|\s){_DASH}?reason(?:[\s:=]+|$)", re.IGNORECASE)
_OPTION_LIKE = re.compile(
    rf"(?:^|\s)(?:{_DASH}[a-z]+|-?(?:site|limit|input)=|-(?:site|limit|input)\b)", re.IGNORECASE
)

_WORD = r"[a-z][a-z0-9._-]{0,79}"
_HOSTS = r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,99}"
PATTERNS: Final[Mapping[str, str]] = {
    "runbook": rf"{_WORD}(?:#[a-z0-9-]{{1,80}})?",
    "site": r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}",
    "limit": rf"{_HOSTS}(?:,{_HOSTS}){{0,99}}",
    "run": r"[a-z0-9][a-z0-9-]{1,119}",
    "claim": _WORD,
    "command": r"[a-z]{2,20}",
    "input": r"[a-z][a-z0-9_]{0,59}=[A-Za-z0-9][A-Za-z0-9._:/+,-]{0,199}",
}
"""What each parameter has to match; all of it is ASCII."""


@dataclass
class Command:
    """What somebody typed; every text but ``reason`` matches its pattern."""

    verb: str
    values: dict[str, str] = field(default_factory=dict)
    claims: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    hard: bool = False
    listed: bool = False
    reason: str = ""

    def get(self, name: str) -> str:
        """Return a parameter, or the empty string."""
        return self.values.get(name, "")


def addressed(text: str) -> str | None:
    """Return what follows the bot's name at the beginning of a message; None without the name."""
    found = _ADDRESSED.match(text.lstrip())
    return text.lstrip()[found.end() :].strip() if found else None


def mistyped(text: str) -> str:
    """Return what was probably meant by a message that begins almost with the bot's name; else ""."""
    name, _, rest = text.lstrip().partition(" ")
    verb = rest.split(maxsplit=1)[0].lower() if rest.strip() else ""
    near = closest(name.lstrip("!@/").rstrip(":,").lower(), [NAME], cutoff=0.75)
    return f"{NAME} {one_line(rest)}" if near and verb in CHAT_VERBS else ""


def usage(verb: Verb) -> str:
    """Return how a command is typed."""
    parameters = (_USAGE.get(name, f"[{name.upper()}]") for name in verb.parameters)
    return " ".join((NAME, verb.name, *parameters))


def find_verb(name: str) -> Verb:
    """Return the verb of that name.

    Raises:
        InvalidInput: there is none; names the nearest.
    """
    if name not in CHAT_VERBS:
        near = did_you_mean(name, CHAT_VERBS)
        raise InvalidInput(f"There is no command {_shorten(name)!r}: {near}", remedy=f"{NAME} help")
    return CHAT_VERBS[name]


def parse(text: str) -> Command:
    """Parse a command, as ``addressed`` returns it.

    Raises:
        InvalidInput: it is none; says what to type instead.
    """
    if len(text) > LONGEST:
        raise InvalidInput(
            f"A command has at most {LONGEST} characters, this one {len(text)}",
            remedy=f"{NAME} help",
        )
    if (lines := len([line for line in text.splitlines() if line.strip()])) > 1:
        raise InvalidInput(
            f"A message is one command, in one line; this one has {lines} lines, and nothing was done",
            remedy="send each command as a message of its own",
        )
    name, rest = (*text.split(maxsplit=1), "", "")[:2]
    verb = find_verb(name.lower() or "help")
    before, reason, after = _split_reason(rest, verb)
    parser = _Parser(verb, Command(verb.name, reason=reason))
    parser.parse(iter([*before.split(), *after.split()]))
    return parser.command


def _split_reason(rest: str, verb: Verb) -> tuple[str, str, str]:
    """Return the words before the reason, the reason, and the words after it (if it is quoted)."""
    if "reason" not in verb.parameters:
        return rest, "", ""
    found = _REASON.search(rest)
    before, reason = (rest[: found.start()], rest[found.end() :].strip()) if found else (rest, "")
    if reason[:1] in _QUOTES and reason:
        inner, closed, after = reason[1:].partition(_QUOTES[reason[0]])
        if closed and (not after or after[0].isspace()):
            return before, _check_reason(inner, verb), after
    if option := _OPTION_LIKE.search(reason):
        raise InvalidInput(
            f"Is {option[0].strip()!r} part of the reason or an option? Nothing was done",
            remedy="put the reason in quotes, or options before it",
        )
    return before, _check_reason(reason, verb), ""


def _check_reason(text: str, verb: Verb) -> str:
    reason = one_line(unicodedata.normalize("NFC", text))
    if not gives_reason(reason):
        instead = f", in place of {_shorten(reason)!r}" if reason else ""
        raise InvalidInput(f"A {verb.name} needs a reason{instead}", remedy=usage(verb))
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(
            f"A reason has at most {LONGEST_REASON} characters, this one {len(reason)}",
            remedy=usage(verb),
        )
    return reason


class _Parser:
    """Parses the words of one command: options by name, the others by position."""

    def __init__(self, verb: Verb, command: Command) -> None:
        self._verb, self.command = verb, command
        self._single = [name for name in verb.parameters if name not in _NOT_SINGLE_WORDS]

    def parse(self, words: Iterator[str]) -> None:
        for word in words:
            if dash := _OPTION.match(word):
                self._option(word[dash.end() :], words)
            elif "=" in word:
                self._pair(word)
            else:
                self._positional(word)

    def _option(self, option: str, following: Iterator[str]) -> None:
        name, equals, value = option.partition("=")
        if name == "hard" and name in self._verb.parameters and not equals:
            self.command.hard = True
        elif name == "list" and name in self._verb.parameters and not equals:
            self.command.listed = True
        elif name == "input" and name in self._verb.parameters:
            self._input(value or next(following, ""))
        elif name in self._single:
            self._set(name, value or next(following, ""))
        else:
            known = (f"--{each}" for each in self._verb.parameters if each != "claim")
            near = did_you_mean(f"--{name}", known)
            raise self._invalid(f"{self._verb.name} has no --{_shorten(name)}; {near}")

    def _pair(self, word: str) -> None:
        name, _, value = word.partition("=")
        if name in self._single[1:]:
            self._set(name, value)
        elif "input" in self._verb.parameters:
            self._input(word)
        else:
            raise self._invalid(f"{self._verb.name} takes no {_shorten(word)!r}")

    def _positional(self, word: str) -> None:
        free = [name for name in self._single if name not in self.command.values]
        if free[:2] == ["site", "limit"] and ("," in word or "*" in word):
            self._set("limit", word)  # no site has such a name
        elif free:
            self._set(free[0], word)
        elif "claim" in self._verb.parameters:
            self.command.claims.append(_check("claim", word))
        else:
            raise self._invalid(
                f"{self._verb.name} takes no more words: {_shorten(word)!r} is one too many"
            )

    def _set(self, name: str, typed: str) -> None:
        if name in self.command.values:
            raise self._invalid(f"{name} is given twice")
        self.command.values[name] = _check(name, typed)

    def _input(self, typed: str) -> None:
        name, _, value = _check("input", typed).partition("=")
        if name in self.command.inputs:
            raise self._invalid(f"the input {name} is given twice")
        self.command.inputs[name] = value

    def _invalid(self, message: str) -> InvalidInput:
        return InvalidInput(message, remedy=usage(self._verb))


def _check(parameter: str, typed: str) -> str:
    """Return what was typed, without quotes around it, if it matches the parameter's pattern.

    Raises:
        InvalidInput: it does not.
    """
    quoted = len(typed) > 1 and typed[0] == typed[-1] and typed[0] in "'\""
    value = typed[1:-1] if quoted else typed
    if re.fullmatch(PATTERNS[parameter], value, re.ASCII):
        return value
    strange = next((c for c in value if not c.isascii()), "")
    name = unicodedata.name(strange, "a character without a name") if strange else ""
    because = f": {name} is not ASCII" if strange else ""
    raise InvalidInput(
        f"{_shorten(value)!r} cannot be a {parameter}{because}", remedy=f"{NAME} help"
    )


def _shorten(typed: str) -> str:
    return one_line(typed)[:60]
