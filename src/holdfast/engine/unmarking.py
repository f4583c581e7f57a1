"""Removes the marks of a run that has ended (docs/adr/0023): best effort, since a mark that is left expires."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from holdfast.ansible.interfaces import Play, run_play
from holdfast.engine.dependencies import Dependencies
from holdfast.errors import InvalidInput
from holdfast.marks import TTL

_LIMIT = timedelta(seconds=30)
"""How long it may take."""


def remove_marks(dependencies: Dependencies, play: Play, failed: Callable[[], bool]) -> str:
    """Run the play that removes them, until ``failed``; return a sentence where it did not end well, else ""."""
    latest = dependencies.clock() + _LIMIT
    try:
        ended = run_play(
            dependencies.runner,
            play,
            lambda _: None,
            lambda: failed() or dependencies.clock() > latest,
        )
    except InvalidInput as error:
        why = error.message
    else:
        if ended.status == "ok":
            return ""
        why = "; ".join(f"{host}: {text}" for host, text in ended.messages.items()) or ended.status
    return f"the marks of this run were not removed ({why}): they expire within {TTL.total_seconds() / 60:.0f} min"
