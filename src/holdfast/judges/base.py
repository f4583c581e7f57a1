"""What judges have in common: messages stay short.

A judge is a pure function. Its first two parameters are the claim's name and what was observed. All others are
parameters of the claim, by their names. Its docstring begins with "PASS where": the rest of that line is the claim's
summary, which operators read in `holdfast check --list`.
"""

from __future__ import annotations

from collections.abc import Sequence


def first_few(phrases: Sequence[str], limit: int = 3, separator: str = "; ") -> str:
    """Return the first of some phrases for a message, and how many more there are."""
    shown = separator.join(phrases[:limit])
    return f"{shown} and {len(phrases) - limit} more" if len(phrases) > limit else shown
