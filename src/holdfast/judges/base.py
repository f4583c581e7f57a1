"""What all judges have in common: no answer is UNKNOWN, and messages stay short.

A judge's first two parameters are the claim's name and what was observed. All others are parameters
of the claim, by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from holdfast.model import Outcome, Verdict
from holdfast.observations.base import Unanswered

ObservationT = TypeVar("ObservationT")
Arguments = ParamSpec("Arguments")
Judge = Callable[Concatenate[str, Sequence[ObservationT | Unanswered], Arguments], Verdict]


def judge_history(
    judge: Callable[Concatenate[str, Sequence[ObservationT], Arguments], Verdict],
) -> Judge[ObservationT, Arguments]:
    """Make a judge of a function that judges all observations of the gate so far, oldest first.

    A newest reading without an answer is UNKNOWN. Earlier ones without an answer are left out.
    """

    @wraps(judge)
    def judged(
        claim: str,
        history: Sequence[ObservationT | Unanswered],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Verdict:
        newest = history[-1]
        if isinstance(newest, Unanswered):
            return Verdict(claim, Outcome.UNKNOWN, "unanswered", newest.cause)
        answered = [each for each in history if not isinstance(each, Unanswered)]
        return judge(claim, answered, *args, **kwargs)

    return judged


def judge_latest(
    judge: Callable[Concatenate[str, ObservationT, Arguments], Verdict],
) -> Judge[ObservationT, Arguments]:
    """Make a judge of a function that judges the newest observation alone."""

    @wraps(judge)
    def judged(
        claim: str,
        history: Sequence[ObservationT],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Verdict:
        return judge(claim, history[-1], *args, **kwargs)

    return judge_history(judged)


def first_few(phrases: Sequence[str], limit: int = 3) -> str:
    """Return the first of some phrases for a message, and how many more there are."""
    shown = "; ".join(phrases[:limit])
    return f"{shown} and {len(phrases) - limit} more" if len(phrases) > limit else shown
