"""What any probe may leave in a gate's history: an observation of its own type, or no answer."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model import Json


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Stands for the observation that a probe could not make; ``cause`` says why not."""

    cause: str


Observation = Json | Unanswered  # the probe's own type, or Unanswered; never None
