"""Claims about any systemd unit, on the task's own host or on hosts that are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.judges import flapping, systemd
from holdfast.probes.flapping import probe_starts_of
from holdfast.probes.systemd import probe_group, probe_starts, probe_unit

CALM_SECONDS = 120
READ_ITS_STATE = "on the host: systemctl --failed"
IF_IT_HOLDS = "holdfast show unit-restart#if-it-holds"


InvocationId = Annotated[str, Field(min_length=1)]


class UnitParameters(Parameters):
    """``unit``: its name or alias; ``.service`` may be left out."""

    unit: str = Field(min_length=1)


class CalmParameters(UnitParameters):
    """``calm_seconds``: how long a start by systemd itself must have lasted to count."""

    calm_seconds: float = Field(CALM_SECONDS, ge=0)


class StaysUpParameters(CalmParameters):
    """``invocation_id``: the start that must still be running; by default the first one seen.

    ``outlive_seconds``: the interval after which the unit was seen to fail before; 0 if it was not.
    """

    invocation_id: str = ""
    outlive_seconds: float = Field(0, ge=0)


class AgeParameters(UnitParameters):
    """``seconds``: how long its present start must have lasted."""

    seconds: float = Field(ge=0)


class HostsParameters(UnitParameters):
    """``hosts``: their names in the inventory; they need not be in the play."""

    hosts: tuple[str, ...] = Field(min_length=1)


class CalmHostsParameters(HostsParameters, CalmParameters):
    """Both."""


class FlappingParameters(Parameters):
    """``window_seconds``: how far back starts count. ``starts``: so many of them are too many."""

    window_seconds: float = Field(1800, gt=0)
    starts: int = Field(3, ge=2)


class FlappingHostsParameters(HostsParameters, FlappingParameters):
    """Both."""


class UnchangedParameters(Parameters):
    """``starts``: per host the InvocationID of each unit's start that must still be running."""

    starts: Mapping[str, Annotated[Mapping[str, InvocationId], Field(min_length=1)]] = Field(
        min_length=1
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        name="systemd.active",
        remedy=READ_ITS_STATE,
        parameters=CalmParameters,
        probe=probe_unit,
        judge=systemd.is_active,
        final=(systemd.NO_SUCH_UNIT,),
    ),
    Claim(
        name="systemd.stays_up",
        remedy=READ_ITS_STATE,
        parameters=StaysUpParameters,
        probe=probe_unit,
        judge=systemd.stays_up,
        judges_history=True,
        final=(systemd.NO_SUCH_UNIT, systemd.RESTARTED, systemd.DIED),
    ),
    Claim(
        name="systemd.has_run_for",
        remedy=READ_ITS_STATE,
        parameters=AgeParameters,
        probe=probe_unit,
        judge=systemd.has_run_for,
        final=(systemd.NO_SUCH_UNIT,),
    ),
    Claim(
        name="systemd.active_everywhere",
        remedy=READ_ITS_STATE,
        parameters=CalmHostsParameters,
        probe=probe_group,
        judge=systemd.active_everywhere,
    ),
    Claim(
        name="systemd.none_flapping",
        remedy=READ_ITS_STATE,
        parameters=FlappingHostsParameters,
        probe=probe_starts_of,
        judge=flapping.none_flapping,
        final=(flapping.FLAPPING,),
    ),
    Claim(
        name="systemd.machines_distinct",
        remedy=IF_IT_HOLDS,
        parameters=HostsParameters,
        probe=probe_group,
        judge=systemd.machines_distinct,
        final=(systemd.ONE_MACHINE, systemd.ANOTHER_HOST),
    ),
    Claim(
        name="systemd.unchanged_since",
        remedy=READ_ITS_STATE,
        parameters=UnchangedParameters,
        probe=probe_starts,
        judge=systemd.unchanged_since,
        final=(systemd.NO_SUCH_UNIT, systemd.CHANGED, systemd.DIED),
    ),
)
