"""Schema numbers of events and plans, and the upgrades from every older number. Pure.

Every event and every plan is written with ``schema: SCHEMA``; those written before there was a
number are schema 1. A reader upgrades what is older, one number at a time, before it validates.

To change the schema: raise ``SCHEMA``, add the functions that turn the previous number into the new
one to ``_EVENT_UPGRADES`` and ``_PLAN_UPGRADES``, and keep a journal of the previous number as a test
file (tests/unit/journal/schema_1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from holdfast.errors import StateUnusable
from holdfast.model import Json

SCHEMA: Final = 2
"""The number that this Holdfast writes, and the largest that it reads."""

SchemaNumber = Literal[2]
"""The type of the field that holds it."""

Data = Mapping[str, Json]
Upgrade = Callable[[dict[str, Json]], dict[str, Json]]


def upgrade_event(event: Data, source: str) -> dict[str, Json]:
    """Return an event as this Holdfast would have written it; ``source`` names it in the error.

    Raises:
        StateUnusable: it was written by a newer Holdfast.
    """
    return _upgrade(event, source, _EVENT_UPGRADES)


def upgrade_plan(plan: Data, source: str) -> dict[str, Json]:
    """Return a plan as this Holdfast would have written it; the rest as for an event."""
    return _upgrade(plan, source, _PLAN_UPGRADES)


def schema_of(data: Data) -> Json:
    """Return the schema number of an event or a plan; 1 where none is written."""
    return data.get("schema", 1)


def _upgrade(data: Data, source: str, upgrades: Mapping[int, Upgrade]) -> dict[str, Json]:
    upgraded, number = dict(data), schema_of(data)
    if type(number) is not int:
        return upgraded  # the validation that follows refuses it
    if number > SCHEMA:
        raise StateUnusable(
            f"{source} has schema {number}, and this Holdfast reads schemas up to {SCHEMA}: "
            "it was written by a newer Holdfast",
            remedy="upgrade this Holdfast, then repeat the command",
        )
    while number in upgrades:
        upgraded = upgrades[number](upgraded)
        number += 1
        upgraded["schema"] = number
    return upgraded


# --- schema 1 to 2 --------------------------------------------------------------------------------

_KINDS_OF_1 = {
    "look_started": "inspection_started",
    "look_ended": "inspection_ended",
    "approval_wanted": "approval_requested",
    "abort_asked": "abort_requested",
}
_DROPPED_IN_2 = {"observed": "drained", "act_intended": "detail", "act_done": "detail"}


def _event_1_to_2(event: dict[str, Json]) -> dict[str, Json]:
    """Rename four kinds, and drop three fields and a phase that no reader ever used."""
    kind = event.get("kind")
    if kind in _KINDS_OF_1:
        event["kind"] = _KINDS_OF_1[kind]
    elif kind in _DROPPED_IN_2:
        event.pop(_DROPPED_IN_2[kind], None)
    elif kind == "gate_judged" and event.get("phase") == "survey":
        event["phase"] = "check"
    return event


_EVENT_UPGRADES: dict[int, Upgrade] = {1: _event_1_to_2}
_PLAN_UPGRADES: dict[int, Upgrade] = {1: lambda plan: plan}  # schema 2 added the number alone
