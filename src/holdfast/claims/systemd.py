"""Claims about any systemd unit on the task's own host."""

from __future__ import annotations

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import systemd
from holdfast.probes.systemd import probe_unit


class UnitParameters(Parameters):
    """``unit``: its name or alias; ``.service`` may be left out."""

    unit: str = Field(min_length=1)


class StaysUpParameters(UnitParameters):
    """``invocation_id``: the start that must still be running; by default the first one seen."""

    invocation_id: str = ""


class UnchangedParameters(UnitParameters):
    """``invocation_id``: the start that must still be running."""

    invocation_id: str = Field(min_length=1)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="systemd.active",
        parameters=UnitParameters,
        probe=probe_unit,
        judge=systemd.is_active,
        final=(systemd.NO_SUCH_UNIT,),
    ),
    Claim(
        name="systemd.stays_up",
        parameters=StaysUpParameters,
        probe=probe_unit,
        judge=systemd.stays_up,
        judges_history=True,
        final=(systemd.NO_SUCH_UNIT, systemd.RESTARTED, systemd.DIED),
    ),
    Claim(
        name="systemd.unchanged_since",
        parameters=UnchangedParameters,
        probe=probe_unit,
        judge=systemd.unchanged_since,
        final=(systemd.NO_SUCH_UNIT, systemd.CHANGED, systemd.DIED),
    ),
)
