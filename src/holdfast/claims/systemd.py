"""Claims about any systemd unit on the task's own host."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import systemd as judges
from holdfast.judges.base import Observation
from holdfast.model import Unit, Verdict
from holdfast.probes.base import ProbeContext
from holdfast.probes.systemd import look_at_unit


class UnitOnly(Parameters):
    """Which unit, by name or alias; ``.service`` may be left out."""

    unit: str = Field(min_length=1)


class StaysUp(UnitOnly):
    """``invocation_id``: the start that must still be running; by default the first one seen."""

    invocation_id: str = ""


class Since(UnitOnly):
    """``invocation_id``: the start that must still be running."""

    invocation_id: str = Field(min_length=1)


def _probe(look: ProbeContext, asked: UnitOnly) -> Unit:
    return look_at_unit(look, asked.unit)


def _active(history: Sequence[Observation], _: UnitOnly) -> Verdict:
    return judges.is_active(ACTIVE.name, history)


def _stays_up(history: Sequence[Observation], asked: StaysUp) -> Verdict:
    return judges.stays_up(STAYS_UP.name, history, asked.invocation_id)


def _unchanged(history: Sequence[Observation], asked: Since) -> Verdict:
    return judges.unchanged_since(UNCHANGED_SINCE.name, history, asked.invocation_id)


ACTIVE = Claim(
    name="systemd.active",
    summary="the unit is active on this host (a one-shot: ran and ended well)",
    parameters=UnitOnly,
    probe=_probe,
    judge=_active,
    final=(judges.NO_SUCH_UNIT,),
)
STAYS_UP = Claim(
    name="systemd.stays_up",
    summary="the unit is active and is not started again while the gate looks",
    parameters=StaysUp,
    probe_parameters=UnitOnly,
    probe=_probe,
    judge=_stays_up,
    final=(judges.NO_SUCH_UNIT, judges.RESTARTED, judges.DIED),
)
UNCHANGED_SINCE = Claim(
    name="systemd.unchanged_since",
    summary="the unit still runs as the given start: nothing restarted it since",
    parameters=Since,
    probe_parameters=UnitOnly,
    probe=_probe,
    judge=_unchanged,
    final=(judges.NO_SUCH_UNIT, judges.CHANGED, judges.DIED),
)

CLAIMS: tuple[Claim, ...] = (ACTIVE, STAYS_UP, UNCHANGED_SINCE)
