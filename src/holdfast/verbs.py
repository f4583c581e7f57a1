"""The commands that the command line and chat have in common, each described once.

Owns their names, one-line summaries and parameters. How a parameter is typed (``--site SITE`` or a
word in its place) and what else a command can do (``--json``) is the matter of each front end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Verb:
    """A command that a person types.

    ``parameters`` are named in the order in which chat takes them: ``runbook``, ``site``, ``limit``
    and ``run`` have one value, ``claim`` and ``input`` may be repeated, ``hard`` and ``list`` are
    flags, and ``reason`` is free text.
    """

    name: str
    summary: str
    parameters: tuple[str, ...] = ()


_PLANNED = ("runbook", "site", "limit", "input")
_VERBS = (
    Verb("runbooks", "List the runbooks, with the inputs that each asks for."),
    Verb("show", "Show the text of a runbook, or one section: RUNBOOK#SECTION.", ("runbook",)),
    Verb(
        "plan",
        "Show what a run would do: steps, batches, order, gates, an estimate. Touches nothing.",
        _PLANNED,
    ),
    Verb(
        "run",
        "Run a runbook step by step; hold as soon as a gate does not pass.",
        (*_PLANNED, "reason"),
    ),
    Verb("status", "Show the state of runs and who holds which lease.", ("run",)),
    Verb(
        "resume",
        "Continue a run that was held or aborted, or whose driver died; nothing done is repeated.",
        ("run", "reason"),
    ),
    Verb(
        "abort",
        "Stop a run at the next boundary; the host in hand is finished first.",
        ("run", "hard"),
    ),
    Verb("approve", "Approve the step at which a run waits, for its present plan alone.", ("run",)),
    Verb(
        "reject",
        "Say no to what a run asks, with a reason: it ends, and touches nothing more.",
        ("run", "reason"),
    ),
    Verb("watch", "Follow a run until it ends, without any effect on it.", ("run",)),
    Verb("log", "Show the journal of a run, one line for each event.", ("run",)),
    Verb(
        "report",
        "Report on a run: what was done to each host and when, who decided what, where the time went.",
        ("run",),
    ),
    Verb("check", "Ask whether every claim holds. Touches nothing.", ("site", "claim", "list")),
    Verb(
        "diagnose",
        "Say what is wrong, the cause first, and what to type. Touches nothing.",
        ("site",),
    ),
)
VERBS: Final[Mapping[str, Verb]] = {verb.name: verb for verb in _VERBS}
"""By name, in the order in which help lists them."""
