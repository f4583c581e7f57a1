"""The one command language: a message becomes a typed command, or an error that says what to type.

Words are the CLI's own. Nothing of a message goes further than through the patterns below: a name
is matched against what exists, a limit against host names, and only a reason is free text, which is
carried as data and never becomes a template, an argument or a pattern.

    holdfast run RUNBOOK [SITE] [LIMIT] [NAME=VALUE …] reason WHY, TO THE END OF THE LINE

What the CLI prints as the next command can be typed as it is: ``--site``, ``--limit``, ``--input``,
``--reason 'quoted'``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import InvalidInput
from holdfast.text import closest, one_line

NAME: Final = "holdfast"
LONGEST: Final = 2000
LONGEST_REASON: Final = 500

_ADDRESSED = re.compile(rf"^[!@/]?{NAME}[:,]?(?=\s|$)", re.IGNORECASE)
_QUOTES = {"'": "'", '"': '"', "\u2018": "\u2019", "\u201c": "\u201d", "`": "`"}
# Phones and clients make one long dash, of whichever length, of two hyphens.
_DASH = r"(?:--|[\u2010-\u2015\u2212]{1,2})"
_OPTION = re.compile(_DASH)
_REASON = re.compile(rf"(?:^|\s){_DASH}?reason(?:[\s:=]+|$)", re.IGNORECASE)
_OPTION_LIKE = re.compile(
    rf"(?:^|\s)(?:{_DASH}[a-z]+|-?(?:site|limit|input)=|-(?:site|limit|input)\b)", re.IGNORECASE
)

WORD = r"[a-z][a-z0-9._-]{0,79}"
HOSTS = r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,99}"
PATTERNS: Final[Mapping[str, str]] = {
    "runbook": WORD,
    "site": r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}",
    "limit": rf"{HOSTS}(?:,{HOSTS}){{0,99}}",
    "run": r"[a-z0-9][a-z0-9-]{1,119}",
    "claim": WORD,
    "command": r"[a-z]{2,20}",
    "input": r"[a-z][a-z0-9_]{0,59}=[A-Za-z0-9][A-Za-z0-9._:/+,-]{0,199}",
}
"""What may stand for each kind of parameter; all of it ASCII."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: its parameters in the order in which they are typed, and how it is described."""

    name: str
    summary: str
    takes: tuple[str, ...] = ()
    many: str = ""
    inputs: bool = False
    reason: bool = False
    flags: tuple[str, ...] = ()
    example: str = ""

    @property
    def usage(self) -> str:
        """How it is typed."""
        optional = [f"[{name.upper()}]" for name in self.takes[1:]]
        first = [self.takes[0].upper()] if self.takes and self.inputs else []
        if self.takes and not first:
            first = [f"[{self.takes[0].upper()}]"]
        parts = [NAME, self.name, *first, *optional]
        parts += [f"[{self.many.upper()} …]"] if self.many else []
        parts += ["[NAME=VALUE …]"] if self.inputs else []
        parts += [f"[--{flag}]" for flag in self.flags]
        return " ".join([*parts, *(["reason WHY"] if self.reason else [])])


VERBS: Final = {
    verb.name: verb
    for verb in (
        Verb("runbooks", "List the runbooks, with the values each asks for."),
        Verb("show", "Show a runbook as a person reads it.", ("runbook",)),
        Verb(
            "plan",
            "Show what a run would do. Touches nothing.",
            ("runbook", "site", "limit"),
            inputs=True,
        ),
        Verb(
            "run",
            "Run a runbook: one proven step at a time, stopping at the first doubt.",
            ("runbook", "site", "limit"),
            inputs=True,
            reason=True,
        ),
        Verb("status", "Show how runs stand and who holds which lease.", ("run",)),
        Verb("resume", "Go on with a held, aborted or dead run.", ("run",), reason=True),
        Verb(
            "abort",
            "Stop a run at the next boundary; the host in hand is finished first.",
            ("run",),
            flags=("hard",),
        ),
        Verb("approve", "Give the word that a run waits for.", ("run",)),
        Verb(
            "check",
            "Ask whether the fleet is as it should be. Touches nothing.",
            ("site",),
            "claim",
        ),
        Verb("help", "Say what can be typed.", ("command",)),
    )
}


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody asked for; every text but ``reason`` matches its pattern."""

    verb: str
    given: Mapping[str, str] = field(default_factory=dict)
    many: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    reason: str = ""

    def get(self, name: str) -> str:
        """A parameter, or the empty string."""
        return self.given.get(name, "")


def addressed(text: str) -> str | None:
    """Return what of a message is meant for us, None if nothing is."""
    found = _ADDRESSED.match(text.lstrip())
    return text.lstrip()[found.end() :].strip() if found else None


def parse(text: str) -> Command:
    """Read a command, as ``addressed`` returns it.

    Raises:
        InvalidInput: it is none; says what to type instead.
    """
    if len(text) > LONGEST:
        raise InvalidInput(
            f"A command has at most {LONGEST} characters, this one {len(text)}",
            remedy=f"{NAME} help",
        )
    name, rest = (*text.split(maxsplit=1), "", "")[:2]
    verb = _verb(name.lower())
    head, reason, tail = _parted(rest, verb)
    command = _Reading(verb).read([*head.split(), *tail.split()])
    return Command(
        verb.name,
        command.given,
        tuple(command.many),
        command.inputs,
        frozenset(command.flags),
        _reason(verb, reason),
    )


def _verb(name: str) -> Verb:
    if name in VERBS:
        return VERBS[name]
    if not name:
        return VERBS["help"]
    near = closest(name, VERBS)
    said = one_line(name)[:40]
    hint = f"did you mean {near}?" if near else f"there are: {', '.join(VERBS)}"
    raise InvalidInput(f"There is no command {said!r}: {hint}", remedy=f"{NAME} {near or 'help'}")


def _parted(rest: str, verb: Verb) -> tuple[str, str, str]:
    """Words before the reason, the reason, and words after it, which only a quoted one can have."""
    found = _REASON.search(rest) if verb.reason else None
    if found is None:
        return rest, "", ""
    head, reason = rest[: found.start()], rest[found.end() :].strip()
    if reason[:1] in _QUOTES:
        inner, closed, tail = reason[1:].partition(_QUOTES[reason[0]])
        if closed and (not tail or tail[0].isspace()):
            return head, inner, tail
    if looks := _OPTION_LIKE.search(reason):
        raise InvalidInput(
            f"Is {looks[0].strip()!r} part of the reason or an option? Nothing was done",
            remedy="put the reason in quotes, or options before it",
        )
    return head, reason, ""


def _reason(verb: Verb, text: str) -> str:
    if not verb.reason:
        return ""
    reason = one_line(unicodedata.normalize("NFC", text))
    if not reason:
        raise InvalidInput(f"A {verb.name} needs a reason", remedy=verb.usage)
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(
            f"A reason has at most {LONGEST_REASON} characters, this one {len(reason)}",
            remedy=verb.usage,
        )
    return reason


class _Reading:
    """Reads words for one verb: options by name, the others in their order."""

    def __init__(self, verb: Verb) -> None:
        self._verb = verb
        self.given: dict[str, str] = {}
        self.many: list[str] = []
        self.inputs: dict[str, str] = {}
        self.flags: set[str] = set()

    def read(self, words: list[str]) -> _Reading:
        left = iter(words)
        for word in left:
            if dash := _OPTION.match(word):
                self._option(word[dash.end() :], lambda: next(left, ""))
            elif "=" in word:
                self._pair(word)
            else:
                self._positional(word)
        return self

    def _option(self, option: str, following: Callable[[], str]) -> None:
        name, equals, value = option.partition("=")
        if name in self._verb.flags and not equals:
            self.flags.add(name)
        elif name == "input" and self._verb.inputs:
            self._input(value or following())
        elif name in self._verb.takes:
            self._set(name, value or following())
        else:
            known = (*self._verb.takes, *self._verb.flags)
            near = closest(name, known)
            hint = f"; did you mean --{near}?" if near else ""
            raise InvalidInput(
                f"{self._verb.name} has no --{_shown(name)}{hint}", remedy=self._verb.usage
            )

    def _pair(self, word: str) -> None:
        name, _, value = word.partition("=")
        if name in self._verb.takes[1:]:
            self._set(name, value)
        elif self._verb.inputs:
            self._input(word)
        else:
            raise InvalidInput(
                f"{self._verb.name} takes no {_shown(word)!r}", remedy=self._verb.usage
            )

    def _positional(self, word: str) -> None:
        name = next((name for name in self._verb.takes if name not in self.given), "")
        if name:
            self._set(name, word)
        elif self._verb.many:
            self.many.append(_checked(self._verb.many, word))
        else:
            raise InvalidInput(
                f"{self._verb.name} takes no more words: {_shown(word)!r} is one too many",
                remedy=self._verb.usage,
            )

    def _set(self, name: str, typed: str) -> None:
        value = _unquoted(typed)
        if name in self.given:
            raise InvalidInput(f"{name} is given twice", remedy=self._verb.usage)
        self.given[name] = _checked(name, value)

    def _input(self, typed: str) -> None:
        name, _, value = _checked("input", _unquoted(typed)).partition("=")
        if name in self.inputs:
            raise InvalidInput(f"the input {name} is given twice")
        self.inputs[name] = value


def _unquoted(word: str) -> str:
    """The word without quotes around it: the CLI's next commands are quoted for a shell."""
    quoted = len(word) > 1 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else word


def _checked(kind: str, value: str) -> str:
    """Return the value only if it is made of what that kind of parameter may be made of."""
    if re.fullmatch(PATTERNS[kind], value, re.ASCII):
        return value
    strange = next((c for c in value if not c.isascii()), "")
    name = unicodedata.name(strange, "a character without a name") if strange else ""
    because = f": {name} is not ASCII" if strange else ""
    raise InvalidInput(f"{_shown(value)!r} cannot be a {kind}{because}", remedy=f"{NAME} help")


def _shown(value: str) -> str:
    return one_line(value)[:60]
