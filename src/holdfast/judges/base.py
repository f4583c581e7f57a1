"""What judges have in common: messages stay short.

A judge is a pure function. Its first two parameters are the claim's name and what was observed. All others are
parameters of the claim, by their names. Its docstring begins with "PASS where": the rest of that line is the claim's
summary, which operators read in `holdfast check --list`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES = r"(?:password|passwd|_pass|secret|token|cookie)"
_SECRETS = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        r"(authorization['\"]?\s*[=:]\s*['\"]?(?:[a-z]+\s+)?)[^\s'\"]+",
        rf"(--?[a-z0-9_-]*{_NAMES}\s+)\S+",
        r"(://[^\s:/@]*:)\S+(?=@)",
        rf"([a-z0-9_]*{_NAMES}[a-z0-9_]*['\"]?\s*[=:]\s*)\S+",
        r"(\{\"?[a-z0-9_]*(?:pass|secret|token|cookie)[a-z0-9_]*\"?,\s*)[^}]+",
    )
)
"""What unit_program.sh masks in the output of a command."""


def without_secrets(text: str) -> str:
    """Return one phrase from outside with `***` for its passwords, as far as they can be told from other words."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text


def first_few(phrases: Sequence[str], limit: int = 3, separator: str = "; ") -> str:
    """Return the first of some phrases for a message, and how many more there are."""
    shown = separator.join(phrases[:limit])
    return f"{shown} and {len(phrases) - limit} more" if len(phrases) > limit else shown
