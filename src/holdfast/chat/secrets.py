"""Tokens: where they come from, and how they are kept out of everything that is written or posted.

The configuration names where a token is, and never holds one. What is posted, journaled or logged passes
``Scrubber``: it knows this bot's own tokens and the formats of common ones.
"""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import InvalidInput
from holdfast.model import Json
from holdfast.text import strip_control

HIDDEN = "[secret]"
_SHORTEST = 6
_FORMATS = re.compile(
    r"\b(?:xox[a-z]-|xapp-)[\w-]{8,}"  # Slack
    r"|\b(?:syt|mct|syr)_\w{8,}"  # Matrix
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|$)"
    r"|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"  # a URL's user and password
    r"|(?<=[Bb]earer )[\w.~+/-]{8,}=*"
    r"|(?i:(?<=password=)|(?<=password: )|(?<=passwd=)|(?<=token=)|(?<=secret=))[^\s,;]+",
    re.DOTALL,
)
# The same words as where a host's output is journaled (unit_program.sh); what stands before the secret stays.
_NAMED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(--?[\w-]*(?:password|passwd|_pass|secret|token|cookie)\s+)(?:'[^']*'|\"[^\"]*\"|\S+)",
        r"(\bauthorization['\"]?\s*[=:]\s*['\"]?(?:[a-z]+\s+)?)[^\s'\"]+",
        r"(\{\"?\w*(?:pass|secret|token|cookie)\w*\"?,\s*)[^}]+",  # Erlang
    )
)


@dataclass(frozen=True)
class OpenedSettings:
    """Settings with the tokens themselves, the tokens, and the variables they came from."""

    settings: dict[str, Json]
    secrets: frozenset[str]
    variables: frozenset[str]


def open_tokens(settings: Mapping[str, Json], environ: Mapping[str, str]) -> OpenedSettings:
    """Read every ``{file: …}`` and ``{environment: …}`` of a transport's settings.

    Raises:
        InvalidInput: a token is not there, or other users may read it.
    """
    texts, variables = dict[str, str](), set[str]()
    for name, value in settings.items():
        match value:
            case {"file": str(path)} if len(value) == 1:
                texts[name] = _require(_read_private(Path(path)), path)
            case {"environment": str(variable)} if len(value) == 1:
                texts[name] = _require(environ.get(variable, ""), variable)
                variables.add(variable)
            case Mapping() if set(value) <= {"file", "environment"}:
                raise InvalidInput(f"{name}: say either file: PATH or environment: NAME")
    return OpenedSettings({**settings, **texts}, frozenset(texts.values()), frozenset(variables))


def _read_private(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidInput(
                f"{path} holds a token and other users may read it", remedy=f"chmod 600 {path}"
            )
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: the token cannot be read: {error.strerror}") from error


def _require(text: str, source: str) -> str:
    if not text.strip():
        raise InvalidInput(f"the token in {source} is empty or not set")
    return text.strip()


class Scrubber:
    """Replaces secrets in text: the known ones, and what has the format of one."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        # The longest first: one may be a part of another.
        every = sorted({text for text in known if len(text) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, every))) if every else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _FORMATS.sub(HIDDEN, text)
        for pattern in _NAMED:
            text = pattern.sub(rf"\1{HIDDEN}", text)
        return text


class ScrubbedLog(logging.Formatter):
    """A formatter whose lines, tracebacks included, have passed a ``Scrubber``."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        """Return the record without secrets, and without anything that a terminal would obey."""
        return self._scrub(strip_control(super().format(record)))
