"""What every judge is given: the observations of one gate so far, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.model import Json, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Stands for the observation of a reading whose probe could not tell, and says why."""

    cause: str


Observation = Json | Unanswered  # the probe's own type, or Unanswered; never None


def unknown(claim: str, unanswered: Unanswered) -> Verdict:
    """The verdict on an answer that could not be got: UNKNOWN with its cause, never PASS."""
    return Verdict(claim, Outcome.UNKNOWN, "unanswered", unanswered.cause)


def first_few(words: Sequence[str], limit: int = 3) -> str:
    """The first of some phrases for a message, saying how many were left out."""
    shown = "; ".join(words[:limit])
    return f"{shown} and {len(words) - limit} more" if len(words) > limit else shown
