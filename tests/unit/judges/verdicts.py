"""What the tests of judges have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from holdfast.model import Outcome, Verdict


def outcome_and_reason(verdict: Verdict) -> tuple[Outcome, str]:
    """Return what programs may compare of a verdict."""
    return verdict.outcome, verdict.reason


def cases(rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Return rows as parameters of a test; the first column is each case's name."""
    return [pytest.param(*row[1:], id=row[0]) for row in rows]
